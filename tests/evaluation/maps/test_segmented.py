"""The segmentation protocol on made sets in ADE20K's layouts and on made scenes: figures by hand, resumed, with a sheet."""

import json
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from cooper.errors import CooperError
from cooper.evaluation.suites.depth import DepthSuite
from cooper.evaluation.suites.segmentation import SegmentationSuite, without_classes
from cooper.files.rows import read_rows
from cooper.perception import Reading, build_modalities
from cooper.scenes.room.catalogue import CLASS_IDS, CLASS_NAMES
from cooper.scenes.room.render import SceneRecord
from cooper.scenes.room.sampling import SceneKey, propose
from cooper.scenes.store import SetInfo, shard_path, write_info, write_shard
from cooper.trace.steps import MapStep

SIZE = (40, 60)  # height and width of the pictures in ADE20K's layouts
UNITS = {"labels": "class id", "instances": "instance id"}


class Draws:
    """Draws flat colours: the first picture in two parts, any other in one."""

    modalities = build_modalities({"segmentation": {"codec": "colours"}})

    def __init__(self, stop_after: int = 10**9) -> None:
        self.left = stop_after

    def draw(self, images, modality, seed=0):
        self.left -= 1
        if self.left < 0:
            raise KeyboardInterrupt
        return [self._map(np.asarray(image)) for image in images]

    def _map(self, picture: np.ndarray) -> MapStep:
        labels = np.zeros(SIZE, np.int32)
        labels[:, 24:] = picture[0, 0, 0] < 20
        drawn = self.modalities["segmentation"].encode(Reading({"labels": labels}, UNITS))
        return MapStep("segmentation", drawn, Image.new("RGB", SIZE[::-1]))


def ade_labels() -> np.ndarray:
    """1,200 px of class 3, 600 of class 7 and 600 of none."""
    labels = np.zeros(SIZE, np.uint8)
    labels[:, :30] = 3
    labels[:20, 30:] = 7
    return labels


@pytest.fixture(params=["parsing", "full"])
def ade(tmp_path, request) -> Path:
    folder = tmp_path / "ade"
    parsing = request.param == "parsing"
    pictures = folder / "images" / "validation"
    truths = folder / "annotations" / "validation" if parsing else pictures
    for place in (pictures, truths):
        place.mkdir(parents=True, exist_ok=True)
    labels = ade_labels()
    seen = labels if parsing else np.stack([np.zeros_like(labels), (labels > 0) * 5, labels], axis=2).astype(np.uint8)
    for number in range(2):
        Image.new("RGB", SIZE[::-1], (100 * number,) * 3).save(pictures / f"{number}.jpg")
        Image.fromarray(seen).save(truths / f"{number}{'' if parsing else '_seg'}.png")
    return folder


def settings(ade: Path, out: Path, **changes) -> SegmentationSuite:
    return SegmentationSuite(model="draws", dataset="ade20k", data=ade, out=out, quiet=True, **changes)


def test_regions_by_hand(ade, tmp_path):
    """The first picture's parts are 960 px and, without the void, 840: IoU 960 / 1200 with class 3, 600 / 840 with class 7.
    The second's one part is 1,800 px: 1200 / 1800, and 600 / 1800, which is no match."""
    report = settings(ade, tmp_path / "out").evaluate(Draws())
    ious = [960 / 1200, 600 / 840, 1200 / 1800]
    figures = report.segmentation
    assert set(figures) == {"region_iou", "region_pq", "region_sq", "region_rq"}
    assert figures["region_iou"].mean == pytest.approx(((ious[0] + ious[1]) / 2 + (ious[2] + 600 / 1800) / 2) / 2)
    assert figures["region_sq"].mean == pytest.approx(sum(ious) / 3)
    assert figures["region_rq"].mean == pytest.approx(3 / 3.5)
    assert figures["region_pq"].mean == pytest.approx(sum(ious) / 3.5)
    wide = figures["region_pq"]
    assert (wide.low, wide.high, wide.rows) == (0.0, 1.0, 2), "two pictures leave everything open"


def test_the_report_says_what_was_compared(ade, tmp_path):
    out = tmp_path / "out"
    settings(ade, out, limit=1).evaluate(Draws())
    text = (out / "report.md").read_text()
    assert "- pictures: 1 of 2" in text and "2 pictures are there, 2000 belong to the published test set" in text
    assert "- no mIoU: the data set does not name its classes" in text and "PQ of regions, class-agnostic | 0.7571" in text
    assert json.loads((out / "report.json").read_text())["segmentation"]["region_iou"]["rows"] == 1
    assert '<table class="figures">' in (out / "report.html").read_text()
    assert Image.open(out / "sheet.png").size == (4 * 224, 149)


def test_the_sheet_shows_the_best_first_in_the_colours_of_the_truth(ade, tmp_path):
    settings(ade, tmp_path / "out").evaluate(Draws())
    sheet = np.asarray(Image.open(tmp_path / "out" / "sheet.png"))
    assert sheet.shape == (2 * 149, 4 * 224, 3)
    best, worst = sheet[:149], sheet[149:]
    true, read = best[:, 224:448], best[:, 3 * 224 :]
    assert (true[20, 20] == read[20, 20]).all() and (true[20, 200] == read[20, 200]).all()
    assert (true[20, 20] != true[20, 200]).any() and not true[140, 200].any()  # void is black
    assert (worst[20, 3 * 224 + 20] == worst[20, 3 * 224 + 200]).all()


def test_a_broken_run_goes_on(ade, tmp_path):
    run = settings(ade, tmp_path / "out", batch=1)
    with pytest.raises(KeyboardInterrupt):
        run.evaluate(Draws(stop_after=1))
    assert len(read_rows(run.out / "segmentation.jsonl")) == 1
    report = run.evaluate(Draws())
    assert report.segmentation["region_iou"].rows == 2 and len(read_rows(run.out / "segmentation.jsonl")) == 2
    assert report == run.evaluate(Draws(stop_after=2))  # the sheet alone is drawn again


class Sees:
    """Draws scenes as they are, but leaves out the cube of every other one."""

    modalities = build_modalities(
        {
            "segmentation": {"codec": "scenes", "names": list(CLASS_NAMES)},
            "depth": {"near": 0.3, "far": 8.0, "metric": True},
        }
    )

    def draw(self, images, modality, seed=0):
        return [self._map(np.asarray(image)[0, 0, 0], modality) for image in images]

    def _map(self, index: int, modality: str) -> MapStep:
        record = scene(int(index), with_cube=index % 2 == 0)
        arrays = {"labels": record.labels, "instances": record.instances, "depth": record.depth_m}
        drawn = self.modalities[modality].encode(Reading(arrays, {"depth": "m"}))
        return MapStep(modality, drawn, Image.new("RGB", (64, 64)))


def scene(index: int, with_cube: bool = True) -> SceneRecord:
    """Wall over floor, 2,048 px each, and a cube that hides 200 px of both."""
    labels = np.full((64, 64), CLASS_IDS["wall"], np.uint8)
    labels[32:] = CLASS_IDS["floor"]
    instances = np.zeros_like(labels)
    if with_cube:
        labels[22:42, 10:30], instances[22:42, 10:30] = CLASS_IDS["cube"], 1
    depth = np.linspace(6, 1, 64, dtype=np.float32)[:, None].repeat(64, 1).round(3)
    return SceneRecord(np.full((64, 64, 3), index, np.uint8), depth, labels, instances, propose(SceneKey("test", 0, index), 0))


@pytest.fixture
def scenes(tmp_path) -> Path:
    pytest.importorskip("pyarrow")
    folder = tmp_path / "scenes"
    folder.mkdir()
    write_info(folder, SetInfo(count=4, seed=0, split="test", size=64, spp=1))
    write_shard(shard_path(folder, 0), [scene(index) for index in range(4)])
    return folder


def test_classes_by_hand(scenes, tmp_path):
    report = SegmentationSuite(model="sees", dataset="scenes", data=scenes, out=tmp_path / "out", quiet=True).evaluate(Sees())
    stuff, cut = (2 * 1848) / (1848 + 2048), 1848 / 2048  # IoU of wall and floor: added over two pictures, and without the cube
    figures = {name: figure.mean for name, figure in report.segmentation.items()}
    assert figures["miou"] == pytest.approx((2 * stuff + 400 / 800) / 3)
    assert figures["miou_per_image"] == pytest.approx((1 + 2 * cut / 3) / 2)
    assert figures["pq"] == pytest.approx((2 * (1 + cut) / 2 + 1 / 1.5) / 3)
    assert figures["region_iou"] == pytest.approx((1 + (2 * cut + 200 / (400 + 2048 - 200)) / 3) / 2)
    assert "no mIoU" not in report.settings and report.segmentation["pq"].rows == 4
    assert Image.open(tmp_path / "out" / "sheet.png").size == (4 * 224, 4 * 224)


def test_other_classes_leave_regions_and_a_reason(scenes, tmp_path):
    model = Sees()
    model.modalities = build_modalities({"segmentation": {"codec": "scenes", "names": [*CLASS_NAMES[:-1], "gate"]}})
    report = SegmentationSuite(model="sees", dataset="scenes", data=scenes, out=tmp_path / "out", quiet=True).evaluate(model)
    assert report.settings["no mIoU"].startswith("the model draws other classes (void, floor, wall and 11 more)")
    assert report.segmentation["region_rq"].mean == pytest.approx(10 / 11)
    assert without_classes((), CLASS_NAMES) == "the model draws regions and does not name their classes"


def test_depth_of_scenes(scenes, tmp_path):
    report = DepthSuite(model="sees", dataset="scenes", data=scenes, out=tmp_path / "out", limit=3, quiet=True).evaluate(Sees())
    assert report.depth["abs_rel_metres"].mean < 1e-3 and report.depth["abs_rel"].rows == 3
    assert all(row["id"].startswith("test-") for row in read_rows(tmp_path / "out" / "depth.jsonl"))
    assert report.settings["pictures"] == "3 of 4" and (tmp_path / "out" / "sheet.png").is_file()


def test_mistakes_are_named(ade, tmp_path):
    for dataset, words in (("", "no data set of segmentation is named"), ("nyu", "unknown data set 'nyu' of segmentation")):
        with pytest.raises(CooperError, match=f"{words}.*; known: ade20k, scenes"):
            SegmentationSuite(model="draws", dataset=dataset, data=ade, out=tmp_path)
    with pytest.raises(CooperError, match="gone is no folder; --data must name that of the data set ade20k"):
        settings(tmp_path / "gone", tmp_path / "out").evaluate(Draws())
    model = Draws()
    model.modalities = {}
    with pytest.raises(CooperError, match="draws no 'segmentation' map; it draws: none"):
        settings(ade, tmp_path / "out").evaluate(model)
    for path in ade.rglob("0*.png"):
        Image.fromarray(np.zeros_like(np.asarray(Image.open(path)))).save(path)
    with pytest.raises(CooperError, match="validation/0 has no pixel that counts: all of it is void"):
        settings(ade, tmp_path / "out").evaluate(Draws())
    assert not (tmp_path / "gone").exists()
