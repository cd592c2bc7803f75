"""Traces that a server keeps for a while: a folder that several replicas may share, each trace for the key it was made with."""

import hashlib
import hmac
import json
import re
import secrets
import shutil
import time
from contextlib import suppress
from pathlib import Path
from tempfile import mkdtemp

from cooper.serving.desk.limits import Limits
from cooper.trace.trace import Trace

_ID = re.compile(r"tr_[A-Za-z0-9_-]{22}")
_OWNER = "owner.json"
TRACE = "trace"


def digest(key: str) -> str:
    """What is kept of a key."""
    return hashlib.sha256(b"cooper:" + key.encode()).hexdigest()


class KeptTraces:
    """Each trace is a folder: who owns it, and the trace as `Trace.save` writes it."""

    def __init__(self, folder: Path, limits: Limits) -> None:
        self._folder, self._limits = folder, limits
        folder.mkdir(parents=True, exist_ok=True)

    def new_id(self) -> str:
        """An id that nobody can guess."""
        return f"tr_{secrets.token_urlsafe(16)}"

    def keep(self, name: str, trace: Trace, key: str) -> None:
        """Write a trace under an id from `new_id`, all or nothing, and drop what is too old or too much. CooperError,
        OSError: it cannot be written."""
        draft = Path(mkdtemp(prefix="draft-", dir=self._folder))
        try:
            trace.save(draft / TRACE)
            size = sum(file.stat().st_size for file in draft.rglob("*") if file.is_file())
            (draft / _OWNER).write_text(json.dumps({"key": digest(key), "at": time.time(), "bytes": size}))
            draft.rename(self._folder / name)
        except BaseException:
            shutil.rmtree(draft, ignore_errors=True)
            raise
        self._sweep()

    def find(self, name: str, key: str) -> Path | None:
        """The folder of a trace; None where there is none, or it belongs to another key."""
        if not _ID.fullmatch(name):
            return None
        owner = self._owner(self._folder / name)
        if owner is None or time.time() - owner["at"] > self._limits.keep_seconds:
            return None
        return self._folder / name / TRACE if hmac.compare_digest(owner["key"], digest(key)) else None

    def _owner(self, folder: Path) -> dict | None:
        try:
            return json.loads((folder / _OWNER).read_text())
        except (OSError, ValueError):
            return None

    def _sweep(self) -> None:
        """Drop what is older than may be, then the oldest until the rest is small enough."""
        now, found = time.time(), []
        for folder in self._folder.iterdir():
            owner = self._owner(folder)
            if owner is not None:
                found.append((owner["at"], owner["bytes"], folder))
            elif folder.name.startswith("draft-"):
                with suppress(FileNotFoundError):  # another replica has finished it meanwhile
                    if now - folder.stat().st_mtime > self._limits.keep_seconds:
                        shutil.rmtree(folder, ignore_errors=True)  # its replica was killed while it wrote
        total = sum(size for _, size, _ in found)
        for at, size, folder in sorted(found, key=lambda each: each[0]):
            if now - at > self._limits.keep_seconds or total > self._limits.keep_bytes:
                shutil.rmtree(folder, ignore_errors=True)
                total -= size
