"""What stage 2 learns of a JSON Lines file: its rows as the traces of a checkpoint."""

from collections.abc import Callable, Collection
from dataclasses import dataclass
from typing import cast

from PIL import Image

from cooper.data.sources.reasoning.row import TraceRow
from cooper.data.sources.reasoning.trace_file import OF_TRACES, RowTaker, TraceFile, TraceReading, picture_folder
from cooper.errors import CooperError
from cooper.model.config import CooperConfig
from cooper.sequence.images import ImageTransform
from cooper.sequence.layout import View
from cooper.sequence.processor import Processor
from cooper.trace.modes import AnswerMode
from cooper.trace.prompts import DEFAULT, Prompts
from cooper.trace.steps import TextStep
from cooper.training.bundles import Bundle
from cooper.training.data import Data, source_of_data

MARKS = 2  # tokens around each text and each view of a picture
UNKNOWN = RowTaker(DEFAULT, Image.Image.copy, lambda row, mode: 0)  # any checkpoint, before it is there


@dataclass(frozen=True)
class RowLengths:
    """How many tokens rows have in a network; of pictures only their sizes are read. `words`: the tokens of a text."""

    config: CooperConfig
    prompts: Prompts
    words: Callable[[str], int]

    @classmethod
    def of(cls, bundle: Bundle) -> "RowLengths":
        """In a checkpoint."""
        return cls.in_words(cast(CooperConfig, bundle.model.config), bundle.prompts, bundle.processor)

    @classmethod
    def in_words(cls, config: CooperConfig, prompts: Prompts, processor: Processor) -> "RowLengths":
        """In a network whose texts a processor cuts."""
        return cls(config, prompts, lambda text: len(processor.encode(text)))

    def __call__(self, row: TraceRow, mode: AnswerMode) -> int:
        views = self.config.view_rules
        system = self.prompts.system[mode] if row.system is None else row.system
        total = self.text(system) if system else 0
        for part in row.question:
            total += self.text(part) if isinstance(part, str) else self.picture(part.size, views.of_input(mode))
        for step, following in zip(row.steps, (*row.steps, None)[1:], strict=True):
            if isinstance(step, TextStep):
                total += self.text(step.text)
                continue
            read = self.picture(step.picture.size, views.map)
            drawn = 0 if step.drawn is None else self.picture(step.drawn.size, ("vae",))
            total += max(read, drawn) if following is None else read + drawn  # a map that is drawn last is not read
        return total

    def text(self, text: str) -> int:
        """Tokens of a text with its marks."""
        return self.words(text) + MARKS

    def picture(self, size: tuple[int, int], views: tuple[View, ...]) -> int:
        """Tokens of the views of a picture of `size` (width, height) with their marks."""
        transforms = self.config.picture_transforms
        vae, vit = ImageTransform(*transforms.vae), ImageTransform(*transforms.vit)
        drawn = vae.size(*size)
        side = {
            "vae": self.config.latent_patch_size * self.config.vae_geometry.downsampling,
            "vit": self.config.vit_geometry.patch_size,
        }
        seen = {"vae": drawn, "vit": vit.size(*(drawn if transforms.vit_after_vae else size))}
        return sum(seen[view].width // side[view] * (seen[view].height // side[view]) + MARKS for view in views)


def taker_of(bundle: Bundle) -> RowTaker:
    """A checkpoint, for which rows are made."""
    return RowTaker(bundle.prompts, bundle.processor.canvas, RowLengths.of(bundle))


def trace_file(
    data: Data, taker: RowTaker, seed: int, most: int, longest: int | None = None, aside: Collection[str] = ()
) -> TraceFile:
    """The first rows, `most` or the source's own limit, every one checked and of at most `longest` tokens. `aside`: rows that
    an earlier start could not read. CooperError: no file of traces, or more than a few rows at fault."""
    source = source_of_data(data)
    if source.kind not in OF_TRACES:
        raise CooperError(f"{source.path} holds {source.kind}, from which sft learns nothing; it takes {', '.join(OF_TRACES)}")
    reading = TraceReading(
        kind=source.kind,
        folder=source.image_root or picture_folder(source.path),
        mode=source.mode,
        most=most if source.limit is None else min(most, source.limit),
        longest=longest,
        aside=frozenset(aside),
    )
    return TraceFile(source.path, reading, taker, seed)
