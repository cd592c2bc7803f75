"""The engine: think -> perceive -> reflect -> answer, for many rows at once, as a stream of events.

All rows that write decode together until each stops, then all rows that want a map draw together, and so on until every row
has answered. A question's pictures and words are read once, whatever the number of its samples.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field

import torch

from cooper.reasoning.drawing import sketch
from cooper.reasoning.events import Event, TraceDone
from cooper.reasoning.options import Options, Request
from cooper.reasoning.session import Parts, Session
from cooper.reasoning.writing import write
from cooper.trace.steps import Question
from cooper.trace.trace import Trace


@dataclass(frozen=True, eq=False)
class Engine:
    """Grows traces with a model; `name` is kept in the traces."""

    parts: Parts
    name: str = ""

    def run(self, questions: Sequence[Question], requests: Sequence[Request], options: Options) -> Iterator[Event]:
        """Answer every request; events come as they happen, one TraceDone per request."""
        running = self.open()
        running.admit(questions, requests, options)
        while running.live:
            yield from running.step()

    def open(self) -> "Running":
        """A run without requests yet."""
        return Running(Session(self.parts), self.name)


@dataclass(eq=False)
class Running:
    """A run under way: requests may enter between two steps. `live`: the rows that have not answered yet."""

    session: Session
    name: str = ""
    live: list[int] = field(default_factory=list)

    @torch.no_grad()
    def admit(self, questions: Sequence[Question], requests: Sequence[Request], options: Options) -> range:
        """Read further questions and let their requests take part from the next step on; the numbers of their rows.

        Requests under way may have other options: modes, sampling, drawing and turns are each row's own. CooperError: the model
        cannot draw a map that the options name.
        """
        rows = self.session.admit(questions, requests, options)
        self.live.extend(rows)
        return rows

    @torch.no_grad()
    def step(self) -> Iterator[Event]:
        """One turn of every row that writes, then one map of every row that draws."""
        samples = self.session.samples
        yield from write(self.session, [row for row in self.live if not samples[row].wants])
        yield from sketch(self.session, [row for row in self.live if samples[row].wants])
        for row in [row for row in self.live if samples[row].done]:
            yield TraceDone(row, self._trace(row))
            self.live.remove(row)

    def _trace(self, row: int) -> Trace:
        session, sample = self.session, self.session.samples[row]
        options = sample.options
        return Trace(
            question=session.questions[sample.request.question],
            steps=tuple(sample.steps),
            mode=options.mode,
            model=self.name,
            seed=sample.request.seed,
            system=session.parts.prompts.system.get(options.mode, ""),
            settings=options.record() | ({"choices": list(sample.request.choices)} if sample.request.choices else {}),
        )
