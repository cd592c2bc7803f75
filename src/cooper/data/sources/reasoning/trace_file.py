"""A JSON Lines file of traces for stage 2: all rows are checked once, and each is read again when it is asked for."""

import warnings
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path

from cooper.data.batches import shuffled
from cooper.data.examples import MOST_BAD, TraceGroup
from cooper.data.sources.reasoning.conversations import llava_row, messages_row
from cooper.data.sources.reasoning.interleaved import PARTS, interleaved_row
from cooper.data.sources.reasoning.own import own_row
from cooper.data.sources.reasoning.question_rows import IMAGES
from cooper.data.sources.reasoning.row import Canvas, TraceRow
from cooper.errors import CooperError
from cooper.files.rows import LARGEST_FILE, Line, read_line, read_lines
from cooper.trace.modes import MODES, AnswerMode
from cooper.trace.prompts import Prompts
from cooper.trace.trace import Trace

REASONING, TRACES, LLAVA, MESSAGES, QUESTIONS = "reasoning", "traces", "llava", "messages", "questions"
COLUMNS = {  # by kind, the fields of which a row has at least one
    REASONING: (PARTS,),
    TRACES: ("steps", "trace"),
    LLAVA: ("conversations",),
    MESSAGES: ("messages",),
    QUESTIONS: ("question",),
}
OF_TRACES = (REASONING, TRACES, LLAVA, MESSAGES)
PROBED = 16  # rows whose pictures are decoded before a run begins, spread over the file


def kind_of_rows(path: Path) -> str | None:
    """The kind of a JSON Lines file by the columns of its first row; None: it is another. CooperError: it cannot be read."""
    first = next(read_lines(path, last_is_whole=True, longest=LARGEST_FILE), None)
    if first is None:
        raise CooperError(f"{path} holds no row")
    return next((kind for kind, names in COLUMNS.items() if any(name in first.values for name in names)), None)


def picture_folder(path: Path) -> Path:
    """Where the pictures lie that rows of traces name: the folder of the file, or `images` beside it, if they are there
    alone."""
    beside = path.parent / IMAGES
    for line in read_lines(path, last_is_whole=True, longest=LARGEST_FILE) if beside.is_dir() else ():
        names = line.values.get("image", ())
        for name in [names] if isinstance(names, str) else names if isinstance(names, list) else ():
            if isinstance(name, str) and "\0" not in name:
                return path.parent if (path.parent / name).exists() or not (beside / name).exists() else beside
    return path.parent


@dataclass(frozen=True)
class RowTaker:
    """A checkpoint, as far as rows are made for it: its words, the size at which it draws, and how many tokens a row has."""

    prompts: Prompts
    canvas: Canvas
    length: Callable[[TraceRow, AnswerMode], int]


@dataclass(frozen=True, kw_only=True)
class TraceReading:
    """How the rows of a file become traces: their kind, the folder of their pictures, and the mode of those that name none
    (None: interleaved where any row of the file has a map, else text; of conversations direct). `most`: the first so many
    rows; `longest`: tokens that a row may have; `aside`: the lines that are known to be bad."""

    kind: str
    folder: Path
    mode: AnswerMode | None = None
    most: int | None = None
    longest: int | None = None
    aside: frozenset[str] = frozenset()

    def row(self, line: Line) -> TraceRow:
        """The row of a line, of which no picture is decoded yet. CooperError names the field at fault."""
        readers: Mapping[str, Callable[[Line], TraceRow]] = {
            REASONING: interleaved_row,
            TRACES: partial(own_row, folder=self.folder),
            LLAVA: partial(llava_row, folder=self.folder),
            MESSAGES: partial(messages_row, folder=self.folder),
        }
        return readers[self.kind](line)


class TraceFile:
    """The traces of a file, by the modes in which they answer; `seed` and the number of a row of the run decide which. A row
    of the run shows one trace. `faults`: what is wrong with rows that cannot be read, by their lines; they keep their places.
    CooperError names the line and the field that is at fault, where it is more than one row of a hundred."""

    def __init__(self, path: Path, reading: TraceReading, taker: RowTaker, seed: int) -> None:
        self.path, self._reading, self._taker, self._seed = path, reading, taker, seed
        self._places: list[tuple[str, int]] = []
        self.faults: dict[str, str] = {}
        self.maps = 0  # rows with one
        modes: list[AnswerMode | None] = []
        tokens: list[Mapping[AnswerMode, int]] = []
        unanswered: list[str] = []
        unasked: list[str] = []
        for line in read_lines(path, last_is_whole=True, longest=LARGEST_FILE):
            if len(self._places) == reading.most:
                break
            self._places.append((line.place, line.start))
            modes.append(None)
            tokens.append(dict.fromkeys(MODES, 0))
            try:
                row = reading.row(line)
                modes[-1] = row.mode
                self.maps += row.draws
                row.check(taker.prompts)
                tokens[-1] = {mode: taker.length(row, mode) for mode in ((row.mode,) if row.mode else MODES)}
            except CooperError as error:
                self.faults[line.place] = str(error)
                continue
            unanswered += [line.place] * (reading.kind in (REASONING, TRACES) and not row.answers)
            unasked += [line.place] * (not row.asks(taker.prompts))
        if not self._places:
            raise CooperError(f"{path} holds no row" if path.is_file() else f"{path}: not found")
        self._check_faults()
        reasoned: AnswerMode = "interleaved" if self.maps else "text"
        self._mode: AnswerMode = reading.mode or ("direct" if reading.kind in (LLAVA, MESSAGES) else reasoned)
        self._by_mode: dict[AnswerMode, list[int]] = {}
        for number, mode in enumerate(modes):
            self._by_mode.setdefault(mode or self._mode, []).append(number)
        self._check_lengths([found[mode or self._mode] for found, mode in zip(tokens, modes, strict=True)])
        _warn(unanswered, "the last words hold no <answer> element")
        _warn(unasked, "a picture follows no request for a map")
        self._probe()

    def _check_faults(self) -> None:
        new = [fault for place, fault in self.faults.items() if place not in self._reading.aside]
        if len(new) > MOST_BAD * len(self):
            raise CooperError(new[0] + (f" (and {len(new) - 1} more of {len(self)} rows cannot be read)" if new[1:] else ""))

    def _check_lengths(self, lengths: list[int]) -> None:
        self.longest, most = max(lengths), self._reading.longest
        if most is not None and self.longest > most:
            place, _ = self._places[lengths.index(self.longest)]
            many = sum(length > most for length in lengths)
            raise CooperError(f"{place}: the row has {self.longest:,} tokens, above {most:,} (so in {many} of {len(self)})")

    def _probe(self) -> None:
        """Decode some rows. CooperError: more than one of them cannot be, or one of few rows."""
        for number in range(0, len(self), max(1, len(self) // PROBED)):
            place, _ = self._places[number]
            if place in self.faults or place in self._reading.aside:
                continue
            try:
                self.trace(number)
            except CooperError as error:
                self.faults[place] = str(error)
                self._check_faults()

    def __len__(self) -> int:
        return len(self._places)

    @property
    def modes(self) -> Mapping[AnswerMode, int]:
        """How many rows answer in each mode."""
        return {mode: len(numbers) for mode, numbers in self._by_mode.items()}

    def trace(self, number: int) -> Trace:
        """A row as a trace, its pictures decoded. CooperError names the line and what is wrong with it."""
        row = self._reading.row(read_line(self.path, *self._places[number]))
        return row.trace(self._mode, self._taker.prompts, self._taker.canvas)

    def count(self, kind: str) -> int:
        """How many rows answer in the mode `kind`; all there are for ""."""
        return len(self._of(kind))

    def pick(self, order: int, kind: str) -> int:
        """Which of them row number `order` shows: each once before any comes again, if the mixture has one mode."""
        return shuffled(self._seed, order, self.count(kind))

    def name(self, index: int, kind: str) -> str:
        """The line of one of them, in words."""
        return self._places[self._of(kind)[index]][0]

    def group(self, number: int, index: int, kind: str, count: int) -> TraceGroup:
        """The trace of one of them."""
        return TraceGroup((self.trace(self._of(kind)[index]),))

    def _of(self, kind: str) -> Sequence[int]:
        """The rows that answer in a mode."""
        return next((numbers for mode, numbers in self._by_mode.items() if mode == kind), () if kind else range(len(self)))

    def told(self) -> str:
        """What the file holds, in words."""
        modes = ", ".join(f"{mode} {count}" for mode, count in self.modes.items())
        return f"{self.path}: {len(self)} rows ({modes}), {self.maps} with maps, of up to {self.longest:,} tokens"


def _warn(places: list[str], what: str) -> None:
    if places:
        more = f" (so in {len(places)} rows)" if len(places) > 1 else ""
        warnings.warn(f"{places[0]}: {what}{more}", stacklevel=4)
