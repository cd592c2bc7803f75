"""What stage 2 learns of a JSON Lines file: its rows as the traces of a checkpoint."""

from collections.abc import Collection
from dataclasses import dataclass

from PIL import Image

from cooper.data.sources.reasoning.row import TraceRow
from cooper.data.sources.reasoning.trace_file import OF_TRACES, RowTaker, TraceFile, TraceReading
from cooper.errors import CooperError
from cooper.files.pictures import LazyPicture
from cooper.sequence.layout import View
from cooper.trace.modes import AnswerMode
from cooper.trace.prompts import DEFAULT
from cooper.trace.steps import TextStep
from cooper.training.bundles import Bundle
from cooper.training.data import Data, source_of_data

MARKS = 2  # tokens around each text and each view of a picture
UNKNOWN = RowTaker(DEFAULT, Image.Image.copy, lambda row, mode: 0)  # any checkpoint, before it is there


@dataclass(frozen=True)
class RowLengths:
    """How many tokens rows have in a checkpoint; of pictures only their sizes are read."""

    bundle: Bundle

    def __call__(self, row: TraceRow, mode: AnswerMode) -> int:
        views = self.bundle.model.config.view_rules
        system = self.bundle.prompts.system[mode] if row.system is None else row.system
        total = self._words(system) if system else 0
        for part in row.question:
            total += self._words(part) if isinstance(part, str) else self._picture(part, views.of_input(mode))
        for step in row.steps:
            if isinstance(step, TextStep):
                total += self._words(step.text)
            else:
                total += self._picture(step.picture, views.map)
                total += 0 if step.drawn is None else self._picture(step.drawn, ("vae",))
        return total

    def _words(self, text: str) -> int:
        return len(self.bundle.processor.encode(text)) + MARKS

    def _picture(self, picture: LazyPicture, views: tuple[View, ...]) -> int:
        config, processor = self.bundle.model.config, self.bundle.processor
        size = processor.vae.size(*picture.size)
        side = {"vae": config.latent_patch_size * config.vae_geometry.downsampling, "vit": config.vit_geometry.patch_size}
        seen = {"vae": size, "vit": processor.vit.size(*(size if processor.vit_after_vae else picture.size))}
        return sum(seen[view].width // side[view] * (seen[view].height // side[view]) + MARKS for view in views)


def taker_of(bundle: Bundle) -> RowTaker:
    """A checkpoint, for which rows are made."""
    return RowTaker(bundle.prompts, bundle.processor.canvas, RowLengths(bundle))


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
        folder=source.image_root or source.path.parent,
        mode=source.mode,
        most=most if source.limit is None else min(most, source.limit),
        longest=longest,
        aside=frozenset(aside),
    )
    return TraceFile(source.path, reading, taker, seed)
