"""The keys by which a stage trains networks that are large for their machine."""

from dataclasses import dataclass

from cooper.errors import CooperError
from cooper.training.recipe import StageRecipe
from cooper.training.scale.adapters import LoraSettings
from cooper.training.scale.sharding import ShardingSettings


@dataclass(frozen=True, kw_only=True)
class ScaledRecipe(StageRecipe):
    """`lora`: train adapters only. `sharding`: deal weights out over the processes of torchrun. `checkpointing`: keep of every
    layer its input only, and compute it again for the gradients."""

    lora: LoraSettings | None = None
    sharding: ShardingSettings | None = None
    checkpointing: bool = False

    def __post_init__(self) -> None:
        if self.sharding is not None and self.sharding.fsdp and self.optimiser.kind == "muon":
            raise CooperError("optimiser.kind muon and sharding do not go together: Muon needs whole matrices; take adamw")
        if self.lora is None:
            return
        if getattr(self, "init", None) is None:
            raise CooperError("lora is given, but init is not: adapters need a trained network below them")
        if getattr(self, "vision", None) is not None:
            raise CooperError("lora and vision do not go together: an adapter cannot hold another picture tower")
