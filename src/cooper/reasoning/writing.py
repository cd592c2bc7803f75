"""Rows that write: they decode together, a token a step, and each turn says what its row does next."""

import time
from collections.abc import Collection, Iterator, Sequence
from dataclasses import dataclass, field, replace

from cooper.reasoning.decoding import AnswerGuide, Decoding, NewToken, Writer, Written
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


class Writing:
    """The rows of a session that write. A turn without a tag stays in the context, and its row writes on."""

    def __init__(self, session: Session) -> None:
        processor = session.parts.layout.processor
        self._session, self._processor = session, processor
        self._decoding = Decoding(session.parts.model, processor.geometry, processor.vocabulary)
        self._shown: dict[int, _Shown] = {}
        self._began: dict[int, float] = {}

    @property
    def rows(self) -> list[int]:
        return self._decoding.rows

    def join(self, rows: Sequence[int]) -> None:
        """Let rows write one turn each from the next step on."""
        session, refusal = self._session, self._session.parts.model.config.refusal
        self._decoding.join({row: _writer(self._processor, session.samples[row], refusal) for row in rows})
        self._shown |= {row: _Shown(self._processor) for row in rows}
        self._began |= {row: time.perf_counter() for row in rows}

    def leave(self, rows: Collection[int]) -> None:
        """Drop rows, with the turns under way."""
        self._decoding.leave(rows)
        for row in rows:
            self._shown.pop(row, None)
            self._began.pop(row, None)

    def step(self) -> Iterator[Event]:
        """One token of every row. A row whose turn is over has left; what it does next stands in its sample."""
        session, over = self._session, []
        for event in self._decoding.step():
            if isinstance(event, NewToken):
                if text := self._shown[event.row].add(event.token):
                    yield TextDelta(event.row, text)
            else:
                over.append(event)
        for turn in over:
            seconds = time.perf_counter() - self._began[turn.row]
            session.trying(turn.row, lambda turn=turn, seconds=seconds: _take(session, turn, seconds))
        self.leave([turn.row for turn in over])
        done = [turn.row for turn in over if turn.row not in session.failed]
        _follow(session, [row for row in done if session.samples[row].turns > 0])
        for row in done:
            yield StepDone(row, session.samples[row].steps[-1])


def _writer(processor: Processor, sample: Sample, refusal: str) -> Writer:
    choices = sample.request.choices
    guide = AnswerGuide(processor, choices, refusal) if choices else None
    forced = sample.script.popleft() if sample.script else ()
    return Writer(sample.main, sample.request.random, sample.options.sampling, forced, guide)


def _take(session: Session, turn: Written, seconds: float) -> None:
    """Keep a turn and decide what it asks for."""
    parts, sample = session.parts, session.samples[turn.row]
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
