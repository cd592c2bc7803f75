"""Numbers for the pixels of a map that are not known, so that an autoencoder sees no holes.

H, W: height and width in pixels.
"""

import numpy as np
from jaxtyping import Bool


def filled(array: np.ndarray, known: Bool[np.ndarray, "H W"]) -> np.ndarray:
    """Each unknown pixel of [H, W] as the nearest known one of its row, each row without any as the nearest row with one.

    Nothing changes where nothing is known.

    >>> filled(np.array([[0, 7, 0, 0, 9], [0, 0, 0, 0, 0]]), np.array([[0, 1, 0, 0, 1], [0, 0, 0, 0, 0]], dtype=bool))
    array([[7, 7, 7, 9, 9],
           [7, 7, 7, 9, 9]])
    """
    rows: np.ndarray = np.asarray(known.any(axis=1))
    if not rows.any():
        return array
    columns = _nearest(known)
    across = np.take_along_axis(array, columns, axis=1)
    return across[_nearest(rows[None])[0]]


def _nearest(known: Bool[np.ndarray, "H W"]) -> np.ndarray:
    """By pixel, the column of the nearest known pixel of its row; 0 where the row has none."""
    width = known.shape[1]
    columns = np.arange(width)
    left = np.maximum.accumulate(np.where(known, columns, -2 * width), axis=1)
    right = np.minimum.accumulate(np.where(known, columns, 3 * width)[:, ::-1], axis=1)[:, ::-1]
    nearest = np.where(columns - left <= right - columns, left, right)
    return np.where(known.any(axis=1, keepdims=True), nearest, 0)
