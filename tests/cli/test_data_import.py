"""`cooper data import`: rows of other layouts become traces that stage 2 reads, pixel by pixel, and a broken import goes on."""

import io
import json
import os
import signal
import subprocess
import sys
import time

import numpy as np
import pytest
from PIL import Image

from cooper.data.sources.imports import importing
from cooper.data.sources.reasoning.row import ShownMap
from cooper.data.sources.reasoning.trace_file import TraceReading
from cooper.files.rows import read_lines
from cooper.training.data import DataSource
from cooper.training.traces import UNKNOWN, trace_file
from tests.reasoning_files import coded, last, picture, write_rows


def content(number, kind="PNG"):
    buffer = io.BytesIO()
    picture(number).save(buffer, kind)
    return buffer.getvalue()


def parquet(path, **columns):
    arrow, tables = pytest.importorskip("pyarrow"), pytest.importorskip("pyarrow.parquet")
    path.parent.mkdir(parents=True, exist_ok=True)
    tables.write_table(arrow.table(columns), path, row_group_size=2)
    return path


def rows_of(out):
    """The rows as stage 2 reads them: the question and the steps, pictures decoded."""
    reading = TraceReading(kind="traces", folder=out)

    def said(part):
        return part if isinstance(part, str) else np.asarray(part.open()).tolist()

    found = []
    for line in read_lines(out / "traces.jsonl"):
        row = reading.row(line)
        steps = [
            (said(step.picture), step.drawn and said(step.drawn)) if isinstance(step, ShownMap) else (step.author, step.text)
            for step in row.steps
        ]
        found.append(([said(part) for part in row.question], steps, row.mode))
    return found


def pixels(number):
    return np.asarray(picture(number)).tolist()


def drawn(number):
    return pixels(number), pixels(number)


def test_pictures_with_captions_are_drawn_from_each_caption(run, tmp_path):
    captions = [json.dumps({"0": f"boxes {number}", "long": " a room "}) for number in range(3)]
    parquet(tmp_path / "in" / "0.parquet", image=[content(number) for number in range(3)], captions=captions)
    ran = run("data", "import", "bagel-t2i", tmp_path / "in", tmp_path / "out")
    assert ran.code == 0 and "6 traces from 3 of 3 rows" in ran.out, ran.err
    wanted = [([said], [drawn(number)], "interleaved") for number in range(3) for said in (f"boxes {number}", "a room")]
    assert rows_of(tmp_path / "out") == wanted
    assert len(list((tmp_path / "out" / "images").rglob("*.png"))) == 3


def test_edits_become_a_chain_for_each_wording(run, tmp_path):
    path = parquet(
        tmp_path / "0.parquet",
        image_list=[[content(1), content(2), content(3, "JPEG")]],
        instruction_list=[[["darker", "less light"], ["a box"]]],
    )
    assert run("data", "import", "bagel-editing", path, tmp_path / "out").code == 0
    third = np.asarray(Image.open(io.BytesIO(content(3, "JPEG")))).tolist()
    assert rows_of(tmp_path / "out") == [
        ([pixels(1), said], [drawn(2), ("prompt", "a box"), (third, third)], "interleaved") for said in ("darker", "less light")
    ]


def test_words_and_drawn_pictures_of_thinkmorph_alternate(run, tmp_path):
    parquet(
        tmp_path / "in" / "0.parquet",
        image_list=[[content(0), content(1)], [content(2), content(3), content(4)]],
        instruction_list=[["Which?"], ["Which of both?"]],
        output_text_list=[
            ["<think>a</think><image_start>", "<image_end><answer>B</answer>"],
            ["<image_start>", "<image_end>So."],
        ],
    )
    (tmp_path / "in" / "parquet_info.json").write_text("{}")
    assert run("data", "import", "thinkmorph", tmp_path / "in", tmp_path / "out").code == 0
    assert rows_of(tmp_path / "out") == [
        ([pixels(0), "Which?"], [("model", "<think>a</think>"), drawn(1), ("model", "<answer>B</answer>")], "interleaved"),
        ([pixels(2), pixels(3), "Which of both?"], [drawn(4), ("model", "So.")], "interleaved"),
    ]


def conversation(*values):
    return [{"from": ("human", "gpt")[place % 2], "value": value} for place, value in enumerate(values)]


def test_conversations_keep_their_turns(run, tmp_path):
    for number in range(2):
        (tmp_path / "in" / "images").mkdir(parents=True, exist_ok=True)
        picture(number).save(tmp_path / "in" / "images" / f"{number}.png")
    rows = [
        {"id": 7, "image": ["0.png", "1.png"], "conversations": conversation("<image>\n<image>\nWhich?", "B", "And now?", "A")},
        {"conversations": conversation("2 + 2?", "4")},
    ]
    write_rows(tmp_path / "in" / "llava.jsonl", rows)
    assert run("data", "import", "bagel-vlm", tmp_path / "in", tmp_path / "out").code == 0
    turns = [("model", "B"), ("prompt", "And now?"), ("model", "A")]
    wanted = [([pixels(0), pixels(1), "Which?"], turns, "direct"), (["2 + 2?"], [("model", "4")], "direct")]
    assert rows_of(tmp_path / "out") == wanted


MESSAGES = [
    {"role": "system", "content": "Be brief."},
    {"role": "user", "content": [{"type": "image_url", "image_url": {"url": "data:image/png;base64," + coded(picture(5))}},
                                 {"type": "text", "text": "Which?"}]},
    {"role": "assistant", "content": "B"},
]  # fmt: skip


@pytest.mark.parametrize("form", ["jsonl", "json", "parquet"])
def test_messages_are_imported_with_their_system_text(run, tmp_path, form):
    text = json.dumps({"messages": MESSAGES})
    if form == "parquet":  # in which a field has one type: words are a list of parts, too
        words = [
            [{"type": "text", "text": each["content"]}] if isinstance(each["content"], str) else each["content"]
            for each in MESSAGES
        ]
        rows = [{"role": each["role"], "content": content} for each, content in zip(MESSAGES, words, strict=True)]
        parquet(tmp_path / "rows.parquet", messages=[rows])
    else:
        (tmp_path / f"rows.{form}").write_text(text + "\n" if form == "jsonl" else f"[{text}]")
    assert run("data", "import", "messages", tmp_path / f"rows.{form}", tmp_path / "out").code == 0
    assert rows_of(tmp_path / "out") == [([pixels(5), "Which?"], [("model", "B")], "direct")]
    assert json.loads((tmp_path / "out" / "traces.jsonl").read_text())["system"] == "Be brief."


def test_a_restored_picture_of_clear_is_drawn_and_read(run, tmp_path):
    for folder, seed in (("bad", 0), ("good", 1)):
        (tmp_path / folder).mkdir()
        picture(seed).save(tmp_path / folder / "a.png")
    said = "<think>Blurred.</think><image_restore><think>Clear.</think><answer>B</answer>"
    rows = [
        {"image": "a.png", "conversations": conversation("<image>Which?", said)},
        {"image": "a.png", "conversations": conversation("<image>Which?", last("B"))},
    ]
    path = write_rows(tmp_path / "clear.jsonl", rows)
    folders = ("--images", tmp_path / "bad", "--clean", tmp_path / "good")
    assert run("data", "import", "clear", path, tmp_path / "out", *folders).code == 0
    before, behind = ("model", "<think>Blurred.</think><image_restore>"), ("model", "<think>Clear.</think><answer>B</answer>")
    assert rows_of(tmp_path / "out") == [
        ([pixels(0), "Which?"], [before, drawn(1), behind], "interleaved"),
        ([pixels(0), "Which?"], [("model", last("B"))], "interleaved"),
    ]


def test_what_is_imported_can_be_checked_and_trained_on(run, tmp_path):
    parquet(tmp_path / "0.parquet", image=[content(0)], captions=['{"0": "a room"}'])
    assert run("data", "import", "bagel-t2i", tmp_path / "0.parquet", tmp_path / "out").code == 0
    assert run("data", "check", tmp_path / "out").code == 0
    assert len(trace_file(DataSource(kind="traces", path=tmp_path / "out" / "traces.jsonl"), UNKNOWN, 0, 100)) == 1


# -------------------- faults

GOOD = {"image": content(0), "captions": '{"0": "a room"}'}
EDIT = {"image_list": [content(0), content(1)], "instruction_list": [["darker"]]}
MORPH = {"image_list": [content(0), content(1)], "instruction_list": ["Which?"], "output_text_list": ["a<image_start>", "b"]}
FAULTS = {
    "t2i torn": ("bagel-t2i", GOOD, {"image": content(0)[:-40]}, "truncated or damaged picture"),
    "t2i no picture": ("bagel-t2i", GOOD, {"image": None}, "holds no bytes of a picture, but nothing"),
    "t2i captions": ("bagel-t2i", GOOD, {"captions": "a room"}, "'captions': not JSON"),
    "t2i no caption": ("bagel-t2i", GOOD, {"captions": "{}"}, "'captions' holds no object of texts"),
    "t2i empty caption": ("bagel-t2i", GOOD, {"captions": '{"0": " "}'}, "all captions are empty"),
    "editing steps": ("bagel-editing", EDIT, {"instruction_list": []}, "must have one step fewer"),
    "editing texts": ("bagel-editing", EDIT, {"instruction_list": [[]]}, "must be a list of texts"),
    "editing torn": ("bagel-editing", EDIT, {"image_list": [content(0), b"x"]}, "not a picture that can be read"),
    "thinkmorph pictures": ("thinkmorph", MORPH, {"image_list": [content(0)]}, "1 texts end in <image_start>"),
    "thinkmorph question": ("thinkmorph", MORPH, {"instruction_list": None}, "'instruction_list': must be a list of texts"),
}


@pytest.mark.parametrize("name", FAULTS)
def test_a_row_that_cannot_be_read_is_named_and_the_others_are_kept(run, tmp_path, name):
    kind, good, changes, said = FAULTS[name]
    rows = [good, {**good, **changes}, good]
    path = parquet(tmp_path / "0.parquet", **{field: [row[field] for row in rows] for field in good})
    ran = run("data", "import", kind, path, tmp_path / "out")
    faults = [json.loads(line)["fault"] for line in (tmp_path / "out" / "faults.jsonl").read_text().splitlines()]
    assert ran.code == 1 and f"{path}, row 2" in faults[0] and said in faults[0] and len(faults) == 1, faults
    assert len(rows_of(tmp_path / "out")) == 2 and "2 of 3 rows" in ran.out and "the first:" in ran.err


LINES = {
    "torn": '{"messages": [',
    "role": json.dumps({"messages": [{"role": "me", "content": "x"}]}),
    "no reply": json.dumps({"messages": MESSAGES[:2]}),
    "no question": json.dumps({"messages": MESSAGES[2:]}),
    "late picture": json.dumps({"messages": [*MESSAGES, MESSAGES[1], MESSAGES[2]]}),
    "no object": "5",
}


@pytest.mark.parametrize("name", LINES)
def test_a_line_that_cannot_be_read_is_named(run, tmp_path, name):
    path = tmp_path / "rows.jsonl"
    path.write_text("\n".join([json.dumps({"messages": MESSAGES}), LINES[name], json.dumps({"messages": MESSAGES})]))
    ran = run("data", "import", "messages", path, tmp_path / "out")
    assert ran.code == 1 and f"{path}, line 2" in ran.err and len(rows_of(tmp_path / "out")) == 2, ran.err


def test_a_clean_picture_that_is_missing_is_named(run, tmp_path):
    picture(0).save(tmp_path / "a.png")
    path = write_rows(
        tmp_path / "clear.jsonl", [{"image": "a.png", "conversations": conversation("Which?", "a<image_restore>b")}]
    )
    ran = run("data", "import", "clear", path, tmp_path / "out")
    assert ran.code == 1 and "clear.jsonl, line 1" in ran.err and "clean" in ran.err


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["bagel", "rows.jsonl", "out"], "unknown kind 'bagel'"),
        (["messages", "gone", "out"], "gone: not found"),
        (["messages", "empty", "out"], "holds no files of rows"),
        (["messages", "rows.txt", "out"], "is no file of rows"),
        (["messages", "none.jsonl", "out"], "none.jsonl holds no row"),
        (["bagel-t2i", "torn.parquet", "out"], "truncated or no parquet file"),
        (["messages", "rows.jsonl", "rows.jsonl"], "is a file"),
        (["messages", "rows.jsonl", "out", "--clean", "empty"], "clean pictures are those of clear"),
        (["messages", "rows.jsonl", "out", "--workers", "0"], "workers is 0"),
    ],
)
def test_what_cannot_be_imported_is_one_sentence(run, tmp_path, monkeypatch, arguments, said):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "empty").mkdir()
    (tmp_path / "rows.txt").write_text("x")
    (tmp_path / "none.jsonl").write_text("\n")
    (tmp_path / "torn.parquet").write_bytes(b"PAR1 and no more")
    write_rows(tmp_path / "rows.jsonl", [{"messages": MESSAGES}])
    ran = run("data", "import", *arguments)
    assert ran.code == 1 and said in " ".join(ran.err.split()) and "Traceback" not in ran.err, ran.err
    assert not (tmp_path / "out").exists()


def test_without_pyarrow_one_sentence_says_how_to_get_it(run, tmp_path, monkeypatch):
    monkeypatch.setitem(sys.modules, "pyarrow", None)  # as where it is not installed
    (tmp_path / "0.parquet").write_bytes(b"PAR1")
    ran = run("data", "import", "thinkmorph", tmp_path / "0.parquet", tmp_path / "out")
    assert ran.code == 1 and "parquet files need pyarrow: pip install pyarrow" in ran.err


# -------------------- going on


def many(tmp_path, count=7):
    return parquet(
        tmp_path / "in" / "0.parquet", image=[content(number) for number in range(count)], captions=[GOOD["captions"]] * count
    )


def test_a_stopped_import_goes_on_where_it_was(run, tmp_path, monkeypatch):
    """Also where rows were written behind the last state."""
    many(tmp_path)
    parquet(tmp_path / "in" / "1.parquet", image=[content(9), b"x"], captions=[GOOD["captions"]] * 2)
    run("data", "import", "bagel-t2i", tmp_path / "in", tmp_path / "whole")
    monkeypatch.setattr(importing, "PIECE", 2)
    written, pieces = importing._written, []

    def stopped(settings, state, piece):
        state = written(settings, state, piece)
        pieces.append(piece[0][0])
        if len(pieces) in (1, 3, 5):
            raise KeyboardInterrupt
        return state

    monkeypatch.setattr(importing, "_written", stopped)
    for _ in range(3):
        ran = run("data", "import", "bagel-t2i", tmp_path / "in", tmp_path / "out")
        assert ran.code == 130 and "the same command goes on from there" in " ".join(ran.err.split())
    ran = run("data", "import", "bagel-t2i", tmp_path / "in", tmp_path / "out")
    assert ran.code == 1 and "8 traces from 8 of 9 rows" in ran.out and pieces == [0, 0, 2, 2, 4, 4, 6, 8]
    for name in ("traces.jsonl", "faults.jsonl"):
        assert (tmp_path / "out" / name).read_bytes() == (tmp_path / "whole" / name).read_bytes()


def test_a_finished_import_makes_nothing_twice(run, tmp_path):
    many(tmp_path)
    first = run("data", "import", "bagel-t2i", tmp_path / "in", tmp_path / "out")
    content_before = (tmp_path / "out" / "traces.jsonl").read_bytes()
    again = run("data", "import", "bagel-t2i", tmp_path / "in", tmp_path / "out")
    assert (again.code, again.out) == (first.code, first.out)
    assert (tmp_path / "out" / "traces.jsonl").read_bytes() == content_before


def test_another_import_in_the_same_folder_is_refused(run, tmp_path):
    many(tmp_path)
    run("data", "import", "bagel-t2i", tmp_path / "in", tmp_path / "out")
    ran = run("data", "import", "thinkmorph", tmp_path / "in", tmp_path / "out")
    assert ran.code == 1 and "holds an import of bagel-t2i" in ran.err
    (tmp_path / "out" / "traces.jsonl").write_text("")
    ran = run("data", "import", "bagel-t2i", tmp_path / "in", tmp_path / "out")
    assert ran.code == 1 and "is shorter than the import left it" in ran.err


@pytest.mark.slow
def test_a_killed_import_loses_nothing(run, tmp_path):
    many(tmp_path, 2000)
    command = [sys.executable, "-m", "cooper", "data", "import", "bagel-t2i", str(tmp_path / "in"), str(tmp_path / "out")]
    process = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    while not (tmp_path / "out" / "import.json").is_file() and process.poll() is None:
        time.sleep(0.01)
    os.kill(process.pid, signal.SIGKILL)
    process.wait()
    assert run("data", "import", "bagel-t2i", tmp_path / "in", tmp_path / "out").code == 0
    names = [json.loads(line)["id"] for line in (tmp_path / "out" / "traces.jsonl").read_text().splitlines()]
    assert names == [str(number) for number in range(2000)]
