"""What each stage packs and trains, as a plan runs it."""

from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Any, Literal

from torch import Tensor, nn

from cooper.errors import CooperError
from cooper.model.config import CooperConfig
from cooper.model.cooper import CooperModel
from cooper.sequence.packed import PackedSequence
from cooper.sequence.packing import Row, pack
from cooper.sequence.tiles import tiled
from cooper.training.distilling import DistilledObjective, is_guided
from cooper.training.feed.packs import lines_of, tokens_of
from cooper.training.planning.rows import RowSizes, SizedRows
from cooper.training.planning.step import StepCost, StepSettings, cost_of_step
from cooper.training.recipe import Optimiser
from cooper.training.rl.policy import Policy, Words
from cooper.training.rl.recipe import GrpoRecipe
from cooper.training.scale.adapters import add_adapters
from cooper.training.stages.maps import AmgRecipe
from cooper.training.stages.objective import PackedObjective, freeze
from cooper.training.stages.reasoning import SftRecipe

PLANNED = ("amg", "sft", "grpo")


@dataclass(frozen=True, kw_only=True)
class StageLoad:
    """One step of a stage. `packs` of an update, over all processes. `sampling`: bytes of rollouts while they are written.
    `teacher`: bytes of a network that is learnt from."""

    cost: StepCost
    packs: int
    steps: int
    bf16: bool
    replicas: int | None
    quantise: Literal["4bit", "8bit"] | None = None
    sampling: float = 0.0
    whole_while_sampling: bool = False
    teacher: float = 0.0

    def shards(self, world: int) -> int:
        """Over how many processes weights are dealt out."""
        return 1 if self.replicas is None else max(1, world // self.replicas)


def load_of(recipe: Any, config: CooperConfig, sizes: RowSizes, world: int, accelerator: bool = True) -> StageLoad:
    """The load of a recipe on an accelerator, or on a processor. CooperError: a stage that cannot be planned."""
    rows = SizedRows(config, sizes)
    if isinstance(recipe, AmgRecipe):
        maps = max(1, min(sizes.maps, len(recipe.maps)))
        row = rows.of_maps(maps * recipe.draws, recipe.distil is not None and is_guided(config.drawing_defaults))
        return _supervised(recipe, rows, row, world, accelerator)
    if isinstance(recipe, SftRecipe):
        return _supervised(recipe, rows, rows.of_trace(), world, accelerator)
    if isinstance(recipe, GrpoRecipe):
        return _reinforced(recipe, rows, world, accelerator)
    raise CooperError(f"a plan is made of the stages {', '.join(PLANNED)}")


def _supervised(recipe: AmgRecipe | SftRecipe, rows: SizedRows, row: Row, world: int, accelerator: bool) -> StageLoad:
    optimiser, length = recipe.optimiser, tokens_of(row, rows.geometry)
    if recipe.packing is None:
        each, packs = optimiser.batch // (optimiser.accumulation * world), optimiser.accumulation * world
        if not each or optimiser.batch % packs:
            raise CooperError(f"optimiser.batch is {optimiser.batch}, which does not divide into {packs} packs")
        packed_rows = [row] * each
    else:
        packs = optimiser.batch
        if length > recipe.packing.sample:
            raise CooperError(
                f"a row has {length:,} tokens, above {recipe.packing.sample:,} (packing.sample): it would be dropped"
            )
        packed_rows = [row] * max(1, recipe.packing.maximum // length)
        packed_rows = lines_of(packed_rows, [length] * len(packed_rows))

    distil = getattr(recipe, "distil", None)

    def build(model: CooperModel) -> tuple[nn.Module, Callable[[PackedSequence], Tensor]]:
        if recipe.lora is not None:
            add_adapters(model, recipe.lora, "", recipe.seed)
        kind = PackedObjective if distil is None else DistilledObjective
        objective = kind(model, recipe.loss, recipe.frozen, recipe.checkpointing)
        if distil is not None and isinstance(objective, DistilledObjective):
            objective.distil(distil, rows.config.drawing_defaults, copied=False)
        return objective, lambda batch: objective(batch).sum()

    bf16 = optimiser.precision != "float32"
    sharded = recipe.sharding is not None and recipe.sharding.fsdp and world > 1
    settings = StepSettings(optimiser=optimiser, bf16=bf16, averaged=True, cached=not sharded, accelerator=accelerator)
    cost = cost_of_step(rows.config, build, tiled(pack(packed_rows, rows.geometry)), settings)
    replicas = recipe.sharding.replicas if recipe.sharding is not None and sharded else None
    teacher = 4.0 * cost.weights if distil is not None and recipe.lora is None else 0.0
    return StageLoad(
        cost=cost,
        packs=packs,
        steps=optimiser.steps,
        bf16=bf16,
        replicas=replicas,
        quantise=recipe.quantise,
        teacher=teacher,
    )


def _reinforced(recipe: GrpoRecipe, rows: SizedRows, world: int, accelerator: bool) -> StageLoad:
    config, sizes = rows.config, rows.sizes
    learnt = (sizes.maps + 1) * recipe.sampling.max_tokens
    written = replace(sizes, text=sizes.text - sizes.learnt + learnt, learnt=learnt)
    rows = SizedRows(config, written)
    together = min(recipe.rows, recipe.group)
    packed_rows = [rows.of_trace(copies=together)] * max(1, recipe.rows // together)

    def build(model: CooperModel) -> tuple[nn.Module, Callable[[PackedSequence], Tensor]]:
        if recipe.lora is not None:
            add_adapters(model, recipe.lora, "", recipe.seed)
        freeze(model, ("vae", *recipe.frozen))
        policy = Policy(model)
        if recipe.trl.get("gradient_checkpointing"):
            model.gradient_checkpointing_enable({"use_reentrant": False})
        words = Words(config.vocab_size)
        return policy, lambda batch: policy(batch, words).logprob_S.sum()

    bf16 = bool(recipe.trl.get("bf16"))
    optimiser = Optimiser(steps=recipe.steps, batch=1, learning_rate=recipe.learning_rate)
    sharded = bool(recipe.trl.get("fsdp")) and world > 1
    settings = StepSettings(optimiser=optimiser, bf16=bf16, averaged=False, cached=not sharded, accelerator=accelerator)
    cost = cost_of_step(config, build, tiled(pack(packed_rows, rows.geometry)), settings)
    one = tokens_of(rows.of_trace(), rows.geometry)
    cache = 2 * config.num_hidden_layers * config.num_key_value_heads * config.head_dim * 4
    return StageLoad(
        cost=cost,
        packs=recipe.accumulation(world) * world,
        steps=recipe.steps,
        bf16=bf16,
        replicas=1 if sharded else None,
        sampling=float(cache * one * recipe.at_once * recipe.group),
        whole_while_sampling=sharded,
    )
