"""The head of words: scores of next tokens, computed for some tokens at a time where only figures of them are kept.

S: tokens. H: hidden width. V: vocabulary rows.
"""

from collections.abc import Callable

import torch
from torch import Tensor, nn
from torch.utils.checkpoint import checkpoint

AT_ONCE = 2**25  # logits that are held at once, at least one token's: 128 MiB in float32
Score = Callable[[Tensor, Tensor], tuple[Tensor, ...]]  # logits [s, V] and ids [s] of some tokens -> figures, each [k]


class Head(nn.Linear):
    """A linear layer without bias. With `ids_S` and `score` it gives `score`'s figures, each of all tokens in order.

    All tokens go through one call, whatever their number: processes that share sharded weights then gather them equally often.
    """

    def __init__(self, hidden_size: int, vocabulary: int) -> None:
        super().__init__(hidden_size, vocabulary, bias=False)

    def forward(  # pyright: ignore[reportIncompatibleMethodOverride] - a layer that is called with more
        self, input: Tensor, ids_S: Tensor | None = None, score: Score | None = None
    ) -> Tensor | tuple[Tensor, ...]:
        """Logits [S, V] of hidden states [S, H], or figures of them."""
        if ids_S is None or score is None:
            return super().forward(input)
        return in_parts(super().forward, self.out_features, hidden_SH=input, ids_S=ids_S, score=score)


def in_parts(
    logits_of: Callable[[Tensor], Tensor], vocabulary: int, *, hidden_SH: Tensor, ids_S: Tensor, score: Score
) -> tuple[Tensor, ...]:
    """What `score` says of the logits of tokens, joined. The logits of a part are let go before those of the next are made;
    where gradients are wanted they are computed again, so gradients are exact. Nothing is computed twice where all fit into
    one part."""

    def part(hidden_sH: Tensor, ids_s: Tensor) -> tuple[Tensor, ...]:
        return score(logits_of(hidden_sH), ids_s)

    size = max(1, AT_ONCE // vocabulary)
    if len(hidden_SH) <= size:
        return part(hidden_SH, ids_S)
    pairs = zip(hidden_SH.split(size), ids_S.split(size), strict=True)
    if torch.is_grad_enabled():
        found = [checkpoint(part, *pair, use_reentrant=False, preserve_rng_state=False) for pair in pairs]
    else:
        found = [part(*pair) for pair in pairs]
    return tuple(torch.cat(figures) for figures in zip(*found, strict=True))
