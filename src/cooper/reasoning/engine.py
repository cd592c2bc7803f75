"""The engine: think -> perceive -> reflect -> answer, for many rows at once, as a stream of events.

All rows that write decode together until each stops, then all rows that want a map draw together, and so on until every row
has answered. A question's pictures and words are read once, whatever the number of its samples.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import torch

from cooper.reasoning.drawing import sketch
from cooper.reasoning.events import Event, TraceDone
from cooper.reasoning.options import Options, Request
from cooper.reasoning.session import Parts, Session, open_session
from cooper.reasoning.writing import write
from cooper.trace.steps import Question
from cooper.trace.trace import Trace


@dataclass(frozen=True, eq=False)
class Engine:
    """Grows traces with a model; `name` is kept in the traces."""

    parts: Parts
    name: str = ""

    @torch.no_grad()
    def run(self, questions: Sequence[Question], requests: Sequence[Request], options: Options) -> Iterator[Event]:
        """Answer every request; events come as they happen, one TraceDone per request."""
        session = open_session(self.parts, questions, requests, options)
        samples, live = session.samples, list(range(len(requests)))
        while live:
            yield from write(session, [row for row in live if not samples[row].wants])
            yield from sketch(session, [row for row in live if samples[row].wants])
            for row in [row for row in live if samples[row].done]:
                yield TraceDone(row, self._trace(session, row))
                live.remove(row)

    def _trace(self, session: Session, row: int) -> Trace:
        sample, options = session.samples[row], session.options
        return Trace(
            question=session.questions[sample.request.question],
            steps=tuple(sample.steps),
            mode=options.mode,
            model=self.name,
            seed=sample.request.seed,
            system=self.parts.prompts.system.get(options.mode, ""),
            settings=options.record() | ({"choices": list(sample.request.choices)} if sample.request.choices else {}),
        )
