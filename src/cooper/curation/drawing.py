"""Draws the maps of a scene set with a model, so that stage 2 can teach it to read its own maps and not perfect ones.

A network that has read only true maps believes what it draws, mistakes and all; one that has read its own learns how far.
"""

from dataclasses import dataclass

from PIL import Image

from cooper.errors import CooperError
from cooper.evaluation.maps.drawing import modality_of
from cooper.evaluation.runs.folder import open_run
from cooper.evaluation.runs.origin import Origin
from cooper.evaluation.runs.progress import progress
from cooper.evaluation.runs.settings import WorkSettings
from cooper.files.digests import keep_digests
from cooper.files.locks import held
from cooper.files.rows import batches
from cooper.reasoning.cooper import Cooper
from cooper.scenes.drawings import PICTURES, SETTINGS, Drawings, picture_digests, scenes_of
from cooper.scenes.store import SceneSet


@dataclass(frozen=True, kw_only=True)
class DrawSettings(WorkSettings):
    """`limit`: scenes, from the first. `batch`: maps drawn at once. `seed`: of the noise that a map begins with.
    `origin`: what draws, for the record."""

    modalities: tuple[str, ...] = ("depth", "segmentation")
    limit: int = 100_000
    batch: int = 32
    origin: Origin = Origin()

    def __post_init__(self) -> None:
        super().__post_init__()
        if not self.modalities:
            raise CooperError("no map is named (--maps); name depth, segmentation, or both")


def open_drawings(settings: DrawSettings) -> SceneSet:
    """The scenes, and the folder made the place of their maps. CooperError: no scenes there, or `out` holds others' maps, also
    of scenes whose pictures have changed since."""
    scenes = SceneSet(settings.data)
    kept = {"model": settings.model, "seed": settings.seed, **settings.origin.record}
    open_run(settings.out, {**kept, **scenes_of(scenes)})
    drawings, indices = Drawings(settings.out), range(len(scenes))
    drawn = [index for index in indices if any(drawings.path(index, name).is_file() for name in ("depth", "segmentation"))]
    wanted = picture_digests(scenes, sorted({*drawn, *indices[: settings.limit]}))
    keep_digests(settings.out / SETTINGS, PICTURES, wanted, list(map(str, drawn)))
    return scenes


def draw_scenes(door: Cooper, settings: DrawSettings) -> Drawings:
    """Draw the maps `modalities` of the first `limit` scenes into `out`; what is drawn already stays.

    CooperError: no scenes there, `out` holds drawings of another run, or the model has no such modality.
    """
    for name in settings.modalities:
        modality_of(door, name)
    with held(settings.out, "cooper data draw"):
        return _draw_scenes(door, settings, open_drawings(settings))


def _draw_scenes(door: Cooper, settings: DrawSettings, scenes: SceneSet) -> Drawings:
    drawings, count = Drawings(settings.out), min(settings.limit, len(scenes))
    left = [(scene, name) for scene in range(count) for name in settings.modalities if not drawings.path(scene, name).is_file()]
    with progress(count * len(settings.modalities), "maps", settings.quiet) as advance:
        advance(count * len(settings.modalities) - len(left))
        for modality in settings.modalities:
            for some in batches([scene for scene, name in left if name == modality], settings.batch):
                pictures = [Image.fromarray(scenes[scene].rgb) for scene in some]
                names = [f"{modality} {scene}" for scene in some]
                for scene, step in zip(some, door.draw(pictures, modality, settings.seed, names), strict=True):
                    drawings.save(scene, step)
                advance(len(some))
    return drawings
