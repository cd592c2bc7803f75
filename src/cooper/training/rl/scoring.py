"""What was sampled, scored by one packed forward pass: same ids, same masks, same views, same temperature and vocabulary."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from cooper.model.flow import noisy_step
from cooper.sequence.packed import PackedSequence
from cooper.sequence.packing import Geometry, Row, pack
from cooper.sequence.segments import TextSegment
from cooper.sequence.tiles import tiled
from cooper.training.rl.policy import Scores, Words
from cooper.training.rl.rollouts import Drawing, Rollout, row_of

Forward = Callable[[PackedSequence, Words], Scores]  # a policy, or whatever wraps one


@dataclass(frozen=True)
class Scorer:
    """How rollouts of a checkpoint are scored."""

    geometry: Geometry
    words: Words

    def __call__(self, forward: Forward, rollouts: Sequence[Rollout], device: torch.device) -> list["ScoredRollout"]:
        """One forward pass; rollouts of one question share its tokens."""
        groups = together(rollouts)
        order = [place for group in groups for place in group]
        packed = tiled(pack([row_of([rollouts[place] for place in group]) for group in groups], self.geometry))
        dealt = scored([rollouts[place] for place in order], forward(packed.to(device), self.words))
        return [dealt[order.index(place)] for place in range(len(rollouts))]

    def idle(self, forward: Forward, device: torch.device) -> None:
        """A forward pass over next to nothing."""
        forward(pack([Row((TextSegment(()),))], self.geometry).to(device), self.words)


def together(rollouts: Sequence[Rollout]) -> list[list[int]]:
    """Places of the rollouts, those of one question together, in order of appearance."""
    groups: dict[int, list[int]] = {}
    for place, rollout in enumerate(rollouts):
        groups.setdefault(id(rollout.beginning), []).append(place)
    return list(groups.values())


@dataclass(frozen=True, eq=False)
class ScoredRollout:
    """Log-probability and entropy of every entry of one completion; 0 where the model wrote nothing."""

    logprobs: Tensor
    entropies: Tensor


def scored(rollouts: Sequence[Rollout], scores: Scores) -> list[ScoredRollout]:
    """Deal the scores of packed rollouts (in the order of the packed rows) out to their completions."""
    words, velocities, found = 0, 0, []
    for rollout in rollouts:
        logprobs, entropies = [], []
        for piece in rollout.pieces:
            count = len(piece.ids)
            nothing = scores.logprob_S.new_zeros(count)
            if piece.drawing is not None:
                steps, velocities = _scored_steps(piece.drawing, scores.velocity_MD, velocities)
                logprobs.append(steps)
                entropies.append(nothing)
            elif piece.written:
                logprobs.append(scores.logprob_S[words : words + count])
                entropies.append(scores.entropy_S[words : words + count])
                words += count
            else:
                logprobs.append(nothing)
                entropies.append(nothing)
        found.append(ScoredRollout(torch.cat(logprobs), torch.cat(entropies)))
    assert words == len(scores.logprob_S) and velocities == len(scores.velocity_MD), "scores left over"
    return found


def _scored_steps(drawing: Drawing, velocity_MD: Tensor, start: int) -> tuple[Tensor, int]:
    """Log-probabilities of the noisy steps of one map, and where the next map's velocities begin."""
    found = []
    for before, after, (t, t_next) in zip(drawing.before, drawing.after, drawing.times, strict=True):
        v_ND = velocity_MD[start : start + len(before.tokens_ND)]
        likely = noisy_step(before.tokens_ND.to(v_ND), v_ND, t, t_next, drawing.noise)
        found.append(likely.mean_logprob(after.to(v_ND)))
        start += len(before.tokens_ND)
    return torch.stack(found), start
