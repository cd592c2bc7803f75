"""The rows of CLEAR: a question about a degraded picture, and a reply that may restore it first.

`image`: a name, of the degraded picture in one folder and of the clean one in another; `conversations` as in LLaVA form. The
mark `<image_restore>` in a reply asks for the clean picture, which is drawn there and read."""

from pathlib import Path

from cooper.data.sources.reasoning.conversations import MARK, SPEAKERS
from cooper.data.sources.reasoning.own import picture_file
from cooper.data.sources.reasoning.row import PICTURE, ShownMap, TraceRow, field_of, objects_of
from cooper.errors import CooperError
from cooper.files.rows import Line
from cooper.files.values import shown
from cooper.trace.steps import TextStep

RESTORE = "<image_restore>"
CLEAN = "clean"  # the folder of the clean pictures, beside that of the degraded ones


def is_restored(line: Line) -> bool:
    """Whether a row of conversations asks for a clean picture, and so is one of CLEAR."""
    turns = line.values.get("conversations")
    said = [turn.get("value") for turn in turns if isinstance(turn, dict)] if isinstance(turns, list) else []
    return any(isinstance(text, str) and RESTORE in text for text in said)


def clear_rows(line: Line, images: Path, clean: Path) -> list[TraceRow]:
    """The row of a line. CooperError: a field at fault."""
    words: list[str] = []
    steps: list[TextStep | ShownMap] = []
    for values, place in objects_of(line, "conversations"):
        speaker, text = field_of(values, place, "from", str), field_of(values, place, "value", str)
        if SPEAKERS.get(speaker) not in ("user", "assistant"):
            raise CooperError(f"{place}: the field 'from' is {shown(speaker)}; known: human, gpt")
        if SPEAKERS[speaker] == "user":
            said = text.replace(MARK, "").strip()
            if steps:
                steps.append(TextStep(said, author="prompt"))
            else:
                words.append(said)
            continue
        *before, last = text.split(RESTORE)
        for piece in before:
            steps += [TextStep(f"{piece}{RESTORE}".strip()), _restored(line, clean)]
        if last.strip():
            steps.append(TextStep(last.strip()))
    return [TraceRow(line.place, (picture_file(line.values, line.place, images), *words), tuple(steps))]


def _restored(line: Line, clean: Path) -> ShownMap:
    picture = picture_file(line.values, line.place, clean)
    return ShownMap(picture, picture, PICTURE)
