"""Strict YAML: texts, numbers, true and false, null, lists and groups. All else is refused with its line.

YAML reads more than people mean: a key that stands twice (the last one wins), `010` as eight, `1:30` as ninety, dates, sets,
aliases that unfold without end. Here a number is a decimal number, and what looks like a date is a text.
"""

import math
import os
import re
import stat
from pathlib import Path
from typing import Any

import yaml
from yaml.nodes import MappingNode, Node, ScalarNode, SequenceNode

from cooper.errors import CooperError

LARGEST_FILE = 1 << 18  # bytes; recipes have a few thousand
DEEPEST = 12  # levels; recipes have four
LONGEST_NUMBER = 40  # digits; Python itself refuses to read 4,300
_CORE = "tag:yaml.org,2002:"
_WHOLE = r"[-+]?(0|[1-9]\d*(_\d+)*)$"
_DECIMAL = r"([-+]?(\d+\.\d*|\.\d+|\d+(?=[eE]))([eE][-+]?\d+)?|[-+]?\.(inf|Inf|INF)|\.(nan|NaN|NAN))$"


def read_plain(path: str | Path) -> dict[str, Any]:
    """The group of keys that a YAML file holds. CooperError names the file, and the line and key of what does not fit."""
    try:
        text = _text(Path(path))
    except OSError as error:
        raise CooperError(f"cannot read {path}: {error.strerror}") from None
    except UnicodeDecodeError as error:
        raise CooperError(f"cannot read {path}: it is not UTF-8 text (byte {error.start + 1})") from None
    values = parse_plain(text, str(path))
    if not isinstance(values, dict):
        raise CooperError(f"{path} {'is empty' if values is None else 'holds no group'}; it must hold keys and values")
    return values


def _text(path: Path) -> str:
    """A file's text. Opened without waiting: the other end of a FIFO may never come."""
    with open(os.open(path, os.O_RDONLY | os.O_NONBLOCK), "rb") as file:
        if not stat.S_ISREG(os.fstat(file.fileno()).st_mode):
            raise CooperError(f"cannot read {path}: it is no file")
        data = file.read(LARGEST_FILE + 1)
    if len(data) > LARGEST_FILE:
        raise CooperError(f"{path} is larger than {LARGEST_FILE // 1024} KiB; it must be a short YAML file")
    return data.decode("utf-8-sig")


def parse_plain(text: str, where: str) -> Any:
    """The plain value of a YAML text, None of an empty one. CooperError begins with `where`."""
    try:
        loader = _Loader(text)
        node = loader.get_single_node()
    except _UnreadError as error:
        raise CooperError(f"{_at(where, error.problem_mark)}: {error.problem}") from None
    except yaml.MarkedYAMLError as error:
        said = " ".join(str(part) for part in (error.context, error.problem) if part)
        raise CooperError(f"{_at(where, error.problem_mark)}: not YAML: {said}") from None
    except yaml.YAMLError as error:
        raise CooperError(f"{where}: not YAML: {' '.join(str(error).split())}") from None
    return None if node is None else _Reader(where).value(node, "")


def _at(where: str, mark: Any) -> str:
    return where if mark is None else f"{where}, line {mark.line + 1}"


class _UnreadError(yaml.MarkedYAMLError):
    """YAML that is sound, but more than is read here."""


class _Loader(yaml.SafeLoader):
    """Nodes of a text, nested no deeper than DEEPEST, without aliases and tags."""

    yaml_implicit_resolvers: dict[str, Any] = {}
    _depth = 0

    def compose_node(self, parent: Any, index: Any) -> Any:
        event = self.peek_event()
        if isinstance(event, yaml.AliasEvent):
            said = (
                f"*{event.anchor} is an alias, which YAML reads as the value marked &{event.anchor}; aliases are not read here"
            )
            raise _UnreadError(
                problem=f"{said}: write the value out, or put a text that begins with * into quotes",
                problem_mark=event.start_mark,
            )
        if event.tag is not None:
            tag = event.tag.replace(_CORE, "!!")
            said = f"{tag} is a tag, which names the type of a value in YAML; tags are not read here"
            raise _UnreadError(
                problem=f"{said}: leave it out, or put a text that begins with ! into quotes", problem_mark=event.start_mark
            )
        if self._depth >= DEEPEST:
            raise _UnreadError(problem=f"nested more than {DEEPEST} deep", problem_mark=event.start_mark)
        self._depth += 1
        node = super().compose_node(parent, index)
        self._depth -= 1
        return node


for _tag, _pattern, _first in (
    ("bool", re.compile(r"(true|True|TRUE|false|False|FALSE|yes|Yes|YES|no|No|NO|on|On|ON|off|Off|OFF)$"), "tTfFyYnNoO"),
    ("null", re.compile(r"(~|null|Null|NULL|)$"), ["~", "n", "N", ""]),
    ("int", re.compile(_WHOLE), "-+0123456789"),
    ("float", re.compile(_DECIMAL), "-+.0123456789"),
):
    _Loader.add_implicit_resolver(_CORE + _tag, _pattern, list(_first))


def _is_left_out(node: Node) -> bool:
    """Whether nothing is written where a value may stand."""
    return isinstance(node, ScalarNode) and not node.value and not node.style


class _Reader:
    """Plain values of nodes; faults are said with their line and key."""

    def __init__(self, where: str) -> None:
        self._where = where

    def _fault(self, node: Node, key: str, said: str) -> CooperError:
        return CooperError(f"{_at(self._where, node.start_mark)}: {key + ' ' if key else 'the value '}{said}")

    def value(self, node: Node, key: str) -> Any:
        if isinstance(node, MappingNode):
            return self._group(node, key)
        if isinstance(node, SequenceNode):
            return [self.value(item, f"{key}[{place}]") for place, item in enumerate(node.value)]
        assert isinstance(node, ScalarNode)
        return self._scalar(node, key)

    def _group(self, node: MappingNode, key: str) -> dict[str, Any]:
        found: dict[str, Any] = {}
        lines: dict[str, int] = {}
        for name_node, item in node.value:
            if not isinstance(name_node, ScalarNode):
                raise self._fault(name_node, key, "has a key that is a list or a group")
            name = name_node.value
            inner = f"{key}.{name}" if key else name
            if name in found:
                raise self._fault(name_node, "", f"of {inner!r} stands twice, first in line {lines[name]}")
            if node.flow_style and ":" in name and _is_left_out(item) and not name_node.style:  # {a:1} is the key "a:1" alone
                raise self._fault(name_node, "", f"of {inner!r} is missing: put a space after its colon")
            lines[name] = name_node.start_mark.line + 1
            found[name] = self.value(item, inner)
        return found

    def _scalar(self, node: ScalarNode, key: str) -> Any:
        kind, text = node.tag.removeprefix(_CORE), node.value
        if kind == "null":
            return None
        if kind == "bool":
            return yaml.SafeLoader.bool_values[text.lower()]
        if kind == "str":
            if any(0xD800 <= ord(letter) <= 0xDFFF or letter == "\0" for letter in text):
                raise self._fault(node, key, "holds half a character or a NUL")
            return text
        if len(text) > LONGEST_NUMBER:
            raise self._fault(node, key, f"is a number of {len(text)} characters; none has more than {LONGEST_NUMBER}")
        if kind == "int":
            return int(text)
        number = float(re.sub(r"\.(?=[iInN])", "", text))
        if not math.isfinite(number):
            raise self._fault(node, key, f"is {text}; it must be a finite number")
        return number
