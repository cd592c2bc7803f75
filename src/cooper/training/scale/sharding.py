"""Weights dealt out over processes by FSDP2, whole for as long as a network samples or is examined, and whole to be written.

Ranks run different numbers of forward passes while they sample, so no pass may gather weights: they are gathered once
before and dealt out again afterwards. FSDP finds out which module is the outermost in the first forward pass, and sampling
calls an inner one, so a pass through the outermost comes first.
"""

import gc
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass

import torch
import torch.distributed as distributed
from torch import Tensor, nn
from torch.distributed.device_mesh import init_device_mesh
from torch.distributed.fsdp import FSDPModule, MixedPrecisionPolicy, fully_shard
from torch.distributed.tensor import DTensor
from transformers.models.siglip.modeling_siglip import SiglipEncoderLayer

from cooper.errors import CooperError
from cooper.evaluation.runs.processes import Share
from cooper.files.values import Count
from cooper.model.checkpoints.tensor_files import is_finite
from cooper.model.cooper import CooperModel
from cooper.model.mot import MotLayer, PerExpert


@dataclass(frozen=True)
class ShardingSettings:
    """`fsdp`: every process keeps only its part of weights, gradients, averages and optimiser (FSDP2); a run goes on with any
    number of processes. `replicas`: so many groups of processes hold the whole each, such as one for each machine."""

    fsdp: bool = True
    replicas: Count = 1


def shard(objective: nn.Module, settings: ShardingSettings, device: torch.device, bf16: bool) -> None:
    """Deal the weights out over the processes there are; a process by itself keeps them all. With `bf16` products are computed
    in bfloat16; shards, gradients and their sums stay float32. The autoencoder stays whole: it encodes pictures by itself.

    CooperError: replicas that do not divide the processes.
    """
    run_every_part(objective)
    count = distributed.get_world_size() if distributed.is_initialized() else 1
    if count % settings.replicas:
        raise CooperError(f"recipe: sharding.replicas is {settings.replicas}, which does not divide {count} processes")
    if count == 1:
        return
    sides = {"replicate": settings.replicas, "shard": count // settings.replicas}
    sides = sides if settings.replicas > 1 else {"shard": count}
    mesh = init_device_mesh(device.type, tuple(sides.values()), mesh_dim_names=tuple(sides))
    policy = MixedPrecisionPolicy(torch.bfloat16, torch.float32) if bf16 else MixedPrecisionPolicy()
    networks = [module for module in objective.modules() if isinstance(module, CooperModel)]
    kept = {weight for network in networks for weight in network.vae.parameters()}
    for network in networks:
        network.vae.to(device)
        layers = [module for module in network.modules() if isinstance(module, MotLayer | SiglipEncoderLayer)]
        for module in (*layers, network.embed_tokens, network.lm_head):
            fully_shard(module, mesh=mesh, mp_policy=policy)
    fully_shard(objective, mesh=mesh, mp_policy=policy, ignored_params=kept)
    stored = getattr(objective, "stored", None)
    if stored is not None:
        objective.to_empty(device=device)
        for network in networks:
            _fill(network, stored)
        objective.stored = None  # pyright: ignore[reportAttributeAccessIssue,reportArgumentType]


def run_every_part(model: nn.Module) -> None:
    """Have a network run every part at every step, whatever the batch holds: ranks gather weights and sum gradients jointly."""
    for module in model.modules():
        if isinstance(module, CooperModel | PerExpert):
            module.complete = True


@torch.no_grad()
def _fill(network: CooperModel, stored: Mapping[str, Tensor]) -> None:
    """Read into every tensor the part that lies here, of memory-mapped weights. CooperError: one that is not finite."""
    for name, tensor in network.state_dict().items():
        value, here = stored[name if is_adapter(name) else name.replace(".base_layer.", ".")], part(tensor)
        if isinstance(tensor, DTensor):
            mesh = tensor.device_mesh
            rank, count = mesh.get_local_rank("shard"), mesh.size(-1)
            begin = min(rank * -(-len(value) // count), len(value))
            value = value[begin : begin + len(here)]
        here.copy_(value)
        if not is_finite(here):
            raise CooperError(f"tensor {name} holds numbers that are not finite, so nothing can be computed with it")


def is_adapter(name: str) -> bool:
    """Whether the weight of such a name belongs to an adapter."""
    return ".lora_" in name


def is_sharded(model: nn.Module) -> bool:
    """Whether FSDP2 has dealt its weights out."""
    return isinstance(model, FSDPModule)


def part(tensor: Tensor) -> Tensor:
    """What this process holds of a tensor: all of one that is not sharded."""
    return tensor.to_local() if isinstance(tensor, DTensor) else tensor


def whole(tensor: Tensor) -> Tensor:
    """A tensor, whole on every process; each must call it for every one that is sharded."""
    return tensor.full_tensor().detach() if isinstance(tensor, DTensor) else tensor.detach()


def whole_on_first(tensor: Tensor) -> Tensor | None:
    """As `whole`, on the first process only, and on its CPU where it was sharded; others get none."""
    found = whole(tensor)
    if not Share.here().first:
        return None
    return found.cpu() if isinstance(tensor, DTensor) else found


@contextmanager
def gathered(model: nn.Module, first: Callable[[], object] | None = None) -> Iterator[None]:
    """Every sharded part of `model` whole on every rank; `first` runs one forward pass through it, if none was run yet. Nothing
    happens to a model that is not sharded."""
    parts = [module for module in model.modules() if isinstance(module, FSDPModule)]
    if parts and first is not None:
        with torch.no_grad():
            first()
    for each in parts:
        each.unshard()
        each.set_reshard_after_forward(False, recurse=False)
    try:
        yield
    finally:
        for each in parts:
            each.set_reshard_after_forward(each is not model, recurse=False)
            each.reshard()


def anywhere(said: bool, device: torch.device) -> bool:
    """Whether any process says so. Every process must call it."""
    if not distributed.is_initialized():
        return said
    told = torch.tensor(int(said), device=device)
    distributed.all_reduce(told, distributed.ReduceOp.MAX)
    return bool(told)


def agreed(said: bool) -> bool:
    """What the first process says. Every process must call it."""
    told = [said]
    if distributed.is_initialized():
        distributed.broadcast_object_list(told)
    return told[0]


def leave() -> None:
    """End what this process has begun with others, threads too: one that still lets go of a tensor while the interpreter is
    taken down aborts the process. A trainer and its model hold each other and the group, so both are collected first."""
    if distributed.is_initialized():
        distributed.destroy_process_group()
        gc.collect()
