"""What a run needs on given machines: memory of one GPU by part, tokens and seconds a step, hours and cost."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from typing import Any

from cooper.model.config import CooperConfig
from cooper.training.planning.rows import RowSizes
from cooper.training.planning.stages import StageLoad, load_of
from cooper.training.scale.adapters import LoraSettings
from cooper.training.scale.sharding import ShardingSettings

GIB = float(2**30)
BITS = {"4bit": 4.127, "8bit": 8.0}  # a quantised weight; 4 bits with their doubly quantised scales (Dettmers et al. 2023)


@dataclass(frozen=True, kw_only=True)
class Machines:
    """`nodes` of `gpus` each; `memory` of one GPU in GiB, `teraflops` that it computes at most in the precision of the recipe,
    and the share `mfu` of them that a run reaches; `price` of one GPU for an hour."""

    gpus: int = 1
    nodes: int = 1
    memory: float = 80.0
    teraflops: float = 989.0
    mfu: float = 0.2
    price: float | None = None

    @property
    def count(self) -> int:
        return self.gpus * self.nodes


@dataclass(frozen=True, kw_only=True)
class RunPlan:
    """`parts`: bytes on one GPU by what they hold, at the peak of a step. `host`: bytes of the machine's own memory for each
    process while weights are read. `tokens` and `flops` of one update, over all GPUs; `steps` of the run. `seconds` of one
    update; none where it is not known how fast the machines compute."""

    parts: Mapping[str, float]
    host: float
    tokens: int
    flops: float
    steps: int
    machines: Machines

    @property
    def total(self) -> float:
        return sum(self.parts.values())

    @property
    def fits(self) -> bool:
        return self.total <= self.machines.memory * GIB

    @property
    def seconds(self) -> float:
        machines = self.machines
        return self.flops / (machines.count * machines.teraflops * 1e12 * machines.mfu)

    @property
    def hours(self) -> float:
        return self.steps * self.seconds / 3600

    @property
    def cost(self) -> float | None:
        price = self.machines.price
        return None if price is None else self.hours * self.machines.count * price


def plan_run(recipe: Any, config: CooperConfig, sizes: RowSizes, machines: Machines, accelerator: bool = True) -> RunPlan:
    """The plan of a recipe of stage amg, sft or grpo, on accelerators or on processors. CooperError: another stage, or a batch
    that does not divide."""
    load = load_of(recipe, config, sizes, machines.count, accelerator)
    return RunPlan(
        parts=_parts(load, machines.count),
        host=_host(load, machines.count),
        tokens=load.cost.tokens * load.packs,
        flops=load.cost.flops * load.packs,
        steps=load.steps,
        machines=machines,
    )


def _parts(load: StageLoad, world: int) -> dict[str, float]:
    """Bytes by part at the fullest moment: in a pass, while rollouts are sampled, or in the update of the weights."""
    cost, shards = load.cost, load.shards(world)
    trained, others = 4 * cost.trained, 4 * (cost.weights - cost.autoencoder - cost.trained)
    quantised = 0.0 if load.quantise is None else cost.decoder * (4 - BITS[load.quantise] / 8)
    each = 2 if load.bf16 else 4
    gathered = 0.0 if shards == 1 else (2 * each + 4) * cost.layer  # two layers, and the gradients of one
    if shards == 1 and world > 1:
        gathered = float(trained)  # DistributedDataParallel keeps gradients in buckets, too
    whole = each * (cost.weights - cost.autoencoder) if shards > 1 and load.whole_while_sampling else 0.0
    moments = ((cost.passing, gathered), (load.sampling, whole), (cost.updating / shards, 0.0))
    working, travelled = max(moments, key=sum)
    parts = {
        "weights": (trained + others - quantised) / shards + 4 * cost.autoencoder,
        "gradients": trained / shards,
        "optimiser": cost.state / shards,
        "averaged weights": cost.average / shards,
        "teacher": load.teacher,
        "activations": working,
        "weights gathered from other GPUs": travelled,
    }
    return {name: size for name, size in parts.items() if size}


def _host(load: StageLoad, world: int) -> float:
    """The rest beyond the shards was measured: 1.6 bytes a weight (benchmarks/loading.py)."""
    weights, shards = load.cost.weights, load.shards(world)
    return (4 / shards + 1.6) * weights if shards > 1 else 4.4 * weights


def remedies(recipe: Any) -> Iterator[tuple[str, Any]]:
    """Changes of a recipe that lower what it needs, the smallest first; each has those before it where they go together."""
    changed = recipe
    said: list[str] = []
    if not getattr(changed, "checkpointing", True):
        changed = replace(changed, checkpointing=True)
        said.append("checkpointing=true")
        yield " ".join(said), changed
    muon = getattr(getattr(changed, "optimiser", None), "kind", "") == "muon"
    if hasattr(changed, "sharding") and not (changed.sharding and changed.sharding.fsdp) and not changed.quantise and not muon:
        changed = replace(changed, sharding=ShardingSettings())
        said.append('"sharding={fsdp: true}"')
        yield " ".join(said), changed
    if getattr(changed, "lora", None) is None and getattr(changed, "init", None) is not None:
        changed = replace(changed, lora=LoraSettings())
        said.append('"lora={rank: 16}"')
        yield " ".join(said), changed
    if hasattr(changed, "quantise") and changed.quantise is None and changed.lora is not None:
        alone = [each for each in said if not each.startswith('"sharding')]
        changed = replace(changed, sharding=None, quantise="4bit")
        yield " ".join((*alone, "quantise=4bit")), changed


def first_that_fits(recipe: Any, config: CooperConfig, sizes: RowSizes, machines: Machines) -> tuple[str, RunPlan] | None:
    """The smallest change that makes a run fit, and its plan."""
    for said, changed in remedies(recipe):
        if getattr(changed, "quantise", None) is not None and machines.count > 1:
            continue
        found = plan_run(changed, config, sizes, machines)
        if found.fits:
            return said, found
    return None
