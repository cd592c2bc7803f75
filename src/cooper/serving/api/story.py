"""An answer as clients see it while it comes: thoughts, maps, the answer itself, and what it cost."""

import base64
import re
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass

from PIL import Image

from cooper.files.pictures import png_bytes
from cooper.reasoning.events import StepDone, TextDelta
from cooper.reasoning.session import PromptTokens
from cooper.serving.desk.jobs import Begun, Finished, Preview, Told
from cooper.trace.grammar import ANSWER, THINK, Piece, TurnStream
from cooper.trace.steps import MapStep, TextStep
from cooper.trace.trace import Trace

_MARKS = re.compile(f"</?(?:{THINK}|{ANSWER})>")


@dataclass(frozen=True)
class Thought:
    """More of what the model thinks."""

    text: str


@dataclass(frozen=True)
class ThoughtEnds:
    """A map or the answer comes next."""


@dataclass(frozen=True, eq=False)
class MapUnderWay:
    """A map that is being drawn, after `done` of `total` steps; `number` counts the maps of the answer from 0."""

    number: int
    modality: str
    done: int
    total: int
    image: Image.Image | None


@dataclass(frozen=True, eq=False)
class MapDrawn:
    """A finished map, or a known one that was read."""

    number: int
    step: MapStep


@dataclass(frozen=True)
class TokenUsage:
    """Tokens, counted: of the question by texts and pictures, and of the answer by thoughts, words and maps."""

    text_in: int
    pictures_in: int
    thoughts: int
    words: int
    maps: int

    @property
    def read(self) -> int:
        return self.text_in + self.pictures_in

    @property
    def written(self) -> int:
        return self.thoughts + self.words + self.maps


@dataclass(frozen=True, eq=False)
class Answered:
    """The end: the answer in words, why it ended ("stop" or "length"), and the whole trace."""

    answer: str
    reason: str
    trace: Trace
    usage: TokenUsage


Scene = Thought | ThoughtEnds | MapUnderWay | MapDrawn | Answered


class Story:
    """Turns what the desk tells into thoughts, maps and an answer. Tags are not shown."""

    def __init__(self, tags: list[str], choices: Sequence[str] = ()) -> None:
        self._tags, self._choices = tags, choices
        self._stream, self._maps, self._prompt, self._thinking = TurnStream(tags), 0, PromptTokens(0, 0), False

    def scenes(self, told: Told) -> Iterator[Scene]:
        """What a client should see of it."""
        if isinstance(told, Begun):
            self._prompt = told.prompt
        elif isinstance(told, TextDelta):
            yield from self._thoughts(self._stream.feed(told.text))
        elif isinstance(told, StepDone) and isinstance(told.step, TextStep):
            if told.step.author == "model":
                yield from self._thoughts(self._stream.finish())
                self._stream = TurnStream(self._tags)
        elif isinstance(told, Preview):
            yield from self._ended()
            yield MapUnderWay(self._maps, told.modality, told.done, told.total, told.image)
        elif isinstance(told, StepDone):
            assert isinstance(told.step, MapStep)
            yield from self._ended()
            yield MapDrawn(self._maps, told.step)
            self._maps += 1
        elif isinstance(told, Finished):
            yield from self._ended()
            answer, whole = answer_of(told.trace, self._tags, self._choices)
            yield Answered(answer, "stop" if whole else "length", told.trace, usage_of(self._prompt, told.trace))

    def _thoughts(self, pieces: Iterable[Piece]) -> Iterator[Scene]:
        for piece in pieces:
            if piece.kind == "text" and piece.element == THINK and piece.text:
                self._thinking = True
                yield Thought(piece.text)

    def _ended(self) -> Iterator[Scene]:
        if self._thinking:
            self._thinking = False
            yield ThoughtEnds()


def answer_of(trace: Trace, tags: Sequence[str], choices: Sequence[str] = ()) -> tuple[str, bool]:
    """The answer in words, and whether the model came to its end. Where it gave none, its last words outside of thoughts and
    requests; none where they are not among the `choices`."""
    if not trace.turns:
        return "", False
    last, whole = trace.turns[-1], not trace.turns[-1].truncated
    if trace.final is not None:
        answer = plain(trace.final)
    else:
        stream, answer, whole = TurnStream(tags), "", whole and trace.mode == "direct"
        for piece in [*stream.feed(last.text), *stream.finish()]:
            if piece.kind == "text" and piece.element in ("", ANSWER):
                answer += piece.text
        answer = plain(answer)
    return (answer if whole or not choices or answer in choices else ""), whole


def plain(text: str) -> str:
    """An answer without what a model wrote of its grammar in the wrong place: what follows the last opening mark of an
    answer."""
    return _MARKS.sub("", text.rpartition(f"<{ANSWER}>")[2]).strip()


def usage_of(prompt: PromptTokens, trace: Trace) -> TokenUsage:
    """Tokens of a trace. Those of the answer are its share of the last turn's characters; all others are thoughts."""
    written = sum(len(turn.token_ids) for turn in trace.turns)
    words = 0
    if trace.turns and trace.answer is not None and trace.turns[-1].text:
        last = trace.turns[-1]
        shown = len(trace.answer) + len(f"<{ANSWER}></{ANSWER}>")
        words = min(len(last.token_ids), round(len(last.token_ids) * shown / max(len(last.text), shown)))
    maps = sum(len(step.latents) for step in trace.maps if step.latents is not None)
    return TokenUsage(prompt.text, prompt.pictures, written - words, words, maps)


def data_url(image: Image.Image) -> str:
    """A picture as a data URL."""
    return f"data:image/png;base64,{base64.b64encode(png_bytes(image)).decode()}"
