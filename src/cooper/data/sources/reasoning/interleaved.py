"""The published rows of stage 2, interleaved or in words only: `interleaved_reason`, a list of parts in the order of reading.

A part is `{"type": "text", "value": WORDS, "need_loss": "true"}` (or `"false"`), or a picture: any other type, and as value the
base64 text of a picture file, with or without `data:...;base64,` in front. Words with the loss "true" are learned, and so is
their end token; pictures never are. All before the first words with a loss is the question. The system text is that of the
checkpoint.
"""

import base64
import binascii
from collections.abc import Mapping
from typing import Any

from cooper.data.sources.reasoning.row import ShownMap, TraceRow, field_of, objects_of
from cooper.errors import CooperError
from cooper.files.pictures import LazyPicture
from cooper.files.rows import Line
from cooper.files.values import shown
from cooper.trace.steps import TextStep

PARTS = "interleaved_reason"


def interleaved_row(line: Line) -> TraceRow:
    """A published row. CooperError names the part and the field at fault."""
    parts = [part_of(values, place) for values, place in objects_of(line, PARTS)]
    return row_of_parts(line, parts)


def row_of_parts(line: Line, parts: list[TextStep | LazyPicture], **said: Any) -> TraceRow:
    """Parts as a row: what stands before the first learned words is the question. `said`: the row's mode, system text, id."""
    learned = (number for number, part in enumerate(parts) if isinstance(part, TextStep) and part.author == "model")
    first = next(learned, len(parts))
    question = tuple(part.text if isinstance(part, TextStep) else part for part in parts[:first])
    steps = tuple(part if isinstance(part, TextStep) else ShownMap(part) for part in parts[first:])
    return TraceRow(line.place, question, steps, **said)


def part_of(values: Mapping[str, Any], place: str) -> TextStep | LazyPicture:
    """A part of a published row. CooperError names the field at fault."""
    value = field_of(values, place, "value", str)
    kind = field_of(values, place, "type", str)
    if kind != "text":
        said = "" if kind == "image" else f" (a picture, for the type is {shown(kind)})"
        return coded_picture(value, f"{place}, field 'value'{said}")
    loss = values.get("need_loss")
    if loss not in ("true", "false"):
        said = "is missing" if "need_loss" not in values else f"is {shown(loss)}"
        raise CooperError(f'{place}: the field \'need_loss\' {said}; it must be the text "true" or "false"')
    return TextStep(value, author="model" if loss == "true" else "prompt")


def coded_picture(text: str, place: str) -> LazyPicture:
    """The picture in a base64 text. CooperError: it is no base64."""
    code = text.partition(",")[2] if text.startswith("data:") else text
    try:
        return LazyPicture(place, base64.b64decode("".join(code.split()), validate=True))
    except (binascii.Error, ValueError):
        raise CooperError(f"{place}: the picture is no base64") from None
