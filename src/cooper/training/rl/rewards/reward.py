"""What a reward is, and how TRL calls one.

A reward reads frozen values and returns new ones, so the order in which rewards run cannot matter.
"""

import asyncio
from collections.abc import Callable, Mapping, Sequence
from typing import Any, Protocol, runtime_checkable

from cooper.data.item import Item
from cooper.files.plugins import register
from cooper.trace.trace import Trace
from cooper.training.rl.rollouts import Rollout


class Reward(Protocol):
    """One term of the reward. `name` is what it is called in logs."""

    @property
    def name(self) -> str: ...

    def __call__(self, item: Item, traces: Sequence[Trace]) -> list[float | None]:
        """One value per trace of the group; None where it could not be judged: that trace then has no
        reward at all, whatever other terms say."""
        ...


RewardFactory = Callable[[], Reward]
REWARDS: dict[str, RewardFactory] = {}  # those that other packages registered
OWN = ("answer", "format", "exploration", "link", "price")


def register_reward(name: str, factory: RewardFactory) -> None:
    """Make `factory()` available as `rewards: {others: {NAME: WEIGHT}}` in a recipe of grpo. ValueError: the name is taken."""
    if name in OWN:
        raise ValueError(f"a reward named {name!r} comes with the package")
    register(REWARDS, "reward", name, factory)


@runtime_checkable
class Awaited(Protocol):
    """A reward that waits for others, so that all groups are asked about at once."""

    async def judged(self, item: Item, traces: Sequence[Trace]) -> list[float | None]: ...


def as_trl(reward: Reward, group: int) -> Callable[..., Any]:
    """A reward of groups as TRL calls it: with all rollouts of this process, group by group, in order. Logs how many it could
    not judge."""

    def groups_of(rollout: Sequence[Rollout]) -> list[tuple[Item, list[Trace]]]:
        groups = [rollout[first : first + group] for first in range(0, len(rollout), group)]
        return [(each[0].item, [one.trace for one in each]) for each in groups]

    def told(values: list[float | None], others: Mapping[str, Any]) -> list[float | None]:
        others["log_metric"](f"rewards/{reward.name}/unjudged", values.count(None) / max(1, len(values)))
        return values

    def rewarded(rollout: Sequence[Rollout], **others: Any) -> list[float | None]:
        return told([value for item, traces in groups_of(rollout) for value in reward(item, traces)], others)

    async def awaited(rollout: Sequence[Rollout], **others: Any) -> list[float | None]:
        assert isinstance(reward, Awaited)
        found = await asyncio.gather(*(reward.judged(item, traces) for item, traces in groups_of(rollout)))
        return told([value for values in found for value in values], others)

    chosen = awaited if isinstance(reward, Awaited) else rewarded
    chosen.__name__ = reward.name
    return chosen
