"""Questions: every answer found again from the geometry, no answer that can be guessed, no doubtful wording."""

import math
import re
from collections import Counter, defaultdict

import numpy as np
import pytest

from cooper.errors import CooperError
from cooper.scenes.questions.categories import CATEGORIES, balanced_questions, questions_of
from cooper.scenes.questions.question import SceneQuestion
from cooper.scenes.questions.wording import LETTERS
from cooper.scenes.room.catalogue import HELD_OUT, Pair
from cooper.scenes.room.render import Staged, stage_scene
from cooper.scenes.room.sampling import SceneKey
from cooper.scenes.room.scene import Scene, SceneObject


@pytest.fixture(scope="session")
def asked(staged: list[Staged]) -> list[tuple[SceneQuestion, Staged]]:
    return [(q, item) for item in staged for q in questions_of(item.scene, 5, 45)]


def _named(scene: Scene, name: str) -> SceneObject:
    return next(item for item in scene.objects if f"{item.colour} {item.shape}" == name)


def _in_text(question: SceneQuestion, scene: Scene) -> list[SceneObject]:
    """The objects whose names stand in the text, in its order."""
    found = [(question.text.find(item.name), item) for item in scene.objects if item.name in question.text]
    return [item for _, item in sorted(found, key=lambda pair: pair[0])]


def _depth(item: SceneObject, staged: Staged) -> float:
    return float(np.median(staged.geometry.depth_m[staged.geometry.instances == item.id]))


def _column(item: SceneObject, staged: Staged) -> float:
    return float(np.flatnonzero((staged.geometry.instances == item.id).any(axis=0)).mean())


def _gap(first: SceneObject, second: SceneObject) -> float:
    a, b = first.centre, second.centre
    return math.sqrt((a.x - b.x) ** 2 + (a.y - b.y) ** 2 + (a.z - b.z) ** 2)


def _said(question: SceneQuestion) -> str:
    return question.choices[LETTERS.index(question.answer)] if question.type == "MCQ" else question.answer


def _relative_distance(q: SceneQuestion, staged: Staged) -> str:
    far = "farthest" in q.text or "farther" in q.text
    if q.type == "MCQ":
        items = [_named(staged.scene, name) for name in q.choices]
        return sorted(items, key=lambda item: _depth(item, staged))[-1 if far else 0].name
    first, second = _in_text(q, staged.scene)
    if q.text.startswith("Compared"):
        first, second = second, first
    return "Yes" if far == (_depth(first, staged) > _depth(second, staged)) else "No"


def _spatial_relation(q: SceneQuestion, staged: Staged) -> str:
    first, second = _in_text(q, staged.scene)
    near = _depth(first, staged) < _depth(second, staged)
    left = staged.scene.camera.project(np.array([first.centre.array(), second.centre.array()]))[:, 0]
    side = "left" if left[0] < left[1] else "right"
    if q.type == "MCQ":
        return f"{side} and {'in front' if near else 'behind'}"
    if "to the" in q.text:
        return "Yes" if f"to the {side}" in q.text else "No"
    return "Yes" if ("in front of" in q.text) == near else "No"


def _situational_view(q: SceneQuestion, staged: Staged) -> str:
    here, facing, other = (item.centre for item in _in_text(q, staged.scene))
    area = (facing.x - here.x) * (other.y - here.y) - (facing.y - here.y) * (other.x - here.x)
    side = "left" if area > 0 else "right"
    return side if q.type == "MCQ" else "Yes" if f"your {side}" in q.text else "No"


def _reach(q: SceneQuestion, staged: Staged) -> str:
    length = float(re.findall(r"(\d+\.\d) m", q.text)[0])
    return "Yes" if _gap(*_in_text(q, staged.scene)) <= length else "No"


def _spatial_grid(q: SceneQuestion, staged: Staged) -> str:
    item = _in_text(q, staged.scene)[0]
    u, v, _ = staged.scene.camera.project(item.centre.array()[None])[0]
    rows, columns = ("top", "middle", "bottom"), ("left", "centre", "right")
    near = {f"{rows[int(3 * (v + dv))]} {columns[int(3 * (u + du))]}" for du in (-0.02, 0, 0.02) for dv in (-0.03, 0, 0.03)}
    if q.type == "MCQ":
        return _said(q) if _said(q) in near else "none"
    claimed = next(f"{row} {column}" for row in rows for column in columns if f"{row} {column}" in q.text)
    return "Yes" if claimed in near else "No"


def _occlusion(q: SceneQuestion, staged: Staged) -> str:
    views = {item.name: item.view.fraction for item in staged.scene.objects if item.view}
    if q.type == "MCQ":
        return min(q.choices, key=lambda name: views[name])
    return "Yes" if views[_in_text(q, staged.scene)[0].name] < 0.9 else "No"


def _counting(q: SceneQuestion, staged: Staged) -> str:
    def counts(item: SceneObject) -> bool:
        plural = "arches" if item.shape == "arch" else item.shape + "s"
        by_colour = re.search(r"(\w+) objects", q.text)
        if by_colour and by_colour.group(1) not in ("many", "the", "of"):
            return item.colour == by_colour.group(1)
        return bool(by_colour) or plural in q.text

    ids = [item.id for item in staged.scene.objects if counts(item)]
    return str(len(set(ids) & set(np.unique(staged.geometry.instances).tolist())))


def _existence(q: SceneQuestion, staged: Staged) -> str:
    return "Yes" if _in_text(q, staged.scene) else "No"


def _size(q: SceneQuestion, staged: Staged) -> str:
    items = _in_text(q, staged.scene)
    if q.type == "Number":
        return f"{items[0].size.x:.2f}"
    if q.text.startswith("Compared"):
        items = items[::-1]
    return "Yes" if ("wider" in q.text) == (items[0].size.x > items[1].size.x) else "No"


def _general(q: SceneQuestion, staged: Staged) -> str:
    if q.category == "material":
        return _in_text(q, staged.scene)[0].material
    own, asked_for = ("shape", "colour") if q.category == "colour" else ("colour", "shape")
    fitting = [item for item in staged.scene.objects if f" {vars(item)[own]}" in q.text]
    assert len(fitting) == 1
    return vars(fitting[0])[asked_for]


RECOMPUTED = {
    "relative_distance": _relative_distance,
    "spatial_relation": _spatial_relation,
    "situational_view": _situational_view,
    "reach": _reach,
    "spatial_grid": _spatial_grid,
    "occlusion": _occlusion,
    "counting": _counting,
    "existence": _existence,
    "camera_distance": lambda q, staged: f"{_depth(_in_text(q, staged.scene)[0], staged):.2f}",
    "object_distance": lambda q, staged: f"{_gap(*_in_text(q, staged.scene)):.2f}",
    "height": lambda q, staged: f"{_in_text(q, staged.scene)[0].size.z:.2f}",
    "size": _size,
    "colour": _general,
    "shape": _general,
    "material": _general,
}


@pytest.mark.parametrize("category", CATEGORIES)
def test_answers_follow_from_the_geometry(category: str, asked: list[tuple[SceneQuestion, Staged]]):
    mine = [(q, item) for q, item in asked if q.category == category]
    assert len(mine) >= 20
    for q, item in mine:
        expected, found = RECOMPUTED[category](q, item), _said(q)
        if q.type == "Number":
            assert float(found) == pytest.approx(float(expected), abs=0.0101), q.text
        else:
            assert found == expected, f"{q.prompt} in scene {item.scene.index}"


def test_words_are_few_and_unambiguous(asked: list[tuple[SceneQuestion, Staged]]):
    vocabulary = set()
    for q, item in asked:
        assert len(q.prompt.split()) < 40
        vocabulary |= set(re.findall(r"[A-Za-z]+", q.prompt))
        assert len(set(q.choices)) == len(q.choices) <= 4
        assert (q.type == "MCQ") == bool(q.choices)
        assert set(q.objects) <= {thing.id for thing in item.scene.objects}
        assert (q.tolerance > 0) == (q.type == "Number")
    assert len(vocabulary) < 200
    phrasings = defaultdict(set)
    for q, _ in asked:
        phrasings[q.category].add(q.text.split()[0] + q.text[-6:])
    assert all(len(found) >= 2 for found in phrasings.values())


def _worst_excess(asked: list[SceneQuestion]) -> float:
    """How many standard errors the best constant letter or word lies above chance, at worst over categories."""
    worst = 0.0
    groups = defaultdict(list)
    for q in asked:
        if q.type in ("MCQ", "YN"):
            groups[q.category, q.type, len(q.choices)].append(q.answer)
    for (_, _, choices), answers in groups.items():
        chance = 1 / (choices or 2)
        best = Counter(answers).most_common(1)[0][1] / len(answers)
        worst = max(worst, (best - chance) / math.sqrt(chance * (1 - chance) / len(answers)))
    return worst


def test_a_reader_who_does_not_look_is_at_chance(asked: list[tuple[SceneQuestion, Staged]]):
    assert _worst_excess([q for q, _ in asked]) < 4.0
    for category in ("camera_distance", "object_distance", "height", "size"):
        truths = np.array([q.value for q, _ in asked if q.category == category and q.value is not None])
        tolerance = next(q.tolerance for q, _ in asked if q.category == category and q.type == "Number")
        guesses = np.linspace(0.1, 5, 400)
        assert max((abs(truths - guess) <= tolerance * truths).mean() for guess in guesses) < 0.5, category
    counts = Counter(q.answer for q, _ in asked if q.category == "counting")
    assert max(counts.values()) < 0.4 * sum(counts.values())


@pytest.mark.slow
def test_a_reader_who_does_not_look_is_at_chance_over_many_scenes():
    scenes = [stage_scene(SceneKey("val", 12, index), 64).scene for index in range(200)]
    assert _worst_excess([q for scene in scenes for q in questions_of(scene, 0, 30)]) < 4.0


def test_questions_are_the_same_again_and_the_sampler_is_even(staged: list[Staged]):
    scenes = [item.scene for item in staged]
    assert questions_of(scenes[0], 1, 8) == questions_of(scenes[0], 1, 8)
    assert questions_of(scenes[0], 1, 8) != questions_of(scenes[0], 2, 8)
    found = balanced_questions(scenes, 0, 6)
    counts = Counter(q.category for q in found)
    assert set(counts) == set(CATEGORIES)
    assert min(counts.values()) > 0.6 * max(counts.values())
    assert len({q.id for q in found}) == len(found)
    with pytest.raises(CooperError, match="smell"):
        questions_of(scenes[0], 0, 1, ("smell",))


def test_absent_objects_are_never_held_out_pairs():
    scenes = [stage_scene(SceneKey("compositional", 1, index), 64).scene for index in range(6)]
    names = {f"{pair.colour} {pair.shape}" for pair in HELD_OUT}
    for scene in scenes:
        assert {Pair(item.shape, item.colour) for item in scene.objects} & HELD_OUT
        for q in questions_of(scene, 0, 20, ("existence",)):
            if q.answer == "No":
                assert not any(name in q.text for name in names)
