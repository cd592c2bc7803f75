"""Names of the autoencoder's tensors in the published ``ae.safetensors``, both ways."""

import re

import torch
from torch import Tensor

from cooper.errors import CooperError
from cooper.model.config import VaeGeometry
from cooper.model.vae import Autoencoder

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
