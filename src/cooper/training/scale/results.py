"""What a run leaves: its network as a plain checkpoint, and the adapter that it trained."""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from torch import Tensor

from cooper.evaluation.runs.processes import Share
from cooper.training.bundles import Bundle, save_bundle, save_companions
from cooper.training.scale.adapters import add_adapters, plain_state, save_adapter
from cooper.training.scale.recipe import ScaledRecipe

ADAPTER_FOLDER = "adapter"  # beside the model into which it was merged


@dataclass(frozen=True, eq=False)
class Result:
    """A network in training. `config` is that of its adapters, if it has some; `base` holds the weights below them, where those
    in memory are quantised."""

    bundle: Bundle
    config: Any = None
    merged: bool = True
    base: Mapping[str, Tensor] | None = None

    def write(self, folder: Path) -> None:
        """The plain checkpoint, and the adapter beside it or in its place. Every process must call it where weights are
        sharded; the first one writes."""
        if self.config is not None:
            alone = folder.parent / ADAPTER_FOLDER if self.merged else folder
            save_adapter(self.bundle.model, self.config, alone)
            if Share.here().first:
                save_companions(self.bundle, alone)
        if self.config is None or self.merged:
            state = plain_state(self.bundle.model, self.base)
            if Share.here().first:
                save_bundle(self.bundle, folder, state)


def adapted(bundle: Bundle, recipe: ScaledRecipe, init: Path | None) -> Result:
    """A network, loaded from `init`, that is trained whole, or by adapters, which are added. CooperError as `lora_config`."""
    if recipe.lora is None or init is None:
        return Result(bundle)
    config = add_adapters(bundle.model, recipe.lora, init, recipe.seed)
    return Result(bundle, config, recipe.lora.merged, None if recipe.quantise is None else bundle.stored)
