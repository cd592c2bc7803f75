"""From which ranges a scene is drawn: the formats of scenes, and the splits that look otherwise. Lengths in metres.

Format 2 can be guessed from place and outline: objects of nearly one size under a camera of nearly one height. Format 3 varies
all three, so that a distance must be seen.
"""

from dataclasses import dataclass, replace

from cooper.errors import CooperError
from cooper.scenes.room.catalogue import NEW_SPLITS, SPLITS

FORMATS = (2, 3)
Span = tuple[float, float]


@dataclass(frozen=True, kw_only=True)
class Ranges:
    """`aim_away` and `aim_height`: the point of the room at which the camera looks. `scale`: of the sizes of objects, drawn on
    a logarithmic scale. `behind`: the share of objects on the floor that are put behind another one. `least_visible`: of each
    object, as a fraction; `hidden`: whether one object at least must be partly hidden."""

    room: Span = (3.8, 5.2)
    deep: Span = (3.8, 5.2)
    camera_height: Span = (1.0, 1.9)
    aim_away: Span = (1.9, 2.7)
    aim_height: Span = (0.1, 0.45)
    lamp_away: Span = (0.2, 2.2)
    lamp_power: Span = (44, 66)
    ambient: Span = (0.28, 0.45)
    scale: Span | None = None
    behind: float = 0.4
    least_visible: float = 0.35
    hidden: bool = False


_NARROW = Ranges()
_WIDE = Ranges(
    room=(4.0, 6.5),
    deep=(4.0, 7.5),
    camera_height=(0.4, 2.4),
    aim_away=(1.2, 4.0),
    aim_height=(0.0, 1.3),
    lamp_away=(0.4, 3.6),
    lamp_power=(60, 100),
    scale=(0.5, 1.8),
)
_OF_SPLIT = {
    "light": replace(_WIDE, lamp_power=(130, 190), ambient=(0.55, 0.8)),
    "dark": replace(_WIDE, lamp_power=(9, 20), ambient=(0.05, 0.12)),
    "hidden": replace(_WIDE, behind=0.9, least_visible=0.2, hidden=True),
}


def ranges_of(split: str, form: int) -> Ranges:
    """The ranges of a split in format `form`. CooperError: no such format, or a split that only a later format has."""
    if form not in FORMATS:
        raise CooperError(f"format: {form} is not one of {', '.join(map(str, FORMATS))}")
    if split not in SPLITS:
        raise CooperError(f"split: {split!r} is not one of {', '.join(SPLITS)}")
    if form == 2:
        if split in NEW_SPLITS:
            raise CooperError(f"split: {split!r} needs scenes of format 3")
        return _NARROW
    return _OF_SPLIT.get(split, _WIDE)
