"""A trace for programs: what `--json` prints, without pictures and arrays, which lie in the folder of the trace."""

from pathlib import Path

from cooper.trace.steps import Step, TextStep
from cooper.trace.trace import Trace

JsonObject = dict[str, object]


def trace_json(trace: Trace, folder: Path | None) -> JsonObject:
    """Answer, circumstances and steps; `folder`: where the trace was saved."""
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
        "steps": [step_json(step) for step in trace.steps],
        "folder": None if folder is None else str(folder),
    }


def step_json(step: Step) -> JsonObject:
    """One step: a turn of text with its number of tokens, or a map with its size and the range of what it says."""
    if isinstance(step, TextStep):
        return {
            "kind": "text",
            "author": step.author,
            "text": step.text,
            "tokens": len(step.token_ids),
            "truncated": step.truncated,
            "seconds": round(step.seconds, 3),
        }
    arrays = {} if step.reading is None else step.reading.arrays
    units = {} if step.reading is None else step.reading.units
    return {
        "kind": "map",
        "modality": step.modality,
        "width": step.image.width,
        "height": step.image.height,
        "reading": {
            name: {"unit": units.get(name, ""), "min": float(array.min()), "max": float(array.max())}
            for name, array in arrays.items()
        },
        "facts": list(step.facts),
        "seconds": round(step.seconds, 3),
    }
