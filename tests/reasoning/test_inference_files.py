"""Files of `--inference`: what they name is changed, and nothing else."""

from dataclasses import replace

import pytest

from cooper.errors import CooperError
from cooper.model.config import DrawingDefaults
from cooper.reasoning.cooper import Cooper
from cooper.reasoning.options import Inference, read_inference


def test_what_is_not_named_stays_as_the_checkpoint_has_it(tmp_path):
    nano = Cooper.from_pretrained("nano")
    (tmp_path / "two.yaml").write_text("drawing: {num_timesteps: 3}\n")
    found = nano.with_inference(read_inference(tmp_path / "two.yaml")).defaults
    assert found.drawing == replace(nano.defaults.drawing, num_timesteps=3) != DrawingDefaults(num_timesteps=3)
    assert nano.with_inference(Inference()).defaults.drawing == nano.defaults.drawing
    other = DrawingDefaults(7, 2.0)
    assert nano.with_inference(Inference(drawing=other)).defaults.drawing == other


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("drawing: {steps: 3}", "drawing: unknown key 'steps'"),
        ("drawing: {num_timesteps: 1}", "drawing.num_timesteps is 1"),
        ("drawing: {interval: [0.9, 0.1]}", "interval is"),
        ("drawing: 3", "drawing"),
    ],
)
def test_a_file_that_is_wrong_is_named(tmp_path, text, says):
    (tmp_path / "wrong.yaml").write_text(text + "\n")
    with pytest.raises(CooperError, match=f"wrong.yaml.*{says}"):
        read_inference(tmp_path / "wrong.yaml")
