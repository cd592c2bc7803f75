"""Low-rank adapters (Hu et al. 2021) in place of training all weights, by peft: added, stored, and merged into the network."""

import math
import os
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Annotated, Any, Literal

import torch
from safetensors.torch import save_file
from torch import Tensor, nn

from cooper.errors import CooperError
from cooper.files.values import AtLeast, Below, Positive, Size
from cooper.model.checkpoints.loading import ADAPTER_FILE
from cooper.model.checkpoints.names import EXPERTS, VAE_PREFIX
from cooper.model.cooper import CooperModel
from cooper.training.scale.sharding import is_adapter, whole, whole_on_first

CONNECTOR = ("connector.fc1", "connector.fc2")
NAME = "default"  # of the one adapter, as peft calls it
_PREFIX = "base_model.model."  # of names in peft's files


@dataclass(frozen=True)
class LoraSettings:
    """Low-rank adapters (Hu et al. 2021) in place of training all weights. `targets`: linear layers, by the ends of their names
    without their expert (`q`, `k`, `v`, `o` of attention; `gate_proj`, `up_proj`, `down_proj`) or with it (`q.und`).
    `experts`: whose; `connector`: adapt the connector, too. An adapter adds `alpha` / `rank` times its product; `dropout` is
    that of its input. `merged`: `model` is the network with the adapter merged into it, and the adapter by itself lies in
    `adapter`; without it `model` is the adapter, in peft's form.
    """

    rank: Size = 16
    alpha: Positive = 32.0
    dropout: Annotated[float, AtLeast(0), Below(1)] = 0.0
    experts: Literal["und", "gen", "both"] = "both"
    connector: bool = False
    targets: tuple[str, ...] = ("q", "k", "v", "o")
    merged: bool = True


def lora_config(settings: LoraSettings, network: nn.Module, base: Path | str = "") -> Any:
    """peft's configuration of adapters for a network that was loaded from `base`. CooperError: a target that the network does
    not have, or none that is left."""
    from peft import LoraConfig

    named = str(Path(base).absolute()) if os.path.isdir(base) else str(base)
    return LoraConfig(
        r=settings.rank,
        lora_alpha=settings.alpha,  # pyright: ignore[reportArgumentType] - it may be any number
        lora_dropout=settings.dropout,
        target_modules=_targets(settings, network),
        base_model_name_or_path=named,
    )


def _targets(settings: LoraSettings, network: nn.Module) -> list[str]:
    """Names of the linear layers that get an adapter."""
    if not settings.targets:
        raise CooperError("recipe: lora.targets must name at least one module")
    linear = [name for name, module in network.named_modules() if isinstance(module, nn.Linear)]
    names = [name for name in linear if not name.startswith(VAE_PREFIX)]
    asked = tuple(EXPERTS) if settings.experts == "both" else (settings.experts,)
    found: list[str] = []
    for target in settings.targets:
        matching = [name for name in names if f".{name}".endswith(f".{target}") or _without_expert(name).endswith(f".{target}")]
        if not matching:
            raise CooperError(f"recipe: lora.targets names {target!r}, and no linear layer of the network ends so")
        found += [name for name in matching if not (set(name.split(".")) & set(EXPERTS) - set(asked))]
    found += [name for name in CONNECTOR if settings.connector]
    if not found:
        raise CooperError(f"recipe: lora.targets names no layer of the expert {settings.experts}, which lora.experts asks for")
    return list(dict.fromkeys(found))


def _without_expert(name: str) -> str:
    return "." + ".".join(part for part in name.split(".") if part not in EXPERTS)


def add_adapters(model: CooperModel, settings: LoraSettings, base: Path | str, seed: int) -> Any:
    """Put adapters into a network, which is frozen but for them; their configuration. The first factor is random by `seed`, the
    second 0, so that nothing changes before the first step. CooperError as `lora_config`."""
    from peft import inject_adapter_in_model

    config = lora_config(settings, model, base)
    inject_adapter_in_model(config, model, NAME)
    weights = dict(model.named_parameters())
    for name, drawn in first_factors(model, seed).items():
        weights[name].data.copy_(drawn)
    return config


@contextmanager
def adapters_off(model: CooperModel) -> Iterator[None]:
    """For as long as this lasts a network computes as it did before its adapters were added."""
    layers = _adapted(model)
    for layer in layers.values():
        layer.enable_adapters(False)
    try:
        yield
    finally:
        for layer in layers.values():
            layer.enable_adapters(True)


def first_factors(model: CooperModel, seed: int) -> dict[str, Tensor]:
    """The factors with which adapters begin, by the names of their weights."""
    generator, found = torch.Generator().manual_seed(seed), {}
    for name, weight in model.named_parameters():
        if ".lora_A." in name:
            found[name] = nn.init.kaiming_uniform_(torch.empty(weight.shape), math.sqrt(5), generator=generator)
        elif is_adapter(name):
            found[name] = torch.zeros(weight.shape)
    return found


def plain_state(model: CooperModel, base: Mapping[str, Tensor] | None = None) -> dict[str, Tensor]:
    """Every tensor of a network by its plain name, with its adapters merged in; on the first process, others get none.

    Where weights are sharded, every process must call it. `base`: the weights below the adapters, in place of those in memory,
    where these are quantised.
    """
    found: dict[str, Tensor] = {}
    adapted = _adapted(model)
    for name, tensor in (model.state_dict() if base is None else base).items():
        if is_adapter(name):
            continue
        plain, value = name.replace(".base_layer.", "."), whole_on_first(tensor)
        layer = adapted.get(plain.removesuffix(".weight"))
        if layer is not None and plain.endswith(".weight"):
            up, down = (whole(factor[NAME].weight) for factor in (layer.lora_B, layer.lora_A))
            if value is not None:
                value = (value.float() + layer.scaling[NAME] * (up @ down).to(value.device)).to(value.dtype)
        if value is not None:
            found[plain] = value
    return found


def _adapted(model: nn.Module) -> dict[str, Any]:
    """Layers with an adapter, by name."""
    if not any(is_adapter(name) for name, _ in model.named_parameters()):
        return {}
    from peft.tuners.lora import LoraLayer

    return {name: module for name, module in model.named_modules() if isinstance(module, LoraLayer)}


def save_adapter(model: CooperModel, config: Any, folder: Path) -> None:
    """The adapter of a network in peft's own form. Where weights are sharded, every process must call it."""
    names = [(name, weight) for name, weight in model.named_parameters() if is_adapter(name)]
    state = {_PREFIX + name.replace(f".{NAME}.", "."): whole_on_first(weight) for name, weight in names}
    found = {name: value.contiguous().cpu() for name, value in state.items() if value is not None}
    if not found:
        return
    folder.mkdir(parents=True, exist_ok=True)
    replace(config, inference_mode=True).save_pretrained(str(folder))
    save_file(found, folder / ADAPTER_FILE, metadata={"format": "pt"})
