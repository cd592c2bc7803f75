"""Faults of depth files: bits, unit, what is not known. The unit shows in statistics, of one file and of the whole set.

H, W: height and width in pixels.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from statistics import median
from types import MappingProxyType

import numpy as np

from cooper.training.feed.faults.fault import Fault
from cooper.training.feed.faults.seen import DepthSeen, Seen

UNITS = {1.0: "metres", 0.01: "centimetres", 0.001: "millimetres", 1 / 256: "metres times 256"}
HALF, FILTERED, SPARSE = (
    0.5,
    0.03,
    0.995,
)  # shares of a depth file that are not known: of any, of a filtered list, of a sparse set
MORE = 0.3  # by which a file of a sparse set may know less than the middle one
STRETCH = (257, 256)  # by which 8 bits are stretched to 16
MARKED = 0.005  # share of a file with the largest number, from which on it looks like a mark
STEPS = 8  # numbers that a stretched file has at least
APART = 5.0  # times that a file's depth lies from that of the set, for its unit to be in doubt
TENFOLD, NEAR_TENFOLD, TIGHT = (10.0, 100.0, 1000.0), 1.3, 3.0  # a wrong unit among many right ones
LEAST_RANGE = 0.5  # metres between nearest and farthest that a filtered list keeps


@dataclass(frozen=True)
class Surroundings:
    """What a set usually shows, in metres. `far`: what lies farther than 95 % of a picture is farther than this. `most`: the
    middle of a picture is nearer than this. `inside`: where the middle of a picture lies, for guessing its unit."""

    far: float
    most: float
    inside: tuple[float, float]


ANY = Surroundings(far=1.0, most=300.0, inside=(0.6, 80.0))
INDOORS = Surroundings(far=1.0, most=40.0, inside=(0.7, 20.0))
STREETS = Surroundings(far=8.0, most=120.0, inside=(3.0, 80.0))
SCALES: Mapping[str, Surroundings] = MappingProxyType(
    {"hypersim": INDOORS, "nyu": INDOORS, "vkitti": STREETS, "kitti": STREETS}
)
DENSE = ("hypersim", "nyu", "vkitti")  # sets whose depth is known nearly everywhere


def depth_seen(
    stored: np.ndarray, metres_per_count: float, none: float, file: str
) -> tuple[DepthSeen | None, list[tuple[str, str]]]:
    """Figures of a depth file [H, W] of whole numbers, None where no pixel has a depth; and the kinds of faults that it shows
    alone, with what is wrong. The number `none` is a depth that cannot be measured, such as the sky, and is not missed."""
    counts = np.bincount(stored.ravel().astype(np.int64).clip(0, 65535), minlength=65536)
    unknown = float(counts[0] / stored.size)
    known = counts.copy()
    known[0] = 0
    if 0 < none < len(known):
        known[int(none)] = 0
    if not known.any():
        return None, [("invalid", "has a depth at no pixel")]
    numbers = np.flatnonzero(known)
    found: list[tuple[str, str]] = []
    if len(numbers) >= STEPS and any(not np.any(numbers % step) for step in STRETCH):
        found.append(("bits", f"holds {len(numbers)} different numbers, which are 8 bits that were stretched to 16"))
    most = known[-1] / stored.size
    if most > MARKED and len(numbers) > 1:
        found.append(("mark", f"holds 65535 at {most:.1%} of its pixels: does it mean that nothing is known there?"))
    if len(numbers) == 1:
        found.append(("flat", f"has the depth {numbers[0] * metres_per_count:g} m at all known pixels"))
    places = np.searchsorted(np.cumsum(known), np.array([0.05, 0.5, 0.95]) * known.sum())
    near, middle, far = (float(place) * metres_per_count for place in places)
    return DepthSeen(near, middle, far, unknown, metres_per_count, file), found


def depth_of_metres(depth: np.ndarray, file: str = "") -> DepthSeen | None:
    """The figures of depth in metres [H, W], 0 where it is not known."""
    known = depth[np.isfinite(depth) & (depth > 0)]
    if not known.size:
        return None
    near, middle, far = (float(value) for value in np.percentile(known, (5, 50, 95)))
    return DepthSeen(near, middle, far, 1 - known.size / depth.size, file=file)


def set_faults(seen: Sequence[Seen], kind: str, filtered: bool) -> list[Seen]:
    """The same with the faults that only the whole set tells: units, and files that know too little. `filtered`: whether the
    list promises that 97 % of each file are known."""
    depths = [each.depth for each in seen if each.depth is not None]
    if not depths:
        return list(seen)
    middle, unknown = (median(values) for values in zip(*((each.middle, each.unknown) for each in depths), strict=True))
    scale = SCALES.get(kind, ANY)
    tight = len(depths) > 2 and sum(1 / TIGHT <= each.middle / middle <= TIGHT for each in depths) > 0.8 * len(depths)
    typical = _strange(DepthSeen(0, middle, median(each.far for each in depths), 0), scale)

    def judged(each: Seen) -> Seen:
        if each.depth is None:
            return each
        found = [*_unit(each.depth, scale, middle, typical, tight), *_unknown(each.depth, kind, filtered, unknown)]
        return replace(
            each,
            faults=(
                *each.faults,
                *(Fault(place=each.place, kind=name, said=f"{each.depth.file} {said}".strip()) for name, said in found),
            ),
        )

    return [judged(each) for each in seen]


def _strange(depth: DepthSeen, scale: Surroundings) -> int:
    """-1: too near to be right, 1: too far, 0: neither."""
    return -1 if depth.far < scale.far else int(depth.middle > scale.most)


def _unit(depth: DepthSeen, scale: Surroundings, middle: float, typical: int, tight: bool) -> list[tuple[str, str]]:
    strange, ratio = _strange(depth, scale), max(depth.middle / middle, middle / depth.middle)
    tenfold = tight and any(times / NEAR_TENFOLD <= ratio <= times * NEAR_TENFOLD for times in TENFOLD)
    if not (strange and (typical == strange or ratio >= APART)) and not tenfold:
        return []
    said = f"has depth between {depth.near:.3g} and {depth.far:.3g} m for the most part"
    said += f", the middle file at {middle:.3g} m" if ratio >= APART else ""
    if not depth.scale:
        return [("unit", f"{said}; is its unit right?")]
    count = depth.middle / depth.scale
    names = [
        name
        for metres, name in UNITS.items()
        if scale.inside[0] <= count * metres <= scale.inside[1] and not np.isclose(metres, depth.scale)
    ]
    own = next((name for metres, name in UNITS.items() if np.isclose(metres, depth.scale)), f"{depth.scale:g} m a count")
    guess = f"it looks like {' or '.join(names)}" if names else "is its unit right?"
    return [("unit", f"{said}, if it holds {own}; {guess}")]


def _unknown(depth: DepthSeen, kind: str, filtered: bool, usual: float) -> list[tuple[str, str]]:
    """What is not known: more than a filtered list may have; half of a dense file; of other sets more than usual."""
    found = []
    dense = kind in DENSE or usual < HALF - MORE
    too_much = depth.unknown > FILTERED if filtered else dense and depth.unknown >= HALF
    too_much = too_much or depth.unknown >= SPARSE or (depth.unknown >= HALF and depth.unknown > usual + MORE)
    if too_much:
        limit = f"; a filtered list has at most {FILTERED:.0%}" if filtered else ""
        found.append(("invalid", f"has no depth at {depth.unknown:.1%} of its pixels{limit}"))
    return found
