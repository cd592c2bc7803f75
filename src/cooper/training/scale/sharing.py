"""Work that the processes of a training share: each does its part, and every one gets what all have found."""

from collections.abc import Sequence
from typing import TypeVar

import torch.distributed as distributed

from cooper.evaluation.runs.processes import Share

_T = TypeVar("_T")


def our_share() -> Share:
    """The place of this process in the group that trains together; a process by itself without a group."""
    if not distributed.is_initialized():
        return Share()
    return Share(distributed.get_rank(), distributed.get_world_size())


def everyones(mine: Sequence[_T]) -> list[_T]:
    """What was made of all items, in their order, where `mine` was made of `our_share().of(items)`, one for each. Every process
    must call it. A process that fails before ends the run: its launcher ends the others, which wait here."""
    share = our_share()
    if share.count == 1:
        return list(mine)
    parts: list[Sequence[_T]] = [()] * share.count
    distributed.all_gather_object(parts, list(mine))
    longest = max(len(part) for part in parts)
    return [part[place] for place in range(longest) for part in parts if place < len(part)]
