"""The answer reward: 1 for a right answer, read by the same rules that evaluation reads by."""

import asyncio
from collections.abc import Sequence
from dataclasses import dataclass

from cooper.data.item import Item
from cooper.evaluation.judge.judge import Judge
from cooper.evaluation.judge.prompts import is_right_prompt
from cooper.evaluation.replies.verdicts import read_verdict
from cooper.evaluation.runs.answering import score_reply
from cooper.trace.trace import Trace


@dataclass(frozen=True)
class AnswerReward:
    """Rule-based. A trace without an answer element earns 0. `graded`: numbers earn their mean relative accuracy instead."""

    graded: bool = False
    name: str = "answer"

    def __call__(self, item: Item, traces: Sequence[Trace]) -> list[float | None]:
        return [self._one(item, trace) for trace in traces]

    def _one(self, item: Item, trace: Trace) -> float:
        if trace.answer is None:
            return 0.0
        scored = score_reply(item, trace.answer)
        return scored.value if self.graded else float(scored.correct)


@dataclass(frozen=True)
class JudgedAnswerReward:
    """A judge model decides whether the answer is right.

    A reply that it could not be asked about, or did not decide, is None; the trainer then leaves the rollout out of its
    group (a sum of terms would take it for 0), and the judge counts it as unreached. A trace without an answer element
    earns 0 and is not sent.
    """

    judge: Judge
    name: str = "answer"

    def __call__(self, item: Item, traces: Sequence[Trace]) -> list[float | None]:
        return asyncio.run(self.judged(item, traces))

    async def judged(self, item: Item, traces: Sequence[Trace]) -> list[float | None]:
        """The same, inside an event loop."""
        replies = [trace.answer for trace in traces]
        asked = [is_right_prompt(item.question.text, item.truth, reply) for reply in replies if reply is not None]
        verdicts = iter(await self.judge.ask(asked))
        told = [False if reply is None else read_verdict(next(verdicts).reply) for reply in replies]
        return [None if verdict is None else float(verdict) for verdict in told]
