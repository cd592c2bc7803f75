"""The tags of a turn: what the model asked for in it, whether it is well formed, and how to cut it while it streams."""

import re
from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache
from typing import Literal

THINK = "think"
ANSWER = "answer"


@dataclass(frozen=True)
class Think:
    """A turn that neither asked for a map nor answered."""

    text: str


@dataclass(frozen=True)
class Perceive:
    """A turn that asks for a map. `element` is the first request of that tag as written, `rest` the turn without it and its
    exact copies, as published: another request of the same tag stays."""

    tag: str
    element: str
    rest: str


@dataclass(frozen=True)
class Answer:
    """A turn that ends the chain of thought. `text` is what stands between the answer tags, verbatim."""

    text: str


Turn = Think | Perceive | Answer


def parse_turn(text: str, tags: Sequence[str]) -> Turn:
    """What one turn of the model says. Only turns of the model are parsed, never what a user wrote.

    A complete answer element wins wherever it stands; otherwise the first tag of `tags` (not of the text) that has a
    complete element. `parse_turn("a<s>x</s>b", ["d", "s"])` is `Perceive("s", "<s>x</s>", "ab")`. Tags without their
    partner are plain text.
    """
    answer = answer_in(text)
    if answer is not None:
        return Answer(answer)
    for tag in tags:
        pattern = _element(tag)
        match = pattern.search(text)
        if match is not None:
            return Perceive(tag, match.group(), text.replace(match.group(), ""))
    return Think(text)


def answer_in(text: str) -> str | None:
    """The content of the last complete answer element, verbatim, or None."""
    found = _element(ANSWER).findall(text)
    return found[-1] if found else None


def unbox(answer: str) -> str:
    r"""The content of the last `\boxed{...}`, braces balanced, else the text itself; outer space removed.

    `unbox(r"so \boxed{\frac{1}{2}}")` is `r"\frac{1}{2}"`.
    """
    start = answer.rfind(r"\boxed{")
    if start < 0:
        return answer.strip()
    depth = 1
    begin = start + len(r"\boxed{")
    for index in range(begin, len(answer)):
        depth += {"{": 1, "}": -1}.get(answer[index], 0)
        if depth == 0:
            return answer[begin:index].strip()
    return answer[begin:].strip()


def is_well_formed(turn: str, tags: Sequence[str], final: bool) -> bool:
    """Whether a turn is one thought followed by one answer (`final`) or by one request (otherwise), and nothing else.

    White space may stand around and between the two. No tag of the grammar may stand inside either, so a turn cannot
    pass by wrapping a second thought or request.
    """
    names = (THINK, ANSWER, *tags)
    closing = (ANSWER,) if final else tuple(tags)
    inner = rf"(?:(?!</?(?:{_alternatives(names)})>).)*"
    if not closing:
        return False
    pattern = rf"\s*<{THINK}>{inner}</{THINK}>\s*<({_alternatives(closing)})>{inner}</\1>\s*"
    return re.fullmatch(pattern, turn, re.DOTALL) is not None


@dataclass(frozen=True)
class Piece:
    """A piece of a streamed turn. All `text` joined is the turn; `element` is the innermost open element, "" outside."""

    kind: Literal["text", "open", "close"]
    element: str
    text: str


class TurnStream:
    """Cuts a turn into pieces while it arrives, so that no tag is ever shown in halves.

    Feeding `"<thi"`, `"nk>Near"` with no tags gives `[]`, then `[Piece("open", "think", "<think>"), Piece("text",
    "think", "Near")]`. An unmatched closing tag is plain text.
    """

    def __init__(self, tags: Sequence[str]) -> None:
        self._names = (THINK, ANSWER, *tags)
        self._marks = tuple(mark for name in self._names for mark in (f"<{name}>", f"</{name}>"))
        self._open: list[str] = []
        self._held = ""

    def feed(self, delta: str) -> list[Piece]:
        """The pieces that are certain after `delta`; what may be the start of a tag is held back."""
        return self._cut(self._held + delta, last=False)

    def finish(self) -> list[Piece]:
        """What was held back, as text: the turn is over."""
        return self._cut(self._held, last=True)

    def _cut(self, text: str, last: bool) -> list[Piece]:
        pieces: list[Piece] = []
        plain = ""
        while text:
            mark = next((mark for mark in self._marks if text.startswith(mark)), None)
            if mark is not None and self._is_mark(mark):
                pieces += self._text(plain)
                pieces.append(self._step(mark))
                plain, text = "", text[len(mark) :]
            elif not last and any(mark.startswith(text) for mark in self._marks):
                break
            else:
                end = text.find("<", 1)
                end = len(text) if end < 0 else end
                plain, text = plain + text[:end], text[end:]
        self._held = text
        return pieces + self._text(plain)

    def _is_mark(self, mark: str) -> bool:
        return not mark.startswith("</") or mark[2:-1] in self._open

    def _text(self, text: str) -> list[Piece]:
        return [Piece("text", self._open[-1] if self._open else "", text)] if text else []

    def _step(self, mark: str) -> Piece:
        if not mark.startswith("</"):
            self._open.append(mark[1:-1])
            return Piece("open", self._open[-1], mark)
        name = mark[2:-1]
        while self._open.pop() != name:
            pass
        return Piece("close", name, mark)


def _alternatives(names: Sequence[str]) -> str:
    return "|".join(re.escape(name) for name in names)


@lru_cache(maxsize=64)
def _element(tag: str) -> re.Pattern[str]:
    """Finds elements of `tag`; for the answer its content is the only group, so `findall` yields contents."""
    name = re.escape(tag)
    return re.compile(rf"<{name}>(.*?)</{name}>", re.DOTALL)
