"""The objective of stages 1 and 2 over packed sequences, and the parts that their rows share."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Annotated, Any

import torch
from torch import Tensor

from cooper.errors import CooperError
from cooper.files.values import AtLeast, AtMost, Weight
from cooper.model.cooper import CooperModel
from cooper.sequence.packed import PackedSequence
from cooper.training.bundles import Bundle
from cooper.training.loop.trainer import Objective
from cooper.training.scale.adapters import first_factors
from cooper.training.scale.results import Result, adapted

Draws = Annotated[int, AtLeast(1), AtMost(64)]  # noised copies of one target


@dataclass(frozen=True)
class LossWeights:
    """Weights of the mean cross-entropy of text and the mean squared error of velocities."""

    ce: Weight = 1.0
    mse: Weight = 1.0


class PackedObjective(Objective):
    """Cross-entropy and velocity error of a model; its autoencoder and the parts named `frozen` stay as they are.
    With `checkpointing` layers keep their input only, and are computed again for the gradients."""

    terms = ("ce", "mse")

    def __init__(
        self, model: CooperModel, weights: LossWeights, frozen: tuple[str, ...] = (), checkpointing: bool = False
    ) -> None:
        super().__init__()
        self.model = model
        if checkpointing:
            model.gradient_checkpointing_enable({"use_reentrant": False})
        self.weights = (weights.ce, weights.mse)
        self.stored: Mapping[str, Tensor] | None = None  # weights that are filled in as sharding deals them out
        freeze(model, ("vae", *frozen))

    def counts(self, batch: PackedSequence) -> Tensor:
        return torch.tensor([len(batch.targets.ids_S), len(batch.targets.velocity_index_M)], dtype=torch.float32)

    def forward(self, batch: PackedSequence) -> Tensor:
        losses = self.model.losses(batch)
        return torch.stack([losses.ce_sum, losses.mse_sum])


def trainee(bundle: Bundle, recipe: Any, kind: type[PackedObjective] = PackedObjective) -> tuple[PackedObjective, Result]:
    """The objective of a recipe of stage 1 or 2, and what is left of it at the end; adapters are added if the recipe has some.

    CooperError: parts or targets that the network does not have.
    """
    result = adapted(bundle, recipe, recipe.init)
    objective = kind(bundle.model, recipe.loss, recipe.frozen, recipe.checkpointing)
    if bundle.model.lm_head.weight.is_meta:
        assert bundle.stored is not None
        objective.stored = {**bundle.stored, **first_factors(bundle.model, recipe.seed)}
    return objective, result


def freeze(model: CooperModel, names: Sequence[str]) -> None:
    """Keep as they are all weights in whose dotted name `names` occur: `vit`, or `und` for one expert of every layer.

    CooperError: no weight has such a name.
    """
    weights = {f".{name}.": weight for name, weight in model.named_parameters()}
    for name in names:
        chosen = [weight for path, weight in weights.items() if f".{name}." in path]
        if not chosen:
            known = ", ".join(name for name, _ in model.named_children())
            raise CooperError(f"recipe: frozen names {name!r}, no part of the network; known: und, gen, {known}")
        for weight in chosen:
            weight.requires_grad_(False)
    if not any(weight.requires_grad for weight in weights.values()):
        raise CooperError("recipe: frozen leaves no weight that could be trained")
