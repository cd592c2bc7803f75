"""Puts questions to a model and writes one row for each, so that a run can stop and go on at any time."""

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any, Protocol

from PIL import Image

from cooper.data.item import GROUPS, QUESTION_TYPES, Item
from cooper.errors import CooperError
from cooper.evaluation.replies.answers import Score, score
from cooper.evaluation.runs.folder import gather_rows, read_part_lines, telling_how_to_go_on
from cooper.evaluation.runs.progress import progress
from cooper.evaluation.runs.settings import RunSettings
from cooper.evaluation.runs.swaps import Swaps
from cooper.evaluation.runs.traces import keep_trace, trace_folder
from cooper.files.rows import Line, append_rows, batches
from cooper.perception.modality import Modality
from cooper.trace.modes import MODES, AnswerMode, GivenMaps, Mode
from cooper.trace.steps import MapStep, Question
from cooper.trace.trace import Trace

KEY = ("mode", "id")  # what makes a row of answers one row


class Reasoner(Protocol):
    """What evaluation needs of a model; `cooper.reasoning.cooper.Cooper` has it."""

    @property
    def modalities(self) -> Mapping[str, Modality]:
        """The maps it can draw, by name."""
        ...

    def options(self, mode: AnswerMode, *, given: GivenMaps = "own") -> Any:
        """How it answers in a mode, and what it reads in place of its own maps; handed back to `batch` as it is."""
        ...

    def batch(
        self, questions: Sequence[Question], options: Any = None, seed: int = 0, samples: int = 1
    ) -> Sequence[Sequence[Trace]]:
        """`samples` traces for each question. An answer must not depend on the other questions of the call."""
        ...

    def draw(self, images: Sequence[Image.Image], modality: str, seed: int = 0) -> Sequence[MapStep]:
        """One map of each picture."""
        ...


@dataclass(frozen=True)
class AnswerRow:
    """One question answered in one mode. `maps`: the maps drawn, in order; `answered`: an answer element was there.

    `unscored`: nobody could say yet whether it is right, because a judge must and did not; it counts neither way. `bundle`
    as in `Item`.
    """

    id: str
    mode: str
    category: str
    group: str
    type: str
    truth: str
    reply: str
    extracted: str
    correct: bool
    value: float
    maps: tuple[str, ...]
    answered: bool
    truncated: bool
    turns: int
    seconds: float
    bundle: str = ""
    unscored: bool = False


def check_items(items: Sequence[Item]) -> None:
    """CooperError: two items of one id, an id that cannot name a folder, or a truth that does not fit its question."""
    seen: set[str] = set()
    for item in items:
        if item.id in seen:
            raise CooperError(f"two questions of the benchmark have one id: {item.id!r}")
        if not is_file_name(item.id):
            raise CooperError(f"the id {item.id!r} of a question cannot name a folder")
        seen.add(item.id)
        if item.scoring != "judge":
            score_reply(item, "")


Witness = Callable[[Item, Mode, Trace], Any]  # a dataclass to keep beside a row, or None


def answer_all(
    model: Reasoner, items: Sequence[Item], settings: RunSettings, witness: Witness | None = None
) -> list[AnswerRow]:
    """Answer every question in every mode, but those that `settings.out/rows.jsonl` already holds; of several processes each
    answers its share, and waits for the others.

    A trace is on disk before its row is, so a row that a killed run has written has its page; so is, in `readers.jsonl`, what
    the `witness` makes of it. The rows come back in the order
    of `settings.modes` and `items`; those that a judge must score are unscored. CooperError: two
    items of one id, or a truth that does not fit its question.
    """
    check_items(items)
    path = settings.out / "rows.jsonl"
    done, mine = read_part_lines(path, *KEY).keys(), settings.share.of(items)
    kept = {item.id for item in items[: settings.traces]}
    swaps = Swaps.over(items, settings.seed) if settings.given_maps == "swap" else None
    left: dict[AnswerMode, list[Item]] = {
        mode: [item for item in mine if (mode, item.id) not in done] for mode in settings.modes
    }
    total = len(mine) * len(settings.modes)
    with progress(total, settings.share.told("questions"), settings.silent) as advance:
        advance(total - sum(map(len, left.values())))
        for mode, open_items in left.items():
            options = model.options(mode, given=settings.given_maps)
            for chunk in batches(open_items, settings.batch):
                with telling_how_to_go_on():
                    asked = [item.question.opened() for item in chunk]
                    asked = swaps.given(model, asked) if swaps else asked
                traces = model.batch(asked, options, settings.seed)
                for item, samples in zip(chunk, traces, strict=True):
                    if item.id in kept:
                        keep_trace(samples[0], trace_folder(settings.out, mode, item.id))
                rows = [answer_row(item, mode, samples[0]) for item, samples in zip(chunk, traces, strict=True)]
                if witness is not None:
                    _keep(witness, chunk, mode, [samples[0] for samples in traces], settings)
                append_rows(settings.share.file(path), [asdict(row) for row in rows])
                advance(len(chunk))
    return kept_answers(items, settings)


def _keep(witness: Witness, items: Sequence[Item], mode: Mode, traces: Sequence[Trace], settings: RunSettings) -> None:
    found = [witness(item, mode, trace) for item, trace in zip(items, traces, strict=True)]
    if rows := [asdict(row) for row in found if row is not None]:
        append_rows(settings.share.file(settings.out / "readers.jsonl"), rows)


def kept_answers(items: Sequence[Item], settings: RunSettings) -> list[AnswerRow]:
    """The rows of a run, in the order of `settings.modes` and `items`, when every process has written its share.

    CooperError: a row that is none, or that answers a question with another truth, type or category than the item has.
    """
    wanted = [(mode, item.id) for mode in settings.modes for item in items]
    found = gather_rows(settings.out / "rows.jsonl", KEY, wanted, share=settings.share)
    return [
        check_row(read_answer(found[mode, item.id]), item, found[mode, item.id]) for mode in settings.modes for item in items
    ]


def check_row(row: AnswerRow, item: Item | None, line: Line) -> AnswerRow:
    """The row, if it answers the item as it is, or there is none. CooperError: a field of the two differs."""
    for field_name in ("truth", "type", "category", "group"):
        kept, asked = getattr(row, field_name), getattr(item, field_name, getattr(row, field_name))
        if kept != asked:
            raise CooperError(f"{line.place}: {field_name} of {row.id} is {kept!r}, but the data say {asked!r}: one was edited")
    return row if item is None else replace(row, bundle=item.bundle)


def read_answers(path: Path) -> list[AnswerRow]:
    """The rows of a run's `rows.jsonl`, or of the files of its processes. CooperError: a row that lacks a field or has an
    unknown one."""
    return [read_answer(line) for line in read_part_lines(path, *KEY).values()]


def read_answer(line: Line) -> AnswerRow:
    """One stored row. CooperError names the field that is missing or cannot be what it says."""
    row = line.as_a(AnswerRow)
    known = {"mode": MODES, "group": GROUPS, "type": (*QUESTION_TYPES, "Text")}
    for name, values in known.items():
        if getattr(row, name) not in values:
            raise CooperError(f"{line.place}: {name} is {getattr(row, name)!r}; known: {', '.join(values)}")
    if not 0 <= row.value <= 1 or not 0 <= row.seconds < math.inf or row.turns < 0:
        raise CooperError(f"{line.place}: value must lie in 0..1, seconds and turns must not be negative")
    if not is_file_name(row.id):
        raise CooperError(f"{line.place}: the id {row.id!r} cannot name a folder")
    return row


def is_file_name(name: str) -> bool:
    """Whether a text may name a folder below another: no path, no hidden file, nothing that a terminal would obey."""
    return (
        bool(name)
        and len(name.encode()) <= 200
        and not name.startswith(".")
        and name.isprintable()
        and not set(name) & set("/\\")
    )


def answer_row(item: Item, mode: Mode, trace: Trace) -> AnswerRow:
    """Score one trace: its answer element, or, without one, the last text the model wrote."""
    last = trace.turns[-1].text if trace.turns else ""
    reply = last if trace.answer is None else trace.answer
    scored = Score(False, 0.0, "") if item.scoring == "judge" else score_reply(item, reply)
    return AnswerRow(
        id=item.id,
        mode=mode,
        category=item.category,
        group=item.group,
        type=item.type,
        truth=item.truth,
        reply=reply,
        extracted=scored.extracted,
        correct=scored.correct,
        value=scored.value,
        maps=tuple(step.modality for step in trace.maps),
        answered=trace.answer is not None,
        truncated=any(turn.truncated for turn in trace.turns),
        turns=len(trace.turns),
        seconds=round(trace.seconds, 4),
        bundle=item.bundle,
        unscored=item.scoring == "judge",
    )


def score_reply(item: Item, reply: str) -> Score:
    """Compare a reply with the truth of an item. CooperError: only a judge can."""
    if item.scoring == "judge":
        raise CooperError(f"question {item.id} has a free text for an answer, which a judge must grade")
    return score(reply, item.type, item.truth, choices=item.choices, tolerance=item.tolerance, rule=item.scoring)
