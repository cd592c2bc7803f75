"""Traces as rows of a JSON Lines file of your own, with their pictures beside it: files as they are, whole and looked at."""

from io import BytesIO
from pathlib import Path
from typing import Any

from PIL import Image

from cooper.data.sources.reasoning.row import PICTURE, ShownMap, TraceRow
from cooper.errors import CooperError
from cooper.files.pictures import LazyPicture
from cooper.files.rows import write_whole
from cooper.trace.modes import AnswerMode
from cooper.trace.prompts import DEFAULT
from cooper.trace.steps import TextStep

IMAGES = "images"
SUFFIX = {"JPEG": ".jpg", "MPO": ".jpg", "JPEG2000": ".jp2", "TIFF": ".tif"}
FEW = 1000  # rows whose pictures lie in one folder


class RowWriter:
    """Writes the traces of one row of a source: its pictures below `folder`, named by `number`, each once."""

    def __init__(self, folder: Path, number: int) -> None:
        self._folder, self._number = folder, number
        self._names: dict[int, str] = {}  # by the picture

    def values(self, row: TraceRow, name: str, mode: AnswerMode) -> dict[str, Any]:
        """The trace as a row that `own_row` reads, its pictures written. CooperError: one cannot be decoded, or nothing is
        learned of the row."""
        row.check(DEFAULT)
        if not row.question:
            raise CooperError(f"{row.place}: nothing stands before what is learned, so the row asks nothing")
        said: dict[str, Any] = {"id": name, "mode": row.mode or mode}
        if row.system is not None:
            said["system"] = row.system
        said["question"] = [{"text": part} if isinstance(part, str) else {"image": self._kept(part)} for part in row.question]
        said["steps"] = [self._step(step) for step in row.steps]
        return said

    def _step(self, step: TextStep | ShownMap) -> dict[str, str]:
        if isinstance(step, TextStep):
            return {"text": step.text} | ({} if step.author == "model" else {"author": step.author})
        drawn = {} if step.drawn is None else {"drawn": self._kept(step.drawn)}
        return {"map": step.modality or PICTURE, "image": self._kept(step.picture), **drawn}

    def _kept(self, picture: LazyPicture) -> str:
        """The path of a picture from the file of rows, written if it is not yet there."""
        if id(picture) not in self._names:
            picture.open()  # a torn one is found here
            content = picture.source if isinstance(picture.source, bytes) else _read(picture)
            place = f"{IMAGES}/{self._number // FEW:05d}/{self._number:08d}-{len(self._names)}{_suffix(picture)}"
            (self._folder / place).parent.mkdir(parents=True, exist_ok=True)
            write_whole(self._folder / place, content)
            self._names[id(picture)] = place
        return self._names[id(picture)]


def _read(picture: LazyPicture) -> bytes:
    try:
        return Path(str(picture.source)).read_bytes()
    except OSError as error:
        raise CooperError(f"{picture.place}: cannot read {picture.source}: {error.strerror}") from None


def _suffix(picture: LazyPicture) -> str:
    with Image.open(BytesIO(picture.source) if isinstance(picture.source, bytes) else picture.source) as image:
        return SUFFIX.get(image.format or "", f".{(image.format or 'png').lower()}")
