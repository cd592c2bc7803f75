"""The maps that a teacher is shown: as the model draws them, or as the scene has them."""

from collections.abc import Mapping, Sequence

import numpy as np
from PIL import Image

from cooper.curation.counts import Shown
from cooper.curation.flags import Questions
from cooper.curation.teaching.lesson import TaughtQuestion
from cooper.data.digests import picture_digest
from cooper.data.item import Item
from cooper.errors import CooperError
from cooper.evaluation.runs.answering import Reasoner
from cooper.perception.modality import Reading
from cooper.scenes.problems import SceneTasks
from cooper.trace.steps import MapStep


class TeacherMaps:
    """Shows maps of the pictures of questions. CooperError: true maps are wanted, and the questions are not about scenes."""

    def __init__(self, door: Reasoner, questions: Questions, shown: Shown, seed: int) -> None:
        if shown == "true" and not isinstance(questions, SceneTasks):
            raise CooperError(
                "true maps are known of rendered scenes only: --given-maps own, or a folder of scenes as the source"
            )
        self._door, self._questions, self._shown, self._seed = door, questions, shown, seed

    def of(self, items: Sequence[Item], name: str) -> list[MapStep]:
        """The map of that name of each item's picture."""
        if self._shown == "true":
            return [self._true(item, name) for item in items]
        known = [item.question.known.get(name) for item in items]
        left = [item for item, reading in zip(items, known, strict=True) if reading is None]
        pictures = [item.question.images[item.question.subject] for item in left]
        drawn = iter(self._door.draw(pictures, name, self._seed) if left else ())
        return [next(drawn) if reading is None else self._step(reading, name) for reading in known]

    def others(self, lessons: Sequence[TaughtQuestion]) -> list[Mapping[str, MapStep]]:
        """For each lesson the maps that it has read, of the next question about another picture. CooperError: all are about
        one."""
        others = [self._other(lesson) for lesson in lessons]
        names = [[step.modality for step in lesson.drawn] for lesson in lessons]
        found: list[dict[str, MapStep]] = [{} for _ in lessons]
        for name in sorted({name for some in names for name in some}):
            places = [place for place, some in enumerate(names) if name in some]
            for place, step in zip(places, self.of([others[place] for place in places], name), strict=True):
                found[place][name] = step
        return list(found)

    def _other(self, lesson: TaughtQuestion) -> Item:
        mine, count = _key(lesson.item), len(self._questions)
        for step in range(1, count):
            try:
                item = self._questions.item((lesson.number + step) % count)
            except CooperError:
                continue
            if _key(item) != mine:
                return item
        raise CooperError(
            "whether maps are used is seen by showing those of another picture: these questions are all about one"
        )

    def _true(self, item: Item, name: str) -> MapStep:
        assert isinstance(self._questions, SceneTasks)
        return self._step(self._questions.named(item.id).reading, name)

    def _step(self, reading: Reading, name: str) -> MapStep:
        modality = self._door.modalities[name]
        drawn = np.asarray(modality.encode(reading), dtype=np.float32)
        return MapStep(modality=name, drawn=drawn, image=modality.render(drawn), reading=reading)


def _key(item: Item) -> str:
    pictures = [part for part in item.question.parts if not isinstance(part, str)]
    return picture_digest(pictures[item.question.subject])


def as_picture(drawn: np.ndarray) -> Image.Image:
    """A map as it is drawn, float [H, W, 3] in [0, 1], in 8 bits."""
    return Image.fromarray(np.rint(np.clip(drawn, 0, 1) * 255).astype(np.uint8))
