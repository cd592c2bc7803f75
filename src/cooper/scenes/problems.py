"""Questions about rendered scenes as items with a picture."""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from types import MappingProxyType

from PIL import Image

from cooper.data.digests import item_digest
from cooper.data.item import Item
from cooper.files.pictures import LazyPicture
from cooper.perception.modality import Reading
from cooper.scenes.examples import SceneExamples
from cooper.scenes.questions.categories import balanced_questions, questions_of
from cooper.scenes.questions.question import SceneQuestion
from cooper.scenes.room.render import SceneRecord
from cooper.scenes.room.scene import scene_id
from cooper.scenes.store import SceneSet
from cooper.scenes.teacher.traces import truth_of
from cooper.trace.steps import Part, Question

NOTHING: Mapping[str, Reading] = MappingProxyType({})


def item_of(question: SceneQuestion, picture: Part, known: Mapping[str, Reading] = NOTHING) -> Item:
    """A question about a scene as evaluation and reinforcement learning put it; `known`: maps it comes with."""
    return Item(
        id=question.id,
        category=question.category,
        group=question.group,
        question=Question((picture, question.prompt), id=question.id, known=known),
        type=question.type,
        truth=question.answer,
        choices=question.choices,
        tolerance=question.tolerance,
    )


@dataclass(frozen=True, eq=False)
class NamedThings:
    """What is true of the things that a question names: depth, labels and instances [H, W] of its scene, and their instance
    ids."""

    reading: Reading
    objects: tuple[int, ...]


class SceneTasks:
    """`per_scene` questions about each of the first `limit` scenes of a rendered set."""

    def __init__(self, folder: Path, seed: int, per_scene: int, limit: int) -> None:
        self._scenes = SceneSet(folder)
        count = min(limit, len(self._scenes))
        self._asked: list[tuple[int, SceneQuestion]] = [
            (index, question) for index in range(count) for question in questions_of(self._scenes.scene(index), seed, per_scene)
        ]
        self._places = {question.id: place for place, (_, question) in enumerate(self._asked)}

    def __len__(self) -> int:
        return len(self._asked)

    def ids(self) -> list[str]:
        return [question.id for _, question in self._asked]

    def kinds(self) -> list[str]:
        """The category of each question."""
        return [question.category for _, question in self._asked]

    def item(self, number: int) -> Item:
        index, question = self._asked[number]
        return item_of(question, Image.fromarray(self._scenes[index].rgb))

    def asked(self, number: int) -> tuple[SceneQuestion, SceneRecord]:
        """The question, and the scene that it is about."""
        index, question = self._asked[number]
        return question, self._scenes[index]

    def named(self, question_id: str) -> NamedThings:
        """What is true of the things of a question."""
        index, question = self._asked[self._places[question_id]]
        return NamedThings(truth_of(self._scenes[index]), question.objects)

    def digest(self, number: int) -> str:
        index, question = self._asked[number]
        return item_digest(item_of(question, LazyPicture(f"scene {index}", self._scenes.picture_file(index))))


def exam_items(examples: SceneExamples, count: int) -> list[Item]:
    """`count` questions about the first scenes, as even over the categories as the scenes allow; the same each time."""
    each = -(-count // len(examples))
    scenes = [examples.scene(index) for index in range(-(-count // each))]
    pictures = {scene_id(scene): index for index, scene in enumerate(scenes)}
    asked = balanced_questions(scenes, 0, each)[:count]
    return [item_of(question, examples[pictures[question.id.rsplit("-", 2)[0]]].image) for question in asked]
