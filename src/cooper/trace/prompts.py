"""The texts a checkpoint was trained with: system texts, the reflection, and the requests for maps."""

import json
import re
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from cooper.errors import CooperError
from cooper.trace.modes import MODES

FILE_NAME = "prompts.json"
_ELEMENT = re.compile(r"<([A-Za-z][\w-]*)>(.*?)</\1>", re.DOTALL)
_RESERVED = ("think", "answer")


@dataclass(frozen=True)
class Prompts:
    """The wording of one checkpoint, kept beside its weights as `prompts.json`.

    `system` maps each of the four modes to the text that opens the context ("" for none); `reflection` follows every map
    that is read back; `requests` maps a modality's name to the whole element that asks for it, in the order in which a turn
    is searched for them; `answer_prefix` is what perception mode puts before the answer.
    Raises CooperError, naming the key, when a text is missing or a request is not exactly one element.
    """

    system: Mapping[str, str]
    reflection: str
    requests: Mapping[str, str]
    answer_prefix: str = ""

    def __post_init__(self) -> None:
        _check(self, FILE_NAME)

    @property
    def tags(self) -> dict[str, str]:
        """Modality name -> tag, in the order in which a turn is searched for them."""
        return {name: tag_of(element) for name, element in self.requests.items()}

    @classmethod
    def from_json(cls, path: str | Path) -> "Prompts":
        """Read a prompt file. Raises CooperError naming the file and the key at fault."""
        fields = _read_object(Path(path))
        try:
            return cls(
                system=_texts(fields, "system"),
                reflection=_text(fields, "reflection"),
                requests=_texts(fields, "requests"),
                answer_prefix=_text(fields, "answer_prefix") if "answer_prefix" in fields else "",
            )
        except CooperError as error:
            raise CooperError(f"{path}: {error}") from None

    def to_json(self, path: str | Path) -> None:
        """Write the texts as UTF-8 JSON that `from_json` reads back exactly."""
        fields = {
            "system": dict(self.system),
            "reflection": self.reflection,
            "requests": dict(self.requests),
            "answer_prefix": self.answer_prefix,
        }
        Path(path).write_text(json.dumps(fields, indent=2, ensure_ascii=False) + "\n", encoding="utf-8")


def tag_of(element: str) -> str:
    """The name of an element: `tag_of("<depth-estimation>Draw.</depth-estimation>")` is `"depth-estimation"`."""
    match = _ELEMENT.fullmatch(element)
    if match is None:
        raise CooperError(f"a request must be one element such as <name>...</name>, not {element[:60]!r}")
    return match.group(1)


def _check(prompts: Prompts, where: str) -> None:
    for mode in MODES:
        if mode not in prompts.system:
            raise CooperError(f"'system' in {where} has no text for the mode {mode!r} (write \"\" for none)")
    for mode in prompts.system:
        if mode not in MODES:
            raise CooperError(f"'system' in {where} names the unknown mode {mode!r}; modes: {', '.join(MODES)}")
    seen: dict[str, str] = {}
    for name, element in prompts.requests.items():
        try:
            tag = tag_of(element)
        except CooperError as error:
            raise CooperError(f"'requests.{name}' in {where}: {error}") from None
        if tag in _RESERVED:
            raise CooperError(f"'requests.{name}' in {where} uses the reserved tag <{tag}>")
        if tag in seen:
            raise CooperError(f"'requests.{name}' in {where} uses the tag <{tag}> of 'requests.{seen[tag]}'")
        seen[tag] = name


def _read_object(path: Path) -> dict[str, object]:
    try:
        fields = json.loads(path.read_text(encoding="utf-8"))
    except OSError as error:
        raise CooperError(f"cannot read the prompt file {path}: {error.strerror}") from None
    except UnicodeDecodeError:
        raise CooperError(f"the prompt file {path} is not UTF-8 text") from None
    except json.JSONDecodeError as error:
        raise CooperError(f"the prompt file {path} is not JSON: {error}") from None
    if not isinstance(fields, dict):
        raise CooperError(f"the prompt file {path} must hold one JSON object")
    for key in fields:
        if key not in ("system", "reflection", "requests", "answer_prefix"):
            raise CooperError(f"the prompt file {path} holds the unknown key {key!r}")
    return fields


def _text(fields: Mapping[str, object], key: str) -> str:
    if key not in fields:
        raise CooperError(f"the key {key!r} is missing")
    value = fields[key]
    if not isinstance(value, str):
        raise CooperError(f"the key {key!r} must be a text, not {type(value).__name__}")
    return value


def _texts(fields: Mapping[str, object], key: str) -> dict[str, str]:
    if key not in fields:
        raise CooperError(f"the key {key!r} is missing")
    value = fields[key]
    if not isinstance(value, dict):
        raise CooperError(f"the key {key!r} must be an object of texts, not {type(value).__name__}")
    for name, text in value.items():
        if not isinstance(text, str):
            raise CooperError(f"the key '{key}.{name}' must be a text, not {type(text).__name__}")
    return dict(value)


DEFAULT = Prompts(
    system={
        "interleaved": "Think in <think>. Draw <depth-estimation> or <segmentation> when a map helps. Then reply in <answer>.",
        "perception": "Read the depth map and the segmentation map, then reply in <answer>.",
        "text": "Think in words inside <think>, then reply in <answer>.",
        "direct": "Reply at once in <answer>.",
    },
    reflection="Check the map, think again, then draw more or answer.",
    requests={
        "depth": "<depth-estimation>Draw the depth map.</depth-estimation>",
        "segmentation": "<segmentation>Draw the segmentation map.</segmentation>",
    },
)
