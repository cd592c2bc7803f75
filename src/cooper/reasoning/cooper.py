"""The door for people: load a checkpoint, ask about pictures, draw maps."""

import warnings
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import torch
from PIL import Image

from cooper.errors import CooperError
from cooper.files.arguments import brief, seed_of, short, shown, whole, words
from cooper.files.hub import resolve
from cooper.files.pictures import Picture, opened
from cooper.model.checkpoints.placing import placement
from cooper.model.config import DrawingDefaults
from cooper.model.cooper import CooperModel
from cooper.model.devices import Device, renamed
from cooper.perception.modality import Modality, Reading, build_modalities
from cooper.reasoning.decoding import Sampling
from cooper.reasoning.drawn_map import DrawnMap
from cooper.reasoning.engine import Engine
from cooper.reasoning.events import Event, TraceDone
from cooper.reasoning.options import Inference, Options, Request
from cooper.reasoning.questions import (
    MAP_MODES,
    MOST_TOKENS,
    checked_questions,
    known_maps,
    notes_on,
    requests_of,
    unread_notes,
)
from cooper.reasoning.session import Parts, companions_of
from cooper.sequence.images import Remembered
from cooper.sequence.layout import Layout
from cooper.sequence.processor import Processor
from cooper.trace.asked import options_in, question_of
from cooper.trace.modes import AnswerMode, GivenMaps, answer_mode, given_maps
from cooper.trace.prompts import Prompts
from cooper.trace.steps import MapStep, Question
from cooper.trace.trace import Trace

Known = Reading | np.ndarray | torch.Tensor  # a map that comes with a question


@dataclass(frozen=True, eq=False, repr=False)
class Cooper:
    """A loaded model with everything it needs to answer. Make one with `Cooper.from_pretrained`."""

    engine: Engine
    defaults: Options

    def __repr__(self) -> str:
        model, maps = self.engine.parts.model, ", ".join(self.modalities) or "no maps"
        size = sum(weight.numel() for weight in model.parameters())
        return short(
            f"<Cooper {brief(self.engine.name)}: {size / 1e6:,.1f} million parameters on {model.device}, draws {maps}>"
        )

    @classmethod
    def from_pretrained(
        cls,
        name_or_path: str | Path = "nano",
        base: str | Path | None = None,
        dtype: torch.dtype | str | None = None,
        device_map: Device | dict[str, Device] | None = None,
        prompts: Prompts | str | Path | None = None,
        quantization: Any = None,
        **synonyms: Any,
    ) -> "Cooper":
        """Load "nano" (bundled), a directory or a hub id, in our layout or the published one.

        `base` names the directory that holds configuration and tokenizer of bare published weights. `device_map` None means
        the accelerator, if there is one. `dtype` None means the stored type there, and on a CPU float32, or bfloat16 where
        only that fits into the free memory. `prompts` replaces the checkpoint's own. `quantization`: "int8" or "4bit"
        weights in the decoder, or a `BitsAndBytesConfig` or `TorchAoConfig` of transformers. `device` and `torch_dtype` are
        other names of `device_map` and `dtype`.

        Raises CooperError before weights are read if they need more memory than is free, and for an argument that there is
        not.
        """
        given = {"name_or_path": name_or_path, "base": base, "dtype": dtype, "device_map": device_map, "prompts": prompts}
        named = renamed({**given, "quantization": quantization}, synonyms)
        directory = resolve(name_or_path)
        base_directory = resolve(base) if base is not None else None
        placed = placement(
            directory, base_directory, dtype=named["dtype"], device_map=named["device_map"], quantization=quantization
        )
        model = CooperModel.from_pretrained(
            directory,
            base=base_directory,
            dtype=placed.dtype,
            device_map=placed.device_map,
            **({} if quantization is None else {"quantization_config": quantization}),
        ).eval()
        return cls.of(model, *companions_of(model, directory, base_directory, prompts), str(name_or_path))

    @classmethod
    def of(cls, model: CooperModel, processor: Processor, prompts: Prompts, name: str = "") -> "Cooper":
        """Put a model in memory together with its processor and prompts."""

        @torch.no_grad()
        def latent_of(image: Image.Image) -> torch.Tensor:
            return model.vae.latents(processor.vae_pixels(image)[None].to(model.device))[0].float()

        layout = Layout(processor, model.config.view_rules, Remembered(latent_of))
        parts = Parts(model.merge(), layout, prompts, build_modalities(model.config.modalities))
        return cls(Engine(parts, name), Options(drawing=model.config.drawing_defaults))

    @property
    def modalities(self) -> dict[str, Modality]:
        """The maps this model draws, by name."""
        return dict(self.engine.parts.modalities)

    def options(
        self,
        mode: AnswerMode = "interleaved",
        sampling: Sampling | None = None,
        drawing: DrawingDefaults | None = None,
        max_turns: int | None = None,
        given: GivenMaps = "own",
    ) -> Options:
        """This model's defaults, with what is named in their place. An unknown mode raises CooperError. `given`: which maps
        are read where the model asks for some."""
        chosen = replace(self.defaults, mode=answer_mode(mode), given=given_maps(given))
        chosen = replace(chosen, sampling=sampling) if sampling else chosen
        chosen = replace(chosen, drawing=drawing) if drawing else chosen
        return replace(chosen, max_turns=whole(max_turns, "max_turns", 1)) if max_turns is not None else chosen

    def with_inference(self, asked: Inference) -> "Cooper":
        """The same model with other defaults for sampling, drawing and turns."""
        own = replace(self.defaults, sampling=asked.sampling, max_turns=asked.max_turns, deterministic=asked.deterministic)
        return replace(self, defaults=replace(own, drawing=asked.drawn_by(own.drawing)))

    def compiled(self, **options: Any) -> "Cooper":
        """The same model, its steps of writing compiled by `torch.compile` with these options. Worth it where many tokens are
        written: the first ones take a minute or more, and a compiler must be there. Answers stay the same, up to rounding.
        """
        self.engine.parts.model.trace_steps(**options)
        return self

    def ask(
        self,
        image: Picture | Sequence[Picture] | Question,
        question: str | None = None,
        mode: AnswerMode = "interleaved",
        seed: int = 0,
        subject: int = -1,
        known: Mapping[str, Known] | None = None,
        choices: Sequence[str] | None = None,
    ) -> Trace:
        """Answer a question about one or more pictures, or a `Question`. `subject` counts the picture a map is drawn of (-1:
        the last); maps of it in `known`, such as measured depth in metres, `{"depth": metres_HW}`, are read where the model
        asks for them, and not drawn.

        The answer is one of `choices`, if there are any. By default they are the options that the question lists, if the
        checkpoint answers with the words of an option (nano does), else none; () leaves the answer free.
        Raises CooperError for what no question can be made of.
        """
        *_, last = self.stream(image, question, mode, seed, subject, known, choices)
        assert isinstance(last, TraceDone)
        return last.trace

    def stream(
        self,
        image: Picture | Sequence[Picture] | Question,
        question: str | None = None,
        mode: AnswerMode = "interleaved",
        seed: int = 0,
        subject: int = -1,
        known: Mapping[str, Known] | None = None,
        choices: Sequence[str] | None = None,
    ) -> Iterator[Event]:
        """As `ask`, but yields text, drawing progress and finished steps as they come; the whole trace is the last event."""
        options = self.options(mode)
        if known and mode not in MAP_MODES:
            warnings.warn(f"the mode {mode} reads no maps, so the known ones are passed over", stacklevel=3)
        asked, request = self.prepared(self._asked(image, question, subject, known), options, seed, choices)
        return self._noted(self.engine.run([asked], [request], options), asked)

    def prepared(
        self, question: Question, options: Options, seed: int = 0, choices: Sequence[str] | None = None
    ) -> tuple[Question, Request]:
        """A question as the engine takes it, and the request for one answer: what `ask` makes of its arguments, for callers
        that run the engine themselves. CooperError: for what no question can be made of."""
        (asked,) = self._checked([question], options)
        return asked, replace(requests_of([asked], 1, seed_of(seed))[0], choices=self._choices(asked, choices))

    def noted(self, trace: Trace, question: Question) -> Trace:
        """The trace with what should be said of it: pictures unlike those that the model was trained on, known maps that it has
        not read."""
        notes = notes_on(self.engine.familiarity, question.images)
        return replace(trace, notes=notes + unread_notes(question, trace))

    def batch(
        self,
        questions: Sequence[Question],
        options: Options | None = None,
        seed: int = 0,
        samples: int = 1,
        choices: Sequence[str] | None = (),
    ) -> list[list[Trace]]:
        """Answer many questions in one go, `samples` times each. Sample k of a question has the seed `seed + k`.

        A question with an id mixes the id into its random numbers, so an answer does not depend on its neighbours. `choices`
        as in `ask`, but answers are free by default, as benchmarks score them; None holds each to the options of its question.
        Raises CooperError naming the question at fault.
        """
        chosen = self.defaults if options is None else options
        asked = self._checked(questions, chosen)
        held = [self._choices(question, choices) for question in asked]
        requests = [replace(each, choices=held[each.question]) for each in requests_of(asked, samples, seed_of(seed))]
        events = self.engine.run(asked, requests, chosen) if asked else ()
        traces = {event.row: event.trace for event in events if isinstance(event, TraceDone)}
        noted = [
            replace(traces[row], notes=unread_notes(asked[each.question], traces[row])) for row, each in enumerate(requests)
        ]
        return [noted[at : at + samples] for at in range(0, len(noted), samples)]

    def depth(self, image: Picture, seed: int = 0, native: bool = False) -> DrawnMap:
        """Draw the depth of a picture; it comes back at the picture's size, with `native` at the size it was drawn."""
        return self._map(image, "depth", seed, native)

    def segment(self, image: Picture, seed: int = 0, native: bool = False) -> DrawnMap:
        """Draw the segmentation of a picture; it comes back at the picture's size, with `native` at the size it was drawn."""
        return self._map(image, "segmentation", seed, native)

    def draw(self, images: Sequence[Picture], modality: str, seed: int = 0, names: Sequence[str] = ()) -> list[MapStep]:
        """Draw one map of each picture, all together. Without `names`, all maps start from the same noise."""
        if isinstance(images, str | bytes) or not isinstance(images, Sequence):
            raise CooperError(f"images must be a list of pictures, not {shown(images)}; `depth` and `segment` take one")
        if names and len(names) != len(images):
            raise CooperError(f"there are {len(names)} names for {len(images)} pictures; give one each, or none")
        named = zip(map(opened, images), names or [""] * len(images), strict=True)
        questions = [Question((image,), id=name) for image, name in named]
        options = replace(self.defaults, mode="map", draws=(modality,))
        return [traces[0].maps[0] for traces in self.batch(questions, options, seed)]

    def _asked(
        self,
        image: Picture | Sequence[Picture] | Question,
        question: str | None,
        subject: int,
        known: Mapping[str, Known] | None,
    ) -> Question:
        if isinstance(image, Question):
            if question is not None:
                raise CooperError("a Question holds its own words; give no other question beside it")
            return image if known is None else replace(image, known=known)
        if question is None:
            raise CooperError("a picture needs a question")
        return replace(question_of(image, question, subject), known=known)

    def _noted(self, events: Iterator[Event], question: Question) -> Iterator[Event]:
        """The same events; the trace is noted."""
        for event in events:
            yield TraceDone(event.row, self.noted(event.trace, question)) if isinstance(event, TraceDone) else event

    def _choices(self, question: Question, given: Sequence[str] | None) -> tuple[str, ...]:
        """The texts that an answer is held to."""
        if given is None:
            return options_in(question.text) if self.engine.parts.model.config.answers_in_words else ()
        if isinstance(given, str) or not isinstance(given, Sequence):
            raise CooperError(f"choices must be a list of texts, not {shown(given)}")
        choices = tuple(words(choice, f"choice {place}").strip() for place, choice in enumerate(given))
        if not all(choices) or len(set(choices)) != len(choices):
            raise CooperError("choices must be texts that are not empty and differ from one another")
        return choices

    def _checked(self, questions: Sequence[Question], options: Options) -> list[Question]:
        """Questions as the engine takes them. CooperError names the one at fault, also one that is too long."""
        if not isinstance(options, Options):
            raise CooperError(f"options must be Options, as `Cooper.options` gives them, not {shown(options)}")
        asked = checked_questions(questions, options)
        encode = self.engine.parts.layout.processor.encode_plain
        for place, question in enumerate(asked):
            length = len(encode(question.text))
            if length > MOST_TOKENS:
                raise CooperError(f"question {place} has {length} tokens; at most {MOST_TOKENS} are read")
        modalities, grid = self.modalities, self.engine.parts.layout.processor.vae
        return [replace(question, known=known_maps(question, modalities, grid)) for question in asked]

    def _map(self, image: Picture, modality: str, seed: int, native: bool) -> DrawnMap:
        source = opened(image)
        options = replace(self.defaults, mode="map", draws=(modality,))
        asked = Question((source,))
        *_, last = self._noted(self.engine.run([asked], requests_of([asked], 1, seed_of(seed)), options), asked)
        assert isinstance(last, TraceDone)
        trace, step = last.trace, last.trace.maps[0]
        assert step.reading is not None
        canvas = self.engine.parts.layout.processor.canvas(source)
        if native:
            return DrawnMap(step.reading, step.image, canvas, trace, source.width / source.height)
        shown_large = step.image.resize(source.size, Image.Resampling.BILINEAR)
        return DrawnMap(step.reading.resized(*source.size), shown_large, source, trace, source.width / source.height)
