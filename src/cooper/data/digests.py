"""Digests of what a run asks, so that rows of one table are not reported as those of another."""

import hashlib
import json
from collections.abc import Iterable, Mapping
from pathlib import Path

from PIL import Image

from cooper.data.examples import Example
from cooper.data.item import Item
from cooper.errors import CooperError
from cooper.files.digests import LENGTH
from cooper.trace.steps import Undecoded

PIECES, PIECE = 64, 4096  # bytes of a file that are looked at; files of up to 256 KiB are read whole


def item_digest(item: Item) -> str:
    """Of the words of a question, its options, its truth and how that is compared, and its pictures, which are not decoded."""
    told = (item.question.text, item.choices, item.type, item.truth, item.tolerance, item.scoring, item.category, item.bundle)
    digest = hashlib.sha256(json.dumps(told).encode())
    for part in item.question.parts:
        if not isinstance(part, str):
            _add_picture(digest, part)
    return digest.hexdigest()[:LENGTH]


def picture_digest(picture: Image.Image | Undecoded) -> str:
    """Of a picture, which is not decoded."""
    digest = hashlib.sha256()
    _add_picture(digest, picture)
    return digest.hexdigest()[:LENGTH]


def _add_picture(digest: "hashlib._Hash", picture: Image.Image | Undecoded) -> None:
    if isinstance(picture, Image.Image):
        digest.update(repr((picture.size, picture.mode)).encode() + picture.tobytes())
    else:
        _add(digest, [picture.source])


def truth_digests(items: Iterable[Example]) -> Mapping[str, str]:
    """By the name of each picture, of the files of the picture and its truth."""
    found = {}
    for item in items:
        digest = hashlib.sha256()
        _add(digest, item.sources())
        found[item.id] = digest.hexdigest()[:LENGTH]
    return found


def sources_digest(sources: Iterable[Path | bytes]) -> str:
    """Of files, looked at in pieces where they are large, and of bytes. CooperError: a file cannot be read."""
    digest = hashlib.sha256()
    _add(digest, sources)
    return digest.hexdigest()[:LENGTH]


def _add(digest: "hashlib._Hash", sources: Iterable[Path | bytes]) -> None:
    for source in sources:
        if isinstance(source, bytes):
            digest.update(b"%d " % len(source) + source)
            continue
        try:
            size = source.stat().st_size
            digest.update(b"%d " % size)
            with open(source, "rb") as file:
                for piece in range(PIECES if size > PIECES * PIECE else 1):
                    file.seek(size * piece // PIECES)
                    digest.update(file.read(PIECE if size > PIECES * PIECE else size))
        except OSError as error:
            raise CooperError(f"cannot read {source}: {error.strerror}") from None
