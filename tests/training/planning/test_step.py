"""A step without numbers holds what the same step with numbers holds, by the same meter."""

import pytest
import torch

from cooper.sequence.packing import pack
from cooper.sequence.tiles import tiled
from cooper.training.planning.meter import Meter
from cooper.training.planning.rows import RowSizes, SizedRows
from cooper.training.planning.step import StepSettings, cost_of_step
from cooper.training.recipe import Optimiser
from cooper.training.stages.objective import LossWeights, PackedObjective
from tests.networks import tiny_config, tiny_model

SIZES = RowSizes(width=64, height=48, text=40, learnt=20, maps=1)
FLOAT = 4


def settings(**changes) -> StepSettings:
    optimiser = Optimiser(steps=1, batch=1, learning_rate=1e-4)
    said = {"bf16": False, "averaged": True, "cached": True, "accelerator": False}
    return StepSettings(optimiser=optimiser, **{**said, **changes})


def cost(config, rows, checkpointing=False, **changes):
    def build(model):
        objective = PackedObjective(model, LossWeights(), ("vit",), checkpointing)
        return objective, lambda batch: objective(batch).sum()

    return cost_of_step(config, build, tiled(pack(rows, SizedRows(config, SIZES).geometry)), settings(**changes))


@pytest.fixture(scope="module")
def config():
    return tiny_config()


@pytest.fixture(scope="module")
def rows(config):
    sized = SizedRows(config, SIZES)
    return [sized.of_maps(2), sized.of_trace(copies=2, drawn=1)]


@pytest.mark.parametrize("checkpointing", [False, True])
def test_numbers_change_nothing(config, rows, checkpointing):
    planned = cost(config, rows, checkpointing)
    objective = PackedObjective(tiny_model(), LossWeights(), ("vit",), checkpointing)
    batch = tiled(pack(rows, SizedRows(config, SIZES).geometry))
    meter = Meter()
    meter.hold(objective.parameters())
    weights = meter.now
    for weight in objective.parameters():
        if weight.requires_grad:
            meter.watch(weight)
    with meter:
        objective(batch).sum().backward()
    assert meter.flops == planned.flops > 0
    assert meter.peak_beside - weights == pytest.approx(planned.passing, rel=0.02)


def test_states_are_counted(config, rows):
    planned = cost(config, rows)
    assert planned.average == FLOAT * planned.trained
    assert planned.state == pytest.approx(2 * FLOAT * planned.trained, rel=0.01)
    assert planned.weights == sum(weight.numel() for weight in tiny_model().parameters())


def test_recomputing_holds_less_and_computes_more(config, rows):
    many = rows * 4
    plain, less = cost(config, many), cost(config, many, checkpointing=True)
    assert less.passing < plain.passing and less.flops > plain.flops


def test_accelerators_update_all_weights_at_once(config, rows):
    assert cost(config, rows, accelerator=True).updating > cost(config, rows).updating


def test_the_meter_forgets_what_is_freed():
    with Meter() as meter:
        first = torch.zeros(1000)
        second = first + 1
        view = second[:10]
        del first
        assert (meter.now, meter.peak) == (4000, 8000)
        del second
        assert meter.now == 4000, view.shape
        del view
        assert meter.now == 0
