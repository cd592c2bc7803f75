"""Questions of format 3: many wordings, some of them held out; choices in many forms; harder questions; things not there."""

import re
from collections import Counter
from string import Formatter

import numpy as np
import pytest

from cooper.evaluation.replies.answers import score
from cooper.scenes.questions.absent import absent
from cooper.scenes.questions.categories import ALL_CATEGORIES, CATEGORIES, HARDER, balanced_questions, questions_of
from cooper.scenes.questions.harder import free_width
from cooper.scenes.questions.question import Couple, SceneQuestion, apart, clearly_nearer, depth_of
from cooper.scenes.questions.wording import LETTERS, Phrasing, further_wordings
from cooper.scenes.room.catalogue import ALL_PAIRS
from cooper.scenes.room.render import stage_scene
from cooper.scenes.room.sampling import SceneKey
from cooper.scenes.room.scene import Scene
from cooper.scenes.teacher.observations import observation


@pytest.fixture(scope="module")
def wide() -> list[Scene]:
    return [stage_scene(SceneKey("test", 11, index, 3), 64).scene for index in range(40)]


@pytest.fixture(scope="module")
def asked(wide: list[Scene]) -> list[tuple[Scene, SceneQuestion]]:
    return [(scene, question) for scene in wide for seed in range(3) for question in questions_of(scene, seed, 20)]


def shape_of(text: str) -> str:
    """A question without what it is about."""
    names = "|".join(f"{pair.colour} {pair.shape}" for pair in ALL_PAIRS)
    return re.sub(rf"\b(?:{names})\b", "*", text)


def test_every_category_has_ten_wordings_and_others_that_are_held_out():
    for name, ways in further_wordings().items():
        trained, held_out = ways["trained"], ways["held_out"]
        assert len(trained) >= 8 and len(held_out) >= 3, name  # beside the two or three that stand in the code
        assert len({*trained, *held_out}) == len(trained) + len(held_out), name
        blanks = {frozenset(field for _, field, _, _ in Formatter().parse(way) if field) for way in (*trained, *held_out)}
        assert len(blanks) == 1, name


@pytest.mark.parametrize("category", [name for name in ALL_CATEGORIES if name not in ("absent", "occlusion")])
def test_training_and_tests_ask_in_different_words(category: str, wide: list[Scene]):
    def ways(wording) -> set[str]:
        found = [each for scene in wide for seed in range(12) for each in questions_of(scene, seed, 1, [category], wording)]
        return {shape_of(question.text) for question in found}

    trained, held_out = ways("trained"), ways("held_out")
    assert len(trained) >= 10 and len(held_out) >= 3 and not trained & held_out


def test_format_2_is_asked_as_before_and_format_3_in_all_categories(asked, wide):
    old = [stage_scene(SceneKey("test", 11, index), 64).scene for index in range(10)]
    assert {question.category for scene in old for question in questions_of(scene, 0, 20)} <= set(CATEGORIES)
    assert {question.category for _, question in asked} == set(ALL_CATEGORIES)
    counts = Counter(question.category for question in balanced_questions(wide, 0, 8))
    assert min(counts.values()) >= 0.7 * max(counts.values())


def test_categories_come_as_often_as_they_weigh(wide):
    def counts(weights) -> Counter[str]:
        found = [each for scene in wide for seed in range(10) for each in questions_of(scene, seed, 2, weights=weights)]
        return Counter(question.category for question in found)

    even, heavy = counts({}), counts({"absent": 6, "reach": 0})
    assert heavy["absent"] > 2.5 * even["absent"] > 0
    assert even["reach"] > 0 and heavy["reach"] == 0
    only = counts({name: float(name == "colour") for name in ALL_CATEGORIES})
    assert set(only) == {"colour"}
    scene = wide[0]
    assert questions_of(scene, 3, 8) == questions_of(scene, 3, 8, weights={}) == questions_of(scene, 3, 8, weights={"size": 1})


def test_choices_are_shown_in_many_forms_and_the_answer_in_words_is_right_in_each(asked):
    styles = Counter()
    for _, question in asked:
        if question.choices:
            styles[question.style] += 1
            assert all(choice in question.prompt for choice in question.choices)
            assert ("A" in question.prompt.split(question.text)[1].split()[0]) == (
                question.style in ("letters", "brackets", "both")
            )
        scored = score(
            question.solution, question.type, question.answer, choices=question.choices, tolerance=question.tolerance
        )
        assert scored.correct, question
    assert set(styles) == {"letters", "brackets", "both", "words", "or"}


def test_harder_questions_are_answered_by_the_geometry(asked):
    counts = Counter()
    for scene, question in asked:
        if question.category not in HARDER or question.category == "absent":
            continue
        things = {item.id: item for item in scene.objects}
        first, *others = [things[number] for number in question.objects]
        counts[question.category, question.answer] += 1
        if question.category == "depth_order":
            order = question.choices[LETTERS.index(question.answer)].split(" - ")
            assert order == [item.name for item in sorted((first, *others), key=depth_of)]
        elif question.category == "farther_count":
            far = "farther" in question.text
            right = [other for other in others if (clearly_nearer(first, other) if far else clearly_nearer(other, first))]
            assert int(question.answer) == len(right)
        elif question.category == "nearest_neighbour":
            nearest = min(others, key=lambda other: apart(Couple(first, other)))
            assert question.choices[LETTERS.index(question.answer)] == nearest.name
        else:
            assert (free_width(scene, first, others[0]) > (question.value or 0)) == (question.answer == "Yes")
    assert {category for category, _ in counts} == {"depth_order", "farther_count", "nearest_neighbour", "free_path"}
    free = [counts["free_path", answer] for answer in ("Yes", "No")]
    assert min(free) > 0.3 * sum(free)


def test_a_free_way_is_as_wide_as_a_fine_walk_along_it_finds(wide: list[Scene]):
    for scene in wide[:15]:
        floor = [item for item in scene.objects if item.support == "floor"]
        if len(floor) < 3:
            continue
        first, second, *_ = floor
        walk = np.linspace(first.centre.array()[:2], second.centre.array()[:2], 400)
        things = [item for item in floor if item not in (first, second)]
        things += [piece for piece in scene.room.furniture if piece.kind != "rug"]
        gaps = []
        for thing in things:
            turn = np.array([[np.cos(thing.yaw), np.sin(thing.yaw)], [-np.sin(thing.yaw), np.cos(thing.yaw)]])
            local = abs((walk - thing.centre.array()[:2]) @ turn.T) - thing.size.array()[:2] / 2
            gaps.append(2 * np.linalg.norm(local.clip(0), axis=1).min())
        assert free_width(scene, first, second) == pytest.approx(min(gaps, default=np.inf), abs=0.02)


def test_missing_things_are_asked_about_in_the_words_of_other_questions(wide: list[Scene]):
    found = 0
    for number, scene in enumerate(wide * 4):
        draft = absent(scene, Phrasing(np.random.default_rng(number), "trained"))
        if draft is None:
            continue
        found += 1
        assert draft.answer in draft.text and draft.answer not in {item.name for item in scene.objects}
    assert found > 80


def test_thoughts_follow_every_wording(asked):
    for scene, question in asked:
        assert 2 < len(observation(question, scene).split()) < 75
