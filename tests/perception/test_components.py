"""Connected components against scipy."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from cooper.perception.components import connected, sizes


def test_worked_example():
    assert connected(np.array([[7, 7, 3], [3, 7, 3]])).tolist() == [[0, 0, 1], [2, 0, 1]]
    assert sizes(connected(np.array([[7, 7, 3], [3, 7, 3]]))).tolist() == [3, 2, 1]


@settings(max_examples=60, deadline=None)
@given(hnp.arrays(np.int32, st.tuples(st.integers(1, 12), st.integers(1, 12)), elements=st.integers(-1, 2)))
def test_same_regions_as_scipy(labels):
    ndimage = pytest.importorskip("scipy.ndimage")
    ours = connected(labels)
    for value in np.unique(labels):
        theirs, count = ndimage.label(labels == value)
        inside = labels == value
        pairs = {(int(a), int(b)) for a, b in zip(ours[inside], theirs[inside], strict=True)}
        assert len(pairs) == count == len(np.unique(ours[inside]))


def test_a_spiral_is_one_region():
    spiral = np.zeros((9, 9), dtype=np.int32)
    spiral[0, :] = spiral[:, 8] = spiral[8, :] = spiral[2:, 0] = spiral[2, :7] = spiral[2:7, 6] = 1
    assert len(np.unique(connected(spiral)[spiral == 1])) == 1
