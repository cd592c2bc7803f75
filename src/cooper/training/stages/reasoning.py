"""Stage 2: reasoning. Questions about scenes with their teacher traces, made on the fly from (seed, row).

Several questions about one scene share its picture: they are branches of one row. The maps of a trace are read back
from the truth; a share of them is also a flow target, so that drawing inside a chain of thought is learned too.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Annotated

import numpy as np
from torch import Tensor

from cooper.data.batches import rng_of, shuffled
from cooper.data.mixture import Mixture
from cooper.errors import CooperError
from cooper.files.pictures import GREY, grey_picture
from cooper.files.values import AtLeast, AtMost, Count, Positive, Seed, Share, Weight
from cooper.perception import Modality
from cooper.scenes.drawings import Drawings
from cooper.scenes.questions.categories import questions_of
from cooper.scenes.store import SceneSet
from cooper.scenes.teacher.looking import grounding_traces
from cooper.scenes.teacher.reading import reading_traces
from cooper.scenes.teacher.traces import another_map, teacher_trace
from cooper.sequence.layout import Layout, Views
from cooper.sequence.packed import PackedSequence
from cooper.sequence.packing import Row, pack
from cooper.sequence.segments import Segment
from cooper.trace.prompts import MODES
from cooper.trace.steps import MapStep, Mode, Question
from cooper.trace.trace import Trace
from cooper.training.bundles import load_bundle, save_bundle
from cooper.training.loop.trainer import Measured, TrainingPlan, run_plan
from cooper.training.recipe import Optimiser, RecordSettings, check_map_names, check_mixture
from cooper.training.stages.exam import AnswerExam, exam_sheet, map_exam
from cooper.training.stages.latents import PictureKey
from cooper.training.stages.objective import Draws, LossWeights, PackedObjective
from cooper.training.stages.rows import MapRows, grey_latent, map_rows, room_modalities

REPLAY = "replay"  # rows of stage 1, so that drawing alone is not forgotten
GROUNDING = "grounding"  # lessons in looking, in words
READING = "reading"  # lessons in reading maps; the picture is hidden in half of them
Questions = Annotated[int, AtLeast(0), AtMost(64)]  # branches of one row


@dataclass(frozen=True)
class SftRecipe:
    """`init`: a checkpoint of our layout or the published one, a folder, a hub id or `nano`; `base` names the one that has
    configuration, tokenizer and autoencoder, if `init` holds only weights.
    `mixture`: weights of the modes, of `grounding` (lessons in looking), of `reading` (lessons in reading maps) and of
    `replay` (rows of stage 1). `questions`: how many share a row, by mode, and lessons likewise. `drawn`: the share of maps
    in traces that are flow targets too.
    `explore`: the share of interleaved traces that draw another map than the one that helps, or none, so that
    reinforcement finds both. `drawings`: maps of these scenes as a model drew them (`cooper data draw`); the share `own` of
    traces shows those in place of the true ones, while the text stays true. `grey`: replace every picture by grey, to
    measure guessing, without flow targets. `latents`: the folder of an earlier run's latents, to be used again. `frozen`:
    parts of the network that are not trained. Evaluation asks `eval_questions` in each mode of the mixture and draws
    `eval_scenes` maps.
    """

    out: Path
    data: Path
    val: Path
    init: Path
    optimiser: Optimiser
    mixture: Mapping[str, Weight]
    questions: Mapping[str, Questions]
    base: Path | None = None
    maps: tuple[str, ...] = ("depth", "segmentation")
    loss: LossWeights = field(default_factory=LossWeights)
    record: RecordSettings = field(default_factory=RecordSettings)
    drawn: Share = 0.5
    explore: Share = 0.0
    drawings: Path | None = None
    own: Share = 0.5
    grey: bool = False
    latents: Path | None = None
    frozen: tuple[str, ...] = ()
    timestep_shift: Positive = 1.0
    draws: Draws = 1
    mirror: bool = True
    scenes: Count = 100_000
    eval_questions: Count = 60
    eval_scenes: Count = 32
    seed: Seed = 0

    def __post_init__(self) -> None:
        check_map_names(self.maps)
        check_mixture(self.mixture, (*MODES, GROUNDING, READING, REPLAY))
        for name in self.mixture:
            if name != REPLAY and self.questions.get(name, 0) < 1:
                raise CooperError(f"questions.{name} is missing or 0, but the mixture has {name!r}")
        if self.grey and self.mixture.get(REPLAY, 0) > 0:
            raise CooperError("grey is true, so mixture.replay must be 0: a grey picture has no maps to draw")

    @property
    def modes(self) -> tuple[str, ...]:
        """The modes of the mixture."""
        return tuple(name for name in MODES if self.mixture.get(name, 0) > 0)

    @property
    def exam_modes(self) -> tuple[Mode, ...]:
        """The same, as the engine names them."""
        return tuple(_mode(name) for name in self.modes)


@dataclass(frozen=True, eq=False)
class TraceRows:
    """Rows of teacher traces. `grey_latent`: the latent of a grey picture, for rows in which the model must not look: all of
    them if `grey`, else half of the lessons in reading maps. `explore`: the share of interleaved traces that draw another
    map than the one that helps, or none. `own`: the share of traces with maps from `drawings`."""

    maps: MapRows
    modalities: Mapping[str, Modality]
    views: Views
    drawn: float
    grey_latent: Tensor
    grey: bool = False
    explore: float = 0.0
    drawings: Drawings | None = None
    own: float = 0.0

    def row(self, number: int, scene: int, mode: Mode, count: int) -> Row:
        """Row `number` of the run: `count` questions about one scene in one mode."""
        record = self.maps.pictures.record(scene)
        seed = int(rng_of(self.maps.noise.seed, number, 5).integers(2**31))
        asked = questions_of(record.scene, seed, count)
        rng = rng_of(self.maps.noise.seed, number, 19)
        wanted = [another_map(question, rng) if rng.random() < self.explore else None for question in asked]
        traces = [
            teacher_trace(question, record, mode, self.maps.prompts, self.modalities, other)
            for question, other in zip(asked, wanted, strict=True)
        ]
        if self.drawings is not None:
            traces = [as_drawn(trace, self.drawings, scene) if rng.random() < self.own else trace for trace in traces]
        return self.tree(number, scene, [greyed(trace) for trace in traces] if self.grey else traces, self.grey)

    def lessons(self, number: int, scene: int, count: int) -> Row:
        """Row `number` of the run: `count` lessons in looking at one scene."""
        traces = grounding_traces(self.maps.pictures.record(scene), number, count, self.maps.prompts)
        return self.tree(number, scene, [greyed(trace) for trace in traces] if self.grey else traces, self.grey)

    def readings(self, number: int, scene: int, count: int) -> Row:
        """Row `number` of the run: `count` lessons in reading maps of one scene, whose picture is hidden in every other row."""
        traces = reading_traces(self.maps.pictures.record(scene), number, count, self.maps.prompts, self.modalities)
        hidden = bool(rng_of(self.maps.noise.seed, number, 31).random() < 0.5)
        return self.tree(number, scene, [hiding(trace) for trace in traces] if hidden else traces, hidden)

    def tree(self, number: int, scene: int, traces: list[Trace], hidden: bool) -> Row:
        """Traces about one picture, as branches behind it. With a hidden picture nothing is drawn."""
        latent = self.grey_latent if hidden else None
        layout = Layout(self.maps.processor, self.views, lambda image: self._latent(scene) if latent is None else latent)
        first = traces[0]
        segments: list[Segment] = layout.question(Question(first.question.images), first.mode, first.system)
        parents = list(range(-1, len(segments) - 1))
        trunk = len(segments) - 1
        for place, trace in enumerate(traces):
            self._branch(layout, trace, scene, number * 64 + place, _Tree(segments, parents, trunk, not hidden))
        return Row(tuple(segments), tuple(parents))

    def _branch(self, layout: Layout, trace: Trace, scene: int, key: int, tree: "_Tree") -> None:
        """The words of the question and every step, one behind the other; flow targets hang beside their map."""
        last = tree.trunk
        for segment in layout.question(Question((trace.question.text,)), trace.mode):
            last = tree.add(segment, last)
        for place, step in enumerate(trace.steps):
            if isinstance(step, MapStep) and tree.drawn and self._is_target(key, place):
                latent = self.maps.latents.get(PictureKey(scene, step.modality))
                patch = self.maps.processor.geometry.latent_patch
                tree.add(self.maps.noise.of(latent, patch, key, place), last)
            for segment in layout.step(step, loss=True):
                last = tree.add(segment, last)

    def _is_target(self, key: int, place: int) -> bool:
        return rng_of(self.maps.noise.seed, key, place, 13).random() < self.drawn

    def _latent(self, scene: int) -> Tensor:
        return self.maps.latents.get(PictureKey(scene, "rgb"))


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


def hiding(trace: Trace) -> Trace:
    """A trace whose question shows mid grey; its maps and words stay."""
    parts = tuple(part if isinstance(part, str) else grey_picture(part) for part in trace.question.shown)
    return replace(trace, question=replace(trace.question, parts=parts))


def as_drawn(trace: Trace, drawings: Drawings, scene: int) -> Trace:
    """A trace that reads maps as a model drew them; its words stay."""
    steps = [drawings.step(scene, step.modality) if isinstance(step, MapStep) else step for step in trace.steps]
    return replace(trace, steps=tuple(steps))


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
    """Makes packed batches of traces and replayed rows; (seed, row) decides scene, kind and questions.

    All rows of one update have the same kind, because rows of very different lengths would mostly be padding.
    """

    rows: TraceRows
    recipe: SftRecipe

    def __call__(self, numbers: range) -> PackedSequence:
        self.rows.maps.latents.fill([key for number in numbers for key in self._keys(number)])
        return pack([self.row(number) for number in numbers], self.rows.maps.processor.geometry)

    def _keys(self, number: int) -> list[PictureKey]:
        """The latents that a row may need: encoding those of a batch together is much faster than one by one."""
        if self.kind(number) in ("text", GROUNDING):
            return []  # words only: the picture is seen through the ViT
        scene, mirrored = self._scene(number), self._mirrored(number)
        return [PictureKey(scene, kind, mirrored) for kind in ("rgb", *self.recipe.maps)]

    def _scene(self, number: int) -> int:
        return shuffled(self.recipe.seed, number, len(self.rows.maps.pictures))

    def _mirrored(self, number: int) -> bool:
        """Replayed rows only: the words of a trace know left from right."""
        mirror = self.recipe.mirror and self.kind(number) == REPLAY
        return mirror and bool(rng_of(self.recipe.seed, number, 3).random() < 0.5)

    def kind(self, number: int) -> str:
        """`replay`, `grounding`, `reading` or a mode."""
        return Mixture(self.recipe.mixture).pick(self.recipe.seed, number // self.recipe.optimiser.batch)

    def row(self, number: int) -> Row:
        """One row of the run."""
        recipe, maps = self.recipe, self.rows.maps
        scene, kind = self._scene(number), self.kind(number)
        if kind == REPLAY:
            return maps.row(number, scene, self._mirrored(number), recipe.maps)
        if kind == GROUNDING:
            return self.rows.lessons(number, scene, recipe.questions[kind])
        if kind == READING:
            return self.rows.readings(number, scene, recipe.questions[kind])
        return self.rows.row(number, scene, _mode(kind), self.recipe.questions[kind])


def _mode(name: str) -> Mode:
    modes: dict[str, Mode] = {"interleaved": "interleaved", "perception": "perception", "text": "text", "direct": "direct"}
    return modes[name]


def train_reasoning(recipe: SftRecipe) -> Path:
    bundle = load_bundle(recipe.init, recipe.base)
    model = bundle.model
    maps = map_rows(bundle, recipe.data, recipe.latents or recipe.out / "latents-train", recipe)
    exam_rows = map_rows(bundle, recipe.val, recipe.out / "latents-val", recipe)
    modalities = room_modalities(model)
    grey = grey_latent(bundle, maps.pictures.rgb[0])
    drawings = None if recipe.drawings is None else Drawings.opened(recipe.drawings, SceneSet(recipe.data))
    rows = TraceRows(
        maps, modalities, model.config.view_rules, recipe.drawn, grey, recipe.grey, recipe.explore, drawings, recipe.own
    )
    objective = PackedObjective(model, recipe.loss, recipe.frozen)
    plan = TrainingPlan(objective, TraceBatches(rows, recipe), recipe.optimiser, recipe.record, recipe.out, recipe.seed)
    answers = AnswerExam(exam_rows.pictures, recipe.exam_modes, recipe.eval_questions, recipe.grey)
    exam = map_exam(bundle, exam_rows, recipe.eval_scenes)

    def figures(step: int) -> Mapping[str, float]:
        if recipe.grey:
            return answers.figures(bundle)
        drawn = exam.drawn(bundle)
        exam_sheet(exam_rows.pictures, drawn, modalities).save(recipe.out / f"maps-{step:06d}.png")
        return {**exam.scores(drawn), **answers.figures(bundle)}

    return run_plan(plan, "sft", recipe, Measured(figures, lambda folder: save_bundle(bundle, folder)))
