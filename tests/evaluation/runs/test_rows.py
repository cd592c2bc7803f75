"""Rows survive kills, and a folder keeps one run."""

import pytest

from cooper.errors import CooperError
from cooper.evaluation.runs.folder import open_run
from cooper.files.rows import append_rows, batches, read_rows


def test_a_torn_line_is_passed_over_and_then_cut_off(tmp_path):
    path = tmp_path / "rows.jsonl"
    append_rows(path, [{"id": "a"}, {"id": "ä"}])
    with open(path, "a", encoding="utf-8") as file:
        file.write('{"id": "c", "val')
    assert [row["id"] for row in read_rows(path)] == ["a", "ä"]
    append_rows(path, [{"id": "c"}])
    assert [row["id"] for row in read_rows(path)] == ["a", "ä", "c"]


def test_a_line_torn_inside_a_character_is_passed_over(tmp_path):
    path = tmp_path / "rows.jsonl"
    append_rows(path, [{"id": "a"}])
    with open(path, "ab") as file:
        file.write('{"id": "ä'.encode()[:-1])
    assert [row["id"] for row in read_rows(path)] == ["a"]


def test_a_file_that_is_one_torn_line_starts_again(tmp_path):
    path = tmp_path / "rows.jsonl"
    path.write_text("x" * 100_000)
    assert read_rows(path) == []
    append_rows(path, [{"id": "a"}])
    assert path.read_text() == '{"id": "a"}\n'


def test_a_long_torn_line_after_good_ones(tmp_path):
    path = tmp_path / "rows.jsonl"
    append_rows(path, [{"id": "a"}])
    with open(path, "a") as file:
        file.write("y" * 200_000)
    append_rows(path, [{"id": "b"}])
    assert [row["id"] for row in read_rows(path)] == ["a", "b"]


def test_broken_rows_are_named(tmp_path):
    path = tmp_path / "rows.jsonl"
    path.write_text('{"id": 1}\nnot json\n')
    with pytest.raises(CooperError, match=r"rows\.jsonl, line 2: not JSON"):
        read_rows(path)
    path.write_text("[1]\n")
    with pytest.raises(CooperError, match="line 1: not a JSON object"):
        read_rows(path)
    assert read_rows(tmp_path / "none.jsonl") == []


def test_a_folder_keeps_one_run(tmp_path):
    open_run(tmp_path / "run", {"model": "nano", "seed": 1})
    open_run(tmp_path / "run", {"model": "nano", "seed": 1})
    with pytest.raises(CooperError, match="a run with seed 1, not 2"):
        open_run(tmp_path / "run", {"model": "nano", "seed": 2})


def test_batches_cover_everything_once():
    assert batches([1, 2, 3, 4, 5], 2) == [[1, 2], [3, 4], [5]]
    with pytest.raises(CooperError, match="at least 1"):
        batches([1], 0)
