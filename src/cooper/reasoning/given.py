"""Maps that a row reads without drawing them: those that its question comes with, and the controls of an evaluation.

H, W: pixels of the grid on which maps of the picture are drawn.
"""

import numpy as np

from cooper.perception.modality import Drawn, Modality
from cooper.reasoning.session import Sample, Session
from cooper.trace.steps import MapStep

GREY = 0.5  # of a blank map, in each channel of the drawn picture


def given_step(session: Session, row: int) -> MapStep | None:
    """The map that a row reads next without drawing it; None where it must draw.

    A known map of the question comes first, whatever the options say. "repeat" has none to repeat before the first map.
    """
    sample, given = session.samples[row], session.options.given
    question = session.questions[sample.request.question]
    modality = session.parts.modalities[sample.wants[0]]
    if modality.name in question.known:
        return _step(modality, modality.encode(question.known[modality.name]))
    if given == "repeat":
        return next((step for step in sample.steps if isinstance(step, MapStep)), None)
    if given in ("blank", "noise"):
        canvas = session.parts.layout.processor.canvas(question.images[question.subject])
        shape = (canvas.height, canvas.width, 3)
        return _step(modality, np.full(shape, GREY, np.float32) if given == "blank" else _noise(sample, shape))
    return None


def _noise(sample: Sample, shape: tuple[int, int, int]) -> Drawn:
    """Even noise in [0, 1], from the row's own random numbers."""
    seed = int(sample.request.random.uniform() * 2**53)
    return np.random.default_rng(seed).random(shape, dtype=np.float32)


def _step(modality: Modality, drawn: Drawn) -> MapStep:
    """A drawn picture as the model reads one of its own."""
    return MapStep(modality.name, drawn, modality.render(drawn), reading=modality.decode(drawn))
