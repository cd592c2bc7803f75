"""`cooper example`: a picture and questions to begin with."""

from pathlib import Path
from typing import Annotated

import typer


def example(folder: Annotated[Path, typer.Argument(help="Folder for room.png and questions.txt.")] = Path("example")) -> None:
    """Write an example picture and questions about it into a folder, and print a command to try."""
    from cooper.trace.example import example_questions, write_example

    picture = write_example(folder)
    typer.echo(f"{picture} shows a rendered room; {picture.with_name('questions.txt')} holds questions about it. For example:")
    typer.echo(f'  cooper ask {picture} "{example_questions()[0]}" --out {folder / "answer"}')
