"""A pretended accelerator: tensors that lie on the CPU, say that they lie elsewhere, and refuse what a real one refuses.

There is none where most tests run. Two tensors of different devices in one operation, or `.numpy()` of one that lies
elsewhere, are faults there and pass on a CPU; here they are errors. Numbers are right, so whole stages run.
"""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import torch
from torch.overrides import TorchFunctionMode
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils._pytree import tree_leaves, tree_map

ELSEWHERE = torch.device("meta")  # the one device besides the CPU whose tensors every build of PyTorch can make
_aten = torch.ops.aten
_MAY_MIX = (_aten.copy_.default, _aten.index.Tensor, _aten.index_put_.default, _aten._index_put_impl_.default)


class Elsewhere(torch.Tensor):
    """A tensor of the pretended device; `held` has its numbers."""

    __torch_function__ = torch._C._disabled_torch_function_impl

    @staticmethod
    def __new__(cls, held: torch.Tensor):
        offset = held.storage_offset()
        return torch.Tensor._make_wrapper_subclass(
            cls, held.shape, strides=held.stride(), storage_offset=offset, dtype=held.dtype, device=ELSEWHERE
        )

    def __init__(self, held: torch.Tensor) -> None:
        self.held = held

    @classmethod
    def __torch_dispatch__(cls, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        return _run(func, args, kwargs or {})

    def tolist(self) -> Any:
        return self.held.tolist()

    def numpy(self, *args: Any, **kwargs: Any) -> Any:
        raise TypeError("a tensor that lies elsewhere has no NumPy array; copy it to the CPU first")

    __array__ = numpy

    def __repr__(self) -> str:
        return f"Elsewhere({self.held})"


def _run(func: Any, args: Any, kwargs: dict[str, Any]) -> Any:
    leaves = [leaf for leaf in tree_leaves((args, kwargs)) if isinstance(leaf, torch.Tensor)]
    there = any(isinstance(leaf, Elsewhere) for leaf in leaves)
    here = [leaf for leaf in leaves if not isinstance(leaf, Elsewhere) and leaf.dim()]  # lone numbers may come from anywhere
    if there and here and func not in _MAY_MIX:
        raise RuntimeError(f"{func} was given tensors of two devices")
    place = kwargs.get("device")
    if place is not None:
        there, kwargs = torch.device(place) == ELSEWHERE, {**kwargs, "device": torch.device("cpu")}
    found = func(*tree_map(_bare, args), **tree_map(_bare, kwargs))
    if func._schema.is_mutable and len(func._schema.returns) == 1:
        return args[0]
    return tree_map(lambda value: Elsewhere(value) if isinstance(value, torch.Tensor) else value, found) if there else found


def _bare(value: Any) -> Any:
    return value.held if isinstance(value, Elsewhere) else value


class _Operations(TorchDispatchMode):
    def __torch_dispatch__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        return _run(func, args, kwargs or {})


class _Calls(TorchFunctionMode):
    """`torch.tensor` with a device makes its tensor below the operations that the other mode sees."""

    def __torch_function__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        kwargs = dict(kwargs or {})
        if func is torch.tensor and (place := kwargs.pop("device", None)) is not None:
            return func(*args, **kwargs).to(place)
        return func(*args, **kwargs)


@contextmanager
def pretended_accelerator() -> Iterator[torch.device]:
    """The device; modules and tensors are moved to it by `.to`, as to a real one."""
    with _Operations(), _Calls():
        yield ELSEWHERE
