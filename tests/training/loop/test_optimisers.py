"""Muon for matrices inside layers, AdamW for the rest, behind one door that resumes exactly."""

import warnings
from dataclasses import replace
from pathlib import Path

import pytest
import torch
from torch import nn
from torch.optim import AdamW, Muon

from cooper.training.loop.averaging import Average
from cooper.training.loop.optimisers import Float32Muon, Together, build_optimiser, orthogonalised
from cooper.training.loop.sealing import last_whole
from cooper.training.loop.trainer import PackedTrainer
from cooper.training.recipe import Optimiser
from tests.networks import tiny_model
from tests.training.toy import ToyObjective, lines, make_batch, toy_plan, trained


class LayeredObjective(ToyObjective):
    def __init__(self) -> None:
        super().__init__()
        del self.net
        self.layers = nn.ModuleList([nn.Linear(4, 4), nn.Linear(4, 4)])
        self.net = nn.Sequential(nn.Linear(4, 4), self.layers[0], nn.Tanh(), self.layers[1])


def layered_plan(folder: Path):
    plan = toy_plan(folder)
    return replace(plan, objective=LayeredObjective(), optimiser=replace(plan.optimiser, kind="muon"))


def test_every_weight_has_one_optimiser():
    model = tiny_model()
    settings = replace(toy_plan(Path()).optimiser, kind="muon")
    built = build_optimiser(model, settings)
    assert isinstance(built, Together)
    muon, adamw = built.parts
    assert isinstance(muon, Muon)
    assert isinstance(adamw, AdamW)
    names = {id(weight): name for name, weight in model.named_parameters()}
    matrices, others = ({names[id(w)] for group in part.param_groups for w in group["params"]} for part in built.parts)
    assert matrices | others == set(names.values())
    assert not matrices & others
    assert "layers.0.mlp.gen.up_proj.weight" in matrices
    assert {"embed_tokens.weight", "lm_head.weight", "latent_in.weight", "layers.0.attention.q_norm.und.weight"} <= others


def test_a_resumed_run_repeats_the_unbroken_one(tmp_path: Path):
    unbroken = trained(layered_plan(tmp_path / "a"))
    trained(layered_plan(tmp_path / "b"))
    last = last_whole(tmp_path / "b")
    assert last is not None
    for file in sorted(last.iterdir()):
        file.unlink()
    resumed = trained(layered_plan(tmp_path / "b"))
    assert lines(resumed) == lines(unbroken)
    for name, weight in unbroken.average.weights.items():
        assert torch.equal(weight, resumed.average.weights[name])


def test_the_schedule_reaches_both_parts(tmp_path: Path):
    trainer = trained(layered_plan(tmp_path))
    assert isinstance(trainer.optimizer, torch.optim.Optimizer)
    rates = [group["lr"] for group in trainer.optimizer.param_groups]
    assert len(rates) == 2
    assert rates[0] == pytest.approx(rates[1])


def test_muon_fits_a_fixed_batch():
    objective, batch = LayeredObjective(), make_batch(range(8))
    built = build_optimiser(objective, replace(toy_plan(Path()).optimiser, kind="muon", learning_rate=0.02))
    losses = []
    for _ in range(60):
        loss = (objective(batch) / objective.counts(batch)).sum()
        built.zero_grad()
        loss.backward()
        built.step()
        losses.append(loss.item())
    assert losses[-1] < 0.8 * losses[0]


def test_muon_in_float32_makes_the_steps_of_torchs():
    """Torch orthogonalises in bfloat16, so the two agree to three digits; their states have the same form."""
    weights, built = [], []
    for kind in (Muon, Float32Muon):
        torch.manual_seed(0)
        weights.append([torch.nn.Parameter(torch.randn(shape)) for shape in ((24, 32), (32, 24))])
        built.append(kind(weights[-1], lr=0.01, weight_decay=0.1, adjust_lr_fn="match_rms_adamw"))
        gradients = torch.Generator().manual_seed(1)
        for _ in range(5):
            for weight in weights[-1]:
                weight.grad = torch.randn(weight.shape, generator=gradients)
            built[-1].step()
    for theirs, ours in zip(*weights, strict=True):
        torch.testing.assert_close(ours, theirs, rtol=0, atol=2e-3)
    built[1].load_state_dict(built[0].state_dict())


def test_a_matrix_is_orthogonalised():
    found = orthogonalised(torch.randn(12, 30, generator=torch.Generator().manual_seed(2)), (3.4445, -4.775, 2.0315), 5, 1e-7)
    assert torch.linalg.svdvals(found).min() > 0.5 and torch.linalg.svdvals(found).max() < 1.5


@pytest.mark.parametrize(
    ("native", "precision", "slow"), [(True, "bf16", 0), (False, "bf16", 1), (False, "auto", 0), (True, "auto", 0)]
)
def test_bfloat16_is_taken_where_the_device_has_it(tmp_path: Path, monkeypatch, native: bool, precision: str, slow: int):
    """Whether a machine has the instructions is pretended: a test must not depend on the machine that runs it."""
    monkeypatch.setattr("cooper.training.loop.trainer.computes_bf16", lambda device: native)
    plan = toy_plan(tmp_path)
    with warnings.catch_warnings(record=True) as said:
        warnings.simplefilter("always")
        trainer = PackedTrainer(replace(plan, optimiser=replace(plan.optimiser, precision=precision)))
    assert trainer.bf16 == (native or precision == "bf16")
    assert sum("many times more slowly" in str(each.message) for each in said) == slow


def test_the_published_settings_of_adamw_are_taken():
    settings = Optimiser(1, 1, 5e-6, betas=(0.9, 0.99), eps=1e-15, weight_decay=0.01, schedule="constant", warmup=500)
    (group,) = build_optimiser(nn.Linear(2, 2), settings).param_groups
    assert (group["lr"], group["betas"], group["eps"], group["weight_decay"]) == (5e-6, (0.9, 0.99), 1e-15, 0.01)


def test_an_average_without_warmup_has_its_decay_from_the_start():
    module = nn.Linear(2, 2)
    average, before = Average(module, 0.9, warmup=False), module.weight.detach().clone()
    with torch.no_grad():
        module.weight.add_(1)
    average.update(module)
    torch.testing.assert_close(average.weights["weight"], before + 0.1)
