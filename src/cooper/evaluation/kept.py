"""The traces of a run's rows: a folder each, with a page to open."""

from pathlib import Path

from cooper.trace.page import write_page
from cooper.trace.trace import Trace

PAGE = "page.html"


def trace_folder(out: Path, mode: str, id: str) -> Path:
    """Where the trace of one row of a run lies."""
    return out / "traces" / mode / id


def keep_trace(trace: Trace, folder: Path) -> None:
    """Write the trace without its arrays, and its page.

    Measured with nano (128 px): 43 KB a row without maps and 171 KB with two; with the arrays it would be 768 KB. All grow with
    the area of the picture, and the seed draws the same map again.
    """
    trace.save(folder, arrays=False)
    write_page(trace, folder / PAGE)
