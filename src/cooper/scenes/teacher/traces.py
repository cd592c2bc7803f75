"""Teacher traces: the chain of thought that the geometry of a scene dictates, in each of the four modes."""

from collections.abc import Mapping

import numpy as np
from PIL import Image

from cooper.errors import CooperError
from cooper.perception.modality import Modality, Reading
from cooper.scenes.questions.question import SceneQuestion
from cooper.scenes.room.render import SceneRecord
from cooper.scenes.teacher.observations import HELPS, REASONS, observation
from cooper.trace.modes import Mode
from cooper.trace.prompts import Prompts
from cooper.trace.steps import MapStep, Question, Step, TextStep
from cooper.trace.trace import Trace

ALL_MAPS = ("depth", "segmentation")


def teacher_trace(
    question: SceneQuestion,
    record: SceneRecord,
    mode: Mode,
    prompts: Prompts,
    modalities: Mapping[str, Modality],
    wanted: str | None = None,
) -> Trace:
    """How a perfect reader of `record` answers `question`.

    interleaved: a thought and a request, the true map, the reflection, a thought and the answer; without the map where
    it does not bear on the question; `wanted` names another map to draw, or none (""). perception: every map first, then
    the answer. text: a thought and the answer. direct: the answer. Maps are the true ones. CooperError: another mode, or
    a map that `modalities` or `prompts` lack.
    """
    thought = f"<think>{observation(question, record.scene)}</think>"
    answer = f"<answer>{question.solution}</answer>"
    steps: list[Step] = []
    if mode == "interleaved":
        wanted = HELPS.get(question.category, "") if wanted is None else wanted
        if wanted:
            steps += map_steps(record, wanted, prompts, modalities)
        steps.append(TextStep(thought + answer))
    elif mode == "perception":
        for name in ALL_MAPS:
            steps += [TextStep(_request(prompts, name), author="prompt"), true_map(record, name, modalities)]
        if prompts.answer_prefix:
            steps.append(TextStep(prompts.answer_prefix, author="prompt"))
        opened = prompts.answer_prefix.rstrip().endswith("<answer>")  # then the model has only to go on
        steps.append(TextStep(answer.removeprefix("<answer>") if opened else answer))
    elif mode == "text":
        steps.append(TextStep(thought + answer))
    elif mode == "direct":
        steps.append(TextStep(answer))
    else:
        raise CooperError(f"mode {mode!r} has no teacher; choose interleaved, perception, text or direct")
    return Trace(
        question=scene_question(question.prompt, record, question.id),
        steps=tuple(steps),
        mode=mode,
        model="teacher",
        system=prompts.system.get(mode, ""),
    )


def map_steps(record: SceneRecord, wanted: str, prompts: Prompts, modalities: Mapping[str, Modality]) -> list[Step]:
    """A thought that asks for a map, the true map, and the reflection text behind it."""
    request = f"<think>{REASONS[wanted]}</think>{_request(prompts, wanted)}"
    return [TextStep(request), true_map(record, wanted, modalities), TextStep(prompts.reflection, author="prompt")]


def another_map(question: SceneQuestion, rng: np.random.Generator) -> str:
    """A map that does not bear on the question, or none ("") where one does."""
    others = [name for name in ("", *ALL_MAPS) if name != HELPS.get(question.category, "")]
    return others[int(rng.integers(len(others)))]


def scene_question(text: str, record: SceneRecord, name: str = "") -> Question:
    """The picture of a scene, then what is asked (a question with its choices)."""
    return Question(parts=(Image.fromarray(record.rgb), text), id=name)


def truth_of(record: SceneRecord) -> Reading:
    """Everything that is known of each pixel: depth in metres, class ids and instance ids."""
    return Reading(
        arrays={"depth": record.depth_m, "labels": record.labels, "instances": record.instances},
        units={"depth": "m", "labels": "class id", "instances": "instance id"},
    )


def true_map(record: SceneRecord, name: str, modalities: Mapping[str, Modality]) -> MapStep:
    """The map as a perfect model would draw it."""
    if name not in modalities:
        raise CooperError(f"modality {name!r} is needed for a teacher trace; given: {', '.join(modalities) or 'none'}")
    drawn = modalities[name].encode(truth_of(record))
    return MapStep(modality=name, drawn=drawn, image=modalities[name].render(drawn))


def _request(prompts: Prompts, name: str) -> str:
    if name not in prompts.requests:
        raise CooperError(f"prompts have no request for modality {name!r}")
    return prompts.requests[name]
