"""Reading the published BAGEL/COOPER layout: configuration files, table sizes from the tensors, and the tensors."""

import math
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from huggingface_hub.errors import StrictDataclassError

from cooper.errors import CooperError
from cooper.files.rows import read_object
from cooper.model.checkpoints.config_check import check_config
from cooper.model.checkpoints.names import CONV_PATCHES
from cooper.model.checkpoints.tensor_files import (
    Stored,
    dominant_dtype,
    has_weights,
    read_header,
    read_headers,
)
from cooper.model.config import CooperConfig, Transforms, VaeGeometry

STEMS = ("ema", "model")
VAE_FILE = "ae.safetensors"
OWN_SECTION = "cooper"  # our part of an exported config.json: what the published layout has no place for
PUBLISHED_VIEWS: dict[str, Any] = {
    "input_direct_mode": ["vit"]
}  # answers without reasoning read no latents; else our defaults are those published
OWN_FIELDS = ("transforms", "views", "modalities", "drawing", "special_tokens", "answers_in_words", "refusal", "trained_on")


@dataclass(frozen=True)
class Places:
    """Where files of one checkpoint may lie: beside the weights, else in the base directory."""

    weights: Path
    base: Path | None = None

    def find(self, name: str) -> Path | None:
        """The first place that holds a file of this name."""
        for directory in (self.weights, self.base):
            if directory is not None and (directory / name).is_file():
                return directory / name
        return None

    def need(self, name: str) -> Path:
        """As `find`. Raises CooperError naming the directories if no place holds the file."""
        path = self.find(name)
        if path is None:
            if self.base is not None:
                raise CooperError(f"neither {self.weights} nor {self.base} holds {name}")
            raise CooperError(f"{self.weights} holds no {name}; name the base BAGEL directory, which does")
        return path

    def network_headers(self) -> dict[str, Stored]:
        """Headers of the network's weights, ``ema`` before ``model``. Raises CooperError if there are none."""
        for stem in STEMS:
            if has_weights(self.weights, stem):
                return read_headers(self.weights, stem)
        raise CooperError(f"{self.weights} holds no weights (ema.safetensors or model.safetensors)")

    def vae_headers(self) -> dict[str, Stored]:
        return read_header(self.need(VAE_FILE))


def read_published_config(weights_dir: Path, base_dir: Path | None = None) -> CooperConfig:
    """The configuration of a published checkpoint.

    Table sizes come from the tensors, never from ``config.json``. Raises CooperError naming the file, field or tensor.
    """
    places = Places(weights_dir, base_dir)
    return config_of(places, places.network_headers())


def config_of(places: Places, headers: Mapping[str, Stored]) -> CooperConfig:
    """The configuration that the JSON files and the headers of the network's weights give together. CooperError names the
    file, field or tensor that makes none."""
    try:
        config = _config_of(places, headers)
    except CooperError:
        raise
    except (TypeError, ValueError, AttributeError, KeyError, ArithmeticError, StrictDataclassError) as error:
        where = places.find("config.json") or places.weights
        raise CooperError(f"{where} makes no configuration: {' '.join(str(error).split())}") from None
    return check_config(config, places.weights)


def _config_of(places: Places, headers: Mapping[str, Stored]) -> CooperConfig:
    llm_path, vit_path = places.need("llm_config.json"), places.need("vit_config.json")
    llm, vit = read_object(llm_path, lenient=True), read_object(vit_path, lenient=True)
    extra = _merged_config(places)
    vae = _vae_geometry(extra)
    own = extra.get(OWN_SECTION, {})
    heads = _whole(llm, "num_attention_heads", llm_path)
    return CooperConfig(
        hidden_size=_whole(llm, "hidden_size", llm_path),
        num_hidden_layers=_whole(llm, "num_hidden_layers", llm_path),
        num_attention_heads=heads,
        num_key_value_heads=_whole(llm, "num_key_value_heads", llm_path, heads),
        intermediate_size=_whole(llm, "intermediate_size", llm_path),
        vocab_size=_whole(llm, "vocab_size", llm_path),
        rope_theta=_number(llm, "rope_theta", llm_path, 1e6),
        rms_norm_eps=_number(llm, "rms_norm_eps", llm_path, 1e-6),
        latent_patch_size=_latent_patch(headers, vae),
        latent_side=_side(headers, "latent_pos_embed.pos_embed"),
        vit_side=_side(headers, "vit_pos_embed.pos_embed"),
        vit={
            "hidden_size": _whole(vit, "hidden_size", vit_path),
            "num_layers": _whole(vit, "num_hidden_layers", vit_path) - 1,  # the last one is never run nor stored
            "num_attention_heads": _whole(vit, "num_attention_heads", vit_path),
            "intermediate_size": _whole(vit, "intermediate_size", vit_path),
            "patch_size": _whole(vit, "patch_size", vit_path, 14),
            "position_side": _side(headers, CONV_PATCHES.replace("patch_embedding", "position_embedding")),
            "layer_norm_eps": _number(vit, "layer_norm_eps", vit_path, 1e-6),
        },
        vae=_as_dict(vae),
        **(_transforms(extra) | {name: own[name] for name in OWN_FIELDS if name in own}),
        dtype=dominant_dtype(headers.values()),
    )


def _merged_config(places: Places) -> dict[str, Any]:
    merged: dict[str, Any] = {}
    for directory in (places.base, places.weights):
        if directory is not None and (directory / "config.json").is_file():
            merged |= read_object(directory / "config.json", lenient=True)
    return merged


def _vae_geometry(extra: Mapping[str, Any]) -> VaeGeometry:
    stored = extra.get("vae_config")
    if stored is None:
        return VaeGeometry()
    defaults = VaeGeometry()
    return VaeGeometry(
        base_channels=stored.get("ch", defaults.base_channels),
        channel_multipliers=stored.get("ch_mult", defaults.channel_multipliers),
        blocks_per_level=stored.get("num_res_blocks", defaults.blocks_per_level),
        latent_channels=stored.get("z_channels", defaults.latent_channels),
        scale=stored.get("scale_factor", defaults.scale),
        shift=stored.get("shift_factor", defaults.shift),
        norm_groups=stored.get("norm_groups", defaults.norm_groups),
    )


def _as_dict(vae: VaeGeometry) -> dict[str, Any]:
    return {name: vae.__dict__[name] for name in VaeGeometry.__dataclass_fields__}


def _transforms(extra: Mapping[str, Any]) -> dict[str, Any]:
    parity = extra.get("_parity", {})
    defaults = Transforms()
    return {
        "transforms": {
            "vae": parity.get("vae_transform", defaults.vae),
            "vit": parity.get("vit_transform", defaults.vit),
        },
        "views": PUBLISHED_VIEWS,
    }


def _latent_patch(headers: Mapping[str, Stored], vae: VaeGeometry) -> int:
    """p from the p * p * z rows of the velocity head."""
    stored = _need_tensor(headers, "llm2vae.weight")
    patch = math.isqrt(stored.shape[0] // vae.latent_channels)
    if patch * patch * vae.latent_channels != stored.shape[0]:
        raise CooperError(
            f"{stored.file}: llm2vae.weight has {stored.shape[0]} rows, no square of {vae.latent_channels} channels"
        )
    return patch


def _side(headers: Mapping[str, Stored], name: str) -> int:
    stored = _need_tensor(headers, name)
    side = math.isqrt(stored.shape[0])
    if side * side != stored.shape[0]:
        raise CooperError(f"{stored.file}: {name} has {stored.shape[0]} rows, which is no square")
    return side


def _need_tensor(headers: Mapping[str, Stored], name: str) -> Stored:
    if name not in headers:
        raise CooperError(f"{_file_of(headers)}: tensor {name} is missing")
    if not headers[name].shape:
        raise CooperError(f"{headers[name].file}: tensor {name} is a single number, not a table")
    return headers[name]


def _file_of(headers: Mapping[str, Stored]) -> str:
    return str(next(iter(headers.values())).file) if headers else "the weights"


def _whole(values: Mapping[str, Any], name: str, path: Path, default: int | None = None) -> int:
    value = values.get(name, default)
    if not isinstance(value, int) or isinstance(value, bool) or value < 1:
        raise CooperError(f"{path}: {name} is {value!r}; it must be a whole number above 0")
    return value


def _number(values: Mapping[str, Any], name: str, path: Path, default: float) -> float:
    value = values.get(name, default)
    if not isinstance(value, int | float) or isinstance(value, bool) or not value > 0:
        raise CooperError(f"{path}: {name} is {value!r}; it must be a number above 0")
    return float(value)


def dtype_name(dtype: torch.dtype) -> str:
    """``torch.bfloat16`` -> ``bfloat16``."""
    return str(dtype).removeprefix("torch.")
