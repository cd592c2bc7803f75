"""The one table of tensor names: ours on the left, the published BAGEL/COOPER layout on the right, and the shape.

Letters of the shapes: H hidden, V vocabulary rows, Q query width, K key/value width, d head width, I MLP width, T time
waves, N numbers in a latent token, G and M rows of the latent and picture position tables, D tower width, J tower MLP
width, P numbers in a picture patch, S rows of the tower's position table.
"""

import re
from dataclasses import dataclass

import torch
from torch import Tensor

from cooper.errors import CooperError
from cooper.model.checkpoints.autoencoder_names import published_vae_name, published_vae_shape, vae_shapes
from cooper.model.config import CooperConfig
from cooper.model.latents import TIME_WIDTH
from cooper.model.vit import PICTURE_CHANNELS

EXPERTS = {"und": "", "gen": "_moe_gen"}

_WHOLE = (
    ("embed_tokens.weight", "language_model.model.embed_tokens.weight", "VH"),
    ("lm_head.weight", "language_model.lm_head.weight", "VH"),
    ("time_embedder.0.weight", "time_embedder.mlp.0.weight", "HT"),
    ("time_embedder.0.bias", "time_embedder.mlp.0.bias", "H"),
    ("time_embedder.2.weight", "time_embedder.mlp.2.weight", "HH"),
    ("time_embedder.2.bias", "time_embedder.mlp.2.bias", "H"),
    ("latent_in.weight", "vae2llm.weight", "HN"),
    ("latent_in.bias", "vae2llm.bias", "H"),
    ("latent_out.weight", "llm2vae.weight", "NH"),
    ("latent_out.bias", "llm2vae.bias", "N"),
    ("latent_pos.table", "latent_pos_embed.pos_embed", "GH"),
    ("vit_pos.table", "vit_pos_embed.pos_embed", "MH"),
    ("connector.fc1.weight", "connector.fc1.weight", "HD"),
    ("connector.fc1.bias", "connector.fc1.bias", "H"),
    ("connector.fc2.weight", "connector.fc2.weight", "HH"),
    ("connector.fc2.bias", "connector.fc2.bias", "H"),
    (
        "vit.patch_embedding.weight",
        "vit_model.vision_model.embeddings.patch_embedding.weight",
        "DP",
    ),
    (
        "vit.patch_embedding.bias",
        "vit_model.vision_model.embeddings.patch_embedding.bias",
        "D",
    ),
    (
        "vit.position_embedding.weight",
        "vit_model.vision_model.embeddings.position_embedding.weight",
        "SD",
    ),
    ("vit.post_layernorm.weight", "vit_model.vision_model.post_layernorm.weight", "D"),
    ("vit.post_layernorm.bias", "vit_model.vision_model.post_layernorm.bias", "D"),
)
_PER_EXPERT = (("norm.{expert}.weight", "language_model.model.norm{suffix}.weight", "H"),)
_PER_EXPERT_AND_LAYER = (
    ("attention.q.{expert}.weight", "self_attn.q_proj{suffix}.weight", "QH"),
    ("attention.q.{expert}.bias", "self_attn.q_proj{suffix}.bias", "Q"),
    ("attention.k.{expert}.weight", "self_attn.k_proj{suffix}.weight", "KH"),
    ("attention.k.{expert}.bias", "self_attn.k_proj{suffix}.bias", "K"),
    ("attention.v.{expert}.weight", "self_attn.v_proj{suffix}.weight", "KH"),
    ("attention.v.{expert}.bias", "self_attn.v_proj{suffix}.bias", "K"),
    ("attention.o.{expert}.weight", "self_attn.o_proj{suffix}.weight", "HQ"),
    ("attention.q_norm.{expert}.weight", "self_attn.q_norm{suffix}.weight", "d"),
    ("attention.k_norm.{expert}.weight", "self_attn.k_norm{suffix}.weight", "d"),
    ("mlp.{expert}.gate_proj.weight", "mlp{suffix}.gate_proj.weight", "IH"),
    ("mlp.{expert}.up_proj.weight", "mlp{suffix}.up_proj.weight", "IH"),
    ("mlp.{expert}.down_proj.weight", "mlp{suffix}.down_proj.weight", "HI"),
    ("input_norm.{expert}.weight", "input_layernorm{suffix}.weight", "H"),
    (
        "post_attention_norm.{expert}.weight",
        "post_attention_layernorm{suffix}.weight",
        "H",
    ),
)
_TOWER_LAYER = tuple(
    (f"{part}.{kind}", f"{part}.{kind}", shape if kind == "weight" else shape[0])
    for part, shape in (
        ("self_attn.q_proj", "DD"),
        ("self_attn.k_proj", "DD"),
        ("self_attn.v_proj", "DD"),
        ("self_attn.out_proj", "DD"),
        ("layer_norm1", "D"),
        ("layer_norm2", "D"),
        ("mlp.fc1", "JD"),
        ("mlp.fc2", "DJ"),
    )
    for kind in ("weight", "bias")
)
CONV_PATCHES = "vit_model.vision_model.embeddings.patch_embedding.weight"
VAE_PREFIX = "vae."


@dataclass(frozen=True)
class Entry:
    """One tensor: our name and shape, and the published name and shape."""

    ours: str
    published: str
    shape: torch.Size
    published_shape: torch.Size


def network_entries(config: CooperConfig) -> tuple[Entry, ...]:
    """Every tensor of ``ema.safetensors`` / ``model.safetensors``: all but the autoencoder."""
    sizes = _sizes(config)

    def entry(ours: str, published: str, letters: str) -> Entry:
        shape = torch.Size(sizes[letter] for letter in letters)
        return Entry(ours, published, shape, shape)

    rows = [entry(*row) for row in _WHOLE]
    for expert, suffix in EXPERTS.items():
        rows += [
            entry(ours.format(expert=expert), published.format(suffix=suffix), letters)
            for ours, published, letters in _PER_EXPERT
        ]
        rows += [
            entry(
                f"layers.{layer}.{ours.format(expert=expert)}",
                f"language_model.model.layers.{layer}.{published.format(suffix=suffix)}",
                letters,
            )
            for layer in range(config.num_hidden_layers)
            for ours, published, letters in _PER_EXPERT_AND_LAYER
        ]
    rows += [
        entry(
            f"vit.layers.{layer}.{ours}",
            f"vit_model.vision_model.encoder.layers.{layer}.{published}",
            letters,
        )
        for layer in range(config.vit_geometry.num_layers)
        for ours, published, letters in _TOWER_LAYER
    ]
    return tuple(rows)


def vae_entries(config: CooperConfig) -> tuple[Entry, ...]:
    """Every tensor of ``ae.safetensors``; ours carry the prefix ``vae.``."""
    levels = len(config.vae_geometry.channel_multipliers)
    rows = []
    for name, shape in vae_shapes(config.vae_geometry).items():
        published = published_vae_name(name, levels)
        rows.append(
            Entry(
                VAE_PREFIX + name,
                published,
                shape,
                published_vae_shape(published, shape),
            )
        )
    return tuple(rows)


def _sizes(config: CooperConfig) -> dict[str, int]:
    vit = config.vit_geometry
    return {
        "H": config.hidden_size,
        "V": config.vocab_size,
        "Q": config.num_attention_heads * config.head_dim,
        "K": config.num_key_value_heads * config.head_dim,
        "d": config.head_dim,
        "I": config.intermediate_size,
        "T": TIME_WIDTH,
        "N": config.latent_token_width,
        "G": config.latent_side**2,
        "M": config.vit_side**2,
        "D": vit.hidden_size,
        "J": vit.intermediate_size,
        "P": PICTURE_CHANNELS * vit.patch_size**2,
        "S": vit.position_side**2,
    }


def needed_for_drawing(published: str) -> bool:
    """Is this a tensor that only a model that draws has?"""
    return bool(re.search(r"_moe_gen\.", published)) or published.startswith(
        ("vae2llm.", "llm2vae.", "time_embedder.", "latent_pos_embed.")
    )


def acceptable(entry: Entry, stored: torch.Size) -> bool:
    """Does a stored shape fit? A raw SigLIP patch embedding, a convolution (D, 3, p, p), fits too."""
    if stored == entry.published_shape:
        return True
    is_convolution = entry.published == CONV_PATCHES and len(stored) == 4 and stored[1] == PICTURE_CHANNELS
    return is_convolution and stored[2] == stored[3] and torch.Size((stored[0], stored[1:].numel())) == entry.shape


def into_ours(entry: Entry, stored: Tensor) -> Tensor:
    """A published tensor in our shape, values untouched; channels move last in a convolutional patch embedding."""
    if not acceptable(entry, stored.shape):
        raise CooperError(
            f"tensor {entry.published} has shape {list(stored.shape)}, the configuration asks for {list(entry.published_shape)}"
        )
    if stored.shape != entry.published_shape:
        stored = stored.permute(0, 2, 3, 1)
    return stored.reshape(entry.shape)
