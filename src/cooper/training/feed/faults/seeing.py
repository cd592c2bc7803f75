"""What is seen of one row, step by step: its pictures, its words, its length, and what is wrong with them."""

import hashlib
import json
from collections.abc import Iterable
from typing import Any, Protocol

from cooper.data.sources.reasoning.row import PICTURE, ShownMap, TraceRow, asked_map
from cooper.files.pictures import LazyPicture
from cooper.files.rows import Line
from cooper.trace.grammar import THINK
from cooper.trace.modes import AnswerMode
from cooper.trace.steps import TextStep
from cooper.training.feed.faults.chains import chain_faults, has_tag
from cooper.training.feed.faults.fault import Fault, once, told
from cooper.training.feed.faults.pictures import opened_or_told
from cooper.training.feed.faults.seen import Seen, Thumb, counted
from cooper.training.feed.faults.thumbs import thumb
from cooper.training.traces import RowLengths

IDS = ("id", "data_id", "data_idx")  # fields that name a row


class Measures(Protocol):
    """How rows are measured: in which network, above how many tokens one is too long, and whether pictures are shown."""

    @property
    def lengths(self) -> RowLengths: ...
    @property
    def longest(self) -> int: ...
    @property
    def thumbs(self) -> bool: ...


class RowSeeing:
    """What is seen of one row so far."""

    def __init__(self, line: Line, measures: Measures) -> None:
        self.line, self.measures = line, measures
        self.faults: list[Fault] = []
        self.sizes: list[tuple[int, int]] = []
        self.thumbs: list[Thumb] = []
        self.counts: list[str] = []
        self.said: dict[str, Any] = {}
        self.whole = True  # every picture could be read

    def fault(self, error: Exception | str) -> None:
        self.faults.append(told(self.line.place, error))

    def chain(self, row: TraceRow, usual: AnswerMode, parts: bool, answers: bool) -> None:
        """Look at a trace whose pictures were looked at. `usual`: its mode where it names none; `parts`: as for
        `chain_faults`; `answers`: whether its last words may be expected to answer."""
        prompts = self.measures.lengths.prompts
        self.faults += chain_faults(row, prompts, parts)
        tags = (THINK, *prompts.tags.values())
        learned = [step for step in row.steps if isinstance(step, TextStep) and step.author == "model"]
        if answers and learned:
            self.said |= {"answered": row.answers, "reasons": any(has_tag(step.text, tags) for step in learned)}
        mode = row.mode or usual
        self.counts.append(f"mode {mode}")
        if self.whole:
            self.measure(self.measures.lengths(row, mode))

    def named(self, row: TraceRow) -> list[tuple[str, LazyPicture]]:
        """The pictures of a trace, each by what it is called; its maps are counted."""
        found = [("picture", picture) for picture in row.question_pictures]
        before = None
        for step in row.steps:
            if isinstance(step, ShownMap):
                name = step.modality or asked_map(before, self.measures.lengths.prompts) or PICTURE
                self.counts.append(f"map {name}")
                found.append((name, step.picture))
                if step.drawn is not None and step.drawn.source != step.picture.source:
                    found.append((f"{name} to draw", step.drawn))
            before = step
        return found

    def look(self, pictures: Iterable[tuple[str, LazyPicture]]) -> None:
        """Decode pictures, each by what it is called."""
        for name, picture in pictures:
            image, faults = opened_or_told(picture, self.line.place)
            self.faults += faults
            self.whole = self.whole and image is not None
            if image is not None:
                self.sizes.append(image.size)
                if self.measures.thumbs:
                    self.thumbs.append(thumb(name, image))

    def measure(self, tokens: int) -> None:
        """Keep the length of the row, of several traces that of the longest; too long is a fault of the row."""
        before = self.said.get("tokens", 0)
        self.said["tokens"] = max(tokens, before)
        if before <= self.measures.longest < tokens:
            said = f"the row has {tokens:,} tokens, above {self.measures.longest:,}, so it is left out"
            self.faults.append(Fault(place=self.line.place, kind="too_long", said=said))

    def told(self) -> Seen:
        """All of it."""
        values = self.line.values
        name = next((str(values[field]) for field in IDS if isinstance(values.get(field), str | int)), "")
        content = {field: value for field, value in values.items() if field not in IDS}
        text = json.dumps(content, sort_keys=True, default=_plain)
        return Seen(
            place=self.line.place,
            faults=tuple(once(self.faults)),
            sizes=tuple(self.sizes),
            counts=counted(self.counts),
            id=name,
            digest=hashlib.sha1(text.encode(), usedforsecurity=False).digest(),
            thumbs=tuple(self.thumbs),
            **self.said,
        )


def _plain(value: Any) -> str:
    """A value that JSON has no word for, such as the bytes of a picture, as a text that differs where the value does."""
    return hashlib.sha1(value, usedforsecurity=False).hexdigest() if isinstance(value, bytes) else str(value)
