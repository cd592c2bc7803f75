"""Replies of a judge on disk, so that nothing is paid for twice."""

import threading
from collections import deque
from dataclasses import asdict, dataclass
from pathlib import Path
from uuid import uuid4

from cooper.errors import CooperError
from cooper.files.rows import Row, append_rows, read_rows


@dataclass(frozen=True)
class StoredReply:
    """One reply, and the tokens it took when it was asked for."""

    key: str
    reply: str
    tokens_in: int
    tokens_out: int


class ReplyCache:
    """Replies by key: those in `folder` when it was opened, and those added since. Without a folder, in memory only.

    Each cache writes a file of its own and reads the files of all: runs that share a folder, on one machine or on
    several, never write to the same file. CooperError: a file there that is no cache, or cannot be read or written.
    """

    def __init__(self, folder: Path | None) -> None:
        self._path = folder / f"judge-{uuid4().hex}.jsonl" if folder else None
        files = sorted(folder.glob("judge-*.jsonl")) if folder else []
        stored = [_stored(row, path) for path in files for row in read_rows(path)]
        self._known = {reply.key: reply for reply in stored}
        self._waiting: deque[StoredReply] = deque()
        self._writing = threading.Lock()

    def get(self, key: str) -> StoredReply | None:
        """The reply of that key, or None."""
        return self._known.get(key)

    def add(self, reply: StoredReply) -> None:
        """Keep a reply; it is on disk when this returns. Safe in several threads: whoever writes, writes for all."""
        self._waiting.append(reply)
        with self._writing:
            batch = [self._waiting.popleft() for _ in range(len(self._waiting))]
            if batch and self._path:
                try:
                    append_rows(self._path, [asdict(one) for one in batch])
                except CooperError as error:
                    raise CooperError(f"the judge's replies cannot be kept: {error}") from error
            self._known.update({one.key: one for one in batch})


def _stored(row: Row, path: Path) -> StoredReply:
    kinds = {"key": str, "reply": str, "tokens_in": int, "tokens_out": int}
    if row.keys() != kinds.keys() or not all(isinstance(row[name], kind) for name, kind in kinds.items()):
        raise CooperError(f"{path}: not a cache of a judge, it has a row with {', '.join(sorted(row)) or 'nothing'}")
    return StoredReply(**row)
