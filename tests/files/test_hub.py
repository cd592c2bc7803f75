"""Folders, files and the hub, which is never reached here."""

import pytest

from cooper.errors import CooperError
from cooper.files.hub import find_files, local_data


def test_what_is_here_is_not_downloaded(tmp_path, monkeypatch):
    monkeypatch.setattr("huggingface_hub.snapshot_download", None)
    assert local_data(tmp_path, ()) == tmp_path
    with pytest.raises(CooperError, match="no such file or folder, and no hub id"):
        local_data(tmp_path / "none", ())


def test_a_hub_id_is_downloaded(tmp_path, monkeypatch):
    asked = []

    def download(name, **settings):
        asked.append((name, settings))
        return str(tmp_path)

    monkeypatch.setattr("huggingface_hub.snapshot_download", download)
    assert local_data("owner/some-name", ("*.tsv",)) == tmp_path
    assert asked == [("owner/some-name", {"repo_type": "dataset", "allow_patterns": ["*.tsv"]})]


def test_a_hub_that_cannot_be_reached_is_one_sentence(monkeypatch):
    def fail(name, **settings):
        raise OSError("no route to host\nsecond line")

    monkeypatch.setattr("huggingface_hub.snapshot_download", fail)
    with pytest.raises(CooperError, match=r"owner/name: no file or folder here, and it could not .*: no route to host$"):
        local_data("owner/name", ())


def test_the_first_pattern_that_matches_counts(tmp_path):
    (tmp_path / "data").mkdir()
    for name in ("b.tsv", "data/a-1.parquet", "data/a-0.parquet"):
        (tmp_path / name).touch()
    assert [path.name for path in find_files(tmp_path, ("a.tsv", "data/a-*.parquet", "b.tsv"))] == [
        "a-0.parquet",
        "a-1.parquet",
    ]
    assert find_files(tmp_path / "b.tsv", ("other.tsv",)) == [tmp_path / "b.tsv"]
    with pytest.raises(CooperError, match=r"holds none of x\.tsv, y\.tsv"):
        find_files(tmp_path, ("x.tsv", "y.tsv"))
