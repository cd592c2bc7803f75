"""What a server does at most: for one request, for all at once, and with what it keeps."""

from dataclasses import dataclass
from typing import Annotated

from cooper.files.values import Above, AtLeast, check_fields
from cooper.reasoning.options import Options
from cooper.reasoning.session import Parts
from cooper.trace.steps import Question

MIB = 2**20
Whole = Annotated[int, AtLeast(1)]
Positive = Annotated[float, Above(0)]


@dataclass(frozen=True, kw_only=True)
class Limits:
    """`rows`: requests that the engine works on at once; `queue`: those that wait behind them. `memory`: bytes of keys and
    values of all rows, 0 for half of what is free at the start. `seconds`: from the request to its end, waiting included.
    `keep_seconds` and `keep_bytes`: of traces."""

    rows: Whole = 16
    queue: Annotated[int, AtLeast(0)] = 64
    memory: Annotated[int, AtLeast(0)] = 0
    pictures: Whole = 8
    pixels: Whole = 24_000_000
    tokens: Whole = 1024
    turns: Whole = 6
    timesteps: Whole = 100
    seconds: Positive = 300.0
    body: Whole = 48 * MIB
    keep_seconds: Positive = 3600.0
    keep_bytes: Whole = 512 * MIB

    def __post_init__(self) -> None:
        check_fields(self)


def bytes_per_token(parts: Parts) -> int:
    """Keys and values of one token in all layers."""
    config = parts.model.config
    width = config.num_key_value_heads * config.head_dim
    return 2 * config.num_hidden_layers * width * next(parts.model.layers.parameters()).element_size()


def tokens_needed(parts: Parts, question: Question, options: Options) -> int:
    """The most tokens that a row may come to hold, guidance contexts included: pictures in all views, texts, turns, maps."""
    processor = parts.layout.processor
    words = sum(len(processor.encode_plain(part)) + 2 for part in question.parts if isinstance(part, str))
    pictures = [_picture_tokens(parts, *image.size) for image in question.images]
    maps = (options.max_turns if options.mode == "interleaved" else len(options.maps)) * max(pictures, default=0)
    alone = words + sum(pictures) + options.max_turns * (options.sampling.max_tokens + 64) + maps
    return alone * (1 + options.guided + options.guided_by_image)


def _picture_tokens(parts: Parts, width: int, height: int) -> int:
    """Tokens of both views of a picture, with their marks."""
    processor, config = parts.layout.processor, parts.model.config
    drawn = processor.vae.size(width, height)
    cell = config.vae_geometry.downsampling * config.latent_patch_size
    seen, patch = processor.vit.size(drawn.width, drawn.height), config.vit_geometry.patch_size
    return drawn.width * drawn.height // cell**2 + seen.width * seen.height // patch**2 + 4
