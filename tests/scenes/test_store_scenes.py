"""Scene sets on disk: whole shards, resuming, clear errors."""

from pathlib import Path

import numpy as np
import pytest

from cooper.errors import CooperError
from cooper.scenes import production
from cooper.scenes.production import RenderSettings, render_scenes
from cooper.scenes.room.render import SceneRecord, Staged
from cooper.scenes.room.sampling import SceneKey
from cooper.scenes.store import SceneSet, shard_path, write_shard


@pytest.fixture
def quick(monkeypatch: pytest.MonkeyPatch, staged: list[Staged]) -> list[int]:
    """Shards of three scenes, taken from the shared ones instead of being rendered; returns the indices asked for."""
    asked: list[int] = []

    def record(key: SceneKey, size: int, spp: int) -> SceneRecord:
        asked.append(key.index)
        item = staged[key.index]
        rgb = np.full((size, size, 3), key.index, np.uint8)
        return SceneRecord(rgb, item.geometry.depth_m, item.geometry.labels, item.geometry.instances, item.scene)

    monkeypatch.setattr(production, "render_record", record)
    monkeypatch.setattr(production, "SHARD", 3)
    return asked


def _settings(out: Path, count: int = 7, seed: int = 0) -> RenderSettings:
    return RenderSettings(count=count, seed=seed, split="test", out=out, size=64)


def test_a_set_is_read_as_it_was_rendered(tmp_path: Path, quick: list[int], staged: list[Staged]):
    told: list[int] = []
    assert render_scenes(_settings(tmp_path), lambda done, count: told.append(done)) == 7
    assert told == [0, 3, 6, 7]
    scenes = SceneSet(tmp_path)
    assert len(scenes) == 7
    for index in (6, 0, 3):
        record = scenes[index]
        assert record.rgb.shape == (64, 64, 3) and record.rgb[0, 0, 0] == index
        assert record.depth_m.dtype == np.float32
        assert scenes.scene(index) == record.scene
        assert np.array_equal(record.depth_m, staged[index].geometry.depth_m)
        assert np.array_equal(record.labels, staged[index].geometry.labels)
        assert np.array_equal(record.instances, staged[index].geometry.instances)
        assert record.scene == staged[index].scene
    with pytest.raises(IndexError):
        scenes[7]


def test_a_broken_run_goes_on_with_the_missing_shards_only(tmp_path: Path, quick: list[int]):
    render_scenes(_settings(tmp_path))
    before = [shard_path(tmp_path, number).read_bytes() for number in range(3)]
    shard_path(tmp_path, 1).unlink()
    shard_path(tmp_path, 2).write_bytes(before[2][:50])
    quick.clear()
    assert render_scenes(_settings(tmp_path)) == 4
    assert quick == [3, 4, 5, 6]
    assert [shard_path(tmp_path, number).read_bytes() for number in range(3)] == before
    assert not list(tmp_path.glob("*.tmp")) and not list(tmp_path.glob(".*.tmp"))


def test_an_interrupted_run_keeps_what_it_has_rendered(tmp_path: Path, quick: list[int], monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(production, "PIECE", 2)
    monkeypatch.setattr(production, "SHARD", 5)
    render_scenes(_settings(tmp_path / "whole"))
    record = production.render_record
    write_shard(tmp_path / "at-once", [record(SceneKey("test", 0, index), 64, 16) for index in range(5)])
    quick.clear()

    def stop(key: SceneKey, size: int, spp: int) -> SceneRecord:
        if key.index == 3:
            raise KeyboardInterrupt
        return record(key, size, spp)

    with monkeypatch.context() as patch, pytest.raises(KeyboardInterrupt):
        patch.setattr(production, "render_record", stop)
        render_scenes(_settings(tmp_path / "broken"))
    assert quick == [0, 1, 2]
    told: list[int] = []
    assert render_scenes(_settings(tmp_path / "broken"), lambda done, count: told.append(done)) == 5
    assert told == [2, 4, 5, 7] and quick == [0, 1, 2, 2, 3, 4, 5, 6]
    files = {path.name: path.read_bytes() for path in (tmp_path / "broken").iterdir()}
    assert files == {path.name: path.read_bytes() for path in (tmp_path / "whole").iterdir()}
    assert files["shard-00000.parquet"] == (tmp_path / "at-once").read_bytes()


def test_a_set_that_grows_after_an_interruption_is_the_same(tmp_path: Path, quick: list[int], monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(production, "PIECE", 2)

    def stop(*_: object) -> None:
        raise KeyboardInterrupt

    with monkeypatch.context() as patch, pytest.raises(KeyboardInterrupt):
        patch.setattr(production, "join_shard", stop)
        render_scenes(_settings(tmp_path / "broken", count=1))
    render_scenes(_settings(tmp_path / "broken", count=1))
    assert quick == [0] and len(SceneSet(tmp_path / "broken")) == 1
    for folder in ("broken", "whole"):
        render_scenes(_settings(tmp_path / folder))
    files = {path.name: path.read_bytes() for path in (tmp_path / "broken").iterdir()}
    assert files == {path.name: path.read_bytes() for path in (tmp_path / "whole").iterdir()}


def test_a_folder_of_other_settings_is_refused(tmp_path: Path, quick: list[int]):
    render_scenes(_settings(tmp_path))
    with pytest.raises(
        CooperError,
        match=r"scenes with seed 0, and .* asks for seed 1: choose another folder \(--out\), or go on .* \(--seed 0\)",
    ):
        render_scenes(_settings(tmp_path, seed=1))
    with pytest.raises(
        CooperError, match=r"holds a set of 7 scenes, and .* asks for 3: choose another folder \(--out\), or ask for at least 7"
    ):
        render_scenes(_settings(tmp_path, count=3))


def test_damage_is_named(tmp_path: Path, quick: list[int]):
    with pytest.raises(CooperError, match="no rendered scene set"):
        SceneSet(tmp_path)
    render_scenes(_settings(tmp_path))
    shard = shard_path(tmp_path, 1)
    shard.write_bytes(shard.read_bytes()[:-200])
    scenes = SceneSet(tmp_path)
    assert scenes[0].scene.index == 0
    with pytest.raises(CooperError, match=r"shard-00001.parquet: truncated"):
        scenes[4]
    (tmp_path / "dataset.json").write_text("{}")
    with pytest.raises(CooperError, match=r"dataset.json"):
        SceneSet(tmp_path)


@pytest.mark.parametrize("field", ["count", "size", "spp", "workers"])
def test_settings_out_of_range_are_named(tmp_path: Path, field: str):
    good = {"count": 1, "size": 64, "spp": 8, "workers": 1}
    with pytest.raises(CooperError, match=field):
        RenderSettings(seed=0, split="val", out=tmp_path, **{**good, field: 0})
