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
from cooper.model.config import CooperConfig, VaeGeometry
from cooper.model.latents import TIME_WIDTH
from cooper.model.vae import Autoencoder
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


_ATTENTION = {
    "group_norm": "norm",
    "to_q": "q",
    "to_k": "k",
    "to_v": "v",
    "to_out.0": "proj_out",
}
_RULES = (
    (r"(encoder|decoder)\.conv_norm_out", r"\1.norm_out"),
    (r"encoder\.down_blocks\.(\d+)\.resnets\.", r"encoder.down.\1.block."),
    (r"encoder\.down_blocks\.(\d+)\.downsamplers\.0\.", r"encoder.down.\1.downsample."),
    (r"decoder\.up_blocks\.(\d+)\.resnets\.", r"decoder.up.\1.block."),
    (r"decoder\.up_blocks\.(\d+)\.upsamplers\.0\.", r"decoder.up.\1.upsample."),
    (r"(encoder|decoder)\.mid_block\.resnets\.0\.", r"\1.mid.block_1."),
    (r"(encoder|decoder)\.mid_block\.resnets\.1\.", r"\1.mid.block_2."),
    (r"(encoder|decoder)\.mid_block\.attentions\.0\.", r"\1.mid.attn_1."),
    (r"\.conv_shortcut\.", r".nin_shortcut."),
)


def published_vae_name(name: str, levels: int) -> str:
    """The published name of one of our tensors; ``up`` counts resolution levels from the finest there.

    >>> published_vae_name("decoder.up_blocks.0.resnets.1.conv_shortcut.bias", levels=4)
    'decoder.up.3.block.1.nin_shortcut.bias'
    """
    for pattern, replacement in _RULES:
        name = re.sub(pattern, replacement, name)
    name = re.sub(r"decoder\.up\.(\d+)\.", lambda m: f"decoder.up.{levels - 1 - int(m[1])}.", name)
    attention = re.fullmatch(r"(.*\.attn_1)\.(.+)\.(weight|bias)", name)
    return f"{attention[1]}.{_ATTENTION[attention[2]]}.{attention[3]}" if attention else name


def published_vae_shape(name: str, shape: torch.Size) -> torch.Size:
    """Our shape as published: the attention's linear layers are 1x1 convolutions there. ``name`` is the published one."""
    is_projection = re.search(r"\.attn_1\.(q|k|v|proj_out)\.weight$", name)
    return torch.Size((*shape, 1, 1)) if is_projection else shape


def vae_shapes(geometry: VaeGeometry) -> dict[str, torch.Size]:
    """Our tensor names and shapes, without allocating memory."""
    with torch.device("meta"):
        return {name: tensor.shape for name, tensor in Autoencoder(geometry).state_dict().items()}


def to_published(state: dict[str, Tensor], geometry: VaeGeometry) -> dict[str, Tensor]:
    """Our state as published; values are untouched."""
    published = {}
    for ours, tensor in state.items():
        name = published_vae_name(ours, len(geometry.channel_multipliers))
        published[name] = tensor.reshape(published_vae_shape(name, tensor.shape))
    return published


def from_published(state: dict[str, Tensor], geometry: VaeGeometry) -> dict[str, Tensor]:
    """A published state as ours. Raises CooperError naming the first missing, unexpected or misshapen tensor."""
    left, ours = dict(state), {}
    for name, shape in vae_shapes(geometry).items():
        published = published_vae_name(name, len(geometry.channel_multipliers))
        if published not in left:
            raise CooperError(f"autoencoder: tensor {published} is missing")
        tensor, wanted = left.pop(published), published_vae_shape(published, shape)
        if tensor.shape != wanted:
            raise CooperError(f"autoencoder: tensor {published} has shape {list(tensor.shape)}, not {list(wanted)}")
        ours[name] = tensor.reshape(shape)
    if left:
        raise CooperError(f"autoencoder: tensor {next(iter(left))} is not part of this geometry")
    return ours
