"""The writing phase: rows decode one turn together, and each turn says what its row does next."""

import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field, replace

from cooper.reasoning.decoding import AnswerGuide, NewToken, Writer, Written, write_turns
from cooper.reasoning.events import Event, StepDone, TextDelta
from cooper.reasoning.session import Sample, Session
from cooper.sequence.processor import Processor
from cooper.sequence.segments import Segment, TextSegment
from cooper.trace.grammar import Answer, Perceive, parse_turn
from cooper.trace.steps import TextStep
from cooper.trace.trace import opens_answer


@dataclass(eq=False)
class _Shown:
    """The characters of a turn that have been shown; half a character waits for its other bytes."""

    processor: Processor
    ids: list[int] = field(default_factory=list)
    text: str = ""

    def add(self, token: int) -> str:
        self.ids.append(token)
        text = self.processor.decode(self.ids)
        if text.endswith("\ufffd"):
            return ""
        new, self.text = text[len(self.text) :], text
        return new


def write(session: Session, rows: Sequence[int]) -> Iterator[Event]:
    """Let rows write one turn each. A turn without a tag stays in the context, and its row writes on."""
    if not rows:
        return
    parts, started = session.parts, time.perf_counter()
    processor, samples = parts.layout.processor, [session.samples[row] for row in rows]
    writers = [_writer(processor, sample, parts.model.config.refusal) for sample in samples]
    shown = [_Shown(processor) for _ in rows]
    for event in write_turns(parts.model, processor.geometry, processor.vocabulary, writers):
        if isinstance(event, NewToken):
            if text := shown[event.row].add(event.token):
                yield TextDelta(rows[event.row], text)
        else:
            _take(session, samples[event.row], event, time.perf_counter() - started)
    _follow(session, [row for row in rows if session.samples[row].turns > 0])
    for row in rows:
        yield StepDone(row, session.samples[row].steps[-1])


def _writer(processor: Processor, sample: Sample, refusal: str) -> Writer:
    choices = sample.request.choices
    guide = AnswerGuide(processor, choices, refusal) if choices else None
    forced = sample.script.popleft() if sample.script else ()
    return Writer(sample.main, sample.request.random, sample.options.sampling, forced, guide)


def _take(session: Session, sample: Sample, turn: Written, seconds: float) -> None:
    """Keep a turn and decide what it asks for."""
    parts = session.parts
    text = parts.layout.processor.decode(list(turn.token_ids))
    told = sample.steps[-1] if sample.steps else None
    opened = isinstance(told, TextStep) and told.author == "prompt" and opens_answer(told.text)
    sample.steps.append(TextStep(text, turn.token_ids, turn.logprobs, truncated=turn.truncated, seconds=seconds))
    tags = {parts.modalities[name].tag: name for name in parts.prompts.requests if name in parts.modalities}
    said = parse_turn(text, list(tags) if sample.options.mode == "interleaved" else [])
    sample.turns = 0 if opened or isinstance(said, Answer) else sample.turns - 1
    if isinstance(said, Perceive) and sample.turns > 0:
        sample.wants.append(tags[said.tag])
    sample.without_text, sample.main = sample.main, turn.context


def _follow(session: Session, rows: Sequence[int]) -> None:
    """Bring the guidance contexts of rows that go on up to date: the turn without its request, the turn without the picture."""
    rows = [row for row in rows if session.samples[row].options.guided]
    if not rows:
        return
    turns: list[list[Segment]] = []
    rests: list[list[Segment]] = []
    for row in rows:
        sample = session.samples[row]
        step = sample.steps[-1]
        assert isinstance(step, TextStep)
        turn = session.parts.layout.turn(step)
        turns.append([turn])
        rests.append([_without_request(session, sample, step, turn)])
    session.extend_without_text(rows, rests)
    session.extend_without_image(rows, turns)


def _without_request(session: Session, sample: Sample, step: TextStep, turn: TextSegment) -> TextSegment:
    if not sample.wants:
        return turn
    said = parse_turn(step.text, [session.parts.modalities[sample.wants[0]].tag])
    return replace(turn, ids=session.parts.layout.processor.encode(said.rest)) if isinstance(said, Perceive) else turn
