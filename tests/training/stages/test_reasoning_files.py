"""Stage 2 on files of traces, through the command: from published weights, gone on with, examined, every fault named."""

import json
import os
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace

import pytest
import torch
import yaml
from safetensors.torch import load_file

from cooper.data.examples import TraceGroup
from cooper.data.sources.reasoning.row import ShownMap, TraceRow
from cooper.files.pictures import LazyPicture
from cooper.model.config import CooperConfig
from cooper.sequence.packing import pack
from cooper.trace.modes import MODES
from cooper.training.feed.latents import LatentStore
from cooper.training.loop.watching import read_metrics
from cooper.training.stages.reasoning import TraceRows
from cooper.training.stages.rows import MapRows, Noise
from cooper.training.traces import RowLengths, taker_of, trace_file
from tests.cli.conftest import run  # noqa: F401 - the command line in this process
from tests.parity.conftest import golden_dir  # noqa: F401 - where the golden checkpoint lies
from tests.reasoning_files import coded, interleaved_file, interleaved_row, last, picture, published_questions, turn, write_rows

OPTIMISER = {"steps": 3, "batch": 2, "learning_rate": 1e-4, "warmup": 1}
RECORD = {"log_every": 1, "save_every": 1, "eval_every": 3, "keep": 9}


@pytest.fixture
def recipe(start: Path, tmp_path: Path) -> Callable[..., Path]:
    """A recipe file of sft from the tiny checkpoint, on published rows, with changes."""
    data = interleaved_file(tmp_path / "Interleaved_SFT.jsonl")

    def written(**changes: object) -> Path:
        places = {"out": str(tmp_path / "run"), "data": str(data), "init": str(start)}
        values = {**places, "optimiser": OPTIMISER, "record": RECORD, **changes}
        path = tmp_path / "recipe.yaml"
        path.write_text(yaml.safe_dump({key: value for key, value in values.items() if value is not None}))
        return path

    return written


def plain(text: str) -> str:
    """Printed words on one line."""
    return " ".join(text.split())


def steps_of(folder: Path) -> list[dict]:
    return [line for line in read_metrics(folder / "metrics.jsonl") if "loss" in line]


def test_stage_2_trains_on_published_rows_from_published_weights(run, golden_dir, recipe, tmp_path):  # noqa: F811
    weights = tmp_path / "weights"
    weights.mkdir()
    shutil.copy(golden_dir / "checkpoint" / "ema.safetensors", weights)
    path = recipe(init=str(weights), base=str(golden_dir / "checkpoint"))
    ran = run("train", "sft", "--config", path)
    assert ran.code == 0, ran.err
    assert "Interleaved_SFT.jsonl: 6 rows (interleaved 6), 4 with maps, of up to" in plain(ran.err)
    lines = steps_of(tmp_path / "run")
    assert [line["step"] for line in lines] == [1, 2, 3]
    assert all(line["ce"] > 0 and line["mse"] == 0 for line in lines), "no picture of a published row is learned"
    assert not any(name.startswith("eval_") for line in read_metrics(tmp_path / "run" / "metrics.jsonl") for name in line)
    trained = load_file(tmp_path / "run" / "model" / "model.safetensors")
    for name in ("checkpoint-3", "checkpoint-2", "model"):  # as kill -9 after the first step leaves it
        shutil.rmtree(tmp_path / "run" / name)
    (tmp_path / "run" / "finished.json").unlink()
    again = run("train", "sft", "--config", path)
    assert again.code == 0, again.err
    for name, weight in load_file(tmp_path / "run" / "model" / "model.safetensors").items():
        torch.testing.assert_close(weight, trained[name], atol=1e-5, rtol=1e-5, msg=name)
    assert [line["loss"] for line in steps_of(tmp_path / "run")] == pytest.approx([line["loss"] for line in lines], rel=1e-6)


def test_the_length_of_a_row_is_known_without_its_pixels(bundle, tmp_path):
    """Of the same row, counted before a run and packed in it; drawn maps, several pictures and text mode included."""
    for number in range(4):
        picture(number).save(tmp_path / f"{number}.png")
    steps = [{"text": turn("depth")}, {"map": "depth", "image": "1.png", "drawn": "2.png"}, {"text": last("3")}]
    asked = [{"image": "0.png"}, {"text": "How many?"}, {"image": "3.png"}]
    mine = [write_rows(tmp_path / f"{mode}.jsonl", [{"question": asked, "steps": steps, "mode": mode}]) for mode in MODES]
    for path in (interleaved_file(tmp_path / "published.jsonl"), *mine):
        source = trace_file(path, taker_of(bundle), 0, 9)
        maps = MapRows((), {}, LatentStore(tmp_path, bundle.model.vae), bundle.processor, bundle.prompts, Noise(1.0, 0))
        traces = TraceRows(source, maps, bundle.model.config.view_rules, drawn=1.0)
        packed = [traces.tree(number, TraceGroup((source.trace(number),))) for number in range(len(source))]
        assert max(pack(packed, bundle.processor.geometry).splits.lengths) == source.longest


def test_a_map_that_is_drawn_last_is_not_counted_as_read_too(bundle, tmp_path):
    """It is drawn, or in a run that draws fewer maps read; a row is as long as the longer of both."""
    for number in range(2):
        picture(number).save(tmp_path / f"{number}.png")
    steps = [{"text": turn("depth")}, {"map": "depth", "image": "1.png", "drawn": "1.png"}]
    path = write_rows(tmp_path / "rows.jsonl", [{"question": [{"image": "0.png"}, {"text": "How many?"}], "steps": steps}])
    source, found = trace_file(path, taker_of(bundle), 0, 9), []
    for drawn in (0.0, 1.0):
        maps = MapRows((), {}, LatentStore(tmp_path, bundle.model.vae), bundle.processor, bundle.prompts, Noise(1.0, 0))
        traces = TraceRows(source, maps, bundle.model.config.view_rules, drawn=drawn)
        row = traces.tree(0, TraceGroup((source.trace(0),)))
        found.append(max(pack([row], bundle.processor.geometry).splits.lengths))
    assert max(found) == source.longest


def test_two_large_pictures_are_as_long_as_the_published_reader_says(bundle, tmp_path):
    """Square pictures of 1024 px are 4,096 latent tokens and 1,369 patches each, with two marks around every view."""
    picture(0, (1024, 1024)).save(tmp_path / "0.png")
    published = CooperConfig(views={"map": ["vae", "vit"]})
    model = SimpleNamespace(config=published)  # of the published network only its sizes are asked for, not 14 billion weights
    processor = published.processor_with(bundle.processor.tokenizer_json)
    lengths = RowLengths.of(replace(bundle, model=model, processor=processor))
    shown = LazyPicture("", tmp_path / "0.png")
    row = TraceRow("", (shown,), (ShownMap(shown),), system="")
    assert lengths(row, "interleaved") == 2 * (4096 + 1369 + 4)


@pytest.mark.slow
def test_a_killed_run_goes_on(recipe, tmp_path):
    path, folder = recipe(optimiser={**OPTIMISER, "steps": 400}, record={**RECORD, "eval_every": 1000}), tmp_path / "run"
    command = [sys.executable, "-m", "cooper", "train", "sft", "--config", str(path)]
    process = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    while not (folder / "checkpoint-2" / "manifest.json").is_file() and process.poll() is None:
        time.sleep(0.1)
    os.kill(process.pid, signal.SIGKILL)
    process.wait()
    taken = max(line["step"] for line in steps_of(folder))
    more = [*command, "--force-recipe", f"optimiser.steps={taken + 2}"]
    ran = subprocess.run(more, capture_output=True, text=True, check=False)
    assert ran.returncode == 0, ran.stderr
    assert steps_of(folder)[-1]["step"] == taken + 2 and (folder / "model" / "model.safetensors").is_file()


def test_own_traces_are_drawn_and_examined_on_a_file_of_questions(run, recipe, tmp_path, monkeypatch):  # noqa: F811
    monkeypatch.setattr("cooper.training.stages.exam.TURN_TOKENS", 4)  # an untrained network does not end its turns
    for number in range(4):
        picture(number).save(tmp_path / f"{number}.png")
    steps = [{"text": turn("depth")}, {"map": "depth", "image": "1.png", "drawn": "2.png"}, {"text": last("3")}]
    rows = [
        {"question": [{"image": "0.png"}, {"text": "How many?"}], "steps": steps},
        {"question": [{"image": "3.png"}, {"text": "Red?"}], "steps": [{"text": "<answer>no</answer>"}], "mode": "direct"},
    ]
    questions = published_questions(tmp_path / "held-out", flags=False)
    data = write_rows(tmp_path / "mine.jsonl", rows)
    mixture = {"interleaved": 1, "direct": 3}
    path = recipe(data=str(data), val=str(questions), mixture=mixture, eval_questions=2, optimiser={**OPTIMISER, "steps": 6})
    ran = run("train", "sft", "--config", path)
    assert ran.code == 0, ran.err
    assert "2 rows (interleaved 1, direct 1), 1 with maps" in plain(ran.err)
    lines = read_metrics(tmp_path / "run" / "metrics.jsonl")
    exam = {name for line in lines for name in line if name.startswith("eval_")}
    assert {"eval_interleaved_accuracy", "eval_direct_accuracy"} <= exam and not exam & {"eval_miou", "eval_abs_rel"}
    drawn = {line["mse"] > 0 for line in lines if "loss" in line}
    assert drawn == {True, False}, "the one row is drawn, the other is not"


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        ({"mixture": {"grounding": 1}}, "mixture names 'grounding'; known: interleaved, perception, text, direct; "),
        ({"mixture": {"replay": 1}}, "holds traces, and no lessons and no maps to draw"),
        ({"mixture": {"text": 1}}, "mixture names 'text', but "),
        ({"questions": {"interleaved": 4}}, "questions.interleaved is 4, but of "),
        ({"traces": 10}, "traces is a key of rendered scenes, and "),
        ({"explore": 0.1}, "explore is a key of rendered scenes, and "),
        ({"drawn": 1.0}, "drawn is a key of rendered scenes, and "),
        ({"longest": 20}, "tokens, above 20 (so in 6 of 6)"),
        ({"val": "Interleaved_SFT.jsonl"}, "holds reasoning; exams ask questions about scenes, or those of a JSON Lines file"),
        (
            {"data": "RL_data.jsonl"},
            "holds questions, from which sft learns nothing; it takes reasoning, traces, llava, messages",
        ),
        ({"data": "gone.jsonl"}, "gone.jsonl"),
        ({"data": {"kind": "traces", "path": "Interleaved_SFT.jsonl"}}, "line 1: unknown field 'interleaved_reason'"),
    ],
    ids=lambda value: str(value)[:40] if isinstance(value, dict) else "",
)
def test_what_a_file_of_traces_has_no_use_for_is_refused(run, recipe, tmp_path, changes, said, monkeypatch):  # noqa: F811
    monkeypatch.chdir(tmp_path)
    published_questions(tmp_path)
    ran = run("train", "sft", "--config", recipe(**changes))
    assert ran.code == 1 and said in plain(ran.err) and "Traceback" not in ran.err
    assert not list((tmp_path / "run").glob("checkpoint-*"))


def test_a_bad_row_ends_the_command_before_the_first_step(run, recipe, tmp_path):  # noqa: F811
    bad = interleaved_row(1, ("depth",))
    bad["interleaved_reason"][2]["need_loss"] = True
    path = write_rows(tmp_path / "Interleaved_SFT.jsonl", [interleaved_row(0, ()), bad])
    ran = run("train", "sft", "--config", recipe(data=str(path)))
    told = [line for line in ran.err.splitlines() if line.startswith("cooper: ")]
    assert ran.code == 1 and len(told) == 1 and not list((tmp_path / "run").glob("checkpoint-*"))
    assert f"{path}, line 2, field 'interleaved_reason'[2]: the field 'need_loss' is True" in plain(ran.err)


def test_a_bad_row_that_is_met_in_training_ends_it_with_its_place(run, recipe, tmp_path):  # noqa: F811
    rows = [interleaved_row(number, ()) for number in range(40)]
    for row in rows[1::2]:  # every second row is decoded before the run begins
        row["interleaved_reason"][0]["value"] = coded(picture(1))[:200]
    path = write_rows(tmp_path / "torn.jsonl", rows)
    ran = run("train", "sft", "--config", recipe(data=str(path), optimiser={**OPTIMISER, "steps": 20}))
    assert ran.code == 1 and "Traceback" not in ran.err
    assert "field 'interleaved_reason'[0], field 'value': the picture is" in plain(ran.err) and f"{path}, line" in plain(
        ran.err
    )


def test_data_that_changed_under_a_run_are_refused(run, recipe, tmp_path):  # noqa: F811
    path = recipe(optimiser={**OPTIMISER, "steps": 1})
    assert run("train", "sft", "--config", path).code == 0
    shutil.rmtree(tmp_path / "run" / "model")
    interleaved_file(tmp_path / "Interleaved_SFT.jsonl", 5)
    refused = run("train", "sft", "--config", path)
    assert refused.code == 1 and "began with other data" in refused.err


def test_phases_train_on_files(run, recipe, tmp_path):  # noqa: F811
    words = {"stage": "sft", **yaml.safe_load(recipe().read_text()), "optimiser": {**OPTIMISER, "steps": 1}}
    del words["out"]
    path = tmp_path / "phases.yaml"
    path.write_text(yaml.safe_dump({"out": str(tmp_path / "all"), "phases": {"words": words}}))
    ran = run("train", "phases", "--config", path)
    assert ran.code == 0, ran.err
    lines = (tmp_path / "Interleaved_SFT.jsonl").read_text().splitlines()
    row = json.loads(lines[1])
    del row["interleaved_reason"][0]["value"]
    write_rows(tmp_path / "Interleaved_SFT.jsonl", [row])
    shutil.rmtree(tmp_path / "all")
    ran = run("train", "phases", "--config", path)
    assert ran.code == 1 and "phases.words: " in plain(ran.err) and "the field 'value' is missing" in plain(ran.err)
    assert not (tmp_path / "all" / "words" / "recipe.yaml").exists()
