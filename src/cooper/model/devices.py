"""Where a model goes: a device that torch can use here, or one sentence that says why not."""

import difflib
from collections.abc import Mapping
from typing import Any

import torch

from cooper.errors import CooperError
from cooper.files.arguments import shown

Device = str | int | torch.device
SYNONYMS = {"device": "device_map", "torch_dtype": "dtype"}  # as other libraries call them
SHARED_OUT = ("auto", "balanced", "balanced_low_0", "sequential")  # accelerate deals the layers out


def checked_device(asked: Any) -> Device | dict[str, Device] | None:
    """What `device_map` may be: None, a device, its number among the accelerators, one of accelerate's words, or a mapping.

    CooperError: a device that does not exist, or that cannot hold a number on this machine.
    """
    if asked is None or asked in SHARED_OUT:
        return asked
    if isinstance(asked, dict):
        for name, device in asked.items():
            if device != "disk":  # accelerate's place for layers that fit nowhere else
                _usable(device, f"the device of {name!r}")
        return asked
    return _usable(asked, "device")


def _usable(asked: Any, name: str) -> Device:
    if isinstance(asked, bool) or not isinstance(asked, str | int | torch.device):
        raise CooperError(f"{name} must be a device such as cpu, cuda or cuda:0, not {shown(asked)}")
    if isinstance(asked, str) and asked.isdecimal():
        asked = int(asked)  # as users of CUDA number them
    try:
        device = torch.device(asked)
        torch.zeros(1, device=device).item()
    except (RuntimeError, AssertionError, NotImplementedError, ValueError, TypeError, OverflowError, ImportError) as error:
        reason = " ".join(str(error).split()).split(". ")[0][:160]
        raise CooperError(f"{name} {shown(asked)} cannot be used here ({reason}); there is: {_found()}") from None
    return asked


def checked_dtype(asked: Any) -> torch.dtype | str:
    """What `dtype` may be: "auto" (or None), a floating type of torch, or its name. CooperError: anything else."""
    if asked is None or (isinstance(asked, str) and asked == "auto"):
        return "auto"
    dtype = getattr(torch, asked.removeprefix("torch."), None) if isinstance(asked, str) else asked
    if dtype not in (torch.float32, torch.bfloat16, torch.float16, torch.float64):
        raise CooperError(f"dtype must be auto, float32, bfloat16 or float16, not {shown(asked)}")
    return dtype


def computes_bf16(device: torch.device) -> bool:
    """Whether a device has instructions for bfloat16. A processor without them computes it some forty times more slowly than
    float32."""
    if device.type == "cuda":
        return torch.cuda.is_bf16_supported(including_emulation=False)
    if device.type != "cpu":
        return True
    return bool(torch.ops.mkldnn._is_mkldnn_bf16_supported())  # noqa: SLF001 - torch says it nowhere else


def renamed(given: Mapping[str, Any], synonyms: Mapping[str, Any]) -> dict[str, Any]:
    """The arguments `given`, with those of `synonyms` under the names that they stand for: `device`, `torch_dtype`.

    CooperError: an argument that is no synonym, with the name that comes nearest, or one that is given under both names.
    """
    found = dict(given)
    for name, value in synonyms.items():
        meant = SYNONYMS.get(name)
        if meant is None:
            known = [*given, *SYNONYMS]
            near = difflib.get_close_matches(name, known, 1)
            hint = f"did you mean {near[0]!r}?" if near else f"there are: {', '.join(known)}"
            raise CooperError(f"from_pretrained knows no argument {name!r}; {hint}")
        if value is None:
            continue
        if found.get(meant) is not None:
            raise CooperError(f"{name} is another name of {meant}, and both are given; give one of them")
        found[meant] = value
    return found


def _found() -> str:
    """The devices of this machine."""
    if not torch.accelerator.is_available():
        return "cpu"
    kind = torch.accelerator.current_accelerator()
    count = torch.accelerator.device_count()
    name = kind.type if kind is not None else "accelerator"
    return ", ".join(["cpu", *(f"{name}:{number}" for number in range(count))])
