"""What a trace is made of: the question, the steps, and the record of both.

H, W: picture size in pixels. N: latent tokens of a map. D: width of a latent token. K: noisy steps of a drawing.
"""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Literal, Protocol

import numpy as np
from PIL import Image

from cooper.files.arguments import short, shown
from cooper.files.equality import same_arrays, same_pictures
from cooper.perception.modality import Reading
from cooper.trace.modes import Mode

Author = Literal["model", "prompt"]


class Undecoded(Protocol):
    """A picture that is decoded when it is asked for, each time anew, so that thousands of questions fit in memory."""

    @property
    def source(self) -> Path | bytes:
        """The file that it is decoded from, or its bytes."""
        ...

    def open(self) -> Image.Image:
        """The picture, upright and in RGB. CooperError: it cannot be decoded."""
        ...


Part = Image.Image | Undecoded | str


@dataclass(frozen=True, eq=False, repr=False)
class Question:
    """Pictures and texts in the order the model reads them, and the picture a map is drawn of.

    A picture may be undecoded: `shown` and `images` decode it, `opened()` does so once for all.
    `subject` counts pictures from 0; -1 is the last one, as published. `known`: maps of it by modality, from a sensor or as the
    truth; where the model asks for one of them it reads that instead of drawing. A stored trace has them among its steps only.
    """

    parts: tuple[Part, ...]
    subject: int = -1
    id: str = ""
    known: Mapping[str, Reading] = field(default_factory=dict)

    def __eq__(self, other: object) -> bool:
        """Whether both show and say the same, of the same subject, with the same id and known maps."""
        if not isinstance(other, Question):
            return NotImplemented
        told = (self.subject, self.id, self.known) == (other.subject, other.id, other.known)
        alike = told and len(self.parts) == len(other.parts)
        return alike and all(_same_parts(one, another) for one, another in zip(self.parts, other.parts, strict=True))

    def __hash__(self) -> int:
        return hash((self.text, self.id, len(self.parts)))

    def __repr__(self) -> str:
        pictures = [part for part in self.parts if not isinstance(part, str)]
        sizes = [f"{part.width} x {part.height} px" if isinstance(part, Image.Image) else "not decoded" for part in pictures]
        told = [f"{shown(self.id)}:"] if self.id else []
        told += [f"picture ({size})" for size in sizes[:2]] if len(sizes) <= 2 else [f"{len(sizes)} pictures"]
        told += [f"known {name}" for name in self.known]
        return short(f"<Question {', '.join([*told, shown(self.text)])}>".replace(":,", ":"))

    @property
    def images(self) -> tuple[Image.Image, ...]:
        return tuple(part for part in self.shown if not isinstance(part, str))

    @property
    def text(self) -> str:
        return "\n".join(part for part in self.parts if isinstance(part, str))

    @property
    def shown(self) -> tuple[Image.Image | str, ...]:
        """The parts with every picture decoded. CooperError: one of them cannot be."""
        return tuple(part if isinstance(part, Image.Image | str) else part.open() for part in self.parts)

    def opened(self) -> "Question":
        """The same question with every picture decoded."""
        return replace(self, parts=self.shown)


@dataclass(frozen=True, repr=False)
class TextStep:
    """One turn of text. `token_ids` are the ids as sampled (the end token included, if it was sampled).

    `logprobs` holds the log-probability of each of them under the sampler's own distribution (temperature and top-p
    applied); it is empty for text that the model did not write. `truncated` marks a turn cut by the token limit. Two turns are
    equal whatever time they took.
    """

    text: str
    token_ids: tuple[int, ...] = ()
    logprobs: tuple[float, ...] = ()
    author: Author = "model"
    truncated: bool = False
    seconds: float = field(default=0.0, compare=False)

    def __repr__(self) -> str:
        size = f"{len(self.token_ids)} tokens, {self.seconds:.1f} s" if self.token_ids else f"{len(self.text)} characters"
        return short(f"<TextStep {self.author}, {size}{', cut' if self.truncated else ''}: {shown(self.text)}>")


@dataclass(frozen=True, eq=False, repr=False)
class MapStep:
    """One map the model drew: the raw picture, the rendering that it read back, the latents, and what the map means.

    Where it was drawn by noisy steps, `path` holds the states before and after each, and `logprobs` their log-probabilities.
    Two maps are equal if all their numbers and pixels are, whatever time they took.
    """

    modality: str
    drawn: np.ndarray  # float32 [H, W, 3] in [0, 1], straight from the decoder
    image: Image.Image  # the rendering, as read back and shown
    latents: np.ndarray | None = None  # float32 [N, D], token form
    seconds: float = 0.0
    reading: Reading | None = None
    path: np.ndarray | None = None  # float32 [K + 1, N, D]
    logprobs: tuple[float, ...] = ()  # K

    def __eq__(self, other: object) -> bool:
        if not isinstance(other, MapStep):
            return NotImplemented
        told = (self.modality, self.logprobs, self.reading) == (other.modality, other.logprobs, other.reading)
        pairs = ((self.drawn, other.drawn), (self.latents, other.latents), (self.path, other.path))
        return told and same_pictures(self.image, other.image) and all(same_arrays(one, another) for one, another in pairs)

    def __hash__(self) -> int:
        return hash((self.modality, self.image.size))

    def __repr__(self) -> str:
        kind = "known" if self.latents is None else "drawn"
        size = f"{self.image.width} x {self.image.height} px, {self.seconds:.1f} s"
        return short(f"<MapStep {self.modality} {kind}, {size}: {'; '.join(self.facts) or 'not read'}>")

    @property
    def facts(self) -> tuple[str, ...]:
        """What the map says in words: `"depth 0.80 to 6.10 m"`, or the names of the classes that occur."""
        return () if self.reading is None else tuple(_facts(self.reading))


Step = TextStep | MapStep


@dataclass(frozen=True, eq=False, repr=False)
class Record:
    """A question, the steps that followed, and the circumstances: what a trace holds and a folder stores."""

    question: Question
    steps: tuple[Step, ...] = ()
    mode: Mode = "interleaved"
    model: str = ""
    seed: int = 0
    system: str = ""  # the system text that opened the context
    settings: dict[str, object] = field(default_factory=dict)  # sampling and drawing settings: JSON values, for the record
    notes: tuple[str, ...] = ()  # what a reader of the answer should know, such as that the picture is unlike those learnt from


def _same_parts(one: Part, other: Part) -> bool:
    if isinstance(one, str) or isinstance(other, str):
        return one == other
    if not isinstance(one, Image.Image) and one == other:  # undecoded, and of one file
        return True
    return same_pictures(*(part if isinstance(part, Image.Image) else part.open() for part in (one, other)))


def _facts(reading: Reading) -> Iterator[str]:
    for name, array in reading.arrays.items():
        unit = reading.units.get(name, "")
        if np.issubdtype(array.dtype, np.floating):
            finite = array[np.isfinite(array)]
            if finite.size:
                yield f"{name} {finite.min():.2f} to {finite.max():.2f} {unit}".rstrip()
        elif unit == "class id" and reading.names:
            present = [reading.names[int(label)] for label in np.unique(array) if int(label) in reading.names]
            yield ", ".join(present)
