"""Who writes the turns: a model behind an OpenAI-compatible endpoint, or the geometry of rendered scenes."""

import base64
from collections.abc import Mapping, Sequence
from typing import Any, Protocol

from PIL import Image

from cooper.curation.teaching.lesson import TaughtQuestion
from cooper.evaluation.judge.endpoint import JudgeSettings, Verdict
from cooper.evaluation.judge.judge import Judge, JudgeCounts
from cooper.files.pictures import png_bytes
from cooper.perception.modality import Modality
from cooper.scenes.problems import SceneTasks
from cooper.scenes.teacher.traces import teacher_trace
from cooper.trace.grammar import ANSWER, THINK
from cooper.trace.prompts import Prompts
from cooper.trace.steps import MapStep, Step, TextStep

VERSION = "teacher-1"  # of the words below; replies to others are asked for again
MEANING = {
    "depth": "how far away everything is",
    "segmentation": "which pixels belong to which kind of thing",
}


class Teacher(Protocol):
    """Writes turns. `name` stands in the traces and on the card."""

    @property
    def name(self) -> str: ...

    @property
    def looks(self) -> bool:
        """Whether what it writes depends on the maps that it is shown."""
        ...

    @property
    def counts(self) -> JudgeCounts:
        """What was asked so far."""
        ...

    def write(self, lessons: Sequence[TaughtQuestion], steps: Sequence[Sequence[Step]], attempt: int) -> list[Verdict]:
        """The next turn of each lesson behind these steps, which are its own or have other maps. A verdict without a reply says
        why there is none. `attempt`: the number of the try, from 0."""
        ...


class RemoteTeacher:
    """A model that sees pictures, behind an endpoint. Every reply is kept in `settings.cache`, so none is paid for twice."""

    looks = True

    def __init__(self, settings: JudgeSettings) -> None:
        self._settings = settings
        self._judges: dict[int, Judge] = {}

    @property
    def name(self) -> str:
        return self._settings.model

    @property
    def counts(self) -> JudgeCounts:
        return sum((judge.counts for judge in self._judges.values()), JudgeCounts())

    def write(self, lessons: Sequence[TaughtQuestion], steps: Sequence[Sequence[Step]], attempt: int) -> list[Verdict]:
        if attempt not in self._judges:  # a cache of its own words, so that another try is another reply
            self._judges[attempt] = Judge(self._settings, f"{VERSION}, try {attempt + 1}")
        return self._judges[attempt].ask_all([chat(lesson, past) for lesson, past in zip(lessons, steps, strict=True)])


class SceneTeacher:
    """The chain of thought that the geometry of a scene dictates; it costs nothing and needs no network."""

    name = "scenes"
    looks = False
    counts = JudgeCounts()

    def __init__(self, tasks: SceneTasks, prompts: Prompts, modalities: Mapping[str, Modality]) -> None:
        self._tasks, self._prompts, self._modalities = tasks, prompts, modalities

    def write(self, lessons: Sequence[TaughtQuestion], steps: Sequence[Sequence[Step]], attempt: int) -> list[Verdict]:
        return [Verdict(self._turns(lesson)[len(lesson.turns)]) for lesson in lessons]

    def _turns(self, lesson: TaughtQuestion) -> list[str]:
        question, record = self._tasks.asked(lesson.number)
        trace = teacher_trace(question, record, lesson.mode, self._prompts, self._modalities)
        if not {step.modality for step in trace.maps} <= set(lesson.maps):
            trace = teacher_trace(question, record, lesson.mode, self._prompts, self._modalities, wanted="")
        return [turn.text for turn in trace.turns]


def chat(lesson: TaughtQuestion, steps: Sequence[Step]) -> list[dict[str, Any]]:
    """The messages that ask for the next turn: the rules, the question with its pictures, and what was said and shown."""
    messages: list[dict[str, Any]] = [{"role": "system", "content": rules(lesson)}]
    asked = [_picture(part) if isinstance(part, Image.Image) else _words(part) for part in lesson.item.question.shown]
    if lesson.item.choices:
        asked.append(_words("The answer is one of: " + "; ".join(lesson.item.choices)))
    messages.append({"role": "user", "content": asked})
    for step in steps:
        if isinstance(step, MapStep):
            messages.append({"role": "user", "content": [_picture(step.image)]})
        elif isinstance(step, TextStep) and step.author == "model":
            messages.append({"role": "assistant", "content": step.text})
        else:
            messages[-1]["content"].append(_words(step.text))
    return messages


def rules(lesson: TaughtQuestion) -> str:
    """What the teacher is told first."""
    said = [
        "You write an example for a small model that learns to answer questions about pictures. Write one turn at a time.",
        f"A turn is one thought and one answer, and nothing else: <{THINK}>...</{THINK}><{ANSWER}>...</{ANSWER}>",
    ]
    if lesson.maps:
        requests = " or ".join(f"<{tag}></{tag}> ({MEANING.get(name, name)})" for tag, name in lesson.tags.items())
        said += [
            f"Or it is one thought and one request for a map, and nothing else: <{THINK}>...</{THINK}>{requests}. "
            "Ask for a map only where the picture alone does not settle the question. The map is shown to you in the next "
            "message. Then name the places that you compare, say what the map shows there, and follow it.",
        ]
    said += [
        "The thought is one to four short sentences about what is seen and what follows from it. It names neither these rules "
        "nor the example.",
        "The answer is as short as it can be: the words of an option, yes or no, or a number. Lengths are in metres.",
        "If you are not sure, answer with what is most likely.",
    ]
    return "\n".join(said)


def _words(text: str) -> dict[str, Any]:
    return {"type": "text", "text": text}


def _picture(image: Image.Image) -> dict[str, Any]:
    coded = base64.b64encode(png_bytes(image.convert("RGB"))).decode()
    return {"type": "image_url", "image_url": {"url": f"data:image/png;base64,{coded}"}}
