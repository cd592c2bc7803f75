"""Folders for results: checked before hours of work go there, and replaced whole or not at all."""

import os
import re
import shutil
import tempfile
from pathlib import Path

from cooper.errors import CooperError
from cooper.files.arguments import brief, shown

LONGEST_NAME = 200  # bytes; file systems take 255, and drafts beside a folder have longer names
LEAST_FREE = 1 << 20  # bytes without which nothing can be written


def output_folder(path: str | Path) -> Path:
    """A place for results, new or there already; `~` is the home directory. Nothing is left there yet.

    CooperError: it is a file, lies below one, cannot be written to, its disk is full, or no folder can have its name.
    """
    if not isinstance(path, str | Path):
        raise CooperError(f"a folder for results must be a path, not {shown(path)}")
    try:
        folder = Path(path).expanduser().resolve()
        if "\0" in str(folder):
            raise ValueError("embedded null byte")
        if any(len(os.fsencode(part)) > LONGEST_NAME for part in folder.parts):
            raise CooperError(f"{brief(path)}: a folder's name may have at most {LONGEST_NAME} bytes")
        there = next(place for place in (folder, *folder.parents) if os.path.lexists(place))
        if not there.is_dir():
            kind = "is a file" if there.exists() else "is a link that leads nowhere"
            raise CooperError(f"{path} cannot be a folder for results: {there} {kind}")
        if not os.access(there, os.W_OK | os.X_OK):
            raise CooperError(f"{path} cannot be written to: no permission for {there}")
        space = shutil.disk_usage(there)
        if space.total and space.free < LEAST_FREE:
            raise CooperError(f"{path} cannot be written to: the disk of {there} is full")
        if there != folder:
            os.rmdir(tempfile.mkdtemp(prefix=".cooper-", dir=there))  # some file systems say no only when they are asked
    except (OSError, ValueError, RuntimeError) as error:
        if isinstance(error, CooperError):
            raise
        reason = error.strerror if isinstance(error, OSError) and error.strerror else error
        raise CooperError(f"{brief(path)} cannot be a folder for results: {reason}") from None
    return folder


def own_folder(path: str | Path) -> Path:
    """As `output_folder`, for results that need a folder of their own. CooperError: it is the working directory, the home
    directory or a folder that holds one of them, or a git checkout."""
    folder = output_folder(path)
    for name, place in (("working", Path.cwd), ("home", Path.home)):
        try:
            is_above = place().resolve().is_relative_to(folder)
        except (OSError, RuntimeError):  # it is gone, or nobody's
            continue
        if is_above:
            raise CooperError(
                f"{brief(path)} cannot be a folder for results: it is the {name} directory or holds it; name another"
            )
    if (folder / ".git").exists():
        raise CooperError(f"{brief(path)} cannot be a folder for results: it is a git checkout; name a folder of its own")
    return folder


_OF_A_RUN = re.compile(
    r"(run|dataset|study|import|check)\.json|recipe\.yaml|model|checkpoint-\d+|(rows|depth|segmentation)(-\d+)?\.jsonl|scenes|judge|kit"
)
_OF_A_LAUNCHER = re.compile(r"logs?|.*\.(log|out|err)")  # what torchrun, Slurm and a shell put where they are told to


def run_folder(path: str | Path) -> Path:
    """As `own_folder`, for a run that begins there or goes on. CooperError: the folder holds other things, and no run."""
    folder = own_folder(path)
    found = [place.name for place in folder.iterdir() if place.name[0] != "."] if folder.is_dir() else []
    names = sorted(name for name in found if not _OF_A_LAUNCHER.fullmatch(name))
    if names and not any(map(_OF_A_RUN.fullmatch, names)):
        raise CooperError(
            f"{brief(path)} cannot be a folder for results: it holds {names[0]!r} and no run of a command; name a new folder"
        )
    return folder


def is_cut_short(error: OSError) -> bool:
    """Whether NumPy could not write all of an array: the disk is full, which it says in words of its own."""
    return re.search(r"\d+ requested and \d+ written|problem writing element \d+ to file", str(error)) is not None


def why(error: OSError) -> str:
    """What the system said, in a word or two."""
    return error.strerror or ("the disk is full" if is_cut_short(error) else str(error))


def draft_beside(target: Path) -> Path:
    """A new folder beside `target`, to be filled and then put there. Drafts that killed processes left are removed."""
    target.parent.mkdir(parents=True, exist_ok=True)
    for left in target.parent.glob(f".{_literal(target.name)}.draft-*"):
        if not _lives(left.name.rsplit("-", 1)[1]):
            shutil.rmtree(left, ignore_errors=True)
    draft = target.with_name(f".{target.name}.draft-{os.getpid()}")
    shutil.rmtree(draft, ignore_errors=True)
    draft.mkdir()
    return draft


def put_in_place(draft: Path, target: Path) -> None:
    """Make `draft` the folder `target`. What was there is moved beside it first and removed last, so that a process killed
    in between loses neither: `whole_folder` finds it."""
    before = _before(target)
    if target.exists():
        shutil.rmtree(before, ignore_errors=True)
        os.replace(target, before)
    try:
        os.replace(draft, target)
    except OSError:
        if before.exists():
            os.replace(before, target)
        raise
    shutil.rmtree(before, ignore_errors=True)


def whole_folder(target: Path) -> Path:
    """Where the folder `target` lies: there, or beside it, if a process was killed while it put another in its place."""
    return _before(target) if not target.exists() and _before(target).is_dir() else target


def _before(target: Path) -> Path:
    return target.with_name(f".{target.name}.before")


def _literal(name: str) -> str:
    """A name without the characters that mean more in a pattern."""
    return "".join(f"[{letter}]" if letter in "[*?" else letter for letter in name)


def _lives(number: str) -> bool:
    """Whether a process runs on this machine; one whose number cannot be read counts as running."""
    try:
        os.kill(int(number), 0)
    except ProcessLookupError:
        return False
    except (ValueError, OSError, OverflowError):
        return True
    return True
