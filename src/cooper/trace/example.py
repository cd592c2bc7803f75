"""The bundled picture with questions that the bundled model answers."""

import shutil
from importlib.resources import files
from pathlib import Path

from cooper.errors import CooperError
from cooper.files.arguments import whole
from cooper.files.folders import output_folder
from cooper.files.pictures import read_image
from cooper.trace.steps import Question

_DEMO = Path(str(files("cooper"))) / "assets" / "demo"
PICTURE, QUESTIONS = "room.png", "questions.txt"


def example_questions() -> tuple[str, ...]:
    """What can be asked about the bundled picture, in words."""
    return tuple((_DEMO / QUESTIONS).read_text(encoding="utf-8").splitlines())


def example(number: int = 0) -> Question:
    """One of the bundled questions, with the picture of a rendered room: `model.ask(example())`. CooperError: there is no such
    number."""
    texts = example_questions()
    text = texts[whole(number, "the number of an example", 0, len(texts) - 1)]
    return Question((read_image(_DEMO / PICTURE), text))


def write_example(folder: str | Path) -> Path:
    """Copy the picture and the questions into a folder; returns the picture's path. CooperError: they cannot be written, or
    other files of these names are there."""
    place = output_folder(folder)
    place.mkdir(parents=True, exist_ok=True)
    for name in (PICTURE, QUESTIONS):
        there = place / name
        if there.exists() and (not there.is_file() or there.read_bytes() != (_DEMO / name).read_bytes()):
            raise CooperError(f"{there} is there already and is another file; name another folder")
        shutil.copyfile(_DEMO / name, there)
    return place / PICTURE
