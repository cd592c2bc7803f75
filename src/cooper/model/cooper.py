"""The unified network: one transformer that reads text and pictures, writes text, and predicts the velocity of a map.

L: packed tokens. U: understanding tokens. N: latent tokens. H: hidden width. V: vocabulary rows. D: width of a latent token.
"""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn.functional import cross_entropy
from transformers import AutoConfig, AutoModel

from cooper.model.attention import AttentionPlan, Backend
from cooper.model.cache import Cache
from cooper.model.checkpoints.loading import ReadsBothLayouts
from cooper.model.config import CooperConfig
from cooper.model.head import Head, Score, in_parts
from cooper.model.latents import PositionTable, TimeEmbedder, Waves
from cooper.model.mot import MotLayer, PerExpert, RMSNorm, Rotation, merge, rotation
from cooper.model.vae import Autoencoder
from cooper.model.vit import PICTURE_CHANNELS, Connector, Vit
from cooper.sequence.packed import PackedSequence


@dataclass(frozen=True, eq=False)
class Losses:
    """Summed losses with the number of terms in each, so that a trainer can normalise over a whole global batch."""

    ce_sum: Tensor
    ce_count: int
    mse_sum: Tensor
    mse_count: int


Step = Callable[[PackedSequence, Cache], Tensor]


class CooperModel(ReadsBothLayouts):
    """BAGEL-style mixture of transformers with its autoencoder and picture tower (spec sections 4 to 10)."""

    base_model_prefix = ""
    main_input_name = "packed"
    supports_gradient_checkpointing = True
    _no_split_modules = ["MotLayer", "SiglipEncoderLayer", "Autoencoder"]
    _supports_sdpa = True

    def __init__(self, config: CooperConfig) -> None:
        super().__init__(config)
        hidden, width = config.hidden_size, config.latent_token_width
        waves = Waves(config.position_scale, config.position_base)
        self.embed_tokens = nn.Embedding(config.vocab_size, hidden)
        self.vit = Vit(config.vit_geometry)
        self.connector = Connector(config.vit_geometry.hidden_size, hidden)
        self.vit_pos = PositionTable(config.vit_side, hidden, waves)
        self.latent_in = nn.Linear(width, hidden)
        self.latent_out = nn.Linear(hidden, width)
        self.latent_pos = PositionTable(config.latent_side, hidden, waves)
        self.time_embedder = TimeEmbedder(hidden)
        self.layers = nn.ModuleList(MotLayer(config, layer) for layer in range(config.num_hidden_layers))
        self.norm = PerExpert(lambda: RMSNorm(hidden, eps=config.rms_norm_eps))
        self.lm_head = Head(hidden, config.vocab_size)
        self.vae = Autoencoder(config.vae_geometry)
        self.attention_backend: Backend = "sdpa"
        self.gradient_checkpointing = False
        self.traced: Step | None = None  # `trunk`, compiled for the steps of decoding
        self.complete = False  # with gradients, run every part, as `PerExpert` does
        self.post_init()

    def get_input_embeddings(self) -> nn.Module:
        return self.embed_tokens

    def get_output_embeddings(self) -> nn.Module:
        return self.lm_head

    def embed(self, packed: PackedSequence) -> Tensor:
        """Embeddings [L, H] of all tokens, understanding tokens first."""
        text, vit, latents = packed.text, packed.vit, packed.latents
        words = self.embed_tokens(text.ids_T)
        und_UH = words.new_zeros(packed.und, words.shape[-1]).index_copy(0, text.index_T, words)
        complete = self.complete and torch.is_grad_enabled()
        if vit.lengths:
            seen = self.connector(self.vit(vit.patches_PC.to(words.dtype), vit.position_P, vit.lengths))
            seen = seen + self.vit_pos(vit.position_P).to(seen)
            und_UH = und_UH.index_copy(0, vit.index_P, seen.to(und_UH))
        elif complete:
            blank = words.new_zeros(1, PICTURE_CHANNELS * self.config.vit_geometry.patch_size**2)
            seen = self.connector(self.vit(blank, vit.position_P.new_zeros(1), (1,)))
            und_UH = und_UH + 0 * seen.sum()
        if not len(latents.t_N) and not complete:
            return und_UH
        gen_NH = self.latent_in(latents.tokens_ND.to(words.dtype))
        gen_NH = gen_NH + self.time_embedder(latents.t_N).to(gen_NH.device)
        gen_NH = gen_NH + self.latent_pos(latents.position_N).to(gen_NH)
        return torch.cat([und_UH, gen_NH.to(und_UH)])

    def forward(self, packed: PackedSequence, cache: Cache | None = None) -> Tensor:
        """Final hidden states [L, H], in packed order. With a cache, the rows continue what it holds and are added to it."""
        if cache is None:
            return self.trunk(packed)
        cache.reserve(packed.splits.slot_BQ.shape[1])
        step = self.traced if self.traced and packed.splits.even else self.trunk
        hidden_LH = step(packed, cache)
        cache.advance(packed.splits.kept)
        return hidden_LH

    def trunk(self, packed: PackedSequence, cache: Cache | None = None) -> Tensor:
        """As `forward`, where the cache has room and keeps its lengths: tensors in, tensors out, nothing read back to the host,
        so that it can be traced whole and replayed until the buffers of the cache grow."""
        x_LH = self.embed(packed)
        plan = AttentionPlan(packed, cache, self.attention_backend)
        turn = Rotation(*rotation(packed.position_L, self.config.head_dim, self.config.rope_theta))
        for layer in self.layers:
            if self.gradient_checkpointing and torch.is_grad_enabled():
                x_LH = self._gradient_checkpointing_func(layer.__call__, x_LH, turn, plan)
            else:
                x_LH = layer(x_LH, turn, plan)
        return self.norm(x_LH, packed.und)

    def merge(self) -> "CooperModel":
        """Compute what has one input in one product where no gradients are wanted; weights keep their names. It is called once
        the weights lie where they stay, and does nothing where layers lie on several devices."""
        if not getattr(self, "hf_device_map", None):
            for layer in self.layers:
                assert isinstance(layer, MotLayer)
                merge(layer)
        return self

    def trace_steps(self, **options: Any) -> "CooperModel":
        """Compile the steps of decoding, each one graph, by `torch.compile` with these options; the first tokens then take a
        minute or more. Tried on CPUs only."""
        self.traced = torch.compile(self.trunk, fullgraph=True, **options)
        return self

    def text_logits(self, hidden_LH: Tensor) -> Tensor:
        """Next-token logits [L, V] of understanding tokens."""
        return self.lm_head(hidden_LH)

    def scored(self, hidden_SH: Tensor, ids_S: Tensor, score: Score) -> tuple[Tensor, ...]:
        """What `score` says of the logits and ids of tokens, without the logits [S, V] of all of them at once."""
        if isinstance(self.lm_head, Head):
            return self.lm_head(hidden_SH, ids_S, score)
        if self.complete:  # an adapted head that is sharded: all ranks must call it equally often
            return score(self.text_logits(hidden_SH), ids_S)
        return in_parts(self.text_logits, self.config.vocab_size, hidden_SH=hidden_SH, ids_S=ids_S, score=score)

    def velocity(self, hidden_NH: Tensor) -> Tensor:
        """Velocities noise - x_0 [N, D] of latent tokens."""
        return self.latent_out(hidden_NH)

    def losses(self, packed: PackedSequence) -> Losses:
        """Cross-entropy on text targets and squared error on velocities (mean over a token's numbers), summed over tokens.

        Where a batch has none of one kind, its sum is a zero that still touches the head, so that every rank has gradients.
        """
        hidden_LH = self(packed)
        targets = packed.targets
        (ce_K,) = self.scored(hidden_LH[targets.index_S], targets.ids_S, _cross_entropy)
        drawn_MD = self.velocity(hidden_LH[packed.und :][targets.velocity_index_M])
        mse = (drawn_MD.float() - targets.velocity_MD).pow(2).mean(-1).sum() if len(drawn_MD) else drawn_MD.sum()
        return Losses(ce_K.sum(), len(targets.ids_S), mse, len(drawn_MD))


def _cross_entropy(logits_SV: Tensor, ids_S: Tensor) -> tuple[Tensor]:
    """Summed over some tokens, [1]; without any a zero that still touches the logits."""
    summed = cross_entropy(logits_SV.float(), ids_S, reduction="sum") if len(ids_S) else logits_SV.sum()
    return (summed[None],)


AutoConfig.register("cooper", CooperConfig)
AutoModel.register(CooperConfig, CooperModel)
