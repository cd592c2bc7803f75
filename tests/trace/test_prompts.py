import json

import pytest

from cooper.errors import CooperError
from cooper.trace.prompts import DEFAULT, Prompts, tag_of


def written(tmp_path, **changes):
    path = tmp_path / "prompts.json"
    DEFAULT.to_json(path)
    fields = json.loads(path.read_text()) | changes
    path.write_text(json.dumps({key: value for key, value in fields.items() if value is not None}))
    return path


def test_round_trip_keeps_every_character(tmp_path):
    prompts = Prompts(
        system={"interleaved": "tail  \n", "perception": "", "text": r"\boxed{{}} ü", "direct": ""},
        reflection="\nLook again.",
        requests={"segmentation": "<seg>a\nb</seg>", "depth": "<d>x</d>"},
        answer_prefix="<answer>",
    )
    prompts.to_json(tmp_path / "p.json")
    again = Prompts.from_json(tmp_path / "p.json")
    assert again == prompts
    assert list(again.tags.items()) == [("segmentation", "seg"), ("depth", "d")]


def test_default_wording_is_short():
    assert all(len(text.split()) <= 25 for text in DEFAULT.system.values())
    assert len(DEFAULT.reflection.split()) <= 12
    assert DEFAULT.tags == {"depth": "depth-estimation", "segmentation": "segmentation"}


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"reflection": None}, "'reflection'"),
        ({"reflection": 3}, "'reflection' must be a text, not int"),
        ({"extra": "x"}, "unknown key 'extra'"),
        ({"system": {"text": "x"}}, "'interleaved'"),
        ({"system": dict(DEFAULT.system) | {"other": ""}}, "unknown mode 'other'"),
        ({"system": dict(DEFAULT.system) | {"text": 1}}, "'system.text' must be a text"),
        ({"requests": {"depth": "Draw depth"}}, "'requests.depth'"),
        ({"requests": {"depth": "<a>x</a>", "normals": "<a>y</a>"}}, "'requests.normals'"),
        ({"requests": {"depth": "<answer>x</answer>"}}, "reserved tag <answer>"),
        ({"requests": ["<a>x</a>"]}, "'requests' must be an object"),
    ],
)
def test_a_fault_names_file_and_key(tmp_path, changes, words):
    path = written(tmp_path, **changes)
    with pytest.raises(CooperError) as caught:
        Prompts.from_json(path)
    assert words in str(caught.value) and str(path) in str(caught.value)


@pytest.mark.parametrize("content", [b"{", b"\xff\xfe", b"[]"])
def test_a_broken_file_is_named(tmp_path, content):
    path = tmp_path / "prompts.json"
    path.write_bytes(content)
    with pytest.raises(CooperError, match=r"prompts\.json"):
        Prompts.from_json(path)
    with pytest.raises(CooperError, match="absent"):
        Prompts.from_json(tmp_path / "absent.json")


def test_a_tag_is_the_name_of_its_element():
    assert tag_of("<surface-normals>Draw.</surface-normals>") == "surface-normals"
    with pytest.raises(CooperError):
        tag_of("<a>x</b>")
