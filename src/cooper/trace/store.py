"""A trace as a folder: `trace.json`, pictures as PNG, and arrays as npy, to the last bit.

    DIR/trace.json           version, circumstances, parts of the question, steps
    DIR/input_0.png          pictures of the question, in order
    DIR/step_1.png           the rendering of the map that is step 1
    DIR/step_1.drawn.npy     the picture as drawn, its latents (step_1.latents.npy), the states of noisy steps
                             (step_1.path.npy), and
    DIR/step_1.reading_0.npy the arrays it was read as

Without arrays, `DIR/step_1.drawn.png` is the picture as drawn in 8 bits, and the rest is left out: a tenth of the bytes.
A folder appears whole or not at all: it is written under another name beside its place and then renamed.
"""

import json
import os
import re
import shutil
import tokenize
import zipfile
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import TypeVar

import numpy as np
from PIL import Image

from cooper.errors import CooperError
from cooper.files.arguments import brief, shown
from cooper.files.folders import draft_beside, own_folder, put_in_place, whole_folder, why
from cooper.files.pictures import stored_picture
from cooper.perception.modality import Reading
from cooper.trace.fields import Fields, read_fields
from cooper.trace.steps import MapStep, Question, Record, Step, TextStep

VERSION = 1
RECORD = "trace.json"
_PARTS = re.compile(r"trace\.json|input_\d+\.png|step_\d+\.(png|drawn\.png|(drawn|latents|path|reading_\d+)\.npy)")
_BESIDE = re.compile(r"page\.html|map\.png|map_\w+\.npy|points\.ply")  # what the command line puts beside a trace
_SMALL = 2_000_000  # pixels
_PNG_MODES = ("1", "L", "LA", "I", "I;16", "P", "RGB", "RGBA")
_BROKEN_ARRAY = (  # what NumPy raises for files that are no arrays
    OSError,
    ValueError,
    EOFError,
    TypeError,
    SyntaxError,
    tokenize.TokenError,
    zipfile.BadZipFile,
    RecursionError,
    MemoryError,
    OverflowError,
)
_Record = TypeVar("_Record", bound=Record)


def save_record(record: Record, folder: str | Path, arrays: bool = True, beside: Callable[[Path], None] | None = None) -> None:
    """Write a record as `folder`, which must be new, empty, or an earlier trace (which it replaces).

    Without `arrays` maps are kept as pictures only. `beside` writes further files into the folder that it is given, before
    that takes its place.

    Raises CooperError naming the folder when it holds anything else, or when the disk is full or read-only; nothing is
    left half-written then.
    """
    target = trace_folder(folder)
    draft = None
    try:
        draft = draft_beside(target)
        _write(record, draft, arrays)
        if beside is not None:
            beside(draft)
        put_in_place(draft, target)
    except OSError as error:
        raise CooperError(f"cannot save the trace in {target}: {why(error)}") from None
    finally:
        if draft is not None:
            shutil.rmtree(draft, ignore_errors=True)


def load_record(folder: str | Path, kind: type[_Record]) -> _Record:
    """Read the folder of a record as a `kind`. Raises CooperError naming the folder that holds none, or the file and the field
    at fault."""
    folder = _folder_of_a_record(folder)
    fields = read_fields(folder / RECORD)
    version = fields.integer("version")
    if version != VERSION:
        raise CooperError(f"{folder / RECORD} has version {version}; this program reads version {VERSION}")
    question = fields.child("question")
    parts = tuple(_read_part(folder, part) for part in question.children("parts"))
    return kind(
        question=Question(parts, question.integer("subject"), question.text("id")),
        steps=tuple(_read_step(folder, step) for step in fields.children("steps")),
        mode=fields.mode("mode"),
        model=fields.text("model"),
        seed=fields.integer("seed"),
        system=fields.text("system"),
        settings=fields.child("settings").values,
        notes=fields.list_of_texts("notes") if "notes" in fields.values else (),
    )


def _folder_of_a_record(asked: str | Path) -> Path:
    """Where the record lies. CooperError: nothing is there, or something else than the folder of a trace."""
    if not isinstance(asked, str | Path):
        raise CooperError(f"the folder of a trace must be a path, not {shown(asked)}")
    try:
        folder = whole_folder(Path(asked).expanduser())
        if folder.is_dir() and os.path.lexists(folder / RECORD):
            return folder
        found = "is a file" if folder.is_file() else f"holds no {RECORD}" if folder.is_dir() else "does not exist"
    except (OSError, ValueError, RuntimeError) as error:
        reason = error.strerror if isinstance(error, OSError) and error.strerror else error
        found = f"cannot be looked into ({reason})"
    raise CooperError(
        f"{brief(asked)} {found}; a trace is a folder with {RECORD}, as `Trace.save` and `cooper ask --out` write it"
    )


def trace_folder(folder: str | Path) -> Path:
    """A place where a trace can be saved: new, empty, or an earlier trace. CooperError names what keeps it from being one."""
    target = own_folder(folder)
    if target.is_dir():
        for path in target.iterdir():
            if not (_PARTS.fullmatch(path.name) or _BESIDE.fullmatch(path.name)):
                raise CooperError(f"cannot save the trace in {target}: it holds {path.name!r}, which is no part of a trace")
    return target


def _write(record: Record, folder: Path, arrays: bool) -> None:
    parts = _write_parts(record.question.shown, folder)
    fields = {
        "version": VERSION,
        "mode": record.mode,
        "model": record.model,
        "seed": record.seed,
        "system": record.system,
        "settings": record.settings,
        **({"notes": list(record.notes)} if record.notes else {}),
        "question": {"id": record.question.id, "subject": record.question.subject, "parts": parts},
        "steps": [_write_step(step, folder, f"step_{place}", arrays) for place, step in enumerate(record.steps)],
    }
    try:
        text = json.dumps(fields, indent=1, ensure_ascii=False)
    except TypeError as error:
        raise CooperError(f"the trace cannot be saved: its settings hold no JSON value ({error})") from None
    (folder / RECORD).write_text(text + "\n", encoding="utf-8", errors="surrogatepass")


def _write_parts(parts: Sequence[Image.Image | str], folder: Path) -> list[dict[str, str]]:
    written = []
    pictures = 0
    for part in parts:
        if isinstance(part, str):
            written.append({"text": part})
            continue
        written.append({"image": f"input_{pictures}.png"})
        _save_picture(part, folder / f"input_{pictures}.png")
        pictures += 1
    return written


def _write_step(step: Step, folder: Path, name: str, arrays: bool) -> dict[str, object]:
    if isinstance(step, TextStep):
        return {"kind": "text", **asdict(step)}
    _save_picture(step.image, folder / f"{name}.png")
    fields: dict[str, object] = {
        "kind": "map",
        "modality": step.modality,
        "seconds": step.seconds,
        "image": f"{name}.png",
    }
    if not arrays:
        eight_bits = (step.drawn.astype(np.float32).clip(0, 1) * 255).round().astype(np.uint8)
        _save_picture(Image.fromarray(eight_bits), folder / f"{name}.drawn.png")
        return {**fields, "drawn": f"{name}.drawn.png"}
    fields["drawn"] = _save_array(step.drawn, folder / f"{name}.drawn.npy")
    if step.latents is not None:
        fields["latents"] = _save_array(step.latents, folder / f"{name}.latents.npy")
    if step.path is not None:
        fields["path"] = _save_array(step.path, folder / f"{name}.path.npy")
        fields["logprobs"] = list(step.logprobs)
    if step.reading is not None:
        fields["reading"] = _write_reading(step.reading, folder, name)
    return fields


def _write_reading(reading: Reading, folder: Path, name: str) -> dict[str, object]:
    arrays = {
        key: _save_array(array, folder / f"{name}.reading_{place}.npy")
        for place, (key, array) in enumerate(reading.arrays.items())
    }
    names = {str(label): text for label, text in reading.names.items()}
    return {"arrays": arrays, "units": dict(reading.units), "names": names}


def _save_array(array: np.ndarray, path: Path) -> str:
    np.save(path, array, allow_pickle=False)
    return path.name


def _save_picture(image: Image.Image, path: Path) -> None:
    image = image if image.mode in _PNG_MODES else image.convert("RGB")
    image.save(
        path, compress_level=4 if image.width * image.height <= _SMALL else 1
    )  # a third of the time for a tenth more bytes


def _read_part(folder: Path, part: Fields) -> Image.Image | str:
    return _load_picture(folder, part.text("image")) if "image" in part.values else part.text("text")


def _read_step(folder: Path, step: Fields) -> Step:
    kind = step.text("kind")
    if kind == "text":
        return TextStep(
            text=step.text("text"),
            token_ids=step.integers("token_ids"),
            logprobs=step.numbers("logprobs"),
            author=step.author("author"),
            truncated=step.truth("truncated"),
            seconds=step.seconds("seconds"),
        )
    if kind != "map":
        raise CooperError(f"{step.place('kind')} must be 'text' or 'map', not {kind!r}")
    return MapStep(
        modality=step.text("modality"),
        drawn=_load_drawn(folder, step.text("drawn")),
        image=_load_picture(folder, step.text("image")),
        latents=_load_array(folder, step.text("latents")) if "latents" in step.values else None,
        seconds=step.seconds("seconds"),
        reading=_read_reading(folder, step.child("reading")) if "reading" in step.values else None,
        path=_load_array(folder, step.text("path")) if "path" in step.values else None,
        logprobs=step.numbers("logprobs") if "path" in step.values else (),
    )


def _read_reading(folder: Path, reading: Fields) -> Reading:
    arrays = {name: _load_array(folder, file) for name, file in reading.child("arrays").texts().items()}
    return Reading(arrays, reading.child("units").texts(), _labels(reading.child("names")))


def _labels(names: Fields) -> Mapping[int, str]:
    try:
        return {int(label): text for label, text in names.texts().items()}
    except ValueError:
        raise CooperError(f"{names.place('')} must have whole numbers as keys") from None


def _load_array(folder: Path, name: str) -> np.ndarray:
    path = _inside(folder, name)
    try:
        mapped = np.load(path, mmap_mode="r", allow_pickle=False)  # maps what is there: no memory for what a header promises
        if mapped.dtype.kind not in "fiub":
            raise CooperError(f"the array {path} must hold numbers, not {mapped.dtype}")
        return np.array(mapped)
    except _BROKEN_ARRAY as error:
        raise CooperError(f"cannot read the array {path}: {error}") from None


def _load_drawn(folder: Path, name: str) -> np.ndarray:
    if not name.endswith(".png"):
        drawn = _load_array(folder, name)
        if drawn.ndim != 3 or drawn.shape[2] != 3:
            raise CooperError(f"the array {folder / name} must be a picture [H, W, 3], not {list(drawn.shape)}")
        return drawn
    return np.asarray(_load_picture(folder, name), dtype=np.float32) / 255


def _load_picture(folder: Path, name: str) -> Image.Image:
    return stored_picture(_inside(folder, name))


def _inside(folder: Path, name: str) -> Path:
    if not _PARTS.fullmatch(name):
        raise CooperError(f"{folder / RECORD} names the file {name!r}, which is no part of a trace")
    path = folder / name
    if path.exists() and not path.is_file():
        raise CooperError(f"{path} is no regular file")
    return path
