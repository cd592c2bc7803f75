"""What the tests of reinforcement learning share: what a run left, and rollouts that do as they are told."""

import json
from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file

import cooper.training.rl.sampler as sampler_module
from cooper.sequence.processor import Processor
from cooper.training.rl.recipe import GrpoRecipe
from tests.training.rollout_groups import ids_of_turn

Turns = Sequence[str]


def lines(recipe: GrpoRecipe) -> list[dict]:
    return [json.loads(line) for line in (recipe.out / "metrics.jsonl").read_text().splitlines()]


def weights(folder: Path) -> dict[str, torch.Tensor]:
    return load_file(folder / "model.safetensors")


def changed(before: Path, after: Path) -> set[str]:
    """Names of the weights that differ between two models."""
    first, second = weights(before), weights(after)
    return {name for name in first if not torch.equal(first[name], second[name])}


def script(monkeypatch: pytest.MonkeyPatch, processor: Processor, turns_of: Callable[[str], Sequence[Turns]]) -> None:
    """Sampled rollouts write the turns that `turns_of` gives for the id of their question, one list for each rollout of its
    group; what comes behind them is their own."""
    honest = sampler_module.requests_of

    def scripted(questions, samples, seed):
        made = []
        for place, request in enumerate(honest(questions, samples, seed)):
            turns = turns_of(questions[request.question].id)[place % samples]
            made.append(replace(request, script=tuple(ids_of_turn(turn, processor) for turn in turns)))
        return made

    monkeypatch.setattr(sampler_module, "requests_of", scripted)
