"""Faults of one row of a layout that is imported: of its fields, its pictures and of each trace that the import makes of it."""

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from cooper.data.sources.imports.kinds import KINDS, OF_BYTES, row_reader
from cooper.data.sources.imports.parts import coded
from cooper.data.sources.imports.tables import LostRow, json_cell
from cooper.errors import CooperError
from cooper.files.pictures import LazyPicture
from cooper.files.rows import Line
from cooper.files.values import shown
from cooper.training.feed.faults.fault import Fault, told
from cooper.training.feed.faults.seeing import RowSeeing
from cooper.training.feed.faults.seen import Seen
from cooper.training.traces import RowLengths

PICTURES = ("image", "image_list")  # fields that hold files of pictures


@dataclass(frozen=True, eq=False, kw_only=True)
class ImportCheck:
    """How rows are checked that `cooper data import` makes traces of. `kind`: their layout, one of `KINDS`; `images`: the
    folder of the pictures that they name; the rest as in `RowCheck`."""

    kind: str
    images: Path | None
    lengths: RowLengths
    longest: int
    thumbs: bool = False

    def __call__(self, line: Line | LostRow) -> Seen:
        """What is seen of one row."""
        if isinstance(line, LostRow):
            return Seen(place=line.place, faults=(told(line.place, line.said),))
        seeing = RowSeeing(line, self)
        try:
            rows = row_reader(self.kind, Path(line.place.rpartition(", ")[0]), self.images)(line)
        except CooperError as error:
            seeing.fault(error)
            seeing.look(_pictures(line) if self.kind in OF_BYTES else ())
            return seeing.told()
        looked: set[int] = set()  # by picture: the traces of a row share theirs
        for row in rows:
            seeing.look((name, picture) for name, picture in seeing.named(row) if id(picture) not in looked)
            looked.update(map(id, row.pictures))
        for row in rows:
            seeing.chain(row, KINDS[self.kind], parts=False, answers=self.kind in ("thinkmorph", "clear"))
        if self.kind == "bagel-t2i":
            seeing.faults += _captions(line)
        return seeing.told()


def _pictures(line: Line) -> Iterator[tuple[str, LazyPicture]]:
    """The pictures of a row that cannot be read, as far as its fields hold any."""
    for name in PICTURES:
        values = line.values.get(name)
        for value in values if isinstance(values, list) else [values]:
            try:
                yield "picture", coded(value, f"{line.place}, field {name!r}")
            except CooperError:  # the reader has told it, or the field is not of this layout
                continue


def _captions(line: Line) -> Iterator[Fault]:
    """Captions without a word, of which no trace is made."""
    for name, text in json_cell(line, "captions").items():
        if not text.strip():
            yield Fault(place=line.place, kind="no_words", said=f"the caption {shown(name)} is empty, so it is left out")
