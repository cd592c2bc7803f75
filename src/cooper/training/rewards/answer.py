"""The answer reward: 1 for a right answer, read by the same rules that evaluation reads by."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass

from cooper.evaluation.answers import score
from cooper.evaluation.runner import Item
from cooper.trace.trace import Trace

Ask = Callable[[Sequence[str]], Sequence[bool | None]]  # prompts of a judge -> right, wrong, or not to be told


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
        scored = score(trace.answer, item.type, item.truth, item.choices, item.tolerance)
        return scored.value if self.graded else float(scored.correct)


@dataclass(frozen=True)
class JudgedAnswerReward:
    """A judge model decides. `prompt` words one question to it; `ask` sends all of a group at once.

    A reply that the judge cannot be asked about, or does not decide, is None: no reward, never a silent zero. A trace
    without an answer element earns 0 and is not sent.
    """

    ask: Ask
    prompt: Callable[[str, str, str], str]  # question, truth, reply
    name: str = "answer"

    def __call__(self, item: Item, traces: Sequence[Trace]) -> list[float | None]:
        replies = [trace.answer for trace in traces]
        asked = [self.prompt(item.question.text, item.truth, reply) for reply in replies if reply is not None]
        verdicts = iter(self.ask(asked) if asked else ())
        told = [0.0 if reply is None else next(verdicts) for reply in replies]
        return [None if verdict is None else float(verdict) for verdict in told]
