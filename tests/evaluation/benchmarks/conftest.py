"""Small tables and pictures in the formats in which the benchmarks are published."""

import base64
import csv
from collections.abc import Callable, Mapping, Sequence
from io import BytesIO
from pathlib import Path
from typing import Any

import pytest
from PIL import Image


def encoded(red: int, kind: str = "PNG") -> bytes:
    """The file of a 16 x 12 picture in one colour."""
    buffer = BytesIO()
    Image.new("RGB", (16, 12), (red, 0, 0)).save(buffer, kind)
    return buffer.getvalue()


@pytest.fixture
def picture() -> Callable[..., bytes]:
    return encoded


@pytest.fixture
def base64_picture() -> Callable[[int], str]:
    return lambda red: base64.b64encode(encoded(red)).decode()


@pytest.fixture
def write_table() -> Callable[..., Path]:
    """Write rows as the kits do (quoted where needed); columns in the order of the first row."""

    def write(path: Path, rows: Sequence[Mapping[str, Any]], end: str = "\n", bom: bool = False) -> Path:
        path.parent.mkdir(parents=True, exist_ok=True)
        with open(path, "w", encoding="utf-8-sig" if bom else "utf-8", newline="") as file:
            delimiter = "," if path.suffix == ".csv" else "\t"
            table = csv.DictWriter(file, list(rows[0]), delimiter=delimiter, lineterminator=end)
            table.writeheader()
            table.writerows(rows)
        return path

    return write


@pytest.fixture
def write_parquet() -> Callable[[Path, Sequence[Mapping[str, Any]]], Path]:
    pyarrow, parquet = pytest.importorskip("pyarrow"), pytest.importorskip("pyarrow.parquet")

    def write(path: Path, rows: Sequence[Mapping[str, Any]]) -> Path:
        path.parent.mkdir(parents=True, exist_ok=True)
        parquet.write_table(pyarrow.Table.from_pylist([dict(row) for row in rows]), path)
        return path

    return write


@pytest.fixture
def red() -> Callable[[Any], list[int]]:
    """How red the pictures of an item's question are, once decoded."""
    return lambda item: [image.getpixel((0, 0))[0] for image in item.question.images]
