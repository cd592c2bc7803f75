"""Which questions maps help with: the same question is answered several times with and several times without maps.

How the published flags were made was not released; a flag here is what its name says: with maps the model answers clearly
more often right (positive), clearly less often (negative), or neither (boundary), also where too few answers tell. The
counts are kept beside it.
"""

import json
import math
from collections import Counter
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, Protocol

from cooper.curation.counts import FLAGS, By, DrawingCounts, Flag, read_flag_rows
from cooper.curation.gains import category_flag, category_gains
from cooper.data.item import Item
from cooper.errors import CooperError
from cooper.evaluation.report.charts import share_chart
from cooper.evaluation.runs.answering import answer_row
from cooper.evaluation.runs.folder import FILE as RUN
from cooper.evaluation.runs.folder import QUESTIONS, open_run
from cooper.evaluation.runs.origin import Origin
from cooper.evaluation.runs.progress import progress
from cooper.evaluation.runs.settings import WorkSettings
from cooper.files.digests import digests_in, first_changed, keep_digests
from cooper.files.locks import held
from cooper.files.rows import Row, append_rows, batches, read_rows, write_whole
from cooper.reasoning.cooper import Cooper
from cooper.reasoning.decoding import Sampling
from cooper.trace.trace import Trace

FILE = "flags.jsonl"


class Questions(Protocol):
    """Where questions come from. `item` raises CooperError for one whose picture cannot be read, and so does `digest`, which
    tells one question from another without decoding pictures."""

    def __len__(self) -> int: ...

    def ids(self) -> list[str]: ...

    def item(self, number: int) -> Item: ...

    def digest(self, number: int) -> str: ...


@dataclass(frozen=True, kw_only=True)
class FlagSettings(WorkSettings):
    """`samples` answers in each of the modes interleaved and text, at `temperature`; a difference of shares of at least
    `margin` makes a flag, where half of `samples` drew and as many did not. `by` category: all questions of a category get
    the flag that their answers make together (`gains.py`). `limit`: questions. `origin`: how the model was loaded, for the
    record."""

    samples: int = 8
    margin: float = 0.25
    by: By = "question"
    limit: int = 1000
    temperature: float = 1.0
    max_tokens: int = 128
    origin: Origin = Origin()

    def __post_init__(self) -> None:
        super().__post_init__()
        if self.samples < 1:
            raise CooperError(f"samples must be at least 1, got {self.samples}")
        if not 0 <= self.temperature < math.inf:
            raise CooperError(f"temperature must not be negative or infinite, got {self.temperature}")
        if not 0 < self.margin <= 1:
            raise CooperError(f"margin must lie in (0, 1], got {self.margin}")


def counts_of(item: Item, traces: Sequence[Trace]) -> DrawingCounts:
    """Sort the traces of one question by whether they drew."""
    right = [answer_row(item, trace.mode, trace).correct for trace in traces]
    drew = [bool(trace.maps) for trace in traces]
    return DrawingCounts(
        sum(r and d for r, d in zip(right, drew, strict=True)),
        sum(drew),
        sum(r and not d for r, d in zip(right, drew, strict=True)),
        len(drew) - sum(drew),
    )


@dataclass(frozen=True)
class Flagged:
    """Where the flags are, and the questions that could not be read, by id with the reason."""

    path: Path
    set_aside: Mapping[str, str]


def flag_questions(door: Cooper, questions: Questions, settings: FlagSettings) -> Flagged:
    """Flag the first `limit` questions into `out/flags.jsonl`, and draw how they split; an interrupted run goes on.

    CooperError: not one of them can be read.
    """
    open_flags(settings, questions)
    with held(settings.out, "cooper data flags"):
        return _flag_questions(door, questions, settings)


def open_flags(settings: FlagSettings, questions: Questions) -> None:
    """Make the folder the place of these flags, or go on with those there. CooperError: it holds others, also of questions that
    have changed since."""
    passing = ("by", "limit", "batch", "quiet", "origin")
    record = {name: str(value) for name, value in asdict(settings).items() if name not in passing}
    open_run(settings.out, record | settings.origin.record)
    done = [row["id"] for row in read_flag_rows(settings.out / FILE)]
    wanted = digests_of(questions, {*done, *questions.ids()[: settings.limit]})
    keep_digests(settings.out / RUN, QUESTIONS, wanted, done)


def digests_of(questions: Questions, names: Collection[str]) -> dict[str, str]:
    """The digests of some questions by their ids; "" for one that cannot be read."""
    found = {}
    for number, name in enumerate(questions.ids()):
        if name in names:
            try:
                found[name] = questions.digest(number)
            except CooperError:
                found[name] = ""
    return found


def check_flags(path: Path, questions: Questions) -> None:
    """CooperError: one of these questions is another than it was when its flag was made."""
    known = digests_in(path.parent / RUN, QUESTIONS)
    found = digests_of(questions, known.keys())
    changed = first_changed(known, found, found)
    if changed is not None:
        raise CooperError(f"{path}: the question {changed} has changed since its flag was made: flag these questions anew")


def _flag_questions(door: Cooper, questions: Questions, settings: FlagSettings) -> Flagged:
    path, ids = settings.out / FILE, questions.ids()[: settings.limit]
    done = {row["id"] for row in read_flag_rows(path)}
    left = [number for number, name in enumerate(ids) if name not in done]
    set_aside: dict[str, str] = {}
    with progress(len(ids), "questions", settings.quiet) as advance:
        advance(len(ids) - len(left))
        for chunk in batches(left, settings.batch):
            items = _readable(questions, {number: ids[number] for number in chunk}, set_aside)
            counts = _counted(door, items, settings) if items else []
            append_rows(path, [_row(item, found, settings) for item, found in zip(items, counts, strict=True)])
            advance(len(chunk))
    if ids and len(set_aside) == len(ids):
        raise CooperError(f"none of the {len(ids)} questions can be read; the first: {set_aside[ids[0]]}")
    rows = _flagged_anew(read_flag_rows(path), settings)
    write_whole(path, "".join(json.dumps(row, ensure_ascii=False) + "\n" for row in rows))
    plot_split(rows, settings.out / "flags.svg")
    return Flagged(path, set_aside)


def _readable(questions: Questions, names: Mapping[int, str], set_aside: dict[str, str]) -> list[Item]:
    """Questions by number; those that cannot be read, or that rules cannot grade, go into `set_aside`."""
    found = []
    for number, name in names.items():
        try:
            item = questions.item(number)
        except CooperError as error:
            set_aside[name] = str(error)
            continue
        if item.scoring == "judge":
            set_aside[name] = f"the answer to {name} is free text, which rules cannot grade"
        else:
            found.append(item)
    return found


def _counted(door: Cooper, items: Sequence[Item], settings: FlagSettings) -> list[DrawingCounts]:
    sampling = Sampling(settings.temperature, max_tokens=settings.max_tokens)
    asked = [item.question for item in items]
    by_mode = [
        door.batch(asked, door.options(mode, sampling), settings.seed, settings.samples) for mode in ("interleaved", "text")
    ]
    return [counts_of(item, [*drawing, *plain]) for item, drawing, plain in zip(items, *by_mode, strict=True)]


def _flagged_anew(rows: Sequence[Row], settings: FlagSettings) -> list[Row]:
    """The flags that follow from the counts: of a run that another setting made, too."""
    if settings.by == "category":
        gains = category_gains(rows)
        return [{**row, "flag": category_flag(gains.get(row["category"]))} for row in rows]
    return [{**row, "flag": DrawingCounts.of(row).flag(settings.margin, settings.samples)} for row in rows]


def _row(item: Item, counts: DrawingCounts, settings: FlagSettings) -> dict[str, Any]:
    flag = counts.flag(settings.margin, settings.samples)
    return {"id": item.id, "category": item.category, "flag": flag, **asdict(counts)}


def read_flags(path: Path) -> dict[str, Flag]:
    """Flags by question. CooperError: no such file, or a row without a known flag."""
    if not path.is_file():
        raise CooperError(f"{path} holds no flags; make them with `cooper data flags`")
    found: dict[str, Flag] = {}
    known: dict[str, Flag] = {flag: flag for flag in FLAGS}
    for number, row in enumerate(read_rows(path), 1):
        flag = known.get(str(row.get("flag")))
        if flag is None or not isinstance(row.get("id"), str):
            raise CooperError(f"{path}, row {number}: no id with a flag ({', '.join(FLAGS)}): {json.dumps(row)[:80]}")
        found[row["id"]] = flag
    return found


def plot_split(rows: Iterable[Mapping[str, Any]], picture: Path) -> None:
    """Per category, the shares of questions with each flag."""
    counts = Counter((str(row["category"]), str(row["flag"])) for row in rows)
    totals = Counter(category for category, _ in counts.elements())
    groups = [(f"{name} ({total})", [counts[name, flag] / total for flag in FLAGS]) for name, total in sorted(totals.items())]
    picture.write_text(share_chart(groups, FLAGS), encoding="utf-8")
