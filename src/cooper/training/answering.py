"""How a model in training answers: accuracy on questions about held-out scenes, with the engine that inference uses."""

from collections import defaultdict
from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
from PIL import Image

from cooper.data.scenes.question import SceneQuestion
from cooper.data.scenes.questions import balanced_questions
from cooper.evaluation.replies.answers import score
from cooper.files.pictures import grey_picture
from cooper.reasoning.cooper import Cooper
from cooper.reasoning.text import Sampling
from cooper.trace.trace import AnswerMode, Question
from cooper.training.checkpoints import Bundle
from cooper.training.pictures import ScenePictures

TURN_TOKENS = 128  # the longest turn that is waited for


@dataclass(frozen=True, eq=False)
class AnswerExam:
    """The same questions each time. With `grey`, the model is shown a grey picture."""

    pictures: ScenePictures
    modes: tuple[AnswerMode, ...]
    count: int
    grey: bool = False

    def figures(self, bundle: Bundle) -> Mapping[str, float]:
        """Per mode: accuracy over all questions, and over those of the spatial group, a mean of its categories."""
        door = Cooper.of(bundle.model.eval(), bundle.processor, bundle.prompts)
        asked = self.questions()
        found: dict[str, float] = {}
        for mode in self.modes:
            options = door.options(mode, Sampling(max_tokens=TURN_TOKENS))
            traces = door.batch([self._shown(question) for question in asked], options)
            right = [
                score(trace[0].answer or "", question.type, question.answer, question.choices, question.tolerance).correct
                for trace, question in zip(traces, asked, strict=True)
            ]
            found[f"{mode}_accuracy"] = float(np.mean(right))
            found[f"{mode}_spatial"] = _mean_of_categories(asked, right)
            found[f"{mode}_maps"] = float(np.mean([len(trace[0].maps) for trace in traces]))
        return found

    def questions(self) -> tuple[SceneQuestion, ...]:
        """Balanced over categories, one or two per scene."""
        scenes = self.pictures.scenes
        each = -(-self.count // len(scenes))
        return balanced_questions(scenes[: -(-self.count // each)], 0, each)[: self.count]

    def _shown(self, question: SceneQuestion) -> Question:
        index = next(
            i for i, scene in enumerate(self.pictures.scenes) if question.id.startswith(f"{scene.split}-{scene.seed}-")
        )
        picture = Image.fromarray(self.pictures.rgb[index])
        return Question((grey_picture(picture) if self.grey else picture, question.prompt), id=question.id)


def _mean_of_categories(asked: tuple[SceneQuestion, ...], right: list[bool]) -> float:
    by_category: dict[str, list[bool]] = defaultdict(list)
    for question, correct in zip(asked, right, strict=True):
        if question.group == "spatial":
            by_category[question.category].append(correct)
    return float(np.mean([np.mean(results) for results in by_category.values()])) if by_category else float("nan")
