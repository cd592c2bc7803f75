"""A request on its way through the engine, and what it is told."""

import secrets
import time
from collections.abc import Callable
from dataclasses import dataclass, field

from PIL import Image

from cooper.reasoning.events import StepDone, TextDelta
from cooper.reasoning.options import Options, Request
from cooper.reasoning.session import PromptTokens
from cooper.trace.steps import Question
from cooper.trace.trace import Trace


@dataclass(frozen=True)
class Begun:
    """The engine has read the question; `prompt` counts what it read."""

    prompt: PromptTokens


@dataclass(frozen=True, eq=False)
class Preview:
    """A map under way, after `done` of `total` steps."""

    modality: str
    image: Image.Image | None
    done: int
    total: int


@dataclass(frozen=True, eq=False)
class Finished:
    """The whole answer."""

    trace: Trace


@dataclass(frozen=True, eq=False)
class Failed:
    """There will be no answer. `code` is one of those in docs/reference/http.md, `message` one sentence for the client."""

    code: str
    message: str


Told = Begun | TextDelta | StepDone | Preview | Finished | Failed


@dataclass(eq=False)
class Job:
    """One request. `tell` is called from the engine's thread and must return at once. `needed`: bytes of keys and values that
    it may come to hold. `previews`: whether maps under way are wanted."""

    question: Question
    request: Request
    options: Options
    needed: int
    tell: Callable[[Told], None]
    previews: bool = False
    id: str = field(default_factory=lambda: secrets.token_urlsafe(12))
    came: float = field(default_factory=time.monotonic)
    row: int | None = None
    wrote: float | None = None  # when its last token came
