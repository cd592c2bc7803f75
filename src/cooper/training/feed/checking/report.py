"""What a check found: for the terminal, as files, and as a page with a contact sheet."""

import base64
import io
import json
from collections.abc import Iterator, Sequence
from pathlib import Path

from cooper.files.html import render
from cooper.files.rows import write_whole
from cooper.training.feed.checking.check import SetReport
from cooper.training.feed.checking.sources import FAULTS
from cooper.training.feed.faults.fault import Fault
from cooper.training.feed.faults.seen import Thumb

SIZES = 6  # sizes of pictures that are listed
PAGE, FIGURES = "check.html", "check.json"


def figures(report: SetReport, longest: int) -> dict[str, str]:
    """What is in a set, by name."""
    told: dict[str, str] = {}
    if report.sizes:
        (least, most), many = _ends(report), sum(report.sizes.values())
        sizes = ", ".join(f"{_size(size)} ({count:,})" for size, count in report.sizes.most_common(SIZES))
        spread = f"{_size(least)} to {_size(most)} px, most often {sizes}" if len(report.sizes) > 1 else f"{_size(least)} px"
        told["pictures"] = f"{many:,} of {spread}"
    for group in dict.fromkeys(name.split(" ", 1)[0] for name in report.counts):
        said = ((name.split(" ", 1)[1], count) for name, count in sorted(report.counts.items()) if name.startswith(f"{group} "))
        told[f"{group}s"] = ", ".join(f"{name} {count:,}" for name, count in said)
    if report.depth_m is not None:
        told["depth"] = f"{report.depth_m[0]:.3g} to {report.depth_m[1]:.3g} m"
    if report.tokens:
        least, middle, high, most = report.quantiles
        told["tokens a row"] = f"{least:,} to {most:,}, middle {middle:,}, 5 % above {high:,}" if least < most else f"{least:,}"
        told[f"rows above {longest:,} tokens"] = f"{sum(tokens > longest for tokens in report.tokens):,}"
    if report.dropped:
        told["rows that cannot be trained on"] = ", ".join(f"{why} {count:,}" for why, count in report.dropped.most_common())
    if report.imported:
        told["for a training"] = f"`cooper data import {report.kind}` makes rows of it"
    return told


def lines(reports: Sequence[SetReport], longest: int, most: int) -> Iterator[str]:
    """The check in words: figures of each set, at most `most` of its faults of each kind, and the sum."""
    for report in reports:
        yield f"{report.place}: {report.kind}, {report.rows:,} {_unit(report)}"
        told = figures(report, longest)
        width = max(map(len, told), default=0)
        yield from (f"  {name:<{width}}  {value}" for name, value in told.items())
        for kind in dict.fromkeys(fault.kind for fault in report.faults):
            found = [fault for fault in report.faults if fault.kind == kind]
            yield from (f"  {fault.level}: {fault.name}: {fault.place}: {fault.said}" for fault in found[:most])
            if len(found) > most:
                yield f"  {found[0].level}: {found[0].name}: {len(found) - most:,} more"
    yield summary([fault for report in reports for fault in report.faults], sum(report.rows for report in reports))


def summary(faults: Sequence[Fault], rows: int) -> str:
    """How many faults in how many rows."""
    errors = sum(fault.level == "error" for fault in faults)
    parts = [
        f"{count:,} {name}{'s' * (count != 1)}"
        for count, name in ((errors, "error"), (len(faults) - errors, "warning"))
        if count
    ]
    return f"{' and '.join(parts) or 'no faults'} in {rows:,} row{'s' * (rows != 1)}"


def write_report(reports: Sequence[SetReport], longest: int, folder: Path) -> None:
    """Write the page, the figures and every fault into a folder. CooperError: they cannot be written."""
    faults = [{"set": str(report.place), **fault.row()} for report in reports for fault in report.faults]
    write_whole(folder / FAULTS, "".join(json.dumps(row, ensure_ascii=False) + "\n" for row in faults))
    told = [{"set": str(each.place), "kind": each.kind, "rows": each.rows, **figures(each, longest)} for each in reports]
    write_whole(folder / FIGURES, json.dumps(told, indent=1, ensure_ascii=False) + "\n")
    write_whole(folder / PAGE, _page(reports, longest))


def _page(reports: Sequence[SetReport], longest: int) -> str:
    every = [fault for report in reports for fault in report.faults]
    sets = [
        {
            "name": str(report.place),
            "told": {"kind": report.kind, _unit(report): f"{report.rows:,}", **figures(report, longest)},
            "faults": report.faults,
            "shown": [
                {
                    "place": each.place.removeprefix(str(report.place)).lstrip("/, "),
                    "said": each.said,
                    "pictures": [_picture(thumb) for thumb in each.thumbs],
                }
                for each in report.shown
            ],
        }
        for report in reports
    ]
    title = summary(every, sum(report.rows for report in reports))
    return render("training/feed/checking/templates/check.html", title=title, sets=sets)


def _picture(thumb: Thumb) -> dict[str, object]:
    buffer = io.BytesIO()
    thumb.image.save(buffer, "JPEG", quality=85)
    data = base64.b64encode(buffer.getvalue()).decode("ascii")
    return {
        "name": thumb.name,
        "url": f"data:image/jpeg;base64,{data}",
        "width": thumb.image.width,
        "height": thumb.image.height,
    }


def _unit(report: SetReport) -> str:
    rows = not report.counts or any(name.startswith(("mode", "type", "flag")) for name in report.counts)
    return ("row" if rows else "picture") + "s" * (report.rows != 1)


def _ends(report: SetReport) -> tuple[tuple[int, int], tuple[int, int]]:
    ordered = sorted(report.sizes, key=lambda size: size[0] * size[1])
    return ordered[0], ordered[-1]


def _size(size: tuple[int, int]) -> str:
    return f"{size[0]} x {size[1]}"
