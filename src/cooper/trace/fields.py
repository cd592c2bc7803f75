"""JSON objects read field by field; a fault names the file and the field."""

import math
from dataclasses import dataclass
from pathlib import Path
from typing import NoReturn, get_args

from cooper.errors import CooperError
from cooper.files.arguments import shown
from cooper.files.rows import read_object
from cooper.trace.modes import Mode
from cooper.trace.steps import Author


def read_fields(path: Path) -> "Fields":
    """The object in a JSON file. Raises CooperError naming the file."""
    return Fields(read_object(path, lenient=True), str(path))


@dataclass(frozen=True)
class Fields:
    """One JSON object and where it stands, such as `DIR/trace.json, steps.2`. Every reader raises CooperError."""

    values: dict[str, object]
    where: str

    def place(self, key: str) -> str:
        return f"{self.where}: {key!r}" if key else self.where

    def text(self, key: str) -> str:
        value = self._value(key)
        return value if isinstance(value, str) else self._refuse(key, "a text")

    def integer(self, key: str) -> int:
        value = self._value(key)
        return value if isinstance(value, int) and not isinstance(value, bool) else self._refuse(key, "a whole number")

    def number(self, key: str) -> float:
        value = self._value(key)
        return float(value) if isinstance(value, int | float) and _is_number(value) else self._refuse(key, "a number")

    def seconds(self, key: str) -> float:
        """A time: a finite number that is not negative."""
        value = self.number(key)
        return value if 0 <= value < math.inf else self._refuse(key, "a number of seconds")

    def truth(self, key: str) -> bool:
        value = self._value(key)
        return value if isinstance(value, bool) else self._refuse(key, "true or false")

    def integers(self, key: str) -> tuple[int, ...]:
        value = self._value(key)
        if isinstance(value, list) and all(isinstance(item, int) and not isinstance(item, bool) for item in value):
            return tuple(value)
        return self._refuse(key, "a list of whole numbers")

    def numbers(self, key: str) -> tuple[float, ...]:
        value = self._value(key)
        if isinstance(value, list) and all(_is_number(item) for item in value):
            return tuple(float(item) for item in value)
        return self._refuse(key, "a list of numbers")

    def child(self, key: str) -> "Fields":
        value = self._value(key)
        return Fields(value, f"{self.where}, {key}") if isinstance(value, dict) else self._refuse(key, "an object")

    def children(self, key: str) -> list["Fields"]:
        value = self._value(key)
        if not isinstance(value, list) or not all(isinstance(item, dict) for item in value):
            return self._refuse(key, "a list of objects")
        return [Fields(item, f"{self.where}, {key}.{place}") for place, item in enumerate(value)]

    def texts(self) -> dict[str, str]:
        """All fields, every one a text."""
        return {key: self.text(key) for key in self.values}

    def list_of_texts(self, key: str) -> tuple[str, ...]:
        value = self._value(key)
        if isinstance(value, list) and all(isinstance(item, str) for item in value):
            return tuple(value)
        return self._refuse(key, "a list of texts")

    def mode(self, key: str) -> Mode:
        value = self.text(key)
        for mode in get_args(Mode):
            if value == mode:
                return mode
        return self._refuse(key, f"one of {', '.join(get_args(Mode))}")

    def author(self, key: str) -> Author:
        value = self.text(key)
        for author in get_args(Author):
            if value == author:
                return author
        return self._refuse(key, f"one of {', '.join(get_args(Author))}")

    def _value(self, key: str) -> object:
        if key not in self.values:
            raise CooperError(f"{self.where}: the field {key!r} is missing")
        return self.values[key]

    def _refuse(self, key: str, wanted: str) -> NoReturn:
        raise CooperError(f"{self.place(key)} must be {wanted}, not {shown(self.values[key])}")


def _is_number(value: object) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool)
