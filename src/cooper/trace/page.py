"""A trace as one HTML page that needs nothing else: no script, no font, no file beside it."""

import base64
import io
import re
from html import escape
from pathlib import Path

from PIL import Image

from cooper.errors import CooperError
from cooper.trace.grammar import ANSWER, THINK, TurnStream
from cooper.trace.steps import MapStep, Step, TextStep
from cooper.trace.style import STYLE
from cooper.trace.trace import Trace

_PNG_PIXELS = 512 * 512  # larger pictures go in as JPEG
_POLICY = "default-src 'none'; img-src data:; style-src 'unsafe-inline'"
_MODES = {
    "interleaved": "draws when it helps",
    "perception": "looks first",
    "text": "reasons in words",
    "direct": "answers at once",
    "map": "draws a map",
}


def write_page(trace: Trace, path: str | Path) -> None:
    """Write `trace_page(trace)` as UTF-8. Raises CooperError naming the file when it cannot be written."""
    try:
        Path(path).write_text(trace_page(trace), encoding="utf-8", errors="replace")
    except OSError as error:
        raise CooperError(f"cannot write the page {path}: {error.strerror or error}") from None


def trace_page(trace: Trace) -> str:
    """The page: question, steps in order with each map beside the picture it was drawn of, answer, times, settings.

    Every text is escaped, so that a question or a turn can hold any mark-up.
    """
    title = escape(_short(trace.question.text) or "A trace")
    return "\n".join(
        [
            "<!doctype html>",
            '<html lang="en"><head><meta charset="utf-8">',
            '<meta name="viewport" content="width=device-width, initial-scale=1">',
            f'<meta http-equiv="Content-Security-Policy" content="{_POLICY}">',
            f"<title>{title}</title><style>{STYLE}</style></head><body><main>",
            _header(trace),
            _steps(trace),
            _answer(trace),
            _times(trace),
            _circumstances(trace),
            "</main></body></html>",
        ]
    )


def _header(trace: Trace) -> str:
    facts = [_MODES[trace.mode], trace.model, f"seed {trace.seed}", f"{trace.seconds:.1f} s"]
    chips = "".join(f"<span class=chip>{escape(fact)}</span>" for fact in facts if fact)
    parts = []
    number = 0
    for part in trace.question.shown:
        if isinstance(part, str):
            parts.append(f"<p class=question>{escape(part)}</p>" if part.strip() else "")
        else:
            number += 1
            parts.append(f"<figure>{_picture(part, f'picture {number}')}</figure>")
    return f"<header><div class=chips>{chips}</div>{''.join(parts)}</header>"


def _steps(trace: Trace) -> str:
    items = "".join(_step(trace, place, step) for place, step in enumerate(trace.steps))
    return f"<ol class=steps>{items}</ol>"


def _step(trace: Trace, place: int, step: Step) -> str:
    if isinstance(step, MapStep):
        return f'<li class="step map">{_heading(f"draws: {step.modality}", step)}{_map(trace, step)}</li>'
    kind = "model" if step.author == "model" else "prompt"
    name = "writes" if step.author == "model" else "is told"
    note = "<p class=note>The token limit cut this turn.</p>" if step.truncated else ""
    return f'<li class="step {kind}">{_heading(name, step)}<div class=turn>{_turn(step)}</div>{note}</li>'


def _heading(name: str, step: Step) -> str:
    facts = []
    if isinstance(step, TextStep) and step.token_ids:
        facts.append(f"{len(step.token_ids)} tokens")
    if step.seconds:
        facts.append(f"{step.seconds:.2f} s")
    return f"<h2>{escape(name)}<small>{escape(' · '.join(facts))}</small></h2>"


def _turn(step: TextStep) -> str:
    """The text with the elements of a model turn set off; a prompt is shown as it is."""
    if step.author != "model":
        return escape(step.text)
    tags = sorted(set(re.findall(r"<([A-Za-z][\w-]*)>", step.text)) - {THINK, ANSWER})
    stream = TurnStream(tags)
    out = []
    for piece in stream.feed(step.text) + stream.finish():
        kind = piece.element if piece.element in (THINK, ANSWER) else ("request" if piece.element else "plain")
        kind = "tag" if piece.kind != "text" else kind
        out.append(f'<span class="{kind}">{escape(piece.text)}</span>')
    return "".join(out)


def _map(trace: Trace, step: MapStep) -> str:
    pictures = trace.question.images
    beside = ""
    if pictures and -len(pictures) <= trace.question.subject < len(pictures):
        seen = _picture(pictures[trace.question.subject], "the picture")
        beside = f"<figure>{seen}<figcaption>the picture</figcaption></figure>"
    drawn = _picture(step.image, f"{step.modality} map")
    caption = escape("; ".join([f"{step.modality} as drawn", *step.facts]))
    return f"<div class=pair>{beside}<figure>{drawn}<figcaption>{caption}</figcaption></figure></div>"


def _answer(trace: Trace) -> str:
    if trace.mode == "map":
        return ""
    if trace.final is None:
        return "<section class=answer><h2>answer</h2><p class=note>The model gave no answer.</p></section>"
    return f"<section class=answer><h2>answer</h2><p>{escape(trace.final)}</p></section>"


def _times(trace: Trace) -> str:
    """One bar, cut by the time of each step."""
    if trace.seconds <= 0:
        return ""
    cuts = []
    for place, step in enumerate(trace.steps):
        kind = "map" if isinstance(step, MapStep) else step.author
        name = step.modality if isinstance(step, MapStep) else ("writes" if step.author == "model" else "is told")
        share = 100 * step.seconds / trace.seconds
        label = escape(f"step {place + 1}, {name}: {step.seconds:.2f} s")
        cuts.append(f'<span class="{kind}" style="width:{share:.2f}%" title="{label}"></span>' if share > 0.05 else "")
    drawing = sum(step.seconds for step in trace.maps)
    count = len(trace.maps)
    words = f"{trace.seconds:.2f} s in all"
    words += f", {drawing:.2f} s of it drawing {count} map{'s' if count > 1 else ''}" if count else ""
    return f"<section><h2>time</h2><div class=bar>{''.join(cuts)}</div><p class=note>{words}</p></section>"


def _circumstances(trace: Trace) -> str:
    facts = {"model": trace.model, "mode": trace.mode, "seed": trace.seed, "system text": trace.system} | trace.settings
    rows = "".join(f"<tr><th>{escape(str(key))}</th><td>{escape(str(value))}</td></tr>" for key, value in facts.items())
    return f"<details><summary>settings</summary><table>{rows}</table></details>"


def _picture(image: Image.Image, alt: str) -> str:
    image = image if image.mode in ("RGB", "RGBA", "L") else image.convert("RGB")
    buffer = io.BytesIO()
    if image.width * image.height <= _PNG_PIXELS:
        image.save(buffer, "PNG")
        kind = "png"
    else:
        image.convert("RGB").save(buffer, "JPEG", quality=90)
        kind = "jpeg"
    data = base64.b64encode(buffer.getvalue()).decode("ascii")
    return f'<img alt="{escape(alt)}" width="{image.width}" height="{image.height}" src="data:image/{kind};base64,{data}">'


def _short(text: str) -> str:
    text = " ".join(text.split())
    return text if len(text) <= 80 else text[:79] + "…"
