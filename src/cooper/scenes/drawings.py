"""Maps of a scene set as a model drew them, mistakes and all: `OUT/depth/000012.png` is the depth of scene 12."""

from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

from PIL import Image

from cooper.errors import CooperError
from cooper.files.digests import bytes_digest, digests_in, first_changed
from cooper.files.pictures import png_bytes, stored_picture
from cooper.files.rows import read_object, write_whole
from cooper.scenes.store import SceneSet
from cooper.trace.steps import MapStep

SETTINGS, PICTURES = "run.json", "pictures"  # which scenes were drawn, by which model; digests of their pictures


@dataclass(frozen=True)
class Drawings:
    """The folder of one drawing run over one scene set."""

    folder: Path

    @classmethod
    def opened(cls, folder: Path, scenes: SceneSet) -> "Drawings":
        """The drawings of `scenes`. CooperError: there are none, or they show other scenes."""
        path = folder / SETTINGS
        if not path.is_file():
            raise CooperError(f"{folder} holds no drawings; make them with `cooper data draw`")
        known, wanted = read_object(path), scenes_of(scenes)
        for name, value in wanted.items():
            if known.get(name) != value:
                raise CooperError(
                    f"{folder} shows scenes with {name} {known.get(name)!r}, not {value!r}: draw these scenes, too"
                )
        kept = digests_in(path, PICTURES)
        here = [index for index in range(len(scenes)) if str(index) in kept]
        changed = first_changed(kept, picture_digests(scenes, here), map(str, here))
        if changed is not None:
            raise CooperError(
                f"{folder} shows other scenes than {scenes.folder}: scene {changed} has another picture since its maps were "
                "drawn: draw these scenes, too"
            )
        return cls(folder)

    def path(self, scene: int, modality: str) -> Path:
        return self.folder / modality / f"{scene:06d}.png"

    def save(self, scene: int, step: MapStep) -> None:
        """Write one map whole or not at all."""
        path = self.path(scene, step.modality)
        path.parent.mkdir(parents=True, exist_ok=True)
        write_whole(path, png_bytes(step.image))

    def image(self, scene: int, modality: str) -> Image.Image:
        """One map as it was drawn and rendered. CooperError: it has not been drawn."""
        path = self.path(scene, modality)
        if not path.is_file():
            raise CooperError(f"{path} is missing; `cooper data draw` with a larger --limit draws it")
        return stored_picture(path).convert("RGB")


def picture_digests(scenes: SceneSet, indices: Iterable[int]) -> dict[str, str]:
    """Of the pictures of some scenes, by their numbers; "" for one that is not there."""
    found = {}
    for index in indices:
        try:
            found[str(index)] = bytes_digest(scenes.picture_file(index))
        except CooperError:
            found[str(index)] = ""
    return found


def scenes_of(scenes: SceneSet) -> dict[str, object]:
    """What tells one scene set from another, whatever its length."""
    form = {} if scenes.info.format == 2 else {"format": scenes.info.format}  # earlier runs had format 2 and did not say so
    return {"split": scenes.info.split, "scenes_seed": scenes.info.seed, "size": scenes.info.size, **form}
