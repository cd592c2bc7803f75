"""`cooper data check` on the layouts that are imported: parquet, JSON lists and conversations, with every kind of fault."""

import io
import json
import re

import pytest
from PIL import Image

from tests.reasoning_files import coded, last, picture, write_rows

FAULT = re.compile(r"^  (error|warning): ([^:]+): (.+), (?:row|line) (\d+): (.*)$", re.MULTILINE)


def content(number, kind="PNG", size=(64, 48)):
    buffer = io.BytesIO()
    picture(number, size).save(buffer, kind)
    return buffer.getvalue()


def captioned(number, **changes):
    return {"image": content(number), "captions": json.dumps({"0": f"boxes {number}", "1": "squares"}), **changes}


def edited(number, **changes):
    pictures = [content(10 * number + place) for place in range(3)]
    return {"image_list": pictures, "instruction_list": [["darker", "less light"], [f"a box {number}"]], **changes}


def morphed(number, **changes):
    said = ["<think>First.</think><image_start>", f"<image_end>{last('3')}"]
    pictures = [content(10 * number), content(10 * number + 1)]
    return {"image_list": pictures, "instruction_list": [f"How many? {number}"], "output_text_list": said, **changes}


def talked(number, **changes):
    shown = {"type": "image_url", "image_url": {"url": coded(picture(number), prefix="data:image/png;base64,")}}
    asked = [{**shown, "text": None}, {"type": "text", "text": "Which?", "image_url": None}]
    return {"messages": [{"role": "user", "content": asked}, {"role": "assistant", "content": asked[1:]}], **changes}


ROWS = {"bagel-t2i": captioned, "bagel-editing": edited, "thinkmorph": morphed, "messages": talked}


def parquet(path, rows, **options):
    arrow, tables = pytest.importorskip("pyarrow"), pytest.importorskip("pyarrow.parquet")
    path.parent.mkdir(parents=True, exist_ok=True)
    names = {name: None for row in rows for name in row}
    columns = {name: [row.get(name) for row in rows] for name in names}
    tables.write_table(arrow.table(columns), path, **{"row_group_size": 2, **options})
    return path


def found(ran):
    """The faults that were printed: row, kind and words."""
    assert ran.code in (0, 1) and "Traceback" not in ran.err, ran.err
    return [(int(number), name, said) for _, name, _, number, said in FAULT.findall(ran.out)]


# -------------------- good data


@pytest.mark.parametrize("said", [True, False])
@pytest.mark.parametrize("kind", ROWS)
def test_good_parquet_has_no_faults(run, tmp_path, kind, said):
    path = parquet(tmp_path / "chunk_0.parquet", [ROWS[kind](number) for number in range(5)])
    ran = run("data", "check", path, *(["--kind", kind] if said else []))
    assert ran.code == 0, ran.out
    assert f"{path}: {kind}, 5 rows" in ran.out and f"`cooper data import {kind}` makes rows of it" in ran.out


def test_sizes_maps_and_tokens_of_parquet_are_counted(run, tmp_path):
    path = parquet(
        tmp_path / "chunk_0.parquet", [edited(0), edited(1, image_list=[content(n, "JPEG", (80, 48)) for n in (5, 6, 7)])]
    )
    ran = run("data", "check", path, "--out", tmp_path / "out")
    told = json.loads((tmp_path / "out" / "check.json").read_text())[0]
    assert ran.code == 0, ran.out
    assert told["pictures"] == "6 of 64 x 48 to 80 x 48 px, most often 64 x 48 (3), 80 x 48 (3)"
    assert (told["modes"], told["maps"]) == ("interleaved 4", "picture 8")  # a trace for each of two wordings
    assert (tmp_path / "out" / "check.html").read_text().count("data:image/jpeg;base64,") == 6


def test_parquet_files_of_a_folder_are_one_set_in_which_twins_are_found(run, tmp_path):
    parquet(tmp_path / "t2i" / "chunk_0.parquet", [captioned(0), captioned(1)])
    parquet(tmp_path / "t2i" / "chunk_1.parquet", [captioned(2), captioned(1)])
    parquet(tmp_path / "editing" / "seed" / "chunk_0.parquet", [edited(3)])
    write_rows(tmp_path / "editing" / "parquet_info.json", [{"chunk_0.parquet": {"num_rows": 1}}])
    ran = run("data", "check", tmp_path)
    assert f"{tmp_path / 't2i'}: bagel-t2i, 4 rows" in ran.out and "bagel-editing, 1 row\n" in ran.out
    assert [(number, name) for number, name, _ in found(ran)] == [(2, "row twice")] and "chunk_1.parquet, row 2" in ran.out


def test_a_limit_reads_the_first_rows_alone(run, tmp_path):
    path = parquet(tmp_path / "0.parquet", [captioned(0), captioned(1), captioned(2, image=b"x")])
    assert run("data", "check", path, "--limit", "2").code == 0


def conversation(asked, said):
    return [{"from": "human", "value": asked}, {"from": "gpt", "value": said}]


def test_conversations_in_a_json_list_are_read(run, tmp_path):
    """As LLaVA is published, pictures beside the file; other JSON files in the folder are no rows."""
    picture(0).save(tmp_path / "a.png")
    rows = [{"id": n, "image": "a.png", "conversations": conversation(f"<image>\nWhich {n}?", "that")} for n in range(3)]
    (tmp_path / "rows.json").write_text(json.dumps(rows))
    (tmp_path / "index.json").write_text(json.dumps([{"name": "x"}]))
    ran = run("data", "check", tmp_path)
    assert ran.code == 0 and f"{tmp_path / 'rows.json'}: bagel-vlm, 3 rows" in ran.out, ran.out
    rows[1]["image"] = "gone.png"
    (tmp_path / "rows.json").write_text(json.dumps([*rows, 5]))
    ran = run("data", "check", tmp_path / "rows.json", "--kind", "bagel-vlm")
    assert [(number, name) for number, name, _ in found(ran)] == [(2, "missing file"), (4, "not JSON")], ran.out


def test_rows_that_restore_a_picture_are_those_of_clear(run, tmp_path):
    for folder in ("images", "clean"):
        (tmp_path / folder).mkdir()
        picture(len(folder)).save(tmp_path / folder / "a.png")
    rows = [{"image": "a.png", "conversations": conversation("Which?", f"first <image_restore> then {n}")} for n in range(2)]
    path = write_rows(tmp_path / "clear.jsonl", rows)
    ran = run("data", "check", path)
    assert ran.code == 0 and "clear, 2 rows" in ran.out and "picture 2" in ran.out, ran.out
    (tmp_path / "clean" / "a.png").unlink()
    assert [(number, name) for number, name, _ in found(run("data", "check", path))] == [
        (1, "missing file"),
        (2, "missing file"),
    ]


# -------------------- faults of rows


FLAT = io.BytesIO()
Image.new("RGB", (1024, 1024)).save(FLAT, "PNG")
FAULTS = {
    "no bytes": ("bagel-t2i", {"image": None}, "no picture", "field 'image': holds no bytes of a picture, but nothing"),
    "empty bytes": ("bagel-t2i", {"image": b""}, "no picture", "no bytes of a picture"),
    "torn": ("bagel-t2i", {"image": content(1)[:-40]}, "torn picture", "truncated or damaged"),
    "torn JPEG": ("bagel-t2i", {"image": content(1, "JPEG")[:-400]}, "torn picture", "Truncated File Read"),
    "words": ("bagel-t2i", {"image": b"<html>not found</html>"}, "no picture", "not a picture that can be read"),
    "captions gone": ("bagel-t2i", {"captions": None}, "field", "'captions' is missing or no text"),
    "captions torn": ("bagel-t2i", {"captions": '{"0": "a'}, "not JSON", "field 'captions'"),
    "captions twice": ("bagel-t2i", {"captions": '{"0": "a", "0": "b"}'}, "not JSON", "'0' stands there twice"),
    "captions a list": ("bagel-t2i", {"captions": '["a"]'}, "field", "holds no object of texts"),
    "captions none": ("bagel-t2i", {"captions": "{}"}, "field", "holds no object of texts"),
    "captions null": ("bagel-t2i", {"captions": '{"0": null}'}, "field", "holds no object of texts"),
    "captions empty": ("bagel-t2i", {"captions": '{"0": " "}'}, "nothing there", "all captions are empty"),
    "caption empty": ("bagel-t2i", {"captions": '{"0": "a", "1": ""}'}, "empty words", "the caption '1' is empty"),
    "same": ("bagel-t2i", captioned(0), "row twice", "is the same as"),
    "editing torn": ("bagel-editing", {"image_list": [content(1), content(2), b"x"]}, "no picture", "'image_list'[2]"),
    "editing none": ("bagel-editing", {"image_list": []}, "field", "'image_list' is missing or no list"),
    "editing hole": ("bagel-editing", {"image_list": [content(1), None, content(2)]}, "no picture", "'image_list'[1]"),
    "editing fewer": ("bagel-editing", {"image_list": [content(1), content(2)]}, "field", "must have one step fewer"),
    "editing words": ("bagel-editing", {"instruction_list": [["a"], [""]]}, "field", "'instruction_list'[1]: must be a list"),
    "editing no wording": ("bagel-editing", {"instruction_list": [["a"], []]}, "field", "'instruction_list'[1]"),
    "editing same": (
        "bagel-editing",
        {"image_list": [content(1), content(1), content(2)]},
        "map is the picture",
        "a map is a picture of the question",
    ),
    "editing long": ("bagel-editing", {"image_list": [FLAT.getvalue()] * 3}, "too long", "above 10,240"),
    "morph pictures": ("thinkmorph", {"image_list": [content(1)]}, "picture marks", "1 texts end in <image_start>"),
    "morph question": ("thinkmorph", {"instruction_list": None}, "field", "'instruction_list': must be a list of texts"),
    "morph words": ("thinkmorph", {"output_text_list": []}, "field", "'output_text_list': must be a list of texts"),
    "morph answer": (
        "thinkmorph",
        {"output_text_list": ["<think>a</think><image_start>", "<image_end><think>b</think>"]},
        "no answer",
        "no <answer>",
    ),
    "morph tags": (
        "thinkmorph",
        {"output_text_list": ["<think>a<image_start>", f"<image_end>{last('3')}"]},
        "broken tags",
        "1 <think> and 0 </think>",
    ),
    "morph mark lost": (
        "thinkmorph",
        {"output_text_list": ["<think>a</think>", f"<image_end>{last('3')}"]},
        "picture marks",
        "none before it ends in <image_start>",
    ),
    "morph mark inside": (
        "thinkmorph",
        {"output_text_list": [f"<think>a</think><image_start><image_end>{last('3')}"]},
        "picture marks",
        "has <image_start> in its middle",
    ),
    "reply first": (
        "messages",
        {"messages": talked(1)["messages"][1:]},
        "no question",
        "nothing stands before what is learned",
    ),
    "no reply": ("messages", {"messages": talked(1)["messages"][:1]}, "row without loss", "no part of the row is learned"),
    "no messages": ("messages", {"messages": None}, "field", "'messages' must be a list"),
}


@pytest.mark.parametrize("name", FAULTS)
def test_a_fault_of_a_parquet_row_is_found(run, tmp_path, name):
    kind, changes, word, said = FAULTS[name]
    rows = [ROWS[kind](number) for number in range(4)]
    path = parquet(tmp_path / "chunk_0.parquet", [rows[0], {**rows[1], **changes}, *rows[2:]])
    ran = run("data", "check", path)
    faults = [(number, kind) for number, kind, _ in found(ran) if kind != "map is the picture" or word == kind]
    assert ran.code == 1 and faults == [(2, word)] and said in ran.out, ran.out


def test_both_faults_of_a_row_are_named(run, tmp_path):
    path = parquet(tmp_path / "0.parquet", [captioned(0), captioned(1, image=content(1)[:-40], captions="{}")])
    assert {name for _, name, _ in found(run("data", "check", path))} == {"field", "torn picture"}


def test_a_text_that_is_no_utf8_costs_its_own_row_alone(run, tmp_path):
    """It is planted in the bytes of the file, as no writer would write it."""
    rows = [captioned(number, captions=json.dumps({"0": f"marked{number}"})) for number in range(4)]
    path = parquet(tmp_path / "0.parquet", rows, compression="NONE", use_dictionary=False, write_statistics=False)
    path.write_bytes(path.read_bytes().replace(b"marked2", b"mark\xff\xfe2"))
    ran = run("data", "check", path)
    assert [(number, name) for number, name, _ in found(ran)] == [(3, "not UTF-8")] and "bagel-t2i, 4 rows" in ran.out, ran.out
    ran = run("data", "import", "bagel-t2i", path, tmp_path / "out")
    assert ran.code == 1 and "3 of 4 rows" in ran.out, ran.out


def test_a_damaged_row_group_costs_its_own_rows_alone(run, tmp_path):
    """The head of the pages of its pictures is overwritten."""
    tables = pytest.importorskip("pyarrow.parquet")
    path = parquet(tmp_path / "0.parquet", [captioned(number) for number in range(6)])
    start = tables.ParquetFile(path).metadata.row_group(1).column(0).data_page_offset
    data = bytearray(path.read_bytes())
    data[start : start + 24] = b"\xff" * 24
    path.write_bytes(data)
    ran = run("data", "check", path)
    assert [(number, name) for number, name, _ in found(ran)] == [(3, "torn picture"), (4, "torn picture")], ran.out
    assert "bagel-t2i, 6 rows" in ran.out and "maps" in ran.out and "picture 8" in ran.out
    ran = run("data", "import", "bagel-t2i", path, tmp_path / "out")
    assert ran.code == 1 and "8 traces from 4 of 6 rows" in ran.out, ran.out + ran.err


# -------------------- faults of files


def test_a_torn_file_does_not_keep_the_others_from_being_checked(run, tmp_path):
    parquet(tmp_path / "chunk_0.parquet", [captioned(0)])
    whole = parquet(tmp_path / "chunk_1.parquet", [captioned(1)]).read_bytes()
    (tmp_path / "chunk_1.parquet").write_bytes(whole[: len(whole) // 2])
    (tmp_path / "chunk_2.parquet").write_bytes(b"")
    parquet(tmp_path / "chunk_3.parquet", [captioned(2), captioned(3, image=b"x")])
    ran = run("data", "check", tmp_path)
    assert ran.code == 1 and f"{tmp_path}: bagel-t2i, 3 rows" in ran.out, ran.out
    for name in ("chunk_1", "chunk_2"):
        assert f"cannot be read: {tmp_path / name}.parquet: truncated or no parquet file" in ran.out
    assert "chunk_3.parquet, row 2" in ran.out and "3 errors in 3 rows" in ran.out


def without(name, make):
    return lambda number: {field: value for field, value in make(number).items() if field != name}


COLUMNS = {
    "t2i": (without("captions", captioned), None, "the field 'captions' of bagel-t2i is missing, and no other layout fits"),
    "t2i said": (
        without("image", captioned),
        "bagel-t2i",
        "'image' of bagel-t2i is missing, so none of its 2 rows can be read",
    ),
    "editing": (without("instruction_list", edited), None, "'instruction_list' of bagel-editing is missing"),
    "morph": (without("output_text_list", morphed), "thinkmorph", "'output_text_list' of thinkmorph is missing"),
    "other": (
        lambda number: {"text": "x", "number": number},
        None,
        "its fields are those of no layout that is read; it has text",
    ),
    "wrong kind": (captioned, "questions", "parquet files are not read as questions; known: bagel-t2i"),
}


@pytest.mark.parametrize("name", COLUMNS)
def test_a_column_that_is_missing_is_named_once(run, tmp_path, name):
    make, kind, said = COLUMNS[name]
    path = parquet(tmp_path / "0.parquet", [make(0), make(1)])
    ran = run("data", "check", path, *(["--kind", kind] if kind else []))
    assert ran.code == 1 and said in ran.out and "1 error in 0 rows" in ran.out, ran.out


def test_a_table_without_rows_is_a_fault(run, tmp_path):
    arrow, tables = pytest.importorskip("pyarrow"), pytest.importorskip("pyarrow.parquet")
    schema = arrow.schema([("image", arrow.binary()), ("captions", arrow.string())])
    tables.write_table(schema.empty_table(), tmp_path / "0.parquet")
    ran = run("data", "check", tmp_path / "0.parquet")
    assert ran.code == 1 and "holds no row" in ran.out, ran.out


def test_a_kind_is_looked_for_in_the_folders_below(run, tmp_path):
    parquet(tmp_path / "a" / "0.parquet", [morphed(0)])
    ran = run("data", "check", tmp_path, "--kind", "thinkmorph")
    assert ran.code == 0 and "thinkmorph, 1 row\n" in ran.out, ran.out
    ran = run("data", "check", tmp_path / "a", "--kind", "bagel-t2i")
    assert ran.code == 1 and "'image' and 'captions' of bagel-t2i are missing" in ran.out, ran.out
