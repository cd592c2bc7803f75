"""The drawing phase: rows draw one map each together, and those that go on read it back.

N: latent tokens. D: width of a latent token. H, W: pixels.
"""

import time
from collections.abc import Iterator, Sequence

import numpy as np
import torch

from cooper.perception.modality import Drawn, Modality
from cooper.reasoning.denoising import Drawer, DrawnLatents, Progress, draw
from cooper.reasoning.events import DrawingProgress, Event, StepDone
from cooper.reasoning.options import Options
from cooper.reasoning.session import Parts, Sample, Session
from cooper.sequence.segments import Segment, TextSegment, tokens_latent
from cooper.trace.steps import MapStep, Question, TextStep

GREY = 0.5  # of a blank map, in each channel of the drawn picture


def sketch(session: Session, rows: Sequence[int]) -> Iterator[Event]:
    """Let rows draw the map that each wants next, or read one that is given in its place; with the option "none" neither."""
    if not rows:
        return
    without = [row for row in rows if session.samples[row].options.given == "none"]
    yield from _without_maps(session, without)
    rows = [row for row in rows if row not in without]
    yield from _request(session, [row for row in rows if session.samples[row].options.mode != "interleaved"])
    given = {row: step for row in rows if (step := _given_step(session, row)) is not None}
    for row, step in given.items():
        yield _finished(session, row, step)
    yield from _drawn(session, [row for row in rows if row not in given])
    yield from _read_back(session, [row for row in rows if not session.samples[row].done])


def _without_maps(session: Session, rows: Sequence[int]) -> Iterator[Event]:
    """Let rows go on without the maps they want: they read the text that follows maps, and no map before it."""
    for row in rows:
        session.samples[row].wants.clear()
    yield from _told(session, rows, [[] for _ in rows])


def _drawn(session: Session, rows: Sequence[int]) -> Iterator[Event]:
    """Let rows draw, all together that draw in the same way."""
    ways: dict[Options, list[int]] = {}
    for row in rows:
        options = session.samples[row].options
        ways.setdefault(Options(mode="map", drawing=options.drawing, map_noise=options.map_noise), []).append(row)
    for options, some in ways.items():
        yield from _drawn_together(session, some, options)


def _drawn_together(session: Session, rows: Sequence[int], options: Options) -> Iterator[Event]:
    parts, started = session.parts, time.perf_counter()
    drawers = [_drawer(session, row) for row in rows]
    result = DrawnLatents(())
    for event in draw(parts.model, parts.layout.processor.geometry, drawers, options.drawing, options.map_noise):
        if isinstance(event, Progress):
            yield DrawingProgress(tuple(rows), event.done, event.total)
        else:
            result = event
    pictures = decoded(parts, result.latents, [drawer.grid for drawer in drawers])
    seconds = time.perf_counter() - started
    for place, (row, drawn) in enumerate(zip(rows, pictures, strict=True)):
        modality = parts.modalities[session.samples[row].wants[0]]
        yield _finished(session, row, _map_step(modality, drawn, result, place, seconds))


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
    question, modality = _question(session, row), session.parts.modalities[sample.wants[0]]
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


def _question(session: Session, row: int) -> Question:
    return session.questions[session.samples[row].request.question]


def _map_step(modality: Modality, drawn: np.ndarray, result: DrawnLatents, place: int, seconds: float) -> MapStep:
    """The map that row `place` of a drawing phase drew."""
    noisy = bool(result.paths)
    return MapStep(
        modality=modality.name,
        drawn=drawn,
        image=modality.render(drawn),
        latents=result.latents[place].float().cpu().numpy(),
        seconds=seconds,
        reading=modality.decode(drawn),
        path=torch.stack(result.paths[place]).cpu().numpy() if noisy else None,
        logprobs=result.logprobs[place] if noisy else (),
    )


def _drawer(session: Session, row: int) -> Drawer:
    """Where a map is drawn: on the grid of the picture that the question names, from the row's own noise."""
    sample, processor, question = session.samples[row], session.parts.layout.processor, _question(session, row)
    canvas, config = processor.canvas(question.images[question.subject]), session.parts.model.config
    cell = config.vae_geometry.downsampling * config.latent_patch_size  # pixels of one latent token along a side
    grid = (canvas.height // cell, canvas.width // cell)
    noise_ND = sample.request.random.normal(grid[0] * grid[1], processor.geometry.latent_width)
    return Drawer(sample.main, grid, noise_ND, sample.without_text, sample.without_image, sample.request.random)


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
