"""A trace as segments: which views of each picture the model reads, and what of it is learned.

Training, reinforcement learning and inference lay traces out here alone, so they cannot disagree.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Literal

from PIL import Image
from torch import Tensor

from cooper.sequence.processor import Processor
from cooper.sequence.segments import LatentSegment, Segment, TextSegment, VitSegment
from cooper.trace.modes import Mode
from cooper.trace.steps import MapStep, Question, Step, TextStep
from cooper.trace.trace import Trace

View = Literal["vae", "vit"]
LatentOf = Callable[[Image.Image], Tensor]  # a picture -> its clean latent [z, h, w]


@dataclass(frozen=True)
class Views:
    """Which views the model reads, in order: of an input picture, of one in text mode, of a map it drew itself, of an input
    picture in direct mode. As published, answers without a map need no latents: direct mode then reads the ViT view alone."""

    input: tuple[View, ...] = ("vae", "vit")
    input_text_mode: tuple[View, ...] = ("vit",)
    map: tuple[View, ...] = ("vit",)
    input_direct_mode: tuple[View, ...] = ("vae", "vit")

    @classmethod
    def of(cls, settings: Mapping[str, Sequence[View]]) -> "Views":
        """Read from the `views` entry of a configuration."""
        return cls(**{name: tuple(views) for name, views in settings.items()})

    def of_input(self, mode: Mode) -> tuple[View, ...]:
        return {"text": self.input_text_mode, "direct": self.input_direct_mode}.get(mode, self.input)


@dataclass(frozen=True, eq=False)
class Layout:
    """How a checkpoint lays traces out. `latent_of` encodes a picture, by the autoencoder or from a store of latents."""

    processor: Processor
    views: Views
    latent_of: LatentOf

    def picture(self, image: Image.Image, views: Sequence[View]) -> list[Segment]:
        """One picture as its views, each a segment of its own."""
        return [
            LatentSegment(self.latent_of(image)) if view == "vae" else VitSegment(self.processor.vit_pixels(image))
            for view in views
        ]

    def question(self, question: Question, mode: Mode, system: str = "") -> list[Segment]:
        """System text (if any), then the parts of the question in order."""
        segments: list[Segment] = [TextSegment(self.processor.encode(system))] if system else []
        for part in question.shown:
            if isinstance(part, str):
                segments.append(TextSegment(self.processor.encode_plain(part)))
            else:
                segments += self.picture(part, self.views.of_input(mode))
        return segments

    def step(self, step: Step, loss: bool = False) -> list[Segment]:
        """One step as the model reads it. With `loss`, text that the model wrote is learned; a map never is, here."""
        if isinstance(step, MapStep):
            return self.picture(step.image, self.views.map)
        return [self.turn(step, loss and step.author == "model")]

    def turn(self, step: TextStep, loss: bool = False) -> TextSegment:
        """A turn of text from its sampled ids where it has them, else from its text."""
        eos = self.processor.geometry.eos
        if not step.token_ids:
            return TextSegment(self.processor.encode(step.text), closed=not step.truncated, loss=loss)
        closed = step.token_ids[-1] == eos
        return TextSegment(step.token_ids[: -1 if closed else None], closed=closed, loss=loss)

    def trace(self, trace: Trace, loss: bool = False) -> list[Segment]:
        """The whole trace, as the model had it in context when it wrote the last turn."""
        segments = self.question(trace.question, trace.mode, trace.system)
        for step in trace.steps:
            segments += self.step(step, loss)
        return segments
