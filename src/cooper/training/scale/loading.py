"""Checkpoints that are loaded to be trained: whole, quantised, or without weights, which sharding reads part by part."""

from pathlib import Path

import torch
from torch import nn

from cooper.errors import CooperError
from cooper.evaluation.runs.processes import Share
from cooper.files.hub import resolve
from cooper.model.checkpoints.loading import ADAPTER_CONFIG, is_quantised
from cooper.model.checkpoints.names import VAE_PREFIX
from cooper.model.checkpoints.opening import Checkpoint, open_checkpoint
from cooper.model.checkpoints.quantising import bits_config, settings_of
from cooper.model.cooper import CooperModel
from cooper.reasoning.session import companions_of
from cooper.training.bundles import Bundle, load_bundle
from cooper.training.scale.recipe import ScaledRecipe


def load_scaled(recipe: ScaledRecipe, init: Path, base: Path | None) -> Bundle:
    """The checkpoint that a run begins with, as its recipe asks. CooperError as `load_bundle`, or a checkpoint that cannot be
    quantised or sharded."""
    sharded = recipe.sharding is not None and recipe.sharding.fsdp and Share.here().count > 1
    if recipe.quantise is None and (not sharded or getattr(recipe, "vision", None) is not None):
        return load_bundle(init, base)
    directory, other = resolve(str(init)), None if base is None else resolve(str(base))
    for found, what in (((directory / ADAPTER_CONFIG).is_file(), "an adapter"), (is_quantised(directory), "quantised already")):
        if found:
            raise CooperError(f"init {init} is {what}; quantise and sharding need a plain checkpoint (see `cooper merge`)")
    checkpoint = open_checkpoint(directory, other)
    model = _empty(checkpoint) if recipe.quantise is None else _quantised(recipe, directory, other)
    return Bundle(model, *companions_of(model, directory, other), checkpoint.state)


def _empty(checkpoint: Checkpoint) -> CooperModel:
    """A float32 network without memory, but for its autoencoder, which encodes pictures before anything is sharded."""
    with torch.device("meta"):
        model = CooperModel(checkpoint.config)
    nn.Module.to(model, torch.float32)
    model.vae.to_empty(device="cpu")
    own = {name.removeprefix(VAE_PREFIX): value for name, value in checkpoint.state.items() if name.startswith(VAE_PREFIX)}
    model.vae.load_state_dict(own)
    return model


def _quantised(recipe: ScaledRecipe, directory: Path, base: Path | None) -> CooperModel:
    """The linear layers of the decoder in 4 or 8 bits by bitsandbytes, the rest in float32."""
    compute = torch.float32 if recipe.optimiser.precision == "float32" else torch.bfloat16
    settings = bits_config(load_in_8bit=True) if recipe.quantise == "8bit" else settings_of("4bit", compute)
    return CooperModel.from_pretrained(directory, base=base, dtype=torch.float32, quantization_config=settings)
