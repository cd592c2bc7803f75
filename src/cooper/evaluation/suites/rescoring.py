"""`cooper eval --rescore`: kept replies are read again by the rules of this version, and the report is written anew; no
model."""

import json
from collections.abc import Mapping, Sequence
from dataclasses import asdict, replace
from pathlib import Path
from typing import Any

from cooper.data.item import Item
from cooper.errors import CooperError
from cooper.evaluation.benchmarks.catalogue import BENCHMARKS
from cooper.evaluation.figures.summary import Report
from cooper.evaluation.judge.judge import Judge
from cooper.evaluation.judge.verdicts import Judgement, judge_rows, read_judged, store_judged
from cooper.evaluation.runs.answering import KEY, AnswerRow, check_row, read_answer, score_reply
from cooper.evaluation.runs.folder import FILE, read_part_lines, store_rules
from cooper.evaluation.suites import scenes
from cooper.evaluation.suites.published import PublishedSettings, open_published, read_published, reported
from cooper.evaluation.suites.scenes import ScenesSettings
from cooper.files.locks import held
from cooper.files.rows import read_object, write_whole
from cooper.files.values import build

AnySettings = PublishedSettings | ScenesSettings


def settings_of(folder: Path) -> AnySettings:
    """The settings of the run in a folder, from its `run.json`. CooperError: there is no run of questions."""
    path = folder / FILE
    if not path.is_file():
        raise CooperError(f"{folder} holds no run: {FILE} is missing")
    known = read_object(path)
    name = known.get("benchmark")
    kind = {"scenes": ScenesSettings}.get(str(name), PublishedSettings)
    if name != "scenes" and name not in BENCHMARKS:
        raise CooperError(f"{path}: benchmark is {name!r}, which has no replies to read again")
    origin = {key: known[key] for key in ("base", "weights", "inference") if key in known}
    fields = {key: value for key, value in known.items() if key in kind.__dataclass_fields__ and key not in ("origin", "out")}
    values: dict[str, Any] = {**fields, "modes": ["direct"], "out": str(folder), "origin": origin}
    return build(kind, values if name == "scenes" else {**values, "name": name, "judged": True}, str(path))


def rescore(settings: AnySettings) -> Report:
    """Read every kept reply again, keep what is read in rows.jsonl, and write the report over the rows that are there.

    Grades of a judge stay; what rules could not read is asked of a judge again only where the settings name one. CooperError:
    the folder holds another run or no rows, its questions have changed, or another command holds it.
    """
    with held(settings.out, "cooper eval --rescore"):
        if isinstance(settings, ScenesSettings):
            asked = scenes.open_scenes(settings, scenes.read_scenes(settings), rescore=True)
            rows = _read_again(settings.out, asked.items)
            return scenes.reported(rows, scenes.kept_maps(settings), settings, replace(asked, notes=_notes(asked, rows)))
        published = open_published(settings, read_published(settings), rescore=True)
        rows = _read_again(settings.out, published.items)
        modes = list(dict.fromkeys(row.mode for row in rows))
        found = _judged_again(settings, rows, published.items)
        store_judged(settings.out, found.judged, modes)
        return reported(rows, found, settings, replace(published, notes=_notes(published, rows)), modes)


def _read_again(folder: Path, items: Sequence[Item]) -> list[AnswerRow]:
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


def _judged_again(settings: PublishedSettings, rows: Sequence[AnswerRow], items: Sequence[Item]) -> Judgement:
    if settings.judge is not None:
        return judge_rows(rows, items, Judge(settings.judge))
    open_rows = {(row.mode, row.id) for row in rows if row.unscored or row.extracted == ""}
    kept = tuple(each for each in read_judged(settings.out) if (each.mode, each.id) in open_rows)
    return Judgement(kept, {"judge": f"{kept[0].judge}, kept from before"} if kept else {})


def _notes(asked: Any, rows: Sequence[AnswerRow]) -> tuple[str, ...]:
    wanted = len(asked.items) * len({row.mode for row in rows})
    short = [f"{wanted - len(rows)} of {wanted} rows are not answered yet"] if len(rows) < wanted else []
    return (*asked.notes, *short, "the replies were read again (--rescore)")
