"""The scenes benchmark: questions, depth and segmentation over rendered rooms with exact truth."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

from PIL import Image

from cooper.data.digests import item_digest, truth_digests
from cooper.data.examples import Example
from cooper.data.item import Item
from cooper.errors import CooperError
from cooper.evaluation.figures.summary import Report, summarise
from cooper.evaluation.maps.drawing import draw_depth, draw_segmentation, kept_depth, kept_segmentation
from cooper.evaluation.maps.scores import (
    DepthRow,
    SegmentationRow,
    depth_figures,
    segmentation_figures,
)
from cooper.evaluation.report.report import write_report
from cooper.evaluation.runs.answering import AnswerRow, Reasoner, RunPlan, answer_all, check_items, check_modes
from cooper.evaluation.runs.folder import check_run, left_out_notes, open_run
from cooper.evaluation.runs.origin import Origin
from cooper.evaluation.runs.processes import Share, wait_for_others
from cooper.evaluation.runs.progress import progress
from cooper.files.arguments import seed_of
from cooper.files.locks import held
from cooper.files.pictures import grey_picture
from cooper.perception.modality import Reading
from cooper.scenes.examples import CONVENTIONS, scene_example
from cooper.scenes.problems import NOTHING, item_of
from cooper.scenes.production import RenderSettings, render_scenes
from cooper.scenes.questions.categories import balanced_questions
from cooper.scenes.room.render import SceneRecord
from cooper.scenes.room.scene import scene_id
from cooper.scenes.store import SceneSet, shard_path
from cooper.scenes.teacher.traces import ALL_MAPS
from cooper.scenes.teacher.traces import truth_of as reading_of

QUESTIONS_PER_SCENE = 4


@dataclass(frozen=True)
class ScenesSettings:
    """One run. `limit`: questions. `data`: a rendered set; without it the test split of `seed` is rendered under `out`.

    `maps`: pictures whose depth and segmentation are drawn, None for all. `traces`: questions per mode whose traces are
    kept, None for all. `blind`: questions come with a grey picture. `true_maps`: the model is handed the true map where it
    asks for one, which tells what better drawing could bring at most. `origin`: what answers, for the record. `skip_bad`:
    scenes that cannot be read are left out and counted.
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
    skip_bad: bool = False
    share: Share = field(default_factory=Share.here)

    def __post_init__(self) -> None:
        check_modes(self.modes)
        for name, value in (("limit", self.limit), ("batch", self.batch)):
            if value < 1:
                raise CooperError(f"{name} must be at least 1, got {value}")
        seed_of(self.seed, "seed")
        for name, value in (("maps", self.maps), ("traces", self.traces)):
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


@dataclass(frozen=True)
class AskedScenes:
    """What a run asks and draws: its questions, the scenes behind them, and what a reader of the report must know."""

    items: tuple[Item, ...]
    truths: tuple[Example, ...]
    notes: tuple[str, ...]
    digests: Mapping[str, str]


def read_scenes(settings: ScenesSettings) -> AskedScenes:
    """Read the scenes, or render them, and check the questions. CooperError: they cannot be read, or `out` holds another
    run."""
    check_run(settings.out, settings.record)  # before scenes are rendered into another run's folder
    faults: dict[str, str] = {}
    records = _records(settings, faults)
    items = items_of(records, settings)
    check_items(items)
    truths = [] if settings.blind else [scene_example(record) for record in records[: settings.maps]]
    digests = {**{item.id: item_digest(item) for item in items}, **truth_digests(truths), **dict.fromkeys(faults, "")}
    return AskedScenes(tuple(items), tuple(truths), tuple(left_out_notes(faults)), digests)


def open_scenes(settings: ScenesSettings, asked: AskedScenes, rescore: bool = False) -> AskedScenes:
    """Make the folder the place of this run, or go on with the run there. CooperError: it holds another one."""
    notes = open_run(settings.out, settings.record, settings.share, asked.digests, rescore)
    return replace(asked, notes=tuple(dict.fromkeys((*asked.notes, *notes))))


def evaluate_scenes(model: Reasoner, settings: ScenesSettings, asked: AskedScenes | None = None) -> Report:
    """Run what is missing of the benchmark and write report.json, report.md and report.html into `settings.out`.

    Rows are kept in rows.jsonl, depth.jsonl and segmentation.jsonl, so an interrupted run goes on where it stopped. `asked`:
    what `read_scenes` gave. Of several processes only the first renders and writes the report.
    CooperError: the scenes cannot be read, `out` holds another run, or another command holds it.
    """
    with held(settings.out, "cooper eval scenes"):
        asked = open_scenes(settings, asked or read_scenes(settings))
        plan = plan_of(settings)
        rows = answer_all(model, asked.items, plan)
        depth, segmentation = [], []
        if asked.truths and "depth" in model.modalities:
            depth = draw_depth(model, asked.truths, CONVENTIONS, plan)
        if asked.truths and "segmentation" in model.modalities:
            segmentation = draw_segmentation(model, asked.truths, CONVENTIONS, plan)
        return reported(rows, Maps(tuple(depth), tuple(segmentation)), settings, asked)


def plan_of(settings: ScenesSettings) -> RunPlan:
    """How the run goes."""
    modes, share = check_modes(settings.modes), settings.share
    return RunPlan(modes, settings.seed, settings.batch, settings.out, settings.traces, settings.quiet, share)


@dataclass(frozen=True)
class Maps:
    """The rows of the maps that a run drew."""

    depth: tuple[DepthRow, ...] = ()
    segmentation: tuple[SegmentationRow, ...] = ()


def kept_maps(settings: ScenesSettings) -> Maps:
    """Those that the folder holds."""
    plan = plan_of(settings)
    return Maps(tuple(kept_depth(plan)), tuple(kept_segmentation(CONVENTIONS, plan)))


def reported(rows: Sequence[AnswerRow], maps: Maps, settings: ScenesSettings, asked: AskedScenes) -> Report:
    """The report over these rows and maps, written into the folder."""
    told = {**settings.record, "modes": ", ".join(dict.fromkeys(row.mode for row in rows))}
    told |= {f"note {number}": note for number, note in enumerate(asked.notes, 1)}
    figures = segmentation_figures(maps.segmentation, CONVENTIONS, settings.seed)
    report = replace(summarise(rows, told), depth=depth_figures(maps.depth), segmentation=figures)
    write_report(report, settings.out, settings.share, rows, {item.id: item.question.text for item in asked.items})
    return report


def items_of(records: Sequence[SceneRecord], settings: ScenesSettings) -> list[Item]:
    """At most `limit` questions, as even over the categories as the scenes allow."""
    per_scene = max(QUESTIONS_PER_SCENE, -(-settings.limit // len(records)))
    found = balanced_questions((record.scene for record in records), settings.seed, per_scene)[: settings.limit]
    shown = {scene_id(record.scene): _shown(record, settings.blind) for record in records}
    known = {scene_id(record.scene): _known(record) if settings.true_maps else NOTHING for record in records}
    scenes = {question.id: question.id.rsplit("-", 2)[0] for question in found}
    return [item_of(question, shown[scenes[question.id]], known[scenes[question.id]]) for question in found]


def _known(record: SceneRecord) -> dict[str, Reading]:
    return dict.fromkeys(ALL_MAPS, reading_of(record))


def _shown(record: SceneRecord, blind: bool) -> Image.Image:
    picture = Image.fromarray(record.rgb)
    return grey_picture(picture) if blind else picture


def _records(settings: ScenesSettings, faults: dict[str, str] | None = None) -> list[SceneRecord]:
    """The first scenes of the set, as many as the questions need; `faults` takes those that cannot be read, with the reason."""
    scenes = SceneSet(settings.data) if settings.data is not None else _rendered(settings)
    found, faults = [], {} if faults is None else faults
    for index in range(min(-(-settings.limit // QUESTIONS_PER_SCENE), len(scenes))):
        try:
            found.append(scenes[index])
        except CooperError as error:
            if not settings.skip_bad:
                raise CooperError(f"{error} (--skip-bad leaves out scenes that cannot be read)") from None
            faults[f"scene {index}"] = str(error)
    if not found:
        raise CooperError(f"none of the scenes in {settings.data} can be read; the first: {next(iter(faults.values()))}")
    return found


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
