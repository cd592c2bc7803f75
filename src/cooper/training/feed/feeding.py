"""What stages 1 and 2 hand to the trainer: packs of rows, made when the step asks for them or ahead of it, and the figures that
are logged of them.
"""

import json
import time
from collections.abc import Callable, Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import torch
from torch import Tensor
from transformers import TrainerCallback, TrainerControl, TrainerState, TrainingArguments

from cooper.data.batches import BatchPart
from cooper.errors import CooperError
from cooper.files.rows import read_object, write_whole
from cooper.files.values import build
from cooper.sequence.packed import PackedSequence
from cooper.sequence.packing import pack
from cooper.sequence.tiles import tiled
from cooper.training.feed.ahead import ahead
from cooper.training.feed.aside import GoodRows, Taken
from cooper.training.feed.packs import Lane, LaneState, Packing, TokenPack, lines_of

STATE_FILES = "feed-*.json"  # in a checkpoint, one of each process
States = Mapping[int, LaneState]  # of lanes, by number


@dataclass(frozen=True, eq=False)
class _Fed:
    """A batch, and the states of its lanes behind it."""

    batch: PackedSequence
    states: States


class RowFeed:
    """The rows of a run in batches. Without `packing` an update has `optimiser.batch` rows, with it so many packs. `workers`
    threads make them ahead of the step, none: each when it is asked for."""

    def __init__(self, rows: GoodRows, packing: Packing | None = None, workers: int = 0) -> None:
        self._rows, self._packing, self._workers = rows, packing, workers
        self._states: dict[int, LaneState] = {}  # as loaded, of all lanes; then of those of this process
        self._sums = torch.zeros(5)  # updates, tokens, places, seconds waited, seconds in all
        self._begun: float | None = None  # when the update at hand began

    def batches(self, share: BatchPart, steps: int, start: Callable[[], int]) -> Iterator[PackedSequence]:
        """The batches of one process, from the step that `start` names to `steps`."""
        with ExitStack() as stack:
            pool = stack.enter_context(ThreadPoolExecutor(self._workers)) if self._workers else None
            fed = (self._fixed if self._packing is None else self._by_tokens)(share, range(start(), steps), pool, stack)
            while True:
                asked = time.monotonic()
                self._begun = asked if self._begun is None else self._begun
                each = next(fed, None)
                if each is None:
                    return
                self._states |= each.states
                splits = each.batch.splits
                self._sums += torch.tensor([0, sum(splits.lengths), splits.slot_BQ.numel(), time.monotonic() - asked, 0])
                yield each.batch

    def _fixed(self, share: BatchPart, steps: range, pool: ThreadPoolExecutor | None, stack: ExitStack) -> Iterator[_Fed]:
        geometry = self._rows.maker.geometry
        parts = (share.rows(step, part) for step in steps for part in range(share.accumulation))
        return ahead(
            parts, lambda numbers: _Fed(tiled(pack(self._rows.several(numbers), geometry)), {}), pool, self._workers + 1
        )

    def _by_tokens(self, share: BatchPart, steps: range, pool: ThreadPoolExecutor | None, stack: ExitStack) -> Iterator[_Fed]:
        assert self._packing is not None
        own = [number for part in range(share.accumulation) for number in share.rows(0, part)]
        begun = self._begun_at(share.batch, steps.start)
        self._states = {number: begun[number] for number in own}  # those of other processes are theirs to keep
        depth = 1 + self._workers // len(own)
        lanes: dict[int, Iterator[TokenPack]] = {}
        for number in own:
            lane = Lane(self._packing, self._rows.maker.geometry, share.batch, begun[number], self._refuse)
            lanes[number] = lane.packs(ahead(lane.numbers, self._rows.one, pool, depth))

        def made(numbers: range) -> _Fed:
            packs = {number: next(lanes[number]) for number in numbers}
            lines = [line for each in packs.values() for line in lines_of(each.rows, each.tokens)]
            return _Fed(tiled(pack(lines, self._rows.maker.geometry)), {number: each.state for number, each in packs.items()})

        parts = (share.rows(0, part) for _ in steps for part in range(share.accumulation))
        packer = None if pool is None else stack.enter_context(ThreadPoolExecutor(1))  # packs of a lane come one by one
        return ahead(parts, made, packer, 1)

    def _begun_at(self, count: int, step: int) -> States:
        """Where `count` lanes begin: as the checkpoint says, or with the rows of a step where the run had other lanes so
        far."""
        if self._states.keys() == set(range(count)):
            return dict(self._states)
        first = max((state.following for state in self._states.values()), default=step * count)
        first += -first % count
        return {number: LaneState(first + number) for number in range(count)}

    def _refuse(self, taken: Taken, reason: str) -> None:
        self._rows.aside.drop(*self._rows.maker.name(taken.pick), reason)

    def stepped(self) -> None:
        """An update is over."""
        if self._begun is not None:
            self._sums += torch.tensor([1, 0, 0, 0, time.monotonic() - self._begun])
            self._begun = None

    def sums(self) -> Tensor:
        """What this process counted since the last time, for `figures`."""
        dropped = sum(state.dropped for state in self._states.values())
        found = torch.cat([self._sums, torch.tensor([float(dropped)])])
        self._sums.zero_()
        return found

    def figures(self, sums: Tensor, processes: int) -> dict[str, float]:
        """What is logged, from `sums` added up over the processes: tokens an update, the share of places that are padding, the
        share of time that steps waited for rows, and how many rows were set aside and dropped so far."""
        updates, tokens, places, waited, seconds, dropped = sums.tolist()
        self._rows.aside.look()
        found = {
            "tokens": tokens * processes / max(1.0, updates),
            "padding": 1 - tokens / max(1.0, places),
            "waiting": waited / max(1e-9, seconds),
            "set_aside": float(self._rows.aside.count()),
        }
        return found if self._packing is None else {**found, "dropped": dropped}

    def save(self, folder: Path, rank: int) -> None:
        """Write the states of the lanes of this process into a checkpoint."""
        if self._packing is not None:
            folder.mkdir(parents=True, exist_ok=True)
            lanes = {str(number): asdict(state) for number, state in self._states.items()}
            write_whole(folder / STATE_FILES.replace("*", str(rank)), json.dumps(lanes) + "\n")

    def load(self, folder: Path) -> None:
        """Read the states of all lanes from a checkpoint. CooperError: a file is no such state."""
        for path in sorted(folder.glob(STATE_FILES)):
            for number, values in read_object(path).items():
                if not number.isdecimal() or not isinstance(values, Mapping):
                    raise CooperError(f"{path}: {number!r} is no lane of packs with its state")
                self._states[int(number)] = build(LaneState, values, str(path), number)


class Keeping(TrainerCallback):
    """Counts the updates of a feed, and keeps its state in every checkpoint."""

    def __init__(self, feed: RowFeed) -> None:
        self._feed = feed

    def on_step_end(self, args: TrainingArguments, state: TrainerState, control: TrainerControl, **kwargs: Any) -> None:
        self._feed.stepped()

    def on_save(self, args: TrainingArguments, state: TrainerState, control: TrainerControl, **kwargs: Any) -> None:
        self._feed.save(Path(str(args.output_dir)) / f"checkpoint-{state.global_step}", args.process_index)
