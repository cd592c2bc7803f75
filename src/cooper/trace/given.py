"""Which maps a model reads where it asks for some: its own, none, or others in their place, as controls of an evaluation."""

from typing import Literal, get_args

from cooper.errors import CooperError
from cooper.trace.modes import AnswerMode

GivenMaps = Literal["own", "none", "true", "blank", "noise", "swap", "repeat"]
GIVEN_MAPS: tuple[GivenMaps, ...] = get_args(GivenMaps)
READING_MODES: tuple[AnswerMode, ...] = ("interleaved", "perception")  # those in which maps are read


def given_maps(name: str) -> GivenMaps:
    """The control of a name. CooperError: there is none."""
    for known in GIVEN_MAPS:
        if name == known:
            return known
    raise CooperError(f"unknown given maps {name!r}; known: {', '.join(GIVEN_MAPS)}")
