"""What was read from a reply, and why: one line for each stage that decided something."""

from dataclasses import dataclass
from typing import Generic, TypeVar

Value = TypeVar("Value")


@dataclass(frozen=True)
class Reason:
    """A stage of the reader, and what it decided, as a sentence for people."""

    stage: str
    said: str


@dataclass(frozen=True)
class ReplyReading(Generic[Value]):
    """`value`: the answer, "" or None when none could be read. `reasons`: what each stage decided, in order."""

    value: Value
    reasons: tuple[Reason, ...]


class Trail:
    """Collects the reasons of one reading."""

    def __init__(self) -> None:
        self._reasons: list[Reason] = []

    def note(self, stage: str, said: str) -> None:
        """One more stage has decided something."""
        self._reasons.append(Reason(stage, said))

    def end(self, value: Value, stage: str = "", said: str = "") -> ReplyReading[Value]:
        """The reading, with a last reason where one is given."""
        if stage:
            self.note(stage, said)
        return ReplyReading(value, tuple(self._reasons))


def shown(text: str) -> str:
    """A text in quotes, short enough for one line."""
    line = " ".join(text.split())
    return repr(line if len(line) <= 60 else f"{line[:28]} ... {line[-28:]}")
