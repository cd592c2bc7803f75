"""Small data in the exact published form for every benchmark of the catalogue: a question for which nano wants a map."""

import base64
import csv
import json
from collections.abc import Mapping, Sequence
from io import BytesIO
from pathlib import Path
from typing import Any

import pyarrow
from PIL import Image, ImageDraw
from pyarrow import parquet

ASKED = "How far is the red cube from the camera?"
CHOICES = {"A": "1 m", "B": "3 m"}


def room() -> bytes:
    """The file of a picture of 64 px: a red box and a blue ball on a brown floor."""
    image = Image.new("RGB", (64, 64), (200, 190, 180))
    pen = ImageDraw.Draw(image)
    pen.rectangle((0, 32, 64, 64), fill=(120, 90, 60))
    pen.rectangle((15, 30, 30, 48), fill=(200, 20, 20))
    pen.ellipse((40, 35, 55, 50), fill=(20, 30, 200))
    buffer = BytesIO()
    image.save(buffer, "PNG")
    return buffer.getvalue()


def table(path: Path, rows: Sequence[Mapping[str, Any]]) -> Path:
    """Rows as TSV, or as CSV where the name ends so."""
    with open(path, "w", encoding="utf-8", newline="") as file:
        lines = csv.DictWriter(file, list(rows[0]), delimiter="," if path.suffix == ".csv" else "\t")
        lines.writeheader()
        lines.writerows(rows)
    return path


def published(name: str, folder: Path) -> Path:
    """Write the data of one benchmark; the place to hand to --data."""
    folder.mkdir()
    family = next(family for family in MAKERS if name.startswith(family))
    return MAKERS[family](name, folder)


def _mmvp(_name: str, folder: Path) -> Path:
    (folder / "MMVP Images").mkdir()
    rows = []
    for number in (1, 2):
        (folder / "MMVP Images" / f"{number}.png").write_bytes(room())
        rows.append({"Index": number, "Question": ASKED, "Options": "(a) 1 m (b) 3 m", "Correct Answer": "(b)"})
    table(folder / "Questions.csv", rows)
    return folder


def _mmbench(name: str, folder: Path) -> Path:
    file = "MMBench_V11_MINI" if name.startswith("mmbench-v11-mini") else "MMBench_DEV_EN_V11"
    row = {"index": 7, "question": ASKED, "hint": "", **CHOICES, "C": "", "D": "", "answer": "B", "category": "spatial"}
    table(folder / f"{file}.tsv", [{**row, "split": "dev", "image": base64.b64encode(room()).decode()}])
    return folder


def _sibench(name: str, folder: Path) -> Path:
    """The file of one setting, or of all in one."""
    (folder / "images").mkdir()
    (folder / "images" / "0.png").write_bytes(room())
    setting = name.removesuffix("-mini").removeprefix("sibench").removeprefix("-")
    stem = setting or "SIBench_Single_Image"
    base = {"input_type": "image", "image_path": "0.png", "data_source": "SpatialBench"}
    row = {"index": 0, "question": ASKED, "answer": "3", "type": "Number", **base, "setting": setting or "Height"}
    table(folder / f"{stem}{'_MINI' if name.endswith('-mini') else ''}.tsv", [row])
    return folder


def _q_spatial(name: str, folder: Path) -> Path:
    image = {"bytes": room(), "path": "0.png"}
    row = {"question": ASKED, "answer_value": 300.0, "answer_unit": "centimeter", "question_type": "distance"}
    file = folder / f"QSpatial_{name.removeprefix('q-spatial-')}-00000-of-00001.parquet"
    parquet.write_table(pyarrow.Table.from_pylist([{**row, "image_path": "0.png", "image": image}]), file)
    return folder


def _mm_vet(_name: str, folder: Path) -> Path:
    (folder / "images").mkdir()
    (folder / "images" / "v1_0.png").write_bytes(room())
    entry = {"imagename": "v1_0.png", "question": ASKED, "answer": "3 m", "capability": ["spat"]}
    (folder / "mm-vet.json").write_text(json.dumps({"v1_0": entry}))
    return folder


def _questions(_name: str, folder: Path) -> Path:
    (folder / "room.png").write_bytes(room())
    row = {"id": "near", "image": "room.png", "question": ASKED, "type": "Number", "answer": "2.5", "tolerance": 0.2}
    (folder / "mine.jsonl").write_text(json.dumps(row) + "\n", encoding="utf-8")
    return folder / "mine.jsonl"


MAKERS = {
    "questions": _questions,
    "mmvp": _mmvp,
    "mmbench": _mmbench,
    "sibench": _sibench,
    "q-spatial": _q_spatial,
    "mm-vet": _mm_vet,
}
