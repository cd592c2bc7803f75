import subprocess
import sys

import pytest

from cooper.trace.steps import Question, TextStep
from cooper.trace.trace import Trace

TAGS = ("depth", "segmentation")


def trace(*turns):
    steps = tuple(TextStep(text[1:], author="prompt") if text.startswith("!") else TextStep(text) for text in turns)
    return Trace(Question(("<answer>never read</answer>",)), steps)


@pytest.mark.parametrize(
    ("turns", "answer"),
    [
        ((), None),
        (("<think>x</think>",), None),
        (("<think>x</think><answer> B </answer>",), "B"),
        (("<answer>A</answer>", "<answer>B</answer>"), "B"),
        (("<answer>A</answer>", "!<answer>C</answer>"), "A"),
        (("!<answer>", "B</answer>"), "B"),
        (("!<answer>", "<answer>B</answer> tail"), "B"),
        (("!<answer>", "no end"), "no end"),
        (("<answer>cut",), None),
    ],
)
def test_the_answer_of_a_trace(turns, answer):
    assert trace(*turns).answer == answer


def test_the_final_answer_is_unboxed():
    assert trace(r"<answer>\boxed{4.2}</answer>").final == "4.2"
    assert trace("x").final is None


def test_well_formed_traces():
    look = "<think>a</think><depth>Draw.</depth>"
    done = "<think>b</think><answer>B</answer>"
    assert trace(look, "!Check it.", done).well_formed(TAGS)
    assert trace(done).well_formed(TAGS)
    assert not trace(look).well_formed(TAGS)
    assert not trace(done, done).well_formed(TAGS)
    assert not trace("!only a prompt").well_formed(TAGS)


def test_traces_load_without_torch():
    code = "import sys, cooper.trace.trace, cooper.trace.prompts; assert 'torch' not in sys.modules"
    subprocess.run([sys.executable, "-c", code], check=True)
