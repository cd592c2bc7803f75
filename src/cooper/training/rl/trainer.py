"""Group relative policy optimisation (Shao et al. 2024) by the installed TRL, with rollouts that draw.

Four overrides, nothing copied. A rollout travels beside TRL's lists, which hold its entries (see `rollouts.Rollout`); its
log-probabilities come from one packed pass over what the sampler kept. B: rollouts. C: the longest completion.
"""

from collections.abc import Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass
from typing import Any

import torch
from datasets import Dataset
from torch import Tensor
from torch.nn.utils.rnn import pad_sequence
from transformers import PreTrainedTokenizerFast, TrainerCallback
from trl import GRPOConfig
from trl.models import unwrap_model_for_generation

from cooper.data.batches import rng_of
from cooper.errors import CooperError
from cooper.training.rl.cards import WithoutCards
from cooper.training.rl.figures import Timing, figures_of, log_each, stds_in_groups
from cooper.training.rl.policy import Policy
from cooper.training.rl.rewards.reward import Reward, as_trl
from cooper.training.rl.rollouts import Rollout
from cooper.training.rl.sampler import Sampler
from cooper.training.rl.samples import Sampled, fault_folder, keep
from cooper.training.rl.scoring import Scorer
from cooper.training.rl.tasks import Tasks
from cooper.training.scale.sharding import gathered


@dataclass(frozen=True, eq=False)
class Reinforcing:
    """What a run is made of: tasks, how they are sampled, `group` rollouts each, and scored, and the terms of the reward."""

    policy: Policy
    tasks: Tasks
    sampler: Sampler
    scorer: Scorer
    rewards: Sequence[Reward]
    tokenizer: PreTrainedTokenizerFast
    group: int


class InterleavedGRPOTrainer(WithoutCards):
    """TRL's trainer for rollouts with maps in them."""

    def __init__(
        self, run: Reinforcing, args: GRPOConfig, callbacks: Sequence[TrainerCallback] = (), peft_config: Any = None
    ) -> None:
        self.run_of = run
        self.rows: list[dict[str, Any]] = []
        self.rollouts: list[Rollout] = []  # those being scored
        self.generation: list[Rollout] = []  # all of the last generation
        self.timing = Timing(lambda name, seconds: self._metrics["train"][name].append(seconds))
        super().__init__(
            model=run.policy,
            reward_funcs=[as_trl(reward, run.group) for reward in run.rewards],
            args=args,
            train_dataset=Dataset.from_dict({"prompt": [""] * len(run.tasks.order), "row": run.tasks.order}),
            processing_class=run.tokenizer,
            callbacks=[self.timing, *callbacks],
            peft_config=peft_config,
            rollout_func=self.sample,
        )

    def sample(self, prompts: Sequence[str], trainer: Any) -> dict[str, Any]:
        """Our engine in place of TRL's generation. The seed follows from the step and the question alone, so a resumed run and
        one on more processes sample the same."""
        numbers = [row["row"] for row in self.rows[:: self.run_of.group]]
        part = self._step % self.args.gradient_accumulation_steps
        seed = int(rng_of(self.args.seed, self.state.global_step, part, 17).integers(2**62))
        with unwrap_model_for_generation(self.model_wrapped, self.accelerator), self.whole(), self.accelerator.autocast():
            self.rollouts = self.run_of.tasks.sampled(self.run_of.sampler, numbers, self.run_of.group, seed)
        log_each(figures_of(self.rollouts, self.run_of.tasks, self.run_of.sampler, self.args.world_size), self._log_metric)
        return {
            "prompt_ids": [[self._tokenizer.eos_token_id]] * len(prompts),
            "completion_ids": [rollout.ids for rollout in self.rollouts],
            "logprobs": [rollout.logprobs for rollout in self.rollouts],
            "env_mask": [rollout.mask for rollout in self.rollouts],
            "rollout": self.rollouts,
        }

    def whole(self) -> AbstractContextManager[None]:
        """Sharded weights, whole on every rank."""
        wrapped: Any = self.model_wrapped
        return gathered(wrapped, lambda: self.run_of.scorer.idle(wrapped, self.accelerator.device))

    def samples(self, count: int) -> list[Sampled]:
        """The first rollouts of the last generation with their rewards."""
        return [
            Sampled(rollout, {name: values[place] for name, values in self._logs["rewards"].items()})
            for place, rollout in enumerate(self.generation[:count])
        ]

    def _generate_and_score_completions(self, inputs: list[dict[str, Any]]) -> dict[str, Any]:
        if len(inputs) % self.run_of.group:
            raise CooperError(f"each process samples {len(inputs)} rollouts at a time, no multiple of {self.run_of.group}")
        self.rows = inputs
        out = super()._generate_and_score_completions(inputs)
        out["rollout"] = self.generation = self.rollouts
        out["old_per_token_logps"] = out["sampling_per_token_logps"]  # the sampler's own, whatever the number of iterations
        return out

    def _calculate_rewards(self, *given: Any) -> Tensor:
        """A rollout that one term could not judge has no reward: TRL then leaves it out. Its sum would take the term for 0."""
        terms_BK = super()._calculate_rewards(*given)
        terms_BK = terms_BK.masked_fill(terms_BK.isnan().any(1, keepdim=True), torch.nan)
        rewards_B = (terms_BK * self.reward_weights.to(terms_BK.device)).sum(1)
        log_each({"reward_std_in_group": stds_in_groups(rewards_B, self.run_of.group)}, self._log_metric)
        return terms_BK

    def _compute_loss(self, model: Any, inputs: dict[str, Any]) -> Tensor:
        self.rollouts = inputs["rollout"]
        loss = super()._compute_loss(model, inputs)
        if not torch.isfinite(loss):
            place = keep(self.rollouts, fault_folder(self.args, self.state.global_step + 1))
            raise CooperError(f"the loss is not a number at step {self.state.global_step + 1}; its rollouts are in {place}")
        return loss

    def _get_per_token_logps_and_entropies(
        self,
        model: Any,
        input_ids: Tensor,
        attention_mask: Tensor,
        logits_to_keep: int,
        batch_size: int | None = None,
        compute_entropy: bool = False,
        compute_aux_loss: bool = False,
        **nothing: Any,
    ) -> tuple[Tensor, Tensor | None, None]:
        """Log-probabilities [B, C] of every entry that the model wrote, with maps in context; 0 elsewhere."""
        rollouts = self.rollouts
        assert len(rollouts) == len(input_ids), "these are not the rollouts of this batch"
        size, found = batch_size or len(rollouts), []
        with self.timing.scoring():
            for first in range(0, len(rollouts), size):
                found += self.run_of.scorer(model, rollouts[first : first + size], input_ids.device)
        logprobs_BC, entropies_BC = (
            _padded([getattr(each, name) for each in found], logits_to_keep) for name in ("logprobs", "entropies")
        )
        return logprobs_BC, entropies_BC if compute_entropy else None, None


def _padded(rows: Sequence[Tensor], width: int) -> Tensor:
    padded = pad_sequence(list(rows), batch_first=True)
    return torch.nn.functional.pad(padded, (0, width - padded.shape[1]))
