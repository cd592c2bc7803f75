"""Stage 2: reasoning. Questions about scenes with their teacher traces, made on the fly from (seed, row).

Several questions about one scene share its picture: they are branches of one row. The maps of a trace are read back
from the truth; a share of them is also a flow target, so that drawing inside a chain of thought is learned too.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from functools import partial
from pathlib import Path
from typing import Annotated

import numpy as np
from PIL import Image
from torch import Tensor

from cooper.data.batches import rng_of, shuffled
from cooper.data.examples import TraceGroup, TraceSource
from cooper.data.mixture import Mixture
from cooper.errors import CooperError
from cooper.files.pictures import GREY, grey_picture
from cooper.files.values import AtLeast, AtMost, Count, Positive, Seed, Share, Weight
from cooper.scenes.drawings import Drawings
from cooper.scenes.examples import CONVENTIONS, SceneExamples
from cooper.scenes.lessons import GROUNDING, READING, SceneLessons, hiding
from cooper.scenes.problems import exam_items
from cooper.sequence.layout import Layout, Views
from cooper.sequence.packed import PackedSequence
from cooper.sequence.packing import Row, pack
from cooper.sequence.segments import Segment
from cooper.trace.modes import MODES, AnswerMode
from cooper.trace.steps import MapStep, Question
from cooper.trace.trace import Trace
from cooper.training.bundles import load_bundle, save_bundle
from cooper.training.loop.trainer import Measured, TrainingPlan, run_plan
from cooper.training.recipe import Optimiser, RecordSettings, check_map_names, check_mixture
from cooper.training.stages.exam import AnswerExam, MapExam
from cooper.training.stages.objective import Draws, LossWeights, PackedObjective
from cooper.training.stages.rows import MapRows, PictureKey, map_rows, to_pixels, warn_of_size

REPLAY = "replay"  # rows of stage 1, so that drawing alone is not forgotten
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

    def row(self, number: int, index: int, kind: str, count: int) -> Row:
        """Row `number` of the run: `count` traces of a kind about one picture."""
        return self.tree(number, self.group(number, index, kind, count))

    def group(self, number: int, index: int, kind: str, count: int) -> TraceGroup:
        """The traces of a row."""
        found = self.source.group(number, index, kind, count)
        return TraceGroup(tuple(map(greyed, found.traces)), targets=False) if self.grey else found

    def tree(self, number: int, group: TraceGroup) -> Row:
        """Traces about the same pictures, as branches behind them."""
        layout = Layout(self.maps.processor, self.views, lambda image: self.maps.latents.get(partial(self._pixels, image)))
        first = group.traces[0]
        segments: list[Segment] = layout.question(Question(first.question.images), first.mode, first.system)
        parents = list(range(-1, len(segments) - 1))
        trunk = len(segments) - 1
        for place, trace in enumerate(group.traces):
            self._branch(layout, trace, number * 64 + place, _Tree(segments, parents, trunk, group.targets))
        return Row(tuple(segments), tuple(parents))

    def fill(self, number: int, group: TraceGroup) -> None:
        """Encode the pictures that a row needs, which is much faster together than one by one."""
        wanted = []
        for place, trace in enumerate(group.traces):
            if "vae" in self.views.of_input(trace.mode):
                wanted += [partial(self._pixels, image) for image in trace.question.images]
            for at, step in enumerate(trace.steps):
                if isinstance(step, MapStep):
                    wanted += [partial(to_pixels, step.drawn)] * (group.targets and self._is_target(number * 64 + place, at))
                    wanted += [partial(self._pixels, step.image)] * ("vae" in self.views.map)
        self.maps.latents.fill([(None, pixels) for pixels in wanted])

    def _pixels(self, image: Image.Image) -> Tensor:
        return self.maps.processor.vae_pixels(image)

    def _branch(self, layout: Layout, trace: Trace, key: int, tree: "_Tree") -> None:
        """The words of the question and every step, one behind the other; flow targets hang beside their map."""
        last = tree.trunk
        for segment in layout.question(Question((trace.question.text,)), trace.mode):
            last = tree.add(segment, last)
        for place, step in enumerate(trace.steps):
            if isinstance(step, MapStep) and tree.drawn and self._is_target(key, place):
                latent = self.maps.latents.get(partial(to_pixels, step.drawn))
                patch = self.maps.processor.geometry.latent_patch
                tree.add(self.maps.noise.of(latent, patch, key, place), last)
            for segment in layout.step(step, loss=True):
                last = tree.add(segment, last)

    def _is_target(self, key: int, place: int) -> bool:
        return rng_of(self.maps.noise.seed, key, place, 13).random() < self.drawn


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
            keys = [
                (self._index(number), kind, self._mirrored(number)) for number in numbers for kind in ("rgb", *self.recipe.maps)
            ]
            maps.fill([PictureKey(*key) for key in keys])
            packed = [maps.row(number, self._index(number), self._mirrored(number), self.recipe.maps) for number in numbers]
        else:
            groups = {number: self._group(number) for number in numbers}
            for number, group in groups.items():
                self.rows.fill(number, group)
            packed = [self.rows.tree(number, group) for number, group in groups.items()]
        return pack(packed, maps.processor.geometry)

    def _index(self, number: int) -> int:
        return shuffled(self.recipe.seed, number, len(self.rows.source))

    def _mirrored(self, number: int) -> bool:
        """Replayed rows only: the words of a trace know left from right."""
        return self.recipe.mirror and bool(rng_of(self.recipe.seed, number, 3).random() < 0.5)

    def _group(self, number: int) -> TraceGroup:
        kind = self.kind(number)
        return self.rows.group(number, self._index(number), kind, self.recipe.questions[kind])

    def kind(self, number: int) -> str:
        """`replay`, `grounding`, `reading` or a mode."""
        return Mixture(self.recipe.mixture).pick(self.recipe.seed, number // self.recipe.optimiser.batch)


def train_reasoning(recipe: SftRecipe) -> Path:
    """Stage 2 as its recipe says; the folder of the model."""
    bundle = load_bundle(recipe.init, recipe.base)
    examples, held_out = SceneExamples(recipe.data, recipe.scenes), SceneExamples(recipe.val, recipe.scenes)
    warn_of_size(bundle, examples)
    maps = map_rows(bundle, examples, recipe.latents or recipe.out / "latents-train", recipe)
    drawings = None if recipe.drawings is None else Drawings.opened(recipe.drawings, examples.scenes)
    source = SceneLessons(
        examples=examples,
        prompts=bundle.prompts,
        modalities=maps.modalities,
        seed=recipe.seed,
        explore=recipe.explore,
        drawings=drawings,
        own=recipe.own,
    )
    rows = TraceRows(source, maps, bundle.model.config.view_rules, recipe.drawn, recipe.grey)
    objective = PackedObjective(bundle.model, recipe.loss, recipe.frozen)
    plan = TrainingPlan(objective, TraceBatches(rows, recipe), recipe.optimiser, recipe.record, recipe.out, recipe.seed)
    answers = AnswerExam(exam_items(held_out, recipe.eval_questions), recipe.modes, recipe.grey)
    exam = MapExam(held_out[: recipe.eval_scenes], CONVENTIONS, maps.modalities)

    def figures(step: int) -> Mapping[str, float]:
        if recipe.grey:
            return answers.figures(bundle)
        drawn = exam.drawn(bundle)
        exam.sheet(drawn).save(recipe.out / f"maps-{step:06d}.png")
        return {**exam.scores(drawn), **answers.figures(bundle)}

    return run_plan(plan, "sft", recipe, Measured(figures, lambda folder: save_bundle(bundle, folder)))
