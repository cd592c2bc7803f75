"""What a judge scored is kept beside a run and counts wherever the run is read."""

import json
import re
import shutil
from collections.abc import Iterator
from dataclasses import asdict
from pathlib import Path

import pytest
from PIL import Image

from cooper.errors import CooperError
from cooper.evaluation.figures.comparison import compare_runs, rows_by_mode
from cooper.evaluation.figures.study import read_model, study
from cooper.evaluation.judge.cache import StoredReply
from cooper.evaluation.judge.judge import Judge
from cooper.evaluation.judge.prompts import PROMPT_VERSION, grade_prompt
from cooper.evaluation.suites.published import PublishedSuite
from cooper.files.rows import append_rows, read_rows
from tests.evaluation.suites.test_published import Says, mmvp  # noqa: F401 - a fixture
from tests.judge_server import Play, Server, completion, serving, settings_of


@pytest.fixture
def server(monkeypatch) -> Iterator[Server]:
    with serving(monkeypatch) as server:
        yield server


@pytest.fixture
def mm_vet(tmp_path) -> Path:
    """Six questions; those of even number ask for the capability ocr."""
    folder = tmp_path / "mm-vet"
    (folder / "images").mkdir(parents=True)
    entries = {}
    for number in range(6):
        Image.new("RGB", (8, 8), (number, 0, 0)).save(folder / "images" / f"{number}.png")
        wanted = ["math"] if number % 2 else ["ocr"]
        entry = {"imagename": f"{number}.png", "question": f"What is number {number}?", "answer": "1", "capability": wanted}
        entries[f"v1_{number}"] = entry
    (folder / "mm-vet.json").write_text(json.dumps(entries))
    return folder


def run(name: str, reply: str, out: Path, data: Path, server: Server | None, **changes):
    judge = None if server is None else settings_of(server, cache=out.parent / "judge", retries=0)
    suite = PublishedSuite(
        model="says", name=name, modes=("direct",), out=out, data=str(data), judge=judge, quiet=True, **changes
    )
    return suite.evaluate(Says(reply))


def graded(**grades: str):
    """Grades each reply by a word in it."""

    def script(call: int, prompt: str) -> Play:
        return Play(completion(next(grade for word, grade in grades.items() if word in prompt)))

    return script


def test_two_judged_runs_of_open_questions_are_compared(mm_vet, tmp_path, server):
    server.script = graded(splendid="0.9", so_so="0.4")
    report = run("mm-vet", "splendid", tmp_path / "a", mm_vet, server)
    run("mm-vet", "so_so", tmp_path / "b", mm_vet, server)
    [found] = compare_runs(str(tmp_path / "a"), str(tmp_path / "b"))
    assert found.categories["ocr"].estimate.rows == 3 and found.categories["ocr"].only_first == 3
    kept = rows_by_mode(str(tmp_path / "a"))["direct"]
    assert [(row.value, row.unscored) for row in kept] == [(0.9, False)] * 6
    assert report.modes[0].value.mean == pytest.approx(0.9)
    both = study([read_model(f"{name}={tmp_path / name}:direct") for name in "ab"])
    assert both.questions == 6 and both.gaps[0].means["general"].mean == 1.0


def test_what_is_kept_says_who_judged_and_why_not(mm_vet, tmp_path, server):
    server.script = lambda call, prompt: Play("{}", 500) if "number 1" in prompt else Play(completion("good" * 60))
    report = run("mm-vet", "splendid", tmp_path / "a", mm_vet, server)
    rows = {row["id"]: row for row in read_rows(tmp_path / "a" / "judged.jsonl")}
    assert len(rows) == 6 and {row["prompt_version"] for row in rows.values()} == {PROMPT_VERSION}
    lost, odd = rows["mm-vet-v1_1"], rows["mm-vet-v1_2"]
    assert (lost["judge"], lost["verdict"], lost["unscored"]) == ("big-judge", None, True) and "HTTP 500" in lost["error"]
    assert odd["verdict"] == "good" * 60 and "could not be read: 'goodgood" in odd["error"] and len(odd["error"]) < 150
    faults = report.settings["judge faults"]
    assert faults.startswith("1 rows without a reply, 5 with one that could not be read; the first: the judge's reply could")
    assert f"big-judge, prompts of version {PROMPT_VERSION}: 6 asked" in report.settings["judge"]
    with pytest.raises(CooperError, match="no question in common that is scored"):
        compare_runs(str(tmp_path / "a"), str(shutil.copytree(tmp_path / "a", tmp_path / "b")))


def test_choices_that_a_judge_read_count_in_a_comparison(mmvp, tmp_path, server):  # noqa: F811
    server.script = graded(unclear="A")
    ruled = run("mmvp", "unclear, the first of the two perhaps", tmp_path / "ruled", mmvp, None)
    judged = run("mmvp", "unclear, the first of the two perhaps", tmp_path / "judged", mmvp, server)
    assert ruled.modes[0].categories[0].accuracy.mean == 0 and not (tmp_path / "ruled" / "judged.jsonl").exists()
    assert judged.modes[0].categories[0].accuracy.mean == pytest.approx(6 / 8)
    [found] = compare_runs(str(tmp_path / "judged"), str(tmp_path / "ruled"))
    assert found.categories["mmvp"].estimate.mean == pytest.approx(6 / 8)
    assert (found.categories["mmvp"].only_first, found.categories["mmvp"].only_second) == (6, 0)


def test_a_comparison_counts_what_the_last_report_counted(mmvp, tmp_path, server):  # noqa: F811
    server.script = graded(unclear="A")
    run("mmvp", "unclear, the first perhaps", tmp_path / "a", mmvp, server)
    assert any(row.correct for row in rows_by_mode(str(tmp_path / "a"))["direct"])
    report = run("mmvp", "unclear, the first perhaps", tmp_path / "a", mmvp, None)
    assert report.modes[0].categories[0].accuracy.mean == 0
    assert not any(row.correct for row in rows_by_mode(str(tmp_path / "a"))["direct"])


def test_a_reply_of_no_use_is_asked_for_again(mm_vet, tmp_path, server):
    server.script = lambda call, prompt: Play(completion("no idea"))
    report = run("mm-vet", "splendid", tmp_path / "a", mm_vet, server)
    assert report.modes[0].unscored == 6
    server.script = graded(splendid="1.0")
    report = run("mm-vet", "splendid", tmp_path / "a", mm_vet, server)
    assert report.modes[0].unscored == 0 and report.modes[0].value.mean == 1.0
    assert "judge faults" not in report.settings and len(server.requests) == 12


def test_tokens_of_kept_replies_are_told(mm_vet, tmp_path, server):
    server.script = lambda call, prompt: Play("{}", 500) if call >= 2 else Play(completion("1.0"))
    run("mm-vet", "splendid", tmp_path / "a", mm_vet, server)
    server.script = graded(splendid="1.0")
    report = run("mm-vet", "splendid", tmp_path / "a", mm_vet, server)
    told = report.settings["judge"]
    assert "4 asked, 2 kept from before, 0 not reached, 28 tokens in, 8 out; with the kept ones 42 in, 12 out" in told


def test_a_reply_of_no_use_that_was_kept_once_does_not_stay(server, tmp_path):
    prompt = grade_prompt("What?", "1", "one")
    settings = settings_of(server, cache=tmp_path)
    key = Judge(settings)._cache_key(prompt)
    append_rows(tmp_path / "judge-old.jsonl", [asdict(StoredReply(key, "no idea", 1, 1))])
    server.script = lambda call, prompt: Play(completion("1.0"))
    assert Judge(settings).ask_all([prompt])[0].reply == "no idea"
    [verdict] = Judge(settings).ask_all([prompt], [lambda said: float(said) if said[0].isdigit() else None])
    assert (verdict.reply, verdict.cached) == ("1.0", False)


def test_a_file_that_is_none_of_these_is_named(mmvp, tmp_path):  # noqa: F811
    run("mmvp", "A", tmp_path / "a", mmvp, None)
    (tmp_path / "a" / "judged.jsonl").write_text('{"id": "x"}\n')
    with pytest.raises(CooperError, match=r"judged\.jsonl does not hold what a judge said"):
        compare_runs(str(tmp_path / "a"), str(tmp_path / "a"))


def test_no_file_of_a_run_holds_the_secrets_of_a_judges_address(mm_vet, tmp_path, server):
    server.script = lambda call, prompt: Play(json.dumps({"error": {"message": "user:hunter22 swordfish"}}), 500)
    place = server.url.removeprefix("http://")
    judge = settings_of(
        server, url=f"http://user:hunter22@{place}?token=swordfish", cache=tmp_path / "out" / "judge", retries=0
    )
    suite = PublishedSuite(
        model="says", name="mm-vet", modes=("direct",), out=tmp_path / "out", data=str(mm_vet), judge=judge, quiet=True
    )
    report = suite.evaluate(Says("red"))
    assert "HTTP 500" in report.settings["judge faults"]
    files = [path for path in (tmp_path / "out").rglob("*") if path.is_file()]
    assert len(files) > 5 and not [path for path in files if re.search(rb"hunter22|swordfish", path.read_bytes())]
