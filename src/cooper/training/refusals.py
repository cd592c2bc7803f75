"""How often a training on scenes asks each kind of question, and whether its result may say that it cannot see a thing."""

from collections.abc import Mapping
from pathlib import Path

from cooper.errors import CooperError
from cooper.scenes.examples import SceneExamples
from cooper.scenes.questions.categories import categories_of
from cooper.scenes.questions.question import CANNOT_SEE
from cooper.training.bundles import Bundle

ABSENT = "absent"


def weights_of(folder: Path, asked: Mapping[str, float]) -> Mapping[str, float]:
    """The weight of each category that the scenes of a folder have, 1 where none is `asked` for. CooperError: they have no such
    questions, or none is left."""
    known = categories_of(SceneExamples(folder, 1).scene(0))
    for name in asked:
        if name not in known:
            raise CooperError(f"categories names {name!r}, but the scenes of {folder} have: {', '.join(known)}")
    weights = {name: asked.get(name, 1.0) for name in known}
    if not any(weights.values()):
        raise CooperError(f"categories leaves nothing to ask: all of {', '.join(known)} weigh 0")
    return weights


def allow_refusals(bundle: Bundle, weights: Mapping[str, float]) -> None:
    """Let the configuration of a model say how it refuses, where questions about things that are not there teach it to."""
    if weights.get(ABSENT, 0.0) > 0 and not bundle.model.config.refusal:
        bundle.model.config.refusal = CANNOT_SEE
