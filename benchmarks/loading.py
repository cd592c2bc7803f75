"""Host memory of two processes that load a checkpoint to be sharded: part by part against whole, each in processes of its own.

    python benchmarks/loading.py [--layers 10] [--processes 2] [--ways parts,whole] [--folder DIR] [--out FILE.json]

The network is random, in bfloat16, of about 330 million parameters at 10 layers. Reported is the peak of the resident memory of
each process (read pages of the file included) above what it held before, without its shards, in bytes a parameter.
"""

import argparse
import json
import os
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path

import torch
import torch.distributed as distributed

from cooper.files.hub import resolve
from cooper.model.config import CooperConfig
from cooper.model.cooper import CooperModel
from cooper.training.bundles import load_bundle
from cooper.training.recipe import Optimiser
from cooper.training.scale.loading import load_scaled
from cooper.training.scale.sharding import ShardingSettings, part, shard
from cooper.training.stages.objective import trainee
from cooper.training.stages.reasoning import SftRecipe


def make(folder: Path, layers: int) -> None:
    """A random checkpoint with the tokenizer and prompts of nano."""
    config = CooperConfig(
        hidden_size=1024,
        num_hidden_layers=layers,
        num_attention_heads=16,
        num_key_value_heads=4,
        intermediate_size=3072,
        vocab_size=32_000,
        latent_side=16,
        vit_side=16,
        vit={"hidden_size": 384, "num_layers": 6, "num_attention_heads": 6, "intermediate_size": 1536, "position_side": 16},
        vae={"base_channels": 32, "channel_multipliers": (1, 2, 4, 4), "blocks_per_level": 1, "latent_channels": 16},
    )
    model = CooperModel(config).to(torch.bfloat16)
    model.vae.to(torch.float32)
    model.save_pretrained(folder)
    for file in resolve("nano").glob("*.json"):
        if file.name not in ("config.json", "trained_on.json"):
            shutil.copy(file, folder)


def memory(field: str) -> int:
    """Bytes of a line of the process's own status, such as VmRSS."""
    lines = dict(line.split(":", 1) for line in Path("/proc/self/status").read_text().splitlines())
    return int(lines[field].split()[0]) * 1024


def measure(folder: Path, way: str, out: Path) -> None:
    """One process: load, shard, and write down what that took."""
    distributed.init_process_group("gloo")
    settings, device = ShardingSettings(), torch.device("cpu")
    recipe = SftRecipe(
        out=out,
        data=folder,
        init=folder,
        optimiser=Optimiser(1, 1, 1e-5),
        mixture={"text": 1.0},
        questions={"text": 1},
        sharding=settings,
    )
    before = memory("VmRSS")
    Path("/proc/self/clear_refs").write_text("5")  # the peak begins anew
    bundle = load_scaled(recipe, folder, None) if way == "parts" else load_bundle(folder)
    count = sum(weight.numel() for weight in bundle.model.parameters())
    objective, _ = trainee(bundle, recipe)
    shard(objective, settings, device, bf16=False)
    peak = memory("VmHWM")
    own = sum(part(tensor).nbytes for tensor in objective.state_dict().values())
    beyond = (peak - before - own) / count
    said = {"parameters": count, "shards": own, "peak": peak - before, "bytes_a_parameter_beyond_shards": round(beyond, 2)}
    (out / f"{way}-{distributed.get_rank()}.json").write_text(json.dumps(said))
    distributed.destroy_process_group()


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--layers", type=int, default=10)
    parser.add_argument("--processes", type=int, default=2)
    parser.add_argument(
        "--folder", type=Path, default=None, help="Where the random checkpoint is made; a temporary one if not given."
    )
    parser.add_argument("--ways", default="parts,whole")
    parser.add_argument("--out", type=Path, default=None)
    parser.add_argument("--measure", nargs=3, help=argparse.SUPPRESS)
    asked = parser.parse_args()
    if asked.measure:
        measure(Path(asked.measure[0]), asked.measure[1], Path(asked.measure[2]))
        return
    with tempfile.TemporaryDirectory() as temporary:
        folder, results = (asked.folder or Path(temporary)) / "model", Path(temporary) / "results"
        results.mkdir()
        if not folder.exists():
            make(folder, asked.layers)
        for way in asked.ways.split(","):
            words = ["-m", "torch.distributed.run", "--standalone", f"--nproc-per-node={asked.processes}", __file__]
            subprocess.run([sys.executable, *words, "--measure", str(folder), way, str(results)], check=True, env=os.environ)
        found = {path.stem: json.loads(path.read_text()) for path in sorted(results.glob("*.json"))}
    text = json.dumps(found, indent=1)
    print(text)
    if asked.out is not None:
        asked.out.write_text(text + "\n")


if __name__ == "__main__":
    main()
