"""Rows that draw: they denoise together, a step of the flow at a time, and those that go on read their maps back.

N: latent tokens. D: width of a latent token. H, W: pixels.
"""

import time
from collections import defaultdict
from collections.abc import Collection, Iterator, Mapping, Sequence
from functools import partial

import numpy as np
import torch
from PIL import Image

from cooper.errors import CooperError
from cooper.perception.modality import Drawn, Modality
from cooper.reasoning.denoising import Denoised, Denoising, Drawer, DrawnLatents
from cooper.reasoning.events import DrawingProgress, Event, StepDone
from cooper.reasoning.session import Parts, Sample, Session
from cooper.sequence.segments import Segment, TextSegment, tokens_latent
from cooper.trace.steps import MapStep, TextStep

GREY = 0.5  # of a blank map, in each channel of the drawn picture


class Sketching:
    """The rows of a session that draw: each joins with the map that it wants next, and leaves when it has read it back."""

    def __init__(self, session: Session) -> None:
        self._session = session
        self._denoising = Denoising(session.parts.model, session.parts.layout.processor.geometry)
        self._began: dict[int, float] = {}

    @property
    def rows(self) -> list[int]:
        return self._denoising.rows

    def join(self, rows: Sequence[int]) -> Iterator[Event]:
        """Let rows draw the map that each wants next, from the next step on. A row that reads one that is given in its place,
        or with the option "none" goes on without, does so now and does not join."""
        session = self._session
        without = [row for row in rows if session.samples[row].options.given == "none"]
        yield from _without_maps(session, without)
        rows = [row for row in rows if row not in without]
        yield from _request(session, [row for row in rows if session.samples[row].options.mode != "interleaved"])
        given = {row: session.trying(row, lambda row=row: _given_step(session, row)) for row in rows}
        rows = [row for row in rows if row not in session.failed]
        yield from self._finish({row: step for row in rows if (step := given[row]) is not None})
        drawers = {row: session.trying(row, lambda row=row: _drawer(session, row)) for row in rows if given[row] is None}
        self._denoising.join({row: drawer for row, drawer in drawers.items() if drawer is not None})
        self._began |= {row: time.perf_counter() for row in self._denoising.rows if row not in self._began}

    def leave(self, rows: Collection[int]) -> None:
        """Drop rows, with the maps under way."""
        self._denoising.leave(rows)
        for row in rows:
            self._began.pop(row, None)

    def step(self) -> Iterator[Event]:
        """One step of the flow of every row; what is finished is read back."""
        session, finished, told = self._session, [], defaultdict(list)
        for event in self._denoising.step():
            if isinstance(event, Denoised):
                told[event.done, event.total].append(event.row)
            else:
                finished.append(event)
        for (done, total), rows in told.items():
            yield DrawingProgress(tuple(rows), done, total)
        if not finished:
            return
        pictures = decoded(
            session.parts, [each.latents_ND for each in finished], [_grid(session, each.row) for each in finished]
        )
        steps = {}
        for each, drawn in zip(finished, pictures, strict=True):
            seconds = time.perf_counter() - self._began.pop(each.row)
            modality = session.parts.modalities[session.samples[each.row].wants[0]]
            work = partial(_map_step, modality, drawn, each, seconds)
            if (step := session.trying(each.row, work)) is not None:
                steps[each.row] = step
        yield from self._finish(steps)

    def preview(self, row: int) -> Image.Image | None:
        """The map under way of a row as far as it can be told: where the last velocity leads. None before the first step."""
        session, clean_ND = self._session, self._denoising.clean(row)
        if clean_ND is None:
            return None
        [drawn] = decoded(session.parts, [clean_ND], [_grid(session, row)])
        if not np.isfinite(drawn).all():
            return None
        return session.parts.modalities[session.samples[row].wants[0]].render(drawn)

    def _finish(self, steps: Mapping[int, MapStep]) -> Iterator[Event]:
        """Add maps, and let rows that go on read them."""
        for row, step in steps.items():
            yield _finished(self._session, row, step)
        yield from _read_back(self._session, [row for row in steps if not self._session.samples[row].done])


def _without_maps(session: Session, rows: Sequence[int]) -> Iterator[Event]:
    """Let rows go on without the maps they want: they read the text that follows maps, and no map before it."""
    for row in rows:
        session.samples[row].wants.clear()
    yield from _told(session, rows, [[] for _ in rows])


def _finished(session: Session, row: int, step: MapStep) -> StepDone:
    """Add the map that the row wanted."""
    sample = session.samples[row]
    sample.wants.popleft()
    sample.steps.append(step)
    return StepDone(row, step)


def _given_step(session: Session, row: int) -> MapStep | None:
    """The map that a row reads next without drawing it; None where it must draw.

    A known map of the question comes first, whatever the options say. "repeat" has none to repeat before the first map.
    """
    sample, given = session.samples[row], session.samples[row].options.given
    question, modality = sample.question, session.parts.modalities[sample.wants[0]]
    if modality.name in question.known:
        return _given(modality, modality.encode(question.known[modality.name]))
    if given == "repeat":
        return next((step for step in sample.steps if isinstance(step, MapStep)), None)
    if given in ("blank", "noise"):
        canvas = session.parts.layout.processor.canvas(question.images[question.subject])
        shape = (canvas.height, canvas.width, 3)
        return _given(modality, np.full(shape, GREY, np.float32) if given == "blank" else _noise(sample, shape))
    return None


def _noise(sample: Sample, shape: tuple[int, int, int]) -> Drawn:
    """Even noise in [0, 1], from the row's own random numbers."""
    seed = int(sample.request.random.uniform() * 2**53)
    return np.random.default_rng(seed).random(shape, dtype=np.float32)


def _given(modality: Modality, drawn: Drawn) -> MapStep:
    """A drawn picture as the model reads one of its own."""
    return MapStep(modality.name, drawn, modality.render(drawn), reading=modality.decode(drawn))


def _map_step(modality: Modality, drawn: np.ndarray, result: DrawnLatents, seconds: float) -> MapStep:
    """The map that a row drew. CooperError: it holds no numbers."""
    if not np.isfinite(drawn).all():
        raise CooperError(
            f"the {modality.name} map came out as no numbers: draw with smaller scales or a timestep_shift nearer to 1"
        )
    return MapStep(
        modality=modality.name,
        drawn=drawn,
        image=modality.render(drawn),
        latents=result.latents_ND.float().cpu().numpy(),
        seconds=seconds,
        reading=modality.decode(drawn),
        path=torch.stack(result.path).cpu().numpy() if result.path else None,
        logprobs=result.logprobs,
    )


def _drawer(session: Session, row: int) -> Drawer:
    """Where a map is drawn: on the grid of the picture that the question names, from the row's own noise."""
    sample, grid = session.samples[row], _grid(session, row)
    random, options = sample.request.random, sample.options
    noise_ND = random.normal(grid[0] * grid[1], session.parts.layout.processor.geometry.latent_width)
    contexts = (sample.without_text, sample.without_image)
    return Drawer(sample.main, grid, noise_ND, *contexts, random, options.drawing, options.map_noise)


def _grid(session: Session, row: int) -> tuple[int, int]:
    """Rows and columns of the latent tokens of a row's map."""
    question, config = session.samples[row].question, session.parts.model.config
    canvas = session.parts.layout.processor.canvas(question.images[question.subject])
    cell = config.vae_geometry.downsampling * config.latent_patch_size  # pixels of one latent token along a side
    return canvas.height // cell, canvas.width // cell


def decoded(parts: Parts, latents: Sequence[torch.Tensor], grids: Sequence[tuple[int, int]]) -> list[np.ndarray]:
    """Decode latents [N, D] to pictures [H, W, 3] in [0, 1]; pictures of one size go through the decoder together."""
    patch = parts.layout.processor.geometry.latent_patch
    drawn: dict[int, np.ndarray] = {}
    for grid in dict.fromkeys(grids):
        same = [k for k, other in enumerate(grids) if other == grid]
        stacked = torch.stack([tokens_latent(latents[k], grid, patch) for k in same])
        pixels_BHW3 = parts.model.vae.decode(stacked).float().permute(0, 2, 3, 1).cpu().numpy()
        drawn |= dict(zip(same, pixels_BHW3, strict=True))
    return [drawn[k] for k in range(len(latents))]


def _request(session: Session, rows: Sequence[int]) -> Iterator[Event]:
    """Where the caller decides, write the request for the map in the model's place."""
    segments: list[list[Segment]] = []
    for row in rows:
        sample = session.samples[row]
        text = session.parts.prompts.requests[sample.wants[0]]
        sample.steps.append(TextStep(text, author="prompt"))
        sample.without_text = sample.main
        segments.append([TextSegment(session.parts.layout.processor.encode(text))])
        yield StepDone(row, sample.steps[-1])
    session.extend_main(rows, segments)
    session.extend_without_image(rows, segments)


def _read_back(session: Session, rows: Sequence[int]) -> Iterator[Event]:
    """Let rows that go on read their map, and the text that follows it."""
    layout = session.parts.layout
    yield from _told(session, rows, [layout.step(session.samples[row].steps[-1]) for row in rows])


def _told(session: Session, rows: Sequence[int], read: Sequence[list[Segment]]) -> Iterator[Event]:
    """Let rows read segments, and then the text that follows a map."""
    prompts, layout = session.parts.prompts, session.parts.layout
    segments: list[list[Segment]] = []
    for row, more in zip(rows, read, strict=True):
        sample = session.samples[row]
        text = prompts.reflection if sample.options.mode == "interleaved" else "" if sample.wants else prompts.answer_prefix
        if text:
            sample.steps.append(TextStep(text, author="prompt"))
            more = [*more, *layout.step(sample.steps[-1])]
            yield StepDone(row, sample.steps[-1])
        segments.append(more)
    session.extend_main(rows, segments)
    session.extend_without_image(rows, segments)
