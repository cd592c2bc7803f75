"""Scenes on disk: `OUT/dataset.json` and `OUT/shard-00000.parquet`, ..., pictures as PNG bytes (docs/reference/scenes.md)."""

import io
import json
from collections import OrderedDict
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from threading import Lock
from types import ModuleType
from typing import Any

import numpy as np
from PIL import Image

from cooper.errors import CooperError
from cooper.files.rows import read_object, write_whole
from cooper.files.values import build
from cooper.scenes.room.catalogue import CLASS_NAMES, SPLITS
from cooper.scenes.room.ranges import FORMATS, ranges_of
from cooper.scenes.room.render import SceneRecord
from cooper.scenes.room.scene import Scene, scene_from_json

SHARD = 100  # scenes in a whole shard
COLUMNS = ("rgb", "depth", "labels", "instances", "scene")
LIMITS = {"count": (1, 1 << 26), "seed": (0, (1 << 26) - 1), "size": (32, 1024), "spp": (1, 4096), "shard": (1, 1 << 16)}
PIXEL_MODES = {
    "rgb": ("RGB",),
    "depth": ("I;16", "I;16B", "I"),
    "labels": ("L",),
    "instances": ("L",),
}  # of the stored pictures
OPEN_SHARDS = 4  # shards a reader keeps in memory


@dataclass(frozen=True)
class SetInfo:
    """What `dataset.json` says: how the set was rendered."""

    count: int
    seed: int
    split: str
    size: int
    spp: int
    shard: int = SHARD
    format: int = 2


def shard_path(folder: Path, number: int) -> Path:
    return folder / f"shard-{number:05d}.parquet"


def write_shard(path: Path, records: Sequence[SceneRecord]) -> None:
    """Write one shard whole or not at all: to a neighbour file first, which then takes its name."""
    pyarrow, parquet = _arrow()
    rows = [_encode(record) for record in records]
    columns = {name: [row[name] for row in rows] for name in COLUMNS}
    kinds = [(name, pyarrow.string() if name == "scene" else pyarrow.binary()) for name in COLUMNS]
    _write_table(path, pyarrow.table(columns, schema=pyarrow.schema(kinds)), parquet)


def join_shard(path: Path, pieces: Sequence[Path]) -> None:
    """Write the shard that holds the scenes of `pieces` one after another: the same bytes as if it had been written at once."""
    pyarrow, parquet = _arrow()
    _write_table(path, pyarrow.concat_tables(_read_shard(piece) for piece in pieces).combine_chunks(), parquet)


def _write_table(path: Path, table: Any, parquet: ModuleType) -> None:
    buffer = io.BytesIO()
    parquet.write_table(table, buffer, compression="none", use_dictionary=False)
    write_whole(path, buffer.getvalue())


def write_info(folder: Path, info: SetInfo) -> None:
    text = json.dumps(asdict(info), indent=2, sort_keys=True) + "\n"
    write_whole(folder / "dataset.json", text)


def read_info(folder: Path) -> SetInfo:
    """The settings of a set. CooperError when the file is missing, not JSON, or of another format."""
    path = folder / "dataset.json"
    if not path.exists():
        raise CooperError(f"{path}: not found, so {folder} is no rendered scene set")
    info = build(SetInfo, read_object(path), f"{path}: not the settings of a scene set")
    if info.format not in FORMATS:
        known = " and ".join(map(str, FORMATS))
        raise CooperError(f"{path}: field format is {info.format}, this version reads {known}")
    if info.split not in SPLITS:
        raise CooperError(f"{path}: split is {info.split!r}; known: {', '.join(SPLITS)}")
    try:
        ranges_of(info.split, info.format)
    except CooperError as error:
        raise CooperError(f"{path}: {error}") from None
    for name, (low, high) in LIMITS.items():
        if not low <= getattr(info, name) <= high:
            raise CooperError(f"{path}: {name} is {getattr(info, name)}, not in {low}..{high}")
    return info


def shard_is_whole(path: Path, scenes: int) -> bool:
    """Whether the file is there, is a readable parquet file, and has that many scenes."""
    pyarrow, parquet = _arrow()
    if not path.exists():
        return False
    try:
        return parquet.read_metadata(path).num_rows == scenes
    except (OSError, pyarrow.ArrowException):
        return False


class SceneSet:
    """A rendered set as a sequence of `SceneRecord`; shards are read when a scene of theirs is asked for.

    Scenes that are still being rendered are not counted: `len` covers the whole shards found from the first on.
    """

    def __init__(self, folder: str | Path):
        self.folder = Path(folder)
        self.info = read_info(self.folder)
        self._length = 0
        for number in range(-(-self.info.count // self.info.shard)):
            if not shard_path(self.folder, number).exists():
                break
            self._length = min(self.info.count, (number + 1) * self.info.shard)
        if not self._length:
            raise CooperError(f"{shard_path(self.folder, 0)}: not found, nothing was rendered yet")
        self._shards: OrderedDict[int, Any] = OrderedDict()
        self._opening = Lock()  # rows may be made by several threads

    def __len__(self) -> int:
        return self._length

    def __getitem__(self, index: int) -> SceneRecord:
        return _decode({name: self._cell(index, name) for name in COLUMNS}, self._place(index), self.info.size)

    def scene(self, index: int) -> Scene:
        """What stands where in one scene, without its pictures."""
        return scene_from_json(self._cell(index, "scene"), self._place(index))

    def picture_file(self, index: int) -> bytes:
        """The PNG file of one scene's picture, as it is stored. CooperError: there is none."""
        content = self._cell(index, "rgb")
        if not isinstance(content, bytes):
            raise CooperError(f"{self._place(index)}, column rgb: no PNG picture is there")
        return content

    def _cell(self, index: int, name: str) -> Any:
        if not 0 <= index < self._length:
            raise IndexError(f"{self.folder}: scene {index} is not in 0..{self._length - 1}")
        number, row = divmod(index, self.info.shard)
        return self._shard(number).column(name)[row].as_py()

    def _place(self, index: int) -> str:
        number, row = divmod(index, self.info.shard)
        return f"{shard_path(self.folder, number)} row {row}"

    def _shard(self, number: int) -> Any:
        with self._opening:
            if number in self._shards:
                self._shards.move_to_end(number)
                return self._shards[number]
            table = _read_shard(shard_path(self.folder, number))
            wanted = min(self.info.shard, self.info.count - number * self.info.shard)
            if table.num_rows != wanted:
                path = shard_path(self.folder, number)
                raise CooperError(f"{path}: has {table.num_rows} scenes instead of {wanted}; render the set again")
            self._shards[number] = table
            if len(self._shards) > OPEN_SHARDS:
                self._shards.popitem(last=False)
            return table


def _read_shard(path: Path) -> Any:
    pyarrow, parquet = _arrow()
    try:
        table = parquet.read_table(path)
    except (OSError, ValueError, pyarrow.ArrowException) as error:
        raise CooperError(f"{path}: truncated or no parquet file; delete it and render again to resume") from error
    missing = [name for name in COLUMNS if name not in table.column_names]
    if missing:
        raise CooperError(f"{path}: column {missing[0]!r} is missing")
    return table


def _encode(record: SceneRecord) -> dict[str, bytes | str]:
    millimetres = np.round(record.depth_m * 1000).astype(np.uint16)
    return {
        "rgb": _png(record.rgb),
        "depth": _png(millimetres),
        "labels": _png(record.labels),
        "instances": _png(record.instances),
        "scene": record.scene.to_json(),
    }


def _decode(cells: dict[str, Any], source: str, size: int) -> SceneRecord:
    pictures = {name: _pixels(cells[name], name, size, f"{source}, column {name}") for name in PIXEL_MODES}
    if pictures["labels"].max() >= len(CLASS_NAMES):
        raise CooperError(f"{source}, column labels: holds class {pictures['labels'].max()}; there are {len(CLASS_NAMES)}")
    return SceneRecord(
        rgb=pictures["rgb"],
        depth_m=pictures["depth"].astype(np.float32) / np.float32(1000),
        labels=pictures["labels"],
        instances=pictures["instances"],
        scene=scene_from_json(cells["scene"], source),
    )


def _png(array: np.ndarray) -> bytes:
    buffer = io.BytesIO()
    Image.fromarray(array).save(buffer, format="PNG", compress_level=6)
    return buffer.getvalue()


def _pixels(content: Any, name: str, size: int, source: str) -> np.ndarray:
    """The pixels of a stored picture, looked at before they are unpacked: a PNG of the set's size and the column's kind."""
    if not isinstance(content, bytes):
        raise CooperError(
            f"{source}: {'empty cell' if content is None else type(content).__name__} where a PNG picture should be"
        )
    try:
        with Image.open(io.BytesIO(content), formats=("PNG",)) as image:
            if image.size != (size, size):
                raise CooperError(f"{source}: is {image.width} x {image.height} px, the set has {size} x {size}")
            if image.mode not in PIXEL_MODES[name]:
                raise CooperError(f"{source}: is a picture of kind {image.mode}, not {PIXEL_MODES[name][0]}")
            return np.array(image)
    except (OSError, SyntaxError, ValueError, Image.DecompressionBombError) as error:
        raise CooperError(f"{source}: not a readable PNG picture ({error})") from error


def _arrow() -> tuple[ModuleType, ModuleType]:
    try:
        import pyarrow
        import pyarrow.parquet as parquet
    except ImportError as error:
        raise CooperError("scene sets need pyarrow: pip install pyarrow") from error
    return pyarrow, parquet
