"""Inside an installed VLMEvalKit, with the bundled model: `make test-kits`."""

import json
import os
import ssl
import subprocess
import sys
from importlib.util import find_spec
from pathlib import Path

import pytest

if find_spec("vlmeval") is None:  # not importorskip: importing the kit turns the check of certificates off
    pytest.skip("VLMEvalKit is not installed here", allow_module_level=True)

from cooper.cli.main import main
from cooper.errors import CooperError
from cooper.evaluation.benchmarks.sibench import read_sibench
from cooper.evaluation.kits import installed_vlmeval as kit
from cooper.evaluation.kits import vlmevalkit
from cooper.evaluation.kits.answering import KitModel
from cooper.evaluation.kits.vlmeval_sibench import SIBench, read_predictions
from cooper.evaluation.kits.vlmevalkit import CooperVLM, Reply, question_of_message, register, run_vlmeval
from cooper.evaluation.replies.answers import score
from cooper.evaluation.runs.answering import answer_all
from cooper.evaluation.runs.settings import RunSettings
from cooper.reasoning.cooper import Cooper
from cooper.trace.trace import Trace


def test_certificates_are_still_checked():
    assert ssl._create_default_https_context is ssl.create_default_context


def test_choices_score_as_ours(tmp_path, choices, write_tsv, monkeypatch, capsys):
    """The command, interleaved: exit code 0, the kit's figure, the traces, and the record of each."""
    table, out = write_tsv(tmp_path / "toy.tsv", choices), tmp_path / "out"
    arguments = ["cooper", "vlmeval", "--data", str(table), "--mode", "interleaved", "--out", str(out), "--json"]
    monkeypatch.setattr(sys, "argv", arguments)
    try:
        main()
    except SystemExit as stop:
        assert not stop.code
    told = json.loads(capsys.readouterr().out.splitlines()[-1])
    assert told["rows"] == 5
    replies = read_predictions(Path(told["predictions"]))
    assert overall(told["metrics"]) == pytest.approx(ours(choices, replies))
    records = [json.loads(row["extra_records"]) for row in _rows(Path(told["predictions"]))]
    traces = [Trace.load(record["trace"]) for record in records]
    assert len(list(Path(told["traces"]).iterdir())) == 5
    assert [trace.mode for trace in traces] == ["interleaved"] * 5
    assert [trace.final for trace in traces] == list(replies.values())
    kinds = [[step["type"] for step in record["steps"]] for record in records]
    assert [each.count("map") for each in kinds] == [len(trace.maps) for trace in traces]
    assert all(name in traces[0].question.text for name in ("yellow cylinder", "blue ball"))


def _rows(path):
    import pandas as pd

    return pd.read_csv(path, sep="\t", dtype=str).to_dict("records")


def overall(metrics):
    """The kit's figure for all rows, however it calls it."""
    (value,) = (value for name, value in metrics.items() if name.endswith("Overall"))
    return value


def ours(rows, replies):
    """The share of rows that our own rules call right."""
    options = [[row[letter] for letter in "ABCD"] for row in rows]
    scored = [score(replies[str(row["index"])], "MCQ", row["answer"], each) for row, each in zip(rows, options, strict=True)]
    return sum(each.correct for each in scored) / len(rows)


def test_the_kit_asks_a_server(tmp_path, choices, write_tsv, served):
    """The kit's own command with `--base-url`: no row fails, and its figure is ours of the same replies."""
    (tmp_path / "data").mkdir()
    write_tsv(tmp_path / "data" / "toy.tsv", choices)
    own = "import cooper.evaluation.kits.torchvision_cpu, runpy, sys; sys.argv[0] = 'run.py'; "
    command = [sys.executable, "-c", own + "runpy.run_module('vlmeval.run', run_name='__main__')"]
    asked = ["--data", "toy", "--model", "nano", "--base-url", served.url, "--key", "none", "--judge", "exact_matching"]
    environment = {**os.environ, "LMUData": str(tmp_path / "data"), "PRED_FORMAT": "tsv"}
    done = subprocess.run(
        [*command, *asked, "--work-dir", str(tmp_path / "out")], env=environment, capture_output=True, text=True, check=False
    )
    assert done.returncode == 0 and "0.00% (0/5)" in done.stdout + done.stderr, done.stderr[-3000:]
    assert served.answered() == 5
    replies = {row["index"]: row["prediction"] for row in _rows(tmp_path / "out" / "nano" / "nano_toy.tsv")}
    assert set(replies.values()) <= {"yellow cylinder", "red capsule", "blue ring", "blue ball"}
    [figures] = (tmp_path / "out" / "nano").glob("nano_toy_acc.*")
    assert figures.read_text().splitlines()[1].split(",")[1].strip('"') == str(ours(choices, replies))


@pytest.fixture
def says(monkeypatch):
    """`says([...])`: a model in place of ours that gives these replies, one a row."""

    def of(replies):
        left = iter(replies)

        class Scripted(CooperVLM):
            def __init__(self, *arguments, **named):
                kit.BaseModel.__init__(self)

            def reply(self, message, dataset=None):
                return Reply(prediction=next(left), extra_records="{}")

        monkeypatch.setattr(vlmevalkit, "CooperVLM", Scripted)

    return of


def test_all_kinds_of_replies_score_as_ours(tmp_path, choices, numbers, write_tsv, says):
    says(["A", "(C) blue ring", "blue ring", "The answer is D.", "I cannot tell."])  # right, wrong, right, right, wrong
    table = write_tsv(tmp_path / "toy.tsv", choices)
    result = run_vlmeval(KitModel("nano", "text"), str(table), tmp_path / "out")
    assert overall(result.metrics) == ours(choices, read_predictions(result.predictions)) == pytest.approx(0.6)
    says(["1.8", "__import__('os').abort()", "four", "(A)", "No."])  # 0.8, nothing, right, right, wrong
    table = write_tsv(tmp_path / "Height.tsv", numbers)
    result = run_vlmeval(KitModel("nano", "text"), str(table), tmp_path / "numbers")
    assert result.metrics == pytest.approx({"Overall": 0.56, "Accuracy": 0.6, "Height": 0.56})


def test_sibench_scores_as_ours(tmp_path, numbers, write_tsv):
    table = write_tsv(tmp_path / "Height.tsv", numbers)
    result = run_vlmeval(KitModel("nano", "direct"), str(table), tmp_path / "out")
    items = read_sibench(table).items
    plan = RunSettings(model="nano", modes=("direct",), batch=1, out=tmp_path / "ours", quiet=True)
    ours = answer_all(Cooper.from_pretrained("nano"), items, plan)
    assert result.rows == 5
    assert read_predictions(result.predictions) == {row.id: row.reply for row in ours}
    assert result.metrics["Overall"] == pytest.approx(sum(row.value for row in ours) / 5)
    assert result.metrics["Accuracy"] == pytest.approx(sum(row.correct for row in ours) / 5)


def test_a_row_that_fails_is_no_score(tmp_path, choices, write_tsv, monkeypatch, capsys):
    """The kit prints a score all the same; ours says how many rows failed, exits with 1, and answers only those anew."""
    rows = [{**choices[0], "question": "Which? " * 4000}, *choices[1:3]]
    table, out = write_tsv(tmp_path / "toy.tsv", rows), tmp_path / "out"
    monkeypatch.setattr(sys, "argv", ["cooper", "vlmeval", "--data", str(table), "--mode", "direct", "--out", str(out)])
    with pytest.raises(SystemExit) as stop:
        main()
    assert stop.value.code == 1
    assert "1 of 3 rows of toy failed inside the kit" in capsys.readouterr().err
    status = kit.load_run_status(out / "cooper-direct")["datasets"]["toy"]
    assert status["metrics"] and "error_message" not in status
    with pytest.raises(CooperError, match="1 of 3 rows of toy failed"):
        run_vlmeval(KitModel("nano", "direct"), str(table), out)
    with pytest.raises(CooperError, match="holds a run with limit None, not 1"):
        run_vlmeval(KitModel("nano", "direct"), str(table), out, limit=1)


def test_a_table_that_the_kit_gives_up_on(tmp_path, choices, write_tsv):
    rows = [choices[0], {**choices[1], "image": "no picture at all" * 8}]
    table = write_tsv(tmp_path / "toy.tsv", rows)
    with pytest.raises(CooperError, match="the kit gave toy up"):
        run_vlmeval(KitModel("nano", "direct"), str(table), tmp_path / "out")


def test_rows_that_the_kit_drops(tmp_path, choices, write_tsv):
    table = write_tsv(tmp_path / "toy.tsv", [choices[0], {**choices[1], "image": ""}])
    with pytest.raises(CooperError, match="answered 1 of 2 rows of toy"):
        run_vlmeval(KitModel("nano", "direct"), str(table), tmp_path / "out")


def test_unknown_data_and_modes(tmp_path, write_tsv):
    with pytest.raises(CooperError, match="neither a TSV file nor a data set"):
        run_vlmeval(KitModel("nano", "direct"), "no_such_set", tmp_path / "out")
    with pytest.raises(CooperError, match="unknown mode 'depth'"):
        run_vlmeval(KitModel("nano", "depth"), "no_such_set", tmp_path / "out")
    table = write_tsv(tmp_path / "open.tsv", [{"index": 0, "question": "Why?", "answer": "so"}])
    with pytest.raises(CooperError, match="row 1 has neither a type"):
        run_vlmeval(KitModel("nano", "direct"), str(table), tmp_path / "out")


def test_a_known_name_reads_the_kits_data_folder(tmp_path, numbers, write_tsv, monkeypatch):
    monkeypatch.setenv("LMUData", str(tmp_path))
    write_tsv(tmp_path / "sibench-Height.tsv", numbers)
    result = run_vlmeval(KitModel("nano", "direct"), "sibench-Height", tmp_path / "out", limit=1)
    assert (result.rows, list(result.metrics)[:2]) == (1, ["Overall", "Accuracy"])


def test_register_twice():
    register()
    register()
    assert kit.supported_models["cooper-nano"].func is CooperVLM
    assert kit.datasets.DATASET_CLASSES.count(SIBench) == 1
    assert kit.datasets.SUPPORTED_DATASETS.count("sibench") == 1


def test_parts_in_any_order(tmp_path, pictures):
    path = tmp_path / "a.png"
    path.write_bytes(pictures[0])
    picture = {"type": "image", "value": str(path)}
    texts = [{"type": "text", "value": value} for value in ("Before", "and", "after?")]
    found = question_of_message([texts[0], texts[1], picture, texts[2], picture])
    kinds = [part if isinstance(part, str) else "picture" for part in found.parts]
    assert kinds == ["Before\nand", "picture", "after?", "picture"]
    again = question_of_message([texts[0], picture, texts[2], picture])
    assert found.id == question_of_message([texts[0], texts[1], picture, texts[2], picture]).id != again.id
    with pytest.raises(CooperError, match="part of type 'video'"):
        question_of_message([{"type": "video", "value": "a.mp4"}])
    with pytest.raises(CooperError, match="at least one picture"):
        question_of_message(texts)


def test_replies_are_read_letter_by_letter(tmp_path):
    path = tmp_path / "replies.tsv"
    path.write_text('"index"\t"prediction"\n"a-1"\t"None"\n"a-2"\t"=1+1"\n"a-3"\t"007"\n"a-4"\t""\n')
    assert read_predictions(path) == {"a-1": "None", "a-2": "=1+1", "a-3": "007", "a-4": ""}
