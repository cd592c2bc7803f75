"""The folder of a run: which run it holds, and the rows that its processes wrote there."""

import json
from collections.abc import Collection, Sequence
from pathlib import Path
from typing import Any

from cooper.errors import CooperError
from cooper.evaluation.processes import PATIENCE, Share, wait_for_others
from cooper.files.rows import Row, read_rows, write_whole


def read_parts(path: Path, *key: str) -> dict[tuple[Any, ...], Row]:
    """All complete rows of a run by their values of the fields `key`, whichever processes wrote them. Of rows with equal
    values the first stands: that of `rows.jsonl`, then that of `rows-0.jsonl`, and so on."""
    found: dict[tuple[Any, ...], Row] = {}
    for file in parts_of(path):
        for row in read_rows(file):
            missing = [field for field in key if field not in row]
            if missing:
                raise CooperError(f"{file} holds a row without {missing[0]!r}, so it is no file of this run")
            found.setdefault(tuple(row[field] for field in key), row)
    return found


def parts_of(path: Path) -> list[Path]:
    """The file of a process by itself, and those beside it that several processes wrote, in order of their numbers."""
    start = f"{path.stem}-"
    numbered = [file for file in path.parent.glob(f"{start}*{path.suffix}") if file.stem.removeprefix(start).isdecimal()]
    return [path, *sorted(numbered, key=lambda file: int(file.stem.removeprefix(start)))]


def gather_rows(
    path: Path, key: Sequence[str], wanted: Collection[tuple[Any, ...]], share: Share, patience: float = PATIENCE
) -> dict[tuple[Any, ...], Row]:
    """As `read_parts`, when all wanted rows are there: a process of several waits for the shares of the others."""
    if share.count > 1:
        wait_for_others(lambda: len(set(wanted) - read_parts(path, *key).keys()), f"rows of {path}", patience)
    return read_parts(path, *key)


def open_run(folder: Path, settings: Row, share: Share | None = None) -> None:
    """Make `folder` the place of this run, or go on with the run there. CooperError: it holds another run.

    Of several processes the first does so and the others wait for it. `share`: by default what the launcher says.
    """
    path = folder / "run.json"
    if not (share or Share.here()).first:
        wait_for_others(lambda: int(not path.is_file()), f"file {path}")
    if path.is_file():
        known = json.loads(path.read_text(encoding="utf-8"))
        if "weights" in settings and "weights" not in known:
            raise CooperError(
                f"{folder} holds a run of an earlier version, which did not write down its weights and settings, so its rows "
                "may be another model's: choose another folder"
            )
        changed = sorted(name for name in {*known, *settings} if known.get(name) != settings.get(name))
        if changed:
            name = changed[0]
            raise CooperError(
                f"{folder} holds a run with {name} {known.get(name)!r}, not {settings.get(name)!r}: "
                "choose another folder, or the same settings to go on with it"
            )
        return
    folder.mkdir(parents=True, exist_ok=True)
    write_whole(path, json.dumps(settings, indent=1) + "\n")
