"""The layouts that are imported: which fields tell each, and what reads its rows."""

from collections.abc import Callable, Collection, Mapping
from functools import cache, partial
from pathlib import Path

from cooper.data.sources.imports.bagel import caption_rows, editing_rows
from cooper.data.sources.imports.clear import CLEAN, clear_rows
from cooper.data.sources.imports.thinkmorph import thinkmorph_rows
from cooper.data.sources.reasoning.conversations import llava_row, messages_row
from cooper.data.sources.reasoning.row import TraceRow
from cooper.data.sources.reasoning.trace_file import picture_folder
from cooper.errors import CooperError
from cooper.files.rows import Line
from cooper.trace.modes import AnswerMode

KINDS: Mapping[str, AnswerMode] = {  # by kind, the mode in which its rows answer
    "bagel-t2i": "interleaved",
    "bagel-editing": "interleaved",
    "bagel-vlm": "direct",
    "thinkmorph": "interleaved",
    "messages": "direct",
    "clear": "interleaved",
}
FIELDS: Mapping[str, tuple[str, ...]] = {  # by kind, the fields that its rows have; the first kind that fits counts
    "thinkmorph": ("image_list", "instruction_list", "output_text_list"),
    "bagel-editing": ("image_list", "instruction_list"),
    "bagel-t2i": ("image", "captions"),
    "messages": ("messages",),
    "bagel-vlm": ("conversations",),
    "clear": ("image", "conversations"),
}
OF_BYTES: Mapping[str, Callable[[Line], list[TraceRow]]] = {  # layouts whose rows hold their pictures
    "bagel-t2i": caption_rows,
    "bagel-editing": editing_rows,
    "thinkmorph": thinkmorph_rows,
}


def kind_of_fields(names: Collection[str]) -> str | None:
    """The layout whose fields are all there; None: there is no such."""
    return next((kind for kind, fields in FIELDS.items() if set(fields) <= set(names)), None)


def nearest_kind(names: Collection[str]) -> str | None:
    """The layout of which most fields are there; None: not one field of any is."""
    shares = {kind: sum(field in names for field in fields) / len(fields) for kind, fields in FIELDS.items()}
    kind = max(shares, key=lambda each: shares[each])
    return kind if shares[kind] else None


def row_reader(
    kind: str, path: Path, images: Path | None = None, clean: Path | None = None
) -> Callable[[Line], list[TraceRow]]:
    """What reads a row of the file `path`. `images`, `clean`: folders of pictures, where they are not the usual ones."""
    if kind in OF_BYTES:
        return OF_BYTES[kind]
    folder = images or _beside(path)
    if kind == "clear":
        return partial(clear_rows, images=folder, clean=clean or path.parent / CLEAN)
    read = llava_row if kind == "bagel-vlm" else messages_row
    return lambda line: [read(line, folder)]


@cache
def _beside(path: Path) -> Path:
    """The folder of the pictures that a file names."""
    try:
        return picture_folder(path) if path.suffix == ".jsonl" else path.parent
    except CooperError:
        return path.parent
