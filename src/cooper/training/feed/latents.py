"""Latents of the frozen autoencoder, each computed once and kept beside the run in a store of bounded size.

z: latent channels. h, w: latent cells. C, H, W: channels, height and width in pixels.
"""

import hashlib
import sqlite3
import sys
from collections.abc import Callable, Hashable, Sequence
from pathlib import Path
from threading import Lock

import numpy as np
import torch
from torch import Tensor

from cooper.errors import CooperError
from cooper.model.vae import Autoencoder

FILE = "latents.sqlite"
LIMIT = 16 << 30  # bytes of latents; beyond, those stored first go
AT_ONCE = 16  # pictures; small batches with channels last encode more than twice as fast on a CPU as one large batch

Pixels = Callable[[], Tensor]  # makes a picture [C, H, W] in [-1, 1]


class LatentStore:
    """Scaled latents [z, h, w] of pictures of any size, found by the digest of their pixels and of the autoencoder.

    So a picture that has changed, or another autoencoder, has a latent of its own. `limit`: bytes that are kept. Pictures have
    names while a run lasts, so that one whose latent is known is not made again. Several threads may ask at once: one at a time
    reads and writes the file, and all may encode.
    """

    def __init__(self, folder: Path, autoencoder: Autoencoder, limit: int = LIMIT) -> None:
        self._autoencoder, self._limit = autoencoder, limit
        self._maker = fingerprint(autoencoder)
        self._digests: dict[Hashable, bytes] = {}
        self._lock = Lock()
        self._file = _opened(folder / FILE)
        (self._held,) = self._file.execute("select coalesce(sum(length(numbers)), 0) from latents").fetchone()

    def get(self, pixels: Pixels, name: Hashable = None) -> Tensor:
        """The latent of one picture, float32 [z, h, w]."""
        digest = self._digests.get(name)
        found = None if digest is None else self._find(digest)
        if found is None:
            (digest,) = self.fill([(name, pixels)])
            found = self._find(digest)
        assert found is not None, "a latent is larger than the whole store"
        return found

    def fill(self, wanted: Sequence[tuple[Hashable, Pixels]]) -> list[bytes]:
        """Encode those pictures that are missing, those of one size together; the digests of all. The name None is no name."""
        digests: list[bytes] = []
        missing: dict[bytes, Tensor] = {}
        for name, make in wanted:
            digest = self._digests.get(name)
            if digest is None or not self._has(digest):
                pixels = make()
                digest = self._digest(pixels)
                if name is not None:
                    self._digests[name] = digest
                if not self._has(digest):
                    missing[digest] = pixels
            digests.append(digest)
        for shape in dict.fromkeys(each.shape for each in missing.values()):
            same = [digest for digest, pixels in missing.items() if pixels.shape == shape]
            for first in range(0, len(same), AT_ONCE):
                some = same[first : first + AT_ONCE]
                self._keep(some, self._encoded([missing[digest] for digest in some]))
        return digests

    @torch.no_grad()
    def _encoded(self, pictures: Sequence[Tensor]) -> np.ndarray:
        pixels = torch.stack(list(pictures)).contiguous(memory_format=torch.channels_last)
        return self._autoencoder.latents(pixels).float().cpu().numpy().astype(np.float16)

    def _digest(self, pixels: Tensor) -> bytes:
        content = np.ascontiguousarray(pixels.numpy())
        return hashlib.sha256(f"{self._maker} {content.shape}".encode() + content.tobytes()).digest()

    def _has(self, digest: bytes) -> bool:
        with self._lock:
            return self._file.execute("select 1 from latents where digest = ?", (digest,)).fetchone() is not None

    def _find(self, digest: bytes) -> Tensor | None:
        with self._lock:
            row = self._file.execute("select z, h, w, numbers from latents where digest = ?", (digest,)).fetchone()
        if row is None:
            return None
        return torch.from_numpy(np.frombuffer(row[3], dtype=np.float16).reshape(row[:3]).astype(np.float32))

    def _keep(self, digests: Sequence[bytes], latents: np.ndarray) -> None:
        rows = [(digest, *each.shape, each.tobytes()) for digest, each in zip(digests, latents, strict=True)]
        with self._lock, self._file:
            new = self._file.executemany("insert or ignore into latents values (?, ?, ?, ?, ?)", rows).rowcount
            self._held += new * latents[0].nbytes  # another thread may have been first
            while self._held > self._limit:
                oldest = "select rowid, length(numbers) from latents order by rowid limit 1"
                first, size = self._file.execute(oldest).fetchone() or (None, self._held)
                self._file.execute("delete from latents where rowid = ?", (first,))
                self._held -= size


def fingerprint(autoencoder: Autoencoder) -> str:
    """Changes with any weight of the encoder, or with scale or shift."""
    digest = hashlib.sha256(repr(autoencoder.geometry).encode())
    for name, weight in sorted(autoencoder.encoder.state_dict().items()):
        digest.update(name.encode() + weight.detach().float().cpu().numpy().tobytes())
    return digest.hexdigest()


def _opened(path: Path) -> sqlite3.Connection:
    """The file of a store, begun anew where it is damaged: what it holds can be made again."""
    path.parent.mkdir(parents=True, exist_ok=True)
    for _ in range(2):
        file = sqlite3.connect(path, timeout=600, check_same_thread=False)  # another process of the run may be writing
        try:
            file.execute("pragma synchronous = off")
            with file:
                columns = "digest blob primary key, z integer, h integer, w integer, numbers blob"
                file.execute(f"create table if not exists latents ({columns})")
            file.execute("select count(*) from latents").fetchone()
        except sqlite3.DatabaseError:
            file.close()
            print(f"{path} is damaged: its latents are made anew", file=sys.stderr)
            path.unlink(missing_ok=True)
        else:
            return file
    raise CooperError(f"{path} cannot be made")
