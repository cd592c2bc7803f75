"""What `cooper plan` says of memory, against what steps of training take on this machine.

    python benchmarks/planning.py [--shapes nano,300m] [--out FILE.json]

Each network trains three steps on rows of the planned sizes in a process of its own, in float32 on the processor. Measured
is the most memory of the process, less what it had behind a step of a tiny network, for which torch loads what it loads late;
the plan is made for a processor, too.
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
from cooper.training.stages.maps import AmgRecipe
from cooper.training.stages.objective import PackedObjective

MIB = 2**20
ROWS = {"nano": 24, "300m": 1, "tiny": 1}
SIDES = {"nano": 128, "300m": 512, "tiny": 64}  # of pictures, in pixels


def config_of(shape: str) -> CooperConfig:
    """The network of a shape: nano's, or 0.3 billion weights that see pictures as the published one does."""
    if shape == "nano":
        return CooperConfig.from_pretrained(Path(__file__).parents[1] / "src/cooper/assets/nano")
    if shape == "tiny":
        tower = {"hidden_size": 32, "intermediate_size": 64, "num_attention_heads": 2, "num_layers": 1}
        sizes = {"hidden_size": 32, "num_hidden_layers": 1, "num_attention_heads": 2, "num_key_value_heads": 1}
        return CooperConfig(**sizes, intermediate_size=64, vocab_size=100, vit=tower, vae={"base_channels": 32})
    tower = {"hidden_size": 384, "intermediate_size": 1536, "num_attention_heads": 6, "num_layers": 6}
    sizes: dict[str, Any] = {"hidden_size": 1024, "num_hidden_layers": 12, "num_attention_heads": 16, "num_key_value_heads": 4}
    return CooperConfig(**sizes, intermediate_size=2816, vocab_size=8000, vit=tower)


def sizes_of(shape: str) -> RowSizes:
    return RowSizes(width=SIDES[shape], height=SIDES[shape])


def recipe_of(shape: str, checkpointing: bool) -> AmgRecipe:
    optimiser = Optimiser(steps=3, batch=ROWS[shape], learning_rate=1e-5)
    paths: dict[str, Any] = {"out": Path("."), "data": Path("."), "val": Path("."), "init": Path("nano")}
    return AmgRecipe(**paths, optimiser=optimiser, maps=("depth",), frozen=("vit",), checkpointing=checkpointing)


def train(shape: str, checkpointing: bool) -> None:
    """Three steps, as the trainer takes them."""
    from cooper.model.cooper import CooperModel

    config, recipe = config_of(shape), recipe_of(shape, checkpointing)
    rows = SizedRows(config, sizes_of(shape))
    packed = tiled(pack([rows.of_maps(1)] * ROWS[shape], rows.geometry))
    objective = PackedObjective(CooperModel(config), recipe.loss, recipe.frozen, recipe.checkpointing)
    average, optimiser = Average(objective, 0.995), build_optimiser(objective, recipe.optimiser)
    for _ in range(recipe.optimiser.steps):
        objective(packed).sum().backward()
        torch.nn.utils.clip_grad_norm_(objective.parameters(), 1.0)
        optimiser.step()
        average.update(objective)
        optimiser.zero_grad()


def measured_of(shape: str, checkpointing: bool) -> int:
    """Bytes that training takes at most, beside those of the process itself."""
    train("tiny", True)
    before = resident()
    train(shape, checkpointing)
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024 - before


def resident() -> int:
    return int(Path("/proc/self/statm").read_text().split()[1]) * os.sysconf("SC_PAGE_SIZE")


def compared(shape: str, checkpointing: bool) -> dict[str, object]:
    """Planned and measured bytes of one shape."""
    machines, recipe = Machines(), recipe_of(shape, checkpointing)
    planned = plan_run(recipe, config_of(shape), sizes_of(shape), machines, accelerator=False).total
    command = [sys.executable, __file__, "--measure", f"{shape}:{checkpointing}"]
    measured = int(subprocess.run(command, check=True, capture_output=True, text=True).stdout.split()[-1])
    sizes = f"planned {planned / MIB:,.0f} MiB, measured {measured / MIB:,.0f} MiB"
    print(f"{shape}, checkpointing {checkpointing}: {sizes}, ratio {planned / measured:.2f}")
    return {"shape": shape, "checkpointing": checkpointing, "planned": planned, "measured": measured}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--shapes", default="nano,300m")
    parser.add_argument("--out", type=Path)
    parser.add_argument("--measure", help=argparse.SUPPRESS)
    arguments = parser.parse_args()
    if arguments.measure:
        shape, checkpointing = arguments.measure.split(":")
        print(measured_of(shape, checkpointing == "True"))
        return
    found = [compared(shape, checkpointing) for shape in arguments.shapes.split(",") for checkpointing in (False, True)]
    if arguments.out:
        arguments.out.write_text(json.dumps(found, indent=2) + "\n")


if __name__ == "__main__":
    main()
