"""Latents of the frozen autoencoder, each computed once and kept in one float16 file beside the run.

z: latent channels. h, w: latent cells.
"""

import hashlib
import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from torch import Tensor

from cooper.errors import CooperError
from cooper.model.vae import Autoencoder
from cooper.perception import Modality
from cooper.training.pictures import ScenePictures, to_pixels

AT_ONCE = 16  # pictures; small batches with channels last encode more than twice as fast on a CPU as one large batch


@dataclass(frozen=True)
class PictureKey:
    """One picture of a set: which scene, which kind (`rgb` or a modality), mirrored left to right or not."""

    scene: int
    kind: str
    mirrored: bool = False


class LatentStore:
    """Scaled latents [z, h, w] of a set's pictures. What is not there yet is encoded when it is first asked for.

    `capacity` is the number of scenes the file has room for; a set that is still being rendered may grow into it.
    """

    def __init__(
        self,
        folder: Path,
        autoencoder: Autoencoder,
        pictures: ScenePictures,
        modalities: Mapping[str, Modality],
        capacity: int,
    ) -> None:
        self._autoencoder, self._pictures, self._modalities = autoencoder, pictures, modalities
        self._kinds = ("rgb", *modalities)
        stride = autoencoder.geometry.downsampling
        side = pictures.rgb.shape[1] // stride
        shape = (capacity, 2, len(self._kinds), autoencoder.geometry.latent_channels, side, side)
        folder.mkdir(parents=True, exist_ok=True)
        _check(folder / "latents.json", {"shape": list(shape), "kinds": list(self._kinds), "weights": fingerprint(autoencoder)})
        self._values = _memory(folder / "latents.f16", np.float16, shape)
        self._filled = _memory(folder / "filled.u8", np.uint8, shape[:3])

    def get(self, key: PictureKey) -> Tensor:
        """One latent, float32 [z, h, w]."""
        self.fill([key])
        return torch.from_numpy(self._values[self._place(key)].astype(np.float32))

    @torch.no_grad()
    def fill(self, keys: list[PictureKey]) -> None:
        """Encode, in one batch, those of `keys` that are missing."""
        missing = [key for key in dict.fromkeys(keys) if not self._filled[self._place(key)]]
        if not missing:
            return
        for first in range(0, len(missing), AT_ONCE):
            some = missing[first : first + AT_ONCE]
            pixels = torch.stack([self.pixels(key) for key in some]).contiguous(memory_format=torch.channels_last)
            latents = self._autoencoder.latents(pixels).float().cpu().numpy().astype(np.float16)
            for key, latent in zip(some, latents, strict=True):
                self._values[self._place(key)] = latent
                self._filled[self._place(key)] = 1

    def pixels(self, key: PictureKey) -> Tensor:
        """The picture behind a key, [3, H, W] in [-1, 1]. A mirrored map is drawn anew from the mirrored truth."""
        pictures = mirrored_scene(self._pictures, key.scene) if key.mirrored else self._pictures
        return to_pixels(pictures.picture(0 if key.mirrored else key.scene, key.kind, self._modalities))

    def _place(self, key: PictureKey) -> tuple[int, int, int]:
        return key.scene, int(key.mirrored), self._kinds.index(key.kind)


def mirrored_scene(pictures: ScenePictures, index: int) -> ScenePictures:
    """One scene, left and right exchanged, as a set of one."""
    fields = (pictures.rgb, pictures.depth_m, pictures.labels, pictures.instances)
    rgb, depth, labels, instances = (np.ascontiguousarray(field[index : index + 1, :, ::-1]) for field in fields)
    return ScenePictures(rgb, depth, labels, instances)


def fingerprint(autoencoder: Autoencoder) -> str:
    """Changes with any weight of the encoder, or with scale or shift."""
    digest = hashlib.sha256(repr(autoencoder.geometry).encode())
    for name, weight in sorted(autoencoder.encoder.state_dict().items()):
        digest.update(name.encode() + weight.detach().float().cpu().numpy().tobytes())
    return digest.hexdigest()


def _check(path: Path, wanted: dict[str, object]) -> None:
    """A store made by other weights or for another set must not be read."""
    if path.exists():
        if json.loads(path.read_text(encoding="utf-8")) != wanted:
            raise CooperError(f"{path.parent} holds latents of another autoencoder or scene set; delete that folder")
        return
    path.write_text(json.dumps(wanted) + "\n", encoding="utf-8")


def _memory(path: Path, kind: type, shape: tuple[int, ...]) -> np.ndarray:
    return np.memmap(path, dtype=kind, mode="r+" if path.exists() else "w+", shape=shape)
