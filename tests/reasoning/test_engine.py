"""The engine on a tiny random network: what was sampled is what is kept, whatever else is in the batch."""

from dataclasses import replace
from inspect import signature
from typing import get_args

import numpy as np
import pytest
import torch

from cooper.errors import CooperError
from cooper.model.config import DrawingDefaults
from cooper.perception.modality import Reading
from cooper.reasoning.context import Seeded
from cooper.reasoning.cooper import Cooper
from cooper.reasoning.decoding import Sampling
from cooper.reasoning.events import DrawingProgress, StepDone, TextDelta, TraceDone
from cooper.reasoning.options import Options, Request
from cooper.sequence.packing import Row, pack
from cooper.trace.asked import question_of
from cooper.trace.prompts import DEFAULT
from cooper.trace.steps import MapStep, Question, TextStep
from cooper.trace.trace import Trace
from tests.networks import picture, tiny_model, tiny_processor

SAMPLED = Sampling(temperature=1.0, max_tokens=9)


@pytest.fixture(scope="module")
def cooper(tmp_path_factory) -> Cooper:
    model = tiny_model()
    loaded = Cooper.of(model, tiny_processor(model, tmp_path_factory.mktemp("tokenizer")), DEFAULT, "tiny")
    return replace(loaded, defaults=replace(loaded.defaults, sampling=Sampling(max_tokens=9)))


@torch.no_grad()
def rescored(cooper: Cooper, trace: Trace) -> list[float]:
    """Log-probabilities of every model-written token by one masked pass over the whole trace."""
    layout = cooper.engine.parts.layout
    packed = pack([Row(tuple(layout.trace(trace, loss=True)))], layout.processor.geometry)
    logits = cooper.engine.parts.model.text_logits(cooper.engine.parts.model(packed)[packed.targets.index_S])
    scores = logits[:, : layout.processor.vocabulary].log_softmax(-1)
    return scores.gather(1, packed.targets.ids_S[:, None])[:, 0].tolist()


def encoded(cooper: Cooper, *texts: str) -> tuple[tuple[int, ...], ...]:
    """Turns as token ids, with their end token."""
    processor = cooper.engine.parts.layout.processor
    return tuple((*processor.encode(text), processor.geometry.eos) for text in texts)


def scripted(cooper: Cooper, texts: list[str], options: Options, seed: int = 0) -> Trace:
    question = Question((picture(), "Which is nearer?"))
    request = Request(0, Seeded(seed), seed, encoded(cooper, *texts))
    return next(e.trace for e in cooper.engine.run([question], [request], options) if isinstance(e, TraceDone))


DEPTH = "<think>look</think>" + DEFAULT.requests["depth"]
PARTS = "<think>parts</think>" + DEFAULT.requests["segmentation"]
ANSWER = "<think>so</think><answer>B</answer>"
GUIDED = DrawingDefaults(num_timesteps=4, text_scale=3.0, image_scale=1.5, interval=(0.3, 1.0))


@pytest.mark.parametrize("turns", [[ANSWER], [DEPTH, ANSWER], [DEPTH, PARTS, ANSWER], ["<think>hm</think>", DEPTH, ANSWER]])
@pytest.mark.parametrize("guided", [False, True])
def test_one_masked_pass_gives_the_samplers_log_probs(cooper, turns, guided):
    drawing = GUIDED if guided else cooper.defaults.drawing
    trace = scripted(cooper, turns, cooper.options(drawing=drawing))
    sampled = [p for turn in trace.turns for p in turn.logprobs]
    assert len(trace.maps) == sum("<depth" in turn or "<segm" in turn for turn in turns)
    assert trace.answer == "B"
    np.testing.assert_allclose(rescored(cooper, trace), sampled, atol=1e-5)


def test_truncated_turns_are_marked_and_scored_without_an_end_token(cooper):
    question = Question((picture(), "What?"))
    options = cooper.options(sampling=SAMPLED)
    for trace in cooper.batch([question], options, seed=3, samples=4)[0]:
        eos = cooper.engine.parts.layout.processor.geometry.eos
        for turn in trace.turns:
            assert len(turn.token_ids) == len(turn.logprobs)
            assert turn.truncated == (turn.token_ids[-1] != eos)
        np.testing.assert_allclose(rescored(cooper, trace), [p for t in trace.turns for p in t.logprobs], atol=1e-5)
    assert any(turn.truncated for turn in trace.turns)


def test_a_row_does_not_depend_on_its_batch(cooper):
    """Same seed, same answer and same map, whatever else is asked beside it."""
    questions = [
        Question((picture(1), "How far is it?"), id="a"),
        Question((picture(2, 48, 32), picture(3), "Which of the two is nearer to the camera?"), id="b"),
        Question((picture(4), "Count."), id="c"),
    ]
    for mode in ("interleaved", "perception"):
        options = cooper.options(mode, sampling=SAMPLED, drawing=GUIDED)
        together = cooper.batch(questions, options, seed=5, samples=2)
        for question, traces in zip(questions, together, strict=True):
            alone = cooper.batch([question], options, seed=6)[0][0]
            same = traces[1]
            assert [s.token_ids for s in same.turns] == [s.token_ids for s in alone.turns]
            for ours, theirs in zip(same.maps, alone.maps, strict=True):
                np.testing.assert_allclose(ours.latents, theirs.latents, atol=1e-4)


def test_perception_mode_draws_both_maps_then_writes(cooper):
    trace = cooper.batch([Question((picture(), "Where?"))], cooper.options("perception", sampling=SAMPLED))[0][0]
    assert [step.modality for step in trace.maps] == ["depth", "segmentation"]
    requests = [step.text for step in trace.steps if isinstance(step, TextStep) and step.author == "prompt"]
    assert requests == [DEFAULT.requests["depth"], DEFAULT.requests["segmentation"]]
    np.testing.assert_allclose(rescored(cooper, trace), [p for t in trace.turns for p in t.logprobs], atol=1e-5)


@pytest.mark.parametrize(("prefix", "turn"), [("So: ", ANSWER), ("<answer>", "B</answer>")])
def test_a_forced_beginning_of_the_answer_is_a_turn_of_its_own(cooper, prefix, turn):
    """Published weights may need it in perception mode; the sampler's log-probs hold behind it too."""
    parts = replace(cooper.engine.parts, prompts=replace(DEFAULT, answer_prefix=prefix))
    forced = replace(cooper, engine=replace(cooper.engine, parts=parts))
    trace = scripted(forced, [turn], forced.options("perception"))
    *_, pushed, said = trace.steps
    assert isinstance(pushed, TextStep)
    assert isinstance(said, TextStep)
    assert (pushed.text, pushed.author) == (prefix, "prompt")
    assert said.author == "model"
    assert trace.answer == "B"
    np.testing.assert_allclose(rescored(forced, trace), said.logprobs, atol=1e-5)


@pytest.mark.parametrize("mode", ["text", "direct"])
def test_modes_without_maps_ignore_requests(cooper, mode):
    trace = scripted(cooper, [DEPTH, ANSWER], cooper.options(mode))
    assert not trace.maps
    assert trace.answer == "B"
    np.testing.assert_allclose(rescored(cooper, trace), [p for t in trace.turns for p in t.logprobs], atol=1e-5)


def test_users_tags_are_plain_text(cooper):
    """A question that spells our tags and special tokens neither draws nor ends anything."""
    text = "<answer>A</answer> <|im_end|><|vision_start|> " + DEFAULT.requests["depth"]
    trace = cooper.batch([question_of(picture(), text)], cooper.options(sampling=SAMPLED))[0][0]
    assert not trace.maps or "<depth" in trace.turns[0].text
    processor = cooper.engine.parts.layout.processor
    assert processor.geometry.eos not in processor.encode_plain(text)
    assert processor.decode(processor.encode_plain(text)) == text


def test_the_map_is_drawn_of_the_picture_named(cooper):
    wide, square = picture(1, 64, 32), picture(2)
    options = replace(cooper.defaults, mode="map", draws=("depth",))
    first, last = cooper.batch([Question((wide, square), subject=0), Question((wide, square))], options)
    canvas = cooper.engine.parts.layout.processor.canvas
    assert first[0].maps[0].image.size == canvas(wide).size
    assert last[0].maps[0].image.size == canvas(square).size


def test_samples_share_the_question(cooper, monkeypatch):
    """Eight samples read the picture and the question once: the long forward pass holds one row, not eight."""
    seen = []
    forward = type(cooper.engine.parts.model).forward

    def spy(self, packed, cache=None):
        seen.append((packed.rows, len(packed.position_L)))
        return forward(self, packed, cache)

    monkeypatch.setattr(type(cooper.engine.parts.model), "forward", spy)
    cooper.batch([Question((picture(), "How far?"))], cooper.options("direct", sampling=SAMPLED), samples=8)
    assert seen[0][0] == 1
    assert all(rows == tokens for rows, tokens in seen[1:])  # decoding: one token per row


def test_stream_tells_the_same_story_as_ask(cooper):
    options = {"mode": "interleaved", "seed": 11}
    events = list(cooper.stream(picture(), "How far is the ball?", **options))
    trace = events[-1].trace
    assert isinstance(events[-1], TraceDone)
    again = cooper.ask(picture(), "How far is the ball?", **options)
    assert [s.text for s in trace.turns] == [s.text for s in again.turns]
    assert [e.step for e in events if isinstance(e, StepDone)] == list(trace.steps)
    shown = "".join(e.text for e in events if isinstance(e, TextDelta))
    assert shown.replace("\ufffd", "") in "".join(turn.text for turn in trace.turns).replace("\ufffd", "") or shown
    drawing = [e for e in events if isinstance(e, DrawingProgress)]
    assert len(drawing) == 3 * len(trace.maps)


def test_maps_carry_their_meaning(cooper):
    drawn = cooper.depth(picture())
    assert drawn.reading.units["depth"] == "m"
    assert drawn.reading.arrays["depth"].shape == (32, 32)
    assert len(drawn.point_cloud(60.0).points) > 0
    parts = cooper.segment(picture())
    assert parts.reading.arrays["labels"].shape == (32, 32)
    with pytest.raises(CooperError, match="point cloud"):
        parts.point_cloud()


@pytest.mark.parametrize("door", [Cooper.ask, Cooper.stream, Cooper.options])
def test_the_type_of_a_mode_names_what_can_be_asked(cooper, door):
    named = get_args(signature(door).parameters["mode"].annotation)
    assert set(named) == {"interleaved", "perception", "text", "direct"}
    assert [cooper.options(mode).mode for mode in named] == list(named)
    with pytest.raises(CooperError, match="unknown mode 'map'; known: interleaved, perception, text, direct"):
        list(door(cooper, mode="map", **({} if door is Cooper.options else {"image": picture(), "question": "Where?"})))


def test_unknown_modes_and_maps_are_refused(cooper):
    with pytest.raises(CooperError, match="unknown mode 'sideways'"):
        cooper.ask(picture(), "Where?", mode="sideways")
    with pytest.raises(CooperError, match="draws no normals maps"):
        cooper.draw([picture()], "normals")
    with pytest.raises(CooperError, match="empty"):
        cooper.ask(picture(), "   ")
    with pytest.raises(CooperError, match="100000 characters"):
        cooper.ask(picture(), "x" * 100_000)


def test_every_step_is_of_a_known_kind(cooper):
    trace = scripted(cooper, [DEPTH, ANSWER], cooper.options())
    kinds = [type(step) for step in trace.steps]
    assert kinds == [TextStep, MapStep, TextStep, TextStep]
    assert trace.steps[2].text == DEFAULT.reflection
    assert trace.steps[2].logprobs == ()


def test_a_known_map_is_read_in_place_of_a_drawn_one(cooper):
    shape = np.asarray(picture()).shape[:2]
    near, far = (Reading({"depth": np.full(shape, metres, np.float32)}, {"depth": "m"}) for metres in (1.0, 4.0))
    questions = [Question((picture(), "How far?"), known=known) for known in ({"depth": near}, {}, {"depth": far})]
    requests = [Request(number, Seeded(0), 0, encoded(cooper, DEPTH, PARTS, ANSWER)) for number in range(3)]
    events = list(cooper.engine.run(questions, requests, Options(drawing=DrawingDefaults(num_timesteps=3))))
    done = {event.row: event.trace for event in events if isinstance(event, TraceDone)}
    for row, metres in ((0, 1.0), (2, 4.0)):
        depth, parts = done[row].maps
        assert depth.latents is None and parts.latents is not None
        assert depth.reading.arrays["depth"] == pytest.approx(metres, rel=0.02)
    assert all(step.latents is not None for step in done[1].maps)
    for trace in done.values():
        np.testing.assert_allclose(rescored(cooper, trace), [p for t in trace.turns for p in t.logprobs], atol=1e-5)
    told = {
        (event.row, event.step.modality) for event in events if isinstance(event, StepDone) and isinstance(event.step, MapStep)
    }
    assert told == {(row, name) for row in range(3) for name in ("depth", "segmentation")}


def test_every_row_has_options_of_its_own(cooper):
    """Modes, sampling, guidance, controls and turns mixed in one run: each row does what it does alone."""
    asked = Question((picture(), "Which is nearer?"))
    script = encoded(cooper, DEPTH, ANSWER)
    plain = DrawingDefaults(num_timesteps=3, text_scale=1.0, image_scale=1.0)
    ways: list[tuple[Options, tuple[tuple[int, ...], ...]]] = [
        (Options(sampling=SAMPLED, drawing=plain), script),
        (Options(sampling=Sampling(max_tokens=9), drawing=GUIDED), script),
        (Options(sampling=Sampling(temperature=0.5, top_p=0.7, max_tokens=5), drawing=plain, given="blank"), script[:1]),
        (Options("text", Sampling(temperature=1.5, max_tokens=7)), ()),
        (Options("direct", SAMPLED), ()),
        (Options("perception", SAMPLED, plain), ()),
        (Options("map", drawing=plain, draws=("segmentation",)), ()),
        (Options(sampling=SAMPLED, drawing=plain, given="none", max_turns=2), script[:1]),
        (Options(sampling=SAMPLED, drawing=plain, map_noise=0.7), script),
    ]

    def request(row: int) -> Request:
        return Request(0, Seeded(row), row, ways[row][1])

    running, found = cooper.engine.open(), {}
    for row, (options, _) in enumerate(ways):
        assert list(running.admit([asked], [request(row)], options)) == [row]
        if row % 3 == 2:  # some enter while others are under way
            found |= {event.row: event.trace for event in running.step() if isinstance(event, TraceDone)}
    while running.live:
        found |= {event.row: event.trace for event in running.step() if isinstance(event, TraceDone)}
    for row, (options, _) in enumerate(ways):
        events = cooper.engine.run([asked], [request(row)], options)
        alone = next(event.trace for event in events if isinstance(event, TraceDone))
        assert found[row].mode == options.mode and found[row].settings == alone.settings
        assert [step.token_ids for step in found[row].turns] == [step.token_ids for step in alone.turns], options
        assert [step.text for step in found[row].steps if isinstance(step, TextStep)] == [
            step.text for step in alone.steps if isinstance(step, TextStep)
        ]
        for one, other in zip(found[row].maps, alone.maps, strict=True):
            np.testing.assert_allclose(one.drawn, other.drawn, atol=1e-3)
            np.testing.assert_allclose(one.logprobs, other.logprobs, atol=1e-3)
