"""Where checkpoints and data sets are: a local folder or file, the bundled model, or the Hugging Face hub."""

import re
from collections.abc import Sequence
from importlib.resources import files
from pathlib import Path

from cooper.errors import CooperError
from cooper.files.arguments import brief, shown

NANO = "nano"  # the bundled model
_HUB_ID = re.compile(r"\w[\w.-]*/\w[\w.-]*")


def resolve(name_or_path: str | Path) -> Path:
    """The directory of a checkpoint: ``"nano"`` (bundled), a directory, or a hub id, which is downloaded.

    Raises CooperError if it is none of them, or the download fails.
    """
    if name_or_path == NANO:
        bundled = Path(str(files("cooper"))) / "assets" / NANO
        if not bundled.is_dir():
            raise CooperError(f"the bundled model is missing: {bundled} is no directory; install the package again")
        return bundled
    path = _local(name_or_path, "a checkpoint")
    if path.is_dir():
        return path
    if path.exists():
        raise CooperError(f"{path} is a file; name the checkpoint's directory")
    name = str(name_or_path)
    if not _HUB_ID.fullmatch(name):
        raise CooperError(f"{name} is no directory, and neither '{NANO}' nor a hub id of the form owner/name")
    return _download(name, None)


def local_data(data: str | Path, wanted: Sequence[str]) -> Path:
    """The folder or file that `data` names; a hub id `owner/name` is downloaded, only the `wanted` patterns of it."""
    path = _local(data, "a data set")
    if path.exists():
        return path
    if not _HUB_ID.fullmatch(str(data)):
        raise CooperError(f"{data}: no such file or folder, and no hub id of the form owner/name")
    return _download(str(data), wanted)


def _local(name: str | Path, what: str) -> Path:
    """A path that exists or not. CooperError: what was given can be none."""
    if not isinstance(name, str | Path) or not str(name).strip():
        raise CooperError(f"{what} is a folder or a hub id, not {shown(name)}")
    try:
        path = Path(name).expanduser()
        if "\0" in str(path):
            raise ValueError("a path holds no character of the number 0")
        path.exists()
    except (OSError, ValueError, RuntimeError) as error:
        reason = error.strerror if isinstance(error, OSError) and error.strerror else error
        raise CooperError(f"{what} cannot lie at {brief(name)}: {reason}") from None
    return path


def find_files(data: Path, patterns: Sequence[str]) -> list[Path]:
    """The files of the first pattern that matches any, in order of name; a file stands for itself.

    CooperError: none matches; it says what was looked for.
    """
    if data.is_file():
        return [data]
    for pattern in patterns:
        found = sorted(path for path in data.glob(pattern) if path.is_file())
        if found:
            return found
    raise CooperError(f"{data}: holds none of {', '.join(patterns)}")


def _download(name: str, wanted: Sequence[str] | None) -> Path:
    """A checkpoint, or the `wanted` files of a data set, from the hub."""
    import huggingface_hub  # only the hub needs it
    from huggingface_hub.errors import HfHubHTTPError, HFValidationError, LocalEntryNotFoundError

    kind = "model" if wanted is None else "dataset"
    try:
        patterns = None if wanted is None else list(wanted)
        return Path(huggingface_hub.snapshot_download(name, repo_type=kind, allow_patterns=patterns))
    except (HfHubHTTPError, HFValidationError, LocalEntryNotFoundError, OSError) as error:
        reason = (str(error).strip() or type(error).__name__).splitlines()[0]
        raise CooperError(f"{name}: no file or folder here, and it could not be fetched from the hub: {reason}") from None
