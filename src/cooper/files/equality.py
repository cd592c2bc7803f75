"""When two arrays, pictures or settings are the same: by their values, whichever objects hold them."""

import json
from collections.abc import Mapping
from typing import Any

import numpy as np
from PIL import Image


def same_arrays(one: np.ndarray | None, other: np.ndarray | None) -> bool:
    """Whether both have one shape, one type and the same numbers; NaN is as NaN. No array equals no array alone."""
    if one is None or other is None:
        return one is other
    if one.shape != other.shape or one.dtype != other.dtype:
        return False
    return bool(np.array_equal(one, other, equal_nan=np.issubdtype(one.dtype, np.inexact)))


def same_pictures(one: Image.Image, other: Image.Image) -> bool:
    """Whether both have one size, one mode and the same pixels, wherever they come from."""
    if one is other:
        return True
    if one.size != other.size or one.mode != other.mode:
        return False
    return one.getpalette() == other.getpalette() and one.tobytes() == other.tobytes()


def same_settings(one: Mapping[str, Any], other: Mapping[str, Any]) -> bool:
    """Whether both are the same JSON: a tuple is as a list."""
    try:
        return json.dumps(one, sort_keys=True) == json.dumps(other, sort_keys=True)
    except (TypeError, ValueError):  # values that no JSON can hold
        return one == other
