"""One lock for each output folder, so that two commands never write into one.

The lock is a file in the folder that its holder keeps locked (`flock`), so the system lifts it when the holder ends, however it
ends. Where a file system cannot lock, the process that the file names decides: it holds while it lives.
"""

import errno
import json
import os
import socket
import threading
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from pathlib import Path

from cooper.errors import CooperError
from cooper.files.folders import output_folder, run_folder

try:
    import fcntl
except ImportError:  # not on Windows
    fcntl = None

FILE = ".cooper.lock"
_BUSY = (errno.EWOULDBLOCK, errno.EAGAIN, errno.EACCES)
_LAUNCHER = ("MASTER_ADDR", "MASTER_PORT", "TORCHELASTIC_RUN_ID")  # what tells one launch from another
_held: dict[Path, int] = {}  # lock files of this process and their descriptors
_taking = threading.Lock()  # another thread must see a lock and its descriptor together, or neither


@contextmanager
def held(folder: str | Path, what: str) -> Iterator[None]:
    """Hold an output folder, made where it is missing, until the block ends. `what`: the command, for messages.

    Of the processes of one launcher (RANK, WORLD_SIZE) the first holds it for all. A folder that was made here is removed
    again if it is empty when the block ends. CooperError: another command holds it, with its process, machine and time; or the
    folder cannot be made or written.
    """
    missing = _missing(folder)
    path = _made(folder) / FILE
    try:
        with _locked_by_first(path, what):  # once: a command and what it calls may both ask
            yield
    finally:
        with suppress(OSError):  # something is in it, so it stays
            for place in missing:
                place.rmdir()


@contextmanager
def _locked_by_first(path: Path, what: str) -> Iterator[None]:
    """As `held`, of a folder that is there."""
    if os.environ.get("RANK", "0") != "0":
        _refuse_other_launch(path)
        yield
        return
    with _taking:
        mine = path not in _held
        if mine:
            _held[path] = _locked(path)
    try:
        if mine:
            _write(path, _held[path], what)
        yield
    finally:
        if mine:
            with _taking:
                path.unlink(missing_ok=True)  # while it is locked: nobody else can hold this file
                os.close(_held.pop(path))


def _missing(folder: str | Path) -> list[Path]:
    """The folder and those above it that are not there yet, the innermost first."""
    place = output_folder(folder)
    return [each for each in (place, *place.parents) if not each.exists()]


def _made(folder: str | Path) -> Path:
    """The folder by its real path, made where it is missing. CooperError: it cannot be made or written, or holds other things
    than a run; what this process holds is not looked at again."""
    place = output_folder(folder)
    if place / FILE not in _held:
        run_folder(folder)
    try:
        place.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise CooperError(f"cannot make the folder {place}: {error.strerror}") from None
    return place


def _locked(path: Path) -> int:
    """A descriptor of the file, locked by this process. CooperError: somebody else holds it."""
    while True:
        try:
            path.parent.mkdir(parents=True, exist_ok=True)  # another command may have removed what it had made
            descriptor = os.open(path, os.O_RDWR | os.O_CREAT, 0o666)
        except OSError as error:
            raise CooperError(f"cannot write into {path.parent}: {_reason(error)}") from None
        if _is_held(descriptor):
            told = _told(path)
            os.close(descriptor)
            raise CooperError(_in_use(path, told))
        try:
            if os.path.samestat(os.fstat(descriptor), os.stat(path)):
                return descriptor
        except FileNotFoundError:
            pass
        os.close(descriptor)  # its last holder has just removed it: there is another file, or none


def _is_held(descriptor: int) -> bool:
    """Try to lock the file; whether somebody else holds it. Where files cannot be locked: whether its process lives."""
    if fcntl is not None:
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
            return False
        except OSError as error:
            if error.errno in _BUSY:
                return True
    return _lives(_parsed(os.pread(descriptor, 4096, 0)))


def _lives(told: Mapping[str, object]) -> bool:
    """Whether the process that wrote the file may still run; one on another machine is taken to."""
    pid = told.get("pid")
    if not isinstance(pid, int) or pid == os.getpid():
        return False
    if told.get("host") != socket.gethostname():
        return True
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    except PermissionError:
        pass
    return told.get("started") == _started(pid)


def _started(pid: int) -> str:
    """When a process began, as the system counts it, so that a number that is used again is told apart; "" if it does not
    say."""
    try:
        return Path(f"/proc/{pid}/stat").read_text(encoding="utf-8", errors="replace").rpartition(")")[2].split()[19]
    except (OSError, IndexError):
        return ""


def _write(path: Path, descriptor: int, what: str) -> None:
    since = time.strftime("%Y-%m-%d %H:%M:%S")
    pid = os.getpid()
    told = {
        "what": what,
        "pid": pid,
        "host": socket.gethostname(),
        "since": since,
        "started": _started(pid),
        "launch": _launch(),
    }
    try:
        os.ftruncate(descriptor, 0)
        os.pwrite(descriptor, json.dumps(told).encode(), 0)
    except OSError as error:
        raise CooperError(f"cannot write into {path.parent}: {_reason(error)}") from None


def _refuse_other_launch(path: Path) -> None:
    """For a process that is not the first of its launcher: CooperError where the first of another launcher holds the folder.

    It must not try the lock itself, or its own first process might find it taken.
    """
    told = _told(path)
    if told.get("host") == socket.gethostname() and told.get("launch") != _launch() and _lives(told):
        raise CooperError(_in_use(path, told))


def _launch() -> list[str]:
    return [os.environ.get(name, "") for name in _LAUNCHER]


def _told(path: Path) -> Mapping[str, object]:
    try:
        return _parsed(path.read_bytes()[:4096])
    except OSError:
        return {}


def _parsed(content: bytes) -> Mapping[str, object]:
    try:
        told = json.loads(content)
    except (ValueError, RecursionError):
        return {}
    return told if isinstance(told, dict) else {}


def _in_use(path: Path, told: Mapping[str, object]) -> str:
    who = (
        f"process {told['pid']} on {told['host']} ({told['what']}, since {told['since']})"
        if len(told) > 4
        else "another command"
    )
    return f"{path.parent} is in use by {who}: wait until it ends, or choose another folder"


def _reason(error: BaseException) -> str:
    return (error.strerror if isinstance(error, OSError) else None) or str(error)


def _let_go_in_child() -> None:
    """A forked child holds nothing: what it inherits must not outlive its parent's lock."""
    global _taking
    _taking = threading.Lock()  # the thread that held it is not in the child
    for descriptor in _held.values():
        os.close(descriptor)
    _held.clear()


if hasattr(os, "register_at_fork"):  # not on Windows, which does not fork
    os.register_at_fork(after_in_child=_let_go_in_child)
