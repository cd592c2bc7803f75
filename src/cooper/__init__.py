"""COOPER: a unified model that draws depth and segmentation maps while it reasons about a picture.

`Cooper`, `Trace`, `Question`, `Reading`, `Sampling`, `Options`, `ask`, `stream`, `example` and `__version__` are the door. They
are found when first used, so that importing this package loads no torch.
"""

import logging
from collections.abc import Iterator, Sequence
from importlib import import_module
from importlib.metadata import version
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from cooper.files.pictures import Picture
    from cooper.perception.modality import Reading
    from cooper.reasoning.cooper import Cooper
    from cooper.reasoning.decoding import Sampling
    from cooper.reasoning.events import Event
    from cooper.reasoning.options import Options
    from cooper.trace.example import example
    from cooper.trace.modes import AnswerMode
    from cooper.trace.steps import Question
    from cooper.trace.trace import Trace

    __version__: str

__all__ = ["Cooper", "Options", "Question", "Reading", "Sampling", "Trace", "__version__", "ask", "example", "stream"]

for _library in ("torchao", "bitsandbytes", "torch.utils._pytree", "diffusers.quantizers"):
    logging.getLogger(_library).setLevel(logging.ERROR)  # with the extra `quant` they log at import what no user can heed

_PLACES = {
    "Cooper": "cooper.reasoning.cooper",
    "Options": "cooper.reasoning.options",
    "Question": "cooper.trace.steps",
    "Reading": "cooper.perception.modality",
    "Sampling": "cooper.reasoning.decoding",
    "Trace": "cooper.trace.trace",
    "example": "cooper.trace.example",
}


def ask(
    image: "Picture | Sequence[Picture] | Question",
    question: str | None = None,
    model: str = "nano",
    mode: "AnswerMode" = "interleaved",
    seed: int = 0,
    **asked: Any,
) -> "Trace":
    """Load a model and answer a question; `asked` as in `Cooper.ask`, which is there for a model that stays loaded."""
    from cooper.reasoning.cooper import Cooper

    return Cooper.from_pretrained(model).ask(image, question, mode, seed, **asked)


def stream(
    image: "Picture | Sequence[Picture] | Question",
    question: str | None = None,
    model: str = "nano",
    mode: "AnswerMode" = "interleaved",
    seed: int = 0,
    **asked: Any,
) -> "Iterator[Event]":
    """As `ask`, but yields text, maps and steps as they come; the whole trace is the last event."""
    from cooper.reasoning.cooper import Cooper

    return Cooper.from_pretrained(model).stream(image, question, mode, seed, **asked)


def __getattr__(name: str) -> object:
    if name == "__version__":
        return version("cooper")
    if name not in _PLACES:
        raise AttributeError(f"module 'cooper' has no attribute {name!r}")
    return vars(import_module(_PLACES[name]))[name]


def __dir__() -> list[str]:
    return sorted(__all__)
