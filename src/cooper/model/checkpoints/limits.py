"""What the published code has no place for: it holds these settings as constants, so a network of others needs other code."""

import json
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from cooper.files.rows import read_object
from cooper.model.checkpoints.opening import PROMPTS_FILE, Checkpoint
from cooper.model.config import CooperConfig, DrawingDefaults, Transforms, VaeGeometry, default_modalities
from cooper.sequence.layout import Views
from cooper.sequence.processor import Marks

LATENT_PATCH = 2
ANSWER_PREFIX = "<answer>"  # what perception mode puts before the answer
_QWEN2_SPLIT = r"(?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\r\n\p{L}\p{N}]?\p{L}+|\p{N}| ?[^\s\p{L}\p{N}]+[\r\n]*|\s*[\r\n]+|\s+(?!\S)|\s+"


def unplaced_settings(checkpoint: Checkpoint) -> tuple[str, ...]:
    """One line for each setting of a checkpoint that the published code would take otherwise, with both values."""
    return (*_of_config(checkpoint.config), *_of_companions(checkpoint.companions))


def _of_config(config: CooperConfig) -> Iterator[str]:
    if config.latent_patch_size != LATENT_PATCH:
        yield f"latent_patch_size is {config.latent_patch_size}, published {LATENT_PATCH}"
    yield from _unlike("autoencoder", config.vae_geometry.__dict__, VaeGeometry().__dict__)
    yield from _unlike("transforms", config.picture_transforms.__dict__, Transforms().__dict__)
    yield from _unlike("views", config.view_rules.__dict__, Views().__dict__)
    yield from _unlike("special_tokens", config.special_tokens, Marks().__dict__)
    yield from _unlike("drawing", config.drawing_defaults.__dict__, DrawingDefaults().__dict__)
    yield from _unlike("modalities", config.modalities, default_modalities())


def _unlike(group: str, values: Mapping[str, Any], published: Mapping[str, Any]) -> Iterator[str]:
    for name in sorted({*values, *published}):
        ours, theirs = (json.dumps(settings.get(name), default=list) for settings in (values, published))
        if ours != theirs:
            yield f"{group}.{name} is {ours if len(ours) < 60 else f'{ours[:57]}...'}, published {theirs}"


def _of_companions(companions: tuple[Path, ...]) -> Iterator[str]:
    files = {path.name: path for path in companions}
    if PROMPTS_FILE in files:
        prompts = read_object(files[PROMPTS_FILE])
        if prompts.get("answer_prefix") != ANSWER_PREFIX:
            yield f"answer_prefix is {json.dumps(prompts.get('answer_prefix', ''))}, published {json.dumps(ANSWER_PREFIX)}"
        yield "the prompts (system texts, requests for maps, reflection) are constants of the published code"
    if "tokenizer.json" not in files:
        return
    tokenizer = read_object(files["tokenizer.json"])
    if tokenizer.get("model", {}).get("type") != "BPE":
        yield f"the tokenizer is a {tokenizer.get('model', {}).get('type')}, published a byte-level BPE (Qwen2)"
    if _QWEN2_SPLIT not in _patterns(tokenizer.get("pre_tokenizer") or {}):
        yield "the pre-tokenizer cuts words otherwise than the published Qwen2 tokenizer, so texts become other tokens"


def _patterns(pre_tokenizer: Mapping[str, Any]) -> list[str]:
    parts = pre_tokenizer.get("pretokenizers", [pre_tokenizer])
    return [part["pattern"].get("Regex", "") for part in parts if isinstance(part.get("pattern"), dict)]


def slow_tokenizer_files(tokenizer_json: Path) -> dict[str, str]:
    """`vocab.json` and `merges.txt` of a BPE tokenizer, which the published code reads in place of `tokenizer.json`."""
    model = read_object(tokenizer_json).get("model", {})
    if model.get("type") != "BPE":
        return {}
    merges = (pair if isinstance(pair, str) else " ".join(pair) for pair in model.get("merges", []))
    return {
        "vocab.json": json.dumps(model.get("vocab", {}), ensure_ascii=False),
        "merges.txt": "\n".join(["#version: 0.2", *merges]) + "\n",
    }
