"""The time left, by a clock that the model moves on."""

import pytest
from rich.progress import Progress

from cooper.evaluation.runs import progress
from cooper.evaluation.runs.answering import answer_all
from cooper.evaluation.runs.settings import RunSettings
from tests.evaluation.conftest import FakeCooper


class Slow(FakeCooper):
    """Takes 20 seconds a question, and notes the time that is said to be left before each call."""

    def __init__(self, clock, bars):
        super().__init__()
        self.clock, self.bars, self.left = clock, bars, []

    def batch(self, questions, options="interleaved", seed=0, samples=1):
        self.left.append(self.bars[-1].tasks[0].time_remaining)
        self.clock[0] += 20.0 * len(questions)
        return super().batch(questions, options, seed, samples)


@pytest.fixture
def slow(monkeypatch):
    clock, bars = [0.0], []

    class Timed(Progress):
        def __init__(self, *columns, **settings):
            super().__init__(*columns, get_time=lambda: clock[0], **settings)
            bars.append(self)

    monkeypatch.setattr(progress, "Progress", Timed)
    return lambda: Slow(clock, bars)


def test_a_slow_model_has_a_time_left(slow, items, tmp_path):
    model = slow()
    answer_all(
        model, items[:20], RunSettings(model="made", modes=("direct", "text"), seed=0, batch=5, out=tmp_path, quiet=True)
    )
    assert model.left == [None, *range(700, 0, -100)]  # 100 s a call


def test_rows_of_before_do_not_count_as_fast(slow, items, tmp_path):
    answer_all(slow(), items[:20], RunSettings(model="made", modes=("direct",), seed=0, batch=5, out=tmp_path, quiet=True))
    model = slow()
    answer_all(
        model,
        items[:20],
        RunSettings(model="made", modes=("text", "direct", "interleaved"), seed=0, batch=5, out=tmp_path, quiet=True),
    )
    assert model.left == [None, *range(700, 0, -100)]
