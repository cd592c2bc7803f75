"""`cooper data curate`: a teacher behind a real endpoint, which is a scripted server here, since no model that sees pictures is
at hand; the model that draws is nano."""

import json
from collections import Counter
from pathlib import Path

import pytest
from PIL import Image, ImageOps

from cooper.curation.teaching.curate import order_of
from cooper.data.sources.reasoning.own import own_row
from cooper.files.rows import read_lines, read_rows
from cooper.training.rl.tasks import FileTasks
from tests.judge_server import Play, completion, serving
from tests.reasoning_files import published_questions

ROOM = Path(__file__).parents[2] / "src" / "cooper" / "assets" / "demo" / "room.png"
DEPTH = "<depth-estimation></depth-estimation>"
ASKED = [  # id, kind, how the teacher behaves: see `teach`
    ("looks", "near", "with the map"),
    ("sees", "there", "right"),
    ("errs", "near", "wrong"),
    ("rambles", "there", "formless"),
    ("guesses", "near", "whatever the map"),
    ("asks", "there", "for ever"),
]


@pytest.fixture
def table(tmp_path) -> Path:
    """Questions about a room and its mirror image; the text of each says how the teacher will behave."""
    folder = tmp_path / "asked"
    folder.mkdir()
    room = Image.open(ROOM).convert("RGB")
    room.save(folder / "0.png")
    ImageOps.mirror(room).save(folder / "1.png")
    rows = [
        {"id": name, "image": f"{number % 2}.png", "question": f"{how}?", "type": "YN", "answer": "yes", "category": kind}
        for number, (name, kind, how) in enumerate(ASKED)
    ]
    (folder / "questions.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows))
    return folder / "questions.jsonl"


@pytest.fixture
def server(monkeypatch):
    with serving(monkeypatch) as told:
        told.script = lambda call, prompt: Play(completion(teach(told, call)))
        yield told


def teach(server, call: int) -> str:
    """What the teacher says to the messages of a call: it behaves as the question says."""
    messages = server.requests[call]["messages"]
    pictures = [part["image_url"]["url"] for message in messages[1:] for part in parts(message) if part["type"] == "image_url"]
    how, seen = messages[1]["content"][1]["text"].rstrip("?"), pictures[1:]
    if how == "formless":
        return "I think that it is so."
    if how == "for ever" or (how in ("with the map", "whatever the map") and not seen):
        return f"<think>It is close.</think>{DEPTH}"
    first = [s for s in server.shown if s == seen[0]] if seen else []
    if seen and not server.shown:
        server.shown.append(seen[0])  # the first map of this question is its own; another is that of another picture
        first = seen
    return (
        f"<think>So it is.</think><answer>{'no' if how == 'wrong' or (how == 'with the map' and not first) else 'yes'}</answer>"
    )


def parts(message) -> list[dict]:
    return message["content"] if isinstance(message["content"], list) else []


def curate(run, table, out, server, *more):
    words = ["data", "curate", "--data", table, "--out", out, "--teacher", server.url, "--teacher-model", "big", "--batch", 1]
    return ended(run(*words, *more))


def ended(ran) -> tuple[int, str, str]:
    """Exit code, what was printed, and what was said on standard error."""
    return ran.code, ran.out, ran.err


def test_what_is_right_and_uses_its_maps_is_kept(run, table, tmp_path, server):
    server.shown = []
    out = tmp_path / "out"
    code, said, told = curate(run, table, out, server, "--price-in", 2, "--price-out", 8)
    assert code == 0, told
    assert "6 questions: about 18 requests" in told and "at the given prices" in told
    assert "2 examples; left out: 1 broken form, 1 map never used, 1 no answer, 1 wrong answer" in said
    kept = {row["id"]: row["trace"] for row in read_rows(out / "examples.jsonl")}
    assert kept.keys() == {"looks", "sees"} and len(kept["sees"]["steps"]) == 1
    ask, shown, after, answer = kept["looks"]["steps"]
    assert ask == {"text": "<think>It is close.</think><depth-estimation>Draw the depth map.</depth-estimation>"}
    assert shown["map"] == "depth" and "drawn" not in shown and Image.open(out / shown["image"]).size == (128, 128)
    assert after["author"] == "prompt" and answer == {"text": "<think>So it is.</think><answer>yes</answer>"}
    rejected = {row["id"]: row for row in read_rows(out / "rejected.jsonl")}
    assert "not one thought and one request or answer: 'I think" in rejected["rambles"]["detail"]
    assert rejected["errs"]["detail"] == "'no' and not 'yes'" and rejected["asks"]["reason"] == "no answer"
    card = (out / "README.md").read_text()
    assert "| near | 1 | 0 | 1 | 0 | 1 |" in card and "| all | 2 |" in card and "`big` at http" in card


def test_the_result_is_read_by_training_as_it_is(run, table, tmp_path, server):
    server.shown = []
    out = tmp_path / "out"
    assert curate(run, table, out, server)[0] == 0
    rows = [own_row(line, out) for line in read_lines(out / "traces.jsonl")]
    assert [row.mode for row in rows] == ["interleaved", "interleaved"]
    tasks = FileTasks(out / "questions.jsonl")
    assert tasks.ids() == ["looks", "sees"] and tasks.item(0).truth == "yes" and tasks.kinds() == ["near", "there"]
    code, said, told = ended(run("data", "check", out / "traces.jsonl"))
    assert code == 0, said + told


def test_questions_in_the_published_form_are_taken(run, tmp_path, server):
    server.script = lambda call, prompt: Play(completion("<think>I see it.</think><answer>A</answer>"))
    code, said, told = curate(run, published_questions(tmp_path / "published"), tmp_path / "out", server)
    assert code == 0, told
    kept, left = (read_rows(tmp_path / "out" / f"{name}.jsonl") for name in ("examples", "rejected"))
    assert {row["id"] for row in (*kept, *left)} == {f"q{number}" for number in range(6)} and len(server.requests) == 6
    assert {row["reason"] for row in left} <= {"wrong answer"} and f"{len(kept)} examples" in said


def test_a_run_goes_on_and_nothing_is_asked_twice(run, table, tmp_path, server):
    server.shown = []
    out = tmp_path / "out"
    assert curate(run, table, out, server, "--limit", 2)[0] == 0
    before = len(server.requests)
    assert curate(run, table, out, server)[0] == 0
    asked = len(server.requests)
    assert curate(run, table, out, server)[0] == 0 and len(server.requests) == asked > before
    (out / "rejected.jsonl").unlink()  # lost, so these are put again; every reply is kept
    assert curate(run, table, out, server)[0] == 0 and len(server.requests) == asked
    assert Counter(row["id"] for name in ("examples", "rejected") for row in read_rows(out / f"{name}.jsonl")) == {
        name: 1 for name, *_ in ASKED
    }
    code, _, told = curate(run, table, out, server, "--mode", "text")
    assert code == 1 and "holds a run with" in told


def test_a_teacher_that_is_silent_is_told_and_asked_again(run, table, tmp_path, server, monkeypatch):
    monkeypatch.setattr("cooper.curation.teaching.command.RETRIES", 0)
    server.shown, well = [], server.script
    server.script = lambda call, prompt: Play("", 500)
    code, _, told = curate(run, table, tmp_path / "out", server)
    assert code == 1 and "6 questions got no reply" in told and "the same command puts them again" in told
    server.script = well
    assert curate(run, table, tmp_path / "out", server)[0] == 0


def test_an_estimate_asks_nothing_and_makes_nothing(run, table, tmp_path, server):
    code, said, _ = curate(run, table, tmp_path / "out", server, "--estimate", "--limit", 4)
    assert code == 0 and said.startswith("4 questions: about 12 requests") and not server.requests
    assert not (tmp_path / "out").exists()


@pytest.mark.parametrize(
    ("more", "said"),
    [
        (["--teacher", "http://x/v1"], "needs --teacher-model NAME"),
        (["--teacher", "scenes"], "--teacher scenes knows rendered scenes only"),
        (["--teacher", "x", "--teacher-model", "m"], "teacher: url must be an http or https address"),
        (["--teacher", "http://x/v1", "--teacher-model", "m", "--tries", 0], "tries must be at least 1"),
        (["--teacher", "http://x/v1", "--teacher-model", "m", "--mode", "direct"], "a teacher writes interleaved or text"),
        (["--teacher", "http://x/v1", "--teacher-model", "m", "--maps", "normals"], "normals"),
        (["--teacher", "http://x/v1", "--teacher-model", "m", "--maps", ","], "no map is named"),
        (
            ["--teacher", "http://x/v1", "--teacher-model", "m", "--given-maps", "true"],
            "true maps are known of rendered scenes",
        ),
    ],
)
def test_options_that_do_not_fit_are_one_sentence(run, table, tmp_path, more, said):
    code, _, told = ended(run("data", "curate", "--data", table, "--out", tmp_path / "out", *more))
    assert code == 1 and said in told and "Traceback" not in told


def test_kinds_take_turns():
    assert order_of(["a", "a", "b", "a", "b"]) == [0, 2, 1, 4, 3]


def test_scenes_teach_without_a_network(run, tmp_path):
    pytest.importorskip("mitsuba")
    scenes, out = tmp_path / "scenes", tmp_path / "out"
    assert run("scenes", "render", "--count", 2, "--out", scenes).code == 0
    words = ["data", "curate", "--data", scenes, "--out", out, "--teacher", "scenes", "--per-scene", 8, "--per-kind", 1]
    code, said, told = ended(run(*words, "--given-maps", "true"))
    assert code == 0, told
    rows = read_rows(out / "examples.jsonl")
    assert max(Counter(row["kind"] for row in rows).values()) == 1 and f"{len(rows)} examples" in said
    maps = [step for row in rows for step in row["trace"]["steps"] if "map" in step]
    assert maps and all((out / step["image"]).is_file() and (out / step["drawn"]).is_file() for step in maps)
    assert run("data", "check", out / "traces.jsonl").code == 0
    asked = FileTasks(out / "questions.jsonl")
    assert asked.ids() == [row["id"] for row in rows] and {"Number", "MCQ", "YN"} <= {item.type for item in asked.items}
