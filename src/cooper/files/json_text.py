"""JSON from files that somebody else may have written: one object, or one sentence that says what is wrong with the file."""

import codecs
import json
from pathlib import Path
from typing import Any

from cooper.errors import CooperError

LARGEST_OBJECT = 1 << 28  # bytes of a file that holds one object; those of this project have a few thousand


def parsed_json(text: str | bytes, where: str) -> Any:
    """The value that a JSON text holds. CooperError, with `where` in front: not UTF-8, not JSON, or nested too deeply."""
    try:
        return json.loads(
            text.removeprefix(codecs.BOM_UTF8).decode("utf-8", "surrogatepass") if isinstance(text, bytes) else text
        )
    except UnicodeDecodeError as error:
        raise CooperError(f"{where} is not UTF-8 text (byte {error.start + 1}); save it as UTF-8") from None
    except RecursionError:
        raise CooperError(f"{where} is not JSON that can be read: it is nested too deeply") from None
    except ValueError as error:
        raise CooperError(f"{where} is not JSON: {error}") from None


def read_object(path: Path) -> dict[str, Any]:
    """The object in a JSON file. CooperError names the file that is unreadable or holds something else."""
    try:
        if path.exists() and not path.is_file():
            raise CooperError(f"{path} is {'a folder' if path.is_dir() else 'no regular file'}, not a JSON file")
        if path.stat().st_size > LARGEST_OBJECT:
            raise CooperError(f"{path} has {path.stat().st_size:,} bytes, more than a JSON file of this kind may have")
        content = path.read_bytes()
    except OSError as error:
        raise CooperError(f"cannot read {path}: {error.strerror}") from None
    value = parsed_json(content, str(path))
    if not isinstance(value, dict):
        raise CooperError(f"{path} must hold one JSON object")
    return value
