"""Bytes of the tensors that live while a piece of code runs, the most there were, and how much was computed."""

import weakref
from collections.abc import Iterable
from typing import Any

import torch
from torch import Tensor
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils._pytree import tree_iter
from torch.utils.flop_counter import flop_registry

_FLASH = "_scaled_dot_product_flash_attention"
_FLOPS = {
    **flop_registry,
    **{  # torch does not count the kernels of processors, whose arguments are the same
        getattr(torch.ops.aten, f"{_FLASH}_for_cpu{way}"): flop_registry[getattr(torch.ops.aten, f"{_FLASH}{way}")]
        for way in ("", "_backward")
    },
}


class Meter(TorchDispatchMode):
    """Counts the storage of every tensor that an operation makes, once, until it is freed; of tensors without numbers, too.

    `now`: bytes that live; `peak`: the most so far; `peak_beside`: the most beside gradients. Memory that a kernel takes for
    itself is not seen. `flops`: of all products of matrices. (torch's FlopCounterMode holds on to activations, which hides what
    recomputing saves.)
    """

    def __init__(self) -> None:
        super().__init__()
        self.now = self.peak = self.peak_beside = self.gradients = self.flops = 0
        self._alive: dict[int, weakref.ref[Any]] = {}

    def hold(self, tensors: Iterable[Tensor]) -> None:
        """Count tensors that were made before."""
        for tensor in tensors:
            self._count(tensor)

    def watch(self, weight: Tensor) -> None:
        """Know the gradient of a weight from what else lives. A weight gets one gradient, from its first backward pass on."""

        def ready(weight: Tensor) -> None:
            assert weight.grad is not None
            self.gradients += weight.grad.nbytes

        weight.register_post_accumulate_grad_hook(ready)

    def _count(self, tensor: Tensor) -> None:
        storage = tensor.untyped_storage()
        key, size = id(storage), storage.nbytes()  # torch keeps one Python object of a storage while it lives
        if key in self._alive:
            return

        def freed(_: object) -> None:
            self.now -= size
            self._alive.pop(key, None)

        self._alive[key] = weakref.ref(storage, freed)
        self.now += size
        self.peak = max(self.peak, self.now)
        self.peak_beside = max(self.peak_beside, self.now - self.gradients)

    def __torch_dispatch__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        made = func(*args, **(kwargs or {}))
        count = _FLOPS.get(func._overloadpacket)  # noqa: SLF001 - as torch.utils.flop_counter finds it
        if count is not None:
            self.flops += count(*args, **(kwargs or {}), out_val=made)
        self.hold(each for each in tree_iter(made) if isinstance(each, Tensor))
        return made
