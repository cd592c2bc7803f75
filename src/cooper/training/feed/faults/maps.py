"""Faults of a picture with its depth or labels: the files themselves, one against the other, and what their numbers mean.

H, W: height and width in pixels.
"""

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
from PIL import Image, UnidentifiedImageError

from cooper.data.sources.ade20k import CLASSES, VOID
from cooper.data.sources.depth_pairs import stored_pixels
from cooper.data.sources.hypersim import plane_depth
from cooper.data.sources.pictures import DEPTH_MODES, ID_MODES, PictureSettings, check_range
from cooper.errors import CooperError
from cooper.files.pictures import LazyPicture
from cooper.perception.depth import DepthEncoding
from cooper.training.feed.checking.lengths import map_tokens
from cooper.training.feed.faults.depth import depth_of_metres, depth_seen
from cooper.training.feed.faults.fault import Fault, once, told
from cooper.training.feed.faults.labels import full_release_fault, is_blended
from cooper.training.feed.faults.pictures import absent, is_deep, opened_or_told
from cooper.training.feed.faults.seen import DepthSeen, Seen, Thumb, counted
from cooper.training.feed.faults.thumbs import depth_picture, label_picture, thumb
from cooper.training.traces import RowLengths

DEPTH, LABELS, INSTANCES = "depth", "labels", "instances"
NAMES = {DEPTH: "depth", LABELS: "segmentation", INSTANCES: "segmentation"}  # of maps, by what a file holds
PARSING, FULL = "scene parsing", "full release"  # of ADE20K


@dataclass(frozen=True, kw_only=True)
class MapFiles:
    """A picture and the files of what is known of it, by `depth`, `labels`, `instances`. `place`: where the picture is named,
    or its own path. `faults`: those that showed before a file was opened."""

    place: str
    picture: Path | None = None
    maps: Mapping[str, Path] = field(default_factory=dict)
    id: str = ""
    faults: tuple[Fault, ...] = ()

    def at(self, path: Path) -> str:
        """Where a fault of a file is: the line that names it, else the file."""
        return self.place if ", line " in self.place else str(path)


@dataclass(frozen=True, kw_only=True)
class MapCheck:
    """How pictures with maps are checked. `encoding` and `sky`: how a published set stores depth, and the number that no
    depth can be measured with; `settings`: of pictures of your own; `labels`: which ADE20K it is, "" for your own."""

    lengths: RowLengths
    longest: int
    encoding: DepthEncoding | None = None
    sky: float = 0.0
    settings: PictureSettings = field(default_factory=PictureSettings)
    labels: str = ""
    thumbs: bool = False

    def __call__(self, files: MapFiles) -> Seen:
        """What is seen of one picture."""
        return _Looking(files, self).seen()


class _Looking:
    """A picture and its maps, looked at one by one."""

    def __init__(self, files: MapFiles, check: MapCheck) -> None:
        self.files, self.check = files, check
        self.faults = list(files.faults)
        self.image: Image.Image | None = None
        self.depth: DepthSeen | None = None
        self.read: list[str] = []
        self.thumbs: list[Thumb] = []

    def seen(self) -> Seen:
        if self.files.picture is not None:
            self._picture(self.files.picture)
        for name, path in self.files.maps.items():
            self._map(name, path)
        tokens = 0
        if self.image is not None and self.files.maps:
            tokens = self._tokens(self.image.size)
        there = [path for path in (self.files.picture, *self.files.maps.values()) if path is not None and path.is_file()]
        return Seen(
            place=self.files.place,
            faults=tuple(once(self.faults)),
            sizes=() if self.image is None else (self.image.size,),
            counts=counted(f"map {name}" for name in dict.fromkeys(self.read)),
            tokens=tokens,
            id=self.files.id,
            digest=b"" if len(there) < 2 else _digest(there),
            depth=self.depth,
            thumbs=tuple(self.thumbs),
        )

    def _fault(self, path: Path, kind: str, said: str) -> None:
        place = self.files.at(path)
        self.faults.append(Fault(place=place, kind=kind, said=said if place == str(path) else f"{path} {said}"))

    def _named(self, path: Path) -> str:
        """The path of a file where another place is said."""
        return "" if self.files.place == str(path) else str(path)

    def _told(self, path: Path, error: CooperError) -> None:
        self.faults.append(told(self.files.at(path), error))

    def _picture(self, path: Path) -> None:
        if absent(path):
            return self._fault(path, "missing", absent(path))
        place = self.files.at(path)
        self.image, faults = opened_or_told(LazyPicture(place, path), place)
        self.faults += faults
        if is_deep(path):
            self._fault(path, "bits", "is a picture of one channel of 16 bits or more: is it a depth map?")
        window = self.check.encoding.crop if self.check.encoding else None
        if self.image is not None and window and (self.image.height < window[0] or self.image.width < window[1]):
            size, kept = f"{self.image.width} x {self.image.height} px", f"{window[1]} x {window[0]} px"
            self._fault(path, "size", f"has {size}, less than the {kept} that are kept")
        if self.image is not None and self.check.thumbs:
            self.thumbs.append(thumb("picture", self.image))
        return None

    def _map(self, name: str, path: Path) -> None:
        if absent(path):
            return self._fault(path, "missing", absent(path))
        if path.suffix in (".hdf5", ".h5"):
            return self._metres(path)
        stored = self._stored(name, path)
        if stored is None:
            return None
        self.read.append(NAMES[name])
        if self.image is not None and stored.shape[:2] != (self.image.height, self.image.width):
            own, size = f"{stored.shape[1]} x {stored.shape[0]} px", f"{self.image.width} x {self.image.height} px"
            self._fault(path, "size", f"has {own}, its picture {size}")
        if name == DEPTH:
            return self._depth(path, stored)
        return self._labels(path, stored) if name == LABELS else None

    def _stored(self, name: str, path: Path) -> np.ndarray | None:
        """The numbers of a map; None where they cannot be read, or are not of the kind that the map needs."""
        if not path.stat().st_size:
            self._fault(path, "torn_picture", "has 0 bytes")
            return None
        try:
            with Image.open(path) as image:
                form, mode = image.format, image.mode
        except UnidentifiedImageError:
            self._fault(path, "no_picture", "is no picture that can be read")
            return None
        except (OSError, SyntaxError, ValueError, Image.DecompressionBombError) as error:
            self._fault(path, "no_picture", f"cannot be read: {error}")
            return None
        if form == "JPEG":
            said = "is a JPEG file, in which " + ("depth has 8 bits" if name == DEPTH else "ids do not survive")
            self._fault(path, "bits" if name == DEPTH else "blended", said)
            return None
        if form != "PNG":
            self._fault(path, "form", f"is a {form} file; {name} must be a PNG file")
            return None
        modes, need = self._wanted(name)
        if mode not in modes:
            bits = {"L": "8 bits in one channel", "P": "8 bits in one channel", "I;16": "16 bits in one channel"}
            self._fault(path, "bits", f"has {bits.get(mode, f'pixels of the kind {mode}')}; it must have {need}")
            return None
        try:
            return stored_pixels(path, name)
        except CooperError as error:
            kind = told("", error).kind
            self._fault(
                path, "torn_picture" if kind == "no_picture" else kind, f"cannot be read: {error.args[0].rpartition(': ')[2]}"
            )
            return None

    def _wanted(self, name: str) -> tuple[tuple[str, ...], str]:
        """The kinds of pixels that a map may have, as Pillow calls them, and in words."""
        if name == DEPTH:
            return DEPTH_MODES, "16 bits in one channel"
        if name == LABELS and self.check.labels == FULL:
            return ("RGB",), "three channels of 8 bits"
        if name == LABELS and self.check.labels == PARSING:
            return ("L", "P"), "8 bits in one channel"
        return ID_MODES, "ids of 8 or 16 bits in one channel"

    def _depth(self, path: Path, stored: np.ndarray) -> None:
        encoding, settings = self.check.encoding, self.check.settings
        scale = 1 / encoding.divisor if encoding else settings.metres_per_count
        self.depth, faults = depth_seen(stored, scale, self.check.sky, self._named(path))
        for kind, said in faults:
            self._fault(path, kind, said)
        known = stored[stored > 0]
        if encoding is None and known.size:
            try:
                check_range((float(known.min()) * scale, float(known.max()) * scale), settings.conventions, str(path))
            except CooperError as error:
                self._told(path, error)
        if self.check.thumbs:
            self.thumbs.append(thumb("depth", depth_picture(stored.astype(np.float32) * (stored != self.check.sky))))

    def _metres(self, path: Path) -> None:
        try:
            metres = plane_depth(path)
        except CooperError as error:
            return self._told(path, error)
        self.read.append(NAMES[DEPTH])
        if self.image is not None and metres.shape != (self.image.height, self.image.width):
            self._fault(
                path,
                "size",
                f"has {metres.shape[1]} x {metres.shape[0]} px, its picture {self.image.width} x {self.image.height} px",
            )
        self.depth = depth_of_metres(metres, self._named(path))
        if self.depth is None:
            self._fault(path, "invalid", "has a depth at no pixel")
        if self.check.thumbs:
            self.thumbs.append(thumb("depth", depth_picture(metres)))
        return None

    def _labels(self, path: Path, stored: np.ndarray) -> None:
        labels, names, void = stored, self.check.settings.names, self.check.settings.void
        if self.check.labels == FULL:
            fault = full_release_fault(stored)
            if fault is not None:
                self._fault(path, *fault)
            labels, void = stored[:, :, 0].astype(np.int32) // 10 * 256 + stored[:, :, 1], VOID
        elif self.check.labels == PARSING:
            void = VOID
            if stored.max() > CLASSES:
                self._fault(path, "class", f"holds class {stored.max()}; scene parsing has {CLASSES}")
        known = labels if void is None else labels[labels != void]
        if not self.check.labels and names and known.size and known.max() >= len(names):
            self._fault(path, "class", f"holds class {known.max()}, and {len(names)} classes have names, 0 to {len(names) - 1}")
        if not known.size:
            self._fault(path, "void", "has void at every pixel")
        blended = is_blended(labels)
        if blended:
            self._fault(path, "blended", blended)
        if self.check.thumbs:
            self.thumbs.append(thumb("segmentation", label_picture(labels)))

    def _tokens(self, size: tuple[int, int]) -> int:
        window = self.check.encoding.crop if self.check.encoding else None
        size = size if window is None else (min(size[0], window[1]), min(size[1], window[0]))
        tokens = map_tokens(self.check.lengths, size, {NAMES[name] for name in self.files.maps})
        if tokens > self.check.longest:
            said = f"the row has {tokens:,} tokens, above {self.check.longest:,}, so it is left out"
            self.faults.append(Fault(place=self.files.place, kind="too_long", said=said))
        return tokens


def _digest(paths: list[Path]) -> bytes:
    digest = hashlib.sha1(usedforsecurity=False)
    for path in paths:
        digest.update(path.read_bytes())
    return digest.digest()
