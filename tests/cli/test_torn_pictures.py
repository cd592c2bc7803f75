"""A picture whose header is good and whose rest is torn stops a run of nano late: nothing is lost, and the run goes on."""

import json
from pathlib import Path

import numpy as np
import pytest

from cooper.files.rows import read_rows
from tests.cli.test_bad_data import png
from tests.evaluation.benchmarks.published_tables import published, room

NOISE = np.random.default_rng(0).integers(0, 255, (64, 64, 3), np.uint8)  # which no compression makes small
WHERE_TO_GO = "mend the file and run the same command again, or add --skip-bad"


def torn(content: bytes) -> bytes:
    return content[: len(content) // 2]


def questions(folder: Path) -> tuple[tuple, Path, str, str]:
    data = published("mmvp", folder)
    return ("mmvp", "--mode", "direct", "--data", data), data / "MMVP Images" / "2.png", "row 2, field", "rows.jsonl"


def pictures(folder: Path) -> tuple[tuple, Path, str, str]:
    folder.mkdir()
    for number in (1, 2):
        (folder / f"rgb_000{number}.png").write_bytes(room())
        (folder / f"depth_000{number}.png").write_bytes(png(NOISE[:, :, 0].astype(np.uint16) * 9 + 1000))
    return ("depth", "--dataset", "nyu", "--data", folder), folder / "rgb_0002.png", "rgb_0002.png", "depth.jsonl"


def truths(folder: Path) -> tuple[tuple, Path, str, str]:
    words, _, _, rows = pictures(folder)
    return words, folder / "depth_0002.png", "depth_0002.png", rows


@pytest.mark.parametrize("made", [questions, pictures, truths])
@pytest.mark.parametrize("then", ["mended", "skipped and mended"])
def test_a_torn_picture_costs_no_rows(run, tmp_path, made, then):
    words, path, place, name = made(tmp_path / "data")
    whole = path.read_bytes()
    path.write_bytes(torn(whole))
    words = ("eval", *words, "--out", tmp_path / "out", "--batch", "1")
    ran = run(*words)
    said = " ".join(ran.err.split())
    assert ran.code == 1 and path.name in said and place in said and WHERE_TO_GO in said and "Traceback" not in said
    first = read_rows(tmp_path / "out" / name)
    assert len(first) == 1
    if then == "skipped and mended":
        ran = run(*words, "--skip-bad")
        assert ran.code == 0 and "1 left out" in (tmp_path / "out" / "report.md").read_text(), ran.err
        assert read_rows(tmp_path / "out" / name) == first
    path.write_bytes(whole)
    ran = run(*words, "--json")
    assert ran.code == 0, ran.err
    rows = read_rows(tmp_path / "out" / name)
    assert len(rows) == 2 and rows[:1] == first and "left out" not in json.dumps(json.loads(ran.out))
