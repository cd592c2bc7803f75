"""Draws the maps of a scene set with a model, so that stage 2 can teach it to read its own maps and not perfect ones.

A network that has read only true maps believes what it draws, mistakes and all; one that has read its own learns how far.
"""

from dataclasses import asdict, dataclass, replace
from pathlib import Path

from PIL import Image

from cooper.data.scenes.drawings import Drawings, scenes_of
from cooper.data.scenes.store import SceneSet
from cooper.errors import CooperError
from cooper.evaluation.progress import progress
from cooper.evaluation.rows import batches, open_run
from cooper.reasoning.cooper import Cooper
from cooper.trace.steps import Question


@dataclass(frozen=True)
class DrawSettings:
    """`limit`: scenes, from the first. `batch`: maps drawn at once. `seed`: of the noise that a map begins with."""

    model: str
    data: Path
    out: Path
    modalities: tuple[str, ...] = ("depth", "segmentation")
    limit: int = 100_000
    batch: int = 32
    seed: int = 0
    quiet: bool = False

    def __post_init__(self) -> None:
        for name in ("limit", "batch"):
            if getattr(self, name) < 1:
                raise CooperError(f"{name} must be at least 1, got {getattr(self, name)}")


def draw_scenes(door: Cooper, settings: DrawSettings) -> Drawings:
    """Draw the maps `modalities` of the first `limit` scenes into `out`; what is drawn already stays.

    CooperError: no scenes there, `out` holds drawings of another run, or the model has no such modality.
    """
    scenes = SceneSet(settings.data)
    for name in settings.modalities:
        if name not in door.modalities:
            raise CooperError(f"{settings.model} draws no {name!r}; it draws: {', '.join(door.modalities)}")
    kept = {name: str(value) for name, value in asdict(settings).items() if name in ("model", "seed")}
    open_run(settings.out, {**kept, **scenes_of(scenes)})
    drawings, count = Drawings(settings.out), min(settings.limit, len(scenes))
    left = [(scene, name) for scene in range(count) for name in settings.modalities if not drawings.path(scene, name).is_file()]
    with progress(count * len(settings.modalities), "maps", settings.quiet) as advance:
        advance(count * len(settings.modalities) - len(left))
        for modality in settings.modalities:
            for some in batches([scene for scene, name in left if name == modality], settings.batch):
                # the noise of a map follows from the id of its question
                asked = [Question((Image.fromarray(scenes[scene].rgb),), id=f"{modality} {scene}") for scene in some]
                options = replace(door.defaults, mode="map", draws=(modality,))
                for scene, traces in zip(some, door.batch(asked, options, settings.seed), strict=True):
                    drawings.save(scene, traces[0].maps[0])
                advance(len(some))
    return drawings
