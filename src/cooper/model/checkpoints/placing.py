"""Where a checkpoint goes and in which type, decided by the headers of its files before any weight is read."""

import warnings
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import torch

from cooper.model.checkpoints.loading import ADAPTER_CONFIG, ADAPTER_FILE, is_quantised, network_below
from cooper.model.checkpoints.memory import Needs, accelerator, fitting_dtype, room_of
from cooper.model.checkpoints.names import VAE_PREFIX, network_entries
from cooper.model.checkpoints.opening import OWN_STEM, is_published_layout, network_dtype, own_config, verify_ours
from cooper.model.checkpoints.published import Places, config_of
from cooper.model.checkpoints.quantising import QUANTISED, bits_of
from cooper.model.checkpoints.tensor_files import Stored, read_header, read_headers
from cooper.model.config import CooperConfig
from cooper.model.devices import SHARED_OUT, Device, checked_device, checked_dtype, computes_bf16

_VAE_BYTES = torch.float32.itemsize  # of a number of the autoencoder, whatever the network's type


@dataclass(frozen=True, kw_only=True)
class Placement:
    """The `dtype` and `device_map` with which a checkpoint is loaded."""

    dtype: torch.dtype | str
    device_map: Device | dict[str, Device] | None


def placement(
    directory: Path,
    base: Path | None = None,
    *,
    dtype: torch.dtype | str | None = None,
    device_map: Device | dict[str, Device] | None = None,
    quantization: Any = None,
) -> Placement:
    """Without a device the accelerator, if there is one, with the stored types; on a CPU float32, or bfloat16 where only that
    fits. What is named is taken as it is. Layers that are dealt out over devices ("auto", a mapping) are not counted.

    CooperError: what is named cannot be, the checkpoint is incomplete, or it needs more memory than is free.
    """
    asked, named = checked_device(device_map), None if dtype is None else checked_dtype(dtype)
    bits = bits_of(quantization)
    if isinstance(asked, dict) or asked in SHARED_OUT:
        return Placement(dtype=named or "auto", device_map=device_map)
    here = (accelerator() or torch.device("cpu")) if asked is None else torch.device(asked)
    others = [each for each in (accelerator(), torch.device("cpu")) if each is not None and each.type != here.type]
    needs = needs_of(directory, base)
    wanted = needs.stored if isinstance(named, str) else named
    chosen = fitting_dtype(needs, [room_of(each) for each in (here, *others)], f"the checkpoint {directory.name}", wanted, bits)
    if wanted is None and here.type == "cpu" and chosen != torch.float32:
        slow = "" if computes_bf16(here) else ", which this processor computes slowly"
        warnings.warn(f"float32 does not fit into the free memory, so weights are bfloat16{slow}", stacklevel=3)
    goes = here if asked is None and here.type != "cpu" else asked
    if named is not None:
        return Placement(dtype=named, device_map=goes)
    return Placement(dtype=chosen if here.type == "cpu" else "auto", device_map=goes)


def needs_of(directory: Path, base: Path | None = None) -> Needs:
    """What a checkpoint of either layout, or an adapter with its network, needs. CooperError: it is incomplete."""
    if (directory / ADAPTER_CONFIG).is_file():
        needs, adapter = needs_of(network_below(directory), base), read_header(directory / ADAPTER_FILE)
        return replace(needs, kept=needs.kept + sum(stored.nbytes for stored in adapter.values()))
    if is_published_layout(directory, base):
        places = Places(directory, base)
        network = places.network_headers()
        config = config_of(places, network)
        ours = {entry.published: entry.ours for entry in network_entries(config)}
        vae = sum(_numbers(places.vae_headers().values()))
        return _needs({ours.get(name, name): stored for name, stored in network.items()}, vae, config)
    if is_quantised(directory):
        headers, config = read_headers(directory, OWN_STEM), own_config(directory)
        kept = sum(stored.nbytes for stored in headers.values())
        return Needs(linear=0, rest=0, kept=kept, token=_token(config), stored=torch.bfloat16)
    headers = verify_ours(directory)
    network = {name: stored for name, stored in headers.items() if not name.startswith(VAE_PREFIX)}
    vae = sum(_numbers(stored for name, stored in headers.items() if name not in network))
    return _needs(network, vae, own_config(directory))


def _needs(network: Mapping[str, Stored], vae: int, config: CooperConfig) -> Needs:
    linear = sum(_numbers(stored for name, stored in network.items() if QUANTISED.fullmatch(name)))
    return Needs(
        linear=linear,
        rest=sum(_numbers(network.values())) - linear,
        kept=_VAE_BYTES * vae,
        token=_token(config),
        stored=network_dtype(network),
    )


def _numbers(headers: Iterable[Stored]) -> Iterable[int]:
    return (stored.shape.numel() for stored in headers)


def _token(config: CooperConfig) -> int:
    """Numbers of keys and values of one token."""
    return 2 * config.num_hidden_layers * config.num_key_value_heads * config.head_dim
