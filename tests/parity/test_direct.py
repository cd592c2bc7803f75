"""Direct answers of published weights: no system text and the ViT view alone, as their own code asks without reasoning."""

from pathlib import Path

import pytest
from PIL import Image

from cooper import Cooper
from cooper.sequence.segments import LatentSegment, TextSegment, VitSegment
from cooper.trace.steps import Question


@pytest.fixture(scope="module")
def published(golden_dir: Path) -> Cooper:
    with pytest.warns(UserWarning, match=r"holds no prompts\.json"):
        return Cooper.from_pretrained(golden_dir / "checkpoint", dtype="float32")


def kinds(model: Cooper, mode) -> list[type]:
    parts = model.engine.parts
    asked = Question((Image.new("RGB", (64, 48), (90, 20, 20)), "How far is it?"))
    return [type(segment) for segment in parts.layout.question(asked, mode, parts.prompts.system[mode])]


def test_published_weights_answer_at_once_from_one_vit_view(published):
    assert published.engine.parts.prompts.system["direct"] == ""
    assert kinds(published, "direct") == [VitSegment, TextSegment]
    trace = published.ask(Image.new("RGB", (64, 48)), "How far?", mode="direct")
    assert trace.system == "" and trace.mode == "direct"


def test_their_other_modes_stay(published):
    assert kinds(published, "text") == [TextSegment, VitSegment, TextSegment]
    for mode in ("interleaved", "perception"):
        assert kinds(published, mode) == [TextSegment, LatentSegment, VitSegment, TextSegment]


def test_nano_answers_as_it_was_trained():
    nano = Cooper.from_pretrained("nano")
    assert kinds(nano, "direct") == [TextSegment, LatentSegment, VitSegment, TextSegment]
