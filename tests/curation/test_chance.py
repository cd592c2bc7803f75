"""Flags that luck makes, and flags that it does not."""

import numpy as np
import pytest

from cooper.curation.counts import DrawingCounts, read_flag_rows
from cooper.curation.gains import luck_of
from cooper.errors import CooperError


def test_where_maps_change_nothing_flags_are_what_luck_makes():
    rng = np.random.default_rng(1)
    lucky = [DrawingCounts(int(rng.binomial(4, 0.6)), 4, int(rng.binomial(4, 0.6)), 4) for _ in range(400)]
    for luck in luck_of(lucky, 0.25, 4).values():
        assert luck.found > 50 and abs(luck.found - luck.mean) < 3 * luck.std


def test_where_maps_help_there_are_more_positive_flags_than_that():
    rng = np.random.default_rng(2)
    helped = [DrawingCounts(int(rng.binomial(4, 0.8)), 4, int(rng.binomial(4, 0.4)), 4) for _ in range(400)]
    found = luck_of(helped, 0.25, 4)
    assert found["positive"].found > found["positive"].mean + 5 * found["positive"].std
    assert found["negative"].found < found["negative"].mean - 5 * found["negative"].std
    assert "by luck alone" in str(found["positive"])


def test_no_answer_can_be_dealt_otherwise():
    certain = [DrawingCounts(4, 4, 4, 4), DrawingCounts(0, 4, 0, 4), DrawingCounts(0, 0, 3, 8)]
    assert all((luck.found, luck.mean, luck.std) == (0, 0, 0) for luck in luck_of(certain, 0.25, 4).values())
    assert luck_of([], 0.25, 4)["positive"].found == 0


def test_counts_are_read_from_the_file_of_flags(tmp_path):
    path = tmp_path / "flags.jsonl"
    path.write_text('{"id": "a", "flag": "positive", "drawn_right": 3, "drawn": 4, "plain_right": 1, "plain": 4}\n')
    assert [DrawingCounts.of(row) for row in read_flag_rows(path)] == [DrawingCounts(3, 4, 1, 4)]
    path.write_text('{"id": "a", "flag": "positive"}\n')
    with pytest.raises(CooperError, match=r"flags\.jsonl, line 1: the key 'drawn_right' is missing"):
        read_flag_rows(path)
