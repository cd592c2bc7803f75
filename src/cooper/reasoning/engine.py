"""The engine: think -> perceive -> reflect -> answer, for many rows at once, as a stream of events.

All rows that write decode together until each stops, then all rows that want a map draw together, and so on until every row
has answered. A question's pictures and words are read once, whatever the number of its samples.
"""

import time
from collections import deque
from collections.abc import Generator, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace

import numpy as np
import torch

from cooper.errors import CooperError
from cooper.model.config import DrawingDefaults
from cooper.model.cooper import CooperModel
from cooper.perception.modality import Modality
from cooper.reasoning.context import EMPTY, Context, begin, extend
from cooper.reasoning.events import (
    DrawingProgress,
    Event,
    StepDone,
    TextDelta,
    TraceDone,
)
from cooper.reasoning.image import Drawer, Progress, draw
from cooper.reasoning.text import (
    NewToken,
    Randomness,
    Sampling,
    Writer,
    Written,
    write_turns,
)
from cooper.sequence.layout import Layout
from cooper.sequence.segments import Segment, TextSegment, tokens_latent
from cooper.trace.grammar import Answer, Perceive, parse_turn
from cooper.trace.prompts import Prompts
from cooper.trace.trace import MapStep, Mode, Question, Step, TextStep, Trace


@dataclass(frozen=True)
class Options:
    """How a batch of questions is answered. `max_turns`: turns of text the model may write (published: 3).

    `draws` names the maps drawn first where the caller decides: mode "perception", and "map", which draws and writes nothing.
    """

    mode: Mode = "interleaved"
    sampling: Sampling = Sampling()
    drawing: DrawingDefaults = DrawingDefaults()
    max_turns: int = 3
    draws: tuple[str, ...] = ("depth", "segmentation")

    @property
    def maps(self) -> tuple[str, ...]:
        """The maps drawn before the model writes anything."""
        return self.draws if self.mode in ("perception", "map") else ()

    @property
    def guided(self) -> bool:
        return self.drawing.text_scale > 1


@dataclass(frozen=True, eq=False)
class Request:
    """One sample of one question. `script` holds turns to be written instead of sampled (to score a known chain of thought)."""

    question: int
    random: Randomness
    seed: int = 0
    script: tuple[tuple[int, ...], ...] = ()


@dataclass(eq=False)
class _Row:
    """The engine's own state of one sample: its contexts, what it has done, and what it will do next."""

    request: Request
    main: Context
    without_text: Context
    without_image: Context
    script: deque[tuple[int, ...]]
    wants: deque[str]  # modalities to draw before writing on
    turns: int
    steps: list[Step] = field(default_factory=list)

    @property
    def writes(self) -> bool:
        return not self.wants and self.turns > 0


@dataclass(frozen=True, eq=False)
class Engine:
    """Grows traces with a model. `modalities` are the maps it can draw, by name; `name` is kept in the traces."""

    model: CooperModel
    layout: Layout
    prompts: Prompts
    modalities: Mapping[str, Modality]
    name: str = ""

    @torch.no_grad()
    def run(
        self,
        questions: Sequence[Question],
        requests: Sequence[Request],
        options: Options,
    ) -> Iterator[Event]:
        """Answer every request; events come as they happen, one TraceDone per request."""
        rows = self._start(questions, requests, options)
        live = list(range(len(rows)))
        while live:
            writing = [i for i in live if rows[i].writes]
            yield from self._write(rows, writing, options)
            drawing = [i for i in live if rows[i].wants]
            yield from self._draw(rows, drawing, questions, options)
            for i in [i for i in live if not rows[i].wants and rows[i].turns <= 0]:
                yield TraceDone(i, self._trace(rows[i], questions, options))
                live.remove(i)

    def _start(
        self,
        questions: Sequence[Question],
        requests: Sequence[Request],
        options: Options,
    ) -> list[_Row]:
        """Read every question once and fork a row per request."""
        mode = options.mode
        for name in options.maps:
            self._modality(name)
        system = self.prompts.system.get(mode, "")
        chains = [self.layout.question(question, mode, system) for question in questions]
        mains = begin(self.model, self.layout.processor.geometry, chains)
        words = [[s for s in chain if isinstance(s, TextSegment)] for chain in chains]
        guided_by_image = options.guided and options.drawing.image_scale > 1
        blind = self._extend([EMPTY] * len(chains), words) if guided_by_image else [EMPTY] * len(chains)
        turns = 0 if mode == "map" else options.max_turns
        return [
            _Row(
                r,
                mains[q],
                mains[q],
                blind[q],
                deque(r.script),
                deque(options.maps),
                turns,
            )
            for r, q in ((r, r.question) for r in requests)
        ]

    def _extend(self, contexts: Sequence[Context], segments: Sequence[Sequence[Segment]]) -> list[Context]:
        return extend(self.model, self.layout.processor.geometry, contexts, segments)

    def _modality(self, name: str) -> Modality:
        if name not in self.modalities or name not in self.prompts.requests:
            raise CooperError(f"this checkpoint draws no {name} maps; it draws: {', '.join(self.modalities) or 'none'}")
        return self.modalities[name]

    # ---- writing

    def _write(self, rows: Sequence[_Row], chosen: Sequence[int], options: Options) -> Generator[Event, None, None]:
        if not chosen:
            return
        processor, started = self.layout.processor, time.perf_counter()
        writers = [
            Writer(
                rows[i].main,
                rows[i].request.random,
                rows[i].script.popleft() if rows[i].script else (),
            )
            for i in chosen
        ]
        ids: list[list[int]] = [[] for _ in chosen]
        shown = [""] * len(chosen)
        for event in write_turns(
            self.model,
            processor.geometry,
            processor.vocabulary,
            writers,
            options.sampling,
        ):
            if isinstance(event, NewToken):
                ids[event.row].append(event.token)
                text = processor.decode(ids[event.row])
                if not text.endswith("\ufffd") and len(text) > len(shown[event.row]):
                    yield TextDelta(chosen[event.row], text[len(shown[event.row]) :])
                    shown[event.row] = text
            else:
                self._take_turn(
                    rows[chosen[event.row]],
                    event,
                    time.perf_counter() - started,
                    options,
                )
        self._follow(rows, chosen, options)
        for i in chosen:
            yield StepDone(i, rows[i].steps[-1])

    def _take_turn(self, row: _Row, turn: Written, seconds: float, options: Options) -> None:
        """Decide what a turn asks for. A turn without a tag stays in the context and the row writes on."""
        text = self.layout.processor.decode(list(turn.token_ids))
        row.steps.append(
            TextStep(
                text,
                turn.token_ids,
                turn.logprobs,
                truncated=turn.truncated,
                seconds=seconds,
            )
        )
        tags = {self.modalities[n].tag: n for n in self.prompts.requests if n in self.modalities}
        said = parse_turn(text, list(tags) if options.mode == "interleaved" else [])
        row.turns = 0 if isinstance(said, Answer) else row.turns - 1
        if isinstance(said, Perceive) and row.turns > 0:
            row.wants.append(tags[said.tag])
        row.without_text, row.main = row.main, turn.context

    def _follow(self, rows: Sequence[_Row], chosen: Sequence[int], options: Options) -> None:
        """Keep the guidance contexts of rows that go on: the turn without its request, and the turn without the picture."""
        if not options.guided:
            return
        on = [i for i in chosen if rows[i].turns > 0]
        steps = [rows[i].steps[-1] for i in on]
        turns = [self.layout.turn(step) for step in steps if isinstance(step, TextStep)]
        rests: list[list[Segment]] = []
        for i, turn in zip(on, turns, strict=True):
            tag = self.modalities[rows[i].wants[0]].tag if rows[i].wants else ""
            parsed = parse_turn(rows[i].steps[-1].text, [tag]) if tag else None
            rest = self.layout.processor.encode(parsed.rest) if isinstance(parsed, Perceive) else turn.ids
            rests.append([replace(turn, ids=rest)])
        for i, context in zip(on, self._extend([rows[i].without_text for i in on], rests), strict=True):
            rows[i].without_text = context
        self._extend_blind(rows, on, [[turn] for turn in turns], options)

    def _extend_blind(
        self,
        rows: Sequence[_Row],
        chosen: Sequence[int],
        segments: Sequence[Sequence[Segment]],
        options: Options,
    ) -> None:
        if options.guided and options.drawing.image_scale > 1:
            for i, context in zip(
                chosen,
                self._extend([rows[i].without_image for i in chosen], segments),
                strict=True,
            ):
                rows[i].without_image = context

    # ---- drawing

    def _draw(
        self,
        rows: Sequence[_Row],
        chosen: Sequence[int],
        questions: Sequence[Question],
        options: Options,
    ) -> Generator[Event, None, None]:
        if not chosen:
            return
        if options.mode != "interleaved":
            yield from self._request(rows, chosen, options)
        started, geometry = time.perf_counter(), self.layout.processor.geometry
        drawers = [self._drawer(rows[i], questions[rows[i].request.question]) for i in chosen]
        latents: Sequence[torch.Tensor] = ()
        for event in draw(self.model, geometry, drawers, options.drawing):
            if isinstance(event, Progress):
                yield DrawingProgress(tuple(chosen), event.done, event.total)
            else:
                latents = event.latents
        pictures = self._pictures(latents, [drawer.grid for drawer in drawers])
        seconds = time.perf_counter() - started
        for i, latent, drawn in zip(chosen, latents, pictures, strict=True):
            modality = self.modalities[rows[i].wants.popleft()]
            image = modality.render(drawn)
            step = MapStep(
                modality.name,
                drawn,
                image,
                latent.float().cpu().numpy(),
                modality.decode(drawn),
                seconds,
            )
            rows[i].steps.append(step)
            yield StepDone(i, step)
        yield from self._reflect(rows, chosen, options)

    def _drawer(self, row: _Row, question: Question) -> Drawer:
        geometry = self.layout.processor.geometry
        canvas = self.layout.processor.canvas(question.images[question.subject])
        config = self.model.config
        cell = config.vae_geometry.downsampling * config.latent_patch_size  # pixels of one latent token along a side
        grid = (canvas.height // cell, canvas.width // cell)
        noise = row.request.random.normal(grid[0] * grid[1], geometry.latent_width)
        return Drawer(row.main, grid, noise, row.without_text, row.without_image)

    def _pictures(self, latents: Sequence[torch.Tensor], grids: Sequence[tuple[int, int]]) -> list[np.ndarray]:
        """Decode latents [N, D] to pictures [H, W, 3] in [0, 1]; pictures of one size go through the decoder together."""
        patch = self.layout.processor.geometry.latent_patch
        drawn: list[np.ndarray] = [np.empty(0)] * len(latents)
        for grid in dict.fromkeys(grids):
            same = [k for k, other in enumerate(grids) if other == grid]
            stacked = torch.stack([tokens_latent(latents[k], grid, patch) for k in same])
            pixels = self.model.vae.decode(stacked).float().permute(0, 2, 3, 1).cpu().numpy()
            for k, picture in zip(same, pixels, strict=True):
                drawn[k] = picture
        return drawn

    def _request(self, rows: Sequence[_Row], chosen: Sequence[int], options: Options) -> Generator[Event, None, None]:
        """Where the caller decides: write the request for the map in the model's place."""
        segments: list[list[Segment]] = []
        for i in chosen:
            text = self.prompts.requests[rows[i].wants[0]]
            rows[i].steps.append(TextStep(text, author="prompt"))
            rows[i].without_text = rows[i].main
            segments.append([TextSegment(self.layout.processor.encode(text))])
            yield StepDone(i, rows[i].steps[-1])
        self._extend_main(rows, chosen, segments)
        self._extend_blind(rows, chosen, segments, options)

    def _extend_main(
        self,
        rows: Sequence[_Row],
        chosen: Sequence[int],
        segments: Sequence[Sequence[Segment]],
    ) -> None:
        for i, context in zip(chosen, self._extend([rows[i].main for i in chosen], segments), strict=True):
            rows[i].main = context

    def _reflect(self, rows: Sequence[_Row], chosen: Sequence[int], options: Options) -> Generator[Event, None, None]:
        """Let rows that go on read their map, and the text that follows it."""
        on = [i for i in chosen if rows[i].wants or rows[i].turns > 0]
        segments: list[list[Segment]] = []
        for i in on:
            more = self.layout.step(rows[i].steps[-1])
            last = not rows[i].wants
            text = self.prompts.reflection if options.mode == "interleaved" else self.prompts.answer_prefix if last else ""
            if text:
                rows[i].steps.append(TextStep(text, author="prompt"))
                more += self.layout.step(rows[i].steps[-1])
                yield StepDone(i, rows[i].steps[-1])
            segments.append(more)
        self._extend_main(rows, on, segments)
        self._extend_blind(rows, on, segments, options)

    def _trace(self, row: _Row, questions: Sequence[Question], options: Options) -> Trace:
        drawing, sampling = options.drawing, options.sampling
        settings = {
            "temperature": sampling.temperature,
            "top_p": sampling.top_p,
            "max_tokens": sampling.max_tokens,
            "num_timesteps": drawing.num_timesteps,
            "timestep_shift": drawing.timestep_shift,
            "text_scale": drawing.text_scale,
            "image_scale": drawing.image_scale,
        }
        return Trace(
            question=questions[row.request.question],
            steps=tuple(row.steps),
            mode=options.mode,
            model=self.name,
            seed=row.request.seed,
            system=self.prompts.system.get(options.mode, ""),
            settings=settings,
        )
