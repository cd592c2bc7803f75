"""A fault of some data: where it is, of which kind, how bad, and what is wrong in one sentence."""

import re
from collections.abc import Iterable, Mapping
from dataclasses import asdict, dataclass
from types import MappingProxyType
from typing import Literal

LONGEST_SAID = 600  # characters of a sentence, which may hold a long name
Level = Literal["error", "warning"]  # it cannot be trained on; it can, and should be looked at

KINDS: Mapping[str, tuple[Level, str]] = MappingProxyType(
    {
        "missing": ("error", "missing file"),
        "torn_picture": ("error", "torn picture"),
        "no_picture": ("error", "no picture"),
        "not_utf8": ("error", "not UTF-8"),
        "torn_line": ("error", "not JSON"),
        "field": ("error", "field"),
        "empty": ("error", "nothing there"),
        "base64": ("error", "bad base64"),
        "bits": ("error", "wrong number of bits"),
        "size": ("error", "wrong size"),
        "unit": ("error", "wrong unit"),
        "invalid": ("warning", "depth mostly unknown"),
        "mark": ("warning", "largest number"),
        "flat": ("warning", "flat depth"),
        "class": ("error", "unknown class"),
        "blended": ("error", "labels compressed or blended"),
        "no_question": ("error", "no question"),
        "no_words": ("warning", "empty words"),
        "void": ("warning", "nothing labelled"),
        "request": ("error", "request without map"),
        "map": ("error", "map without request"),
        "late_picture": ("warning", "map without request"),
        "same_map": ("warning", "map is the picture"),
        "prompt_loss": ("error", "prompt with loss"),
        "no_loss": ("error", "row without loss"),
        "loss_type": ("error", "need_loss of a wrong type"),
        "no_answer": ("warning", "no answer"),
        "marks": ("error", "picture marks"),
        "tags": ("warning", "broken tags"),
        "too_long": ("error", "too long"),
        "twice": ("warning", "row twice"),
        "same_file": ("warning", "map of two pictures"),
        "same_id": ("error", "same id"),
        "flag": ("error", "unknown flag"),
        "not_offered": ("warning", "answer not offered"),
        "alone": ("error", "picture or map alone"),
        "form": ("error", "cannot be read"),
    }
)
SAYING = (  # what readers say, by kind; the first that is found counts
    ("form", r"no parquet file"),
    ("not_utf8", r"not UTF-8"),
    ("torn_line", r"not JSON|not a JSON object"),
    ("base64", r"no base64"),
    ("loss_type", r"'need_loss'"),
    ("field", r"the field '\w+' (is missing|is empty|must be)|field 'type'"),
    ("no_picture", r"no bytes of a picture"),
    ("empty", r"all captions are empty"),
    ("no_loss", r"no part of the row is learned"),
    ("request", r"asks for a map of"),
    ("not_offered", r"the question offers|is neither a letter nor one of"),
    ("flag", r"'flag' is"),
    ("class", r"holds class"),
    ("void", r"every pixel is void"),
    ("invalid", r"no pixel has a depth"),
    ("unit", r"is the unit right"),
    (
        "torn_picture",
        r"0 bytes|truncated|damaged|broken|cannot be decoded|broken data stream|checksum|decoder object|Truncated",
    ),
    ("missing", r"No such file|is missing$|not found|is a folder"),
    ("bits", r"16-bit|8-bit|16 bits|8 bits|one channel|pixels of the kind"),
    ("size", r"\d px.*(its picture|beside it|less than the|at least|longer side|more than)"),
    ("no_picture", r"not a picture|no PNG|cannot identify|cannot read|animated|floating-point"),
    ("marks", r"<image_(start|end)> in its middle|begins with <image_end>|ends? in <image_start>"),
    ("field", r"field|_list' has|unknown type|type is|needs \d|the truth|marks <image>|must be|unknown key"),
)


@dataclass(frozen=True, kw_only=True)
class Fault:
    """`place`: the file and, of a list, the line. `kind`: one of `KINDS`. `said`: what is wrong."""

    place: str
    kind: str
    said: str

    @property
    def level(self) -> Level:
        return KINDS[self.kind][0]

    @property
    def name(self) -> str:
        """The kind in words."""
        return KINDS[self.kind][1]

    def row(self) -> dict[str, str]:
        """As a row of `faults.jsonl`."""
        return {"level": self.level, **asdict(self)}


def told(place: str, error: Exception | str) -> Fault:
    """What a reader said of a place, by its kind. The place is not said twice."""
    sentence = " ".join(str(error).split())
    rest = sentence.removeprefix(place)
    said = rest.lstrip(":, ") if rest[:1] in (":", ",", " ") and rest.strip(":, ") else sentence
    said = said if len(said) <= LONGEST_SAID else f"{said[: LONGEST_SAID // 2]} ... {said[-LONGEST_SAID // 2 :]}"
    words = re.sub(r"\S*/\S*", "FILE", said)  # the name of a file says nothing of its fault
    kind = next((kind for kind, pattern in SAYING if re.search(pattern, words)), "form")
    return Fault(place=place, kind=kind, said=said)


def once(faults: Iterable[Fault]) -> list[Fault]:
    """The faults of a place that say the same of several parts as one, with their number."""
    found: dict[tuple[str, str, str], list[Fault]] = {}
    for fault in faults:
        said = re.sub(r"\[\d+\]", "[]", fault.said)
        found.setdefault((fault.place, fault.kind, said), []).append(fault)
    return [
        Fault(place=first.place, kind=first.kind, said=f"{first.said} (so {len(rest) + 1} times)") if rest else first
        for first, *rest in found.values()
    ]
