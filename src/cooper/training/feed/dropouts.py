"""Conditions that are left out at random, so that a model also learns to draw without them, as guidance needs it."""

from dataclasses import dataclass

from cooper.data.batches import rng_of
from cooper.files.values import Share
from cooper.sequence.packing import Row
from cooper.sequence.segments import LatentSegment, Segment, TextSegment, VitSegment


@dataclass(frozen=True, kw_only=True)
class Dropouts:
    """Shares of conditions that rows leave out, each for itself: `text`, words that are not learned; `vit` and `vae`, views of
    pictures. COOPER was trained without (0); BAGEL with 0.1, 0.3 and 0.3."""

    text: Share = 0.0
    vit: Share = 0.0
    vae: Share = 0.0

    def of(self, segment: Segment) -> float:
        """The share of such segments that is left out; 0 for what is learned."""
        if isinstance(segment, TextSegment):
            return 0.0 if segment.loss else self.text
        if isinstance(segment, VitSegment):
            return self.vit
        return self.vae if isinstance(segment, LatentSegment) else 0.0


def with_dropouts(row: Row, dropouts: Dropouts, seed: int, number: int) -> Row:
    """Row `number` of a run without some of its conditions, as (seed, number) decides. What continued one of them continues
    what that continued, and moves up to its place."""
    if dropouts == Dropouts():
        return row
    random_S = rng_of(seed, number, 17).random(len(row.segments))
    left: list[int] = []  # by segment, its place among those that are left, or that of what it continued
    segments: list[Segment] = []
    parents: list[int] = []
    for segment, parent, random in zip(row.segments, row.parent_of, random_S, strict=True):
        above = left[parent] if parent >= 0 else -1
        if random < dropouts.of(segment):
            left.append(above)
        else:
            left.append(len(segments))
            segments.append(segment)
            parents.append(above)
    return Row(tuple(segments), tuple(parents), row.start)
