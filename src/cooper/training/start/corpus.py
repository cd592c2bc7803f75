"""The texts that nano's tokenizer is made of: prompts, questions and teacher traces of training scenes."""

from collections.abc import Iterator, Mapping

from cooper.perception import Modality
from cooper.scenes.questions.categories import questions_of
from cooper.scenes.store import SceneSet
from cooper.scenes.teacher.traces import teacher_trace
from cooper.trace.prompts import Prompts
from cooper.trace.steps import TextStep

SCENES = 200
QUESTIONS = 15  # per scene


def corpus(scenes: SceneSet | None, prompts: Prompts, modalities: Mapping[str, Modality]) -> Iterator[str]:
    """All texts of the prompts and of the first scenes, in a fixed order."""
    for _ in range(200):  # the fixed wording is seen as often as it will be read
        yield from [*prompts.system.values(), prompts.reflection, prompts.answer_prefix, *prompts.requests.values()]
    if scenes is None:
        return
    for index in range(min(SCENES, len(scenes))):
        record = scenes[index]
        for question in questions_of(record.scene, 0, QUESTIONS):
            yield question.prompt
            for mode in ("interleaved", "direct"):
                trace = teacher_trace(question, record, mode, prompts, modalities)
                yield from [step.text for step in trace.steps if isinstance(step, TextStep)]
