"""What stage 2 learns from rendered scenes: teacher traces of questions, lessons in looking, and lessons in reading maps."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace

import numpy as np

from cooper.data.batches import rng_of, shuffled
from cooper.data.examples import TraceGroup
from cooper.errors import CooperError
from cooper.files.pictures import grey_picture
from cooper.perception import Modality
from cooper.scenes.drawings import Drawings
from cooper.scenes.examples import SceneExamples
from cooper.scenes.questions.categories import balanced_questions, questions_of
from cooper.scenes.questions.choosing import some
from cooper.scenes.questions.question import SceneQuestion
from cooper.scenes.room.render import SceneRecord
from cooper.scenes.room.scene import scene_id
from cooper.scenes.teacher.looking import grounding_traces
from cooper.scenes.teacher.reading import reading_traces
from cooper.scenes.teacher.traces import another_map, teacher_trace, truth_of
from cooper.sequence.images import ImageTransform
from cooper.trace.modes import Mode, answer_mode
from cooper.trace.prompts import Prompts
from cooper.trace.steps import MapStep, Step
from cooper.trace.trace import Trace

GROUNDING = "grounding"  # lessons in looking, in words
FINDING = "finding"  # the same without metres
READING = "reading"  # lessons in reading maps; the picture is hidden in half of them
LESSONS = (GROUNDING, FINDING, READING)
PER_SCENE = 4  # of fixed questions


@dataclass(frozen=True)
class SceneQuestions:
    """Questions about one scene of a set, by its number."""

    scene: int
    questions: tuple[SceneQuestion, ...]


@dataclass(frozen=True, kw_only=True, eq=False)
class SceneLessons:
    """Traces about rendered scenes; `seed` and the number of a row decide which.

    `explore`: the share of interleaved traces that draw another map than the one that helps, or none. `own`: the share of
    traces that read the maps of `drawings` in place of the true ones; their words stay true. `canvas`: brings a picture to the
    size at which the model draws maps of it; maps of the traces have that size. `fixed`: all questions that rows of modes may
    ask (`fixed_questions`), as if no more traces were to be had; lessons are about all scenes.
    """

    examples: SceneExamples
    prompts: Prompts
    modalities: Mapping[str, Modality]
    canvas: ImageTransform
    seed: int
    explore: float = 0.0
    drawings: Drawings | None = None
    own: float = 0.0
    fixed: Sequence[SceneQuestions] = ()
    weights: Mapping[str, float] = field(default_factory=dict)

    def count(self, kind: str) -> int:
        """How many scenes there are, for all kinds alike."""
        return len(self.examples)

    def pick(self, order: int, kind: str) -> int:
        """The scene of row number `order`: each once before any comes again."""
        return shuffled(self.seed, order, len(self.examples))

    def name(self, index: int, kind: str) -> str:
        """The id of a scene."""
        return self.examples[index].id

    def group(self, number: int, index: int, kind: str, count: int) -> TraceGroup:
        """`count` traces about one scene: of a mode, or lessons."""
        record = self.examples.record(index)
        if kind in (GROUNDING, FINDING):
            return TraceGroup(tuple(grounding_traces(record, number, count, self.prompts, metres=kind == GROUNDING)))
        if kind == READING:
            traces = reading_traces(record, number, count, self.prompts, self.modalities)
            hidden = bool(rng_of(self.seed, number, 31).random() < 0.5)
            traces = self._as_own(self._sized(record, traces), index, rng_of(self.seed, number, 37))
            return TraceGroup(tuple(hiding(each) if hidden else each for each in traces), targets=not hidden)
        return TraceGroup(tuple(self._traces(number, index, answer_mode(kind), count)))

    def _sized(self, record: SceneRecord, traces: Sequence[Trace]) -> list[Trace]:
        """The traces with every true map at the size at which the model draws."""
        side = len(record.rgb)
        size = self.canvas.size(side, side)
        if size == (side, side):
            return list(traces)
        reading = truth_of(record).resized(*size)

        def drawn(step: Step) -> Step:
            if not isinstance(step, MapStep):
                return step
            modality = self.modalities[step.modality]
            picture = modality.encode(reading)
            return replace(step, drawn=picture, image=modality.render(picture))

        return [replace(trace, steps=tuple(map(drawn, trace.steps))) for trace in traces]

    def _asked(self, number: int, index: int, count: int) -> SceneQuestions:
        """The questions of a row: new ones about its own scene, or some of those that are fixed, about theirs."""
        rng = rng_of(self.seed, number, 5)
        if self.fixed:
            kept = self.fixed[shuffled(self.seed, number, len(self.fixed))]
            return replace(kept, questions=tuple(some(rng, kept.questions, count)))
        asked = questions_of(self.examples.scene(index), int(rng.integers(2**31)), count, weights=self.weights)
        return SceneQuestions(index, asked)

    def _traces(self, number: int, index: int, mode: Mode, count: int) -> list[Trace]:
        chosen = self._asked(number, index, count)
        index, asked = chosen.scene, chosen.questions
        record = self.examples.record(index)
        rng = rng_of(self.seed, number, 19)
        wanted = [another_map(question, rng) if rng.random() < self.explore else None for question in asked]
        traces = [
            teacher_trace(question, record, mode, self.prompts, self.modalities, other)
            for question, other in zip(asked, wanted, strict=True)
        ]
        return self._as_own(self._sized(record, traces), index, rng)

    def _as_own(self, traces: list[Trace], index: int, rng: np.random.Generator) -> list[Trace]:
        """The traces about scene `index`, a share `own` of them with maps as a model drew them."""
        if self.drawings is None:
            return traces
        return [as_drawn(trace, self.drawings, index) if rng.random() < self.own else trace for trace in traces]


def fixed_questions(examples: SceneExamples, count: int, seed: int) -> list[SceneQuestions]:
    """`count` questions about the first scenes, as even over the categories as those allow. CooperError: too few scenes."""
    scenes = [examples.scene(index) for index in range(min(len(examples), -(-count // PER_SCENE)))]
    found = balanced_questions(scenes, seed, PER_SCENE)[:count]
    if len(found) < count:
        raise CooperError(
            f"traces is {count}, but the scenes of {examples.scenes.folder} give {len(found)}; render more of them"
        )
    numbers = {scene_id(scene): index for index, scene in enumerate(scenes)}
    by_scene: dict[int, list[SceneQuestion]] = {}
    for question in found:
        by_scene.setdefault(numbers[question.id.rsplit("-", 2)[0]], []).append(question)
    return [SceneQuestions(index, tuple(questions)) for index, questions in by_scene.items()]


def hiding(trace: Trace) -> Trace:
    """A trace whose question shows mid grey; its maps and words stay."""
    parts = tuple(part if isinstance(part, str) else grey_picture(part) for part in trace.question.shown)
    return replace(trace, question=replace(trace.question, parts=parts))


def as_drawn(trace: Trace, drawings: Drawings, scene: int) -> Trace:
    """A trace that reads maps as a model drew them. What is to be drawn, and the words, stay true."""
    steps = [
        replace(step, image=drawings.image(scene, step.modality)) if isinstance(step, MapStep) else step for step in trace.steps
    ]
    return replace(trace, steps=tuple(steps))
