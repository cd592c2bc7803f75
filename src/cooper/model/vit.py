"""The picture tower: SigLIP over packed patches of pictures of any size, and the connector behind it.

Letters: P patches of all pictures, one row each; N pictures; M patches of the longest picture; D tower width;
H width of the language model; K numbers in one patch (588: row, column, channel, channel fastest).
"""

import torch
from jaxtyping import Bool, Float, Int
from torch import Tensor, nn
from torch.nn.functional import gelu
from torch.nn.utils.rnn import pad_sequence
from transformers import SiglipVisionConfig
from transformers.models.siglip.modeling_siglip import SiglipEncoderLayer

from cooper.errors import CooperError
from cooper.model.config import VitGeometry

PICTURE_CHANNELS = 3


def real_patches(lengths: tuple[int, ...], device: torch.device) -> Bool[Tensor, "N M"]:
    """Which places of a padded batch hold a patch.

    >>> real_patches((1, 3), torch.device("cpu")).int().tolist()
    [[1, 0, 0], [1, 1, 1]]
    """
    return torch.arange(max(lengths), device=device) < torch.tensor(lengths, device=device)[:, None]


class Vit(nn.Module):
    """SigLIP without a pooling head. Patches of one picture see each other, never those of another picture."""

    def __init__(self, geometry: VitGeometry) -> None:
        super().__init__()
        layer_config = SiglipVisionConfig.from_dict(
            {
                "hidden_size": geometry.hidden_size,
                "intermediate_size": geometry.intermediate_size,
                "num_attention_heads": geometry.num_attention_heads,
                "layer_norm_eps": geometry.layer_norm_eps,
                "hidden_act": "gelu_pytorch_tanh",
            },
            attn_implementation="sdpa",
        )
        width = geometry.hidden_size
        self.patch_embedding = nn.Linear(PICTURE_CHANNELS * geometry.patch_size**2, width)
        self.position_embedding = nn.Embedding(geometry.position_side**2, width)
        self.layers = nn.ModuleList(SiglipEncoderLayer(layer_config) for _ in range(geometry.num_layers))
        self.post_layernorm = nn.LayerNorm(width, eps=geometry.layer_norm_eps)

    def forward(
        self,
        patches_PK: Float[Tensor, "P K"],
        position_ids_P: Int[Tensor, " P"],
        lengths: tuple[int, ...],
    ) -> Float[Tensor, "P D"]:
        """Features of packed pictures.

        ``position_ids_P`` are flattened places, row * table side + column; ``lengths`` counts the patches of each
        picture. Raises CooperError if the lengths do not add up to P.
        """
        if sum(lengths) != len(patches_PK):
            raise CooperError(f"vit: {len(patches_PK)} patches, but the picture lengths {lengths} add up to {sum(lengths)}")
        if not lengths:
            return patches_PK.new_zeros(0, self.post_layernorm.weight.shape[0])
        embedded_PD = self.patch_embedding(patches_PK) + self.position_embedding(position_ids_P)
        hidden_NMD = pad_sequence(embedded_PD.split(lengths), batch_first=True)
        mask_N11M = None
        if len(set(lengths)) > 1:
            mask_N11M = real_patches(lengths, patches_PK.device)[:, None, None, :]
        for layer in self.layers:
            hidden_NMD = layer(hidden_NMD, mask_N11M)
        hidden_PD = torch.cat([row_MD[:length] for row_MD, length in zip(hidden_NMD, lengths, strict=True)])
        return self.post_layernorm(hidden_PD)


class Connector(nn.Module):
    """Tower features to the width of the language model: linear, tanh-GELU, linear."""

    def __init__(self, vit_width: int, width: int) -> None:
        super().__init__()
        self.fc1 = nn.Linear(vit_width, width)
        self.fc2 = nn.Linear(width, width)

    def forward(self, features_PD: Float[Tensor, "P D"]) -> Float[Tensor, "P H"]:
        return self.fc2(gelu(self.fc1(features_PD), approximate="tanh"))
