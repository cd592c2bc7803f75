"""`cooper data check` on rows of reasoning and of questions: every kind of fault is named with its line, good files have
none."""

import base64
import io
import json
import os
import re
import shutil
from pathlib import Path

import pytest
from PIL import Image

from cooper.trace.prompts import DEFAULT
from cooper.training.feed.faults.rows import RowCheck
from tests.reasoning_files import (
    QUESTIONS,
    coded,
    interleaved_file,
    interleaved_row,
    last,
    picture,
    published_questions,
    shown,
    turn,
    words,
    write_rows,
)

GOLDEN = Path(__file__).resolve().parents[1] / "golden" / "checkpoint"
FAULT = re.compile(r"^  (error|warning): ([^:]+): (.+), line (\d+): ", re.MULTILINE)


def found(ran, line=2):
    """The faults that were printed of a line, by their words."""
    assert ran.code in (0, 1), ran.err
    return {name for _, name, _, number in FAULT.findall(ran.out) if int(number) == line}


def all_found(ran):
    return {(int(number), name) for _, name, _, number in FAULT.findall(ran.out)}


# -------------------- good files


@pytest.mark.parametrize("count", [1, 6])
def test_good_rows_have_no_faults(run, tmp_path, count):
    ran = run("data", "check", interleaved_file(tmp_path / "Interleaved_SFT.jsonl", count))
    assert ran.code == 0, ran.out
    assert f"no faults in {count} row" in ran.out


def test_a_folder_of_several_files_is_checked_whole(run, tmp_path):
    interleaved_file(tmp_path / "Interleaved_SFT.jsonl")
    published_questions(tmp_path)
    ran = run("data", "check", tmp_path)
    assert ran.code == 0, ran.out
    assert "Interleaved_SFT.jsonl: reasoning, 6 rows" in ran.out and "RL_data.jsonl: questions, 6 rows" in ran.out
    assert "depth 3, segmentation 2" in ran.out and "boundary 2, negative 2, positive 2" in ran.out


def test_the_report_shows_pictures_and_every_fault(run, tmp_path):
    rows = [interleaved_row(0, ("depth",)), {**interleaved_row(1, ("depth",)), "id": "<b>"}, {"id": "<b>"}]
    path = write_rows(tmp_path / "rows.jsonl", rows)
    ran = run("data", "check", path, "--out", tmp_path / "out")
    page = (tmp_path / "out" / "check.html").read_text()
    faults = [json.loads(line) for line in (tmp_path / "out" / "faults.jsonl").read_text().splitlines()]
    assert ran.code == 1 and page.count("data:image/jpeg;base64,") == 4 and "<b>" not in page
    assert [(fault["kind"], fault["place"]) for fault in faults] == [
        ("field", f"{path}, line 3"),
        ("same_id", f"{path}, line 3"),
    ]
    assert json.loads((tmp_path / "out" / "check.json").read_text())[0]["rows"] == 3


# -------------------- faults of published rows


def part(row, number, **changes):
    """The row with one of its parts changed; a value None takes the field away."""
    parts = [dict(each) for each in row["interleaved_reason"]]
    parts[number] = {name: value for name, value in {**parts[number], **changes}.items() if value is not None}
    return {"interleaved_reason": parts}


def without(row, number):
    return {"interleaved_reason": [each for place, each in enumerate(row["interleaved_reason"]) if place != number]}


def torn(kind):
    buffer = io.BytesIO()
    picture(1).save(buffer, kind)
    return base64.b64encode(buffer.getvalue()[: len(buffer.getvalue()) * 2 // 3]).decode()


def scratched():
    """A PNG whose pixels can be unpacked, though its checksum says that they are others."""
    buffer = io.BytesIO()
    picture(1).save(buffer, "PNG")
    content = bytearray(buffer.getvalue())
    place = content.index(b"IDAT")
    length = int.from_bytes(content[place - 4 : place], "big")
    content[place + 4 + length] ^= 1
    return base64.b64encode(bytes(content)).decode()


GOOD = interleaved_row(1, ("depth",))  # picture, question, request, map, reflection, answer
LARGE = coded(Image.new("RGB", (1024, 1024), (4, 9, 16)))
ROWS = {
    "no parts": ({"messages": []}, "field"),
    "empty parts": ({"interleaved_reason": []}, "field"),
    "parts no list": ({"interleaved_reason": "x"}, "field"),
    "part no object": ({"interleaved_reason": ["x"]}, "field"),
    "no value": (part(GOOD, 1, value=None), "field"),
    "value a number": (part(GOOD, 1, value=3), "field"),
    "no type": (part(GOOD, 1, type=None), "field"),
    "not an object": ([1], "not JSON"),
    "loss a boolean": (part(GOOD, 2, need_loss=True), "need_loss of a wrong type"),
    "loss false as a boolean": (part(GOOD, 1, need_loss=False), "need_loss of a wrong type"),
    "loss a capital": (part(GOOD, 2, need_loss="True"), "need_loss of a wrong type"),
    "loss a number": (part(GOOD, 2, need_loss=1), "need_loss of a wrong type"),
    "loss missing": (part(GOOD, 2, need_loss=None), "need_loss of a wrong type"),
    "loss null": ({"interleaved_reason": [*GOOD["interleaved_reason"][:1], {"type": "text", "value": "x", "need_loss": None}]},
                  "need_loss of a wrong type"),
    "no loss": (part(part(GOOD, 2, need_loss="false"), 5, need_loss="false"), "row without loss"),
    "question with loss": (part(GOOD, 1, need_loss="true"), "prompt with loss"),
    "reflection with loss": (part(GOOD, 4, need_loss="true"), "prompt with loss"),
    "system text with loss": (
        {"interleaved_reason": [words(DEFAULT.system["interleaved"], True), *GOOD["interleaved_reason"]]}, "prompt with loss"
    ),
    "no base64": (part(GOOD, 0, value="data:image/png;base64,***"), "bad base64"),
    "base64 cut": (part(GOOD, 3, value=coded(picture(3))[:-3]), "bad base64"),
    "text in place of a picture": (part(GOOD, 0, value="aGVsbG8gd29ybGQ="), "no picture"),
    "empty picture": (part(GOOD, 0, value=""), "no picture"),
    "torn JPEG": (part(GOOD, 0, value=torn("JPEG")), "torn picture"),
    "torn PNG": (part(GOOD, 3, value=torn("PNG")), "torn picture"),
    "torn WebP": (part(GOOD, 0, value=torn("WEBP")), "torn picture"),
    "scratched PNG": (part(GOOD, 0, value=scratched()), "torn picture"),
    "tiny picture": (part(GOOD, 0, value=coded(picture(1).crop((0, 0, 3, 3)))), "wrong size"),
    "map of another aspect": (part(GOOD, 3, value=coded(picture(3, (48, 96)))), "wrong size"),
    "request without map": (without(GOOD, 3), "request without map"),
    "request at the end": ({"interleaved_reason": GOOD["interleaved_reason"][:3]}, "request without map"),
    "map without request": (part(GOOD, 2, value="<think>A map.</think>"), "map without request"),
    "two maps for one request": (
        {"interleaved_reason": [*GOOD["interleaved_reason"][:4], shown(7), *GOOD["interleaved_reason"][4:]]},
        "map without request",
    ),
    "map behind the question": (
        {"interleaved_reason": [*GOOD["interleaved_reason"][:2], shown(7), GOOD["interleaved_reason"][-1]]},
        "map without request",
    ),
    "map is the picture": (part(GOOD, 3, value=GOOD["interleaved_reason"][0]["value"]), "map is the picture"),
    "no answer": (part(GOOD, 5, value="<think>It is plain.</think> 3"), "no answer"),
    "answer not closed": (part(GOOD, 5, value="<think>It is plain.</think><answer>3"), "broken tags"),
    "goes on after its answer": (
        {"interleaved_reason": [*GOOD["interleaved_reason"], words("So?", False), words(last("3"), True)]}, "broken tags"
    ),
    "too long": (part(part(GOOD, 0, value=LARGE), 3, value=coded(Image.new("RGB", (1024, 1024), (9, 9, 9)))), "too long"),
    "twice": (interleaved_row(0, ()), "row twice"),
}  # fmt: skip


@pytest.mark.parametrize("name", ROWS)
def test_a_fault_of_a_row_is_found(run, tmp_path, name):
    row, kind = ROWS[name]
    path = write_rows(tmp_path / "rows.jsonl", [interleaved_row(0, ()), row, interleaved_row(2, ("segmentation",))])
    ran = run("data", "check", path)
    assert ran.code == 1 and kind in found(ran), ran.out
    assert {number for number, _ in all_found(ran)} == {2}


LINES = {
    "torn": (lambda line: line[: len(line) // 2], "not JSON"),
    "not UTF-8": (lambda line: line.replace(b"boxes", b"b\xffxes"), "not UTF-8"),
    "latin-1": (lambda line: line.replace(b"How many", "Wie viele Stühle".encode("latin-1")), "not UTF-8"),
    "key twice": (lambda line: b'{"interleaved_reason": 1, ' + line[1:], "not JSON"),
    "NaN": (lambda line: b'{"x": NaN, ' + line[1:], "not JSON"),
    "half a character": (lambda line: line.replace(b"How many", rb"\ud800 many"), "cannot be read"),
    "two objects": (lambda line: line + line, "not JSON"),
}


@pytest.mark.parametrize("place", [0, 1, 2])
@pytest.mark.parametrize("name", LINES)
def test_a_line_that_cannot_be_read_is_found_wherever_it_stands(run, tmp_path, name, place):
    change, kind = LINES[name]
    path = write_rows(tmp_path / "rows.jsonl", [interleaved_row(number, ()) for number in (0, 1, 2)])
    lines = path.read_bytes().splitlines()
    lines[place] = change(json.dumps(interleaved_row(1, ())).encode())
    path.write_bytes(b"\n".join(lines))
    ran = run("data", "check", path)
    assert all_found(ran) - {(2, "row twice")} == {(place + 1, kind)}, ran.out


def test_several_faults_of_one_file_are_all_named(run, tmp_path):
    rows = [interleaved_row(0, ()), ROWS["torn JPEG"][0], ROWS["no answer"][0], interleaved_row(0, ()), ROWS["no loss"][0]]
    ran = run("data", "check", write_rows(tmp_path / "rows.jsonl", rows))
    assert all_found(ran) == {(2, "torn picture"), (3, "no answer"), (4, "row twice"), (5, "row without loss")}
    assert "3 errors and 1 warning" in ran.out or "2 errors and 2 warnings" in ran.out


def test_more_faults_than_are_printed_are_counted(run, tmp_path):
    path = write_rows(tmp_path / "rows.jsonl", [{"x": number} for number in range(9)] + [interleaved_row(0, ())])
    ran = run("data", "check", path, "--show", "2", "--out", tmp_path / "out")
    assert ran.out.count("'interleaved_reason' is missing") == 2 and "error: field: 7 more" in ran.out
    assert len((tmp_path / "out" / "faults.jsonl").read_text().splitlines()) == 9


def test_a_limit_of_its_own_counts_and_tokens_are_those_of_a_checkpoint(run, tmp_path):
    path = interleaved_file(tmp_path / "rows.jsonl", 2)
    shorter = run("data", "check", path, "--model", "nano", "--longest", "10000")
    assert shorter.code == 0, shorter.out
    ran = run("data", "check", path, "--longest", "3000")
    assert all_found(ran) == {(2, "too long")} and "rows above 3,000 tokens" in ran.out


def test_a_published_checkpoint_counts_tokens_without_a_look_at_its_weights(run, tmp_path):
    """Its small pictures are some 100 tokens, where those of the published network are more than 2,000."""
    path, checkpoint = interleaved_file(tmp_path / "rows.jsonl", 2), tmp_path / "checkpoint"
    shutil.copytree(GOLDEN, checkpoint)
    weights = (checkpoint / "ema.safetensors").read_bytes()
    head = 8 + int.from_bytes(weights[:8], "little")
    (checkpoint / "ema.safetensors").write_bytes(weights[:head] + bytes(len(weights) - head))
    assert run("data", "check", path, "--model", checkpoint, "--longest", "1000").code == 0
    assert all_found(run("data", "check", path, "--model", checkpoint, "--longest", "50")) == {(1, "too long"), (2, "too long")}


def test_an_empty_file_is_a_fault(run, tmp_path):
    (tmp_path / "rows.jsonl").write_text("\n")
    ran = run("data", "check", tmp_path / "rows.jsonl")
    assert ran.code == 1 and "nothing there" in ran.out


# -------------------- other forms of traces


def files(tmp_path):
    for number in range(3):
        picture(number).save(tmp_path / f"{number}.png")


def own(**changes):
    row = {
        "question": [{"image": "1.png"}, {"text": "How many?"}],
        "steps": [{"text": turn("depth")}, {"map": "depth", "image": "2.png"}, {"text": "Check.", "author": "prompt"},
                  {"text": last("3")}],
    }  # fmt: skip
    return {name: value for name, value in {**row, **changes}.items() if value is not None}


FORMS = {
    "own: unknown field": (own(other=1), "field"),
    "own: no steps": (own(steps=None), "field"),
    "own: missing picture": (own(question=[{"image": "gone.png"}, {"text": "How?"}]), "missing file"),
    "own: author": (own(steps=[{"text": "x", "author": "me"}]), "field"),
    "own: mode": (own(mode="fast"), "field"),
    "own: request without map": (own(steps=[{"text": turn("depth")}, {"text": last("3")}]), "request without map"),
    "own: another map than was asked for": (
        own(steps=[{"text": turn("depth")}, {"map": "segmentation", "image": "2.png"}, {"text": last("3")}]),
        "map without request",
    ),
    "own: reflection with loss": (
        own(steps=[{"text": turn("depth")}, {"map": "depth", "image": "2.png"}, {"text": "Check."}, {"text": last("3")}]),
        "prompt with loss",
    ),
    "own: nothing learned": (own(steps=[{"text": "x", "author": "prompt"}]), "row without loss"),
    "own: no answer": (own(steps=[{"text": "<think>x</think>"}]), "no answer"),
    "own: no words asked": (own(question=[{"image": "1.png"}, {"text": " "}]), "empty words"),
    "own: no words learned": (own(steps=[{"text": " "}, {"text": last("3")}]), "empty words"),
    "llava: marks": (
        {"image": ["1.png"], "conversations": [{"from": "human", "value": "a"}, {"from": "gpt", "value": "b"}]},
        "field",
    ),
    "llava: speaker": ({"conversations": [{"from": "bot", "value": "a"}]}, "field"),
    "llava: nothing learned": ({"conversations": [{"from": "human", "value": "a"}]}, "row without loss"),
    "llava: missing": (
        {"image": "gone.png", "conversations": [{"from": "human", "value": "<image>a"}, {"from": "gpt", "value": "b"}]},
        "missing file",
    ),
    "messages: role": ({"messages": [{"role": "bot", "content": "a"}]}, "field"),
    "messages: url": (
        {"messages": [{"role": "user", "content": [{"type": "image_url", "image_url": {"url": "https://x"}}]}]},
        "field",
    ),
    "messages: no reply": ({"messages": [{"role": "user", "content": "a"}]}, "row without loss"),
}
FIRST = {
    "own": own(id="a", question=[{"image": "0.png"}, {"text": "How many?"}]),
    "llava": {"image": "0.png", "conversations": [{"from": "human", "value": "<image>a"}, {"from": "gpt", "value": "b"}]},
    "messages": {"messages": [{"role": "user", "content": "2 + 2?"}, {"role": "assistant", "content": "4"}]},
}


@pytest.mark.parametrize("name", FORMS)
def test_a_fault_of_another_form_is_found(run, tmp_path, name):
    files(tmp_path)
    row, kind = FORMS[name]
    path = write_rows(tmp_path / "rows.jsonl", [FIRST[name.partition(":")[0]], row])
    ran = run("data", "check", path)
    assert all_found(ran) == {(2, kind)}, ran.out


def test_each_picture_that_is_gone_is_named(run, tmp_path):
    files(tmp_path)
    asked = [{"image": "gone.png"}, {"image": "lost.png"}, {"text": "How many?"}]
    ran = run("data", "check", write_rows(tmp_path / "rows.jsonl", [own(question=asked)]))
    assert "gone.png: No such file" in ran.out and "lost.png: No such file" in ran.out and "2 errors" in ran.out, ran.out


UNKNOWN = {
    "UTF-16": ('{"steps": 1}\n'.encode("utf-16"), "line 1: not UTF-8 text: .* save it as UTF-8"),
    "zeros": (b"\0" * 99, r"line 1: not JSON \(Expecting value at character 1\)"),
    "a list": (b'[{"steps": 1}]', "line 1: not a JSON object"),
    "old line ends": (b'{"steps": 1}\r{"steps": 2}\r', r"line 1: not JSON \(Extra data at character 14\)"),
    "other fields": (b'{"a": 1}\n\n{"b": 2}\n{"a"', r"fields: a, b\); say its --kind"),
}


@pytest.mark.parametrize("name", UNKNOWN)
def test_a_file_of_unknown_kind_says_why(run, tmp_path, name):
    content, said = UNKNOWN[name]
    (tmp_path / "rows.jsonl").write_bytes(content)
    ran = run("data", "check", tmp_path / "rows.jsonl")
    assert ran.code == 1 and re.search(said, ran.out) and "unknown, 0 rows" not in ran.out, ran.out
    assert name != "other fields" or ("unknown, 3 rows" in ran.out and "line 4: not JSON" in ran.out)


def test_a_folder_with_the_name_of_a_file_is_passed_over(run, tmp_path):
    interleaved_file(tmp_path / "rows.jsonl", 1)
    (tmp_path / "more.txt").mkdir()
    assert run("data", "check", tmp_path).code == 0


def test_a_folder_that_cannot_be_opened_is_named(run, tmp_path, monkeypatch):
    """The system refuses it here, because tests may run as a user who may open everything."""
    interleaved_file(tmp_path / "a" / "rows.jsonl", 1)
    (tmp_path / "b").mkdir()
    listing, listed = os.scandir, Path.iterdir

    def refused(path="."):
        if str(path) == str(tmp_path / "b"):
            raise PermissionError(13, "Permission denied", str(path))
        return listing(path)

    monkeypatch.setattr(os, "scandir", refused)
    monkeypatch.setattr(Path, "iterdir", lambda path: listed(path) if path.name != "b" else refused(path))
    ran = run("data", "check", tmp_path)
    assert ran.code == 1 and f"{tmp_path / 'b'}: cannot be opened: Permission denied" in ran.out, ran.out
    assert "1 error in 1 row" in ran.out


def test_plain_words_between_thoughts_are_no_fault(run, tmp_path):
    files(tmp_path)
    steps = [{"text": turn("depth")}, {"map": "depth", "image": "2.png"}, {"text": "Check.", "author": "prompt"}]
    row = own(steps=[*steps, {"text": "Let me count."}, {"text": "So?", "author": "prompt"}, {"text": last("3")}])
    assert run("data", "check", write_rows(tmp_path / "rows.jsonl", [row])).code == 0


@pytest.mark.parametrize("name", FIRST)
def test_good_rows_of_other_forms_have_no_faults(run, tmp_path, name):
    files(tmp_path)
    assert run("data", "check", write_rows(tmp_path / "rows.jsonl", [FIRST[name]])).code == 0


def test_pictures_in_a_folder_beside_the_file_are_found(run, tmp_path):
    (tmp_path / "images").mkdir()
    files(tmp_path / "images")
    assert run("data", "check", write_rows(tmp_path / "rows.jsonl", [FIRST["llava"]])).code == 0


# -------------------- questions

ASKED = {
    "missing picture": ({"image": "gone.png"}, "missing file"),
    "unknown flag": ({"flag": "postive"}, "unknown flag"),
    "flag a number": ({"flag": 1}, "unknown flag"),
    "letter not offered": ({"question": QUESTIONS[0][0], "answer": "E"}, "answer not offered"),
    "text not offered": ({"question": QUESTIONS[0][0], "answer": "behind"}, "answer not offered"),
    "number not offered": ({"question": QUESTIONS[0][0], "answer": "3"}, "answer not offered"),
    "same id": ({"data_id": "q0"}, "same id"),
    "no id": ({"data_id": None}, "field"),
    "no question": ({"question": None}, "field"),
    "empty question": ({"question": " "}, "field"),
    "answer a number": ({"answer": 3}, "field"),
    "no answer": ({"answer": None}, "field"),
    "no picture": ({"image": None}, "field"),
    "picture a list": ({"image": ["0.png"]}, "field"),
    "asked twice": ({"question": QUESTIONS[0][0], "answer": "A", "image": "0.png"}, "row twice"),
    "path of a folder": ({"image": "."}, "missing file"),
}


@pytest.mark.parametrize("name", ASKED)
def test_a_fault_of_a_question_is_found(run, tmp_path, name):
    path = published_questions(tmp_path, 3)
    changes, kind = ASKED[name]
    rows = [json.loads(line) for line in path.read_text().splitlines()]
    rows[1] = {field: value for field, value in {**rows[1], **changes}.items() if value is not None}
    ran = run("data", "check", write_rows(path, rows))
    assert all_found(ran) == {(2, kind)}, ran.out


def test_the_name_of_a_folder_is_no_fault(run, tmp_path):
    path = published_questions(tmp_path / "no-parquet-file" / "truncated", 3)
    (path.parent / "images" / "1.png").unlink()
    assert all_found(run("data", "check", path)) == {(2, "missing file")}


def test_torn_pictures_of_questions_are_found(run, tmp_path):
    path = published_questions(tmp_path, 3)
    content = (tmp_path / "images" / "1.png").read_bytes()
    (tmp_path / "images" / "1.png").write_bytes(content[:-30])
    assert all_found(run("data", "check", path)) == {(2, "torn picture")}


OWN = {"id": "a", "image": "0.png", "question": "Which?", "type": "MCQ", "answer": "left", "choices": ["left", "right"]}


@pytest.mark.parametrize(
    ("changes", "kind"),
    [
        ({"answer": "up"}, "answer not offered"),
        ({"type": "Choice"}, "field"),
        ({"choices": ["left"]}, "field"),
        ({"id": "b"}, "same id"),
        ({"image": "gone.png"}, "missing file"),
        ({"type": "Number", "answer": "far", "choices": []}, "field"),
    ],
)
def test_a_fault_of_a_question_of_your_own_is_found(run, tmp_path, changes, kind):
    files(tmp_path)
    path = write_rows(tmp_path / "questions.jsonl", [{**OWN, "id": "b"}, {**OWN, "image": "1.png", **changes}])
    ran = run("data", "check", path)
    assert all_found(ran) == {(2, kind)}, ran.out


# -------------------- the command


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["gone"], "gone: not found"),
        (["empty"], "holds no data that training reads"),
        (["rows.md"], "holds no data that training reads"),
        (["rows.jsonl", "--kind", "rows"], "unknown kind of data 'rows'"),
        (["rows.jsonl", "--longest", "0"], "longest is 0; it must be at least 1"),
        (["rows.jsonl", "--model", "empty"], "empty"),
        (["rows.jsonl", "--out", "rows.jsonl"], "is a file"),
    ],
)
def test_what_cannot_be_checked_is_one_sentence(run, tmp_path, monkeypatch, arguments, said):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "empty").mkdir()
    (tmp_path / "rows.md").write_text("{}")
    interleaved_file(tmp_path / "rows.jsonl", 1)
    ran = run("data", "check", *arguments)
    assert ran.code == 1 and said in " ".join(ran.err.split()) and "Traceback" not in ran.err, ran.err


def test_a_picture_behind_the_question_is_no_map(run, tmp_path):
    """As long as none stands before it."""
    first, question, *rest = interleaved_row(1, ("depth",))["interleaved_reason"]
    path = write_rows(tmp_path / "rows.jsonl", [{"interleaved_reason": [question, first, *rest]}])
    assert run("data", "check", path).code == 0


def test_an_interruption_is_told(run, tmp_path, monkeypatch):
    path = interleaved_file(tmp_path / "rows.jsonl", 3)

    def stopped(check, place, start):
        raise KeyboardInterrupt

    monkeypatch.setattr(RowCheck, "__call__", stopped)  # in place of Ctrl-C, which no test can time
    ran = run("data", "check", path, "--out", tmp_path / "out")
    assert ran.code == 130 and "interrupted: the check is not whole, and nothing was written" in " ".join(ran.err.split())
    assert not (tmp_path / "out").exists()
