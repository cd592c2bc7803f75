"""Writing the published BAGEL/COOPER layout."""

import json
import shutil
from pathlib import Path
from typing import Any

from transformers import PreTrainedModel

from cooper.errors import CooperError
from cooper.files.rows import write_whole
from cooper.model.checkpoints.limits import slow_tokenizer_files
from cooper.model.checkpoints.names import network_entries, vae_entries
from cooper.model.checkpoints.opening import Checkpoint, open_checkpoint, stored_dtype
from cooper.model.checkpoints.published import OWN_FIELDS, OWN_SECTION, dtype_name
from cooper.model.checkpoints.tensor_files import is_finite, write_tensors
from cooper.model.config import CooperConfig

MAX_SHARD_BYTES = 5_000_000_000


def checkpoint_of(model: PreTrainedModel, companions: tuple[Path, ...] = ()) -> Checkpoint:
    """A model in memory as a checkpoint, with the tokenizer files and prompts that go with it."""
    if not isinstance(model.config, CooperConfig):
        raise CooperError(f"{type(model).__name__} is no cooper model and cannot be exported")
    return Checkpoint(model.config, model.state_dict(), companions)


def export(
    source: Checkpoint | PreTrainedModel | Path,
    out_dir: Path,
    max_shard_bytes: int = MAX_SHARD_BYTES,
) -> tuple[Path, ...]:
    """Write a model as the published layout into a new or empty directory; values and types stay as they are.

    ``ema.safetensors`` is split into shards with an index when larger than ``max_shard_bytes``. Returns the weight
    files. Raises CooperError if the directory is not empty or cannot be written.
    """
    checkpoint = _checkpoint(source)
    config, state = checkpoint.config, checkpoint.state
    for entry in (*network_entries(config), *vae_entries(config)):
        if not is_finite(state[entry.ours]):
            raise CooperError(f"tensor {entry.ours} holds numbers that are not finite, so the model is not exported")
    make_empty(out_dir)
    written: tuple[Path, ...] = ()
    for stem, entries in (
        ("ema", network_entries(config)),
        ("ae", vae_entries(config)),
    ):
        limit = max_shard_bytes if stem == "ema" else MAX_SHARD_BYTES
        tensors = {entry.published: state[entry.ours].reshape(entry.published_shape) for entry in entries}
        written += write_tensors(tensors, out_dir, stem, limit)
    for name, values in (
        ("llm_config.json", _llm_config(checkpoint)),
        ("vit_config.json", _vit_config(config)),
        ("config.json", _config(config)),
    ):
        write_whole(out_dir / name, json.dumps(values, indent=2, sort_keys=True) + "\n")
    for path in checkpoint.companions:
        try:
            shutil.copyfile(path, out_dir / path.name)
        except OSError as error:
            raise CooperError(f"{out_dir / path.name} could not be written: {error}") from None
    _write_slow_tokenizer(checkpoint, out_dir)
    return written


def _write_slow_tokenizer(checkpoint: Checkpoint, out_dir: Path) -> None:
    there = {path.name: path for path in checkpoint.companions}
    if "tokenizer.json" not in there:
        return
    for name, text in slow_tokenizer_files(there["tokenizer.json"]).items():
        if name not in there:
            write_whole(out_dir / name, text)


def _checkpoint(source: Checkpoint | PreTrainedModel | Path) -> Checkpoint:
    if isinstance(source, Checkpoint):
        return source
    return open_checkpoint(source) if isinstance(source, Path) else checkpoint_of(source)


def make_empty(directory: Path) -> None:
    """A new folder, or one that holds nothing. CooperError: it holds something or cannot be made."""
    try:
        directory.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise CooperError(f"{directory} cannot be made: {error}") from None
    if any(directory.iterdir()):
        raise CooperError(f"{directory} is not empty; name a new directory to write into")


def _llm_config(checkpoint: Checkpoint) -> dict[str, Any]:
    config = checkpoint.config
    return {
        "architectures": ["Qwen2ForCausalLM"],
        "model_type": "qwen2",
        "hidden_act": "silu",
        "hidden_size": config.hidden_size,
        "num_hidden_layers": config.num_hidden_layers,
        "num_attention_heads": config.num_attention_heads,
        "num_key_value_heads": config.num_key_value_heads,
        "intermediate_size": config.intermediate_size,
        "vocab_size": config.vocab_size,
        "rope_theta": config.rope_theta,
        "rms_norm_eps": config.rms_norm_eps,
        "tie_word_embeddings": False,
        "qk_norm": True,
        "layer_module": "Qwen2MoTDecoderLayer",
        "freeze_und": False,
        "is_causal": True,
        "torch_dtype": dtype_name(stored_dtype(checkpoint)),
    }


def _vit_config(config: CooperConfig) -> dict[str, Any]:
    vit = config.vit_geometry
    return {
        "model_type": "siglip_vision_model",
        "hidden_size": vit.hidden_size,
        "image_size": vit.position_side * vit.patch_size,
        "intermediate_size": vit.intermediate_size,
        "num_attention_heads": vit.num_attention_heads,
        "num_hidden_layers": vit.num_layers + 1,  # readers build one fewer
        "patch_size": vit.patch_size,
        "layer_norm_eps": vit.layer_norm_eps,
    }


def _config(config: CooperConfig) -> dict[str, Any]:
    vae, values = config.vae_geometry, config.to_dict()
    return {
        "architectures": ["BagelForConditionalGeneration"],
        "model_type": "bagel",
        "visual_gen": True,
        "visual_und": True,
        "connector_act": "gelu_pytorch_tanh",
        "interpolate_pos": False,
        "latent_patch_size": config.latent_patch_size,
        "max_latent_size": config.latent_side,
        "vit_max_num_patch_per_side": config.vit_side,
        "vae_config": {
            "ch": vae.base_channels,
            "ch_mult": list(vae.channel_multipliers),
            "num_res_blocks": vae.blocks_per_level,
            "z_channels": vae.latent_channels,
            "scale_factor": vae.scale,
            "shift_factor": vae.shift,
            "norm_groups": vae.norm_groups,
            "downsample": vae.downsampling,
            "in_channels": 3,
            "out_ch": 3,
        },
        OWN_SECTION: {name: values[name] for name in OWN_FIELDS},
    }
