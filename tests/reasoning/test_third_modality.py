"""A third kind of map, surface normals, added from outside the package in this one file."""

from dataclasses import dataclass, replace

import numpy as np
import pytest
from PIL import Image

from cooper.perception.modality import Reading, register_modality
from cooper.reasoning.context import Seeded
from cooper.reasoning.cooper import Cooper
from cooper.reasoning.decoding import Sampling
from cooper.reasoning.events import TraceDone
from cooper.reasoning.options import Request
from cooper.trace.prompts import DEFAULT
from cooper.trace.steps import Question
from tests.networks import picture, tiny_model, tiny_processor


@dataclass(frozen=True)
class NormalsModality:
    """Unit surface normals in the camera's frame, [-1, 1] shown as [0, 1]."""

    name: str = "normals"
    tag: str = "surface-normals"

    def encode(self, truth: Reading) -> np.ndarray:
        return ((truth.arrays["normals"] + 1) / 2).astype(np.float32)

    def decode(self, drawn: np.ndarray) -> Reading:
        raw = drawn * 2 - 1
        unit = raw / np.maximum(np.linalg.norm(raw, axis=-1, keepdims=True), 1e-6)
        return Reading({"normals": unit.astype(np.float32)}, {"normals": "unit vector"})

    def render(self, drawn: np.ndarray) -> Image.Image:
        return Image.fromarray((drawn * 255).astype(np.uint8))


@pytest.fixture(scope="module")
def cooper(tmp_path_factory) -> Cooper:
    register_modality("normals", NormalsModality)
    modalities = {"depth": {"near": 0.0, "far": 8.0, "metric": True}, "normals": {}}
    model = tiny_model(modalities=modalities)
    requests = dict(DEFAULT.requests) | {"normals": "<surface-normals>Draw the normals.</surface-normals>"}
    prompts = replace(DEFAULT, requests=requests)
    loaded = Cooper.of(model, tiny_processor(model, tmp_path_factory.mktemp("tokenizer")), prompts)
    return replace(loaded, defaults=replace(loaded.defaults, sampling=Sampling(max_tokens=8)))


def test_it_is_drawn_on_request(cooper):
    step = cooper.draw([picture()], "normals")[0]
    assert step.reading is not None
    np.testing.assert_allclose(np.linalg.norm(step.reading.arrays["normals"], axis=-1), 1, atol=1e-3)


def test_the_model_asks_for_it_in_a_chain_of_thought(cooper):
    processor = cooper.engine.parts.layout.processor
    turn = "<think>walls</think><surface-normals>Draw the normals.</surface-normals>"
    script = tuple((*processor.encode(text), processor.geometry.eos) for text in (turn, "<answer>Yes</answer>"))
    question = Question((picture(), "Is the wall flat?"))
    events = cooper.engine.run([question], [Request(0, Seeded(0), script=script)], cooper.options())
    trace = next(event.trace for event in events if isinstance(event, TraceDone))
    assert [step.modality for step in trace.maps] == ["normals"]
    assert trace.answer == "Yes"


def test_its_encoding_is_the_inverse_of_its_decoding():
    flat = np.zeros((4, 4, 3), np.float32)
    flat[..., 2] = -1
    truth = Reading({"normals": flat}, {"normals": "unit vector"})
    modality = NormalsModality()
    np.testing.assert_allclose(modality.decode(modality.encode(truth)).arrays["normals"], flat, atol=1e-6)
