"""Faults of examples that a reader gives: rendered scenes, and data sets of plugins."""

from dataclasses import dataclass
from pathlib import Path

from cooper.data.examples import Conventions, Examples
from cooper.errors import CooperError
from cooper.training.feed.checking.lengths import map_tokens
from cooper.training.feed.faults.depth import depth_of_metres
from cooper.training.feed.faults.fault import Fault, told
from cooper.training.feed.faults.maps import DEPTH, LABELS, NAMES
from cooper.training.feed.faults.seen import Seen, counted
from cooper.training.feed.faults.thumbs import depth_picture, label_picture, thumb
from cooper.training.traces import RowLengths


@dataclass(frozen=True, kw_only=True)
class ExampleCheck:
    """How examples are checked that a reader gives, of rendered scenes or of a plugin: read, and their maps against them."""

    items: Examples
    conventions: Conventions
    folder: Path
    lengths: RowLengths
    thumbs: bool = False

    def __call__(self, index: int) -> Seen:
        """What is seen of one example."""
        place = f"{self.folder}, picture {index}"
        try:
            item = self.items[index]
            place = f"{self.folder}, {item.id}"
            image, arrays = item.image, item.reading.arrays
        except CooperError as error:
            return Seen(place=place, faults=(told(place, error),))
        shown, faults = [thumb("picture", image)] if self.thumbs else [], []
        maps = {NAMES[name] for name in arrays if name in NAMES}
        if DEPTH in arrays and self.thumbs:
            shown.append(thumb("depth", depth_picture(arrays[DEPTH])))
        if LABELS in arrays:
            names = self.conventions.names
            if names and arrays[LABELS].max() >= len(names):
                faults.append(Fault(place=place, kind="class", said=f"holds class {arrays[LABELS].max()} of {len(names)}"))
            shown += [thumb("segmentation", label_picture(arrays[LABELS]))] if self.thumbs else []
        depth = depth_of_metres(arrays[DEPTH]) if DEPTH in arrays else None
        return Seen(
            place=place,
            faults=tuple(faults),
            sizes=(image.size,),
            counts=counted(f"map {name}" for name in maps),
            tokens=map_tokens(self.lengths, image.size, maps),
            id=item.id,
            depth=depth,
            thumbs=tuple(shown),
        )
