"""Stage 2: reasoning. Questions about scenes with their teacher traces, made on the fly from (seed, row).

Several questions about one scene share its picture: they are branches of one row. The maps of a trace are read back
from the truth; a share of them is also a flow target, so that drawing inside a chain of thought is learned too.
"""

import sys
from collections.abc import Mapping
from dataclasses import MISSING, dataclass, field, fields, replace
from pathlib import Path
from typing import Annotated, Any

from cooper.data.examples import TraceGroup
from cooper.data.mixture import Mixture
from cooper.data.sources.reasoning.trace_file import TraceFile
from cooper.errors import CooperError
from cooper.evaluation.runs.processes import Share as Processes
from cooper.files.values import AtLeast, AtMost, Count, Seed, Share, Weight
from cooper.perception import build_modalities
from cooper.scenes.drawings import Drawings
from cooper.scenes.examples import CONVENTIONS, SceneExamples
from cooper.scenes.lessons import LESSONS, SceneLessons, fixed_questions
from cooper.scenes.questions.categories import ALL_CATEGORIES
from cooper.sequence.packed import PackedSequence
from cooper.sequence.packing import Geometry, Row
from cooper.trace.modes import MODES, AnswerMode
from cooper.training.bundles import Bundle
from cooper.training.data import Data, MixedSource, is_rows, one_source, place_of, places_of, scene_folder
from cooper.training.feed.aside import GoodRows, SetAside
from cooper.training.feed.dropouts import with_dropouts
from cooper.training.feed.feeding import RowFeed
from cooper.training.feed.latents import LatentStore
from cooper.training.feed.rows import Pick, RowMaker, mixed, packed
from cooper.training.loop.trainer import run_stage
from cooper.training.recipe import check_mixture
from cooper.training.refusals import allow_refusals, weights_of
from cooper.training.scale.loading import load_scaled
from cooper.training.stages.exam import AnswerExam, MapExam, ReasoningExam, exam_of
from cooper.training.stages.objective import trainee
from cooper.training.stages.rows import MapBatches, RowRecipe, ShownExample, latents_of, map_rows, warn_of_size
from cooper.training.stages.trace_rows import TraceRows
from cooper.training.targets import modalities_of
from cooper.training.traces import taker_of, trace_file

SCENES_ONLY = "sft makes questions and traces from the geometry behind the pictures, which only scenes tell, or reads a file"
OF_SCENES = ("traces", "questions_seed", "categories", "drawn", "explore", "drawings", "own")  # keys
REPLAY = "replay"  # rows of stage 1, so that drawing alone is not forgotten
Questions = Annotated[int, AtLeast(0), AtMost(64)]  # branches of one row


@dataclass(frozen=True, kw_only=True)
class SftRecipe(RowRecipe):
    """`init`: a checkpoint of our layout or the published one, a folder, a hub id or `nano`. `mixture`: weights of the modes,
    of lessons, and of `replay` (rows of stage 1). Lessons: `grounding` (looking), `finding` (the same without metres),
    `reading` (reading maps). `questions`: how many share a row, by mode or lesson. `drawn`: the share of maps that are drawn.
    `data` may be a JSON Lines file of traces: the published rows, your own, or conversations (see `DataSource`). Then a row of
    training shows one trace, each equally often, or as often as `mixture` gives the modes in the file; the file says what is
    learned and drawn, and the keys of lessons and scenes (`questions`, `traces`, `drawn`, `explore`, `drawings`) do not apply.
    `data` may also be several files by name: each comes as often as its `weight` says, with all its rows, whatever their mode.
    `longest`: tokens of a row of the file; a longer one is refused (the published training drops those above 10,240).
    `val`: rendered scenes, a file of questions (no maps are drawn then), or nothing: no exam is taken.
    `traces`: a fixed set of so many questions, drawn with `questions_seed`, from which rows of modes choose; without it every
    row has new ones. Lessons and replay use all scenes in any case. `categories`: how often rows of modes ask questions of a
    category, 1 where it is not named (`{absent: 4}`: four times as often about things that are not there). A start that never
    learned to refuse learns it from scenes whose questions include `absent` (format 3), and its configuration says so.
    `explore`: the share of interleaved traces that draw another map than the one that helps, or none, so that
    reinforcement finds both. `drawings`: maps of these scenes as a model drew them (`cooper data draw`); the share `own` of
    traces and of lessons in reading shows those in place of the true ones, while the text stays true. `grey`: replace every
    picture by grey, to measure guessing, without flow targets. Evaluation asks `eval_questions` in each mode of the mixture
    and draws `eval_scenes` maps.
    """

    init: Path
    val: Data | None = None
    mixture: Mapping[str, Weight] = field(default_factory=dict)
    questions: Mapping[str, Questions] = field(default_factory=dict)
    traces: Count | None = None
    questions_seed: Seed = 0
    categories: Mapping[str, Weight] = field(default_factory=dict)
    drawn: Share = 0.5
    explore: Share = 0.0
    drawings: Path | None = None
    own: Share = 0.5
    grey: bool = False
    longest: Count | None = None
    eval_questions: Count = 60
    eval_scenes: Count = 32

    def __post_init__(self) -> None:
        super().__post_init__()
        if is_rows(self.data):
            self._check_file()
            return
        if self.longest is not None:
            raise CooperError(f"longest is a key of files of traces, and {places_of(self.data)} is none; leave it out")
        check_mixture(self.mixture, (*MODES, *LESSONS, REPLAY))
        for name in self.questions:
            if name not in (*MODES, *LESSONS):
                raise CooperError(f"questions names {name!r}; known: {', '.join((*MODES, *LESSONS))}")
        for name in self.mixture:
            if name != REPLAY and self.questions.get(name, 0) < 1:
                raise CooperError(f"questions.{name} is missing or 0, but the mixture has {name!r}")
        for name in self.categories:
            if name not in ALL_CATEGORIES:
                raise CooperError(f"categories names {name!r}; known: {', '.join(ALL_CATEGORIES)}")
        if self.categories and self.traces is not None:
            raise CooperError("categories gives weights to new questions, and traces fixes them; leave one of the two out")
        if self.grey and self.mixture.get(REPLAY, 0) > 0:
            raise CooperError("grey is true, so mixture.replay must be 0: a grey picture has no maps to draw")

    def _check_file(self) -> None:
        """CooperError: a key that a file of traces has no use for."""
        place = places_of(self.data)
        if self.mixture and isinstance(self.data, Mapping):
            raise CooperError("mixture gives weights to the modes of one file; of several, each has its `weight` in data")
        if self.mixture:
            check_mixture(self.mixture, MODES, f"; {place} holds traces, and no lessons and no maps to draw")
        for name, count in self.questions.items():
            if name not in MODES or count != 1:
                raise CooperError(f"questions.{name} is {count}, but of {place} a row shows one trace; leave questions out")
        plain = {each.name: {} if each.default is MISSING else each.default for each in fields(self) if each.name in OF_SCENES}
        for name, default in plain.items():
            if getattr(self, name) != default:
                raise CooperError(f"{name} is a key of rendered scenes, and {place} is a file of traces; leave it out")

    @property
    def modes(self) -> tuple[AnswerMode, ...]:
        """The modes of the mixture."""
        return tuple(name for name in MODES if self.mixture.get(name, 0) > 0)


@dataclass(frozen=True, eq=False)
class TraceBatches:
    """Rows of traces and replayed rows; (seed, row) decides picture, kind and questions.

    All rows of one update have the same kind, because rows of very different lengths would mostly be padding.
    """

    rows: TraceRows
    recipe: SftRecipe

    @property
    def geometry(self) -> Geometry:
        return self.rows.maps.processor.geometry

    def kind(self, number: int) -> str:
        """`replay`, a lesson or a mode."""
        return Mixture(self.recipe.mixture).pick(self.recipe.seed, number // self.recipe.optimiser.batch)

    def pick(self, order: int) -> Pick:
        kind = self.kind(order)
        return Pick(self._replay.pick(order).index if kind == REPLAY else self.rows.source.pick(order, kind), kind)

    def count(self, pick: Pick) -> int:
        return self._replay.count(pick) if pick.kind == REPLAY else self.rows.source.count(pick.kind)

    def name(self, pick: Pick) -> tuple[str, str]:
        if pick.kind == REPLAY:
            return self._replay.name(pick)
        return self.rows.maps.place, self.rows.source.name(pick.index, pick.kind)

    def read(self, number: int, pick: Pick) -> TraceGroup | ShownExample:
        if pick.kind == REPLAY:
            return self._replay.read(number, pick)
        return self.rows.group(number, pick.index, pick.kind, self.recipe.questions.get(pick.kind, 1))

    def fill(self, items: Mapping[int, TraceGroup | ShownExample]) -> None:
        self._replay.fill({number: item for number, item in items.items() if isinstance(item, ShownExample)})
        for number, item in items.items():
            if isinstance(item, TraceGroup):
                self.rows.fill(number, item)

    def row(self, number: int, item: TraceGroup | ShownExample) -> Row:
        if isinstance(item, ShownExample):
            return self._replay.row(number, item)
        return with_dropouts(self.rows.tree(number, item), self.recipe.dropouts, self.recipe.seed, number)

    @property
    def _replay(self) -> MapBatches:
        return MapBatches(self.rows.maps, self.recipe)

    def __call__(self, numbers: range) -> PackedSequence:
        return packed(self, numbers)


class FileRows(TraceBatches):
    """Rows of one of several files of traces: all its rows, whatever their mode."""

    def kind(self, number: int) -> str:
        return ""


def train_reasoning(recipe: SftRecipe) -> Path:
    """Stage 2 as its recipe says; the folder of the model."""
    bundle = load_scaled(recipe, recipe.init, recipe.base)
    aside = SetAside(recipe.out)
    if isinstance(recipe.data, Mapping):
        rows, modes = _rows_of_files(recipe, bundle, recipe.data, aside)
    else:
        rows = _rows_of_file(recipe, bundle, aside) if is_rows(recipe.data) else _rows_of_scenes(recipe, bundle)
        modes = rows.recipe.modes
    objective, result = trainee(bundle, recipe)
    exam = None if recipe.val is None else _exam(recipe.val, modes, recipe, bundle)

    def figures(step: int) -> Mapping[str, float]:
        return {} if exam is None else exam.figures(bundle, recipe.out / f"maps-{step:06d}.png")

    feed = RowFeed(GoodRows(rows, aside), recipe.packing, recipe.workers)
    return run_stage("sft", recipe, objective, feed, figures, result.write)


def _exam(val: Data, modes: tuple[AnswerMode, ...], recipe: SftRecipe, bundle: Bundle) -> ReasoningExam:
    """Answers in each mode, and maps where `val` is scenes."""
    answers = AnswerExam(exam_of(val, recipe.eval_questions, recipe.scenes), modes, recipe.grey)
    if is_rows(val) or recipe.grey:
        return ReasoningExam(answers)
    scenes = SceneExamples(scene_folder(val, SCENES_ONLY), min(recipe.scenes, recipe.eval_scenes))
    modalities = modalities_of(bundle.model.config.modalities, CONVENTIONS)
    return ReasoningExam(answers, MapExam(scenes, CONVENTIONS, modalities))


def _opened(data: Data, name: str, recipe: SftRecipe, bundle: Bundle, parts: "_Parts") -> tuple[TraceRows, TraceFile]:
    """A file of traces, and its rows. CooperError: more of them cannot be read than may be set aside."""
    place = name or str(place_of(data))
    source = trace_file(data, taker_of(bundle), recipe.seed, recipe.scenes, recipe.longest, parts.aside.of(place))
    for row, fault in source.faults.items():
        parts.aside.add(place, row, fault, len(source))
    if Processes.here().first:
        print(source.told(), file=sys.stderr)
    modalities = build_modalities(bundle.model.config.modalities)
    maps = map_rows(bundle, (), modalities, recipe, parts.latents, place)
    return TraceRows(source, maps, bundle.model.config.view_rules, 1.0, recipe.grey), source


@dataclass(frozen=True, eq=False)
class _Parts:
    """What all files of a run share."""

    latents: LatentStore
    aside: SetAside


def _rows_of_file(recipe: SftRecipe, bundle: Bundle, aside: SetAside) -> TraceBatches:
    """Rows of a file of traces, its modes as often as the mixture says."""
    rows, source = _opened(one_source(recipe.data), "", recipe, bundle, _Parts(latents_of(bundle, recipe), aside))
    known = dict(source.modes)
    missing = [name for name, weight in recipe.mixture.items() if weight and name not in known]
    if missing:
        raise CooperError(f"mixture names {missing[0]!r}, but {source.told()}")
    asked: Mapping[str, float] = recipe.mixture or {mode: float(count) for mode, count in known.items()}
    return TraceBatches(rows, replace(recipe, mixture=asked, questions=dict.fromkeys(asked, 1)))


def _rows_of_files(
    recipe: SftRecipe, bundle: Bundle, data: Mapping[str, MixedSource], aside: SetAside
) -> tuple[RowMaker[Any], tuple[AnswerMode, ...]]:
    """Rows of several files of traces by weight, and the modes in which they answer."""
    parts = _Parts(latents_of(bundle, recipe), aside)
    opened = {name: _opened(source, name, recipe, bundle, parts) for name, source in data.items()}
    known = {mode for _, source in opened.values() for mode in source.modes}
    rows = mixed({name: FileRows(rows, recipe) for name, (rows, _) in opened.items()}, data, recipe.seed)
    return rows, tuple(mode for mode in MODES if mode in known)


def _rows_of_scenes(recipe: SftRecipe, bundle: Bundle) -> TraceBatches:
    """Rows of lessons about rendered scenes."""
    folder = scene_folder(one_source(recipe.data), SCENES_ONLY)
    examples = SceneExamples(folder, recipe.scenes)
    warn_of_size(bundle, examples)
    modalities = modalities_of(bundle.model.config.modalities, CONVENTIONS)
    maps = map_rows(bundle, examples, modalities, recipe, latents_of(bundle, recipe), str(folder))
    source = SceneLessons(
        examples=examples,
        prompts=bundle.prompts,
        modalities=maps.modalities,
        canvas=bundle.processor.vae,
        seed=recipe.seed,
        explore=recipe.explore,
        drawings=None if recipe.drawings is None else Drawings.opened(recipe.drawings, examples.scenes),
        own=recipe.own,
        fixed=() if recipe.traces is None else fixed_questions(examples, recipe.traces, recipe.questions_seed),
        weights=weights_of(folder, recipe.categories),
    )
    allow_refusals(bundle, source.weights)
    return TraceBatches(TraceRows(source, maps, bundle.model.config.view_rules, recipe.drawn, recipe.grey), recipe)
