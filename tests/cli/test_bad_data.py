"""Data that nobody should hand over: each ends in one sentence that names file and field, exit 1, and nothing is lost."""

import io
import json
import os
import shutil
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

import cooper.reasoning.cooper as door
from cooper.scenes.room.render import SceneRecord
from cooper.scenes.room.sampling import SceneKey, propose
from cooper.scenes.store import SetInfo, shard_path, write_info, write_shard
from tests.evaluation.benchmarks.published_tables import published, room, table

pyarrow = pytest.importorskip("pyarrow")
parquet = pytest.importorskip("pyarrow.parquet")
ROW = {"id": "q", "image": "a.png", "question": "Which?", "type": "MCQ", "answer": "left", "choices": ["left", "right"]}
DEEP = "[" * 100_000


@pytest.fixture(autouse=True)
def _no_model(monkeypatch):
    """The border is reached before a model: nothing of these may get that far."""
    monkeypatch.setattr(door.Cooper, "from_pretrained", lambda *args, **kwargs: pytest.fail("the model was loaded"))


def refused(ran, *words: str) -> None:
    said = " ".join(ran.err.split())
    assert ran.code == 1 and "Traceback" not in said and said.count("cooper: ") == 1, ran.err
    for word in words:
        assert word in said, f"{word!r} is not in: {said}"


# -------------------- question files

LINES: dict[str, tuple[Any, str]] = {
    "a number": (5, "line 1: not a JSON object"),
    "null": (None, "line 1: not a JSON object"),
    "a text": ("x", "line 1: not a JSON object"),
    "a list": ([ROW], "line 1: not a JSON object"),
    "true": (True, "line 1: not a JSON object"),
    "choices int": ({**ROW, "choices": 5}, "'choices' must be a list of texts, not 5"),
    "choices null": ({**ROW, "choices": None}, "'choices' must be a list of texts"),
    "choices text": ({**ROW, "choices": "ab"}, "'choices' must be a list of texts, not 'ab'"),
    "choices object": ({**ROW, "choices": {"A": "x"}}, "'choices' must be a list of texts"),
    "choices of ints": ({**ROW, "choices": [1, 2]}, "'choices' must be a list of texts"),
    "choices empty": ({**ROW, "choices": []}, "needs 2 to 26 choices, not 0"),
    "one choice": ({**ROW, "choices": ["left"]}, "needs 2 to 26 choices, not 1"),
    "27 choices": ({**ROW, "choices": ["left", *map(str, range(26))]}, "needs 2 to 26 choices, not 27"),
    "answer none of them": ({**ROW, "answer": "up"}, "line 1:"),
    "answer int": ({**ROW, "answer": 3}, "'answer' is missing or no text, but 3"),
    "answer bool": ({**ROW, "answer": True}, "'answer' is missing or no text"),
    "answer null": ({**ROW, "answer": None}, "'answer' is missing or no text"),
    "answer empty": ({**ROW, "answer": ""}, "'answer' is missing or no text"),
    "id int": ({**ROW, "id": 7}, "'id' is missing or no text, but 7"),
    "id empty": ({**ROW, "id": ""}, "'id' is missing or no text"),
    "id list": ({**ROW, "id": ["q"]}, "'id' is missing or no text"),
    "id above": ({**ROW, "id": "../q"}, "cannot name a folder"),
    "id escape": ({**ROW, "id": "q\x1b[2J"}, "cannot name a folder"),
    "id long": ({**ROW, "id": "q" * 300}, "cannot name a folder"),
    "image int": ({**ROW, "image": 1}, "the field 'image' is missing or no path"),
    "image null": ({**ROW, "image": None}, "the field 'image' is missing or no path"),
    "image empty list": ({**ROW, "image": []}, "the field 'image' is missing or no path"),
    "image list of ints": ({**ROW, "image": [1]}, "the field 'image' is missing or no path"),
    "image with NUL": ({**ROW, "image": "a\0.png"}, "the field 'image' is missing or no path"),
    "question int": ({**ROW, "question": 1}, "'question' is missing or no text"),
    "question blank": ({**ROW, "question": "  "}, "'question' is missing or no text"),
    "type unknown": ({**ROW, "type": "Essay"}, "type is 'Essay'; known: MCQ, YN"),
    "type null": ({**ROW, "type": None}, "'type' is missing or no text"),
    "type list": ({**ROW, "type": ["MCQ"]}, "'type' is missing or no text"),
    "tolerance text": ({**ROW, "tolerance": "0.1"}, "'tolerance' must be a number above 0"),
    "tolerance negative": ({**ROW, "tolerance": -1}, "'tolerance' must be a number above 0"),
    "tolerance true": ({**ROW, "tolerance": True}, "'tolerance' must be a number above 0"),
    "tolerance null": ({**ROW, "tolerance": None}, "'tolerance' must be a number above 0"),
    "category int": ({**ROW, "category": 4}, "'category' is missing or no text"),
    "number that is none": ({**ROW, "type": "Number", "answer": "far"}, "line 1:"),
    "yes that is none": ({**ROW, "type": "YN", "answer": "maybe"}, "line 1:"),
}


@pytest.mark.parametrize("case", LINES)
def test_a_question_that_is_none(run, tmp_path, case):
    row, said = LINES[case]
    (tmp_path / "a.png").write_bytes(room())
    (tmp_path / "q.jsonl").write_text(json.dumps(row) + "\n")
    refused(run("data", "flags", "--data", tmp_path / "q.jsonl", "--out", tmp_path / "out"), "q.jsonl", said)
    assert not (tmp_path / "out").exists()


GOOD = json.dumps(ROW).encode()
FILES: dict[str, tuple[bytes, str]] = {
    "deep": (DEEP.encode(), "line 1: not JSON that can be read: it is nested too deeply"),
    "deep in a field": (GOOD[:-1] + b', "x": ' + DEEP.encode() + b"}", "line 1: not JSON"),
    "digits": (b'{"id": ' + b"1" * 5000 + b"}", "line 1: not JSON (a whole number of 5000 digits)"),
    "NaN": (b'{"tolerance": NaN}', "NaN is no JSON number"),
    "Infinity": (b'{"tolerance": -Infinity}', "-Infinity is no JSON number"),
    "1e999": (b'{"tolerance": 1e999}', "the number 1e999 is too large"),
    "surrogate": (b'{"id": "q\\ud800"}', "half of a character"),
    "NUL": (b'{"id": "q\x00"}', "line 1: not JSON"),
    "NULs": (b"\x00" * 4096, "line 1: not JSON"),
    "latin-1": (GOOD.replace(b"Which", "Où".encode("latin-1")), "line 1: not UTF-8 text"),
    "UTF-16": (GOOD.decode().encode("utf-16"), "it looks like UTF-16: save it as UTF-8"),
    "second line": (GOOD + b"\n{torn", "line 2: not JSON"),
    "twice": (GOOD + b"\n" + GOOD, "line 2: the id 'q' stands in"),
    "field twice": (b'{"id": "a", "id": "b"}', "'id' stands there twice"),
    "empty": (b"", "holds no question"),
    "blank lines": (b"\n\n  \n", "holds no question"),
    "a long line": (b'{"id": "' + b"x" * (17 << 20) + b'"}', "line 1: has more than 16 MiB"),
    "two objects": (GOOD + GOOD, "line 1: not JSON (Extra data"),
    "single quotes": (b"{'id': 'q'}", "line 1: not JSON"),
}


@pytest.mark.parametrize("case", FILES)
def test_a_file_that_is_no_json_lines(run, tmp_path, case):
    content, said = FILES[case]
    (tmp_path / "q.jsonl").write_bytes(content)
    refused(run("data", "flags", "--data", tmp_path / "q.jsonl", "--out", tmp_path / "out"), "q.jsonl", said)


def test_places_that_are_no_files(run, tmp_path):
    os.mkfifo(tmp_path / "pipe")
    for place, said in (("pipe", "it is no regular file"), ("none", "No such file"), (".", "is no rendered scene set")):
        refused(run("data", "flags", "--data", tmp_path / place, "--out", tmp_path / "out"), said)


def test_what_is_unusual_is_read():
    from cooper.files.rows import parsed, read_lines

    assert parsed('"a\u2028b\u0085c"'.encode(), "x") == "a\u2028b\u0085c"
    assert list(read_lines(Path("none.jsonl"))) == []


def test_a_mark_and_separators_inside_texts_are_read(tmp_path):
    from cooper.evaluation.benchmarks.question_file import read_question_file

    rows = [{**ROW, "question": "Which\u2028one?"}, {**ROW, "id": "r", "more": {"any": 1}}]
    text = "\ufeff" + "\r\n".join(json.dumps(row, ensure_ascii=False) for row in rows)
    (tmp_path / "q.jsonl").write_bytes(text.encode())
    items = read_question_file(tmp_path / "q.jsonl")
    assert [item.id for item in items] == ["q", "r"] and "\u2028" in items[0].question.text


# -------------------- scene sets


def record(index: int) -> SceneRecord:
    maps = np.zeros((64, 64), np.uint8)
    scene = next(found for attempt in range(99) if (found := propose(SceneKey("val", 0, index), attempt)))
    return SceneRecord(np.full((64, 64, 3), index, np.uint8), np.full((64, 64), 2, np.float32), maps + 1, maps, scene)


@pytest.fixture(scope="module")
def whole_set(tmp_path_factory) -> Path:
    folder = tmp_path_factory.mktemp("set")
    write_shard(shard_path(folder, 0), [record(0), record(1)])
    write_info(folder, SetInfo(2, 0, "val", 64, 4))
    return folder


@pytest.fixture
def scene_set(whole_set, tmp_path) -> Path:
    return Path(shutil.copytree(whole_set, tmp_path / "set"))


def png(array: np.ndarray) -> bytes:
    buffer = io.BytesIO()
    Image.fromarray(array).save(buffer, "PNG")
    return buffer.getvalue()


def bomb() -> bytes:
    """The head of a PNG that says it has 60,000 x 60,000 px."""
    import struct
    import zlib

    def chunk(kind: bytes, data: bytes) -> bytes:
        return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))

    head = struct.pack(">IIBBBBB", 60_000, 60_000, 8, 2, 0, 0, 0)
    return b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", head) + chunk(b"IDAT", zlib.compress(b"")) + chunk(b"IEND", b"")


INFO: dict[str, tuple[Any, str]] = {
    "count text": ({"count": "2"}, "count must be a whole number"),
    "count null": ({"count": None}, "count must be a whole number"),
    "count float": ({"count": 2.5}, "count must be a whole number"),
    "count 0": ({"count": 0}, "count is 0, not in 1.."),
    "count huge": ({"count": 10**30}, "count is a whole number of 100 bits"),
    "shard 0": ({"shard": 0}, "shard is 0, not in 1.."),
    "seed negative": ({"seed": -1}, "seed is -1, not in 0.."),
    "size text": ({"size": "64"}, "size must be a whole number"),
    "split above": ({"split": "../../out"}, "split is '../../out'; known: train"),
    "split list": ({"split": ["val"]}, "split must be a text"),
    "format": ({"format": 9}, "format is 9, this version reads"),
    "unknown": ({"more": 1}, "unknown key 'more'"),
}


@pytest.mark.parametrize("case", INFO)
@pytest.mark.parametrize("command", ["draw", "eval", "render"])
def test_settings_of_a_set_that_cannot_be(run, scene_set, tmp_path, case, command):
    change, said = INFO[case]
    path = scene_set / "dataset.json"
    path.write_text(json.dumps({**json.loads(path.read_text()), **change}))
    out = tmp_path / "out"
    words = {
        "draw": ("data", "draw", "--data", scene_set, "--out", out),
        "eval": ("eval", "scenes", "--data", scene_set, "--out", out, "--mode", "direct"),
        "render": ("scenes", "render", "--count", "4", "--split", "val", "--size", "64", "--spp", "4", "--out", scene_set),
    }[command]
    refused(run(*words), "dataset.json", said)
    assert not out.exists() and shard_path(scene_set, 0).is_file()


@pytest.mark.parametrize("content", ["", "[]", "{", DEEP, "\xff", '{"count": 2}', "null"])
def test_settings_that_are_no_json(run, scene_set, tmp_path, content):
    (scene_set / "dataset.json").write_bytes(content.encode("latin-1"))
    refused(run("eval", "scenes", "--data", scene_set, "--out", tmp_path / "out", "--mode", "direct"), "dataset.json")


SMALL = np.zeros((64, 64), np.uint8)
CELLS: dict[str, tuple[str, list, str]] = {
    "rgb size": ("rgb", [png(np.zeros((32, 64, 3), np.uint8))] * 2, "column rgb: is 64 x 32 px, the set has 64 x 64"),
    "rgb grey": ("rgb", [png(SMALL)] * 2, "column rgb: is a picture of kind L, not RGB"),
    "rgb bomb": ("rgb", [bomb()] * 2, "column rgb: not a readable PNG picture"),
    "rgb int": ("rgb", [5, 6], "column rgb: int where a PNG picture should be"),
    "rgb text": ("rgb", ["a", "b"], "column rgb: str where a PNG picture should be"),
    "rgb null": ("rgb", [None, None], "column rgb: empty cell"),
    "rgb torn": (
        "rgb",
        [png(np.random.default_rng(0).integers(0, 255, (64, 64, 3), np.uint8))[:900]] * 2,
        "not a readable PNG",
    ),
    "rgb rubbish": ("rgb", [b"rubbish"] * 2, "column rgb: not a readable PNG picture"),
    "depth 8 bit": ("depth", [png(SMALL)] * 2, "column depth: is a picture of kind L, not I;16"),
    "depth colour": ("depth", [png(np.zeros((64, 64, 3), np.uint8))] * 2, "column depth: is a picture of kind RGB"),
    "labels 16 bit": ("labels", [png(SMALL.astype(np.uint16))] * 2, "column labels: is a picture of kind I;16, not L"),
    "labels unknown": ("labels", [png(SMALL + 99)] * 2, "holds class 99"),
    "instances size": ("instances", [png(np.zeros((8, 8), np.uint8))] * 2, "column instances: is 8 x 8 px"),
    "scene deep": ("scene", [DEEP] * 2, "nested too deeply"),
    "scene int": ("scene", [1, 2], "not a scene description, but int"),
    "scene list": ("scene", ["[]"] * 2, "not a scene description, which is an object"),
    "scene empty": ("scene", ["{}"] * 2, "not a scene description"),
    "scene fields": ("scene", ['{"split": 4}'] * 2, "not a scene description"),
}


@pytest.mark.parametrize("case", CELLS)
def test_cells_of_a_set_that_cannot_be(run, scene_set, tmp_path, case):
    name, cells, said = CELLS[case]
    path = shard_path(scene_set, 0)
    stored = parquet.read_table(path)
    parquet.write_table(stored.set_column(stored.column_names.index(name), name, pyarrow.array(cells)), path)
    words = ("eval", "scenes", "--data", scene_set, "--out", tmp_path / "out", "--mode", "direct", "--limit", "1")
    refused(run(*words), "shard-00000.parquet row 0", said)
    refused(run(*words, "--skip-bad"), "none of the scenes in")


# -------------------- tables

TABLES: dict[str, tuple[str, str, Any, str]] = {  # benchmark, field, cell, what is said
    "index huge": ("mmbench-v11-mini", "index", "1" * 5000, "is no whole number of at most 15 digits"),
    "index text": ("mmbench-v11-mini", "index", "one", "'one' is no whole number"),
    "index empty": ("mmbench-v11-mini", "index", "", "field 'index': is empty"),
    "index float": ("mmbench-v11-mini", "index", "1.5", "is no whole number"),
    "answer": ("mmbench-v11-mini", "answer", "Z", "'Z' is none of the 2 options"),
    "picture": ("mmbench-v11-mini", "image", "x" * 99 + "!", "field 'image': not base64"),
    "no picture": ("mmbench-v11-mini", "image", "eHh4" * 40, "are no picture"),
    "option gap": ("mmbench-v11-mini", "C", "", ""),
    "type": ("sibench-Height", "type", "Essay", "'Essay' is none of MCQ"),
    "number": ("sibench-Height", "answer", "far", "'far' is not one number"),
    "path": ("sibench-Height", "image_path", "../../../etc/passwd", "image_path"),
    "path NUL": ("sibench-Height", "image_path", "a\0b", ""),
    "mmvp options": ("mmvp", "Options", "open, closed", "lists no options"),
    "mmvp index": ("mmvp", "Index", "9" * 4400, "is no whole number"),
    "mmvp answer": ("mmvp", "Correct Answer", "(c)", "is none of the 2 options"),
}


@pytest.mark.parametrize("case", TABLES)
def test_cells_of_a_table_that_cannot_be(run, tmp_path, case):
    name, field, cell, said = TABLES[case]
    folder = published(name, tmp_path / "data")
    path = next(each for each in folder.iterdir() if each.suffix in (".tsv", ".csv"))
    import csv

    with open(path, newline="") as file:
        rows = list(csv.DictReader(file, delimiter="," if path.suffix == ".csv" else "\t"))
    if case == "option gap":
        rows[0] |= {"B": "", "C": "3 m"}
        said = "is empty"
    else:
        rows[0][field] = cell
    table(path, rows)
    refused(run("eval", name, "--data", folder, "--mode", "direct", "--out", tmp_path / "out"), said)
    assert not (tmp_path / "out").exists()


PARQUET: dict[str, tuple[str, Any, str]] = {
    "unit": ("answer_unit", "parsec", "'parsec' is no unit of length"),
    "value text": ("answer_value", "far", "'far' is no number"),
    "value nan": ("answer_value", float("nan"), "answer_value"),
    "value negative": ("answer_value", -3.0, "is no distance or size"),
    "value list": ("answer_value", [3.0], "must be a text or a number, not list"),
    "question bytes": ("question", b"How?", "must be a text or a number, not bytes"),
    "question null": ("question", None, "field 'question': is empty"),
    "image text": ("image", "text", "field 'image_path': picture"),
    "image bytes": ("image", b"no picture", "are no picture"),
    "image bomb": ("image", bomb(), "picture"),
}


@pytest.mark.parametrize("case", PARQUET)
def test_cells_of_a_parquet_file_that_cannot_be(run, tmp_path, case):
    field, cell, said = PARQUET[case]
    folder = published("q-spatial-plus", tmp_path / "data")
    path = next(folder.glob("*.parquet"))
    rows = [{**row, field: cell} for row in parquet.read_table(path).to_pylist()]
    parquet.write_table(pyarrow.Table.from_pylist(rows), path)
    refused(run("eval", "q-spatial-plus", "--data", folder, "--mode", "direct", "--out", tmp_path / "out"), path.name, said)


def test_tables_that_are_none(run, tmp_path):
    for name, content, said in (
        ("t.tsv", b"", "column 'index' is missing"),
        ("t.tsv", b"\xff\xfe\x00", "not UTF-8 text"),
        ("t.tsv", b"index\tquestion\n1\n", "is missing"),
        ("t.parquet", b"rubbish", "truncated or no parquet file"),
    ):
        (tmp_path / name).write_bytes(content)
        refused(run("eval", "mmbench-v11-mini", "--data", tmp_path / name, "--mode", "direct", "--out", tmp_path / "out"), said)


# -------------------- runs and their rows

ANSWER = {
    "id": "q1", "mode": "direct", "category": "c", "group": "spatial", "type": "YN", "truth": "yes", "reply": "yes",
    "extracted": "yes", "correct": True, "value": 1.0, "maps": [], "answered": True, "truncated": False, "turns": 1,
    "seconds": 0.5, "bundle": "", "unscored": False,
}  # fmt: skip
ROWS: dict[str, tuple[Any, str]] = {
    **{f"{name} {kind}": ({**ANSWER, name: wrong}, name) for name, wrong, kind in (
        ("id", 5, "int"), ("id", "", "empty"), ("id", "../q", "above"), ("mode", "dreamy", "unknown"), ("mode", 3, "int"),
        ("category", None, "null"), ("group", "odd", "unknown"), ("type", "Essay", "unknown"), ("truth", 1, "int"),
        ("reply", ["a"], "list"), ("extracted", 5, "int"), ("correct", "yes", "text"), ("correct", 1, "int"),
        ("value", "1", "text"),         ("value", 7, "large"), ("value", -1, "negative"), ("maps", "depth", "text"),
        ("maps", [1], "ints"),
        ("maps", None, "null"), ("answered", 0, "int"), ("truncated", "no", "text"),
        ("turns", 1.5, "float"), ("turns", -1, "negative"),
        ("seconds", "1", "text"), ("seconds", -1, "negative"), ("bundle", 4, "int"), ("unscored", "no", "text"),
    )},
    "unknown field": ({**ANSWER, "more": 1}, "unknown key 'more'"),
    "missing field": ({name: value for name, value in ANSWER.items() if name != "truth"}, "'truth' is missing"),
    "a list": ([1], "not a JSON object"),
}  # fmt: skip


@pytest.mark.parametrize("case", ROWS)
@pytest.mark.parametrize("command", ["compare", "study"])
def test_rows_that_were_edited(run, tmp_path, case, command):
    row, said = ROWS[case]
    for name in ("a", "b"):
        (tmp_path / name).mkdir()
        (tmp_path / name / "rows.jsonl").write_text(json.dumps(ANSWER) + "\n")
    edited = tmp_path / "b" / "rows.jsonl"
    edited.write_text(json.dumps(row) + "\n")
    one, other = tmp_path / "a", tmp_path / "b"
    words = {"compare": ("compare", one, other), "study": ("study", f"a={one}:direct", f"b={other}", "--out", tmp_path / "out")}
    before = edited.read_bytes()
    refused(run(*words[command]), "rows.jsonl, line 1" if case != "id missing" else "", said)
    assert edited.read_bytes() == before


RUNS = {
    "broken": "{",
    "list": "[]",
    "empty": "",
    "deep": DEEP,
    "null": "null",
    "questions": '{"questions": 5}',
    "NaN": '{"seed": NaN}',
}


@pytest.mark.parametrize("case", [*RUNS, "folder", "fifo", "missing"])
def test_a_run_that_was_edited(run, tmp_path, case):
    out, data = tmp_path / "out", published("mmvp", tmp_path / "data")
    out.mkdir()
    (out / "rows.jsonl").write_text(json.dumps(ANSWER) + "\n")
    if case == "folder":
        (out / "run.json").mkdir()
    elif case == "fifo":
        os.mkfifo(out / "run.json")
    elif case != "missing":
        (out / "run.json").write_text(RUNS[case])
    ran = run("eval", "mmvp", "--data", data, "--mode", "direct", "--out", out)
    refused(ran, "run.json" if case not in ("questions",) else "holds a run")
    assert (out / "rows.jsonl").read_text() == json.dumps(ANSWER) + "\n"


FLAGS = {"id": "q", "category": "c", "flag": "positive", "drawn_right": 1, "drawn": 2, "plain_right": 1, "plain": 2}
FLAG_ROWS = {
    "counts text": {**FLAGS, "drawn": "2"}, "more right": {**FLAGS, "drawn_right": 3}, "negative": {**FLAGS, "plain_right": -1},
    "flag": {**FLAGS, "flag": "odd"}, "id": {**FLAGS, "id": 3}, "no counts": {"id": "q", "category": "c", "flag": "positive"},
}  # fmt: skip


@pytest.mark.parametrize("case", FLAG_ROWS)
def test_flags_that_were_edited(tmp_path, case):
    from cooper.curation.counts import read_flag_rows
    from cooper.errors import CooperError

    (tmp_path / "flags.jsonl").write_text(json.dumps(FLAG_ROWS[case]) + "\n")
    with pytest.raises(CooperError, match=r"flags\.jsonl, line 1: "):
        read_flag_rows(tmp_path / "flags.jsonl")


# -------------------- settings and outputs

SETTINGS: dict[str, tuple[list[str], str]] = {
    "limit 0": (["--limit", "0"], "limit must be at least 1, got 0"),
    "limit negative": (["--limit", "-3"], "limit must be at least 1"),
    "batch 0": (["--batch", "0"], "batch must be at least 1, got 0"),
    "traces negative": (["--traces", "-1"], "traces must not be negative"),
    "mode twice": (["--mode", "text"], "--mode stands there 2 times"),
    "seed negative": (["--seed", "-1"], "; it must be from 0 to"),
    "seed huge": (["--seed", str(2**64)], "; it must be from 0 to"),
    "no judge model": (["--judge", "http://localhost:1/v1"], "a judge needs both"),
}


@pytest.mark.parametrize("case", SETTINGS)
@pytest.mark.parametrize("name", ["mmvp", "scenes"])
def test_settings_that_cannot_be(run, tmp_path, case, name):
    more, said = SETTINGS[case]
    data = published("mmvp", tmp_path / "data")
    refused(run("eval", name, "--data", data, "--mode", "direct", "--out", tmp_path / "out", *more), said)
    assert not (tmp_path / "out").exists()


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (["scenes", "--maps", "-1"], "maps must not be negative"),
        (["scenes", "--mode", "dreamy"], "unknown mode 'dreamy'"),
        (["scenes", "--mode", "direct text"], "unknown mode 'direct text'"),
        (["scenes", "--mode", ""], "no mode named"),
        (["scenes", "--mode", " , "], "no mode named"),
        (["mmvp", "nosuch", "--mode", "direct"], "unknown benchmark 'nosuch'"),
        (["mmvp", "--data", "{empty}"], "holds none of"),
        (["scenes", "--data", "{empty}"], "is no rendered scene set"),
        (["mmvp", "--data", "{empty}/none"], "no such file or folder"),
        (["depth", "--dataset", "nyu", "--data", "{empty}"], "holds no pictures with depth"),
        (["depth", "--dataset", "nyu"], "needs the folder of the data set"),
        (["depth", "--data", "{empty}"], "no data set of depth is named"),
        (["segmentation", "--dataset", "ade20k", "--data", "{empty}"], "holds neither"),
    ],
)
def test_what_is_asked_for_cannot_be(run, tmp_path, words, said):
    (tmp_path / "empty").mkdir()
    words = [word.format(empty=tmp_path / "empty") for word in words]
    refused(run("eval", *words, "--out", tmp_path / "out"), said)


@pytest.mark.parametrize("command", ["eval", "flags", "draw", "study", "render"])
@pytest.mark.parametrize("place", ["file", "file/below", "x" * 300])
def test_outputs_that_cannot_be_folders(run, tmp_path, scene_set, command, place):
    (tmp_path / "file").write_text("kept")
    out = tmp_path / place
    words = {
        "eval": ("eval", "mmvp", "--data", published("mmvp", tmp_path / "data"), "--mode", "direct"),
        "flags": ("data", "flags", "--data", scene_set, "--samples", "1"),
        "draw": ("data", "draw", "--data", scene_set),
        "study": ("study", "a=x", "b=y"),
        "render": ("scenes", "render", "--count", "1"),
    }[command]
    refused(run(*words, "--out", out), "cannot")
    assert (tmp_path / "file").read_text() == "kept"


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (["--seed", "-1"], "; it must be from 0 to"),
        (["--seed", str(2**64)], "; it must be from 0 to"),
        (["--seed", "9" * 30], "; it must be from 0 to"),
        (["--samples", "0"], "samples must be at least 1"),
        (["--limit", "0"], "limit must be at least 1"),
        (["--per-scene", "0"], "per_scene must be at least 1"),
        (["--per-scene", "-2"], "per_scene must be at least 1"),
        (["--temperature", "nan"], "temperature must not be negative or infinite"),
        (["--temperature", "-1"], "temperature must not be negative or infinite"),
        (["--margin", "nan"], "margin must lie in"),
        (["--batch", "0"], "batch must be at least 1"),
    ],
)
def test_settings_of_flags_that_cannot_be(run, tmp_path, scene_set, words, said):
    refused(run("data", "flags", "--data", scene_set, "--out", tmp_path / "out", *words), said)
    assert not (tmp_path / "out").exists()


@pytest.mark.parametrize("content", ["[]", "{", "", "folder"])
@pytest.mark.parametrize("command", ["draw", "flags"])
def test_runs_of_flags_and_drawings_that_were_edited(run, tmp_path, scene_set, command, content):
    out = tmp_path / "out"
    out.mkdir()
    if content == "folder":
        (out / "run.json").mkdir()
    else:
        (out / "run.json").write_text(content)
    refused(run("data", command, "--data", scene_set, "--out", out), "run.json")


def nyu(folder: Path, depth: bytes, picture: bytes | None = None) -> Path:
    folder.mkdir()
    (folder / "rgb_0001.png").write_bytes(room() if picture is None else picture)
    (folder / "depth_0001.png").write_bytes(depth)
    return folder


DEPTHS = {
    "bomb": (bomb(), "cannot read the depth"),
    "8 bit": (png(SMALL), "is no 16-bit picture of one channel"),
    "colour": (png(np.zeros((64, 64, 3), np.uint8)), "is no 16-bit picture of one channel"),
    "size": (png(np.ones((32, 64), np.uint16)), "has 64 x 32 px, its picture"),
    "rubbish": (b"rubbish", "cannot read the depth"),
    "empty": (b"", "cannot read the depth"),
}


@pytest.mark.parametrize("case", DEPTHS)
def test_depth_of_a_data_set_that_cannot_be(run, tmp_path, case):
    depth, said = DEPTHS[case]
    words = ("eval", "depth", "--dataset", "nyu", "--data", nyu(tmp_path / "nyu", depth), "--out", tmp_path / "out")
    refused(run(*words, "--skip-bad"), "no picture can be read; the first:", said)


def test_lists_of_data_sets_that_are_no_text(run, tmp_path):
    folder = nyu(tmp_path / "nyu", png(np.ones((64, 64), np.uint16)))
    (folder / "list.txt").write_bytes(b"rgb_0001.png d\xe9pth.png\n")
    words = ("eval", "depth", "--dataset", "nyu", "--data", folder, "--out", tmp_path / "out")
    refused(run(*words), "list.txt: not UTF-8 text")
    ade = tmp_path / "ade"
    for kind, content in (("images", room()), ("annotations", png(SMALL))):
        (ade / kind / "validation").mkdir(parents=True)
        (ade / kind / "validation" / f"1.{'jpg' if kind == 'images' else 'png'}").write_bytes(content)
    (ade / "objectInfo150.txt").write_bytes(b"Idx\tName\n1\t\xff\n")
    refused(run("eval", "segmentation", "--dataset", "ade20k", "--data", ade, "--out", tmp_path / "out"), "objectInfo150.txt")


def test_an_mm_vet_table_without_capabilities(run, tmp_path):
    row = {
        "question_id": "v1_0",
        "question": "x?",
        "answer": "1",
        "capability": [],
        "image": {"bytes": room(), "path": "0.png"},
    }
    for wanted in ([], [""], [3], None):
        kind = pyarrow.list_(pyarrow.int64() if wanted == [3] else pyarrow.string())
        made = pyarrow.Table.from_pylist([row | {"capability": None}]).set_column(
            3, "capability", pyarrow.array([wanted], kind)
        )
        parquet.write_table(made, tmp_path / "t.parquet")
        judge = ("--judge", "http://127.0.0.1:9/v1", "--judge-model", "m")
        refused(
            run("eval", "mm-vet", "--data", tmp_path / "t.parquet", "--out", tmp_path / "out", *judge),
            "row 1, field 'capability'",
        )


def test_a_report_does_not_command_the_terminal(run, tmp_path):
    for name in ("a", "b"):
        (tmp_path / name).mkdir()
        (tmp_path / name / "rows.jsonl").write_text(json.dumps({**ANSWER, "category": "c\x1b[31m"}) + "\n")
    ran = run("compare", tmp_path / "a", tmp_path / "b")
    assert ran.code == 0 and "\x1b" not in ran.out and "[31m" in ran.out
