"""Questions of a JSON Lines file that a user wrote: read once, every field checked, pictures opened when they are asked for."""

import math
from collections.abc import Sequence
from pathlib import Path
from string import ascii_uppercase
from typing import Any

from cooper.data.item import QUESTION_TYPES, TOLERANCE, Item, QuestionType
from cooper.errors import CooperError
from cooper.evaluation.benchmarks.items import BenchmarkSet, checked_set
from cooper.evaluation.runs.answering import check_items
from cooper.files.pictures import LazyPicture
from cooper.files.rows import Line, read_lines
from cooper.trace.steps import Question

NAME = "questions"  # of the benchmark that a user's own file is


def read_questions(path: str | Path) -> BenchmarkSet:
    """A user's own questions as a benchmark. CooperError as `read_question_file`."""
    return checked_set(NAME, read_question_file(Path(path)), 0)


def read_question_file(path: Path) -> list[Item]:
    """The questions of a file: `id`, `image` (a path from the file's folder, or several), `question`, `type` (MCQ, YN, Number,
    Number_Int), `answer`, and where wanted `choices`, `tolerance`, `category`; other fields are passed over.

    CooperError names the line and the field at fault. Whether the pictures can be read shows when they are opened.
    """
    if not path.exists():
        raise CooperError(f"cannot read the questions {path}: No such file or directory")
    items: list[Item] = []
    places: dict[str, str] = {}
    for line in read_lines(path, last_is_whole=True):
        item = own_question(line, path.parent)
        if item.id in places:
            raise CooperError(f"{line.place}: the id {item.id!r} stands in {places[item.id]} already")
        places[item.id] = line.place
        items.append(item)
    if not items:
        raise CooperError(f"{path} holds no question")
    return items


def own_question(line: Line, folder: Path) -> Item:
    """The question of a row. CooperError names the field at fault."""
    kinds: dict[str, QuestionType] = {kind: kind for kind in QUESTION_TYPES}
    name = _text(line, "id")
    pictures = tuple(LazyPicture(f"{line.place}, field 'image'", folder / file) for file in _pictures(line))
    question, kind = _text(line, "question"), _text(line, "type")
    if kind not in kinds:
        raise CooperError(f"{line.place}: type is {kind!r}; known: {', '.join(kinds)}")
    item = Item(
        id=name,
        category=_text(line, "category", ""),
        group="general",
        question=Question((*pictures, question), id=name),
        type=kinds[kind],
        truth=_text(line, "answer"),
        choices=_choices(line, kind == "MCQ"),
        tolerance=_tolerance(line),
    )
    try:
        check_items([item])
    except CooperError as error:
        raise CooperError(f"{line.place}: {error}") from None
    return item


def _text(line: Line, name: str, default: str | None = None) -> str:
    if name not in line.values and default is not None:
        return default
    value = line.values.get(name)
    if not isinstance(value, str) or not (value.strip() or default is not None) or "\0" in value:
        raise CooperError(f"{line.place}: the field {name!r} is missing or no text, but {_shown(value)}")
    return value


def _pictures(line: Line) -> Sequence[str]:
    value = line.values.get("image")
    names = [value] if isinstance(value, str) else value
    if (
        not isinstance(names, list)
        or not names
        or not all(isinstance(name, str) and name and "\0" not in name for name in names)
    ):
        raise CooperError(f"{line.place}: the field 'image' is missing or no path and no list of paths, but {_shown(value)}")
    return names


def _choices(line: Line, wanted: bool) -> tuple[str, ...]:
    value = line.values.get("choices", [])
    if not isinstance(value, list) or not all(isinstance(choice, str) and choice.strip() for choice in value):
        raise CooperError(f"{line.place}: the field 'choices' must be a list of texts, not {_shown(value)}")
    if wanted and not 2 <= len(value) <= len(ascii_uppercase):
        raise CooperError(f"{line.place}: a question of type MCQ needs 2 to {len(ascii_uppercase)} choices, not {len(value)}")
    return tuple(value)


def _tolerance(line: Line) -> float:
    value = line.values.get("tolerance", TOLERANCE)
    if isinstance(value, bool) or not isinstance(value, int | float) or not 0 < value < math.inf:
        raise CooperError(f"{line.place}: the field 'tolerance' must be a number above 0, not {_shown(value)}")
    return float(value)


def _shown(value: Any) -> str:
    return "nothing" if value is None else repr(value)[:60]
