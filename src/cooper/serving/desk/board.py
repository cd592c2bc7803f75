"""A folder in which replicas lay their figures, for a scrape through a proxy reaches any one of them."""

import asyncio
import time
from collections.abc import AsyncIterator, Iterable, Iterator
from contextlib import asynccontextmanager, suppress
from pathlib import Path

from prometheus_client import CollectorRegistry, generate_latest
from prometheus_client.core import Metric
from prometheus_client.parser import text_string_to_metric_families

from cooper.errors import CooperError
from cooper.files.rows import write_whole
from cooper.serving.desk.figures import Figures

EVERY = 2.0  # seconds from one laying to the next
STALE = 15.0  # seconds after which a replica counts as gone


class Board:
    """Figures of this replica alone, or with a folder those of all that lay theirs in it."""

    def __init__(self, figures: Figures, folder: Path | None) -> None:
        self._figures, self._folder = figures, folder

    @asynccontextmanager
    async def kept_up(self) -> AsyncIterator[None]:
        """Lay the figures down every few seconds, and take them away at the end."""
        if self._folder is None:
            yield
            return
        self._folder.mkdir(parents=True, exist_ok=True)
        laying = asyncio.create_task(self._lay())
        try:
            yield
        finally:
            laying.cancel()
            with suppress(asyncio.CancelledError):
                await laying
            self._own.unlink(missing_ok=True)

    @property
    def _own(self) -> Path:
        assert self._folder is not None
        return self._folder / f"{self._figures.replica}.prom"

    async def _lay(self) -> None:
        while True:
            with suppress(CooperError):  # the disk is full now, and may not be soon
                await asyncio.to_thread(lambda: write_whole(self._own, self._figures.text()))
            await asyncio.sleep(EVERY)

    def text(self) -> bytes:
        """The page that Prometheus reads."""
        own = self._figures.text()
        if self._folder is None:
            return own
        return generate_latest(_Together([own.decode(), *self._of_others()]))

    def _of_others(self) -> Iterator[str]:
        for path in self._own.parent.glob("*.prom"):
            with suppress(FileNotFoundError):  # a replica that is going down
                if time.time() - path.stat().st_mtime > STALE:
                    path.unlink()
                elif path != self._own:
                    yield path.read_text()


class _Together(CollectorRegistry):
    """Pages of several replicas as one: their samples side by side under one heading. A label tells them apart."""

    def __init__(self, pages: Iterable[str]) -> None:
        super().__init__()
        self._pages = list(pages)

    def collect(self) -> Iterator[Metric]:
        families: dict[str, Metric] = {}
        for page in self._pages:
            for family in text_string_to_metric_families(page):
                families.setdefault(
                    family.name, Metric(family.name, family.documentation, family.type)
                ).samples += family.samples
        yield from families.values()
