"""Latents of the frozen autoencoder, each computed once and kept in one float16 file beside the run.

z: latent channels. h, w: latent cells.
"""

import hashlib
import json
import math
import os
import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from torch import Tensor

from cooper.files.rows import write_whole
from cooper.model.vae import Autoencoder
from cooper.perception import Modality
from cooper.scenes.arrays import ScenePictures, to_pixels

File = tuple[str, type, tuple[int, ...]]  # name, type and shape of an array on disk
MAKER_FILE, VALUES_FILE, FILLED_FILE, DIGESTS_FILE = "latents.json", "latents.f16", "filled.u8", "pictures.sha256"
AT_ONCE = 16  # pictures; small batches with channels last encode more than twice as fast on a CPU as one large batch


@dataclass(frozen=True)
class PictureKey:
    """One picture of a set: which scene, which kind (`rgb` or a modality), mirrored left to right or not."""

    scene: int
    kind: str
    mirrored: bool = False


class LatentStore:
    """Scaled latents [z, h, w] of a set's pictures. What is not there yet is encoded when it is first asked for.

    `capacity` is the number of scenes the file has room for; a set that is still being rendered may grow into it. The store
    knows which autoencoder made it, of which pictures: what another one made, or was made of others, is made anew.
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
        maker = {
            "shape": list(shape),
            "maps": [repr(each) for each in modalities.values()],
            "weights": fingerprint(autoencoder),
        }
        folder.mkdir(parents=True, exist_ok=True)
        files = ((VALUES_FILE, np.float16, shape), (FILLED_FILE, np.uint8, shape[:3]), (DIGESTS_FILE, np.uint8, (capacity, 32)))
        if not _is_of(folder, maker, files):
            _begin(folder, maker, files)
        self._values, self._filled, digests = (np.memmap(folder / name, kind, "r+", shape=size) for name, kind, size in files)
        self._forget_others(folder, digests)

    def _forget_others(self, folder: Path, digests: np.ndarray) -> None:
        """Latents of scenes whose pictures are others now count as missing."""
        changed = 0
        for scene in range(len(self._pictures)):
            digest = np.frombuffer(_digest_of(self._pictures, scene), dtype=np.uint8)
            if not np.array_equal(digests[scene], digest):
                changed += bool(self._filled[scene].any())
                self._filled[scene] = 0
                digests[scene] = digest
        if changed:
            print(f"{folder} holds latents of other pictures of {changed} scenes: they are made anew", file=sys.stderr)

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


def _digest_of(pictures: ScenePictures, scene: int) -> bytes:
    digest = hashlib.sha256()
    for field in (pictures.rgb, pictures.depth_m, pictures.labels, pictures.instances):
        digest.update(np.ascontiguousarray(field[scene]).tobytes())
    return digest.digest()


def _is_of(folder: Path, maker: Mapping[str, object], files: Sequence[File]) -> bool:
    """Whether a store is whole, and made by this autoencoder of these kinds of maps. What was made otherwise is said."""
    path = folder / MAKER_FILE
    if not path.exists():
        return False
    try:
        same = json.loads(path.read_text(encoding="utf-8")) == maker
    except (ValueError, RecursionError):
        same = False
    sizes = [(folder / name, np.dtype(kind).itemsize * math.prod(size)) for name, kind, size in files]
    same = same and all(file.is_file() and file.stat().st_size == size for file, size in sizes)
    if not same:
        print(f"{folder} holds latents of another autoencoder or scene set: they are made anew", file=sys.stderr)
    return same


def _begin(folder: Path, maker: Mapping[str, object], files: Sequence[File]) -> None:
    """An empty store; who made it is written last. Another process keeps the files that it has open."""
    for name, kind, size in files:
        draft = folder / f".{name}.{os.getpid()}"
        np.memmap(draft, kind, "w+", shape=size)
        draft.replace(folder / name)
    write_whole(folder / MAKER_FILE, json.dumps(maker) + "\n")
