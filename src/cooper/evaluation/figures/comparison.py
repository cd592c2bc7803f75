"""Two runs over the same rows."""

from collections.abc import Sequence
from dataclasses import asdict, astuple, dataclass, replace
from itertools import takewhile
from pathlib import Path
from typing import Any, get_args

from cooper.errors import CooperError
from cooper.evaluation.figures.statistics import without_nan
from cooper.evaluation.figures.summary import Comparison, compare
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
    folders = _place_of(first).folder, _place_of(second).folder
    if folders[0].resolve() == folders[1].resolve():
        pairs = [(a, b) for a, b in pairs if a != b]
        if not pairs:
            raise CooperError(f"{first} and {second} are the same rows; name two runs, or two modes of one as FOLDER:MODE")
    names = _names(*folders)
    for a, b in pairs:
        check_truths(first, one[a], second, other[b])
    found = [compare(_named(one[a], f"{names[0]}:{a}"), _named(other[b], f"{names[1]}:{b}")) for a, b in pairs]
    if not any(difference.estimate.rows for each in found for difference in each.categories.values()):
        raise CooperError(f"{first} and {second} have no question in common that is scored")
    return found


def rows_by_mode(place: str) -> dict[str, list[AnswerRow]]:
    """The rows of a run, given as its folder or FOLDER:MODE, by mode, as its report counts them. CooperError: no run, or no
    such mode."""
    folder, mode = astuple(_place_of(place))
    path = folder / ROWS
    check_rules(folder)
    rows = laid_over(read_answers(path), read_judged(path.parent))
    if not rows:
        raise CooperError(f"{path} holds no answers of a run")
    there = list(dict.fromkeys(row.mode for row in rows))
    if mode and mode not in there:
        raise CooperError(f"{path} has no answers in the mode {mode!r}; it has: {', '.join(there)}")
    return {name: [row for row in rows if row.mode == name] for name in ([mode] if mode else there)}


def check_truths(first: str, rows: Sequence[AnswerRow], second: str, others: Sequence[AnswerRow]) -> None:
    """CooperError: a question of both runs has another right answer in each, so they answered different questions."""
    truths = {row.id: row.truth for row in rows}
    for row in others:
        if truths.get(row.id, row.truth) != row.truth:
            raise CooperError(
                f"{first} and {second} did not answer the same questions: the right answer to {row.id} is "
                f"{truths[row.id]!r} in the one and {row.truth!r} in the other"
            )


@dataclass(frozen=True)
class _Place:
    """Where a run is; `mode`: "" for all."""

    folder: Path
    mode: str


def _place_of(place: str) -> _Place:
    folder, _, mode = place.rpartition(":")
    is_mode = mode in get_args(Mode) or ((Path(folder) / ROWS).is_file() and not Path(place).exists())
    return _Place(Path(folder), mode) if folder and is_mode else _Place(Path(place), "")


def _names(first: Path, second: Path) -> tuple[str, str]:
    """The last parts of two folders, as many as tell them apart: out/a/mmvp and out/b/mmvp are a/mmvp and b/mmvp."""
    parts = [folder.absolute().parts for folder in (first, second)]
    same = sum(1 for _ in takewhile(lambda pair: pair[0] == pair[1], zip(*map(reversed, parts), strict=False)))
    kept = 1 if parts[0] == parts[1] else same + 1
    one, other = ("/".join(each[-kept:]) for each in parts)
    return one, other


def _named(rows: Sequence[AnswerRow], name: str) -> list[AnswerRow]:
    return [replace(row, mode=name) for row in rows]


def comparison_json(comparison: Comparison) -> dict[str, Any]:
    """The comparison as JSON values."""
    return without_nan(asdict(comparison))
