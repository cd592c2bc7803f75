"""The keys by which a stage trains networks that are large for their machine."""

from dataclasses import dataclass
from typing import Literal

from cooper.errors import CooperError
from cooper.evaluation.runs.processes import Share
from cooper.training.recipe import StageRecipe
from cooper.training.scale.adapters import LoraSettings
from cooper.training.scale.sharding import ShardingSettings


@dataclass(frozen=True, kw_only=True)
class ScaledRecipe(StageRecipe):
    """`lora`: train adapters only; `quantise`: keep the weights below them in 4 or 8 bits, on one device. `sharding`: deal
    weights out over the processes of torchrun. `checkpointing`: keep of every layer its input only, and compute it again for
    the gradients."""

    lora: LoraSettings | None = None
    quantise: Literal["4bit", "8bit"] | None = None
    sharding: ShardingSettings | None = None
    checkpointing: bool = False

    def __post_init__(self) -> None:
        if self.sharding is not None and self.sharding.fsdp and self.optimiser.kind == "muon":
            raise CooperError("optimiser.kind muon and sharding do not go together: Muon needs whole matrices; take adamw")
        if self.quantise is not None:
            self._check_quantised()
        if self.lora is None:
            return
        if getattr(self, "init", None) is None:
            raise CooperError("lora is given, but init is not: adapters need a trained network below them")
        if getattr(self, "vision", None) is not None:
            raise CooperError("lora and vision do not go together: an adapter cannot hold another picture tower")

    def _check_quantised(self) -> None:
        if self.lora is None:
            raise CooperError("quantise is given, but lora is not: quantised weights can only be trained through adapters")
        if self.sharding is not None and self.sharding.fsdp:
            raise CooperError("quantise and sharding do not go together: quantised weights cannot be dealt out over processes")
        if Share.here().count > 1:
            raise CooperError("quantise works on one device: start the command without torchrun")
