"""Kept replies are read again by the rules of this version, without a model (`cooper eval --rescore`)."""

import json
from collections.abc import Mapping, Sequence
from dataclasses import asdict, replace
from pathlib import Path

from cooper.data.item import Item
from cooper.errors import CooperError
from cooper.evaluation.runs.answering import KEY, AnswerRow, check_row, read_answer, score_reply
from cooper.evaluation.runs.folder import read_part_lines, store_rules
from cooper.files.rows import write_whole


def read_again(folder: Path, items: Sequence[Item]) -> list[AnswerRow]:
    """The rows with what the rules of today read in their replies, written back; those of the items, in their order."""
    path, by_id = folder / "rows.jsonl", {item.id: item for item in items}
    lines = read_part_lines(path, *KEY)
    if not lines:
        raise CooperError(f"{path} holds no replies to read again")
    rows = [_scored(check_row(read_answer(line), by_id.get(line.values["id"]), line), by_id) for line in lines.values()]
    write_whole(path, "".join(json.dumps(asdict(row), ensure_ascii=False, allow_nan=False) + "\n" for row in rows))
    store_rules(folder)
    place = {item.id: number for number, item in enumerate(items)}
    modes = list(dict.fromkeys(row.mode for row in rows))
    return sorted((row for row in rows if row.id in place), key=lambda row: (modes.index(row.mode), place[row.id]))


def _scored(row: AnswerRow, items: Mapping[str, Item]) -> AnswerRow:
    item = items.get(row.id)
    if item is None or item.scoring == "judge":
        return row
    scored = score_reply(item, row.reply)
    return replace(row, extracted=scored.extracted, correct=scored.correct, value=scored.value)


def not_answered(rows: Sequence[AnswerRow], items: Sequence[Item]) -> list[str]:
    """For the report: how many rows of the modes that were begun are missing."""
    wanted = len(items) * len({row.mode for row in rows})
    return [f"{wanted - len(rows)} of {wanted} rows are not answered yet"] if len(rows) < wanted else []
