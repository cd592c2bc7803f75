"""Traces of your own, one JSON object a line, with the words of a stored trace:

    {"question": [{"image": "1.jpg"}, {"text": "How many cups?"}],
     "steps": [{"text": "<think>...</think><depth-estimation>...</depth-estimation>"},
               {"map": "depth", "image": "1.depth.png"}, {"text": "Check the map.", "author": "prompt"},
               {"text": "<think>...</think><answer>3</answer>"}]}

`question`: pictures (paths from the file's folder) and words in any order. `steps`: words, which are learned unless their
`author` is `prompt`, and maps: `image` is what the model reads; where `drawn` is given, it learns to draw that. `mode`:
interleaved (the default where there are maps), perception, text (the default where there are none) or direct. `system`: a
system text in place of the checkpoint's. `id`: a name.

Or a row is `{"trace": DIR}`, the folder of a stored trace: what the model wrote is learned, its maps are read.
"""

from collections.abc import Mapping
from pathlib import Path
from typing import Any, get_args

from cooper.data.sources.reasoning.row import ShownMap, TraceRow, field_of, objects_of
from cooper.errors import CooperError
from cooper.files.pictures import LazyPicture
from cooper.files.rows import Line
from cooper.files.values import shown
from cooper.trace.fields import Fields, read_fields
from cooper.trace.modes import AnswerMode, answer_mode
from cooper.trace.steps import Author, TextStep
from cooper.trace.store import RECORD

FIELDS = ("id", "mode", "system", "question", "steps")


def own_row(line: Line, folder: Path) -> TraceRow:
    """A row of traces. CooperError names the field at fault, an unknown one too."""
    if "trace" in line.values:
        _only(line.values, ("trace",), line.place)
        return _stored(line, folder / field_of(line.values, line.place, "trace", str))
    _only(line.values, FIELDS, line.place)
    question = tuple(_asked(values, place, folder) for values, place in objects_of(line, "question"))
    steps = tuple(_step(values, place, folder) for values, place in objects_of(line, "steps"))
    texts = {name: field_of(line.values, line.place, name, str) for name in ("system", "id") if name in line.values}
    mode: AnswerMode = "interleaved" if any(isinstance(step, ShownMap) for step in steps) else "text"
    if "mode" in line.values:
        try:
            mode = answer_mode(field_of(line.values, line.place, "mode", str))
        except CooperError as error:
            raise CooperError(f"{line.place}, field 'mode': {error}") from None
    return TraceRow(line.place, question, steps, mode, **texts)


def _stored(line: Line, folder: Path) -> TraceRow:
    """A trace that this program stored. CooperError: it is none, or no answer to a question."""
    try:
        said = read_fields(folder / RECORD)
        question, mode = said.child("question"), answer_mode(said.text("mode"))
        parts = tuple(
            part.text("text") if "text" in part.values else _beside(line, folder, part) for part in question.children("parts")
        )
        steps = tuple(_stored_step(line, folder, step) for step in said.children("steps"))
        return TraceRow(line.place, parts, steps, mode, said.text("system"), question.text("id"))
    except CooperError as error:
        raise CooperError(f"{line.place}, field 'trace': {error}") from None


def _stored_step(line: Line, folder: Path, step: Fields) -> TextStep | ShownMap:
    if step.text("kind") == "map":
        return ShownMap(_beside(line, folder, step), modality=step.text("modality"))
    return TextStep(step.text("text"), author=step.author("author"), truncated=step.truth("truncated"))


def _beside(line: Line, folder: Path, fields: Fields) -> LazyPicture:
    return LazyPicture(f"{line.place}, field 'trace'", folder / fields.text("image"))


def _asked(values: Mapping[str, Any], place: str, folder: Path) -> LazyPicture | str:
    if "text" in values:
        _only(values, ("text",), place)
        return field_of(values, place, "text", str)
    _only(values, ("image",), place)
    return picture_file(values, place, folder)


def _step(values: Mapping[str, Any], place: str, folder: Path) -> TextStep | ShownMap:
    if "map" in values:
        _only(values, ("map", "image", "drawn"), place)
        drawn = picture_file(values, place, folder, "drawn") if "drawn" in values else None
        return ShownMap(picture_file(values, place, folder), drawn, field_of(values, place, "map", str))
    _only(values, ("text", "author"), place)
    author = values.get("author", "model")
    if author not in get_args(Author):
        raise CooperError(f"{place}: the field 'author' is {shown(author)}; known: {', '.join(get_args(Author))}")
    return TextStep(field_of(values, place, "text", str), author=author)


def picture_file(values: Mapping[str, Any], place: str, folder: Path, name: str = "image") -> LazyPicture:
    """The picture that a field names. CooperError: it names none."""
    value = field_of(values, place, name, str)
    if not value.strip() or "\0" in value:
        raise CooperError(f"{place}: the field {name!r} must be the path of a picture, not {shown(value)}")
    return LazyPicture(f"{place}, field {name!r}", folder / value)


def _only(values: Mapping[str, Any], known: tuple[str, ...], place: str) -> None:
    for name in values:
        if name not in known:
            raise CooperError(f"{place}: unknown field {shown(name)}; known: {', '.join(known)}")
