"""What a curation leaves behind: examples with their pictures, and from them the files that training reads."""

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from PIL import Image

from cooper.curation.teaching.lesson import TaughtQuestion
from cooper.curation.teaching.maps import as_picture
from cooper.data.item import Item
from cooper.files.digests import bytes_digest
from cooper.files.pictures import png_bytes
from cooper.files.rows import Row, read_rows, write_whole
from cooper.trace.steps import MapStep, TextStep

EXAMPLES = "examples.jsonl"  # the row of a trace and that of its question, beside the kind
TRACES, ASKED = "traces.jsonl", "questions.jsonl"
PICTURES = "pictures"


class ExampleWriter:
    """Writes pictures below `folder`, each once, named by what they show. `learnt`: whether maps are learnt, too, since they
    are exact; else they are only read."""

    def __init__(self, folder: Path, learnt: bool) -> None:
        self._folder, self._learnt = folder, learnt

    def row(self, lesson: TaughtQuestion, kind: str) -> Row:
        """An accepted lesson, its pictures written."""
        item = lesson.item
        asked = [part if isinstance(part, str) else self._kept(part) for part in item.question.shown]
        pictures = [part for part, shown in zip(asked, item.question.shown, strict=True) if not isinstance(shown, str)]
        parts = [
            {"text": part} if isinstance(shown, str) else {"image": part}
            for part, shown in zip(asked, item.question.shown, strict=True)
        ]
        steps = [self._step(step) for step in lesson.steps]
        trace = {"id": item.id, "mode": lesson.mode, "question": parts, "steps": steps}
        return {"id": item.id, "kind": kind, "trace": trace, "asked": _asked(item, kind, pictures)}

    def _step(self, step: MapStep | TextStep) -> Row:
        if isinstance(step, TextStep):
            return {"text": step.text} | ({} if step.author == "model" else {"author": step.author})
        learnt = {"drawn": self._kept(as_picture(step.drawn))} if self._learnt else {}
        return {"map": step.modality, "image": self._kept(step.image), **learnt}

    def _kept(self, picture: Image.Image) -> str:
        """The path of a picture from the folder."""
        content = png_bytes(picture)
        digest = bytes_digest(content)
        place = f"{PICTURES}/{digest[:2]}/{digest}.png"
        if not (self._folder / place).is_file():
            (self._folder / place).parent.mkdir(parents=True, exist_ok=True)
            write_whole(self._folder / place, content)
        return place


def _asked(item: Item, kind: str, pictures: list[str]) -> Mapping[str, Any]:
    """The question as a row of questions of one's own."""
    said = {"id": item.id, "image": pictures, "question": item.question.text, "type": item.type, "answer": item.truth}
    choices = {"choices": list(item.choices)} if item.choices else {}
    tolerance = {"tolerance": item.tolerance} if item.type == "Number" else {}
    return {**said, **choices, **tolerance, "category": kind}


def write_files(folder: Path) -> int:
    """Make `traces.jsonl` for sft, and `questions.jsonl` for flags and grpo, of the examples that are there; their number."""
    rows = read_rows(folder / EXAMPLES)
    for name, field in ((TRACES, "trace"), (ASKED, "asked")):
        write_whole(folder / name, "".join(json.dumps(row[field], ensure_ascii=False) + "\n" for row in rows))
    return len(rows)
