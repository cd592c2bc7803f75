"""Questions about a scene, category by category, and the sampler that keeps the categories of a set even."""

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from types import MappingProxyType

import numpy as np

from cooper.errors import CooperError
from cooper.scenes.questions.absent import absent
from cooper.scenes.questions.contents import colour, counting, existence, material, occlusion, shape
from cooper.scenes.questions.harder import depth_order, farther_count, free_path, nearest_neighbour
from cooper.scenes.questions.metric import camera_distance, height, object_distance, size
from cooper.scenes.questions.question import Asker, Group, SceneQuestion
from cooper.scenes.questions.spatial import reach, relative_distance, situational_view, spatial_grid, spatial_relation
from cooper.scenes.questions.wording import Phrasing, Wording
from cooper.scenes.room.scene import Scene

TRIES = 4  # draws of one category before the next one has its turn


@dataclass(frozen=True)
class Category:
    """A question category: its group, and what makes a question of it."""

    group: Group
    ask: Asker
    tolerance: float = 0.0  # relative error allowed in its numbers; small where the range is narrow


CATEGORIES: Mapping[str, Category] = MappingProxyType(
    {
        "relative_distance": Category("spatial", relative_distance),
        "spatial_relation": Category("spatial", spatial_relation),
        "situational_view": Category("spatial", situational_view),
        "reach": Category("spatial", reach),
        "spatial_grid": Category("spatial", spatial_grid),
        "occlusion": Category("spatial", occlusion),
        "counting": Category("spatial", counting),
        "existence": Category("spatial", existence),
        "camera_distance": Category("distance_size", camera_distance, 0.10),
        "object_distance": Category("distance_size", object_distance, 0.20),
        "height": Category("distance_size", height, 0.15),
        "size": Category("distance_size", size, 0.15),
        "colour": Category("general", colour),
        "shape": Category("general", shape),
        "material": Category("general", material),
    }
)


HARDER: Mapping[str, Category] = MappingProxyType(
    {
        "depth_order": Category("spatial", depth_order),
        "farther_count": Category("spatial", farther_count),
        "nearest_neighbour": Category("spatial", nearest_neighbour),
        "free_path": Category("spatial", free_path),
        "absent": Category("general", absent),
    }
)
"""Categories of scenes of format 3 only."""

ALL_CATEGORIES: Mapping[str, Category] = MappingProxyType({**CATEGORIES, **HARDER})


def categories_of(scene: Scene) -> tuple[str, ...]:
    """The categories that the format of a scene has."""
    return tuple(CATEGORIES if scene.form == 2 else ALL_CATEGORIES)


def questions_of(
    scene: Scene,
    seed: int,
    per_scene: int,
    categories: Sequence[str] | None = None,
    wording: Wording | None = None,
    weights: Mapping[str, float] | None = None,
) -> tuple[SceneQuestion, ...]:
    """Up to `per_scene` different questions, the categories in random order; the same for the same arguments.

    `categories`: by default all that the format of the scene has. `wording`: by default `first` for format 2 and `trained` for
    format 3. `weights`: how often a category comes first, 1 where it is not named; one of weight 0 never comes.
    """
    phrasing = _asking(scene, seed, wording)
    names = categories_of(scene) if categories is None else categories
    order = [names[place] for place in _shuffled(phrasing.rng, [(weights or {}).get(name, 1.0) for name in names])]
    return _take(scene, seed, per_scene, order, phrasing)


def balanced_questions(
    scenes: Iterable[Scene],
    seed: int,
    per_scene: int,
    categories: Sequence[str] | None = None,
    wording: Wording | None = None,
) -> tuple[SceneQuestion, ...]:
    """As `questions_of` for many scenes, but each scene serves the categories that have the fewest questions first."""
    counts: Counter[str] = Counter()
    found: list[SceneQuestion] = []
    for scene in scenes:
        phrasing = _asking(scene, seed, wording)
        known = categories_of(scene) if categories is None else categories
        names = [known[int(place)] for place in phrasing.rng.permutation(len(known))]
        taken = _take(scene, seed, per_scene, sorted(names, key=lambda name: counts[name]), phrasing)
        counts.update(question.category for question in taken)
        found += taken
    return tuple(found)


def _shuffled(rng: np.random.Generator, weights: Sequence[float]) -> list[int]:
    """The places of `weights` in random order, the heavier ones earlier, without those of weight 0."""
    if len(set(weights)) == 1 and weights[0]:
        return [int(place) for place in rng.permutation(len(weights))]
    shares = np.array(weights) / sum(weights)
    return [int(place) for place in rng.choice(len(weights), np.count_nonzero(shares), replace=False, p=shares)]


def _asking(scene: Scene, seed: int, wording: Wording | None) -> Phrasing:
    default: Wording = "first" if scene.form == 2 else "trained"
    return Phrasing(np.random.default_rng([scene.seed, seed]), wording or default)


def _take(scene: Scene, seed: int, per_scene: int, order: Sequence[str], phrasing: Phrasing) -> tuple[SceneQuestion, ...]:
    unknown = [name for name in order if name not in ALL_CATEGORIES]
    if unknown:
        raise CooperError(f"question category {unknown[0]!r} is unknown; known: {', '.join(ALL_CATEGORIES)}")
    taken: list[SceneQuestion] = []
    said: set[str] = set()
    for _ in range(per_scene):  # a second round over the categories when one was not enough
        for name in order:
            if len(taken) == per_scene:
                return tuple(taken)
            question = _ask(scene, name, phrasing, f"{scene.split}-{scene.seed}-{seed}-{len(taken)}")
            if question is not None and question.text not in said:
                said.add(question.text)
                taken.append(question)
    return tuple(taken)


def _ask(scene: Scene, name: str, phrasing: Phrasing, question_id: str) -> SceneQuestion | None:
    category = ALL_CATEGORIES[name]
    for _ in range(TRIES):
        draft = category.ask(scene, phrasing)
        if draft is not None:
            return SceneQuestion(
                id=question_id,
                category=name,
                group=category.group,
                type=draft.type,
                text=draft.text,
                choices=draft.choices,
                answer=draft.answer,
                objects=draft.objects,
                value=draft.value,
                tolerance=category.tolerance if draft.type == "Number" else 0.0,
                style=phrasing.choice_style() if draft.choices else "letters",
            )
    return None
