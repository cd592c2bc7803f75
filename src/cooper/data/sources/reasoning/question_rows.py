"""The published questions of stage 3: `question`, `answer`, `image` (from a folder of pictures), `data_id`, and where wanted
`flag` (positive, negative or boundary, the default). Options stand in the question and no row says its type: it follows from
question and answer. A letter or text of an option, yes or no, and a number are read by rules; other answers take a judge.
"""

import re
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from string import ascii_uppercase

from cooper.data.item import Item, QuestionType
from cooper.data.sources.reasoning.own import picture_file
from cooper.data.sources.reasoning.row import field_of
from cooper.errors import CooperError
from cooper.files.rows import Line, read_lines
from cooper.files.values import shown
from cooper.trace.asked import options_in
from cooper.trace.steps import Question

ID = "data_id"
IMAGES = "images"  # the folder of the pictures, beside the file
_LETTER = re.compile(r"[(\[]?\s*([A-Za-z])\s*[)\].:]?")
_NUMBER = re.compile(r"[-+]?\d+(\.\d+)?")


@dataclass(frozen=True)
class QuestionRows:
    """The questions of a file, and their flags by id, none if no row has one."""

    items: tuple[Item, ...]
    flags: Mapping[str, str]


def is_published(path: Path) -> bool:
    """Whether the rows of a file are such questions."""
    first = next(read_lines(path, last_is_whole=True), None)
    return first is not None and ID in first.values and "type" not in first.values


def read_question_rows(path: Path, images: Path | None, flags: tuple[str, ...]) -> QuestionRows:
    """The questions of a file with their pictures, which are not decoded. `images`: the folder of the pictures, by default
    `images` beside the file, or the file's own. `flags`: those that there are.

    CooperError names the line and the field: missing, of another type, an id twice, a picture that is not there, an unknown
    flag, an answer that is none of the options.
    """
    folder = images or pictures_beside(path)
    items: dict[str, Item] = {}
    found: dict[str, str] = {}
    for line in read_lines(path, last_is_whole=True):
        item = question_item(line, folder)
        if item.id in items:
            raise CooperError(f"{line.place}: the {ID} {item.id!r} stands there twice")
        flag = line.values.get("flag", "boundary")
        if flag not in flags:
            raise CooperError(f"{line.place}: the field 'flag' is {shown(flag)}; known: {', '.join(flags)}")
        items[item.id], found[item.id] = item, flag
    if not items:
        raise CooperError(f"{path} holds no question")
    return QuestionRows(tuple(items.values()), found if set(found.values()) != {"boundary"} else {})


def pictures_beside(path: Path) -> Path:
    """The folder of the pictures that a file of questions names: `images` beside it, or its own."""
    return path.parent / IMAGES if (path.parent / IMAGES).is_dir() else path.parent


def question_item(line: Line, folder: Path) -> Item:
    """The question of a row. CooperError names the field at fault."""
    name = line.values.get(ID)
    if isinstance(name, bool) or not isinstance(name, str | int) or name == "":
        raise CooperError(f"{line.place}: the field {ID!r} is missing, or no text and no whole number: {shown(name)}")
    question, answer = (field_of(line.values, line.place, key, str).strip() for key in ("question", "answer"))
    for key, text in (("question", question), ("answer", answer)):
        if not text:
            raise CooperError(f"{line.place}: the field {key!r} is empty")
    picture = picture_file(line.values, line.place, folder)
    _ = picture.size  # it is there, and a picture
    options = options_in(question)
    kind, truth = _typed(options, answer, line.place)
    asked = Question((picture, question), id=str(name))
    choices = options if kind == "MCQ" else ()
    item = Item(str(name), "", "general", asked, kind, truth, choices)
    return item if kind != "Text" else Item(str(name), "", "general", asked, kind, truth, scoring="judge")


def _typed(options: tuple[str, ...], answer: str, place: str) -> tuple[QuestionType, str]:
    """The type of a question and its truth as `answers.score` has it. A text that is neither a letter, yes or no, nor a number
    is graded by a judge. CooperError: a letter that is no option."""
    letter = _LETTER.fullmatch(answer)
    if options:
        texts = [option.casefold() for option in options]
        if texts.count(answer.casefold()) == 1:
            return "MCQ", answer
        letters = ascii_uppercase[: len(options)]
        if letter is not None and letter[1].upper() in letters:
            return "MCQ", letter[1].upper()
        if letter is not None:
            raise CooperError(f"{place}: the field 'answer' is {shown(answer)}, and the question offers {', '.join(letters)}")
    if answer.casefold().rstrip(".") in ("yes", "no"):
        return "YN", answer.casefold().rstrip(".")
    if _NUMBER.fullmatch(answer):
        return ("Number" if "." in answer else "Number_Int"), answer
    return "Text", answer
