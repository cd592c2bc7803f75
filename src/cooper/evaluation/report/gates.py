"""Gates as a table and as JSON."""

from collections.abc import Sequence
from dataclasses import asdict
from typing import Any

from cooper.evaluation.figures.statistics import without_nan
from cooper.evaluation.gates.gate import Gate
from cooper.evaluation.report import meanings
from cooper.evaluation.report.report import Table


def gates_table(gates: Sequence[Gate]) -> Table:
    """A line for each figure: what it is, with its interval, what it must reach, and whether it does."""
    rows = [
        [gate.name, gate.what, *_percent(gate), str(gate.figure.rows), f"{gate.rule} {100 * gate.threshold:.0f}", gate.said]
        for gate in gates
    ]
    head = ["gate", "figure", "%", "95 % interval", "scenes", "threshold, %", "gate is"]
    return Table("Gates", head, rows, meanings.GATES)


def gates_json(gates: Sequence[Gate]) -> list[dict[str, Any]]:
    """The gates as JSON values."""
    return without_nan([{**asdict(gate), "open": gate.is_open, "sure": gate.sure} for gate in gates])


def _percent(gate: Gate) -> list[str]:
    figure = gate.figure
    return [f"{100 * figure.mean:.1f}", f"{100 * figure.low:.1f} .. {100 * figure.high:.1f}" if figure.sure else "-"]
