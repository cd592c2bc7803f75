"""Stage 2: reasoning. Questions about scenes with their teacher traces, made on the fly from (seed, row).

Several questions about one scene share its picture: they are branches of one row. The maps of a trace are read back
from the truth; a share of them is also a flow target, so that drawing inside a chain of thought is learned too.
"""

import sys
from collections.abc import Mapping
from dataclasses import dataclass, field, fields, replace
from functools import partial
from itertools import takewhile
from pathlib import Path
from typing import Annotated

import numpy as np
from PIL import Image
from torch import Tensor

from cooper.data.batches import rng_of, shuffled
from cooper.data.examples import TraceGroup, TraceSource
from cooper.data.mixture import Mixture
from cooper.data.sources.reasoning.trace_file import TraceFile
from cooper.errors import CooperError
from cooper.evaluation.runs.processes import Share as Processes
from cooper.files.pictures import GREY, grey_picture
from cooper.files.values import AtLeast, AtMost, Count, Seed, Share, Weight
from cooper.perception import build_modalities
from cooper.scenes.drawings import Drawings
from cooper.scenes.examples import CONVENTIONS, SceneExamples
from cooper.scenes.lessons import LESSONS, SceneLessons, fixed_questions, hiding
from cooper.sequence.layout import Layout, Views
from cooper.sequence.packed import PackedSequence
from cooper.sequence.packing import Row, pack
from cooper.sequence.segments import Segment
from cooper.trace.modes import MODES, AnswerMode
from cooper.trace.steps import MapStep, Question
from cooper.trace.trace import Trace
from cooper.training.bundles import Bundle
from cooper.training.data import Data, is_rows, place_of, scene_folder
from cooper.training.loop.trainer import run_stage
from cooper.training.recipe import check_mixture
from cooper.training.scale.loading import load_scaled
from cooper.training.stages.exam import AnswerExam, MapExam, ReasoningExam, exam_of
from cooper.training.stages.objective import trainee
from cooper.training.stages.rows import MapBatches, MapRows, RowRecipe, map_rows, to_pixels, warn_of_size
from cooper.training.targets import modalities_of
from cooper.training.traces import taker_of, trace_file

SCENES_ONLY = "sft makes questions and traces from the geometry behind the pictures, which only scenes tell, or reads a file"
OF_SCENES = ("traces", "questions_seed", "drawn", "explore", "drawings", "own")  # keys
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
    `longest`: tokens of a row of the file; a longer one is refused (the published training drops those above 10,240).
    `val`: rendered scenes, a file of questions (no maps are drawn then), or nothing: no exam is taken.
    `traces`: a fixed set of so many questions, drawn with `questions_seed`, from which rows of modes choose; without it every
    row has new ones. Lessons and replay use all scenes in any case.
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
            raise CooperError(f"longest is a key of files of traces, and {place_of(self.data)} is none; leave it out")
        check_mixture(self.mixture, (*MODES, *LESSONS, REPLAY))
        for name in self.questions:
            if name not in (*MODES, *LESSONS):
                raise CooperError(f"questions names {name!r}; known: {', '.join((*MODES, *LESSONS))}")
        for name in self.mixture:
            if name != REPLAY and self.questions.get(name, 0) < 1:
                raise CooperError(f"questions.{name} is missing or 0, but the mixture has {name!r}")
        if self.grey and self.mixture.get(REPLAY, 0) > 0:
            raise CooperError("grey is true, so mixture.replay must be 0: a grey picture has no maps to draw")

    def _check_file(self) -> None:
        """CooperError: a key that a file of traces has no use for."""
        place = place_of(self.data)
        if self.mixture:
            check_mixture(self.mixture, MODES, f"; {place} holds traces, and no lessons and no maps to draw")
        for name, count in self.questions.items():
            if name not in MODES or count != 1:
                raise CooperError(f"questions.{name} is {count}, but of {place} a row shows one trace; leave questions out")
        plain = {each.name: each.default for each in fields(self) if each.name in OF_SCENES}
        for name, default in plain.items():
            if getattr(self, name) != default:
                raise CooperError(f"{name} is a key of rendered scenes, and {place} is a file of traces; leave it out")

    @property
    def modes(self) -> tuple[AnswerMode, ...]:
        """The modes of the mixture."""
        return tuple(name for name in MODES if self.mixture.get(name, 0) > 0)


@dataclass(frozen=True, eq=False)
class TraceRows:
    """Rows of traces. Maps of them are flow targets, too: a share `drawn`. `grey`: in every row the model must not look."""

    source: TraceSource
    maps: MapRows
    views: Views
    drawn: float
    grey: bool = False

    def group(self, number: int, index: int, kind: str, count: int) -> TraceGroup:
        """The traces of row `number` of the run: `count` of a kind about one picture."""
        found = self.source.group(number, index, kind, count)
        return TraceGroup(tuple(map(greyed, found.traces)), targets=False) if self.grey else found

    def tree(self, number: int, group: TraceGroup) -> Row:
        """Traces about the same pictures, as branches behind those that stand before all words."""
        layout = Layout(self.maps.processor, self.views, lambda image: self.maps.latents.get(partial(self._pixels, image)))
        first = group.traces[0]
        shared = tuple(takewhile(lambda part: not isinstance(part, str), first.question.parts))
        segments: list[Segment] = layout.question(Question(shared), first.mode, first.system)
        parents = list(range(-1, len(segments) - 1))
        tree = _Tree(segments, parents, len(segments) - 1, group.targets)
        for place, trace in enumerate(group.traces):
            rest = Question(trace.question.parts[len(shared) :])
            self._branch(layout, replace(trace, question=rest), number * 64 + place, tree)
        return Row(tuple(segments), tuple(parents))

    def fill(self, number: int, group: TraceGroup) -> None:
        """Encode the pictures that a row needs, which is much faster together than one by one."""
        wanted = []
        for place, trace in enumerate(group.traces):
            if "vae" in self.views.of_input(trace.mode):
                wanted += [partial(self._pixels, image) for image in trace.question.images]
            for at, step in enumerate(trace.steps):
                if isinstance(step, MapStep):
                    target = group.targets and self._is_target(step, number * 64 + place, at)
                    wanted += [partial(to_pixels, step.drawn)] * target
                    wanted += [partial(self._pixels, step.image)] * ("vae" in self.views.map)
        self.maps.latents.fill([(None, pixels) for pixels in wanted])

    def _pixels(self, image: Image.Image) -> Tensor:
        return self.maps.processor.vae_pixels(image)

    def _branch(self, layout: Layout, trace: Trace, key: int, tree: "_Tree") -> None:
        """The rest of the question and every step, one behind the other; flow targets hang beside their map. A map that is
        drawn last is not read."""
        last = tree.trunk
        for segment in layout.question(trace.question, trace.mode):
            last = tree.add(segment, last)
        for place, step in enumerate(trace.steps):
            if isinstance(step, MapStep) and tree.drawn and self._is_target(step, key, place):
                latent = self.maps.latents.get(partial(to_pixels, step.drawn))
                patch = self.maps.processor.geometry.latent_patch
                tree.add(self.maps.noise.of(latent, patch, key, place), last)
                if place + 1 == len(trace.steps):
                    return
            for segment in layout.step(step, loss=True):
                last = tree.add(segment, last)

    def _is_target(self, step: MapStep, key: int, place: int) -> bool:
        return step.drawn.size > 0 and rng_of(self.maps.noise.seed, key, place, 13).random() < self.drawn


@dataclass(frozen=True, eq=False)
class _Tree:
    """The growing lists of one row; only `TraceRows.tree` holds one."""

    segments: list[Segment]
    parents: list[int]
    trunk: int
    drawn: bool  # whether maps are flow targets, too

    def add(self, segment: Segment, parent: int) -> int:
        self.segments.append(segment)
        self.parents.append(parent)
        return len(self.segments) - 1


def greyed(trace: Trace) -> Trace:
    """A trace whose pictures, asked about and drawn, are all mid grey; its words stay."""
    steps = tuple(
        MapStep(step.modality, np.full_like(step.drawn, GREY / 255), grey_picture(step.image))
        if isinstance(step, MapStep)
        else step
        for step in trace.steps
    )
    return replace(hiding(trace), steps=steps)


@dataclass(frozen=True, eq=False)
class TraceBatches:
    """Makes packed batches of traces and replayed rows; (seed, row) decides picture, kind and questions.

    All rows of one update have the same kind, because rows of very different lengths would mostly be padding.
    """

    rows: TraceRows
    recipe: SftRecipe

    def __call__(self, numbers: range) -> PackedSequence:
        maps = self.rows.maps
        if self.kind(numbers.start) == REPLAY:
            return MapBatches(maps, self.recipe)(numbers)
        groups = {number: self._group(number) for number in numbers}
        for number, group in groups.items():
            self.rows.fill(number, group)
        return pack([self.rows.tree(number, group) for number, group in groups.items()], maps.processor.geometry)

    def _group(self, number: int) -> TraceGroup:
        kind, index = self.kind(number), shuffled(self.recipe.seed, number, len(self.rows.source))
        return self.rows.group(number, index, kind, self.recipe.questions[kind])

    def kind(self, number: int) -> str:
        """`replay`, a lesson or a mode."""
        return Mixture(self.recipe.mixture).pick(self.recipe.seed, number // self.recipe.optimiser.batch)


def train_reasoning(recipe: SftRecipe) -> Path:
    """Stage 2 as its recipe says; the folder of the model."""
    bundle = load_scaled(recipe, recipe.init, recipe.base)
    rows = _rows_of_file(recipe, bundle) if is_rows(recipe.data) else _rows_of_scenes(recipe, bundle)
    if isinstance(rows.source, TraceFile):
        known = dict(rows.source.modes)
        missing = [name for name, weight in recipe.mixture.items() if weight and name not in known]
        if missing:
            raise CooperError(f"mixture names {missing[0]!r}, but {rows.source.told()}")
        asked: Mapping[str, float] = recipe.mixture or {mode: float(count) for mode, count in known.items()}
        batches = TraceBatches(rows, replace(recipe, mixture=asked, questions=dict.fromkeys(asked, 1)))
    else:
        batches = TraceBatches(rows, recipe)
    objective, result = trainee(bundle, recipe)
    exam = None if recipe.val is None else _exam(recipe.val, batches.recipe, bundle)

    def figures(step: int) -> Mapping[str, float]:
        return {} if exam is None else exam.figures(bundle, recipe.out / f"maps-{step:06d}.png")

    return run_stage("sft", recipe, objective, batches, figures, result.write)


def _exam(val: Data, recipe: SftRecipe, bundle: Bundle) -> ReasoningExam:
    """Answers in each mode, and maps where `val` is scenes."""
    answers = AnswerExam(exam_of(val, recipe.eval_questions, recipe.scenes), recipe.modes, recipe.grey)
    if is_rows(val) or recipe.grey:
        return ReasoningExam(answers)
    scenes = SceneExamples(scene_folder(val, SCENES_ONLY), min(recipe.scenes, recipe.eval_scenes))
    modalities = modalities_of(bundle.model.config.modalities, CONVENTIONS)
    return ReasoningExam(answers, MapExam(scenes, CONVENTIONS, modalities))


def _rows_of_file(recipe: SftRecipe, bundle: Bundle) -> TraceRows:
    """Rows of a file of traces."""
    source = trace_file(recipe.data, taker_of(bundle), recipe.seed, recipe.scenes, recipe.longest)
    if Processes.here().first:
        print(source.told(), file=sys.stderr)
    maps = map_rows(bundle, (), build_modalities(bundle.model.config.modalities), recipe)
    return TraceRows(source, maps, bundle.model.config.view_rules, 1.0, recipe.grey)


def _rows_of_scenes(recipe: SftRecipe, bundle: Bundle) -> TraceRows:
    """Rows of lessons about rendered scenes."""
    examples = SceneExamples(scene_folder(recipe.data, SCENES_ONLY), recipe.scenes)
    warn_of_size(bundle, examples)
    maps = map_rows(bundle, examples, modalities_of(bundle.model.config.modalities, CONVENTIONS), recipe)
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
    )
    return TraceRows(source, maps, bundle.model.config.view_rules, recipe.drawn, recipe.grey)
