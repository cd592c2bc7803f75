"""What a GPU does with a network of the published shape and random weights: writing, drawing, training, memory.

    python benchmarks/gpu.py [--shape published|toy] [--device cuda] [--dtype bfloat16] [--rows 1,8] [--context 1024]
                             [--side 512] [--timesteps 20] [--repeat 5] [--peak TFLOPS] [--bandwidth GB/S] [--compiled]
                             [--out FILE]

Random weights are enough for speed. Writing is limited by memory: its figure is the share of the card's bandwidth that the
weights and keys read for each token come to. Drawing and training are limited by arithmetic: their figure is the share of the
card's peak, operations counted by torch as they are done. Training goes forward and backward through all layers with
checkpoints, and its gradients are those of the norms, so that the published shape fits one card without an optimiser's states.
Peaks of known cards stand in `CARDS`; for others name them. `--shape toy` runs anywhere in seconds and measures nothing useful.
"""

import argparse
import json
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from statistics import median

import torch
from torch.utils.flop_counter import FlopCounterMode

from cooper.model.config import CooperConfig, DrawingDefaults
from cooper.model.cooper import CooperModel
from cooper.reasoning.context import Context, Seeded, begin
from cooper.reasoning.decoding import Decoding, Sampling, Writer
from cooper.reasoning.denoising import Denoising, Drawer
from cooper.sequence.packing import Geometry, Row, pack
from cooper.sequence.segments import NoisedSegment, TextSegment

CARDS = {"H100": (989, 3350), "H200": (989, 4800), "A100": (312, 2039), "L40S": (362, 864)}  # dense bf16 TFLOPS, GB/s
TOY = {
    "hidden_size": 64,
    "num_hidden_layers": 2,
    "num_attention_heads": 4,
    "num_key_value_heads": 2,
    "intermediate_size": 96,
    "vocab_size": 512,
    "latent_side": 64,
    "vit": {"hidden_size": 16, "num_layers": 1, "num_attention_heads": 2, "intermediate_size": 24},
    "vae": {"base_channels": 8, "blocks_per_level": 1, "norm_groups": 4},
}


@dataclass(frozen=True)
class Card:
    """A device and its peaks, where they are known: operations a second, and bytes a second."""

    device: torch.device
    operations: float | None
    bandwidth: float | None

    def synchronised(self) -> float:
        """Seconds on the clock once all work is done."""
        if self.device.type == "cuda":
            torch.cuda.synchronize(self.device)
        return time.perf_counter()

    def seconds(self, work: Callable[[], object], repeat: int) -> float:
        """The median time of some work, the first go left out."""
        times = []
        for _ in range(repeat + 1):
            start = self.synchronised()
            work()
            times.append(self.synchronised() - start)
        return median(times[1:])

    def peak_gib(self) -> float | None:
        """The most memory that was taken since it was last asked."""
        if self.device.type != "cuda":
            return None
        most = torch.cuda.max_memory_allocated(self.device) / 2**30
        torch.cuda.reset_peak_memory_stats(self.device)
        return round(most, 2)


def card_of(arguments: argparse.Namespace) -> Card:
    device = torch.device(arguments.device or ("cuda" if torch.cuda.is_available() else "cpu"))
    name = torch.cuda.get_device_name(device) if device.type == "cuda" else ""
    known = next((peaks for card, peaks in CARDS.items() if card in name), (None, None))
    peak, bandwidth = arguments.peak or known[0], arguments.bandwidth or known[1]
    return Card(device, peak and peak * 1e12, bandwidth and bandwidth * 1e9)


def random_network(shape: str, card: Card, dtype: torch.dtype) -> CooperModel:
    """A network whose weights are drawn where they lie; the autoencoder stays in float32, as loading leaves it."""
    config = CooperConfig(**(TOY if shape == "toy" else {}))
    with torch.device("meta"):
        model = CooperModel(config)
    model = model.to(dtype).to_empty(device=card.device).eval()
    with torch.no_grad():
        for tensor in [*model.parameters(), *model.buffers()]:
            if tensor.is_floating_point():
                tensor.normal_(0, 0.02)
    model.vae.float()
    return model.merge()


def geometry_of(model: CooperModel) -> Geometry:
    config, last = model.config, model.config.vocab_size - 1
    return Geometry(
        last - 1, last, last - 2, last - 3, config.latent_patch_size, config.latent_side, config.latent_token_width,
        config.vit_geometry.patch_size, config.vit_side,
    )  # fmt: skip


def read(model: CooperModel, tokens: int) -> Context:
    return begin(model, geometry_of(model), [[TextSegment(tuple(range(10, 8 + min(tokens, 400))) * (tokens // 400 or 1))]])[0]


def writing(model: CooperModel, card: Card, arguments: argparse.Namespace, rows: int) -> dict[str, object]:
    """Tokens a second, and the share of bandwidth: weights of one expert and the keys and values of all rows, once a token."""
    context, layers = read(model, arguments.context), model.config.num_hidden_layers
    decoding = Decoding(model, geometry_of(model), model.config.vocab_size - 8)
    steps = 32
    decoding.join({row: Writer(context, Seeded(row), Sampling(max_tokens=10**6)) for row in range(rows)})

    def some() -> None:
        for _ in range(steps):
            list(decoding.step())

    seconds = card.seconds(some, arguments.repeat) / steps
    words = [
        weight for name, weight in model.named_parameters() if name.startswith(("layers.", "lm_head")) and ".gen." not in name
    ]
    width = model.config.num_key_value_heads * model.config.head_dim
    element = words[0].element_size()
    read_bytes = sum(weight.numel() for weight in words) * element + 2 * layers * width * element * context.kv_length
    share = None if card.bandwidth is None else round(read_bytes / seconds / card.bandwidth, 3)
    return {"rows": rows, "tokens_per_s": round(rows / seconds, 1), "share_of_bandwidth": share, "peak_gib": card.peak_gib()}


def operations(work: Callable[[], object]) -> float:
    """How many operations some work takes."""
    with FlopCounterMode(display=False) as counter:
        work()
    return float(counter.get_total_flops())


def share_of_peak(card: Card, done: float, seconds: float) -> float | None:
    return None if card.operations is None else round(done / seconds / card.operations, 3)


def drawing(model: CooperModel, card: Card, arguments: argparse.Namespace, guided: bool) -> dict[str, object]:
    """Seconds of one map of `side` pixels, pixels included, and the share of the peak."""
    side = arguments.side // (model.config.vae_geometry.downsampling * model.config.latent_patch_size)
    noise_ND = Seeded(0).normal(side * side, model.config.latent_token_width)
    scales = {"text_scale": 4.0, "image_scale": 2.0} if guided else {"text_scale": 1.0, "image_scale": 1.0}
    settings = DrawingDefaults(num_timesteps=arguments.timesteps, **scales)
    drawer = Drawer(read(model, arguments.context), (side, side), noise_ND, Context(), Context(), settings=settings)

    @torch.no_grad()
    def work() -> None:
        denoising = Denoising(model, geometry_of(model))
        denoising.join({0: drawer})
        while denoising.rows:
            list(denoising.step())
        latent = torch.zeros(1, model.config.vae_geometry.latent_channels, 2 * side, 2 * side, device=card.device)
        model.vae.decode(latent)

    seconds = card.seconds(work, arguments.repeat)
    found = {"side": arguments.side, "timesteps": arguments.timesteps, "guided": guided, "seconds": round(seconds, 4)}
    return found | {"share_of_peak": share_of_peak(card, operations(work), seconds), "peak_gib": card.peak_gib()}


def training(model: CooperModel, card: Card, arguments: argparse.Namespace) -> dict[str, object]:
    """Tokens a second of a packed step forward and backward: four rows, each a text and a map under way."""
    side = max(2, arguments.side // (2 * model.config.vae_geometry.downsampling * model.config.latent_patch_size))
    width = model.config.latent_token_width
    noised = NoisedSegment(torch.randn(side * side, width), 0.5, (side, side), torch.randn(side * side, width))
    packed = pack([Row((TextSegment(tuple(range(10, 266)), loss=True), noised))] * 4, geometry_of(model)).to(card.device)
    for name, weight in model.named_parameters():
        weight.requires_grad_("norm" in name)
    model.train()
    model.gradient_checkpointing_enable()

    def work() -> None:
        losses = model.losses(packed)
        (losses.ce_sum + losses.mse_sum).backward()
        model.zero_grad()

    seconds, tokens = card.seconds(work, arguments.repeat), sum(packed.splits.lengths)
    found = {"tokens": tokens, "tokens_per_s": round(tokens / seconds, 1)}
    return found | {"share_of_peak": share_of_peak(card, operations(work), seconds), "peak_gib": card.peak_gib()}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--shape", choices=("published", "toy"), default="published")
    parser.add_argument("--device", default="")
    parser.add_argument("--dtype", default="bfloat16")
    parser.add_argument("--rows", default="1,8")
    for name, default in (("context", 1024), ("side", 512), ("timesteps", 20), ("repeat", 5)):
        parser.add_argument(f"--{name}", type=int, default=default)
    parser.add_argument("--peak", type=float, help="TFLOPS of the card in the type of the weights")
    parser.add_argument("--bandwidth", type=float, help="GB/s of its memory")
    parser.add_argument("--compiled", action="store_true")
    parser.add_argument("--out", type=Path)
    arguments = parser.parse_args()
    card = card_of(arguments)
    model = random_network(arguments.shape, card, getattr(torch, arguments.dtype))
    weights = sum(weight.numel() * weight.element_size() for weight in model.parameters()) / 2**30
    results: dict[str, object] = {"device": str(card.device), "torch": torch.__version__, "weights_gib": round(weights, 2)}
    if arguments.compiled:
        model.trace_steps(**({"mode": "reduce-overhead"} if card.device.type == "cuda" else {}))
    with torch.no_grad():
        results["writing"] = [writing(model, card, arguments, rows) for rows in map(int, arguments.rows.split(","))]
    results["drawing"] = [drawing(model, card, arguments, guided) for guided in (False, True)]
    results["training"] = training(model, card, arguments)
    print(json.dumps(results, indent=1))
    if arguments.out:
        arguments.out.write_text(json.dumps(results, indent=1) + "\n")


if __name__ == "__main__":
    main()
