"""Questions answered anew for a scene whose objects are seen nearer or farther than they are."""

import numpy as np
import pytest

from cooper.errors import CooperError
from cooper.scenes.questions.categories import questions_of
from cooper.scenes.questions.question import depth_of, place_of
from cooper.scenes.questions.solving import SOLVABLE, at_distances, solved


@pytest.fixture(scope="module")
def asked(staged):
    """Scenes with questions of every category that distances answer."""
    return [
        (each.scene, question)
        for each in staged
        for seed in range(4)
        for question in questions_of(each.scene, seed, len(SOLVABLE), tuple(SOLVABLE))
    ]


def test_the_true_scene_gives_the_true_answer(asked):
    assert {question.category for _, question in asked} == set(SOLVABLE)
    for scene, question in asked:
        assert solved(question, scene, scene) == question.answer, question


def test_objects_move_along_the_line_of_sight(asked):
    for scene, _ in asked[::8]:
        wanted = {item.id: depth_of(item) * factor for item, factor in zip(scene.objects, (0.5, 1.3, 2.0), strict=False)}
        seen = at_distances(scene, wanted)
        for old, new in zip(scene.objects, seen.objects, strict=True):
            assert depth_of(new) == wanted.get(old.id, depth_of(old))
            assert np.allclose([place_of(new, seen).u, place_of(new, seen).v], [place_of(old, scene).u, place_of(old, scene).v])
            assert new.size.x / old.size.x == pytest.approx(depth_of(new) / depth_of(old))


def test_scenes_twice_as_far_away_have_lengths_twice_as_long_and_the_same_order(asked):
    for scene, question in asked:
        seen = at_distances(scene, {item.id: 2 * depth_of(item) for item in scene.objects})
        told = solved(question, scene, seen)
        if question.type == "Number":
            assert float(told) == pytest.approx(2 * float(question.answer), abs=0.011)
        elif question.category != "reach":
            assert told == question.answer


def test_who_sees_near_and_far_exchanged_answers_the_other_way(asked):
    turned = [(scene, question) for scene, question in asked if question.category == "relative_distance"]
    for scene, question in turned:
        seen = at_distances(scene, {item.id: 10 / depth_of(item) for item in scene.objects})
        assert solved(question, scene, seen) != question.answer


def test_other_categories_are_refused(staged):
    (question,) = questions_of(staged[0].scene, 0, 1, ("existence",))
    with pytest.raises(CooperError, match="questions about existence are not answered from distances"):
        solved(question, staged[0].scene, staged[0].scene)
