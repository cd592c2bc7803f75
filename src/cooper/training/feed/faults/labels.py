"""Faults of label files: ids that were compressed as a photograph is, or blended by resizing; ids that mean nothing.

H, W: height and width in pixels.
"""

import numpy as np
from jaxtyping import Bool

RARE = 0.02  # of the pixels: an id with more is no trace of compression
THIN = 0.6  # share of an id's pixels that are one pixel wide, if they are such traces
TRACES = 3  # ids of such traces, from which on a file is in doubt
SHARE = 0.4  # of all ids
HARDLY = 3  # by which a pixel that compression changed differs from its ground
COLOUR_STEP = 10  # the full release of ADE20K writes red in steps of ten
FULL_CLASSES = 3688  # of the index of its release of 2021


def is_blended(labels: np.ndarray) -> str:
    """Why ids [H, W] look compressed or blended, "" if they do not: many of them are lines one pixel wide between others.

    >>> is_blended(np.repeat([[1, 1, 1, 9, 9, 9]], 6, axis=0))
    ''
    >>> bool(is_blended(np.repeat([[1, 1, 1, 1, 2, 4, 6, 7, 8, 9, 9, 9, 9]], 9, axis=0)))
    True
    """
    ids = labels.astype(np.int32)
    counts = np.bincount(ids.ravel())
    names = np.flatnonzero(counts)
    if len(names) <= TRACES:
        return ""
    total = counts[names]
    thin = np.bincount(ids[_thin(ids)], minlength=len(counts))[names]
    rare = total <= max(RARE * labels.size, 2 * max(labels.shape))
    traces = int(np.sum(rare & (thin >= THIN * total)))
    if traces < TRACES or traces < SHARE * len(names):
        return ""
    return f"{traces} of its {len(names)} ids are lines one pixel wide between others, as JPEG or resizing makes them"


def _thin(labels: np.ndarray) -> Bool[np.ndarray, "H W"]:
    """Pixels that differ from both neighbours in a row, or from both in a column, and are no line on one ground: the neighbours
    differ from one another, too, or hardly from the pixel."""
    found = np.zeros(labels.shape, dtype=bool)
    for ids, marks in ((labels, found), (labels.T, found.T)):
        before, here, behind = ids[:, :-2], ids[:, 1:-1], ids[:, 2:]
        blend = (before != behind) | (np.abs(here - before) <= HARDLY)
        marks[:, 1:-1] |= (here != before) & (here != behind) & blend
    return found


def full_release_fault(stored: np.ndarray) -> tuple[str, str] | None:
    """What is wrong with a `_seg.png` of the full release [H, W, 3]: the kind, and what is wrong."""
    red, green = stored[:, :, 0].astype(np.int32), stored[:, :, 1].astype(np.int32)
    odd = float(np.mean(red % COLOUR_STEP != 0))
    if odd:
        return (
            "blended",
            f"{odd:.1%} of its pixels have a red that is no multiple of {COLOUR_STEP}, as JPEG or resizing makes it",
        )
    most = int((red // COLOUR_STEP * 256 + green).max())
    if most > FULL_CLASSES:
        return "class", f"holds class {most}; the full release has {FULL_CLASSES}"
    return None
