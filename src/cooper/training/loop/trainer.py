"""transformers.Trainer for our batches: summed losses, each normalised by its own count over the whole global batch.

K: terms of the loss.
"""

import warnings
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any, Protocol

import torch
from safetensors.torch import load_file, save_file
from torch import Tensor, nn
from transformers import TrainerCallback, TrainerControl, TrainerState, TrainingArguments
from transformers.trainer_callback import PrinterCallback, ProgressCallback
from transformers.trainer_utils import SaveStrategy

from cooper.data.batches import Batches, BatchPart
from cooper.errors import CooperError
from cooper.evaluation.runs.processes import PATIENCE
from cooper.model.devices import computes_bf16
from cooper.training.feed.feeding import Keeping, RowFeed
from cooper.training.loop.averaging import Average
from cooper.training.loop.curves import draw_curves
from cooper.training.loop.folder import MODEL_FOLDER, plain
from cooper.training.loop.optimisers import build_optimiser
from cooper.training.loop.sealing import STATE_FILE, Sealing, resume_point
from cooper.training.loop.stopping import Finite, Interrupted, Stopping
from cooper.training.loop.watching import METRICS_FILE, Evaluating, read_metrics, watchers
from cooper.training.recipe import Optimiser, RecordSettings, warn_of_warmup
from cooper.training.scale.sharding import ShardingSettings, agreed, gathered, is_sharded, shard, whole
from cooper.training.scale.shards import WithShards, load_weights, trained_weights

WEIGHTS_FILE = "model.safetensors"


class Objective(nn.Module):
    """A model with its loss. `terms` names the K parts of the loss; `weights` says how they add up."""

    terms: tuple[str, ...] = ()
    weights: tuple[float, ...] = ()

    def counts(self, batch: Any) -> Tensor:
        """How much of each term one batch holds, [K]."""
        raise NotImplementedError

    def forward(self, batch: Any) -> Tensor:
        """The terms, each summed over the batch, [K]; with gradients for every trainable weight."""
        raise NotImplementedError


class Movable(Protocol):
    def to(self, device: torch.device) -> Any: ...


@dataclass(frozen=True, eq=False)
class TrainingPlan:
    """What a trainer runs: an objective, where its batches come from, how weights move, and what is left behind."""

    objective: Objective
    make_batch: Callable[[range], Movable] | RowFeed
    optimiser: Optimiser
    record: RecordSettings
    folder: Path
    seed: int
    sharding: ShardingSettings | None = None


class PackedTrainer(WithShards):
    """Trains an `Objective`. Batches come from our own stateless loader, so nothing is sharded or skipped behind our back."""

    loss_is_scaled_for_ga = True

    def __init__(self, plan: TrainingPlan, callbacks: Sequence[TrainerCallback] = ()) -> None:
        self.plan, args = plan, _arguments(plan)  # which also opens the group of processes
        bf16 = _uses_bf16(plan.optimiser, args.device)
        self.in_shards = plan.sharding is not None and plan.sharding.fsdp
        if plan.sharding is not None and self.in_shards:
            shard(plan.objective, plan.sharding, args.device, bf16)
        super().__init__(
            model=plan.objective,
            args=args,
            callbacks=[_Averaging(self), Stopping(), Finite(), *_kept(plan.make_batch), Sealing(), *callbacks],
        )
        for default in (PrinterCallback, ProgressCallback):
            self.remove_callback(default)
        self.average = Average(plan.objective, plan.optimiser.ema, plan.optimiser.ema_warmup)
        self.bf16 = bf16 and not is_sharded(plan.objective)  # FSDP computes in bfloat16 by itself
        if is_sharded(plan.objective):
            self.accelerator.prepare_model = partial(self.accelerator.prepare_model, evaluation_mode=True)  # no DDP around it
        self._terms = torch.zeros(len(plan.objective.terms))

    def get_train_dataloader(self) -> Iterable[Any]:  # pyright: ignore[reportIncompatibleMethodOverride]
        optimiser = self.plan.optimiser
        share = BatchPart(optimiser.batch, optimiser.accumulation, self.args.process_index, self.args.world_size)
        batches = feed.batches if isinstance(feed := self.plan.make_batch, RowFeed) else partial(Batches, feed)
        return batches(share, optimiser.steps, lambda: self.state.global_step)

    def _get_num_items_in_batch(self, batch_samples: list[Any], device: torch.device) -> Tensor:
        total = torch.zeros(len(self.plan.objective.terms), device=device)
        for batch in batch_samples:
            total += self.plan.objective.counts(batch).to(device)
        return self._summed(total)

    def _summed(self, values: Tensor) -> Tensor:
        """The sum over all processes; each of them must ask for it."""
        if self.args.world_size > 1:
            torch.distributed.all_reduce(values)
        return values

    def _prepare_inputs(self, inputs: Any) -> Any:
        return inputs.to(self.args.device)

    def compute_loss(  # pyright: ignore[reportIncompatibleMethodOverride]
        self, model: nn.Module, inputs: Any, return_outputs: bool = False, num_items_in_batch: Tensor | None = None
    ) -> Tensor:
        assert num_items_in_batch is not None
        with torch.autocast(self.args.device.type, torch.bfloat16, enabled=self.bf16):
            sums = model(inputs)
        parts = sums / num_items_in_batch.clamp(min=1) * self.args.world_size
        if not torch.isfinite(parts).all():
            step = self.state.global_step + 1
            raise CooperError(
                f"the loss is not a number at step {step}: {self._named(parts)}; lower optimiser.learning_rate and resume"
            )
        self._terms += parts.detach().cpu() / self.args.world_size
        return (parts * torch.tensor(self.plan.objective.weights, device=parts.device)).sum()

    def create_optimizer(self, model: nn.Module | None = None) -> torch.optim.Optimizer:
        if self.optimizer is None:
            self.optimizer = build_optimiser(self.plan.objective, self.plan.optimiser)
        return self.optimizer

    def _clip_grad_norm(self, model: nn.Module) -> Tensor:
        weights = [weight for weight in model.parameters() if weight.grad is not None]
        norm = whole(nn.utils.get_total_norm([weight.grad for weight in weights if weight.grad is not None]))
        nn.utils.clip_grads_with_norm_(weights, self.plan.optimiser.clip, norm)
        return norm

    def floating_point_ops(self, inputs: Any) -> int:
        """Not counted: batches are no mappings of tensors."""
        return 0

    def _named(self, parts: Tensor) -> str:
        values = parts.detach().tolist()
        return ", ".join(f"{name} {value:.4g}" for name, value in zip(self.plan.objective.terms, values, strict=True))

    def log(self, logs: dict[str, float], start_time: float | None = None) -> None:
        """Adds the terms, summed over processes and averaged over the steps since the last line."""
        if "loss" in logs:
            steps = max(1, self.state.global_step - self._last_logged)
            terms = self._summed(self._terms.to(self.args.device)) / steps  # every process logs at the same steps
            logs = logs | dict(zip(self.plan.objective.terms, terms.tolist(), strict=True))
            if isinstance(self.plan.make_batch, RowFeed):
                sums = self._summed(self.plan.make_batch.sums().to(self.args.device))
                logs = logs | self.plan.make_batch.figures(sums, self.args.world_size)
            self._terms.zero_()
            self._last_logged = self.state.global_step
        super().log(logs, start_time)

    _last_logged = 0

    def _save(self, output_dir: str | None = None, state_dict: dict[str, Tensor] | None = None) -> None:
        if self.in_shards or not self.args.should_save:
            return  # shards are written with the optimiser's
        folder = Path(output_dir) if output_dir else self.plan.folder
        folder.mkdir(parents=True, exist_ok=True)
        trained = trained_weights(self.plan.objective)
        save_file({name: weight.detach().contiguous() for name, weight in trained.items()}, folder / WEIGHTS_FILE)
        self.average.save(folder)

    def _load_from_checkpoint(self, resume_from_checkpoint: str, model: nn.Module | None = None) -> None:
        folder = Path(resume_from_checkpoint)
        state = TrainerState.load_from_json(str(folder / STATE_FILE))
        self._last_logged = state.global_step
        if isinstance(self.plan.make_batch, RowFeed):
            self.plan.make_batch.load(folder)
        if self.in_shards:
            load_weights(folder, self.plan.objective, self.average.weights)
            self.average.updates = state.global_step
            return
        if not (folder / WEIGHTS_FILE).is_file():
            raise CooperError(f"{folder} was written with sharding, and can only be gone on from with it (`sharding: {{}}`)")
        stored = load_file(folder / WEIGHTS_FILE)
        trained = trained_weights(self.plan.objective)
        if stored.keys() != trained.keys():
            odd = sorted(stored.keys() ^ trained.keys())[0]
            raise CooperError(f"{folder} belongs to another model: {odd} is not in both")
        with torch.no_grad():
            for name, weight in trained.items():
                weight.copy_(stored[name])
        self.average.load(folder, state.global_step, self.args.device)

    def run(self) -> None:
        """Train from the last complete checkpoint of the run folder, or from the start. Raises Interrupted on a signal."""
        last = resume_point(self.plan.folder)
        self.train(resume_from_checkpoint=str(last) if last else None)
        step = self.state.global_step
        if step < self.plan.optimiser.steps:
            raise Interrupted(step, self.plan.folder / f"checkpoint-{step}")


def _arguments(plan: TrainingPlan) -> TrainingArguments:
    optimiser, record = plan.optimiser, plan.record
    warn_of_warmup(optimiser.warmup, optimiser.steps, optimiser.learning_rate)
    return TrainingArguments(
        output_dir=str(plan.folder),
        max_steps=optimiser.steps,
        per_device_train_batch_size=1,
        gradient_accumulation_steps=optimiser.accumulation,
        learning_rate=optimiser.learning_rate,
        warmup_steps=optimiser.warmup,
        lr_scheduler_type="cosine" if optimiser.schedule == "cosine" else "constant_with_warmup",
        max_grad_norm=optimiser.clip,
        logging_steps=record.log_every,
        logging_nan_inf_filter=False,
        save_strategy=SaveStrategy.STEPS,
        save_steps=record.save_every,
        save_total_limit=record.keep,
        ignore_data_skip=True,  # the loader starts at the right step by itself
        remove_unused_columns=False,
        disable_tqdm=True,
        report_to=[],
        seed=plan.seed,
        use_cpu=not torch.cuda.is_available(),
        ddp_timeout=int(PATIENCE),  # the others wait while the first process writes a model
    )


def _uses_bf16(optimiser: Optimiser, device: torch.device) -> bool:
    """Whether products are computed in bfloat16; a warning where the recipe wants it and the device computes it slowly."""
    if optimiser.precision == "bf16" and not computes_bf16(device):
        warnings.warn(
            f"this {device.type} has no instructions for bfloat16 and computes it many times more slowly than float32; "
            "optimiser.precision=auto takes what is fast",
            stacklevel=2,
        )
    return optimiser.precision == "bf16" or (optimiser.precision == "auto" and computes_bf16(device))


def _kept(batches: Any) -> list[TrainerCallback]:
    return [Keeping(batches)] if isinstance(batches, RowFeed) else []


class _Averaging(TrainerCallback):
    def __init__(self, trainer: PackedTrainer) -> None:
        self._trainer = trainer

    def on_step_end(self, args: TrainingArguments, state: TrainerState, control: TrainerControl, **kwargs: Any) -> None:
        self._trainer.average.update(self._trainer.plan.objective)


def _is_best(name: str, measured: Mapping[str, float], folder: Path, step: int) -> bool:
    """Whether a figure is higher than at all earlier evaluations. CooperError: it is not measured."""
    if name not in measured:
        raise CooperError(f"record.best is {name!r}, which is not measured; there is {', '.join(measured) or 'nothing'}")
    lines = [line for line in read_metrics(folder / METRICS_FILE) if line["step"] < step]
    return measured[name] > max((line[f"eval_{name}"] for line in lines if f"eval_{name}" in line), default=float("-inf"))


def run_stage(
    stage: str,
    recipe: Any,
    objective: Objective,
    make_batch: Callable[[range], Movable] | RowFeed,
    figures: Callable[[int], Mapping[str, float]],
    export: Callable[[Path], None],
) -> Path:
    """Train an objective as a recipe says, with all that is watched, then write curves and the model of averaged weights.

    `figures`: what is measured at intervals, by the number of the step, on every process: they share the work. `export` writes
    the model into a folder, and is called on every process where weights are sharded.
    """
    sharding = getattr(recipe, "sharding", None)
    plan = TrainingPlan(objective, make_batch, recipe.optimiser, recipe.record, recipe.out, recipe.seed, sharding)
    trainer = PackedTrainer(plan, watchers(stage, recipe.out, recipe.record, plain(recipe)))
    model, first = plan.folder / MODEL_FOLDER, trainer.is_world_process_zero()
    exports = first or is_sharded(objective)

    def measure(step: int) -> Mapping[str, float]:
        with trainer.average.applied(objective):
            with gathered(objective):
                measured = figures(step)
            best = not plan.record.best or agreed(first and _is_best(plan.record.best, measured, plan.folder, step))
            if best and exports:
                export(model)
        return measured

    trainer.add_callback(Evaluating(plan.record.eval_every, measure, trainer.log))
    trainer.run()
    if not plan.record.best and exports:
        with trainer.average.applied(objective):
            export(model)
    if first:
        draw_curves(plan.folder / METRICS_FILE, plan.folder / "curves.svg")
    return model
