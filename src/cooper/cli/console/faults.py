"""What goes wrong while a command runs, as one sentence: mistakes of the user, what the machine refuses, and warnings."""

import errno
import os
import sys
import warnings
from pathlib import Path

import typer

from cooper.errors import CooperError
from cooper.files.arguments import visible
from cooper.files.folders import is_cut_short

_PACKAGE = Path(__file__).parents[2]
LONGEST_SENTENCE = 2000  # characters


def sentence_of(fault: BaseException) -> str | None:
    """The sentence for what ended a command; None for a fault of the program itself, which needs its traceback."""
    if isinstance(fault, CooperError):
        return str(fault)
    if isinstance(fault, OSError) and fault.errno is not None:
        where = f"{fault.filename}: " if fault.filename else ""
        return f"{where}{fault.strerror or os.strerror(fault.errno)}"
    if is_full_disk(fault):
        return f"a file cannot be written, as the disk is full or may hold no larger one ({' '.join(str(fault).split())[:200]})"
    if isinstance(fault, MemoryError) or type(fault).__name__ == "OutOfMemoryError":
        return f"the memory does not suffice ({' '.join(str(fault).split())[:200] or 'no further word'})"
    return None


def is_full_disk(fault: BaseException) -> bool:
    """Whether the system took no more bytes, as it says itself, or as NumPy, safetensors and torch say in their own words."""
    text, kind = str(fault), type(fault).__name__
    if isinstance(fault, OSError):
        return fault.errno in (errno.ENOSPC, errno.EDQUOT, errno.EFBIG) or is_cut_short(fault)
    if kind == "SafetensorError":
        return "I/O error" in text
    return kind == "RuntimeError" and ("PytorchStreamWriter" in text or "unexpected pos" in text)


def tell(fault: BaseException) -> bool:
    """Print the sentence for a fault on stderr, if there is one; says whether it did."""
    sentence = sentence_of(fault)
    if sentence is None:
        return False
    text = visible(" ".join(sentence.split()))[:LONGEST_SENTENCE]
    typer.secho(f"cooper: {text}", fg=typer.colors.RED, err=True)
    return True


def tell_own_warnings() -> None:
    """Warnings of this package are one line on stderr; those of libraries, which a user cannot heed, are left out. Of several
    processes only the first warns."""
    warnings.showwarning = _tell_warning


def _tell_warning(
    message: Warning | str, category: type[Warning], filename: str, lineno: int, file: object = None, line: object = None
) -> None:
    if category is UserWarning and Path(filename).is_relative_to(_PACKAGE) and os.environ.get("RANK", "0") == "0":
        typer.secho(f"note: {visible(' '.join(str(message).split()))}", fg=typer.colors.YELLOW, err=True)


def quiet_libraries() -> None:
    """No notes and progress bars of the libraries that read and write models: a run prints its own lines."""
    from transformers.utils import logging

    logging.set_verbosity_error()
    logging.disable_progress_bar()


def write_what_the_console_can() -> None:
    """Characters that the console has no code for are shown as escapes, and do not end the command."""
    for stream in (sys.stdout, sys.stderr):
        reconfigure = getattr(stream, "reconfigure", None)  # streams that tests or callers put there may have none
        if reconfigure is not None:
            reconfigure(errors="backslashreplace")


def flush_or_tell() -> int:
    """Write out what was printed. The exit code: 0, or 1 where it could not be written; a closed pipe is nobody's fault."""
    try:
        sys.stdout.flush()
    except OSError as fault:
        sys.stdout = open(os.devnull, "w", encoding="utf-8")  # noqa: SIM115 - nothing more can be written at the end
        if fault.errno != errno.EPIPE:
            typer.secho(f"cooper: the output cannot be written: {fault.strerror}", fg=typer.colors.RED, err=True)
        return 1
    except ValueError:  # closed already
        return 0
    return 0
