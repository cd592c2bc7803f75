"""Two runs over the same rows."""

from collections.abc import Sequence
from dataclasses import asdict, replace
from pathlib import Path
from typing import Any, get_args

from cooper.errors import CooperError
from cooper.evaluation.judging import laid_over, read_judged
from cooper.evaluation.report import without_nan
from cooper.evaluation.runner import AnswerRow, read_answers
from cooper.evaluation.summary import Comparison, compare
from cooper.trace.trace import Mode


def compare_runs(first: str, second: str) -> list[Comparison]:
    """`first` minus `second`, each a run's folder or FOLDER:MODE: those modes, or every mode that both runs have.

    CooperError: no run there, no such mode, or no row in common.
    """
    one, other = rows_by_mode(first), rows_by_mode(second)
    single = (":" in first and len(one) == 1) or (":" in second and len(other) == 1)
    pairs = [(a, b) for a in one for b in other if single or a == b]
    if not pairs:
        raise CooperError(f"{first} and {second} have no mode in common; name one of each as FOLDER:MODE")
    found = [compare(_named(one[a], first, a), _named(other[b], second, b)) for a, b in pairs if one[a] and other[b]]
    if not any(difference.estimate.rows for each in found for difference in each.categories.values()):
        raise CooperError(f"{first} and {second} have no question in common that is scored")
    return found


def rows_by_mode(place: str) -> dict[str, list[AnswerRow]]:
    """The rows of a run, given as its folder or FOLDER:MODE, by mode, as its report counts them. CooperError: no run, or no
    such mode."""
    folder, _, mode = place.rpartition(":")
    if mode not in get_args(Mode) or not folder:
        folder, mode = place, ""
    path = Path(folder) / "rows.jsonl"
    rows = laid_over(read_answers(path), read_judged(path.parent))
    if not rows:
        raise CooperError(f"{path} holds no answers of a run")
    modes = [mode] if mode else list(dict.fromkeys(row.mode for row in rows))
    parts = {name: [row for row in rows if row.mode == name] for name in modes}
    for name, part in parts.items():
        if not part:
            raise CooperError(f"{path} has no answers in the mode {name!r}")
    return parts


def _named(rows: Sequence[AnswerRow], place: str, mode: str) -> list[AnswerRow]:
    """The rows under a name that tells the runs apart."""
    name = Path(place.removesuffix(f":{mode}")).name
    return [replace(row, mode=f"{name}:{mode}") for row in rows]


def comparison_json(comparison: Comparison) -> dict[str, Any]:
    """The comparison as JSON values."""
    return without_nan(asdict(comparison))
