"""How much memory a network needs, how much a device has free, and the type in which it then fits. All sizes are bytes.

Only `room_of` and `accelerator` look at the machine; the rest are functions of values.
"""

import os
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import torch

from cooper.errors import CooperError

TOKENS = 16_384  # whose keys and values are allowed for: a question with pictures, its maps, and the branches of guidance
BITS = {"int8": 8.0, "4bit": 4.5}  # of a quantised weight with its share of the scales
_MEMINFO = Path("/proc/meminfo")
_GROUPS = (  # limit and use of control groups, new and old
    ("memory.max", "memory.current"),
    ("memory/memory.limit_in_bytes", "memory/memory.usage_in_bytes"),
)
_CGROUP = Path("/sys/fs/cgroup")


@dataclass(frozen=True, kw_only=True)
class Needs:
    """What a checkpoint holds. `linear`: numbers in linear layers of the decoder, which may be quantised; `rest`: in other
    parts whose type is chosen; `kept`: bytes of parts whose type stays; `token`: numbers of keys and values of one token;
    `stored`: the type of the weights in their files."""

    linear: int
    rest: int
    kept: int
    token: int
    stored: torch.dtype

    def weights(self, dtype: torch.dtype, bits: float | None = None) -> int:
        """Bytes of all weights in a type, with `bits` for each quantised one."""
        each = dtype.itemsize if bits is None else bits / 8
        return int(self.linear * each) + self.rest * dtype.itemsize + self.kept

    def cache(self, dtype: torch.dtype) -> int:
        """Bytes allowed for keys and values."""
        return TOKENS * self.token * dtype.itemsize

    def total(self, dtype: torch.dtype, bits: float | None = None) -> int:
        """Bytes needed altogether."""
        return self.weights(dtype, bits) + self.cache(dtype)


@dataclass(frozen=True, kw_only=True)
class FreeMemory:
    """A device and its free bytes; None where they cannot be known, and then everything counts as fitting."""

    device: str
    free: int | None

    @property
    def on_cpu(self) -> bool:
        return self.device == "cpu"

    def takes(self, needed: int) -> bool:
        """Whether so many bytes fit."""
        return self.free is None or needed <= self.free


def fitting_dtype(
    needs: Needs, rooms: Sequence[FreeMemory], name: str, dtype: torch.dtype | None = None, bits: float | None = None
) -> torch.dtype:
    """The type to load a network in on the first of `rooms`: `dtype` where one is given; else the stored one, and on a CPU
    float32, or bfloat16 where float32 does not fit.

    CooperError: it does not fit; the sentence says what is needed, what is free, and which types, bits and other rooms do.
    """
    room, *others = rooms
    ways = _ways(needs, room, dtype)
    for way in ways:
        if room.takes(needs.total(way, bits)):
            return way
    least = ways[-1]
    what = str(least).removeprefix("torch.") if bits is None else f"{bits:g} bits and {str(least).removeprefix('torch.')}"
    advice = ", ".join(_smaller(needs, room, least, bits) + _elsewhere(needs, others, dtype, bits))
    raise CooperError(
        f"{name} needs {size(needs.total(least, bits))} of memory on {room.device} ({size(needs.weights(least, bits))} of "
        f"weights in {what}, {size(needs.cache(least))} for keys and values), and {size(room.free or 0)} are free; "
        + (f"this fits: {advice}" if advice else "no smaller type fits either: free some memory, or name another device")
    )


def _ways(needs: Needs, room: FreeMemory, dtype: torch.dtype | None) -> tuple[torch.dtype, ...]:
    if dtype is not None:
        return (dtype,)
    return (torch.float32, torch.bfloat16) if room.on_cpu else (needs.stored,)


def _smaller(needs: Needs, room: FreeMemory, dtype: torch.dtype, bits: float | None) -> list[str]:
    """What would fit on the same device."""
    now, found = needs.total(dtype, bits), []
    ways = [("dtype bfloat16", torch.bfloat16, bits)] if dtype.itemsize > torch.bfloat16.itemsize else []
    ways += [(f"quantization {name}", dtype, each) for name, each in BITS.items()]
    for words, way, each in ways:
        needed = needs.total(way, each)
        if needed < now and room.takes(needed):
            found.append(f"{words} ({size(needed)})")
    return found


def _elsewhere(needs: Needs, others: Sequence[FreeMemory], dtype: torch.dtype | None, bits: float | None) -> list[str]:
    """What would fit on other devices."""
    found = []
    for room in others:
        fits = [way for way in _ways(needs, room, dtype) if room.takes(needs.total(way, bits))]
        found += [f"device {room.device} ({size(needs.total(fits[0], bits))})"] if fits else []
    return found


def size(count: int) -> str:
    """Bytes in words: `size(29_300_000_000)` is `"29.3 GB"`."""
    return f"{count / 1e9:.1f} GB" if count >= 1e9 else f"{count / 1e6:.1f} MB"


def accelerator() -> torch.device | None:
    """The accelerator of this process, None where there is none: of several the one that its launcher's LOCAL_RANK counts."""
    kind = torch.accelerator.current_accelerator() if torch.accelerator.is_available() else None
    if kind is None:
        return None
    local = os.environ.get("LOCAL_RANK", "")
    count = torch.accelerator.device_count()
    index = int(local) % count if local.isdecimal() and count else torch.accelerator.current_device_index()
    return torch.device(kind.type, index)


def room_of(device: torch.device) -> FreeMemory:
    """A device and its free memory."""
    if device.type == "cpu":
        return FreeMemory(device="cpu", free=free_of_machine())
    try:
        free, _ = torch.accelerator.get_memory_info(device)
    except (RuntimeError, NotImplementedError, AttributeError, ValueError, AssertionError):
        return FreeMemory(device=str(device), free=None)
    return FreeMemory(device=str(device), free=int(free))


def free_of_machine() -> int | None:
    """Bytes that this process may still take: what the system calls available, or less where a control group allows less."""
    found = [
        free for free in (_available(), *(_left(_CGROUP / most, _CGROUP / used) for most, used in _GROUPS)) if free is not None
    ]
    return min(found, default=None)


def _available() -> int | None:
    try:
        lines = dict(line.split(":", 1) for line in _MEMINFO.read_text(encoding="ascii").splitlines() if ":" in line)
        return int(lines["MemAvailable"].split()[0]) * 1024
    except (OSError, KeyError, ValueError, IndexError):
        return None


def _left(most: Path, used: Path) -> int | None:
    """What a control group still allows; pages of files that it holds can be given up and count as free."""
    try:
        limit, taken = int(most.read_text()), int(used.read_text())
        lines = (line.split() for line in (used.parent / "memory.stat").read_text().splitlines())
        pages = dict(line for line in lines if len(line) == 2)
        return max(0, limit - taken + int(pages.get("inactive_file", 0)) + int(pages.get("active_file", 0)))
    except (OSError, ValueError):  # no such group, or one without a limit ("max")
        return None
