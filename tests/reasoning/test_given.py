"""Maps that are given in place of drawn ones: what the model reads then, in the two modes that read maps."""

import numpy as np
import pytest

from cooper.errors import CooperError
from cooper.reasoning.context import Seeded
from cooper.reasoning.cooper import Cooper
from cooper.reasoning.events import TraceDone
from cooper.reasoning.options import Request
from cooper.trace.example import example
from cooper.trace.modes import GIVEN_MAPS
from cooper.trace.steps import MapStep, TextStep

TURNS = {
    "depth": "<think>A depth map shows how far things are.</think><depth-estimation>Draw the depth map.</depth-estimation>",
    "segmentation": "<think>Parts.</think><segmentation>Draw the segmentation map.</segmentation>",
    "answer": "<think>So.</think><answer>B</answer>",
}


@pytest.fixture(scope="module")
def nano() -> Cooper:
    return Cooper.from_pretrained("nano")


@pytest.fixture(scope="module")
def asked(nano):
    """`asked(given, mode, seed, *turns)`: the trace of the example, with these turns written."""
    processor = nano.engine.parts.layout.processor

    def of(given, mode="interleaved", seed=0, turns=("depth", "segmentation", "answer")):
        script = tuple((*processor.encode(TURNS[turn]), processor.geometry.eos) for turn in turns)
        request = Request(0, Seeded(seed), seed, script)
        events = nano.engine.run([example()], [request], nano.options(mode, given=given))
        return next(event.trace for event in events if isinstance(event, TraceDone))

    return of


def test_a_blank_map_is_mid_grey_and_rendered_as_any_other(nano, asked):
    depth, parts = asked("blank").maps
    assert (depth.modality, parts.modality) == ("depth", "segmentation")
    for step in (depth, parts):
        assert step.latents is None and np.all(step.drawn == 0.5)
        assert step.image.tobytes() == nano.modalities[step.modality].render(step.drawn).tobytes()
    assert len(np.unique(np.asarray(depth.image).reshape(-1, 3), axis=0)) == 1


def test_noise_follows_from_the_seed(asked):
    one, again, other = (asked("noise", seed=seed).maps for seed in (0, 0, 1))
    assert one == again and one[0].drawn.tobytes() != other[0].drawn.tobytes()
    assert 0.45 < one[0].drawn.mean() < 0.55 and one[0].drawn.std() > 0.25
    assert one[0].drawn.tobytes() != one[1].drawn.tobytes()


def test_repeat_shows_the_first_map_again(asked):
    own, repeated = asked("own"), asked("repeat")
    assert [step.modality for step in own.maps] == ["depth", "segmentation"]
    assert repeated.maps == (own.maps[0], own.maps[0]) and own.maps[0].latents is not None
    assert asked("repeat", "perception", turns=("answer",)).maps[1].modality == "depth"


def test_with_none_a_request_is_not_carried_out(nano, asked):
    trace = asked("none")
    reflection = nano.engine.parts.prompts.reflection
    assert not trace.maps and trace.answer == "B" and trace.settings["given_maps"] == "none"
    assert [step.text for step in trace.steps if isinstance(step, TextStep)] == [
        TURNS["depth"],
        reflection,
        TURNS["segmentation"],
        reflection,
        TURNS["answer"],
    ]
    assert [step.text for step in asked("none", "perception", turns=("answer",)).steps] == [TURNS["answer"]]


def test_all_given_maps_are_read(nano, asked):
    """What follows depends on the map: the same turn has another probability behind another map."""
    told = {}
    for given in ("own", "none", "blank", "noise"):
        told[given] = asked(given, turns=("depth", "answer")).turns[-1].logprobs
    assert len(set(told.values())) == 4


def test_maps_that_come_with_the_question_come_first(nano):
    metres = np.full((128, 128), 2.0, np.float32)
    options = nano.options("perception", given="blank")
    question = type(example())(example().parts, known={"depth": metres})
    ((trace,),) = nano.batch([question], options)
    assert np.allclose(trace.maps[0].reading.arrays["depth"], 2.0, atol=1e-3) and np.all(trace.maps[1].drawn == 0.5)
    assert all(isinstance(step, MapStep) for step in trace.maps)


def test_unknown_given_maps_are_refused(nano):
    with pytest.raises(CooperError, match=f"unknown given maps 'grey'; known: {', '.join(GIVEN_MAPS)}"):
        nano.options(given="grey")
