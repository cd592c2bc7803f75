"""Renders a whole set: shards in parallel processes, finished shards kept, so that a broken run goes on."""

import multiprocessing
import os
import threading
from collections.abc import Callable
from concurrent.futures import FIRST_COMPLETED, Future, ProcessPoolExecutor, wait
from dataclasses import dataclass
from pathlib import Path

from cooper.errors import CooperError
from cooper.files.locks import held
from cooper.scenes.room.render import render_record
from cooper.scenes.room.sampling import SceneKey
from cooper.scenes.store import SHARD, SetInfo, read_info, shard_is_whole, shard_path, write_info, write_shard

Progress = Callable[[int, int], None]  # scenes done, scenes wanted


@dataclass(frozen=True)
class RenderSettings:
    """One set: `count` scenes of `split`, `size` pixels square, with `spp` samples per pixel, under `out`."""

    count: int
    seed: int
    split: str
    out: Path
    size: int = 128
    spp: int = 16
    workers: int = 1

    def __post_init__(self) -> None:
        limits = {"count": (1, 1 << 26), "size": (32, 1024), "spp": (4, 4096), "workers": (1, 256)}
        for field, (low, high) in limits.items():
            value = {"count": self.count, "size": self.size, "spp": self.spp, "workers": self.workers}[field]
            if not low <= value <= high:
                raise CooperError(f"{field}: {value} is not in {low}..{high}")
        if self.seed < 0:
            raise CooperError(f"seed: {self.seed} is negative")

    @property
    def info(self) -> SetInfo:
        return SetInfo(self.count, self.seed, self.split, self.size, self.spp, shard=SHARD)


@dataclass(frozen=True)
class _Shard:
    settings: RenderSettings
    number: int

    @property
    def scenes(self) -> range:
        return range(self.number * SHARD, min(self.settings.count, (self.number + 1) * SHARD))

    @property
    def path(self) -> Path:
        return shard_path(self.settings.out, self.number)


def render_scenes(settings: RenderSettings, progress: Progress | None = None) -> int:
    """Render what is missing of a set and return how many scenes were rendered now.

    `progress` is called with (done, count), once at the start and after each shard. CooperError when `out` holds a
    set of other settings. More scenes of the same settings may be added by a larger `count`.
    """
    with held(settings.out, "cooper scenes render"):
        return _render_missing(settings, progress)


def _render_missing(settings: RenderSettings, progress: Progress | None) -> int:
    _prepare(settings)
    report = progress or (lambda done, count: None)
    shards = [_Shard(settings, number) for number in range(-(-settings.count // SHARD))]
    missing = [shard for shard in shards if not shard_is_whole(shard.path, len(shard.scenes))]
    todo = sum(len(shard.scenes) for shard in missing)
    done = settings.count - todo
    report(done, settings.count)
    if settings.workers == 1 or len(missing) < 2:
        for shard in missing:
            done += _render_shard(shard)
            report(done, settings.count)
        return todo
    # fresh processes: the renderer's threads do not survive a fork
    context = multiprocessing.get_context("spawn")
    with ProcessPoolExecutor(min(settings.workers, len(missing)), context, _end_with_parent) as pool:
        waiting: set[Future[int]] = {pool.submit(_render_shard, shard) for shard in missing}
        try:
            while waiting:
                finished, waiting = wait(waiting, return_when=FIRST_COMPLETED)
                done += sum(future.result() for future in finished)
                report(done, settings.count)
        except BaseException:
            pool.shutdown(wait=False, cancel_futures=True)
            raise
    return todo


def _end_with_parent() -> None:
    """A worker must not go on when the command that started it is gone. Shards are written whole, so none is spoilt."""
    parent = multiprocessing.parent_process()
    assert parent is not None

    def watch() -> None:
        parent.join()
        os._exit(1)

    threading.Thread(target=watch, daemon=True).start()


def _prepare(settings: RenderSettings) -> None:
    SceneKey(settings.split, settings.seed, settings.count - 1).scene_seed  # noqa: B018 - names a bad split or seed
    if (settings.out / "dataset.json").exists():
        found = read_info(settings.out)
        for field in ("seed", "split", "size", "spp", "shard"):
            there = {"seed": found.seed, "split": found.split, "size": found.size, "spp": found.spp, "shard": found.shard}
            here = {**there, "seed": settings.seed, "split": settings.split, "size": settings.size, "spp": settings.spp}
            here["shard"] = SHARD
            if there[field] != here[field]:
                raise CooperError(f"{settings.out}/dataset.json: {field} is {there[field]}, this run wants {here[field]}")
        if found.count > settings.count:
            raise CooperError(f"{settings.out}/dataset.json: count is {found.count}, more than {settings.count}")
    write_info(settings.out, settings.info)


def _render_shard(shard: _Shard) -> int:
    settings = shard.settings
    keys = [SceneKey(settings.split, settings.seed, index) for index in shard.scenes]
    write_shard(shard.path, [render_record(key, settings.size, settings.spp) for key in keys])
    return len(keys)
