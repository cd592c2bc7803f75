"""Traces in the terminal: text as it is written, maps as small pictures beside the one they were drawn of."""

from collections.abc import Sequence

import numpy as np
from PIL import Image
from rich.console import Console
from rich.table import Table
from rich.text import Text

from cooper.files.arguments import visible
from cooper.trace.grammar import ANSWER, THINK, TurnStream
from cooper.trace.steps import MapStep, Question, Step, TextStep
from cooper.trace.trace import Trace

_STYLES = {THINK: "", ANSWER: "bold yellow"}
_WIDTH = 40  # characters of a small picture


class TracePrinter:
    """Prints one trace while it grows. `tags` are the requests that the model knows."""

    def __init__(self, console: Console, question: Question, tags: Sequence[str]) -> None:
        self._console, self._question, self._tags = console, question, tuple(tags)
        self._stream: TurnStream | None = None

    def text(self, delta: str) -> None:
        """New characters of the turn that is being written; half a tag waits for its other half."""
        if self._stream is None:
            self._stream = TurnStream(self._tags)
        self._print_pieces(self._stream, delta, last=False)

    def drawing(self, done: int, total: int) -> None:
        """How far a map has come, on a terminal only; the line is overwritten."""
        if self._console.is_terminal:
            self._console.print(f"drawing {done}/{total}", end="\r", style="dim")

    def step(self, step: Step) -> None:
        """A finished step: the rest of a turn that was streamed, or the whole of any other."""
        if isinstance(step, MapStep):
            self._print_map(step)
        elif step.author == "prompt":
            self._console.print(Text(f"» {visible(step.text).strip()}", style="dim italic"))
        else:
            self._finish_turn(step)

    def end(self, trace: Trace) -> None:
        """The answer and the time it took."""
        if trace.mode != "map":
            self._console.print(Text(visible(trace.final or "no answer"), style="bold yellow" if trace.final else "dim"))
        for note in trace.notes:
            self._console.print(Text(f"note: {visible(note)}", style="yellow"))
        words = " · ".join(part for part in (trace.model, f"seed {trace.seed}", f"{trace.seconds:.1f} s") if part)
        self._console.print(Text(words, style="dim"))

    def _finish_turn(self, step: TextStep) -> None:
        if self._stream is None:
            self.text(step.text)
        if self._stream is not None:
            self._print_pieces(self._stream, "", last=True)
            self._stream = None
        self._console.print(Text(" [cut by the token limit]" if step.truncated else "", style="dim"))

    def _print_pieces(self, stream: TurnStream, delta: str, last: bool) -> None:
        for piece in stream.finish() if last else stream.feed(delta):
            style = "dim" if piece.kind != "text" else _STYLES.get(piece.element, "green" if piece.element else "")
            self._console.print(Text(visible(piece.text), style=style), end="", soft_wrap=True)

    def _print_map(self, step: MapStep) -> None:
        words = "; ".join([f"{step.modality} map, {step.image.width} x {step.image.height} px", *step.facts])
        self._console.print(Text(visible(words), style="green"))
        if self._console.color_system is None or not self._console.is_terminal:
            return
        pictures = self._question.images
        beside = pictures[self._question.subject : self._question.subject + 1 or None]
        width = min(_WIDTH, (self._console.width - 2) // 2)
        grid = Table.grid(padding=(0, 2))
        grid.add_row(*(thumbnail(image, width) for image in (*beside, step.image)))
        self._console.print(grid)


def print_trace(trace: Trace, console: Console, tags: Sequence[str] = ()) -> None:
    """Print a finished trace as it would have streamed."""
    printer = TracePrinter(console, trace.question, tags)
    for step in trace.steps:
        printer.step(step)
    printer.end(trace)


def thumbnail(image: Image.Image, width: int) -> Text:
    """A picture of `width` characters: each is two pixels, its upper and its lower half."""
    rows = max(1, round(image.height / image.width * width / 2))
    pixels = np.asarray(image.convert("RGB").resize((width, 2 * rows), Image.Resampling.BOX))
    text = Text(no_wrap=True)
    for row in range(rows):
        for upper, lower in zip(pixels[2 * row], pixels[2 * row + 1], strict=True):
            text.append("▀", style=f"rgb({upper[0]},{upper[1]},{upper[2]}) on rgb({lower[0]},{lower[1]},{lower[2]})")
        text.append("\n" if row + 1 < rows else "")
    return text
