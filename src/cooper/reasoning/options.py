"""How questions are to be answered, and which samples are asked for."""

from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Annotated, Any

from cooper.errors import CooperError
from cooper.files.values import AtLeast, AtMost, Weight, build, check_fields, read_values
from cooper.model.config import DrawingDefaults
from cooper.reasoning.context import Randomness
from cooper.reasoning.decoding import Sampling
from cooper.trace.modes import GivenMaps, Mode

Turns = Annotated[int, AtLeast(1), AtMost(100)]  # of text, in one answer


@dataclass(frozen=True)
class Options:
    """How a batch of questions is answered. `max_turns`: turns of text the model may write (published: 3).

    `draws` names the maps drawn first where the caller decides: mode "perception", and "map", which draws and writes nothing.
    `map_noise` above 0 draws maps by noisy steps and keeps their log-probabilities, for reinforcement learning (no guidance).
    `given`: what is read in place of maps of the model's own, as a control; "true" and "swap" are maps that the questions
    bring (`Question.known`). `deterministic`: each row is computed in passes of its own, so that on one machine its numbers are
    the same to the last bit, whatever else is in the batch; without it they agree up to rounding, and rows cost less.
    """

    mode: Mode = "interleaved"
    sampling: Sampling = Sampling()
    drawing: DrawingDefaults = DrawingDefaults()
    max_turns: Turns = 3
    draws: tuple[str, ...] = ("depth", "segmentation")
    map_noise: Weight = 0.0
    given: GivenMaps = "own"
    deterministic: bool = False

    def __post_init__(self) -> None:
        check_fields(self)
        if self.map_noise and self.guided:
            raise CooperError("maps drawn with map_noise are drawn without guidance: set drawing.text_scale to 1")

    @property
    def maps(self) -> tuple[str, ...]:
        """The maps drawn before the model writes anything."""
        return self.draws if self.mode in ("perception", "map") else ()

    @property
    def guided(self) -> bool:
        return self.drawing.text_scale > 1

    @property
    def guided_by_image(self) -> bool:
        return self.guided and self.drawing.image_scale > 1

    def record(self) -> dict[str, object]:
        """The settings as a trace keeps them."""
        return {
            "temperature": self.sampling.temperature,
            "top_p": self.sampling.top_p,
            "max_tokens": self.sampling.max_tokens,
            "max_turns": self.max_turns,
            "num_timesteps": self.drawing.num_timesteps,
            "timestep_shift": self.drawing.timestep_shift,
            "text_scale": self.drawing.text_scale,
            "image_scale": self.drawing.image_scale,
            "map_noise": self.map_noise,
            **({} if self.given == "own" else {"given_maps": self.given}),
            **({"deterministic": True} if self.deterministic else {}),
        }


@dataclass(frozen=True)
class Inference:
    """Settings of a run that stand in a file. Of `drawing`, keys that are not named stay as the checkpoint has them.
    `deterministic` as in `Options`."""

    sampling: Sampling = Sampling()
    drawing: Mapping[str, Any] = field(default_factory=dict)
    max_turns: Turns = 3
    deterministic: bool = False

    def __post_init__(self) -> None:
        if isinstance(self.drawing, DrawingDefaults):
            object.__setattr__(self, "drawing", asdict(self.drawing))
        check_fields(self)
        self.drawn_by(DrawingDefaults())

    def drawn_by(self, own: DrawingDefaults, where: str = "") -> DrawingDefaults:
        """How maps are drawn by a checkpoint that draws as `own` says. CooperError names the key, and the file `where`."""
        return build(DrawingDefaults, {**asdict(own), **self.drawing}, where, "drawing")


def read_inference(path: str | Path) -> Inference:
    """The settings in a file. CooperError names the file and the key."""
    values = read_values(path)
    if isinstance(values.get("drawing"), Mapping):
        build(DrawingDefaults, values["drawing"], str(path), "drawing")
    return build(Inference, values, str(path))


@dataclass(frozen=True, eq=False)
class Request:
    """One sample of one question. `script` holds turns to be written instead of sampled, to score a known chain of thought;
    the answer is held to the texts of `choices`, if there are any."""

    question: int
    random: Randomness
    seed: int = 0
    script: tuple[tuple[int, ...], ...] = ()
    choices: tuple[str, ...] = ()
