"""Fields that several layouts share: bytes of pictures, and lists of texts."""

from typing import Any

from cooper.errors import CooperError
from cooper.files.pictures import LazyPicture
from cooper.files.rows import Line
from cooper.files.values import shown


def coded(value: Any, place: str) -> LazyPicture:
    """A picture from the bytes of its file, or the group `{"bytes": ...}` that some writers make of it. CooperError: there
    are none."""
    content = value.get("bytes") if isinstance(value, dict) else value
    if not isinstance(content, bytes) or not content:
        raise CooperError(f"{place}: holds no bytes of a picture, but {'nothing' if content is None else shown(value)}")
    return LazyPicture(place, content)


def bytes_in(line: Line, name: str) -> list[LazyPicture]:
    """The pictures in a list. CooperError: there is none."""
    values = line.values.get(name)
    if not isinstance(values, list) or not values:
        raise CooperError(f"{line.place}: the field {name!r} is missing or no list of pictures")
    return [coded(value, f"{line.place}, {name!r}[{number}]") for number, value in enumerate(values)]


def texts_in(values: Any, place: str) -> list[str]:
    """The texts in a list; one text stands for a list of one. CooperError: there is none, or an empty one."""
    texts = [values] if isinstance(values, str) else values
    if not isinstance(texts, list) or not texts or not all(isinstance(text, str) and text.strip() for text in texts):
        raise CooperError(f"{place}: must be a list of texts, none of them empty, not {shown(values)}")
    return [text.strip() for text in texts]
