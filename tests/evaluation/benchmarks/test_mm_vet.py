"""MM-Vet as JSON with pictures, as a kit's table, and as the hub's parquet file."""

import json
from fnmatch import fnmatch

import pytest

from cooper.errors import CooperError
from cooper.evaluation.benchmarks.mm_vet import read_mm_vet
from cooper.evaluation.runs.answering import score_reply


def entry(number, **changes):
    base = {"imagename": f"v1_{number}.png", "question": "What is x?", "answer": "-1<AND>-5", "imagesource": "made"}
    return {**base, "capability": ["ocr", "math"], "incontext": False, **changes}


@pytest.fixture
def folder(tmp_path, picture):
    (tmp_path / "images").mkdir()
    for number in range(218):
        (tmp_path / "images" / f"v1_{number}.png").write_bytes(picture(number))
    (tmp_path / "mm-vet.json").write_text(json.dumps({f"v1_{number}": entry(number) for number in range(218)}))
    return tmp_path


def test_the_published_folder(folder, red):
    found = read_mm_vet(folder)
    assert (found.name, len(found.items), found.expected, found.notes) == ("mm-vet", 218, 218, ())
    item = found.items[17]
    assert (item.id, item.type, item.scoring, item.truth) == ("mm-vet-v1_17", "Text", "judge", "-1<AND>-5")
    assert (item.category, item.group, item.question.text) == ("math_ocr", "general", "What is x?")
    assert red(item) == [17] and item.category == "math_ocr"


def test_only_a_judge_scores_them(folder, tmp_path):
    item = read_mm_vet(folder).items[0]
    with pytest.raises(CooperError, match="question mm-vet-v1_0 has a free text for an answer, which a judge must grade"):
        score_reply(item, "x = -1")


def test_tables_and_parquet_files(tmp_path, write_table, write_parquet, picture, base64_picture, red):
    cells = {"question": "What is x?", "answer": "5<OR>five", "category": "ocr,math,rec"}
    table = write_table(tmp_path / "MMVet.tsv", [{"index": 0, **cells, "image": base64_picture(3)}])
    image = {"bytes": picture(4), "path": "v1_0.png"}
    told = {"question": "What is x?", "answer": "5<OR>five", "capability": ["rec", "ocr", "math"]}
    whole = write_parquet(tmp_path / "hub" / "data" / "test-0.parquet", [{"question_id": "v1_0", **told, "image": image}])
    named = write_parquet(tmp_path / "other" / "test-0.parquet", [{"id": "v1_0", **told, "image": image}])
    for data, shade in ((table, 3), (whole.parents[1], 4), (named, 4)):
        found = read_mm_vet(data)
        assert (found.items[0].category, found.items[0].truth, red(found.items[0])) == ("math_ocr_rec", "5<OR>five", [shade])
        assert found.notes == ("mm-vet: 1 questions, 218 were published",)
    assert read_mm_vet(named).items[0].id == "mm-vet-v1_0"


def test_the_hub_is_asked_for_pictures_too(folder, monkeypatch, red):
    asked = []
    monkeypatch.setattr("huggingface_hub.snapshot_download", lambda name, **more: asked.append((name, more)) or str(folder))
    assert red(read_mm_vet().items[17]) == [17]
    ((name, more),) = asked
    names = ("images/v1_17.png", "mm-vet/images/v1_17.png", "mm-vet.json", "data/test-0.parquet")
    assert name == "whyu/mm-vet" and all(any(fnmatch(each, one) for one in more["allow_patterns"]) for each in names)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("{", "not the questions of MM-Vet"),
        ("[]", "not an object with one object for each question"),
        ('{"v1_0": 3}', "not an object with one object"),
        ('{"v1_0": {}, "v1_0": {}}', "'v1_0' stands there twice"),
        (json.dumps({"v1_0": entry(0, answer="")}), "row 1, field 'answer': is empty"),
        (json.dumps({"v1_0": entry(0, capability="ocr")}), "field 'capability': 'ocr' is no list of names"),
        (json.dumps({"v1_0": entry(0, imagename="gone.png")}), r"field 'imagename': picture 'gone\.png' is in none of"),
    ],
)
def test_broken_files_are_named(folder, text, message):
    (folder / "mm-vet.json").write_text(text)
    with pytest.raises(CooperError, match=rf"mm-vet\.json.*{message}"):
        read_mm_vet(folder)


def test_what_was_looked_for_is_said(tmp_path, write_parquet):
    with pytest.raises(CooperError, match=r"holds none of mm-vet\.json"):
        read_mm_vet(tmp_path)
    cells = {"question_id": "v1_0", "question": "x", "answer": "y", "capability": "ocr", "image": None}
    path = write_parquet(tmp_path / "t.parquet", [cells])
    with pytest.raises(CooperError, match="row 1, field 'image': holds no picture"):
        read_mm_vet(path)
    path = write_parquet(tmp_path / "u.parquet", [{"question": "x", "answer": "y", "capability": "ocr", "image": None}])
    with pytest.raises(CooperError, match="field 'question_id': is empty"):
        read_mm_vet(path)
