"""The parquet sets of ThinkMorph, in which words and drawn pictures alternate.

`image_list`: the bytes of the pictures of the question, then of those that are drawn; `instruction_list`: the question;
`output_text_list`: what is said, where `<image_start>` ends a text behind which a picture is drawn, and `<image_end>` begins
the text behind it."""

from cooper.data.sources.imports.parts import bytes_in, texts_in
from cooper.data.sources.reasoning.row import PICTURE, ShownMap, TraceRow
from cooper.errors import CooperError
from cooper.files.rows import Line
from cooper.trace.steps import TextStep

BEGIN, END = "<image_start>", "<image_end>"


def thinkmorph_rows(line: Line) -> list[TraceRow]:
    """The row of a line. CooperError: a field at fault, a mark out of its place, or fewer pictures than marks."""
    pictures = bytes_in(line, "image_list")
    asked = texts_in(line.values.get("instruction_list"), f"{line.place}, 'instruction_list'")
    said = texts_in(line.values.get("output_text_list"), f"{line.place}, 'output_text_list'")
    _check_marks(said, line.place)
    drawn = sum(text.endswith(BEGIN) for text in said)
    if drawn >= len(pictures):
        have = f"'image_list' has {len(pictures)} pictures, the first of which is asked about"
        raise CooperError(f"{line.place}: {drawn} texts end in {BEGIN}, and {have}")
    shown, left = pictures[: len(pictures) - drawn], iter(pictures[len(pictures) - drawn :])
    steps: list[TextStep | ShownMap] = []
    for text in said:
        words = text.removeprefix(END).removesuffix(BEGIN).strip()
        if words:
            steps.append(TextStep(words))
        if text.endswith(BEGIN):
            picture = next(left)
            steps.append(ShownMap(picture, picture, PICTURE))
    return [TraceRow(line.place, (*shown, *asked), tuple(steps))]


def _check_marks(said: list[str], place: str) -> None:
    """CooperError: a text goes on behind a picture that no text began, or has a mark in its middle."""
    before = ""
    for number, text in enumerate(said):
        where = f"{place}, 'output_text_list'[{number}]"
        if text.startswith(END) and not before.endswith(BEGIN):
            raise CooperError(f"{where}: the text begins with {END}, and none before it ends in {BEGIN}")
        for mark in (BEGIN, END):
            if mark in text.removeprefix(END).removesuffix(BEGIN):
                raise CooperError(f"{where}: the text has {mark} in its middle")
        before = text
