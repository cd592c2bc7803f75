"""The questions that reinforcement learning asks, with their truths, read when they are asked."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path

from cooper.curation.counts import FLAGS, Flag
from cooper.curation.flags import Questions
from cooper.data.batches import shuffled
from cooper.data.digests import item_digest
from cooper.data.item import Item
from cooper.data.sources.reasoning.question_rows import is_published, read_question_rows
from cooper.data.sources.reasoning.trace_file import QUESTIONS
from cooper.errors import CooperError
from cooper.evaluation.benchmarks.question_file import read_question_file
from cooper.evaluation.runs.answering import score_reply
from cooper.scenes.problems import SceneTasks
from cooper.training.data import SCENES, Data, DataSource
from cooper.training.rl.rollouts import Rollout
from cooper.training.rl.sampler import Sampler


@dataclass(eq=False)
class Tasks:
    """Questions with their flags (by id), and the order in which a run asks them. `set_aside` collects those that could not
    be read, with the reason."""

    source: Questions
    flags: Mapping[str, Flag] = field(default_factory=dict)
    order: Sequence[int] = ()
    set_aside: dict[int, str] = field(default_factory=dict)

    def __len__(self) -> int:
        return len(self.source)

    def readable(self, number: int) -> Item:
        """The question, or the next one that can be read. CooperError: none can."""
        for step in range(len(self)):
            place = (number + step) % len(self)
            if place in self.set_aside:
                continue
            try:
                return self.source.item(place)
            except CooperError as error:
                self.set_aside[place] = str(error)
        raise CooperError(f"none of the {len(self)} questions can be read; the first: {next(iter(self.set_aside.values()))}")

    def sampled(self, sampler: Sampler, numbers: Sequence[int], samples: int, seed: int) -> list[Rollout]:
        """`samples` rollouts of each question, one question after the other."""
        return sampler.sample([self.readable(number) for number in numbers], samples, seed)


def order_of(count: int, generations: int, questions: int, seed: int) -> list[int]:
    """Which of `count` questions to ask, `questions` of them in each generation: a new permutation every epoch, by the seed
    and the number of the epoch alone. What does not fill a generation is left out of the epoch, so that none asks one twice.
    """
    each = count // questions
    starts = [generation // each * count + generation % each * questions for generation in range(generations)]
    return [shuffled(seed, start + place, count) for start in starts for place in range(questions)]


class FileTasks:
    """Questions of a JSON Lines file: of your own (`cooper.evaluation.benchmarks.question_file`) or as published, whose rows
    may hold flags. `images`: the folder of the pictures of published ones; `most`: the first so many alone."""

    def __init__(self, path: Path, images: Path | None = None, most: int | None = None) -> None:
        self.flags: Mapping[str, Flag] = {}
        if path.is_file() and is_published(path):
            found = read_question_rows(path, images, FLAGS)
            self.items = list(found.items)
            self.flags = {name: known for name, flag in found.flags.items() for known in FLAGS if known == flag}
            for item in self.items:
                if item.scoring != "judge":
                    score_reply(item, "")
        else:
            self.items = read_question_file(path)
        self.items = self.items[:most]

    def __len__(self) -> int:
        return len(self.items)

    def ids(self) -> list[str]:
        return [item.id for item in self.items]

    def kinds(self) -> list[str]:
        """What kind each question is of: its category, or its type where it names none."""
        return [item.category or item.type for item in self.items]

    def item(self, number: int) -> Item:
        item = self.items[number]
        return replace(item, question=item.question.opened())

    def digest(self, number: int) -> str:
        return item_digest(self.items[number])

    @property
    def in_words(self) -> list[str]:
        """The ids of questions whose answer is free text, which only a judge can grade."""
        return [item.id for item in self.items if item.scoring == "judge"]


def source_of(data: Data, seed: int, per_scene: int, scenes: int = 100_000) -> Questions:
    """A JSON Lines file, or a rendered scene set with `per_scene` questions about each of its first `scenes` scenes."""
    if isinstance(data, DataSource):
        if data.kind not in (SCENES, QUESTIONS):
            raise CooperError(f"data of the kind {data.kind} hold no questions to ask; known: {SCENES}, {QUESTIONS}")
        if data.kind == QUESTIONS:
            return FileTasks(data.path, data.image_root, data.limit)
        data = data.path
    return SceneTasks(data, seed, per_scene, scenes) if data.is_dir() else FileTasks(data)
