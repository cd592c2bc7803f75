"""Digests of the data that results were made of, kept beside them, so that they are not taken for results of other data."""

import hashlib
import json
from collections.abc import Collection, Iterable, Mapping
from pathlib import Path
from typing import Any

from cooper.errors import CooperError
from cooper.files.rows import read_object, write_whole

LENGTH = 12  # hexadecimal digits that are kept


def bytes_digest(content: bytes) -> str:
    """The digest of the bytes of a file."""
    return hashlib.sha256(content).hexdigest()[:LENGTH]


def digests_in(path: Path, field: str) -> Mapping[str, str]:
    """The digests by name in a field of a JSON file, none where there is no such file or field. CooperError: something else
    stands there."""
    found: Any = read_object(path).get(field, {}) if path.is_file() else {}
    if not isinstance(found, dict) or not all(isinstance(digest, str) for digest in found.values()):
        raise CooperError(f"{path}: {field} must be an object of digests, not {str(found)[:60]!r}")
    return found


def first_changed(known: Mapping[str, str], found: Mapping[str, str], names: Iterable[str]) -> str | None:
    """The first name whose digest is another one than was kept; "" and no digest at all tell nothing."""
    return next((name for name in names if known.get(name) and found.get(name) and known[name] != found[name]), None)


def keep_digests(path: Path, field: str, found: Mapping[str, str], done: Collection[str]) -> None:
    """Write the digests into a field of the JSON file of a run, beside those that stand there.

    `done`: names of what the run has results of; where an earlier version kept no digest of one, none is added, for nobody
    knows what it was. CooperError: one of them is another thing than it was.
    """
    known = digests_in(path, field)
    changed = first_changed(known, found, done)
    if changed is not None:
        raise CooperError(
            f"{changed!r} of the data has changed since {path.parent} was begun, so what is there no longer fits: put the data "
            "back, or choose another folder"
        )
    unknown = set(done) - known.keys()
    merged = {**known, **{name: digest for name, digest in found.items() if digest and name not in unknown}}
    if merged != known:
        write_whole(path, json.dumps({**read_object(path), field: merged}, indent=1) + "\n")
