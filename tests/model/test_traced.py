"""A step of decoding and of drawing as one graph: nothing is read back to the host, and tracing it whole changes no number."""

from collections.abc import Callable
from dataclasses import replace

import pytest
import torch
from torch import Tensor
from torch._dynamo.testing import CompileCounterWithBackend
from torch._subclasses.fake_tensor import DataDependentOutputException, FakeTensorMode

from cooper.model.cache import BLOCK, Cache
from cooper.model.cooper import CooperModel
from cooper.reasoning.context import begin, bind
from cooper.reasoning.cooper import Cooper
from cooper.reasoning.decoding import Sampling
from cooper.sequence.packed import PackedSequence
from cooper.sequence.packing import Geometry, Row, pack, pack_tokens
from cooper.sequence.segments import NoisedSegment, TextSegment
from cooper.trace.prompts import DEFAULT
from cooper.trace.steps import Question
from tests.networks import picture, tiny_model, tiny_processor

GEOMETRY = Geometry(256, 257, 258, 259, 2, 4, 16, 14, 4)


@pytest.fixture(scope="module")
def model() -> CooperModel:
    return tiny_model().eval().merge()


@pytest.fixture
def geometry() -> Geometry:
    return GEOMETRY


Step = Callable[[PackedSequence, Cache], Tensor]


def rows_of_two_readings(model: CooperModel, geometry: Geometry) -> tuple[Cache, Tensor]:
    """Three rows of two beginnings of different lengths, and their rope positions."""
    contexts = begin(model, geometry, [[TextSegment((1, 2, 3))], [TextSegment((1, 2, 3, 4, 5, 6))]])
    chosen = [contexts[0], contexts[1], contexts[1]]
    return bind(model, chosen), torch.tensor([context.rope for context in chosen])


def drawing(geometry: Geometry, rope: Tensor) -> PackedSequence:
    noise = torch.randn(4, geometry.latent_width, generator=torch.Generator().manual_seed(1))
    return pack([Row((NoisedSegment(noise, 0.5, (2, 2)),), start=int(start)) for start in rope], geometry)


@torch.no_grad()
def written(model: CooperModel, geometry: Geometry, step: Step, tokens: int) -> list[list[int]]:
    """What three rows write when they take the likeliest token each time."""
    cache, rope_B = rows_of_two_readings(model, geometry)
    feed_B, said = torch.full((3,), geometry.bos), []
    for _ in range(tokens):
        cache.reserve(1)
        hidden_BH = step(pack_tokens(feed_B, rope_B, geometry), cache)
        cache.advance((1, 1, 1))
        feed_B, rope_B = model.text_logits(hidden_BH)[:, :256].argmax(-1), rope_B + 1
        said.append(feed_B.tolist())
    return said


def test_a_traced_step_writes_the_same_tokens(model, geometry):
    """One graph for as many tokens as the buffers have room for: it is made anew only where they grow."""
    graphs = CompileCounterWithBackend("eager")
    traced = torch.compile(model.trunk, backend=graphs, fullgraph=True, dynamic=False)
    assert written(model, geometry, traced, 2 * BLOCK + 5) == written(model, geometry, model.trunk, 2 * BLOCK + 5)
    assert graphs.frame_count == 1 + 3, "the first step, which makes what stays, and one for each size of the buffers"
    torch._dynamo.reset()


def test_a_compiled_model_answers_as_before(tmp_path):
    """By the door: several rows that end at different times, and a map between two turns."""
    network = tiny_model()
    cooper = Cooper.of(network, tiny_processor(network, tmp_path), DEFAULT, "tiny")
    asked = Question((picture(), "Which is nearer?"))
    options = cooper.options("perception", sampling=Sampling(temperature=1.0, max_tokens=9))
    plain = cooper.batch([asked], options, samples=3)[0]
    graphs = CompileCounterWithBackend("eager")
    found = cooper.compiled(backend=graphs).batch([asked], options, samples=3)[0]
    assert graphs.frame_count > 0
    assert [turn.token_ids for trace in found for turn in trace.turns] == [
        turn.token_ids for trace in plain for turn in trace.turns
    ]
    torch._dynamo.reset()


@torch.no_grad()
def test_a_traced_step_draws_the_same(model, geometry):
    traced = torch.compile(model.trunk, backend="eager", fullgraph=True, dynamic=False)
    found = []
    for step in (model.trunk, traced):
        cache, rope_B = rows_of_two_readings(model, geometry)
        packed = drawing(geometry, rope_B)
        cache.reserve(packed.splits.slot_BQ.shape[1])
        for t in (1.0, 0.5):
            latents = replace(packed.latents, t_N=torch.full_like(packed.latents.t_N, t))
            found.append(step(replace(packed, latents=latents), cache))
    torch.testing.assert_close(found[2:], found[:2])
    torch._dynamo.reset()


@torch.no_grad()
@pytest.mark.parametrize("kind", ["writes", "draws"])
def test_a_step_reads_nothing_back(model, geometry, kind):
    """Under fake tensors there are no numbers, so whatever reads one raises."""
    cache, rope_B = rows_of_two_readings(model, geometry)
    packed = pack_tokens(torch.full((3,), geometry.bos), rope_B, geometry) if kind == "writes" else drawing(geometry, rope_B)
    cache.reserve(packed.splits.slot_BQ.shape[1])
    with FakeTensorMode(allow_non_fake_inputs=True) as fake:
        there = replace(packed, position_L=fake.from_tensor(packed.position_L))
        hidden_LH = model.trunk(there, cache)
        assert hidden_LH.shape == (len(packed.position_L), model.config.hidden_size)
        with pytest.raises(DataDependentOutputException):  # so a read would have been noticed
            hidden_LH.sum().item()
