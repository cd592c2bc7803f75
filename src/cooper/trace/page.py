"""A trace as one HTML page that needs nothing else: no script, no font, no file beside it."""

import base64
import io
import re
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from PIL import Image

from cooper.files.html import render
from cooper.trace.grammar import ANSWER, THINK, TurnStream
from cooper.trace.legends import Key, Scale, class_keys, depth_scale
from cooper.trace.steps import MapStep, Step, TextStep
from cooper.trace.store import save_record
from cooper.trace.trace import Trace

PAGE = "page.html"
_PNG_PIXELS = 512 * 512  # larger pictures go in as JPEG
_PLACE = re.compile(r"\bx [1-8] y [1-8]\b")  # how nano's thoughts name a place: `cooper.scenes.teacher.observations`
_MODES = {
    "interleaved": "draws when it helps",
    "perception": "looks first",
    "text": "reasons in words",
    "direct": "answers at once",
    "map": "draws a map",
}


@dataclass(frozen=True)
class _Picture:
    address: str
    width: int
    height: int


@dataclass(frozen=True)
class _Piece:
    """A part of a turn; `kind` is "think", "answer", "request", "tag", or "plain"."""

    kind: str
    text: str


@dataclass(frozen=True)
class _Map:
    """A map beside the picture that it is of. `facts` are said in words unless `keys` say them in colours."""

    modality: str
    subject: _Picture | None
    drawn: _Picture
    facts: tuple[str, ...]
    scale: Scale | None
    keys: tuple[Key, ...]


@dataclass(frozen=True)
class _Shown:
    """A step as the page shows it: a turn or a map. `kind` is "map", "model" or "prompt"."""

    kind: str
    name: str
    facts: str
    pieces: tuple[_Piece, ...] = ()
    truncated: bool = False
    map: _Map | None = None


@dataclass(frozen=True)
class _Cut:
    """The part of the bar of times that one step takes, in percent."""

    kind: str
    share: str
    title: str


def trace_page(trace: Trace) -> str:
    """The page: question, answer, steps in order with each map beside the picture it was drawn of, times, settings."""
    pictures = [part if isinstance(part, str) else _picture(part) for part in trace.question.shown]
    facts = [_MODES[trace.mode], trace.model, f"seed {trace.seed}", f"{trace.seconds:.1f} s"]
    circumstances = {"model": trace.model, "mode": trace.mode, "seed": trace.seed, "system text": trace.system}
    return render(
        "trace/templates/trace.html",
        title=_short(trace.question.text) or "A trace",
        facts=[fact for fact in facts if fact],
        parts=[part for part in pictures if not isinstance(part, str) or part.strip()],
        answered=trace.mode != "map",
        answer=trace.final,
        notes=trace.notes,
        place=_place_in(trace),
        steps=_steps(trace),
        seconds=trace.seconds,
        cuts=_cuts(trace),
        time=_time(trace),
        settings=circumstances | trace.settings,
    )


def _steps(trace: Trace) -> list[_Shown]:
    pictures, subject = trace.question.images, trace.question.subject
    seen = _picture(pictures[subject]) if pictures and -len(pictures) <= subject < len(pictures) else None
    return [_step(step, seen) for step in trace.steps]


def _step(step: Step, subject: _Picture | None) -> _Shown:
    facts = [f"{len(step.token_ids)} tokens"] if isinstance(step, TextStep) and step.token_ids else []
    facts += [f"{step.seconds:.2f} s"] if step.seconds else []
    told = " · ".join(facts)
    if isinstance(step, TextStep):
        pieces = _pieces(step.text) if step.author == "model" else (_Piece("plain", step.text),)
        return _Shown(step.author, _name(step), told, pieces, step.truncated)
    keys = class_keys(step)
    said = () if keys else step.facts
    drawn = _Map(step.modality, subject, _picture(step.image), said, depth_scale(step), keys)
    return _Shown("map", _name(step), told, map=drawn)


def _name(step: Step) -> str:
    if isinstance(step, MapStep):
        return f"draws: {step.modality}"
    return "writes" if step.author == "model" else "is told"


def _pieces(text: str) -> tuple[_Piece, ...]:
    """A turn of the model with its elements set off."""
    stream = TurnStream(sorted(set(re.findall(r"<([A-Za-z][\w-]*)>", text)) - {THINK, ANSWER}))
    pieces = []
    for piece in stream.feed(text) + stream.finish():
        kind = piece.element if piece.element in (THINK, ANSWER) else ("request" if piece.element else "plain")
        pieces.append(_Piece("tag" if piece.kind != "text" else kind, piece.text))
    return tuple(pieces)


def _place_in(trace: Trace) -> str:
    """The first place that a thought names in eighths of the picture, "" if none does."""
    found = (_PLACE.search(turn.text) for turn in trace.turns)
    return next((match[0] for match in found if match), "")


def _cuts(trace: Trace) -> list[_Cut]:
    """One part of the bar for each step that took time to be seen."""
    cuts = []
    for number, step in enumerate(trace.steps, 1):
        share = 100 * step.seconds / trace.seconds if trace.seconds > 0 else 0.0
        if share > 0.05:
            kind = "map" if isinstance(step, MapStep) else step.author
            name = step.modality if isinstance(step, MapStep) else _name(step)
            cuts.append(_Cut(kind, f"{share:.2f}", f"step {number}, {name}: {step.seconds:.2f} s"))
    return cuts


def _time(trace: Trace) -> str:
    drawing = sum(step.seconds for step in trace.maps)
    count = len(trace.maps)
    words = f"{trace.seconds:.2f} s in all"
    return words + (f", {drawing:.2f} s of it drawing {count} map{'s' if count > 1 else ''}" if count else "")


def _picture(image: Image.Image) -> _Picture:
    image = image if image.mode in ("RGB", "RGBA", "L") else image.convert("RGB")
    buffer = io.BytesIO()
    if image.width * image.height <= _PNG_PIXELS:
        image.save(buffer, "PNG")
        kind = "png"
    else:
        image.convert("RGB").save(buffer, "JPEG", quality=90)
        kind = "jpeg"
    data = base64.b64encode(buffer.getvalue()).decode("ascii")
    return _Picture(f"data:image/{kind};base64,{data}", image.width, image.height)


def _short(text: str) -> str:
    text = " ".join(text.split())
    return text if len(text) <= 80 else text[:79] + "…"


def save_with_page(trace: Trace, folder: str | Path, arrays: bool = True, beside: Callable[[Path], None] | None = None) -> None:
    """Save a trace as `Trace.save` does, with its page as `page.html`: all or nothing. CooperError names the folder; an earlier
    trace there stays. `beside` writes further files into the folder that it is given."""

    def write(draft: Path) -> None:
        (draft / PAGE).write_text(trace_page(trace), encoding="utf-8")
        if beside is not None:
            beside(draft)

    save_record(trace, folder, arrays, write)
