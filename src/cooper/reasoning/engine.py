"""The engine: think -> perceive -> reflect -> answer, for many rows at once, as a stream of events.

One step gives every row that writes a token and brings every row that draws one step nearer to its map, so nobody waits for
another's map or longest thought. A question's pictures and words are read once, whatever the number of its samples.
"""

from collections.abc import Collection, Iterator, Sequence
from dataclasses import dataclass
from functools import cached_property

import torch
from PIL import Image

from cooper.reasoning.drawing import Sketching
from cooper.reasoning.events import Event, RowFailed, TraceDone
from cooper.reasoning.options import Options, Request
from cooper.reasoning.questions import Familiarity
from cooper.reasoning.session import Parts, PromptTokens, Session
from cooper.reasoning.writing import Writing
from cooper.trace.steps import Question
from cooper.trace.trace import Trace

PATIENCE = 64  # steps that a row of a batch waits with its map for others that write


@dataclass(frozen=True, eq=False)
class Engine:
    """Grows traces with a model; `name` is kept in the traces."""

    parts: Parts
    name: str = ""

    @cached_property
    def familiarity(self) -> Familiarity:
        """How well the model knows pictures like one."""
        return Familiarity(self.parts.model, self.parts.layout.processor)

    def run(self, questions: Sequence[Question], requests: Sequence[Request], options: Options) -> Iterator[Event]:
        """Answer every request; events come as they happen, one TraceDone per request."""
        running = self.open(PATIENCE)
        running.admit(questions, requests, options)
        while running.live:
            for event in running.step():
                if isinstance(event, RowFailed):
                    raise event.error
                yield event

    def open(self, patience: int = 0) -> "Running":
        """A run without requests yet. `patience`: how many steps a row that wants a map waits for others that still write, so
        that they draw together: for a batch that is asked for as a whole."""
        return Running(Session(self.parts), self.name, patience)


class _Lane:
    """Rows that are computed together: each forward pass is of all of them that write, or of all that draw."""

    def __init__(self, session: Session, patience: int, *rows: int) -> None:
        self._session, self._patience, self.rows = session, patience, set(rows)
        self._writing, self.drawing = Writing(session), Sketching(session)
        self._waiting: dict[int, int] = {}  # steps that each row has waited to draw

    def leave(self, rows: Collection[int]) -> None:
        """Drop rows. Those that are not here are passed over."""
        self._writing.leave(rows)
        self.drawing.leave(rows)
        self.rows.difference_update(rows)
        for row in rows:
            self._waiting.pop(row, None)

    def step(self) -> Iterator[Event]:
        """A token of every row that writes, then a step of the flow of every row that draws."""
        yield from self._joined()
        yield from self._writing.step()
        yield from self.drawing.step()

    def _joined(self) -> Iterator[Event]:
        """Let rows that neither write nor draw do what they do next. One that reads a given map may write at once."""
        samples, busy = self._session.samples, {*self._writing.rows, *self.drawing.rows}
        idle = sorted(self.rows - busy)
        self._writing.join([row for row in idle if not samples[row].wants])
        self._waiting |= {row: self._waiting.get(row, -1) + 1 for row in idle if samples[row].wants}
        while self._waiting and (not self._writing.rows or max(self._waiting.values()) >= self._patience):
            wanting, self._waiting = list(self._waiting), {}
            yield from self.drawing.join(wanting)
            left = [row for row in wanting if row not in {*self.drawing.rows, *self._session.failed} and not samples[row].done]
            self._writing.join([row for row in left if not samples[row].wants])
            self._waiting = {row: self._patience for row in left if samples[row].wants}


class Running:
    """A run under way. Between two steps requests may enter and rows may be cancelled. Rows are computed together; one whose
    options are `deterministic` has a lane of its own, so that its numbers cannot depend on who else is there."""

    def __init__(self, session: Session, name: str, patience: int) -> None:
        self.session, self.name = session, name
        self._lanes = [_Lane(session, patience)]

    @property
    def live(self) -> list[int]:
        """The rows that have not answered yet."""
        return list(self.session.samples)

    @torch.no_grad()
    def admit(self, questions: Sequence[Question], requests: Sequence[Request], options: Options) -> range:
        """Read further questions and let their requests take part from the next step on; the numbers of their rows.

        Requests under way may have other options: modes, sampling, drawing and turns are each row's own. CooperError: the model
        cannot draw a map that the options name.
        """
        rows = self.session.admit(questions, requests, options)
        if options.deterministic:
            self._lanes += [_Lane(self.session, 0, row) for row in rows]
        else:
            self._lanes[0].rows.update(rows)
        return rows

    def cancel(self, rows: Collection[int]) -> None:
        """Drop rows and what they hold in memory. Rows that are through or unknown are passed over."""
        for lane in self._lanes:
            lane.leave(rows)
        self._lanes = [lane for place, lane in enumerate(self._lanes) if not place or lane.rows]
        self.session.drop(rows)

    def prompt(self, row: int) -> PromptTokens:
        """The tokens that a live row has read before it begins."""
        return self.session.samples[row].prompt

    def drawing(self, row: int) -> str:
        """The name of the map that a live row draws or will draw next."""
        return self.session.samples[row].wants[0]

    @torch.no_grad()
    def preview(self, row: int) -> Image.Image | None:
        """The map that a row is drawing as far as it can be told; None where there is none yet."""
        return next((lane.drawing.preview(row) for lane in self._lanes if row in lane.rows), None)

    @torch.no_grad()
    def step(self) -> Iterator[Event]:
        """A token of every row that writes, then a step of the flow of every row that draws. Read all events of a step before
        the next call."""
        for lane in self._lanes:
            yield from lane.step()
        samples, failed = self.session.samples, dict(self.session.failed)
        self.cancel(failed)
        for row, error in failed.items():
            yield RowFailed(row, error)
        done = [row for row, sample in samples.items() if sample.done]
        traces = {row: self._trace(row) for row in done}
        self.cancel(done)
        for row, trace in traces.items():
            yield TraceDone(row, trace)

    def _trace(self, row: int) -> Trace:
        session, sample = self.session, self.session.samples[row]
        options = sample.options
        return Trace(
            question=sample.question,
            steps=tuple(sample.steps),
            mode=options.mode,
            model=self.name,
            seed=sample.request.seed,
            system=session.parts.prompts.system.get(options.mode, ""),
            settings=options.record() | ({"choices": list(sample.request.choices)} if sample.request.choices else {}),
        )
