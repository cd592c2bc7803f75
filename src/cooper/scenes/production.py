"""Renders a whole set: pieces of shards in parallel processes, finished ones kept, so that a broken run goes on."""

import multiprocessing
import os
import shutil
import threading
from collections.abc import Callable, Generator, Sequence
from concurrent.futures import FIRST_COMPLETED, Future, ProcessPoolExecutor, wait
from contextlib import closing
from dataclasses import asdict, dataclass
from pathlib import Path

from cooper.errors import CooperError
from cooper.files.locks import held
from cooper.scenes.room.render import render_record
from cooper.scenes.room.sampling import SceneKey
from cooper.scenes.store import (
    SHARD,
    SetInfo,
    join_shard,
    read_info,
    shard_is_whole,
    shard_path,
    write_info,
    write_shard,
)

PIECE = 5  # scenes that are rendered and kept together until their shard is whole
Progress = Callable[[int, int], None]  # scenes done, scenes wanted


@dataclass(frozen=True)
class RenderSettings:
    """One set: `count` scenes of `split` in format `form`, `size` pixels square, with `spp` samples per pixel, under `out`."""

    count: int
    seed: int
    split: str
    out: Path
    size: int = 128
    spp: int = 16
    workers: int = 1
    form: int = 2

    def __post_init__(self) -> None:
        limits = {"count": (1, 1 << 26), "size": (32, 1024), "spp": (4, 4096), "workers": (1, 256)}
        for field, (low, high) in limits.items():
            value = {"count": self.count, "size": self.size, "spp": self.spp, "workers": self.workers}[field]
            if not low <= value <= high:
                raise CooperError(f"{field}: {value} is not in {low}..{high}")
        if self.seed < 0:
            raise CooperError(f"seed: {self.seed} is negative")
        SceneKey(self.split, self.seed, self.count - 1, self.form).scene_seed  # noqa: B018 - names a bad split, seed or format

    @property
    def info(self) -> SetInfo:
        return SetInfo(self.count, self.seed, self.split, self.size, self.spp, shard=SHARD, format=self.form)


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

    @property
    def is_whole(self) -> bool:
        return shard_is_whole(self.path, len(self.scenes))

    @property
    def parts(self) -> Path:
        """The folder of its pieces while they are rendered."""
        return self.path.with_suffix(".parts")

    @property
    def pieces(self) -> "list[_Piece]":
        starts = range(self.scenes.start, self.scenes.stop, PIECE)
        return [_Piece(self, range(start, min(start + PIECE, self.scenes.stop))) for start in starts]

    def join(self) -> None:
        """Make its finished pieces the shard."""
        join_shard(self.path, [piece.path for piece in self.pieces])
        shutil.rmtree(self.parts, ignore_errors=True)


@dataclass(frozen=True)
class _Piece:
    shard: _Shard
    scenes: range

    @property
    def path(self) -> Path:
        return self.shard.parts / f"{self.scenes.start:08d}.parquet"

    @property
    def is_whole(self) -> bool:
        return shard_is_whole(self.path, len(self.scenes))


def render_scenes(settings: RenderSettings, progress: Progress | None = None) -> int:
    """Render what is missing of a set and return how many scenes were rendered now.

    `progress` is called with (done, count), once at the start and after each piece of a shard. CooperError when `out` holds a
    set of other settings. More scenes of the same settings may be added by a larger `count`.
    """
    with held(settings.out, "cooper scenes render"):
        return _render_missing(settings, progress or (lambda done, count: None))


def _render_missing(settings: RenderSettings, report: Progress) -> int:
    _prepare(settings)
    shards = _shards(settings)
    missing = [shard for shard in shards if not shard.is_whole]
    left = {shard.number: [piece for piece in shard.pieces if not piece.is_whole] for shard in missing}
    todo = sum(len(piece.scenes) for pieces in left.values() for piece in pieces)
    done = settings.count - todo
    report(done, settings.count)
    for shard in missing:
        if not left[shard.number]:  # a run was broken off before it joined them
            shard.join()
    with closing(_rendered([piece for pieces in left.values() for piece in pieces], settings.workers)) as rendered:
        for piece in rendered:
            left[piece.shard.number].remove(piece)
            if not left[piece.shard.number]:
                piece.shard.join()
            done += len(piece.scenes)
            report(done, settings.count)
    for shard in shards:  # what a run left that was broken off after it had joined them
        shutil.rmtree(shard.parts, ignore_errors=True)
    return todo


def scenes_kept(settings: RenderSettings) -> int:
    """How many scenes of a set lie in `out`, in whole shards and in pieces."""
    shards = _shards(settings)
    missing = [shard for shard in shards if not shard.is_whole]
    return settings.count - sum(len(piece.scenes) for shard in missing for piece in shard.pieces if not piece.is_whole)


def _shards(settings: RenderSettings) -> list[_Shard]:
    return [_Shard(settings, number) for number in range(-(-settings.count // SHARD))]


def _rendered(pieces: Sequence[_Piece], workers: int) -> Generator[_Piece, None, None]:
    """Render each piece; they come as they are finished."""
    if workers == 1 or len(pieces) < 2:
        yield from map(_render_piece, pieces)
        return
    # fresh processes: the renderer's threads do not survive a fork
    context = multiprocessing.get_context("spawn")
    pool = ProcessPoolExecutor(min(workers, len(pieces)), context, _end_with_parent)
    left, waiting = list(reversed(pieces)), set[Future[_Piece]]()
    try:
        while left or waiting:
            while left and len(waiting) < workers:  # one each, as those that are handed over cannot be taken back
                waiting.add(pool.submit(_render_piece, left.pop()))
            finished, waiting = wait(waiting, return_when=FIRST_COMPLETED)
            for future in finished:
                yield future.result()
    finally:
        pool.shutdown(cancel_futures=True)  # waits for the pieces at hand, which are kept


def _end_with_parent() -> None:
    """A worker must not go on when the command that started it is gone. Pieces are written whole, so none is spoilt.

    Ctrl-C reaches the group of the command, and the renderer would break off a picture and give it back unfinished. In a group
    of their own the workers finish the piece at hand.
    """
    if hasattr(os, "setpgrp"):  # not on Windows
        os.setpgrp()
    parent = multiprocessing.parent_process()
    assert parent is not None

    def watch() -> None:
        parent.join()
        os._exit(1)

    threading.Thread(target=watch, daemon=True).start()


def _prepare(settings: RenderSettings) -> None:
    if (settings.out / "dataset.json").exists():
        found = read_info(settings.out)
        there, here = asdict(found), asdict(settings.info)
        for field in ("seed", "split", "size", "spp", "shard", "format"):
            if there[field] != here[field]:
                raise CooperError(f"{settings.out}/dataset.json: {field} is {there[field]}, this run wants {here[field]}")
        if found.count > settings.count:
            raise CooperError(f"{settings.out}/dataset.json: count is {found.count}, more than {settings.count}")
    write_info(settings.out, settings.info)


def _render_piece(piece: _Piece) -> _Piece:
    settings = piece.shard.settings
    keys = [SceneKey(settings.split, settings.seed, index, settings.form) for index in piece.scenes]
    piece.path.parent.mkdir(exist_ok=True)
    write_shard(piece.path, [render_record(key, settings.size, settings.spp) for key in keys])
    return piece
