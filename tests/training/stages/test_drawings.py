"""Maps as a model drew them: drawn once per scene, kept, and read by stage 2 in place of the true ones."""

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image
from typer.testing import CliRunner

from cooper.cli.main import app
from cooper.curation.drawing import DrawSettings, draw_scenes
from cooper.errors import CooperError
from cooper.evaluation.runs.origin import Origin
from cooper.reasoning.cooper import Cooper
from cooper.scenes.drawings import Drawings
from cooper.scenes.examples import SceneExamples
from cooper.scenes.lessons import SceneLessons
from cooper.scenes.store import SceneSet
from cooper.sequence.packing import Row
from cooper.sequence.segments import NoisedSegment, TextSegment, VitSegment, latent_tokens
from cooper.trace.steps import Question
from cooper.training.bundles import Bundle
from cooper.training.stages.reasoning import TraceRows
from cooper.training.stages.rows import MapRows, PictureKey
from tests.training.conftest import row_of

NAMES = ("depth", "segmentation")
THESE = Origin(weights="these")


@pytest.fixture(scope="module")
def drawings(start: Path, scene_folder: Path, tmp_path_factory: pytest.TempPathFactory) -> Drawings:
    out = tmp_path_factory.mktemp("drawings") / "maps"
    return draw_scenes(
        Cooper.from_pretrained(start), DrawSettings(model="tiny", data=scene_folder, out=out, batch=3, origin=THESE, quiet=True)
    )


def test_what_is_kept_is_what_the_model_reads_back(drawings: Drawings, start: Path, scene_folder: Path):
    door, scenes = Cooper.from_pretrained(start), SceneSet(scene_folder)
    for name in NAMES:
        asked = [Question((Image.fromarray(scenes[scene].rgb),), id=f"{name} {scene}") for scene in range(3)]
        drawn = [traces[0].maps[0] for traces in door.batch(asked, replace(door.defaults, mode="map", draws=(name,)), 0)]
        for scene, step in enumerate(drawn):
            assert np.array_equal(np.asarray(drawings.image(scene, name)), np.asarray(step.image))


def test_every_scene_begins_with_its_own_noise(start: Path, scene_folder: Path, tmp_path: Path, monkeypatch):
    one = SceneSet(scene_folder)[0]
    monkeypatch.setattr(SceneSet, "__getitem__", lambda self, index: one)
    made = draw_scenes(
        Cooper.from_pretrained(start), DrawSettings(model="tiny", data=scene_folder, out=tmp_path, limit=2, quiet=True)
    )
    first, second = (np.asarray(made.image(scene, "depth"), int) for scene in (0, 1))
    assert np.abs(first - second).mean() > 1


def test_an_interrupted_run_draws_what_is_missing(drawings: Drawings, start: Path, scene_folder: Path, monkeypatch):
    door = Cooper.from_pretrained(start)
    settings = DrawSettings(model="tiny", data=scene_folder, out=drawings.folder, origin=THESE, quiet=True)
    lost = drawings.path(2, "depth")
    before = lost.read_bytes()
    lost.unlink()
    asked = []
    honest = Cooper.batch
    monkeypatch.setattr(Cooper, "batch", lambda self, which, *rest: asked.append(len(which)) or honest(self, which, *rest))
    draw_scenes(door, settings)
    assert asked == [1] and abs(len(lost.read_bytes()) - len(before)) < 200
    with pytest.raises(CooperError, match="a run with seed 0, not 1"):
        draw_scenes(door, replace(settings, seed=1))
    with pytest.raises(CooperError, match="a run with weights 'these', not 'another'"):
        draw_scenes(door, replace(settings, origin=Origin(weights="another")))
    with pytest.raises(CooperError, match="the model draws no 'normals' map; it draws: depth, segmentation"):
        draw_scenes(door, replace(settings, modalities=("normals",)))


@pytest.fixture
def rows(map_rows: MapRows, examples: SceneExamples, bundle: Bundle, drawings: Drawings) -> Callable[..., TraceRows]:
    """Rows of which a share `own` reads the maps as drawn, and a share `drawn` of the maps is to be drawn."""

    def made(own: float, drawn: float = 0.0) -> TraceRows:
        source = SceneLessons(
            examples=examples,
            prompts=bundle.prompts,
            modalities=map_rows.modalities,
            canvas=bundle.processor.vae,
            seed=0,
            drawings=drawings,
            own=own,
        )
        return TraceRows(source, map_rows, bundle.model.config.view_rules, drawn)

    return made


def _words(row: Row) -> list[tuple[int, ...]]:
    return [segment.ids for segment in row.segments if isinstance(segment, TextSegment)]


def _seen(row: Row) -> list[np.ndarray]:
    return [segment.pixels_CHW.numpy() for segment in row.segments if isinstance(segment, VitSegment)]


def test_stage_2_reads_drawn_maps_and_says_what_is_true(rows, map_rows: MapRows, drawings: Drawings, bundle: Bundle):
    true, own = (row_of(rows(share), 0, 1, "perception", 2) for share in (0.0, 1.0))
    assert _words(true) == _words(own)
    assert np.array_equal(_seen(true)[0], _seen(own)[0])  # the picture
    shown = [bundle.processor.vit_pixels(drawings.image(1, name)).numpy() for name in NAMES]
    for place, pixels in enumerate(_seen(own)[1:]):
        assert np.array_equal(pixels, shown[place % 2]) and not np.array_equal(pixels, _seen(true)[1 + place])
    some = [row_of(rows(0.5), number, 1, "perception", 2) for number in range(8)]
    hits = [np.array_equal(_seen(row)[1], shown[0]) for row in some]
    assert 0 < sum(hits) < 8
    for row in (row_of(rows(share, 1.0), 0, 1, "perception", 2) for share in (0.0, 1.0)):  # what is to be drawn is the truth
        targets = [segment for segment in row.segments if isinstance(segment, NoisedSegment)]
        assert len(targets) == 4
        for place, target in enumerate(targets):
            assert target.velocity_ND is not None
            clean = target.tokens_ND - target.t * target.velocity_ND
            latent = map_rows.latent(PictureKey(1, NAMES[place % 2]))
            assert torch.allclose(clean, latent_tokens(latent, bundle.processor.geometry.latent_patch), atol=1e-4)


def test_lessons_in_reading_show_drawn_maps_and_say_what_is_true(rows, drawings: Drawings):
    true, own = (rows(share).group(0, 1, "reading", 5).traces for share in (0.0, 1.0))
    assert [trace.turns for trace in true] == [trace.turns for trace in own]
    for before, after in zip(true, own, strict=True):
        name = after.maps[0].modality
        assert after.maps[0].image.tobytes() == drawings.image(1, name).tobytes() != before.maps[0].image.tobytes()


def test_a_torn_drawing_is_named(drawings: Drawings, tmp_path: Path):
    torn = Drawings(tmp_path).path(0, "depth")
    torn.parent.mkdir()
    whole = drawings.path(0, "depth").read_bytes()
    torn.write_bytes(whole[: len(whole) // 2])
    with pytest.raises(CooperError, match=r"000000\.png is a truncated or damaged picture"):
        Drawings(tmp_path).image(0, "depth")


def test_missing_drawings_are_named(drawings: Drawings, scene_folder: Path, tmp_path: Path):
    scenes = SceneSet(scene_folder)
    assert Drawings.opened(drawings.folder, scenes) == drawings
    with pytest.raises(CooperError, match="holds no drawings; make them with `cooper data draw`"):
        Drawings.opened(tmp_path, scenes)
    with pytest.raises(CooperError, match=r"depth/000009\.png is missing"):
        drawings.image(9, "depth")
    text = (drawings.folder / "run.json").read_text()
    (tmp_path / "run.json").write_text(text.replace('"scenes_seed": 11', '"scenes_seed": 12'))
    with pytest.raises(CooperError, match="shows scenes with scenes_seed 12, not 11"):
        Drawings.opened(tmp_path, scenes)


def test_the_command_draws_a_set(start: Path, scene_folder: Path, tmp_path: Path):
    out = tmp_path / "maps"
    asked = [
        "data",
        "draw",
        "--data",
        str(scene_folder),
        "--out",
        str(out),
        "--model",
        str(start),
        "--maps",
        "depth",
        "--limit",
        "2",
    ]
    done = CliRunner().invoke(app, asked)
    assert done.exit_code == 0 and sorted(path.name for path in (out / "depth").iterdir()) == ["000000.png", "000001.png"]
