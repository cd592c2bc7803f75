"""The scenes benchmark: questions, depth and segmentation over rendered rooms with exact truth."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from types import MappingProxyType
from typing import Any

import numpy as np
from PIL import Image

from cooper.data.scenes.catalogue import CLASS_IDS, CLASS_NAMES, SHAPES
from cooper.data.scenes.production import RenderSettings, render_scenes
from cooper.data.scenes.question import SceneQuestion
from cooper.data.scenes.questions import balanced_questions
from cooper.data.scenes.render import FAR, NEAR, SceneRecord
from cooper.data.scenes.scene import Scene
from cooper.data.scenes.store import SceneSet, shard_path
from cooper.data.scenes.traces import ALL_MAPS
from cooper.data.scenes.traces import truth_of as reading_of
from cooper.errors import CooperError
from cooper.evaluation.maps import draw_depth, draw_segmentation
from cooper.evaluation.perception import Conventions, Truth, depth_figures, segmentation_figures
from cooper.evaluation.processes import Share, wait_for_others
from cooper.evaluation.progress import progress
from cooper.evaluation.report import write_report
from cooper.evaluation.rows import open_run
from cooper.evaluation.runner import Item, Plan, Reasoner, answer_all, check_modes
from cooper.evaluation.summary import Report, summarise
from cooper.files.pictures import grey_picture
from cooper.perception.modality import Reading
from cooper.reasoning.origin import Origin
from cooper.trace.trace import Question

QUESTIONS_PER_SCENE = 4
NOTHING: Mapping[str, Reading] = MappingProxyType({})
CONVENTIONS = Conventions(NEAR, FAR, CLASS_NAMES, frozenset(CLASS_IDS[shape] for shape in SHAPES), CLASS_IDS["void"])


@dataclass(frozen=True)
class ScenesSettings:
    """One run. `limit`: questions. `data`: a rendered set; without it the test split of `seed` is rendered under `out`.

    `maps`: pictures whose depth and segmentation are drawn, None for all. `traces`: questions per mode whose traces are
    kept, None for all. `blind`: questions come with a grey picture. `true_maps`: the model is handed the true map where it
    asks for one, which tells what better drawing could bring at most. `origin`: what answers, for the record.
    """

    model: str
    modes: tuple[str, ...]
    out: Path
    seed: int = 0
    limit: int = 400
    data: Path | None = None
    split: str = "test"
    batch: int = 16
    maps: int | None = None
    traces: int | None = None
    blind: bool = False
    true_maps: bool = False
    origin: Origin = Origin()
    quiet: bool = False
    share: Share = field(default_factory=Share.here)

    def __post_init__(self) -> None:
        check_modes(self.modes)
        for name, value in (("limit", self.limit), ("batch", self.batch)):
            if value < 1:
                raise CooperError(f"{name} must be at least 1, got {value}")
        for name, value in (("maps", self.maps), ("traces", self.traces), ("seed", self.seed)):
            if value is not None and value < 0:
                raise CooperError(f"{name} must not be negative, got {value}")

    @property
    def record(self) -> dict[str, Any]:
        """What makes two runs the same run. Modes may be added to one; batch size and kept traces may change."""
        return {
            "benchmark": "scenes",
            "model": self.model,
            "seed": self.seed,
            "limit": self.limit,
            "data": None if self.data is None else str(self.data),
            "split": self.split,
            "maps": self.maps,
            "blind": self.blind,
            "true_maps": self.true_maps,
            **self.origin.record,
        }


def evaluate_scenes(model: Reasoner, settings: ScenesSettings) -> Report:
    """Run what is missing of the benchmark and write report.json, report.md and report.html into `settings.out`.

    Rows are kept in rows.jsonl, depth.jsonl and segmentation.jsonl, so an interrupted run goes on where it stopped. Of several
    processes only the first renders and writes the report.
    CooperError: `out` holds another run, or the data cannot be read.
    """
    share, modes = settings.share, check_modes(settings.modes)
    open_run(settings.out, settings.record, share)
    records = _records(settings)
    plan = Plan(modes, settings.seed, settings.batch, settings.out, settings.traces, settings.quiet, share)
    items = items_of(records, settings)
    rows = answer_all(model, items, plan)
    report = summarise(rows, {**settings.record, "modes": ", ".join(plan.modes)}, settings.seed)
    truths = [] if settings.blind else [truth_of(record) for record in records[: settings.maps]]
    depth, segmentation = [], []
    if truths and "depth" in model.modalities:
        depth = draw_depth(model, truths, CONVENTIONS, plan)
    if truths and "segmentation" in model.modalities:
        segmentation = draw_segmentation(model, truths, CONVENTIONS, plan)
    whole = replace(
        report,
        depth=depth_figures(depth, settings.seed),
        segmentation=segmentation_figures(segmentation, CONVENTIONS, settings.seed),
    )
    write_report(whole, settings.out, share, rows, {item.id: item.question.text for item in items})
    return whole


def items_of(records: Sequence[SceneRecord], settings: ScenesSettings) -> list[Item]:
    """At most `limit` questions, as even over the categories as the scenes allow."""
    per_scene = max(QUESTIONS_PER_SCENE, -(-settings.limit // len(records)))
    found = balanced_questions((record.scene for record in records), settings.seed, per_scene)[: settings.limit]
    shown = {scene_id(record.scene): _shown(record, settings.blind) for record in records}
    known = {scene_id(record.scene): _known(record) if settings.true_maps else NOTHING for record in records}
    scenes = {question.id: question.id.rsplit("-", 2)[0] for question in found}
    return [item_of(question, shown[scenes[question.id]], known[scenes[question.id]]) for question in found]


def item_of(question: SceneQuestion, picture: Image.Image, known: Mapping[str, Reading] = NOTHING) -> Item:
    """A question about a scene as evaluation and reinforcement learning put it; `known`: maps it comes with."""
    return Item(
        id=question.id,
        category=question.category,
        group=question.group,
        question=Question((picture, question.prompt), id=question.id, known=known),
        type=question.type,
        truth=question.answer,
        choices=question.choices,
        tolerance=question.tolerance,
    )


def scene_id(scene: Scene) -> str:
    """The name of a scene, with which the ids of its questions begin."""
    return f"{scene.split}-{scene.seed}"


def _known(record: SceneRecord) -> dict[str, Reading]:
    return dict.fromkeys(ALL_MAPS, reading_of(record))


def _shown(record: SceneRecord, blind: bool) -> Image.Image:
    picture = Image.fromarray(record.rgb)
    return grey_picture(picture) if blind else picture


def truth_of(record: SceneRecord) -> Truth:
    """What the picture of a scene really shows."""
    labels, instances = record.labels.astype(np.int32), record.instances.astype(np.int32)
    return Truth(scene_id(record.scene), Image.fromarray(record.rgb), record.depth_m, labels, instances)


def _records(settings: ScenesSettings) -> list[SceneRecord]:
    """The first scenes of the set, as many as the questions need."""
    scenes = SceneSet(settings.data) if settings.data is not None else _rendered(settings)
    count = -(-settings.limit // QUESTIONS_PER_SCENE)
    return [scenes[index] for index in range(min(count, len(scenes)))]


def _rendered(settings: ScenesSettings) -> SceneSet:
    count = -(-settings.limit // QUESTIONS_PER_SCENE)
    folder = settings.out / "scenes"
    render = RenderSettings(count, settings.seed, settings.split, folder)
    if not settings.share.first:
        shards = [shard_path(folder, number) for number in range(-(-count // render.info.shard))]
        wait_for_others(lambda: sum(not shard.exists() for shard in shards), f"shards of scenes in {folder}")
        return SceneSet(folder)
    with progress(count, "scenes rendered", settings.quiet) as advance:
        seen = 0

        def tell(done: int, _count: int) -> None:
            nonlocal seen
            advance(done - seen)
            seen = done

        render_scenes(render, tell)
    return SceneSet(folder)
