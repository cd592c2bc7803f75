"""One run on several processes: which share of the rows is whose, and how the processes wait for one another.

They meet by files, not by messages. The rows must reach the disk anyway, so that a killed run can go on; and what the first
process needs to know is not that the others have ended but that it can read their rows, which is what it looks for. No
port and no group of processes can then fail, any launcher that sets RANK and WORLD_SIZE will do, and a folder that several
machines share may be late in showing a file. A process that fails says why and ends; the launcher ends the others with it.
"""

import os
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TypeVar

from cooper.errors import CooperError

PATIENCE = 6 * 3600.0  # s without any progress of the others: longer than a judge takes, for when no launcher ends a failed run
PAUSE = 0.5  # s between two looks
_T = TypeVar("_T")


@dataclass(frozen=True)
class Share:
    """Process `rank` of `count`, the `local`-th on its machine. The default is a process by itself."""

    rank: int = 0
    count: int = 1
    local: int = 0

    def __post_init__(self) -> None:
        if not 0 <= self.rank < self.count:
            raise CooperError(f"process {self.rank} of {self.count}: RANK must be at least 0 and below WORLD_SIZE")

    @classmethod
    def here(cls) -> "Share":
        """This process, as its launcher numbers it in RANK, WORLD_SIZE and LOCAL_RANK; by itself without a launcher."""
        if "RANK" not in os.environ:
            return cls()
        return cls(_number("RANK", 0), _number("WORLD_SIZE", 1), _number("LOCAL_RANK", 0))

    @property
    def first(self) -> bool:
        """Whether this process opens the run, asks the judge, writes the report and prints."""
        return self.rank == 0

    def of(self, items: Sequence[_T]) -> list[_T]:
        """This process's share: `Share(1, 3).of("abcdefgh")` is `["b", "e", "h"]`.

        It follows from the place of an item alone, not from what is done already, so processes that look at different moments
        leave none out; and what a killed run has left over is even again, on any number of processes.
        """
        return list(items[self.rank :: self.count])

    def file(self, path: Path) -> Path:
        """Where this process writes: `rows.jsonl` by itself, `rows-1.jsonl` as the second of several."""
        return path if self.count == 1 else path.with_name(f"{path.stem}-{self.rank}{path.suffix}")

    def told(self, name: str) -> str:
        """The name of a progress bar, which counts this process's share only."""
        return name if self.count == 1 else f"{name}, 1 of {self.count} shares"

    def device(self, asked: str | None) -> str | None:
        """Where the model goes. Of several processes each takes one GPU for "auto" and "cuda", in turn if there are too few."""
        if self.count == 1 or asked not in ("auto", "cuda"):
            return asked
        import torch  # only several processes need to know

        gpus = torch.cuda.device_count()
        if gpus:
            return f"cuda:{self.local % gpus}"
        return "cpu" if asked == "auto" else asked


def _number(name: str, default: int) -> int:
    text = os.environ.get(name, str(default))
    if not text.isdecimal():
        raise CooperError(f"{name} is {text!r} in the environment, not a number of a process")
    return int(text)


def wait_for_others(missing: Callable[[], int], what: str, patience: float = PATIENCE) -> None:
    """Wait until other processes have done what they must: until `missing()`, a count of `what`, is 0.

    CooperError: the count has stayed the same for `patience` seconds.
    """
    left, since = missing(), time.monotonic()
    while left:
        if time.monotonic() - since > patience:
            raise CooperError(
                f"{left} {what} did not come from the other processes within {patience:g} s: one has ended or hangs; "
                "start the same command again to go on"
            )
        time.sleep(min(PAUSE, patience))
        now = missing()
        if now != left:
            left, since = now, time.monotonic()
