"""Interleaved reasoning from questions: a teacher writes turns, the model draws maps between them, and what is no example is
left out with its reason.

An example must answer rightly, keep the grammar, and use its maps: shown the maps of another picture, the teacher must not
come to the same right answer. Kinds of questions take turns, so that a run that is stopped early is as even as a whole one.
"""

from collections import Counter, defaultdict
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, replace
from itertools import zip_longest
from pathlib import Path
from typing import Any, Protocol

from cooper.curation.counts import Shown
from cooper.curation.flags import Questions
from cooper.curation.teaching.lesson import TaughtQuestion, beside, check_use
from cooper.curation.teaching.maps import TeacherMaps
from cooper.curation.teaching.rows import EXAMPLES, ExampleWriter
from cooper.curation.teaching.teachers import Teacher
from cooper.data.item import Item
from cooper.errors import CooperError
from cooper.evaluation.runs.answering import Reasoner
from cooper.evaluation.runs.folder import FILE as RUN
from cooper.evaluation.runs.folder import QUESTIONS, open_run
from cooper.evaluation.runs.origin import Origin
from cooper.evaluation.runs.progress import progress
from cooper.evaluation.runs.settings import WorkSettings
from cooper.files.digests import keep_digests
from cooper.files.locks import held
from cooper.files.rows import Row, append_rows, batches, read_rows
from cooper.trace.modes import AnswerMode
from cooper.trace.prompts import Prompts

REJECTED = "rejected.jsonl"
UNREAD = "cannot be read"


class KindedQuestions(Questions, Protocol):
    """Questions that know their kinds without being read."""

    def kinds(self) -> list[str]: ...


@dataclass(frozen=True, kw_only=True)
class CurateSettings(WorkSettings):
    """`teacher`: its name, for the record. `mode`: interleaved, or text, which asks for no maps. `maps`: those that may be
    asked for. `given_maps`: as the model draws them, or as the scene has them. `tries`: how often a question is put before it
    is given up. `per_kind`: examples of each kind at most. `check_maps`: whether examples must use their maps. `origin`: how
    the model that draws was loaded, for the record."""

    teacher: str
    mode: AnswerMode = "interleaved"
    maps: tuple[str, ...] = ("depth", "segmentation")
    given_maps: Shown = "own"
    tries: int = 1
    max_turns: int = 4
    per_kind: int | None = None
    check_maps: bool = True
    origin: Origin = Origin()

    def __post_init__(self) -> None:
        super().__post_init__()
        for name in ("tries", "max_turns", "per_kind"):
            value = getattr(self, name)
            if value is not None and value < 1:
                raise CooperError(f"{name} must be at least 1, got {value}")
        if self.mode not in ("interleaved", "text"):
            raise CooperError(f"mode is {self.mode!r}; a teacher writes interleaved or text")
        if self.mode == "interleaved" and not self.maps:
            raise CooperError("no map is named (--maps); name depth, segmentation, or both, or take the mode text")

    @property
    def record(self) -> dict[str, Any]:
        """What makes two runs the same run; tries, limits and batches may change."""
        names = ("model", "teacher", "mode", "maps", "given_maps", "max_turns", "check_maps", "seed")
        named = {name: getattr(self, name) for name in names}
        return {"data": str(self.data), **named, "maps": list(self.maps), **self.origin.record}


@dataclass(frozen=True)
class Curated:
    """What a folder holds after a run. `silent`: questions that got no reply, with the reason of the first; the same command
    puts them again."""

    accepted: int
    rejected: Mapping[str, int]
    silent: int = 0
    fault: str = ""


def order_of(kinds: Sequence[str]) -> list[int]:
    """The numbers of questions, one of each kind in turn.

    >>> order_of(["a", "a", "b", "a", "b"])
    [0, 2, 1, 4, 3]
    """
    places: dict[str, list[int]] = defaultdict(list)
    for number, kind in enumerate(kinds):
        places[kind].append(number)
    return [number for turn in zip_longest(*(places[kind] for kind in sorted(places))) for number in turn if number is not None]


@dataclass(frozen=True, eq=False)
class Curation:
    """One run in its folder: `door` draws, `teacher` writes."""

    door: Reasoner
    prompts: Prompts
    teacher: Teacher
    questions: KindedQuestions
    settings: CurateSettings

    def run(self) -> Curated:
        """Put all questions that are not done; what is there stays. CooperError: the folder holds another run, or questions
        that have changed since."""
        with held(self.settings.out, "cooper data curate"):
            self._open()
            return self._run()

    def _open(self) -> None:
        settings, ids = self.settings, self.questions.ids()
        open_run(settings.out, settings.record)
        done = done_in(settings.out)
        wanted = {*done, *(ids[number] for number in self._order())}
        found = {}
        for number, name in enumerate(ids):
            if name in wanted:
                try:
                    found[name] = self.questions.digest(number)
                except CooperError:
                    found[name] = ""
        keep_digests(settings.out / RUN, QUESTIONS, found, list(done))

    def _order(self) -> list[int]:
        return order_of(self.questions.kinds())[: self.settings.limit]

    def _run(self) -> Curated:
        settings, ids, kinds = self.settings, self.questions.ids(), self.questions.kinds()
        done, maps = done_in(settings.out), TeacherMaps(self.door, self.questions, settings.given_maps, settings.seed)
        order, writer = self._order(), ExampleWriter(settings.out, settings.given_maps == "true")
        accepted = Counter(row["kind"] for row in read_rows(settings.out / EXAMPLES))
        left = [number for number in order if ids[number] not in done]
        silent: list[str] = []
        with progress(len(order), "questions", settings.quiet) as advance:
            advance(len(order) - len(left))
            for chunk in batches(left, settings.batch):
                wanted = [number for number in chunk if not self._enough(accepted[kinds[number]])]
                lessons, faults = self._lessons(wanted)
                append_rows(settings.out / REJECTED, faults)
                for lesson in self._taught(lessons, maps):
                    kind = kinds[lesson.number]
                    if lesson.silent:
                        silent.append(lesson.silent)
                    elif lesson.reason or self._enough(accepted[kind]):
                        append_rows(settings.out / REJECTED, [_rejected(lesson, kind)] if lesson.reason else [])
                    else:
                        accepted[kind] += 1
                        append_rows(settings.out / EXAMPLES, [writer.row(lesson, kind)])
                advance(len(chunk))
        rejected = Counter(row["reason"] for row in read_rows(settings.out / REJECTED))
        return Curated(sum(accepted.values()), rejected, len(silent), silent[0] if silent else "")

    def _enough(self, accepted: int) -> bool:
        return self.settings.per_kind is not None and accepted >= self.settings.per_kind

    def _lessons(self, numbers: Sequence[int]) -> tuple[list[TaughtQuestion], list[Row]]:
        """A lesson for each question that can be read and graded by rules; rows of the others."""
        ids, kinds = self.questions.ids(), self.questions.kinds()
        lessons: list[TaughtQuestion] = []
        faults: list[Row] = []
        for number in numbers:
            try:
                item = self.questions.item(number)
                if item.scoring == "judge":
                    raise CooperError("its answer is free text, which rules cannot grade")
            except CooperError as error:
                faults.append({"id": ids[number], "kind": kinds[number], "reason": UNREAD, "detail": str(error)})
                continue
            lessons.append(self._lesson(number, item))
        return lessons, faults

    def _lesson(self, number: int, item: Item) -> TaughtQuestion:
        settings = self.settings
        maps = tuple(name for name in self.prompts.requests if name in settings.maps) if settings.mode == "interleaved" else ()
        return TaughtQuestion(number, item, settings.mode, self.prompts, maps, settings.max_turns)

    def _taught(self, lessons: Sequence[TaughtQuestion], maps: TeacherMaps) -> list[TaughtQuestion]:
        """The last try at each question."""
        found = {lesson.number: lesson for lesson in lessons}
        for attempt in range(self.settings.tries):
            again = [lesson for lesson in found.values() if not attempt or lesson.reason or lesson.silent]
            fresh = [self._lesson(lesson.number, lesson.item) for lesson in again]
            self._teach(fresh, maps, attempt)
            found |= {lesson.number: lesson for lesson in fresh}
        return list(found.values())

    def _teach(self, lessons: Sequence[TaughtQuestion], maps: TeacherMaps, attempt: int) -> None:
        while live := [lesson for lesson in lessons if lesson.open]:
            for lesson, verdict in zip(live, self.teacher.write(live, [lesson.steps for lesson in live], attempt), strict=True):
                if verdict.reply is None:
                    lesson.silent = verdict.error
                else:
                    lesson.take(verdict.reply)
            for name in self.settings.maps:
                wanting = [lesson for lesson in live if lesson.open and lesson.wants == name]
                shown = maps.of([lesson.item for lesson in wanting], name) if wanting else []
                for lesson, step in zip(wanting, shown, strict=True):
                    lesson.see(replace(step, seconds=0.0))
        if self.settings.check_maps and self.teacher.looks:
            self._check_use(
                [lesson for lesson in lessons if lesson.drawn and not lesson.reason and not lesson.silent], maps, attempt
            )

    def _check_use(self, lessons: Sequence[TaughtQuestion], maps: TeacherMaps, attempt: int) -> None:
        if not lessons:
            return
        steps = [beside(lesson, others) for lesson, others in zip(lessons, maps.others(lessons), strict=True)]
        for lesson, verdict in zip(lessons, self.teacher.write(lessons, steps, attempt), strict=True):
            if verdict.reply is None:
                lesson.silent = verdict.error
            else:
                check_use(lesson, verdict.reply, list(lesson.tags))


def done_in(folder: Path) -> Collection[str]:
    """The ids of the questions that are examples or were rejected."""
    return {row["id"] for name in (EXAMPLES, REJECTED) for row in read_rows(folder / name)}


def _rejected(lesson: TaughtQuestion, kind: str) -> Row:
    return {
        "id": lesson.item.id,
        "kind": kind,
        "reason": lesson.reason,
        "detail": lesson.detail,
        "turns": lesson.turns,
    }


def told(curated: Curated) -> str:
    """In one line, for the terminal."""
    reasons = ", ".join(f"{count} {reason}" for reason, count in sorted(curated.rejected.items()))
    return f"{curated.accepted} examples; left out: {reasons or 'none'}"
