"""Answers to a choice are one of its options, where the model answers in words or the caller says so."""

from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image

import cooper
from cooper.errors import CooperError
from cooper.reasoning.cooper import Cooper
from cooper.reasoning.decoding import AnswerGuide
from cooper.trace.steps import Question

ROOM = Path(cooper.__file__).parent / "assets" / "demo" / "room.png"
ABSENT = "Which of these is closest to the camera? A. pink elephant B. striped zebra C. old piano"  # words that it never saw


@pytest.fixture(scope="module")
def nano() -> Cooper:
    return Cooper.from_pretrained("nano")


@pytest.mark.parametrize("mode", ["interleaved", "perception", "text", "direct"])
def test_an_answer_is_one_of_the_options_that_the_question_lists(nano, mode):
    trace = nano.ask(ROOM, ABSENT, mode)
    assert trace.answer in ("pink elephant", "striped zebra", "old piano")
    assert trace.settings["choices"] == ["pink elephant", "striped zebra", "old piano"]
    assert nano.ask(ROOM, ABSENT, mode, choices=()).answer not in trace.settings["choices"]


def test_choices_may_be_given_beside_the_question(nano):
    for choices in (["ja", "nein"], ("立方体", "球"), ["12.5", "12.55", "1"]):
        assert nano.ask(ROOM, "Which?", "direct", choices=choices).answer in choices
    *_, last = nano.stream(ROOM, "Which?", "direct", choices=["ja", "nein"])
    assert last.trace.answer in ("ja", "nein")


def test_a_batch_is_free_or_held_to_the_options_of_each_question(nano):
    room = Image.open(ROOM).convert("RGB")
    asked = [Question((room, ABSENT)), Question((room, cooper.example().text))]
    options = nano.options("direct")
    held = nano.batch(asked, options, choices=None, samples=2)
    assert [len(each) for each in held] == [2, 2]
    assert [each[0].answer for each in held] == [nano.ask(ROOM, each.text, "direct").answer for each in asked]
    assert held[0][0].settings["choices"] != held[1][0].settings["choices"]
    [[named]] = nano.batch(asked[:1], options, choices=["ja", "nein"])
    assert named.answer in ("ja", "nein")
    free = nano.batch(asked, options)
    assert "choices" not in free[0][0].settings
    assert [each[0].answer for each in free] == [nano.ask(ROOM, each.text, "direct", choices=()).answer for each in asked]


def test_an_answer_that_was_an_option_anyhow_stays_and_keeps_its_log_probabilities(nano):
    question = cooper.example().text
    held, free = nano.ask(ROOM, question), nano.ask(ROOM, question, choices=())
    assert held.answer == free.answer
    for one, other in zip(held.turns, free.turns, strict=True):
        assert one.token_ids == other.token_ids
        assert np.allclose(one.logprobs, other.logprobs, atol=1e-5)


@pytest.mark.parametrize(
    ("choices", "said"),
    [("ab", "must be a list"), (5, "must be a list"), ([1, 2], "choice 0"), (["a", " "], "not empty"), (["a", "a"], "differ")],
)
def test_what_is_no_list_of_choices_is_one_sentence(nano, choices, said):
    with pytest.raises(CooperError, match=said):
        nano.ask(ROOM, "Which?", choices=choices)


def test_other_checkpoints_answer_freely_unless_told(nano, monkeypatch):
    monkeypatch.setattr(nano.engine.parts.model.config, "answers_in_words", False)
    assert "choices" not in nano.ask(ROOM, ABSENT, "direct").settings
    assert nano.ask(ROOM, ABSENT, "direct", choices=["old piano", "oak"]).answer in ("old piano", "oak")


def test_a_guide_lets_everything_pass_before_the_answer_opens(nano):
    processor = nano.engine.parts.layout.processor
    guide = AnswerGuide(processor, ["red cube", "red ball"])
    ids = list(processor.encode("<think>The red cube.</think>\n<answer"))
    assert guide.allowed(ids) == []
    guide = AnswerGuide(processor, ["red cube", "red ball"])
    ids = list(processor.encode("<think>The red cube.</think>\n<answer>"))
    red = guide.allowed(ids)
    assert len(red) == 1 and processor.decode([*ids, *red]).endswith("<answer>red")
    assert len(guide.allowed([*ids, *red])) == 2


def test_a_guide_lets_a_refusal_pass(nano):
    processor = nano.engine.parts.layout.processor
    guide = AnswerGuide(processor, ["red cube", "red ball"], "I cannot see")
    ids = list(processor.encode("<think>There is no red cube.</think>\n<answer>"))
    refused = list(processor.encode("I cannot see"))
    first = guide.allowed(ids)
    assert len(first) == 2 and refused[0] in first
    for place, token in enumerate(refused[1:], 1):
        assert guide.allowed([*ids, *refused[:place]]) == [token]
    assert guide.allowed([*ids, *refused]) == [] == guide.allowed([*ids, *refused, *processor.encode(" a red cube.")])


def test_the_command_holds_answers_and_lets_go_of_them():
    import json
    import subprocess
    import sys

    def answer(*more):
        command = [sys.executable, "-m", "cooper", "ask", str(ROOM), ABSENT, "--mode", "direct", "--json", *more]
        return json.loads(subprocess.run(command, capture_output=True, text=True, check=True).stdout)["answer"]

    assert answer("--choice", "one", "--choice", "two") in ("one", "two")
    assert answer("--free") not in ("pink elephant", "striped zebra", "old piano")


def test_scores_of_other_tokens_cannot_be_chosen():
    from cooper.reasoning.decoding import kept

    scores = torch.tensor([3.0, 2.0, 1.0])
    assert kept(scores, [2, 1]).tolist() == [-torch.inf, 2.0, 1.0]
