"""Weights sharded by FSDP2, whole for as long as rollouts are sampled or answers examined, and whole to be written.

Ranks run different numbers of forward passes while they sample, so no pass may gather weights: they are gathered once
before and dealt out again afterwards. FSDP finds out which module is the outermost in the first forward pass, and sampling
calls an inner one, so a pass through the outermost comes first.
"""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import torch
from torch import nn
from torch.distributed.checkpoint.state_dict import StateDictOptions, get_model_state_dict
from torch.distributed.fsdp import FSDPModule


def is_sharded(model: nn.Module) -> bool:
    """Whether FSDP2 has dealt its weights out."""
    return isinstance(model, FSDPModule)


def whole_weights(model: nn.Module) -> dict[str, Any]:
    """All weights of a sharded model, on the CPU of the first rank; other ranks get none. Every rank must call it."""
    return get_model_state_dict(model, options=StateDictOptions(full_state_dict=True, cpu_offload=True))


@contextmanager
def gathered(model: nn.Module, first: Callable[[], object]) -> Iterator[None]:
    """Every sharded part of `model` whole on every rank; `first` runs one forward pass through it. Nothing happens to a model
    that is not sharded."""
    parts = [module for module in model.modules() if isinstance(module, FSDPModule)]
    if parts:
        with torch.no_grad():
            first()
    for part in parts:
        part.unshard()
        part.set_reshard_after_forward(False, recurse=False)
    try:
        yield
    finally:
        for part in parts:
            part.set_reshard_after_forward(part is not model, recurse=False)
            part.reshard()
