"""Typed values from plain ones: a recipe is a whole run in one YAML file, and every key has a type and a range.

A field says its range where it is declared: `steps: Annotated[int, AtLeast(1)]`. What does not fit is named, never ignored.
"""

import math
import operator
from collections.abc import Callable, Mapping, Sequence
from dataclasses import MISSING, Field, dataclass, fields, is_dataclass
from functools import cache
from numbers import Integral, Real
from pathlib import Path
from types import UnionType
from typing import Annotated, Any, ClassVar, Literal, TypeVar, Union, get_args, get_origin, get_type_hints

from cooper.errors import CooperError
from cooper.files.arguments import LARGEST_SEED
from cooper.files.plain import DEEPEST, parse_plain, read_plain

T = TypeVar("T")


@dataclass(frozen=True)
class Range:
    """Numbers on one side of a bound. Use one of the four below."""

    bound: float
    words: ClassVar[str]
    compare: ClassVar[Callable[[float, float], bool]]

    def holds(self, value: float) -> bool:
        return type(self).compare(value, self.bound)

    def __str__(self) -> str:
        return f"{self.words} {self.bound}"


class AtLeast(Range):
    words, compare = "at least", operator.ge


class AtMost(Range):
    words, compare = "at most", operator.le


class Above(Range):
    words, compare = "above", operator.gt


class Below(Range):
    words, compare = "below", operator.lt


Seed = Annotated[int, AtLeast(0), AtMost(LARGEST_SEED)]
Count = Annotated[int, AtLeast(1), AtMost(10**9)]
Size = Annotated[int, AtLeast(1), AtMost(2**20)]  # of a layer, a table or a picture
Depth = Annotated[int, AtLeast(1), AtMost(2**10)]  # layers, one behind the other
Positive = Annotated[float, Above(0)]
Rate = Annotated[float, Above(0), AtMost(1000)]  # of learning
Weight = Annotated[float, AtLeast(0)]
Share = Annotated[float, AtLeast(0), AtMost(1)]
_LARGEST = 2**63 - 1  # of a whole number without a range of its own


def read_recipe(kind: type[T], path: str | Path, overrides: Sequence[str] = ()) -> T:
    """The recipe at `path` with `key=value` overrides (`optimiser.steps=10`). CooperError names the file and the key."""
    return build(kind, read_values(path, overrides), str(path))


def read_values(path: str | Path, overrides: Sequence[str] = ()) -> dict[str, Any]:
    """As `read_recipe`, but the plain values."""
    values = read_plain(path)
    seen: list[str] = []
    for override in overrides:
        key = override.partition("=")[0]
        for earlier in seen:
            if f"{earlier}.".startswith(f"{key}."):
                raise CooperError(f"{shown(override)} overrides {shown(earlier)}, which was given before; give each key once")
        seen.append(key)
        values = overridden(values, override)
    return values


def overridden(values: Mapping[str, Any], override: str) -> dict[str, Any]:
    """A copy with one `a.b=value` applied; the value is read as YAML."""
    key, equals, text = override.partition("=")
    parts = key.split(".")
    if not equals or not all(part.strip() for part in parts) or len(parts) > DEEPEST:
        raise CooperError(f"{shown(override)} is not an override; write key=value")
    changed = dict(values)
    group = changed
    for part in parts[:-1]:
        inner = group.get(part)
        if inner is not None and not isinstance(inner, Mapping):
            raise CooperError(f"{shown(override)}: {part!r} has no parts")
        group[part] = group = dict(inner or {})
    group[parts[-1]] = parse_plain(text, f"the override {shown(override)}")
    return changed


@dataclass(frozen=True)
class _Place:
    """Where a value stands: a file and the key in it."""

    file: str
    key: str = ""

    def of(self, name: str) -> "_Place":
        return _Place(self.file, f"{self.key}.{name}" if self.key else name)

    def item(self, index: int) -> "_Place":
        return _Place(self.file, f"{self.key}[{index}]")

    def __str__(self) -> str:
        return ": ".join(part for part in (self.file, self.key) if part)


def build(kind: type[T], values: Mapping[str, Any], where: str, key: str = "") -> T:
    """An instance of the dataclass `kind` from plain values, nested groups too. CooperError names what does not fit.

    `where`: the file; `key`: the group in it that holds the values.
    """
    return _built(kind, values, _Place(where, key))


def checked(kind: Any, value: Any, name: str) -> Any:
    """One value as the type `kind`, such as `Seed`, has it. CooperError begins with `name`."""
    return _value(kind, value, _Place("", name))


def check_fields(instance: Any) -> None:
    """For `__post_init__` of frozen settings that are made in Python, too: each field as its type has it, a whole number of
    NumPy as one of Python, a list as a tuple. CooperError names the field."""
    for name, hint in _hints(type(instance)).items():
        object.__setattr__(instance, name, checked(hint, getattr(instance, name), name))


@cache
def _hints(kind: type) -> dict[str, Any]:
    return get_type_hints(kind, include_extras=True)


def _built(kind: Any, values: Mapping[str, Any], where: _Place) -> Any:
    known = {field.name: field for field in fields(kind)}
    for key in values:
        if key not in known:
            raise CooperError(f"{where}: unknown key {shown(key)}; known: {', '.join(known)}")
    for name, field in known.items():
        if name not in values and _required(field):
            raise CooperError(f"{where}: the key {name!r} is missing")
    hints = _hints(kind)
    typed = {key: _value(hints[key], value, where.of(key)) for key, value in values.items()}
    try:
        return kind(**typed)
    except ValueError as error:  # what fields must be to one another
        raise CooperError(f"{where}: {error}") from None


def _required(field: "Field[Any]") -> bool:
    return field.default is MISSING and field.default_factory is MISSING


def _value(kind: Any, value: Any, where: _Place) -> Any:
    origin = get_origin(kind)
    if origin is Annotated:
        plain, *ranges = get_args(kind)
        return _within(_value(plain, value, where), ranges, where)
    if origin in (Union, UnionType):
        kinds = [option for option in get_args(kind) if option is not type(None)]
        if value is None and len(kinds) < len(get_args(kind)):
            return None
        return _value(_meant(kinds, value), value, where)
    if origin is Literal:
        if value not in get_args(kind):
            raise CooperError(f"{where} is {shown(value)}; choose from {', '.join(map(str, get_args(kind)))}")
        return value
    if origin is tuple:
        return _list(get_args(kind), value, where)
    if origin is Sequence:
        return _list((*get_args(kind), ...), value, where)
    if origin is not None and issubclass(origin, Mapping):
        inner = get_args(kind)[1]
        return {str(key): _value(inner, item, where.of(str(key))) for key, item in _group(value, where).items()}
    if is_dataclass(kind):
        return value if isinstance(value, kind) else _built(kind, _group(value, where), where)  # pyright: ignore[reportArgumentType]
    return _scalar(kind, value, where)


def _meant(kinds: Sequence[Any], value: Any) -> Any:
    """Which of several types a value is of: `Path | DataSource | Mapping[str, DataSource]` is a path, a group of keys, or such
    groups by name."""
    groups = [kind for kind in kinds if is_dataclass(kind)]
    by_name = [kind for kind in kinds if get_origin(kind) is not None]
    if not isinstance(value, Mapping):
        return groups[0] if groups and is_dataclass(value) else kinds[0]
    several = bool(value) and all(isinstance(each, Mapping) or is_dataclass(each) for each in value.values())
    return (*by_name, *groups, *kinds)[0] if several else (*groups, *by_name, *kinds)[0]


def _within(value: Any, ranges: Sequence[Any], where: _Place) -> Any:
    if value is not None and not all(each.holds(value) for each in ranges):
        raise CooperError(f"{where} is {shown(value)}; it must be {' and '.join(map(str, ranges))}")
    return value


def _list(kinds: tuple[Any, ...], value: Any, where: _Place) -> tuple[Any, ...]:
    if not isinstance(value, list | tuple):
        raise CooperError(f"{where} must be a list, not {shown(value)}")
    if kinds[-1] is ...:
        kinds = (kinds[0],) * len(value)
    if len(kinds) != len(value):
        raise CooperError(f"{where} has {len(value)} entries; it must have {len(kinds)}")
    return tuple(_value(kind, item, where.item(place)) for place, (kind, item) in enumerate(zip(kinds, value, strict=True)))


def _group(value: Any, where: _Place) -> Mapping[str, Any]:
    if not isinstance(value, Mapping):
        raise CooperError(f"{where} must be a group of keys, not {shown(value)}")
    return value


def _scalar(kind: Any, value: Any, where: _Place) -> Any:
    if kind is Any:
        return value
    if kind is Path and isinstance(value, str | Path):
        return _path(value, where)
    number = isinstance(value, Real) and not isinstance(value, bool)
    if isinstance(value, Integral) and number and abs(int(value)) > _LARGEST:
        raise CooperError(f"{where} is {shown(value)}; whole numbers end at {_LARGEST}")
    if kind is int and number and isinstance(value, Integral):
        return int(value)
    if kind is float and number:
        if not math.isfinite(value):
            raise CooperError(f"{where} is {value}; it must be a finite number")
        return float(value)
    if not isinstance(value, kind) or kind in (int, float):
        raise CooperError(f"{where} must be {_NAMES.get(kind, kind.__name__)}, not {shown(value)}")
    return value


def _path(value: str | Path, where: _Place) -> Path:
    if value == "":
        raise CooperError(f"{where} must be a path, not an empty text")
    try:
        return Path(value).expanduser()
    except RuntimeError:  # ~NAME of nobody here
        return Path(value)


def shown(value: Any) -> str:
    """A value as a message shows it: short, on one line, without control characters."""
    if isinstance(value, Integral) and abs(int(value)) >= 10**30:
        return f"a whole number of {int(value).bit_length()} bits"
    if value is None:
        return "null"
    text = repr(value)
    return text if len(text) <= 60 else f"{text[:57]}..."


_NAMES = {int: "a whole number", float: "a number", str: "a text", bool: "true or false", Path: "a path"}
