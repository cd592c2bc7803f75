"""A packed batch of rows as the network reads it: all tokens in one list, understanding tokens first, latents last.

L: tokens. U: tokens of the understanding expert (text, ViT, start and end marks). N: latent tokens (L = U + N).
T: text tokens. P: ViT patches. B: rows (independent sequences). Q: the longest row. S: scored positions. M: noised latents.
"""

from dataclasses import dataclass, fields, replace
from typing import Any, Self

import torch
from torch import Tensor


@dataclass(frozen=True, eq=False)
class Tensors:
    """A group of tensors that moves between devices as one value."""

    def to(self, device: torch.device | str, dtype: torch.dtype | None = None) -> Self:
        """Move every tensor to `device`; floating tensors also to `dtype`, where one is given."""

        def there(value: Any) -> Any:
            if isinstance(value, Tensors):
                return value.to(device, dtype)
            if isinstance(value, Tensor):
                return value.to(device, dtype if value.is_floating_point() else None, non_blocking=True)
            return tuple(map(there, value)) if isinstance(value, tuple) else value

        return replace(self, **{field.name: there(getattr(self, field.name)) for field in fields(self)})


@dataclass(frozen=True, eq=False)
class TextRows(Tensors):
    """Ordinary embeddings: token ids and their place among the understanding tokens."""

    ids_T: Tensor
    index_T: Tensor


@dataclass(frozen=True, eq=False)
class VitRows(Tensors):
    """Patches of all ViT pictures, their 2-D positions (row * side + column), places, and the patches of each picture."""

    patches_PC: Tensor
    position_P: Tensor
    index_P: Tensor
    lengths: tuple[int, ...]


@dataclass(frozen=True)
class Noising:
    """Where a noised picture lies among the latent tokens, and its time. `branch`: 0, or of a copy that guidance needs and that
    follows it: 1 without its request, 2 without its picture."""

    begin: int
    count: int
    t: float
    branch: int = 0

    @property
    def place(self) -> slice:
        """Its tokens."""
        return slice(self.begin, self.begin + self.count)


@dataclass(frozen=True, eq=False)
class LatentRows(Tensors):
    """Latent tokens in packed order: values, time (0 for clean pictures), 2-D positions (row * side + column); and the noised
    pictures among them."""

    tokens_ND: Tensor
    t_N: Tensor
    position_N: Tensor
    noisings: tuple[Noising, ...] = ()


@dataclass(frozen=True, eq=False)
class Tiles(Tensors):
    """Tiles by size: for each size G tiles of T queries and the S keys that they may see. `query_GT` and `key_GS` are packed
    token numbers (0 where padded), `mask_G1TS` says who sees whom, and `place_L` is the place of each packed token among the
    queries of all tiles, one size behind the other. Every query sees something."""

    query_GT: tuple[Tensor, ...]
    key_GS: tuple[Tensor, ...]
    mask_G1TS: tuple[Tensor, ...]
    place_L: Tensor


@dataclass(frozen=True, eq=False)
class Splits(Tensors):
    """How tokens fall into rows. `slot_BQ` is the packed index of each row's q-th token (0 where padded).

    `place_L` is the inverse: b * Q + q for each packed token. `mask_BQQ` says who sees whom; padding sees itself only.
    `kept`: how many tokens of each row stay in a cache (of noised rows none). `tiles`: how attention without
    a cache cuts the rows, where that is known before the pass (`tiled`), so that a device need not read numbers back for it.
    `even`: rows are of one length and lie one behind the other in the packed list, so nothing need be gathered.
    """

    lengths: tuple[int, ...]
    slot_BQ: Tensor
    place_L: Tensor
    mask_BQQ: Tensor
    kept: tuple[int, ...]
    tiles: Tiles | None = None
    even: bool = False


@dataclass(frozen=True, eq=False)
class Targets(Tensors):
    """What is learned: next-token ids with the packed place that predicts them, and velocities with theirs.

    `velocity_index_M` counts from the first latent token.
    """

    index_S: Tensor
    ids_S: Tensor
    velocity_index_M: Tensor
    velocity_MD: Tensor


@dataclass(frozen=True, eq=False)
class PackedSequence(Tensors):
    """The network's one input. `position_L` holds rope positions; `und` counts the understanding tokens."""

    text: TextRows
    vit: VitRows
    latents: LatentRows
    splits: Splits
    targets: Targets
    position_L: Tensor
    und: int

    @property
    def rows(self) -> int:
        return len(self.splits.lengths)

    @property
    def device(self) -> torch.device:
        return self.position_L.device
