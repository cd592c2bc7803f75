"""What stage 2 learns from rendered scenes: teacher traces of questions, lessons in looking, and lessons in reading maps."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

from cooper.data.batches import rng_of
from cooper.data.examples import TraceGroup
from cooper.files.pictures import grey_picture
from cooper.perception import Modality
from cooper.scenes.drawings import Drawings
from cooper.scenes.examples import SceneExamples
from cooper.scenes.questions.categories import questions_of
from cooper.scenes.room.render import SceneRecord
from cooper.scenes.teacher.looking import grounding_traces
from cooper.scenes.teacher.reading import reading_traces
from cooper.scenes.teacher.traces import another_map, teacher_trace, truth_of
from cooper.sequence.images import ImageTransform
from cooper.trace.modes import Mode, answer_mode
from cooper.trace.prompts import Prompts
from cooper.trace.steps import MapStep, Step
from cooper.trace.trace import Trace

GROUNDING = "grounding"  # lessons in looking, in words
READING = "reading"  # lessons in reading maps; the picture is hidden in half of them


@dataclass(frozen=True, kw_only=True, eq=False)
class SceneLessons:
    """Traces about rendered scenes; `seed` and the number of a row decide which.

    `explore`: the share of interleaved traces that draw another map than the one that helps, or none. `own`: the share of
    traces that read the maps of `drawings` in place of the true ones; their words stay true. `canvas`: brings a picture to the
    size at which the model draws maps of it; maps of the traces have that size.
    """

    examples: SceneExamples
    prompts: Prompts
    modalities: Mapping[str, Modality]
    canvas: ImageTransform
    seed: int
    explore: float = 0.0
    drawings: Drawings | None = None
    own: float = 0.0

    def __len__(self) -> int:
        return len(self.examples)

    def group(self, number: int, index: int, kind: str, count: int) -> TraceGroup:
        """`count` traces about one scene: of a mode, of `grounding` or of `reading`."""
        record = self.examples.record(index)
        if kind == GROUNDING:
            return TraceGroup(tuple(grounding_traces(record, number, count, self.prompts)))
        if kind == READING:
            traces = reading_traces(record, number, count, self.prompts, self.modalities)
            hidden = bool(rng_of(self.seed, number, 31).random() < 0.5)
            traces = self._sized(record, traces)
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

    def _traces(self, number: int, index: int, mode: Mode, count: int) -> list[Trace]:
        record = self.examples.record(index)
        seed = int(rng_of(self.seed, number, 5).integers(2**31))
        asked = questions_of(record.scene, seed, count)
        rng = rng_of(self.seed, number, 19)
        wanted = [another_map(question, rng) if rng.random() < self.explore else None for question in asked]
        traces = [
            teacher_trace(question, record, mode, self.prompts, self.modalities, other)
            for question, other in zip(asked, wanted, strict=True)
        ]
        traces = self._sized(record, traces)
        if self.drawings is None:
            return traces
        return [as_drawn(trace, self.drawings, index) if rng.random() < self.own else trace for trace in traces]


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
