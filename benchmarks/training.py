"""Rows of stage 1 at mixed picture sizes: packed by tokens against one by one and against batches of rows, and workers against
none, in the same run.

    python benchmarks/training.py [--pictures 24] [--largest 128] [--budget 2048] [--repeat 3] [--workers 2] [--out FILE.json]

The network is untrained, of nano's size (`--hidden 192 --layers 6`), with tables for pictures of up to 256 px; its autoencoder
is nano's. Pictures of 64 px to LARGEST and their depth are drawn from a seed. Every way learns about the same number of tokens
an update, with gradients, clipping and a step of AdamW. Reported are tokens a second, the share of places that are padding,
and ratios by the clock and by the time of the processor; then the share of time that the step waits for rows whose latents are
not known yet, with and without workers.
"""

import argparse
import json
import tempfile
import time
from collections.abc import Iterator
from dataclasses import dataclass, replace
from itertools import islice
from pathlib import Path
from statistics import median

import numpy as np
import torch
from PIL import Image

from cooper.data.batches import BatchPart
from cooper.data.sources.pictures import read_pictures
from cooper.model.config import Transforms, VitGeometry
from cooper.perception import Modality, build_modalities
from cooper.sequence.packed import PackedSequence
from cooper.training.bundles import Bundle, TrainedAutoencoder, load_bundle
from cooper.training.feed.aside import GoodRows, SetAside
from cooper.training.feed.feeding import RowFeed
from cooper.training.feed.packs import Packing
from cooper.training.recipe import Optimiser
from cooper.training.stages.objective import LossWeights, PackedObjective
from cooper.training.stages.rows import MapBatches, RowRecipe, latents_of, map_rows
from cooper.training.start.network import NetworkShape, new_model

SIZES = ((64, 64), (96, 64), (64, 96), (128, 64), (72, 64), (128, 128), (160, 128), (256, 192), (192, 256), (256, 64))
DEFAULTS = {"pictures": 24, "largest": 128, "budget": 2048, "updates": 3, "repeat": 3, "workers": 2}
AHEAD = 10_000  # updates, more than are taken


@dataclass(frozen=True)
class Work:
    """What is trained on what, `updates` times in each measurement, of about `budget` tokens each."""

    bundle: Bundle
    folder: Path
    budget: int
    updates: int


@dataclass(frozen=True)
class Way:
    """A way to make batches: `rows` in each of `parts` of an update, or packs by tokens."""

    name: str
    rows: int = 1
    parts: int = 1
    packing: Packing | None = None
    workers: int = 0


@dataclass(frozen=True)
class Measured:
    """Figures of one measurement. `tokens_a_cpu_second` counts the time of the processor, which other work does not
    lengthen."""

    tokens_a_second: float
    tokens_a_cpu_second: float
    padding: float
    waiting: float


def make_pictures(folder: Path, count: int, largest: int) -> None:
    """Pictures of squares, with depth in millimetres; sides of up to `largest` px."""
    rng, sizes = np.random.default_rng(0), [size for size in SIZES if max(size) <= largest]
    for number in range(count):
        width, height = sizes[number % len(sizes)]
        squares = rng.integers(0, 255, (height // 8, width // 8, 3), dtype=np.uint8)
        depth = np.repeat(np.linspace(6000, 1000, height)[:, None], width, axis=1).astype(np.uint16)
        for name, array in (("images", squares.repeat(8, 0).repeat(8, 1)), ("depth", depth)):
            (folder / name).mkdir(parents=True, exist_ok=True)
            Image.fromarray(array).save(folder / name / f"{number:03d}.png")
    (folder / "data.yaml").write_text("near: 0.3\nfar: 8.0\n")


def untrained(hidden: int, layers: int) -> Bundle:
    """A network with nano's autoencoder, tokenizer and prompts, for pictures of up to 256 px."""
    nano = load_bundle(Path("nano"))
    config = nano.model.config
    shape = NetworkShape(
        hidden_size=hidden,
        num_hidden_layers=layers,
        num_attention_heads=hidden // 32,
        num_key_value_heads=hidden // 96,
        intermediate_size=hidden * 8 // 3,
        latent_patch_size=config.latent_patch_size,
        latent_side=16,
        vit_side=16,
        vit=VitGeometry(hidden, layers, hidden // 32, hidden * 4, 14, 16),
        transforms=Transforms((256, 64, 16), (224, 56, 14), True),
    )
    model = new_model(shape, TrainedAutoencoder(nano.model.vae, config.modalities), config.vocab_size, seed=0)
    return Bundle(model, model.config.processor_with(nano.processor.tokenizer_json), nano.prompts)


def fed(work: Work, way: Way, latents: Path) -> tuple[RowFeed, Iterator[PackedSequence]]:
    """The batches of a way; latents are kept in a folder."""
    batch = way.rows * way.parts if way.packing is None else 1
    optimiser = Optimiser(AHEAD, batch, 1e-4, accumulation=way.parts)
    recipe = RowRecipe(out=latents, data=work.folder, optimiser=optimiser, maps=("depth",), latents=latents)
    modalities: dict[str, Modality] = build_modalities(work.bundle.model.config.modalities)
    rows = map_rows(work.bundle, read_pictures(work.folder).items, modalities, recipe, latents_of(work.bundle, recipe), "here")
    feed = RowFeed(GoodRows(MapBatches(rows, recipe), SetAside(latents)), way.packing, way.workers)
    return feed, feed.batches(BatchPart(batch, way.parts), AHEAD, lambda: 0)


def measured(work: Work, way: Way, latents: Path) -> Measured:
    """Train `updates` times on the batches of a way."""
    objective = PackedObjective(work.bundle.model, LossWeights())
    trained = [weight for weight in objective.parameters() if weight.requires_grad]
    optimiser = torch.optim.AdamW(trained, lr=1e-4)
    feed, batches = fed(work, way, latents)
    start, began, tokens = time.perf_counter(), time.process_time(), 0
    for _ in range(work.updates):
        parts = list(islice(batches, way.parts))
        targets = sum(float(objective.counts(part)[1]) for part in parts)
        for part in parts:
            (objective(part)[1] / targets).backward()
            tokens += sum(part.splits.lengths)
        torch.nn.utils.clip_grad_norm_(trained, 1.0)
        optimiser.step()
        optimiser.zero_grad()
        feed.stepped()
    seconds, busy = time.perf_counter() - start, time.process_time() - began
    batches.close()  # pyright: ignore[reportAttributeAccessIssue]
    figures = feed.figures(feed.sums(), 1)
    return Measured(tokens / seconds, tokens / busy, figures["padding"], figures["waiting"])


def middle(runs: list[Measured]) -> dict[str, float]:
    names = ("tokens_a_second", "tokens_a_cpu_second", "padding", "waiting")
    return {name: round(median(getattr(run, name) for run in runs), 3) for name in names}


def ratio(found: dict[str, dict[str, float]], one: str, other: str) -> dict[str, float]:
    """How many times the tokens of another way one way takes: by the clock, and by the time of the processor."""
    names = {"by_clock": "tokens_a_second", "by_processor": "tokens_a_cpu_second"}
    return {short: round(found[one][name] / found[other][name], 2) for short, name in names.items()}


def compare_ways(work: Work, repeat: int) -> dict[str, object]:
    """One by one, in batches of rows, and packed by tokens; all latents are known."""
    warm = work.folder / "warm"
    _, batches = fed(work, Way("all"), warm)
    lengths = [sum(part.splits.lengths) for part in islice(batches, 64)]
    count = max(1, round(work.budget / float(np.mean(lengths))))
    packing = Packing(expected=work.budget, maximum=work.budget, sample=work.budget, buffer=8)
    ways = (Way("one_by_one", parts=count), Way("rows", rows=count), Way("tokens", packing=packing))
    runs: dict[str, list[Measured]] = {way.name: [] for way in ways}
    for _ in range(repeat):  # in turn, so that other work on the machine meets all of them
        for way in ways:
            runs[way.name].append(measured(work, way, warm))
    found = {name: middle(each) for name, each in runs.items()}
    ratios = {name: ratio(found, "tokens", name) for name in ("one_by_one", "rows")}
    spread = {"rows_an_update": count, "tokens_of_a_row": [min(lengths), round(float(np.mean(lengths))), max(lengths)]}
    return {**spread, **found, "tokens_against": ratios}


def compare_workers(work: Work, repeat: int, workers: int) -> dict[str, object]:
    """Packs by tokens of rows that were never read, with and without workers."""
    packing = Packing(expected=work.budget, maximum=work.budget, sample=work.budget, buffer=8)
    alone = Way("none", packing=packing)
    runs: dict[str, list[Measured]] = {"none": [], "workers": []}
    for number in range(repeat):
        for name, way in (("none", alone), ("workers", replace(alone, workers=workers))):
            runs[name].append(measured(work, way, work.folder / f"cold-{number}-{name}"))
    found = {name: middle(each) for name, each in runs.items()}
    return {**found, "workers_against_none": ratio(found, "workers", "none")}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    for name, default in DEFAULTS.items():
        parser.add_argument(f"--{name}", type=int, default=default)
    parser.add_argument("--hidden", type=int, default=192)
    parser.add_argument("--layers", type=int, default=6)
    parser.add_argument("--out", type=Path)
    asked = parser.parse_args()
    bundle = untrained(asked.hidden, asked.layers)
    with tempfile.TemporaryDirectory() as place:
        make_pictures(Path(place), asked.pictures, asked.largest)
        work = Work(bundle, Path(place), asked.budget, asked.updates)
        results = {
            "parameters": sum(weight.numel() for weight in bundle.model.parameters()),
            "threads": torch.get_num_threads(),
            "packing": compare_ways(work, asked.repeat),
            "workers": compare_workers(work, asked.repeat, asked.workers),
        }
    print(json.dumps(results, indent=1))
    if asked.out:
        asked.out.write_text(json.dumps(results, indent=1) + "\n")


if __name__ == "__main__":
    main()
