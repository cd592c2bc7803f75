"""A question while a teacher answers it: the steps so far, what its last turn asks for, and why it is no example."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from cooper.data.item import Item
from cooper.evaluation.runs.answering import score_reply
from cooper.trace.grammar import Answer, Perceive, is_well_formed, parse_turn
from cooper.trace.modes import AnswerMode
from cooper.trace.prompts import Prompts
from cooper.trace.steps import MapStep, Step, TextStep

FORM = "broken form"
WRONG = "wrong answer"
UNUSED = "map never used"
ENDLESS = "no answer"


@dataclass(eq=False)
class TaughtQuestion:
    """One try at one question. `number`: its place among the questions. `maps`: what may be asked for, in the order in which a
    turn is searched; `wants`: the map that the last turn asks for. `silent`: why the teacher gave no reply, so that nothing is
    known of it. `reason`: why it is no example, with `detail`."""

    number: int
    item: Item
    mode: AnswerMode
    prompts: Prompts
    maps: tuple[str, ...]
    max_turns: int
    steps: list[Step] = field(default_factory=list)
    wants: str = ""
    answered: bool = False
    silent: str = ""
    reason: str = ""
    detail: str = ""

    @property
    def open(self) -> bool:
        """Whether the teacher has a turn to write, or a map to get."""
        return not (self.answered or self.silent or self.reason)

    @property
    def drawn(self) -> list[MapStep]:
        return [step for step in self.steps if isinstance(step, MapStep)]

    @property
    def turns(self) -> list[str]:
        """The texts of the teacher."""
        return [step.text for step in self.steps if isinstance(step, TextStep) and step.author == "model"]

    @property
    def tags(self) -> dict[str, str]:
        """By tag, the map that it asks for."""
        return {tag: name for name, tag in self.prompts.tags.items() if name in self.maps}

    def take(self, text: str) -> None:
        """Keep a turn of the teacher, its request in the words of the checkpoint, or say what is wrong with it."""
        said = parse_turn(text, list(self.tags))
        if not (isinstance(said, Answer | Perceive) and is_well_formed(text, list(self.tags), isinstance(said, Answer))):
            self.fail(FORM, f"turn {len(self.turns) + 1} is not one thought and one request or answer: {text[:200]!r}")
        elif isinstance(said, Answer):
            self.steps.append(TextStep(text.strip()))
            self.answered = True
            score = score_reply(self.item, text)
            if not score.correct:
                self.fail(WRONG, f"{said.text.strip()[:80]!r} and not {self.item.truth!r}")
        elif len(self.turns) + 1 >= self.max_turns:
            self.fail(ENDLESS, f"still asking for maps in turn {self.max_turns}")
        else:
            self.wants = self.tags[said.tag]
            self.steps.append(TextStep(said.rest.strip() + self.prompts.requests[self.wants]))

    def see(self, shown: MapStep) -> None:
        """Read the map that was asked for, and the words that follow every map."""
        self.steps += [shown, TextStep(self.prompts.reflection, author="prompt")]
        self.wants = ""

    def fail(self, reason: str, detail: str) -> None:
        self.reason, self.detail = reason, detail


def beside(lesson: TaughtQuestion, others: Mapping[str, MapStep]) -> list[Step]:
    """The steps before the answer, with the maps of another picture in place of its own."""
    return [others[step.modality] if isinstance(step, MapStep) else step for step in lesson.steps[:-1]]


def check_use(lesson: TaughtQuestion, reply: str, tags: Sequence[str]) -> None:
    """Say that the maps are not used, if the reply to those of another picture gives the same right answer."""
    said = parse_turn(reply, tags)
    if isinstance(said, Answer) and score_reply(lesson.item, reply).correct:
        lesson.fail(UNUSED, f"with the maps of another picture the answer is {said.text.strip()[:80]!r} as well")
