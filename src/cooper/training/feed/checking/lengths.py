"""How many tokens data have: in a checkpoint, of which no weights are read, or about as many as in the published 7B network."""

from collections.abc import Mapping, Sequence
from pathlib import Path

from cooper.files.hub import resolve
from cooper.model.checkpoints.opening import is_published_layout
from cooper.model.checkpoints.published import read_published_config
from cooper.model.config import CooperConfig
from cooper.sequence.layout import View
from cooper.trace.prompts import DEFAULT, FILE_NAME, Prompts
from cooper.training.traces import RowLengths

LONGEST = 10_240  # tokens of a row in the published training
BYTES = 4  # of English text in a token, about
BOTH: tuple[View, ...] = ("vae", "vit")
EVERY_VIEW: Mapping[str, Sequence[View]] = dict.fromkeys(("input", "input_text_mode", "input_direct_mode", "map"), BOTH)


def published_lengths() -> RowLengths:
    """Of the published training: pictures as it reads them, maps too, each as latents and as patches; words are estimated."""
    return RowLengths(CooperConfig(views=EVERY_VIEW), DEFAULT, lambda text: -(-len(text.encode("utf-8", "replace")) // BYTES))


def checkpoint_lengths(model: str, base: Path | None = None) -> RowLengths:
    """Of a checkpoint of either layout: `nano`, a folder or a hub id; `base` as for `Cooper.from_pretrained`. CooperError
    names the file that is missing or at fault."""
    folder = resolve(model)
    published = is_published_layout(folder, base)
    config = read_published_config(folder, base) if published else CooperConfig.from_pretrained(folder)
    places = [place for place in (folder, base) if place is not None]
    tokenizer = next((place for place in places if (place / "tokenizer.json").is_file()), folder)
    prompts = next((Prompts.from_json(place / FILE_NAME) for place in places if (place / FILE_NAME).is_file()), DEFAULT)
    return RowLengths.in_words(config, prompts, config.processor(tokenizer))


def map_tokens(lengths: RowLengths, size: tuple[int, int], maps: set[str]) -> int:
    """Tokens of a row of stage 1: the picture of (width, height), and each map with the request for it."""
    requests = lengths.prompts.requests
    words = sum(lengths.text(requests[name]) for name in maps if name in requests)
    views = lengths.config.view_rules.of_input("interleaved")
    return lengths.picture(size, views) + words + len(maps) * lengths.picture(size, ("vae",))
