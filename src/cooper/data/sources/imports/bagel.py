"""The parquet sets of BAGEL: pictures with captions, and pictures that are edited step by step.

t2i: `image`, the bytes of a picture, and `captions`, a JSON text `{NAME: CAPTION}`. Each caption becomes a row: the caption
is the question, and the picture is drawn. Editing: `image_list`, the bytes of a picture and of what each step makes of it,
and `instruction_list`, for each step a list of wordings. Each wording becomes a row: the first picture and instruction are
the question, and every later picture is drawn and read."""

from cooper.data.sources.imports.parts import bytes_in, coded, texts_in
from cooper.data.sources.imports.tables import json_cell
from cooper.data.sources.reasoning.row import PICTURE, ShownMap, TraceRow
from cooper.errors import CooperError
from cooper.files.rows import Line
from cooper.trace.steps import TextStep


def caption_rows(line: Line) -> list[TraceRow]:
    """A row for each caption of a picture. CooperError: a field at fault."""
    captions = json_cell(line, "captions")
    if not isinstance(captions, dict) or not captions or not all(isinstance(text, str) for text in captions.values()):
        raise CooperError(f"{line.place}: the field 'captions' holds no object of texts")
    said = [text.strip() for text in captions.values() if text.strip()]
    if not said:
        raise CooperError(f"{line.place}: all captions are empty")
    picture = coded(line.values.get("image"), f"{line.place}, field 'image'")
    return [TraceRow(line.place, (text,), (ShownMap(picture, picture, PICTURE),)) for text in dict.fromkeys(said)]


def editing_rows(line: Line) -> list[TraceRow]:
    """A row for each wording of the instructions. CooperError: a field at fault."""
    pictures = bytes_in(line, "image_list")
    wordings = line.values.get("instruction_list")
    if not isinstance(wordings, list) or len(wordings) != len(pictures) - 1 or not wordings:
        raise CooperError(
            f"{line.place}: 'image_list' has {len(pictures)} pictures, so 'instruction_list' must have one step fewer"
        )
    steps = [texts_in(said, f"{line.place}, 'instruction_list'[{number}]") for number, said in enumerate(wordings)]
    rows = []
    for number in range(max(map(len, steps))):
        asked = [said[number % len(said)] for said in steps]
        parts: list[TextStep | ShownMap] = []
        for place, picture in enumerate(pictures[1:]):
            if place:
                parts.append(TextStep(asked[place], author="prompt"))
            parts.append(ShownMap(picture, picture, PICTURE))
        rows.append(TraceRow(line.place, (pictures[0], asked[0]), tuple(parts)))
    return rows
