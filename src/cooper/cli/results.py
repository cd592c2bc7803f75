"""What the commands leave behind: a folder with the trace and its page, or one JSON object."""

from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from cooper.perception.depth import PointCloud, write_ply
from cooper.trace.page import trace_page
from cooper.trace.steps import MapStep, Step, TextStep
from cooper.trace.store import save_record
from cooper.trace.trace import Trace

if TYPE_CHECKING:
    from cooper.reasoning.drawn_map import DrawnMap

JsonObject = dict[str, object]


def save_trace(trace: Trace, folder: Path) -> None:
    """Write `folder` with `trace.json`, its pictures and arrays, and `page.html`: all or nothing. Raises CooperError naming the
    folder; an earlier trace there stays."""
    save_record(trace, folder, beside=lambda draft: _write_page(trace, draft))


def save_map(drawn: "DrawnMap", folder: Path, cloud: PointCloud | None) -> None:
    """As `save_trace`, with the map as `map.png`, its arrays as `map_NAME.npy`, and the points as `points.ply`."""

    def beside(draft: Path) -> None:
        _write_page(drawn.trace, draft)
        drawn.picture.save(draft / "map.png")
        for name, array in drawn.reading.arrays.items():
            np.save(draft / f"map_{name}.npy", array, allow_pickle=False)
        if cloud is not None:
            write_ply(draft / "points.ply", cloud)

    save_record(drawn.trace, folder, beside=beside)


def _write_page(trace: Trace, folder: Path) -> None:
    (folder / "page.html").write_text(trace_page(trace), encoding="utf-8")


def trace_json(trace: Trace, folder: Path | None) -> JsonObject:
    """A trace for programs: answer, circumstances and steps, without pictures (those lie in `folder`)."""
    return {
        "question": trace.question.text,
        "answer": trace.answer,
        "final": trace.final,
        "mode": trace.mode,
        "model": trace.model,
        "seed": trace.seed,
        "seconds": round(trace.seconds, 3),
        "settings": trace.settings,
        "notes": list(trace.notes),
        "steps": [_step_json(step) for step in trace.steps],
        "folder": None if folder is None else str(folder),
    }


def _step_json(step: Step) -> JsonObject:
    if isinstance(step, TextStep):
        return {
            "kind": "text",
            "author": step.author,
            "text": step.text,
            "tokens": len(step.token_ids),
            "truncated": step.truncated,
            "seconds": round(step.seconds, 3),
        }
    return _map_json(step)


def _map_json(step: MapStep) -> JsonObject:
    reading: JsonObject = {}
    if step.reading is not None:
        for name, array in step.reading.arrays.items():
            reading[name] = {"unit": step.reading.units.get(name, ""), "min": float(array.min()), "max": float(array.max())}
    size = {"width": step.image.width, "height": step.image.height}
    facts = list(step.facts)
    return {
        "kind": "map",
        "modality": step.modality,
        **size,
        "reading": reading,
        "facts": facts,
        "seconds": round(step.seconds, 3),
    }
