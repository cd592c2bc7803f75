"""The keys by which a stage trains networks that are large for their machine."""

from dataclasses import dataclass

from cooper.errors import CooperError
from cooper.training.recipe import StageRecipe
from cooper.training.scale.adapters import LoraSettings


@dataclass(frozen=True, kw_only=True)
class ScaledRecipe(StageRecipe):
    """`lora`: train adapters only. `checkpointing`: keep of every layer its input only, and compute it again for the gradients."""

    lora: LoraSettings | None = None
    checkpointing: bool = False

    def __post_init__(self) -> None:
        if self.lora is None:
            return
        if getattr(self, "init", None) is None:
            raise CooperError("lora is given, but init is not: adapters need a trained network below them")
        if getattr(self, "vision", None) is not None:
            raise CooperError("lora and vision do not go together: an adapter cannot hold another picture tower")
