"""The rows of runs, as their reports count them, and two runs over the same rows."""

from itertools import takewhile
from pathlib import Path
from typing import get_args

from cooper.errors import CooperError
from cooper.evaluation.figures.pairing import Comparison, Model, compare
from cooper.evaluation.judge.verdicts import laid_over, read_judged
from cooper.evaluation.runs.answering import AnswerRow, read_answers
from cooper.evaluation.runs.folder import check_rules
from cooper.trace.modes import Mode

ROWS = "rows.jsonl"


def compare_runs(first: str, second: str) -> list[Comparison]:
    """`first` minus `second`, each a run's folder or FOLDER:MODE: those modes, or every mode that both runs have.

    CooperError: no run there, no such mode, no row in common, one id for two questions, or the same rows twice.
    """
    one, other = rows_by_mode(first), rows_by_mode(second)
    single = (":" in first and len(one) == 1) or (":" in second and len(other) == 1)
    pairs = [(a, b) for a in one for b in other if single or a == b]
    if not pairs:
        raise CooperError(f"{first} and {second} have no mode in common; name one of each as FOLDER:MODE")
    folders = place_of(first)[0], place_of(second)[0]
    if folders[0].resolve() == folders[1].resolve():
        pairs = [(a, b) for a, b in pairs if a != b]
        if not pairs:
            raise CooperError(f"{first} and {second} are the same rows; name two runs, or two modes of one as FOLDER:MODE")
    names = _names(*folders)
    found = [compare(Model(f"{names[0]}:{a}", (one[a],)), Model(f"{names[1]}:{b}", (other[b],))) for a, b in pairs]
    if not any(each.all_rows.estimate.rows for each in found):
        raise CooperError(f"{first} and {second} have no question in common that is scored")
    return found


def rows_by_mode(place: str) -> dict[str, list[AnswerRow]]:
    """The rows of a run, given as its folder or FOLDER:MODE, by mode, as its report counts them. CooperError: no run, or no
    such mode."""
    folder, mode = place_of(place)
    path = folder / ROWS
    check_rules(folder)
    rows = laid_over(read_answers(path), read_judged(folder))
    if not rows:
        what = "holds no answers of a run" if folder.is_dir() else "does not exist" if not folder.exists() else "is no folder"
        raise CooperError(f"{folder} {what}")
    there = list(dict.fromkeys(row.mode for row in rows))
    if mode and mode not in there:
        raise CooperError(f"{path} has no answers in the mode {mode!r}; it has: {', '.join(there)}")
    return {name: [row for row in rows if row.mode == name] for name in ([mode] if mode else there)}


def place_of(place: str) -> tuple[Path, str]:
    """The folder and the mode, "" for all, that a text of the form FOLDER or FOLDER:MODE names."""
    folder, _, mode = place.rpartition(":")
    is_mode = mode in get_args(Mode) or ((Path(folder) / ROWS).is_file() and not Path(place).exists())
    return (Path(folder), mode) if folder and is_mode else (Path(place), "")


def _names(first: Path, second: Path) -> tuple[str, str]:
    """The last parts of two folders, as many as tell them apart: out/a/mmvp and out/b/mmvp are a/mmvp and b/mmvp."""
    parts = [folder.absolute().parts for folder in (first, second)]
    # paths of different depth: what the shorter lacks is not compared
    same = sum(1 for _ in takewhile(lambda pair: pair[0] == pair[1], zip(*map(reversed, parts), strict=False)))
    kept = 1 if parts[0] == parts[1] else same + 1
    one, other = ("/".join(each[-kept:]) for each in parts)
    return one, other
