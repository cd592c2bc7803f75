"""The door for people: load a checkpoint, ask about pictures, draw maps."""

import warnings
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import torch
from PIL import Image

from cooper.errors import CooperError
from cooper.files.hub import resolve
from cooper.files.pictures import Picture, opened
from cooper.model.checkpoint import is_published_layout
from cooper.model.config import DrawingDefaults
from cooper.model.cooper import CooperModel
from cooper.model.loading import Device
from cooper.model.published import Places
from cooper.perception.depth import PointCloud, point_cloud
from cooper.perception.modality import Modality, Reading, build_modalities
from cooper.reasoning.engine import Engine
from cooper.reasoning.events import Event, TraceDone
from cooper.reasoning.options import Inference, Options, Request
from cooper.reasoning.session import Parts
from cooper.reasoning.text import Sampling, Seeded
from cooper.sequence.layout import Layout
from cooper.sequence.processor import Processor
from cooper.trace.prompts import DEFAULT, FILE_NAME, Prompts
from cooper.trace.trace import MapStep, Mode, Question, Trace

MODES: tuple[Mode, ...] = ("interleaved", "perception", "text", "direct")
LONGEST_QUESTION = 20_000  # characters


@dataclass(frozen=True, eq=False)
class DrawnMap:
    """A map of a picture: what it means (`reading`), how it looks (`picture`), and the picture it was drawn of.

    `reading.arrays["depth"]` is float32 [H, W] with `reading.units["depth"]` "m" or "relative"; segmentation has int32 arrays
    "labels" and "instances" [H, W], and `reading.names` says what a label means. `trace` records how it was drawn.
    """

    reading: Reading
    picture: Image.Image
    source: Image.Image
    trace: Trace

    def point_cloud(self, field_of_view: float = 60.0) -> PointCloud:
        """The coloured points of a depth map for a horizontal field of view in degrees. Units are those of the depth."""
        if "depth" not in self.reading.arrays:
            raise CooperError("a point cloud needs a depth map, and this map is none")
        return point_cloud(self.reading.arrays["depth"], np.asarray(self.source), field_of_view)


@dataclass(frozen=True, eq=False)
class Cooper:
    """A loaded model with everything it needs to answer. Make one with `Cooper.from_pretrained`."""

    engine: Engine
    defaults: Options

    @classmethod
    def from_pretrained(
        cls,
        name_or_path: str | Path = "nano",
        base: str | Path | None = None,
        dtype: torch.dtype | str | None = None,
        device_map: Device | dict[str, Device] | None = None,
        prompts: Prompts | str | Path | None = None,
    ) -> "Cooper":
        """Load "nano" (bundled), a directory or a hub id, in our layout or the published one.

        `base` names the directory that holds configuration and tokenizer of bare published weights. `dtype` None means
        float32 on a CPU, else the stored type. `prompts` replaces the checkpoint's own. Raises CooperError.
        """
        directory = resolve(name_or_path)
        base_directory = resolve(base) if base is not None else None
        on_cpu = device_map is None or device_map == "cpu"
        model = CooperModel.from_pretrained(
            directory,
            base=base_directory,
            dtype=dtype or (torch.float32 if on_cpu else "auto"),
            device_map=device_map,
        ).eval()
        tokenizer = Places(directory, base_directory).find("tokenizer.json")
        if tokenizer is None:
            raise CooperError(f"{directory} holds no tokenizer.json" + ("" if base else "; name the base directory that does"))
        return cls.of(
            model, model.config.processor(tokenizer.parent), _prompts(prompts, directory, base_directory), str(name_or_path)
        )

    @classmethod
    def of(cls, model: CooperModel, processor: Processor, prompts: Prompts, name: str = "") -> "Cooper":
        """Put a model in memory together with its processor and prompts."""

        @torch.no_grad()
        def latent_of(image: Image.Image) -> torch.Tensor:
            pixels = processor.vae_pixels(image)[None].to(model.device)
            return model.vae.latents(pixels)[0].float()

        layout = Layout(processor, model.config.view_rules, latent_of)
        parts = Parts(model, layout, prompts, build_modalities(model.config.modalities))
        return cls(Engine(parts, name), Options(drawing=model.config.drawing_defaults))

    @property
    def modalities(self) -> dict[str, Modality]:
        """The maps this model draws, by name."""
        return dict(self.engine.parts.modalities)

    def options(
        self,
        mode: Mode = "interleaved",
        sampling: Sampling | None = None,
        drawing: DrawingDefaults | None = None,
        max_turns: int | None = None,
    ) -> Options:
        """This model's defaults, with what is given in their place. An unknown mode raises CooperError."""
        if mode not in MODES:
            raise CooperError(f"unknown mode {mode!r}; modes: {', '.join(MODES)}")
        chosen = replace(self.defaults, mode=mode)
        chosen = replace(chosen, sampling=sampling) if sampling else chosen
        chosen = replace(chosen, drawing=drawing) if drawing else chosen
        return replace(chosen, max_turns=max_turns) if max_turns else chosen

    def with_inference(self, asked: Inference) -> "Cooper":
        """The same model with other defaults for sampling, drawing and turns."""
        drawing = asked.drawing or self.defaults.drawing
        return replace(
            self, defaults=replace(self.defaults, sampling=asked.sampling, drawing=drawing, max_turns=asked.max_turns)
        )

    def ask(
        self,
        image: Picture | Sequence[Picture],
        question: str,
        mode: Mode = "interleaved",
        seed: int = 0,
        subject: int = -1,
        known: Mapping[str, Reading] | None = None,
    ) -> Trace:
        """Answer a question about one or more pictures. `subject` counts the picture a map is drawn of (-1: the last); maps of
        it in `known`, for example measured depth as `{"depth": Reading({"depth": metres_HW}, {"depth": "m"})}`, are read
        where the model asks for them, and not drawn."""
        asked = replace(question_of(image, question, subject), known=known or {})
        return self.batch([asked], self.options(mode), seed)[0][0]

    def stream(
        self, image: Picture | Sequence[Picture], question: str, mode: Mode = "interleaved", seed: int = 0, subject: int = -1
    ) -> Iterator[Event]:
        """As `ask`, but yields text, drawing progress and finished steps as they come; the whole trace is the last event."""
        asked = question_of(image, question, subject)
        yield from self.engine.run([asked], [Request(0, Seeded(seed), seed)], self.options(mode))

    def batch(
        self, questions: Sequence[Question], options: Options | None = None, seed: int = 0, samples: int = 1
    ) -> list[list[Trace]]:
        """Answer many questions in one go, `samples` times each. Sample k of a question has the seed `seed + k`.

        A question with an id mixes the id into its random numbers, so an answer does not depend on its neighbours.
        """
        requests = requests_of(questions, samples, seed)
        done: list[list[Trace]] = [[] for _ in questions]
        events = self.engine.run(questions, requests, options or self.defaults)
        traces = {event.row: event.trace for event in events if isinstance(event, TraceDone)}
        for row, request in enumerate(requests):
            done[request.question].append(traces[row])
        return done

    def depth(self, image: Picture, seed: int = 0) -> DrawnMap:
        """Draw the depth of a picture."""
        return self._map(image, "depth", seed)

    def segment(self, image: Picture, seed: int = 0) -> DrawnMap:
        """Draw the segmentation of a picture."""
        return self._map(image, "segmentation", seed)

    def draw(self, images: Sequence[Picture], modality: str, seed: int = 0, names: Sequence[str] = ()) -> list[MapStep]:
        """Draw one map of each picture, all together. Each begins with the noise of its own name; without, all with one."""
        named = zip(images, names or [""] * len(images), strict=True)
        questions = [Question((opened(image),), id=name) for image, name in named]
        options = replace(self.defaults, mode="map", draws=(modality,))
        return [traces[0].maps[0] for traces in self.batch(questions, options, seed)]

    def _map(self, image: Picture, modality: str, seed: int) -> DrawnMap:
        source = opened(image)
        options = replace(self.defaults, mode="map", draws=(modality,))
        trace = self.batch([Question((source,))], options, seed)[0][0]
        step = trace.maps[0]
        assert step.reading is not None
        return DrawnMap(step.reading, step.image, self.engine.parts.layout.processor.canvas(source), trace)


def question_of(image: Picture | Sequence[Picture], text: str, subject: int = -1) -> Question:
    """Pictures first, then the text. Raises CooperError for an empty or endless question, or a picture that is not there."""
    pictures = [image] if isinstance(image, Image.Image | str | Path) else list(image)
    if not text.strip():
        raise CooperError("the question is empty")
    if len(text) > LONGEST_QUESTION:
        raise CooperError(f"the question has {len(text)} characters; at most {LONGEST_QUESTION} are read")
    if not pictures:
        raise CooperError("a question needs at least one picture")
    if not -len(pictures) <= subject < len(pictures):
        raise CooperError(f"picture {subject} is asked for, but there are {len(pictures)}, counted from 0")
    return Question((*(opened(picture) for picture in pictures), text), subject)


def requests_of(questions: Sequence[Question], samples: int, seed: int) -> list[Request]:
    """`samples` requests for each question, one question after the other; sample k has the seed `seed + k`."""
    return [
        Request(number, Seeded(_mixed(seed + k, question.id)), seed + k)
        for number, question in enumerate(questions)
        for k in range(samples)
    ]


def _mixed(seed: int, name: str) -> int:
    """A seed that differs between questions with different ids."""
    return (seed + sum(byte * 1_000_003**place for place, byte in enumerate(name.encode(), 1))) % 2**63


def _prompts(given: Prompts | str | Path | None, directory: Path, base: Path | None) -> Prompts:
    if isinstance(given, Prompts):
        return given
    path = Path(given) if given is not None else directory / FILE_NAME
    if given is None and not path.is_file():
        warnings.warn(
            f"{directory} holds no {FILE_NAME}: the wording of this project is used, which these weights were not trained with",
            stacklevel=3,
        )
        published = is_published_layout(directory, base)  # which has no system text where nothing is reasoned
        return replace(DEFAULT, system={**DEFAULT.system, "direct": ""}) if published else DEFAULT
    return Prompts.from_json(path)
