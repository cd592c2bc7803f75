"""Where the files of a benchmark are: a local folder or file, or a data set on the Hugging Face hub."""

import re
from collections.abc import Sequence
from pathlib import Path

from cooper.errors import CooperError


def local_data(data: str | Path, wanted: Sequence[str]) -> Path:
    """The folder or file that `data` names; a hub id `owner/name` is downloaded, only the `wanted` patterns of it."""
    path = Path(data).expanduser()
    if path.exists():
        return path
    if not re.fullmatch(r"\w[\w.-]*/\w[\w.-]*", str(data)):
        raise CooperError(f"{data}: no such file or folder, and no hub id of the form owner/name")
    return _download(str(data), wanted)


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


def _download(name: str, wanted: Sequence[str]) -> Path:
    import huggingface_hub  # only the hub needs it
    from huggingface_hub.errors import HfHubHTTPError, HFValidationError, LocalEntryNotFoundError

    try:
        return Path(huggingface_hub.snapshot_download(name, repo_type="dataset", allow_patterns=list(wanted)))
    except (HfHubHTTPError, HFValidationError, LocalEntryNotFoundError, OSError) as error:
        reason = (str(error).strip() or type(error).__name__).splitlines()[0]
        raise CooperError(f"{name}: no file or folder here, and it could not be fetched from the hub: {reason}") from None
