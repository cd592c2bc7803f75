"""Questions about a scene, category by category, and the sampler that keeps the categories of a set even."""

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from types import MappingProxyType

import numpy as np

from cooper.errors import CooperError
from cooper.scenes.questions.contents import colour, counting, existence, material, occlusion, shape
from cooper.scenes.questions.metric import camera_distance, height, object_distance, size
from cooper.scenes.questions.question import Asker, Group, SceneQuestion
from cooper.scenes.questions.spatial import reach, relative_distance, situational_view, spatial_grid, spatial_relation
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


def questions_of(
    scene: Scene, seed: int, per_scene: int, categories: Sequence[str] = tuple(CATEGORIES)
) -> tuple[SceneQuestion, ...]:
    """Up to `per_scene` different questions, the categories in random order; the same for the same arguments."""
    rng = np.random.default_rng([scene.seed, seed])
    order = [categories[int(place)] for place in rng.permutation(len(categories))]
    return _take(scene, seed, per_scene, order, rng)


def balanced_questions(scenes: Iterable[Scene], seed: int, per_scene: int) -> tuple[SceneQuestion, ...]:
    """As `questions_of` for many scenes, but each scene serves the categories that have the fewest questions first."""
    counts: Counter[str] = Counter()
    found: list[SceneQuestion] = []
    for scene in scenes:
        rng = np.random.default_rng([scene.seed, seed])
        names = [list(CATEGORIES)[int(place)] for place in rng.permutation(len(CATEGORIES))]
        taken = _take(scene, seed, per_scene, sorted(names, key=lambda name: counts[name]), rng)
        counts.update(question.category for question in taken)
        found += taken
    return tuple(found)


def _take(scene: Scene, seed: int, per_scene: int, order: Sequence[str], rng: np.random.Generator) -> tuple[SceneQuestion, ...]:
    unknown = [name for name in order if name not in CATEGORIES]
    if unknown:
        raise CooperError(f"question category {unknown[0]!r} is unknown; known: {', '.join(CATEGORIES)}")
    taken: list[SceneQuestion] = []
    said: set[str] = set()
    for _ in range(per_scene):  # a second round over the categories when one was not enough
        for name in order:
            if len(taken) == per_scene:
                return tuple(taken)
            question = _ask(scene, name, rng, f"{scene.split}-{scene.seed}-{seed}-{len(taken)}")
            if question is not None and question.text not in said:
                said.add(question.text)
                taken.append(question)
    return tuple(taken)


def _ask(scene: Scene, name: str, rng: np.random.Generator, question_id: str) -> SceneQuestion | None:
    category = CATEGORIES[name]
    for _ in range(TRIES):
        draft = category.ask(scene, rng)
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
            )
    return None
