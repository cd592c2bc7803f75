"""Connected components of a label map, with numpy alone.

H, W: height and width of the map in pixels. R: number of runs. E: number of touching pairs of runs.
"""

import numpy as np
from jaxtyping import Int, Int32


def connected(labels: Int[np.ndarray, "H W"]) -> Int32[np.ndarray, "H W"]:
    """Number the 4-connected regions of equal label from 0, in reading order of their first pixel.

    >>> connected(np.array([[7, 7, 3], [3, 7, 3]]))
    array([[0, 0, 1],
           [2, 0, 1]], dtype=int32)

    Horizontal runs are joined where they touch vertically (union by smallest id with pointer jumping), so the work
    grows with the number of runs, not of pixels.
    """
    if labels.size == 0:
        return np.zeros(labels.shape, dtype=np.int32)
    starts = np.ones(labels.shape, dtype=bool)
    starts[:, 1:] = labels[:, 1:] != labels[:, :-1]
    runs = np.cumsum(starts.ravel()).reshape(labels.shape) - 1
    touching = labels[1:] == labels[:-1]
    root_R = _join(int(runs[-1, -1]) + 1, runs[:-1][touching], runs[1:][touching])
    numbered = np.unique(root_R, return_inverse=True)[1]
    return numbered.reshape(-1)[runs].astype(np.int32)


def _join(count: int, upper_E: np.ndarray, lower_E: np.ndarray) -> np.ndarray:
    """The smallest run of the component of each of `count` runs."""
    root_R = np.arange(count)
    while True:
        upper, lower = root_R[upper_E], root_R[lower_E]
        apart = upper != lower
        if not apart.any():
            return root_R
        upper, lower = upper[apart], lower[apart]
        np.minimum.at(root_R, np.maximum(upper, lower), np.minimum(upper, lower))
        while (jumped := root_R[root_R]).tolist() != root_R.tolist():
            root_R = jumped


def sizes(components: Int[np.ndarray, "H W"]) -> Int[np.ndarray, " C"]:
    """Pixels of each component 0..C-1."""
    return np.bincount(components.ravel())
