"""The traces of a run's rows: a folder each, with a page to open."""

import re
from hashlib import sha256
from pathlib import Path

from cooper.trace.page import save_with_page
from cooper.trace.trace import Trace

_LONGEST = 200  # bytes of a folder's name


def trace_folder(out: Path, mode: str, id: str) -> Path:
    """Where the trace of one row of a run lies: a folder inside `out`, whatever a table calls its rows."""
    return out / "traces" / _folder_name(mode) / _folder_name(id)


def _folder_name(text: str) -> str:
    """The text itself if a folder can have that name, else what is left of it with a digest."""
    if text.isprintable() and not re.search(r"[/\\]|^\.*$", text) and len(text.encode()) <= _LONGEST:
        return text
    digest = sha256(text.encode("utf-8", "surrogatepass")).hexdigest()[:16]
    return f"{re.sub(r'[^A-Za-z0-9-]+', '_', text)[:60]}-{digest}"


def keep_trace(trace: Trace, folder: Path) -> None:
    """Write the trace without its arrays, and its page.

    Measured with nano (128 px): 43 KB a row without maps and 171 KB with two; with the arrays it would be 768 KB. All grow with
    the area of the picture, and the seed draws the same map again.
    """
    save_with_page(trace, folder, arrays=False)
