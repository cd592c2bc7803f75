"""The record of one chain of thought: a question, the steps that followed, and the answer they reached."""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from cooper.files.arguments import brief, short, shown
from cooper.files.equality import same_settings
from cooper.trace.grammar import ANSWER, answer_in, is_well_formed, unbox
from cooper.trace.modes import AnswerMode, Mode
from cooper.trace.steps import Author, MapStep, Question, Record, Step, TextStep
from cooper.trace.store import load_record, save_record

__all__ = ["AnswerMode", "Author", "MapStep", "Mode", "Question", "Step", "TextStep", "Trace"]


@dataclass(frozen=True, eq=False, repr=False)
class Trace(Record):
    """A question and what the model did with it. Frozen: every consumer sees the same value.

    Two traces are equal if the question, all steps to the last number, and the circumstances are. Not compared: how long steps
    took, and the known maps that came with the question, which stand among the steps where the model read them.
    """

    def __eq__(self, other: object) -> bool:
        if not isinstance(other, Trace):
            return NotImplemented
        names = ("mode", "model", "seed", "system", "notes", "steps")
        told = all(getattr(self, name) == getattr(other, name) for name in names)
        asked = (replace(self.question, known={}), replace(other.question, known={}))
        return told and same_settings(self.settings, other.settings) and asked[0] == asked[1]

    def __hash__(self) -> int:
        return hash((self.mode, self.model, self.seed, self.steps))

    def __repr__(self) -> str:
        told = [f"steps {len(self.steps)}, maps {len(self.maps)}, {self.seconds:.1f} s"]
        told += ["no answer" if self.answer is None else f"answer {shown(self.answer)}"]
        return short(f"<Trace {self.mode}, {brief(self.model) or 'no model'}, seed {self.seed}: {', '.join(told)}>")

    @property
    def maps(self) -> tuple[MapStep, ...]:
        return tuple(step for step in self.steps if isinstance(step, MapStep))

    @property
    def turns(self) -> tuple[TextStep, ...]:
        """The texts the model itself wrote."""
        return tuple(step for step in self.steps if isinstance(step, TextStep) and step.author == "model")

    @property
    def seconds(self) -> float:
        """Wall time of all steps."""
        return sum(step.seconds for step in self.steps)

    @property
    def answer(self) -> str | None:
        """What stands in the last answer element, without outer space, or None if the model gave no answer.

        After a prompt that opened the answer (perception mode) all of the model's text up to `</answer>` is the answer.
        """
        for place in range(len(self.steps) - 1, -1, -1):
            step = self.steps[place]
            if not isinstance(step, TextStep) or step.author != "model":
                continue
            before = self.steps[place - 1] if place else None
            if isinstance(before, TextStep) and before.author == "prompt" and opens_answer(before.text):
                return step.text.removeprefix(f"<{ANSWER}>").split(f"</{ANSWER}>")[0].strip()
            found = answer_in(step.text)
            if found is not None:
                return found.strip()
        return None

    @property
    def final(self) -> str | None:
        r"""The answer without `\\boxed{...}` around it."""
        return None if self.answer is None else unbox(self.answer)

    def well_formed(self, tags: Sequence[str]) -> bool:
        """Whether every turn of the model is one thought and one request, and the last one thought and one answer."""
        turns = self.turns
        return bool(turns) and all(
            is_well_formed(turn.text, tags, final=place == len(turns) - 1) for place, turn in enumerate(turns)
        )

    def save(self, folder: str | Path, arrays: bool = True) -> None:
        """Write the trace as a folder of JSON, PNG and npy files; without `arrays`, JSON and PNG. See `cooper.trace.store`."""
        save_record(self, folder, arrays)

    @classmethod
    def load(cls, folder: str | Path) -> "Trace":
        """Read a folder that `save` wrote. The trace is equal, to the last bit, if it was saved with its arrays."""
        return load_record(folder, cls)


def opens_answer(text: str) -> bool:
    return text.rstrip().endswith(f"<{ANSWER}>")
