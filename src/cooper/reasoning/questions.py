"""Questions on their way in: what a caller gives, checked and made plain before anything is read by the model."""

from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import torch
from PIL import Image

from cooper.errors import CooperError
from cooper.files.arguments import shown, whole, words
from cooper.files.pictures import opened
from cooper.model.cooper import CooperModel
from cooper.perception.depth import DepthModality
from cooper.perception.modality import Modality, Reading
from cooper.reasoning.context import Seeded
from cooper.reasoning.options import Options, Request
from cooper.sequence.images import ImageTransform, Remembered, Size
from cooper.sequence.processor import Processor
from cooper.trace.asked import said_text, subject_of
from cooper.trace.steps import Part, Question
from cooper.trace.trace import Trace

MOST_TOKENS = 2048  # of a question in words: some 1,500 words, and what attention over one question may cost
FAR_OFF = 10  # times the farthest depth that a model draws: what lies there is in another unit
MAP_MODES = ("interleaved", "perception", "map")  # in which maps are drawn, and known ones read
_ARRAYS = {"depth": ("depth", "m"), "segmentation": ("labels", "class id")}  # what a bare array of a known map is


def checked_questions(questions: Sequence[Question], options: Options) -> list[Question]:
    """Questions of a caller's own making as the engine takes them. CooperError names the question that is none."""
    if isinstance(questions, Question | str | bytes) or not isinstance(questions, Sequence):
        raise CooperError(f"questions must be a list of Question, not {shown(questions)}")
    return [_checked(question, f"question {place}", options) for place, question in enumerate(questions)]


def known_maps(question: Question, modalities: Mapping[str, Modality], grid: ImageTransform) -> dict[str, Reading]:
    """Maps that come with a question, checked: a `Reading` each, or the bare array [H, W] of depth in metres or of class ids.

    A map may have any size, but the shape of the picture that it belongs to. `grid`: brings a picture to the size that maps
    of it are drawn at. CooperError: a map that the model does not draw, or one that it could not have drawn.
    """
    known: Any = question.known
    if known is None:
        return {}
    if not isinstance(known, Mapping):
        raise CooperError(f"known must map names of maps to readings, not {shown(known)}")
    readings = {}
    for name, given in known.items():
        if name not in modalities:
            raise CooperError(f"known holds {shown(name)}; this model draws: {', '.join(modalities) or 'no maps'}")
        readings[name] = reading = _reading(name, given)
        try:
            modalities[name].encode(reading)
            if name == "depth" and reading.units.get("depth", "m") == "m":
                _check_metres(reading.arrays["depth"], modalities[name])
        except CooperError as error:
            raise CooperError(f"the known {name} map: {error}") from None
    pictures = [part for part in question.parts if not isinstance(part, str)] if readings else []
    if pictures:
        subject = pictures[question.subject]
        size = subject.size if isinstance(subject, Image.Image) else subject.open().size
        for name, reading in readings.items():
            _check_shape(name, reading, Size(*size), grid)
    return readings


def _check_shape(name: str, reading: Reading, picture: Size, grid: ImageTransform) -> None:
    """CooperError: the map is wider or higher for its size than the picture, by more than rounding to a grid makes it."""
    drawn, half = grid.size(*picture), grid.stride / 2
    shapes = [picture.width / picture.height, (drawn.width - half) / (drawn.height + half)]
    shapes.append((drawn.width + half) / (drawn.height - half))
    for array in reading.arrays.values():
        height, width = array.shape[:2]
        if (width + 0.5) / (height - 0.5) < min(shapes) or (width - 0.5) / (height + 0.5) > max(shapes):
            raise CooperError(
                f"the known {name} map has {width} x {height} px and its picture {picture.width} x {picture.height} px, "
                "which is another shape: give the map of the whole picture, at any size"
            )


def _check_metres(depth_HW: np.ndarray, modality: Modality) -> None:
    """CooperError: what is there cannot be how far things are from a camera."""
    if depth_HW.min() < 0:
        raise CooperError(f"depth holds {depth_HW.min():g} m; nothing is behind the camera")
    if not (np.isfinite(depth_HW) & (depth_HW > 0)).any():
        raise CooperError("no pixel of it has a distance above 0 that is finite")
    middle = float(np.median(depth_HW[np.isfinite(depth_HW) & (depth_HW > 0)]))
    if isinstance(modality, DepthModality) and modality.metric and middle > FAR_OFF * modality.far:
        raise CooperError(
            f"half of its pixels lie beyond {middle:g} m, and this model draws depth up to {modality.far:g} m; "
            "a sensor's map in millimetres must be divided by 1000"
        )


def unread_notes(question: Question, trace: Trace) -> tuple[str, ...]:
    """What should be said of known maps that the model has not read."""
    drawn = {step.modality for step in trace.maps}
    unread = [name for name in question.known if name not in drawn]
    if trace.mode not in MAP_MODES:
        return tuple(f"the mode {trace.mode} reads no maps, so the known {name} map was not read" for name in unread)
    return tuple(f"the model did not ask for the known {name} map, so it was not read" for name in unread)


def requests_of(questions: Sequence[Question], samples: int, seed: int) -> list[Request]:
    """`samples` requests for each question, one question after the other; sample k has the seed `seed + k`."""
    samples = whole(samples, "samples", 1)
    return [
        Request(number, Seeded(_mixed(seed + k, question.id)), seed + k)
        for number, question in enumerate(questions)
        for k in range(samples)
    ]


def _mixed(seed: int, name: str) -> int:
    """A seed that differs between questions with different ids."""
    return (seed + sum(byte * 1_000_003**place for place, byte in enumerate(name.encode(), 1))) % 2**63


def _checked(question: Question, name: str, options: Options) -> Question:
    if not isinstance(question, Question):
        raise CooperError(f"{name} must be a Question, not {shown(question)}")
    if isinstance(question.parts, str | bytes) or not isinstance(question.parts, Sequence):
        raise CooperError(f"{name}: its parts must be pictures and texts, not {shown(question.parts)}")
    words(question.id, f"{name}: its id")
    parts = tuple(_part(part, f"{name}, part {place}") for place, part in enumerate(question.parts))
    pictures = sum(not isinstance(part, str) for part in parts)
    if not parts:
        raise CooperError(f"{name} has neither pictures nor words")
    if options.mode != "map" and not any(isinstance(part, str) and part.strip() for part in parts):
        raise CooperError(
            f"{name} has no words: ask something about its picture, or draw maps with `depth`, `segment` or `draw`"
        )
    if not pictures and options.mode in MAP_MODES:
        raise CooperError(f"{name} has no picture, which the mode {options.mode} needs; ask in the mode text or direct")
    subject = subject_of(question.subject, pictures) if pictures else -1
    return replace(question, parts=parts, subject=subject)


def _part(part: Any, name: str) -> Part:
    if isinstance(part, str):
        return said_text(part, name)
    if callable(getattr(part, "open", None)) and not isinstance(part, Image.Image | Path):
        return part  # undecoded: it checks itself when the model reads it
    return opened(part, name)


def _reading(name: str, given: Any) -> Reading:
    if isinstance(given, Reading):
        return given
    if callable(getattr(given, "is_floating_point", None)):
        given = given.detach().cpu().numpy()
    if isinstance(given, np.ndarray) and name in _ARRAYS:
        array, unit = _ARRAYS[name]
        return Reading({array: given}, {array: unit})
    raise CooperError(f"the known {name} map must be a Reading or an array [H, W], not {shown(given)}")


@torch.no_grad()
def returned_db(model: CooperModel, processor: Processor, image: Image.Image) -> float:
    """How well the autoencoder gives a picture back: peak signal-to-noise ratio in dB."""
    pixels_1CHW = processor.vae_pixels(image)[None].to(model.device)
    back_1CHW = model.vae.reconstruct(model.vae.latents(pixels_1CHW)).float().clamp(-1, 1)
    error = (back_1CHW - pixels_1CHW).square().mean().clamp(min=1e-9)
    return float(10 * torch.log10(4 / error))  # values lie in [-1, 1], so the peak is 2


class Familiarity:
    """How well the autoencoder gives pictures back, in dB; for as many as `most` it is remembered, by their pixels."""

    def __init__(self, model: CooperModel, processor: Processor, most: int = 256) -> None:
        self.model = model
        self._canvas = processor.canvas
        self._of = Remembered(lambda canvas: returned_db(model, processor, canvas), most)

    def of(self, image: Image.Image) -> float:
        """See `returned_db`."""
        return self._of(self._canvas(image))


def notes_on(familiarity: Familiarity, images: Sequence[Image.Image]) -> tuple[str, ...]:
    """What should be said of pictures that are unlike those that the model was trained on; () where its configuration does
    not say what they looked like."""
    home = familiarity.model.config.trained_on
    if home is None:
        return ()
    strange = [number for number, image in enumerate(images) if familiarity.of(image) < home["min_psnr"]]
    if not strange:
        return ()
    which = "the picture looks" if len(images) == 1 else f"picture {', '.join(map(str, strange))} (counted from 0) looks"
    return (f"{which} unlike the {home['pictures']} that this model knows, so its answer and its maps mean little here",)
