"""The exploration reward: draw where maps help and few of the group do, and less where they hurt and many do."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from cooper.curation.counts import Flag
from cooper.data.item import Item
from cooper.trace.trace import Trace


@dataclass(frozen=True)
class ExplorationReward:
    """Let c of the group's traces draw a map. On a question flagged positive each of them earns `weight` while
    c < `threshold`; on one flagged negative each loses `weight` while c > `threshold`. All others earn 0.

    Worked example, threshold 3 and weight 0.2: two of eight draw on a positive question: those two earn 0.2. Four draw on
    a negative one: those four earn -0.2. Three draw: 0 for all, whatever the flag. `flags`: by the id of a question; one
    that is not there is on the boundary.
    """

    flags: Mapping[str, Flag]
    weight: float = 0.2
    threshold: int = 3
    name: str = "exploration"

    def __call__(self, item: Item, traces: Sequence[Trace]) -> list[float | None]:
        drew = [bool(trace.maps) for trace in traces]
        step = exploration_step(self.flags.get(item.id, "boundary"), sum(drew), self.threshold)
        return [self.weight * step if each else 0.0 for each in drew]


def exploration_step(flag: Flag, drawing: int, threshold: int) -> int:
    """+1, 0 or -1 for those that drew, `drawing` of a group.

    >>> [exploration_step("positive", c, 3) for c in (2, 3, 4)], [exploration_step("negative", c, 3) for c in (2, 3, 4)]
    ([1, 0, 0], [0, 0, -1])
    """
    if flag == "positive" and drawing < threshold:
        return 1
    return -1 if flag == "negative" and drawing > threshold else 0
