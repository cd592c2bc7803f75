"""What `cooper plan` says of memory, against what steps of training take on this machine.

    python benchmarks/planning.py [--runs nano,nano+recomputing,300m] [--steps 3] [--out FILE.json]

A run is a network and what is said of its training: `recomputing` of activations, adapters (`lora`), or the words' expert
`frozen`. Each network trains some steps on rows of the planned sizes in a process of its own, in float32 on the processor.
Measured is the most memory of the process, less what it had behind steps of a tiny network, for which torch loads what it
loads late; the plan is made for a processor, too. The process gives freed memory back at once (`MALLOC_MMAP_THRESHOLD_`):
otherwise glibc keeps pieces between those in use, which no plan can know. Two steps are enough: from the second on the
optimiser has its state.
"""

import argparse
import json
import os
import resource
import subprocess
import sys
from pathlib import Path
from typing import Any

import torch

from cooper.model.config import CooperConfig
from cooper.sequence.packing import pack
from cooper.sequence.tiles import tiled
from cooper.training.loop.averaging import Average
from cooper.training.loop.optimisers import build_optimiser
from cooper.training.planning.plan import Machines, plan_run
from cooper.training.planning.rows import RowSizes, SizedRows
from cooper.training.recipe import Optimiser
from cooper.training.scale.adapters import LoraSettings, add_adapters
from cooper.training.stages.maps import AmgRecipe
from cooper.training.stages.objective import PackedObjective

MIB = 2**20
ROWS = {"nano": 24, "300m": 1, "1b": 1, "tiny": 1}
SIDES = {"nano": 128, "300m": 512, "1b": 256, "tiny": 64}  # of pictures, in pixels
GIVES_BACK = {"MALLOC_MMAP_THRESHOLD_": "131072", "MALLOC_TRIM_THRESHOLD_": "131072"}
WORDS = ("recomputing", "lora", "frozen")  # what a run may say behind its network


def config_of(shape: str) -> CooperConfig:
    """The network of a shape: nano's, or 0.3 or 1 billion weights that see pictures as the published one does,
    the largest in smaller ones."""
    if shape == "nano":
        return CooperConfig.from_pretrained(Path(__file__).parents[1] / "src/cooper/assets/nano")
    if shape == "tiny":
        tower = {"hidden_size": 32, "intermediate_size": 64, "num_attention_heads": 2, "num_layers": 1}
        sizes = {"hidden_size": 32, "num_hidden_layers": 1, "num_attention_heads": 2, "num_key_value_heads": 1}
        return CooperConfig(**sizes, intermediate_size=64, vocab_size=100, vit=tower, vae={"base_channels": 32})
    tower = {"hidden_size": 384, "intermediate_size": 1536, "num_attention_heads": 6, "num_layers": 6}
    heads = {"num_attention_heads": 16, "num_key_value_heads": 4}
    if shape == "1b":
        views = {"vae": (SIDES[shape], SIDES[shape] // 2, 16), "vit": (SIDES[shape], SIDES[shape] // 2, 14)}
        sizes: dict[str, Any] = {"hidden_size": 2048, "num_hidden_layers": 11, "intermediate_size": 5632, "transforms": views}
    else:
        sizes = {"hidden_size": 1024, "num_hidden_layers": 12, "intermediate_size": 2816}
    return CooperConfig(**sizes, **heads, vocab_size=8000, vit=tower)


def sizes_of(shape: str) -> RowSizes:
    return RowSizes(width=SIDES[shape], height=SIDES[shape])


def recipe_of(shape: str, said: list[str], steps: int) -> AmgRecipe:
    optimiser = Optimiser(steps=steps, batch=ROWS[shape], learning_rate=1e-5)
    paths: dict[str, Any] = {"out": Path("."), "data": Path("."), "val": Path("."), "init": Path("nano")}
    return AmgRecipe(
        **paths,
        optimiser=optimiser,
        maps=("depth",),
        frozen=("vit", "und") if "frozen" in said else ("vit",),
        lora=LoraSettings() if "lora" in said else None,
        checkpointing="recomputing" in said,
    )


def train(shape: str, said: list[str], steps: int) -> None:
    """Some steps, as the trainer takes them."""
    from cooper.model.cooper import CooperModel

    config, recipe = config_of(shape), recipe_of(shape, said, steps)
    rows = SizedRows(config, sizes_of(shape))
    packed = tiled(pack([rows.of_maps(1)] * ROWS[shape], rows.geometry))
    model = CooperModel(config)
    if recipe.lora is not None:
        add_adapters(model, recipe.lora, "", recipe.seed)
    objective = PackedObjective(model, recipe.loss, recipe.frozen, recipe.checkpointing)
    average, optimiser = Average(objective, 0.995), build_optimiser(objective, recipe.optimiser)
    for _ in range(recipe.optimiser.steps):
        objective(packed).sum().backward()
        torch.nn.utils.clip_grad_norm_(objective.parameters(), 1.0)
        optimiser.step()
        average.update(objective)
        optimiser.zero_grad()


def measured_of(run: str, steps: int) -> int:
    """Bytes that training takes at most, beside those of the process itself."""
    shape, *said = run.split("+")
    train("tiny", ["recomputing", *said], steps)
    before = resident()
    train(shape, said, steps)
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024 - before


def resident() -> int:
    return int(Path("/proc/self/statm").read_text().split()[1]) * os.sysconf("SC_PAGE_SIZE")


def compared(run: str, steps: int) -> dict[str, object]:
    """Planned and measured bytes of one run."""
    shape, *said = run.split("+")
    plan = plan_run(recipe_of(shape, said, steps), config_of(shape), sizes_of(shape), Machines(), accelerator=False)
    command = [sys.executable, __file__, "--measure", run, "--steps", str(steps)]
    ran = subprocess.run(command, check=True, capture_output=True, text=True, env={**os.environ, **GIVES_BACK})
    measured = int(ran.stdout.split()[-1])
    sizes = f"planned {plan.total / MIB:,.0f} MiB, measured {measured / MIB:,.0f} MiB"
    print(f"{run}: {sizes}, ratio {plan.total / measured:.2f}", flush=True)
    return {"run": run, "steps": steps, "planned": plan.total, "parts": dict(plan.parts), "measured": measured}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--runs", default="nano,nano+recomputing,300m,300m+recomputing")
    parser.add_argument("--steps", type=int, default=3)
    parser.add_argument("--out", type=Path)
    parser.add_argument("--measure", help=argparse.SUPPRESS)
    arguments = parser.parse_args()
    runs = [arguments.measure] if arguments.measure else arguments.runs.split(",")
    for run in runs:
        shape, *said = run.split("+")
        if shape not in ROWS or set(said) - set(WORDS):
            parser.error(f"unknown run {run}; networks: {', '.join(ROWS)}; words behind +: {', '.join(WORDS)}")
    if arguments.measure:
        print(measured_of(arguments.measure, arguments.steps))
        return
    found = [compared(run, arguments.steps) for run in runs]
    if arguments.out:
        arguments.out.write_text(json.dumps(found, indent=2) + "\n")


if __name__ == "__main__":
    main()
