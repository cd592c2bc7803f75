"""Faults of one line of a JSON Lines file: of traces in every form that stage 2 reads, and of questions."""

import hashlib
import json
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from cooper.curation.counts import FLAGS
from cooper.data.item import Item
from cooper.data.sources.reasoning.interleaved import PARTS, part_of, row_of_parts
from cooper.data.sources.reasoning.question_rows import question_item
from cooper.data.sources.reasoning.row import TraceRow, objects_of
from cooper.data.sources.reasoning.trace_file import LLAVA, MESSAGES, QUESTIONS, REASONING, TRACES, TraceReading
from cooper.errors import CooperError
from cooper.evaluation.benchmarks.question_file import own_question
from cooper.files.pictures import LazyPicture
from cooper.files.rows import Line, read_line
from cooper.files.values import shown
from cooper.trace.asked import options_in
from cooper.trace.modes import AnswerMode
from cooper.trace.steps import TextStep
from cooper.training.feed.faults.fault import Fault, told
from cooper.training.feed.faults.seeing import RowSeeing
from cooper.training.feed.faults.seen import Seen
from cooper.training.traces import RowLengths


@dataclass(frozen=True, eq=False, kw_only=True)
class RowCheck:
    """How the lines of a file are checked. `folder`: of the pictures that rows name. `published`: questions as published, not
    your own. `thumbs`: whether small pictures are made for the page."""

    path: Path
    kind: str
    folder: Path
    lengths: RowLengths
    longest: int
    published: bool = False
    thumbs: bool = False

    def __call__(self, place: str, start: int) -> Seen:
        """What is seen of the line that begins at byte `start`."""
        try:
            line = read_line(self.path, place, start)
        except CooperError as error:
            return Seen(place=place, faults=(told(place, error),))
        seen = _Reading(line, self)
        if self.kind == QUESTIONS:
            seen.question()
        else:
            seen.trace()
        return seen.told()


class _Reading(RowSeeing):
    """What is seen of one line, step by step."""

    def __init__(self, line: Line, check: RowCheck) -> None:
        super().__init__(line, check)
        self.check = check

    def trace(self) -> None:
        row = self._row()
        if row is not None:
            usual: AnswerMode = "direct" if self.check.kind in (LLAVA, MESSAGES) else "interleaved" if row.draws else "text"
            self.chain(row, usual, parts=self.check.kind == REASONING, answers=self.check.kind in (REASONING, TRACES))

    def _row(self) -> TraceRow | None:
        """The row with its pictures looked at; None where a part of it cannot be read."""
        if self.check.kind != REASONING:
            try:
                row = TraceReading(kind=self.check.kind, folder=self.check.folder).row(self.line)
            except CooperError as error:
                self.fault(error)
                return None
            self.look(self.named(row))
            return row
        parts: list[TextStep | LazyPicture] = []
        try:
            objects = objects_of(self.line, PARTS)
        except CooperError as error:
            self.fault(error)
            return None
        for values, place in objects:
            try:
                parts.append(part_of(values, place))
            except CooperError as error:
                self.fault(error)
        row = row_of_parts(self.line, parts)
        self.look(self.named(row))
        return row if len(parts) == len(objects) else None

    def question(self) -> None:
        published = self.check.published
        if published and self.line.values.get("flag", "boundary") not in FLAGS:
            self.fault(f"the field 'flag' is {shown(self.line.values['flag'])}; known: {', '.join(FLAGS)}")
        try:
            read = question_item if published else own_question
            item = read(self.line, self.check.folder)
        except CooperError as error:
            self.fault(error)
            return
        if published:
            self.counts.append(f"flag {self.line.values.get('flag', 'boundary')}")
        self.counts.append(f"type {item.type}")
        options = options_in(item.question.text)
        if published and options and item.type != "MCQ":
            said = f"the answer is {shown(item.truth)}, and the question offers {', '.join(map(shown, options))}"
            self.faults.append(Fault(place=self.line.place, kind="not_offered", said=said))
        pictures = [part for part in item.question.parts if isinstance(part, LazyPicture)]
        self.look([("picture", picture) for picture in pictures])
        if self.whole:
            self._measure_question(item)
            self.said["asked"] = _digest([item.question.text], pictures)

    def _measure_question(self, item: Item) -> None:
        lengths, system = self.check.lengths, self.check.lengths.prompts.system["interleaved"]
        views = lengths.config.view_rules.of_input("interleaved")
        words = sum(lengths.text(text) for text in (system, item.question.text) if text)
        self.measure(words + sum(lengths.picture(size, views) for size in self.sizes))


def _digest(words: Sequence[str], pictures: Sequence[LazyPicture]) -> bytes:
    digest = hashlib.sha1(json.dumps(list(words)).encode(), usedforsecurity=False)
    for content in _contents(pictures):
        digest.update(b"%d " % len(content) + content)
    return digest.digest()


def _contents(pictures: Sequence[LazyPicture]) -> Iterator[bytes]:
    for picture in pictures:
        yield picture.source if isinstance(picture.source, bytes) else picture.source.read_bytes()
