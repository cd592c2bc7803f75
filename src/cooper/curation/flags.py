"""Which questions maps help with: the same question is answered several times with and several times without maps.

How the published flags were made was not released; a flag here is what its name says: with maps the model answers clearly
more often right (positive), clearly less often (negative), or neither (boundary). The counts are kept beside it.
"""

import json
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, Literal, Protocol

from cooper.errors import CooperError
from cooper.evaluation.plots import share_chart
from cooper.evaluation.progress import progress
from cooper.evaluation.rows import append_rows, batches, open_run, read_rows
from cooper.evaluation.runner import Item, answer_row
from cooper.reasoning.cooper import Cooper
from cooper.reasoning.text import Sampling
from cooper.trace.trace import Trace

Flag = Literal["positive", "negative", "boundary"]
FLAGS: tuple[Flag, ...] = ("positive", "negative", "boundary")
FILE = "flags.jsonl"


class Questions(Protocol):
    """Where questions come from."""

    def __len__(self) -> int: ...

    def item(self, number: int) -> Item: ...


@dataclass(frozen=True)
class FlagSettings:
    """`samples` answers in each of the modes interleaved and text, at `temperature`; a difference of shares of at least
    `margin` makes a flag. `limit`: questions."""

    model: str
    data: Path
    out: Path
    samples: int = 8
    margin: float = 0.25
    limit: int = 1000
    batch: int = 16
    temperature: float = 1.0
    max_tokens: int = 128
    seed: int = 0
    quiet: bool = False

    def __post_init__(self) -> None:
        for name in ("samples", "limit", "batch"):
            if getattr(self, name) < 1:
                raise CooperError(f"{name} must be at least 1, got {getattr(self, name)}")
        if not 0 < self.margin <= 1:
            raise CooperError(f"margin must lie in (0, 1], got {self.margin}")


@dataclass(frozen=True)
class Counts:
    """Right answers of all, among traces that drew and among those that did not."""

    drawn_right: int
    drawn: int
    plain_right: int
    plain: int

    def flag(self, margin: float) -> Flag:
        """Worked example, margin 0.25: 6 of 8 with maps and 3 of 8 without is positive; 4 of 8 and 3 of 8 is boundary. A
        question on which nobody drew, or everybody did, is on the boundary.
        """
        if not self.drawn or not self.plain:
            return "boundary"
        gain = self.drawn_right / self.drawn - self.plain_right / self.plain
        if gain >= margin:
            return "positive"
        return "negative" if gain <= -margin else "boundary"


def counts_of(item: Item, traces: Sequence[Trace]) -> Counts:
    """Sort the traces of one question by whether they drew."""
    right = [answer_row(item, trace.mode, trace).correct for trace in traces]
    drew = [bool(trace.maps) for trace in traces]
    return Counts(
        sum(r and d for r, d in zip(right, drew, strict=True)),
        sum(drew),
        sum(r and not d for r, d in zip(right, drew, strict=True)),
        len(drew) - sum(drew),
    )


def flag_questions(door: Cooper, questions: Questions, settings: FlagSettings) -> Path:
    """Flag the first `limit` questions into `out/flags.jsonl`, and draw how they split; an interrupted run goes on."""
    record = {name: str(value) for name, value in asdict(settings).items() if name not in ("limit", "batch", "quiet")}
    open_run(settings.out, record)
    path = settings.out / FILE
    done = {row["id"] for row in read_rows(path)}
    numbers = range(min(settings.limit, len(questions)))
    sampling = Sampling(settings.temperature, max_tokens=settings.max_tokens)
    with progress(len(numbers), "questions", settings.quiet) as advance:
        for chunk in batches(numbers, settings.batch):
            items = [item for item in (questions.item(number) for number in chunk) if item.id not in done]
            traces: dict[str, list[Trace]] = {item.id: [] for item in items}
            for mode in ("interleaved", "text") if items else ():
                options = door.options(mode, sampling)
                for item, found in zip(
                    items, door.batch([i.question for i in items], options, settings.seed, settings.samples), strict=True
                ):
                    traces[item.id] += found
            append_rows(path, [_row(item, counts_of(item, traces[item.id]), settings.margin) for item in items])
            advance(len(chunk))
    plot_split(read_rows(path), settings.out / "flags.svg")
    return path


def _row(item: Item, counts: Counts, margin: float) -> dict[str, Any]:
    return {"id": item.id, "category": item.category, "flag": counts.flag(margin), **asdict(counts)}


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
