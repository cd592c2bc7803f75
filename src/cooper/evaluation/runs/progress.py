"""A progress bar with the time left, on standard error."""

import math
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Protocol

from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn, TimeRemainingColumn


class Advance(Protocol):
    """Tells the progress bar that so many more rows are done."""

    def __call__(self, rows: int) -> None: ...


@contextmanager
def progress(total: int, name: str, quiet: bool) -> Iterator[Advance]:
    """Show `name` until the block ends; what it yields is called with the number of rows just done.

    Its first call says how many were done before. The time left follows from all calls: one may take minutes.
    """
    columns = [TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn()]
    columns += [TimeElapsedColumn(), TextColumn("left"), TimeRemainingColumn()]
    with Progress(*columns, console=Console(stderr=True), disable=quiet, speed_estimate_period=math.inf) as bar:
        task = bar.add_task(name, total=total)
        yield lambda rows: bar.advance(task, rows)
