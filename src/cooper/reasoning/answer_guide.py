"""Holding an answer to the options of its question, where the model answers with their words."""

from collections.abc import Sequence

import torch
from torch import Tensor

from cooper.sequence.processor import Processor
from cooper.trace.grammar import ANSWER

_TAIL = 16  # tokens in which the opening tag is looked for


class AnswerGuide:
    """The tokens that may come next in one turn: any before the answer opens, and then those that go on with an option."""

    def __init__(self, processor: Processor, choices: Sequence[str]) -> None:
        self._processor = processor
        self._ways = [processor.encode(f"{choice}</{ANSWER}>") for choice in choices]
        self._start: int | None = None

    def allowed(self, ids: Sequence[int]) -> list[int]:
        """The tokens that may follow `ids`, those of the turn so far; [] where any may."""
        if self._start is None and self._processor.decode(list(ids[-_TAIL:])).endswith(f"<{ANSWER}>"):
            self._start = len(ids)
        if self._start is None:
            return []
        said = tuple(ids[self._start :])
        place = len(said)
        return sorted({way[place] for way in self._ways if len(way) > place and way[:place] == said})


def kept(scores_V: Tensor, allowed: Sequence[int]) -> Tensor:
    """The scores of the allowed tokens; the others can not be chosen."""
    held = torch.full_like(scores_V, -torch.inf)
    index = torch.tensor(list(allowed), device=scores_V.device)
    return held.index_copy(0, index, scores_V[index])
