"""What is logged of a generation of rollouts beside what TRL logs."""

from collections.abc import Mapping, Sequence

import numpy as np

from cooper.curation.flags import FLAGS, Flag
from cooper.training.rollouts import Rollout
from cooper.training.sampler import Clock


def figures_of(rollouts: Sequence[Rollout], flags: Mapping[str, Flag], clock: Clock) -> dict[str, float]:
    """Maps per rollout by kind, the share that drew (over all, and by flag), truncated and unanswered rollouts, seconds.

    The clock is read and set back. Shares without rollouts are NaN, which TRL leaves out of its means.
    """
    kinds = sorted({step.modality for rollout in rollouts for step in rollout.trace.maps})
    found = {f"maps/{kind}": _mean([_drawn(rollout, kind) for rollout in rollouts]) for kind in kinds}
    found["maps/drawing"] = _mean([bool(rollout.trace.maps) for rollout in rollouts])
    for flag in FLAGS if flags else ():
        flagged = [rollout for rollout in rollouts if flags.get(rollout.item.id, "boundary") == flag]
        found[f"maps/drawing_{flag}"] = _mean([bool(rollout.trace.maps) for rollout in flagged])
    found["rollouts/truncated"] = _mean([any(turn.truncated for turn in rollout.trace.turns) for rollout in rollouts])
    found["rollouts/unanswered"] = _mean([rollout.trace.answer is None for rollout in rollouts])
    found["rollouts/turns"] = _mean([len(rollout.trace.turns) for rollout in rollouts])
    found["seconds/writing"], found["seconds/drawing"] = clock.writing, clock.drawing
    found["rollouts/halvings"] = float(clock.halvings)
    clock.writing = clock.drawing = 0.0
    return found


def _drawn(rollout: Rollout, kind: str) -> int:
    return sum(step.modality == kind for step in rollout.trace.maps)


def _mean(values: Sequence[float]) -> float:
    return float(np.mean(values)) if len(values) else float("nan")
