"""The network as reinforcement learning trains it: one forward pass that scores what was sampled.

S: scored positions. V: tokens that may be sampled. M: noised latents. D: width of a latent token.
"""

from copy import deepcopy
from dataclasses import dataclass

import torch
from torch import Tensor
from transformers import GenerationConfig, PreTrainedModel

from cooper.model.config import CooperConfig
from cooper.model.cooper import CooperModel
from cooper.reasoning.decoding import word_logprobs
from cooper.sequence.packed import PackedSequence


@dataclass(frozen=True)
class Words:
    """The distribution that tokens were sampled from: the first `vocabulary` logits at a temperature."""

    vocabulary: int
    temperature: float = 1.0

    def score(self, logits_SV: Tensor, ids_S: Tensor) -> tuple[Tensor, Tensor]:
        """Log-probability and entropy (nats) of tokens, [S] each."""
        scores_SV = word_logprobs(logits_SV, self.vocabulary, self.temperature)
        return scores_SV.gather(1, ids_S[:, None])[:, 0], -(scores_SV.exp() * scores_SV).sum(-1)


@dataclass(frozen=True, eq=False)
class Scores:
    """In packed order: log-probability and entropy (nats) of every target token, and the velocities of noised latents."""

    logprob_S: Tensor
    entropy_S: Tensor
    velocity_MD: Tensor


class Policy(PreTrainedModel):
    """Holds the network as `cooper`. Scoring is its `forward`, so that whatever wraps it (DDP, FSDP, PEFT) sees one call."""

    config_class = CooperConfig
    base_model_prefix = "cooper"
    main_input_name = "packed"
    supports_gradient_checkpointing = True
    _supports_sdpa = True
    _no_split_modules = ["MotLayer", "SiglipEncoderLayer", "Autoencoder"]

    def __init__(self, cooper: CooperModel) -> None:
        super().__init__(deepcopy(cooper.config))  # TRL writes into it
        self.cooper = cooper
        self.generation_config = GenerationConfig()

    def get_input_embeddings(self) -> torch.nn.Module:
        return self.cooper.embed_tokens

    def get_output_embeddings(self) -> torch.nn.Module:
        return self.cooper.lm_head

    def forward(self, packed: PackedSequence, words: Words) -> Scores:
        """Score the targets of packed rollouts. Next-token targets were shifted by the packer, as everywhere."""
        hidden_LH = self.cooper(packed)
        targets = packed.targets
        logprob_S, entropy_S = self.cooper.scored(hidden_LH[targets.index_S], targets.ids_S, words.score)
        velocity_MD = self.cooper.velocity(hidden_LH[packed.und :][targets.velocity_index_M]).float()
        nothing = 0 * velocity_MD.sum()  # without maps to score, the head of velocities still has gradients on every rank
        return Scores(
            logprob_S + nothing,
            entropy_S,
            velocity_MD,
        )
