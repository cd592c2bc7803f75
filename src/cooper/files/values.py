"""A recipe is a whole run in one YAML file. Keys are checked strictly: a wrong one is named, never ignored."""

from collections.abc import Mapping, Sequence
from dataclasses import MISSING, Field, fields, is_dataclass
from pathlib import Path
from types import UnionType
from typing import Any, Literal, TypeVar, Union, get_args, get_origin, get_type_hints

import yaml

from cooper.errors import CooperError

T = TypeVar("T")


def read_recipe(kind: type[T], path: str | Path, overrides: Sequence[str] = ()) -> T:
    """The recipe at `path` with `key=value` overrides (`optimiser.steps=10`). CooperError names the file and the key."""
    try:
        values = yaml.safe_load(Path(path).read_text(encoding="utf-8"))
    except OSError as error:
        raise CooperError(f"cannot read the recipe {path}: {error.strerror}") from None
    except (yaml.YAMLError, UnicodeDecodeError) as error:
        raise CooperError(f"the recipe {path} is not YAML: {' '.join(str(error).split())}") from None
    if not isinstance(values, dict):
        raise CooperError(f"the recipe {path} must be a mapping of keys to values")
    for override in overrides:
        values = overridden(values, override)
    return build(kind, values, str(path))


def overridden(values: Mapping[str, Any], override: str) -> dict[str, Any]:
    """A copy with one `a.b=value` applied; the value is read as YAML."""
    key, equals, text = override.partition("=")
    if not equals or not key:
        raise CooperError(f"{override!r} is not an override; write key=value")
    head, _, rest = key.partition(".")
    inner = values.get(head)
    if not rest:
        return {**values, head: yaml.safe_load(text)}
    if inner is not None and not isinstance(inner, Mapping):
        raise CooperError(f"{override!r}: {head!r} has no parts")
    return {**values, head: overridden(inner or {}, f"{rest}={text}")}


def build(kind: type[T], values: Mapping[str, Any], where: str) -> T:
    """An instance of the dataclass `kind` from plain values, nested groups too. CooperError names what does not fit."""
    known = {field.name: field for field in fields(kind)}  # pyright: ignore[reportArgumentType]
    for key in values:
        if key not in known:
            raise CooperError(f"{where}: unknown key {key!r}; known: {', '.join(known)}")
    for name, field in known.items():
        if name not in values and _required(field):
            raise CooperError(f"{where}: the key {name!r} is missing")
    hints = get_type_hints(kind)
    return kind(**{key: _value(hints[key], value, f"{where}: {key}") for key, value in values.items()})


def _required(field: "Field[Any]") -> bool:
    return field.default is MISSING and field.default_factory is MISSING


def _value(kind: Any, value: Any, where: str) -> Any:
    origin = get_origin(kind)
    if origin in (Union, UnionType):
        kinds = [option for option in get_args(kind) if option is not type(None)]
        return None if value is None else _value(kinds[0], value, where)
    if origin is Literal:
        if value not in get_args(kind):
            raise CooperError(f"{where} is {value!r}; choose from {', '.join(map(str, get_args(kind)))}")
        return value
    if origin is tuple:
        if not isinstance(value, list | tuple):
            raise CooperError(f"{where} must be a list, not {value!r}")
        return tuple(_value(get_args(kind)[0], item, f"{where}[{index}]") for index, item in enumerate(value))
    if origin in (dict, Mapping):
        return _mapping(get_args(kind)[1], value, where)
    if is_dataclass(kind):
        if not isinstance(value, Mapping):
            raise CooperError(f"{where} must be a group of keys, not {value!r}")
        return build(kind, value, where)  # pyright: ignore[reportArgumentType]
    return _scalar(kind, value, where)


def _mapping(kind: Any, value: Any, where: str) -> dict[str, Any]:
    if not isinstance(value, Mapping):
        raise CooperError(f"{where} must be a group of keys, not {value!r}")
    return {str(key): _value(kind, item, f"{where}.{key}") for key, item in value.items()}


def _scalar(kind: Any, value: Any, where: str) -> Any:
    if kind is Any:
        return value
    if kind is Path and isinstance(value, str):
        return Path(value)
    if kind is float and isinstance(value, str):
        try:
            return float(value)  # YAML reads 1e-3 as a text
        except ValueError:
            raise CooperError(f"{where} must be a number, not {value!r}") from None
    if kind is float and isinstance(value, int) and not isinstance(value, bool):
        return float(value)
    if not isinstance(value, kind) or (kind is int and isinstance(value, bool)):
        raise CooperError(f"{where} must be {_NAMES.get(kind, kind.__name__)}, not {value!r}")
    return value


_NAMES = {int: "a whole number", float: "a number", str: "a text", bool: "true or false", Path: "a path"}
