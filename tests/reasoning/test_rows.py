"""Rows that join and leave a run: each gets what it gets alone, and holds up nobody."""

import gc
import weakref
from collections.abc import Iterator
from dataclasses import replace

import numpy as np
import pytest
import torch
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from cooper.errors import CooperError
from cooper.model.config import DrawingDefaults
from cooper.perception.depth import DepthModality
from cooper.reasoning.context import Seeded
from cooper.reasoning.cooper import Cooper
from cooper.reasoning.decoding import Sampling
from cooper.reasoning.engine import Running
from cooper.reasoning.events import DrawingProgress, Event, RowFailed, StepDone, TextDelta, TraceDone
from cooper.reasoning.options import Inference, Options, Request
from cooper.trace.example import example, example_questions
from cooper.trace.steps import MapStep, Question
from cooper.trace.trace import Trace
from tests.networks import picture
from tests.reasoning.test_engine import ANSWER, DEPTH, GUIDED, PARTS, SAMPLED, cooper, encoded  # noqa: F401

PLAIN = DrawingDefaults(num_timesteps=4, text_scale=1.0, image_scale=1.0)
LONG = "<think>" + "so it goes on " * 20 + "</think><answer>B</answer>"
QUESTIONS = (
    Question((picture(1), "Which is nearer, the red cube or the blue ball?")),
    Question((picture(2, 48, 32), picture(3), "Where?")),
    Question((picture(4, 32, 64), "How far is it?")),
)


def turns_of(cooper, kind: int) -> tuple[tuple[int, ...], ...]:  # noqa: F811
    texts = ([DEPTH, ANSWER], [LONG], [DEPTH, PARTS], [ANSWER], [])[kind]
    return encoded(cooper, *texts)


def rest_of(running: Running) -> Iterator[Event]:
    while running.live:
        yield from running.step()


def same(found: Trace, wanted: Trace, to_the_bit: bool = False) -> None:
    assert [turn.token_ids for turn in found.turns] == [turn.token_ids for turn in wanted.turns]
    if to_the_bit:
        assert [turn.logprobs for turn in found.turns] == [turn.logprobs for turn in wanted.turns]
        for drawn, other in zip(found.maps, wanted.maps, strict=True):
            np.testing.assert_array_equal(drawn.latents, other.latents)
            np.testing.assert_array_equal(drawn.drawn, other.drawn)
    np.testing.assert_allclose(
        [p for turn in found.turns for p in turn.logprobs], [p for turn in wanted.turns for p in turn.logprobs], atol=1e-4
    )
    for drawn, other in zip(found.maps, wanted.maps, strict=True):
        np.testing.assert_allclose(drawn.latents, other.latents, atol=1e-4)


def alone(cooper, question: Question, request: Request, options: Options) -> Trace:  # noqa: F811
    return next(e.trace for e in cooper.engine.run([question], [request], options) if isinstance(e, TraceDone))


ROW = st.tuples(
    st.integers(0, 2),  # question
    st.integers(0, 4),  # turns that are given; the rest is sampled
    st.sampled_from(["interleaved", "perception", "text", "map"]),
    st.booleans(),  # guided
    st.integers(0, 12),  # step after which it enters
    st.integers(0, 30),  # steps after which it is cancelled, if it is
    st.booleans(),
    st.booleans(),  # deterministic
)


@settings(max_examples=25, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.lists(ROW, min_size=2, max_size=5), st.sampled_from([0, 3, 64]))
def test_rows_that_come_and_go_change_no_other(cooper, rows, patience):  # noqa: F811
    """Modes, sizes, guidance and times of entering and leaving mixed: who stays gets the tokens and maps that it gets alone,
    to the last bit where that was asked for."""
    ways = {}
    for seed, (place, kind, mode, guided, enters, leaves, cancelled, exact) in enumerate(rows):
        options = Options(mode, SAMPLED, GUIDED if guided else PLAIN, draws=("depth",), deterministic=exact)
        ways[seed] = (QUESTIONS[place], turns_of(cooper, kind), options, enters, enters + 1 + leaves if cancelled else None)
    running, seed_of, found, step = cooper.engine.open(patience), {}, {}, 0
    while step <= max(way[3] for way in ways.values()) or running.live:
        for seed, (question, script, options, enters, _) in ways.items():
            if enters == step:
                [row] = running.admit([question], [Request(0, Seeded(seed), seed, script)], options)
                seed_of[row] = seed
        running.cancel([row for row, seed in seed_of.items() if ways[seed][4] == step])
        found |= {seed_of[event.row]: event.trace for event in running.step() if isinstance(event, TraceDone)}
        step += 1
    for seed, (question, script, options, _, leaves) in ways.items():
        assert seed in found or leaves is not None
        if seed in found:
            wanted = alone(cooper, question, Request(0, Seeded(seed), seed, script), options)
            same(found[seed], wanted, options.deterministic)


def test_questions_of_one_batch_are_the_same_to_the_bit_as_each_alone(cooper):  # noqa: F811
    """Through the door, read together and drawn together, twice each, on nano, whose products are long enough to differ."""
    nano = Cooper.from_pretrained("nano").with_inference(Inference(Sampling(temperature=0.7), deterministic=True))
    room = example().images[0]
    asked = [Question((room, text), id=str(at)) for at, text in enumerate(example_questions()[:3])]
    for question, traces in zip(asked, nano.batch(asked, samples=2), strict=True):
        for trace, [[own]] in zip(traces, [nano.batch([question], seed=seed) for seed in range(2)], strict=True):
            assert trace.settings["deterministic"] is True
            same(trace, own, to_the_bit=True)


def test_nobody_waits_for_the_longest_thought(cooper):  # noqa: F811
    running = cooper.engine.open()
    options = Options(sampling=SAMPLED, drawing=PLAIN)
    running.admit(QUESTIONS[:1], [Request(0, Seeded(0), 0, turns_of(cooper, 1))], options)
    list(running.step())
    running.admit(QUESTIONS[1:2], [Request(0, Seeded(1), 1, turns_of(cooper, 0))], options)
    events = list(rest_of(running))
    ends = [event.row for event in events if isinstance(event, TraceDone)]
    assert ends == [1, 0]
    drawn = next(place for place, event in enumerate(events) if isinstance(event, DrawingProgress))
    assert any(isinstance(event, TextDelta) and event.row == 0 for event in events[drawn:]), "the other wrote on meanwhile"


def test_rows_of_a_batch_draw_together_when_they_may_wait(cooper):  # noqa: F811
    """With patience for the others, rows whose first turns differ in length draw in the same steps."""
    scripts = [
        encoded(cooper, text + DEPTH.removeprefix("<think>look"), ANSWER) for text in ("<think>a", "<think>a longer one")
    ]
    requests = [Request(0, Seeded(row), row, script) for row, script in enumerate(scripts)]
    options = Options(sampling=SAMPLED, drawing=PLAIN)
    running = cooper.engine.open(patience=64)
    running.admit(QUESTIONS[:1], requests, options)
    drawing = [event for event in rest_of(running) if isinstance(event, DrawingProgress)]
    assert {event.rows for event in drawing} == {(0, 1)} and len(drawing) == PLAIN.num_timesteps - 1


def test_a_cancelled_row_leaves_nothing_behind(cooper):  # noqa: F811
    running = cooper.engine.open()
    options = Options(sampling=SAMPLED, drawing=GUIDED)
    held = []
    for seed in range(2):
        question = replace(QUESTIONS[0], id=str(seed))
        [row] = running.admit([question], [Request(0, Seeded(seed), seed, turns_of(cooper, 0))], options)
        context = running.session.samples[row].main
        assert context.beginnings is not None
        held.append([weakref.ref(tensor) for tensor in (*context.beginnings.keys, *context.beginnings.values)])
        del context
    while not any(isinstance(event, DrawingProgress) for event in running.step()):
        pass
    running.cancel([0, 17])
    assert running.live == [1]
    list(running.step())
    gc.collect()
    assert not any(ref() is not None for ref in held[0]) and all(ref() is not None for ref in held[1])
    assert any(isinstance(event, TraceDone) and event.row == 1 for event in rest_of(running))


@pytest.mark.parametrize("at", ["decode", "render"])
def test_a_row_that_fails_harms_no_other(cooper, monkeypatch, at):  # noqa: F811
    """A modality of somebody else's may raise on some map: here on the first one that it is asked for."""
    asked = []
    honest = getattr(DepthModality, at)

    def broken(self, drawn):
        asked.append(1)
        if len(asked) == 1:
            raise ValueError("no such depth")
        return honest(self, drawn)

    monkeypatch.setattr(DepthModality, at, broken)
    options = Options(sampling=SAMPLED, drawing=PLAIN)
    requests = [Request(0, Seeded(row), row, turns_of(cooper, 0)) for row in range(2)]
    running = cooper.engine.open()
    running.admit(QUESTIONS[:1], requests, options)
    events = list(rest_of(running))
    [failed] = [event for event in events if isinstance(event, RowFailed)]
    [done] = [event for event in events if isinstance(event, TraceDone)]
    assert failed.row == 0 and str(failed.error) == "no such depth" and done.row == 1
    same(done.trace, alone(cooper, QUESTIONS[0], replace(requests[1], random=Seeded(1)), options))
    asked.clear()
    with pytest.raises(ValueError, match="no such depth"):  # asked for as a batch, the caller is told
        list(cooper.engine.run(QUESTIONS[:1], [replace(requests[0], random=Seeded(0))], options))


def test_a_request_that_cannot_be_read_harms_no_other(cooper):  # noqa: F811
    running = cooper.engine.open()
    options = Options(sampling=SAMPLED, drawing=PLAIN)
    running.admit(QUESTIONS[:1], [Request(0, Seeded(0), 0, turns_of(cooper, 0))], options)
    list(running.step())
    with pytest.raises(CooperError, match="draws no normals maps"):
        running.admit(QUESTIONS[:1], [Request(0, Seeded(1), 1)], replace(options, mode="map", draws=("normals",)))
    [row] = running.admit(QUESTIONS[1:2], [Request(0, Seeded(1), 1, turns_of(cooper, 3))], options)
    done = {event.row for event in rest_of(running) if isinstance(event, TraceDone)}
    assert done == {0, row}


def test_a_map_under_way_can_be_seen(cooper):  # noqa: F811
    """Each look is nearer to the finished map, and looking changes nothing."""
    running = cooper.engine.open()
    options = Options("map", drawing=replace(PLAIN, num_timesteps=6), draws=("depth",))
    running.admit(QUESTIONS[2:], [Request(0, Seeded(0), 0)], options)
    assert running.preview(0) is None
    looks, last = [], None
    for event in rest_of(running):
        if isinstance(event, DrawingProgress) and event.done < event.total:
            looks.append(np.asarray(running.preview(0), float))
        if isinstance(event, StepDone) and isinstance(event.step, MapStep):
            last = event.step
    assert last is not None and len(looks) == 4
    away = [np.abs(look - np.asarray(last.image, float)).mean() for look in looks]
    assert away[-1] <= away[0] and looks[0].shape == np.asarray(last.image).shape
    assert running.preview(0) is None and running.preview(99) is None
    wanted = alone(cooper, QUESTIONS[2], Request(0, Seeded(0), 0), options).maps[0]
    np.testing.assert_allclose(last.latents, wanted.latents, atol=1e-4)


@torch.no_grad()
def test_a_run_that_has_answered_holds_nothing(cooper):  # noqa: F811
    running = cooper.engine.open()
    for _ in range(3):
        running.admit(QUESTIONS[:1], [Request(0, Seeded(0), 0, turns_of(cooper, 0))], Options(sampling=SAMPLED, drawing=PLAIN))
        list(rest_of(running))
    assert not running.session.samples and not running.session.failed and running.session.admitted == 3
