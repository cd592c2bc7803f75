"""Tiny random networks and random interleaved rows for the property tests."""

import json
from dataclasses import dataclass

import numpy as np
import torch
from hypothesis import strategies as st
from PIL import Image
from tokenizers import Tokenizer, decoders, models, pre_tokenizers

from cooper.model.config import CooperConfig
from cooper.model.cooper import CooperModel
from cooper.sequence.processor import Processor
from cooper.sequence.segments import LatentSegment, NoisedSegment, Segment, TextSegment, VitSegment

MARKS = ("<|im_start|>", "<|im_end|>", "<|vision_start|>", "<|vision_end|>")


def byte_tokenizer() -> str:
    """A byte-level tokenizer without merges: 256 bytes and the four marks."""
    vocabulary = {token: number for number, token in enumerate(sorted(pre_tokenizers.ByteLevel.alphabet()))}
    tokenizer = Tokenizer(models.BPE(vocabulary, []))
    tokenizer.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    tokenizer.decoder = decoders.ByteLevel()
    tokenizer.add_special_tokens(list(MARKS))
    return tokenizer.to_str()


def tiny_config(**changes: object) -> CooperConfig:
    """A network of about 100,000 parameters; pictures of 32 px are 4 latent tokens and 4 patches."""
    settings: dict = {
        "hidden_size": 32,
        "num_hidden_layers": 2,
        "num_attention_heads": 4,
        "num_key_value_heads": 2,
        "intermediate_size": 48,
        "vocab_size": 264,
        "latent_side": 4,
        "vit_side": 4,
        "vit": {
            "hidden_size": 16,
            "num_layers": 1,
            "num_attention_heads": 2,
            "intermediate_size": 32,
            "position_side": 4,
        },
        "vae": {
            "base_channels": 8,
            "channel_multipliers": (1, 1, 1, 1),
            "blocks_per_level": 1,
            "latent_channels": 4,
            "norm_groups": 4,
        },
        "transforms": {"vae": (32, 32, 16), "vit": (28, 28, 14)},
        "drawing": {"num_timesteps": 4, "text_scale": 1.0, "image_scale": 1.0},
        "modalities": {
            "depth": {"near": 0.0, "far": 8.0, "metric": True},
            "segmentation": {"codec": "colours", "names": []},
        },
    }
    return CooperConfig(**(settings | changes))


def tiny_model(seed: int = 0, **changes: object) -> CooperModel:
    """Random weights, large enough that every token matters."""
    torch.manual_seed(seed)
    model = CooperModel(tiny_config(**changes)).eval()
    with torch.no_grad():
        for parameter in model.parameters():
            parameter.normal_(0, 0.2) if parameter.dim() > 1 else parameter.add_(torch.randn_like(parameter) * 0.1)
    return model


def tiny_processor(model: CooperModel, directory) -> Processor:
    (directory / "tokenizer.json").write_text(byte_tokenizer())
    (directory / "tokenizer_config.json").write_text(json.dumps({"tokenizer_class": "PreTrainedTokenizerFast"}))
    return model.config.processor(directory)


@dataclass(frozen=True)
class Shape:
    """What a random segment is: kind, size and seed."""

    kind: str
    size: int
    seed: int


def shapes(kinds: tuple[str, ...] = ("text", "vit", "vae", "noised")) -> st.SearchStrategy[Shape]:
    return st.builds(Shape, st.sampled_from(kinds), st.integers(1, 4), st.integers(0, 10_000))


def segment_of(shape: Shape) -> Segment:
    """A random segment with deterministic contents."""
    generator = torch.Generator().manual_seed(shape.seed)
    height, width = 1 + shape.size % 2, 1 + shape.size // 3
    if shape.kind == "text":
        ids = torch.randint(0, 256, (shape.size,), generator=generator)
        return TextSegment(tuple(ids.tolist()), closed=shape.seed % 3 > 0, loss=True)
    if shape.kind == "vit":
        return VitSegment(torch.randn(3, 14 * height, 14 * width, generator=generator))
    if shape.kind == "vae":
        return LatentSegment(torch.randn(4, 2 * height, 2 * width, generator=generator))
    tokens = torch.randn(height * width, 16, generator=generator)
    return NoisedSegment(tokens, 0.5, (height, width), torch.randn(height * width, 16, generator=generator))


def picture(seed: int = 0, width: int = 32, height: int = 32) -> Image.Image:
    pixels = np.random.default_rng(seed).integers(0, 256, (height, width, 3), dtype=np.uint8)
    return Image.fromarray(pixels)
