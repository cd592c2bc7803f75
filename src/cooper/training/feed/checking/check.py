"""Reads every row and picture of some data in several threads, and says what is there and what is wrong with it."""

import math
from collections import Counter, deque
from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass, field, replace
from pathlib import Path
from statistics import median

from cooper.errors import CooperError
from cooper.evaluation.runs.progress import progress
from cooper.training.feed.checking.sources import sets_of
from cooper.training.feed.checking.units import Checked, CheckOptions
from cooper.training.feed.faults.depth import set_faults
from cooper.training.feed.faults.fault import Fault, told
from cooper.training.feed.faults.seen import Seen, Thumb

AHEAD = 4  # rows for each thread that are read before their turn
SHEET, FAULTY = 24, 12  # rows of a set whose pictures are shown, evenly spread, and of those at fault
Advance = Callable[[int], None]  # rows just done


@dataclass(frozen=True)
class SheetRow:
    """The pictures of a row for the page; `said`: its faults, "" for none."""

    place: str
    said: str
    thumbs: tuple[Thumb, ...]


@dataclass(frozen=True, kw_only=True)
class SetReport:
    """What is in a data set and what is wrong with it. `sizes`: pictures by width and height. `counts`: maps, modes, flags
    and types. `tokens`: the length of each row that has one. `depth_m`: nearest and farthest (5th and 95th percentiles), None
    without depth. `dropped`: rows that are left out, by reason. `imported`: whether an import must come before a training."""

    place: Path
    kind: str
    rows: int
    faults: tuple[Fault, ...]
    sizes: Counter[tuple[int, int]] = field(default_factory=Counter)
    counts: Counter[str] = field(default_factory=Counter)
    tokens: tuple[int, ...] = ()
    depth_m: tuple[float, float] | None = None
    dropped: Counter[str] = field(default_factory=Counter)
    shown: tuple[SheetRow, ...] = ()
    imported: bool = False

    @property
    def quantiles(self) -> tuple[int, int, int, int]:
        """Of the lengths: least, middle, that of which 5 % are longer, and most. Zeros where no row has one."""
        ordered = sorted(self.tokens) or [0]
        return ordered[0], int(median(ordered)), ordered[math.ceil(0.95 * len(ordered)) - 1], ordered[-1]


def check_data(place: Path, options: CheckOptions, workers: int) -> list[SetReport]:
    """Check the data sets in a folder or file, with a progress bar. CooperError: it is not there, or nothing in it is known."""
    sets = sets_of(place, options)
    with progress(sum(len(each.units) for each in sets), "rows", False) as advance:
        return [check_set(each, workers, advance) for each in sets]


def check_set(checked: Checked, workers: int, advance: Advance) -> SetReport:
    """Read all of a set. A row that cannot be read is a fault, and never ends the check."""
    seen: list[Seen] = []
    kept: dict[int, tuple[Thumb, ...]] = {}
    step = max(1, len(checked.units) // SHEET)
    for number, each in enumerate(_read(checked, workers)):
        if number % step == 0 and number // step < SHEET:
            kept[number] = each.thumbs
        seen.append(replace(each, thumbs=()))
        advance(1)
    seen = [*_answered(_twice(set_faults(seen, checked.kind, checked.filtered)))]
    faulty = [number for number, each in enumerate(seen) if each.faults][:FAULTY]
    depths = [each.depth for each in seen if each.depth is not None]
    return SetReport(
        place=checked.place,
        kind=checked.kind,
        rows=len(checked.units),
        faults=(*checked.faults, *(fault for each in seen for fault in each.faults)),
        sizes=Counter(size for each in seen for size in each.sizes),
        counts=_summed(seen),
        tokens=tuple(each.tokens for each in seen if each.tokens),
        depth_m=(min(each.near for each in depths), max(each.far for each in depths)) if depths else None,
        dropped=Counter(_reason(each) for each in seen if any(fault.level == "error" for fault in each.faults)),
        shown=tuple(_sheet(checked, seen, kept, faulty)) if any(kept.values()) else (),
        imported=checked.imported,
    )


def _sheet(
    checked: Checked, seen: Sequence[Seen], kept: Mapping[int, tuple[Thumb, ...]], faulty: Sequence[int]
) -> Iterator[SheetRow]:
    """The rows of the page in their order: those that were kept, and some at fault, which are read again."""
    for number in sorted({*kept, *faulty}):
        each = seen[number]
        thumbs = kept[number] if number in kept else _look(*checked.units[number]).thumbs
        if thumbs:
            yield SheetRow(each.place, ", ".join(dict.fromkeys(fault.name for fault in each.faults)), thumbs)


def _read(checked: Checked, workers: int) -> Iterator[Seen]:
    """What is seen of all units, in their order. Ctrl-C ends it at once."""
    pool = ThreadPoolExecutor(1 if checked.alone else workers)
    waiting: deque[Future[Seen]] = deque()
    try:
        for place, unit in checked.units:
            waiting.append(pool.submit(_look, place, unit))
            if len(waiting) > AHEAD * workers:
                yield waiting.popleft().result()
        while waiting:
            yield waiting.popleft().result()
    finally:
        pool.shutdown(wait=False, cancel_futures=True)


def _look(place: str, unit: Callable[[], Seen]) -> Seen:
    """What is seen of a unit; what cannot be read is a fault."""
    try:
        return unit()
    except (CooperError, OSError, MemoryError) as error:
        return Seen(place=place, faults=(told(place, error),))


def _twice(seen: Sequence[Seen]) -> Iterator[Seen]:
    """The same with rows that stand there twice, or ids, or questions about one picture."""
    places: dict[tuple[str, str | bytes], str] = {}
    for each in seen:
        faults = []
        for what, kind, key, said in (
            ("content", "twice", each.digest, "is the same as"),
            ("id", "same_id", each.id, f"has the id {each.id!r} of"),
            ("question", "twice", each.asked, "asks the same of the same picture as"),
        ):
            first = places.setdefault((what, key), each.place) if key else each.place
            if first != each.place and kind not in [fault.kind for fault in faults]:
                faults.append(Fault(place=each.place, kind=kind, said=f"{said} {first}"))
        yield replace(each, faults=(*each.faults, *faults)) if faults else each


def _answered(seen: Iterator[Seen]) -> Iterator[Seen]:
    """The same with rows whose last words are no answer, where they reason, or most rows of the set answer."""
    found = list(seen)
    said = [each.answered for each in found if each.answered is not None]
    usual = sum(said) * 2 > len(said)
    for each in found:
        if each.answered is False and (usual or each.reasons):
            fault = Fault(place=each.place, kind="no_answer", said="the last words hold no <answer> element")
            each = replace(each, faults=(*each.faults, fault))
        yield each


def _summed(seen: Sequence[Seen]) -> Counter[str]:
    found: Counter[str] = Counter()
    for each in seen:
        found.update(each.counts)
    return found


def _reason(seen: Seen) -> str:
    """Why a row is left out: its first error, in words."""
    return next(fault.name for fault in seen.faults if fault.level == "error")
