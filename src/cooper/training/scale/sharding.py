"""Weights sharded by FSDP2, whole for as long as rollouts are sampled or answers examined, and whole to be written.

Ranks run different numbers of forward passes while they sample, so no pass may gather weights: they are gathered once
before and dealt out again afterwards. FSDP finds out which module is the outermost in the first forward pass, and sampling
calls an inner one, so a pass through the outermost comes first.
"""

from collections.abc import Callable, Iterator
from contextlib import contextmanager

import torch
from torch import Tensor, nn
from torch.distributed.fsdp import FSDPModule
from torch.distributed.tensor import DTensor

from cooper.evaluation.runs.processes import Share


def whole(tensor: Tensor) -> Tensor:
    """A tensor, whole on every process; each must call it for every one that is sharded."""
    return tensor.detach().full_tensor() if isinstance(tensor, DTensor) else tensor.detach()


def whole_on_first(tensor: Tensor) -> Tensor | None:
    """As `whole`, on the first process only, and on its CPU where it was sharded; others get none."""
    found = whole(tensor)
    if not Share.here().first:
        return None
    return found.cpu() if isinstance(tensor, DTensor) else found


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
