"""Rewards are pure: what they give follows from one question and its traces, in whatever order they run."""

import asyncio
from itertools import permutations
from types import SimpleNamespace

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from cooper.data.item import Item
from cooper.evaluation.judge.endpoint import Verdict
from cooper.trace.prompts import DEFAULT
from cooper.trace.steps import MapStep, Question, Step, TextStep
from cooper.trace.trace import Trace
from cooper.training.rl.rewards.answer import AnswerReward, JudgedAnswerReward
from cooper.training.rl.rewards.exploration import ExplorationReward, exploration_step
from cooper.training.rl.rewards.format import FormatReward
from cooper.training.rl.rewards.reward import as_trl
from tests.networks import picture

TAGS = tuple(DEFAULT.tags.values())
ITEM = Item("q", "size", "spatial", Question((picture(), "How wide?"), id="q"), "Number", "2.0", tolerance=0.1)
MAP = MapStep("depth", drawn=None, image=picture())  # pyright: ignore[reportArgumentType]


def trace(maps: int, end: str = "<think>so</think><answer>2.0 m</answer>") -> Trace:
    steps: list[Step] = []
    for _ in range(maps):
        steps += [TextStep("<think>look</think>" + DEFAULT.requests["depth"]), MAP, TextStep("Go on.", author="prompt")]
    return Trace(ITEM.question, (*steps, TextStep(end)))


def group(drawing: int, size: int = 8) -> list[Trace]:
    return [trace(1 if place < drawing else 0) for place in range(size)]


@pytest.mark.parametrize(
    ("end", "right", "graded"),
    [
        ("<think>a</think><answer>2.0 m</answer>", 1.0, 1.0),
        ("<think>a</think><answer>210 cm</answer>", 1.0, 0.9),
        ("<think>a</think><answer>2.5</answer>", 0.0, 0.5),
        ("<think>a</think>", 0.0, 0.0),
        ("2.0", 0.0, 0.0),
    ],
)
def test_answers_are_read_by_the_rules_of_evaluation(end, right, graded):
    assert AnswerReward()(ITEM, [trace(0, end)]) == [right]
    assert AnswerReward(graded=True)(ITEM, [trace(0, end)]) == [pytest.approx(graded)]


class FakeJudge:
    """Says yes, cannot be reached, says no, talks nonsense."""

    def __init__(self) -> None:
        self.prompts: list[str] = []

    async def ask(self, prompts):
        replies = ["yes", None, "no", "perhaps"]
        first = len(self.prompts)
        self.prompts += prompts
        return [Verdict(reply) for reply in replies[first : first + len(prompts)]]


def test_a_judge_that_cannot_be_reached_or_does_not_decide_gives_no_reward():
    judge = FakeJudge()
    answers = [trace(0), trace(0, "<think>no answer</think>"), trace(1), trace(0), trace(2)]
    assert JudgedAnswerReward(judge)(ITEM, answers) == [1.0, 0.0, None, 0.0, None]
    assert len(judge.prompts) == 4 and all("How wide?" in prompt and "2.0 m" in prompt for prompt in judge.prompts)


def test_trl_is_given_groups_in_order_and_told_what_was_not_judged():
    told: dict[str, float] = {}
    rollouts = [SimpleNamespace(item=ITEM, trace=trace(0, end)) for end in ("<answer>2</answer>", "none") * 2]
    kept = {"log_metric": told.__setitem__}
    rewarded = as_trl(AnswerReward(), 2)
    assert rewarded(rollout=rollouts, **kept) == [1.0, 0.0, 1.0, 0.0] and rewarded.__name__ == "answer"
    assert told == {"rewards/answer/unjudged": 0.0}
    awaited = as_trl(JudgedAnswerReward(FakeJudge()), 2)
    answered = [SimpleNamespace(item=ITEM, trace=trace(0))] * 4
    assert asyncio.run(awaited(rollout=answered, **kept)) == [1.0, None, 0.0, None]
    assert told == {"rewards/answer/unjudged": 0.5}


def test_format_is_one_thought_and_one_request_or_answer_in_every_turn():
    good, double = trace(2), trace(1, "<think>a</think><think>b</think><answer>2</answer>")
    assert FormatReward(TAGS)(ITEM, [good, double, trace(0, "<answer>2</answer>")]) == [1.0, 0.0, 0.0]
    assert FormatReward()(ITEM, [trace(0), trace(1)]) == [1.0, 0.0]  # the text twin makes no requests


@pytest.mark.parametrize(
    ("flag", "drawing", "each"),
    [
        ("positive", 2, 0.2),
        ("positive", 3, 0.0),
        ("positive", 8, 0.0),
        ("negative", 4, -0.2),
        ("negative", 3, 0.0),
        ("negative", 2, 0.0),
        ("boundary", 1, 0.0),
        ("boundary", 8, 0.0),
    ],
)
def test_exploration_by_flag_and_count(flag, drawing, each):
    found = ExplorationReward({"q": flag})(ITEM, group(drawing))
    assert found == [each] * drawing + [0.0] * (8 - drawing)
    assert ExplorationReward({})(ITEM, group(drawing)) == [0.0] * 8


def test_exploration_is_configurable():
    reward = ExplorationReward({"q": "positive"}, weight=0.5, threshold=6)
    assert reward(ITEM, group(5)) == [0.5] * 5 + [0.0] * 3
    assert exploration_step("negative", 6, 6) == 0 and exploration_step("negative", 7, 6) == -1


ends = st.sampled_from(["<think>a</think><answer>2.0</answer>", "<think>a</think><answer>9</answer>", "no tags", "<answer>2"])
traces = st.lists(st.builds(trace, st.integers(0, 2), ends), min_size=2, max_size=8)


@settings(max_examples=40, deadline=None, derandomize=True)
@given(traces, st.sampled_from(["positive", "negative", "boundary"]))
def test_the_order_of_rewards_cannot_matter(made, flag):
    rewards = [AnswerReward(), FormatReward(TAGS), ExplorationReward({"q": flag})]
    alone = {reward.name: reward(ITEM, list(made)) for reward in rewards}
    for order in permutations(rewards):
        shared = list(made)
        found = {reward.name: reward(ITEM, shared) for reward in order}
        assert found == alone and shared == made
