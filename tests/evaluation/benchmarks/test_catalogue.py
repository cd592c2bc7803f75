"""Benchmarks by name, and what a set says about itself."""

import pytest

from cooper.errors import CooperError
from cooper.evaluation.benchmarks import mm_vet, mmbench, mmvp, q_spatial
from cooper.evaluation.benchmarks.catalogue import BENCHMARKS, read_benchmark
from cooper.evaluation.benchmarks.items import checked_set, item_id
from cooper.evaluation.benchmarks.sibench import SETTINGS


def test_all_benchmarks_have_names_and_counts():
    columns = ("sibench", "q-spatial-plus", "mmvp", "mmbench-v11-mini", "mm-vet")  # of the COOPER paper's first table
    assert set(columns) <= set(BENCHMARKS) and all(name == known.name for name, known in BENCHMARKS.items())
    counts = (q_spatial.EXPECTED["plus"], q_spatial.EXPECTED["scannet"], mmvp.EXPECTED, mmbench.EXPECTED[mmbench.MINI])
    assert (*counts, mm_vet.EXPECTED) == (101, 170, 300, 108, 218)
    assert {f"sibench-{setting}{end}" for setting in SETTINGS for end in ("", "-mini")} < set(BENCHMARKS)


def test_reading_by_name(tmp_path, write_table, picture, monkeypatch):
    row = {"index": 1, "question": "How high?", "answer": "2", "type": "Number", "input_type": "image", "image_path": "1.png"}
    write_table(tmp_path / "Height.tsv", [row])
    (tmp_path / "1.png").write_bytes(picture(1))
    asked = []
    monkeypatch.setattr("huggingface_hub.snapshot_download", lambda name, **_: asked.append(name) or str(tmp_path))
    assert read_benchmark("sibench-Height", tmp_path).items == read_benchmark("sibench-Height").items
    assert asked == ["Two-hot/SIBench"]


def test_odd_requests_are_named(tmp_path):
    with pytest.raises(CooperError, match="unknown benchmark 'mmmu'; known: sibench, "):
        read_benchmark("mmmu")
    with pytest.raises(CooperError, match="mmbench-v11-mini is not on the hub: name the folder"):
        read_benchmark("mmbench-v11-mini")
    with pytest.raises(CooperError, match=r"holds none of Questions\.csv"):
        read_benchmark("mmvp", tmp_path)


def test_sets_count_their_questions(items):
    whole = checked_set("made", items, len(items))
    assert whole.notes == () and whole.items == tuple(items)
    assert checked_set("made", items, 0).notes == ()
    assert checked_set("made", items, 7, ["more"]).notes == ("made: 22 questions, 7 were published", "more")
    assert checked_set("made", items, 7, found=7).notes == ()
    with pytest.raises(CooperError, match="two questions have one id"):
        checked_set("made", [items[0], items[0]], 2)
    with pytest.raises(CooperError, match="no question is left"):
        checked_set("made", [], 2)


def test_ids_name_folders():
    assert item_id("mmvp", "7/2 b") == "mmvp-7_2_b"
