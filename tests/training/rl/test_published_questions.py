"""Reinforcement on the published questions, through the command: types that are inferred, flags in the rows, faults by line."""

import json
import shutil
from collections.abc import Callable
from pathlib import Path

import pytest
import yaml

from cooper.curation.counts import FLAGS
from cooper.errors import CooperError
from cooper.training.bundles import load_bundle
from cooper.training.data import DataSource
from cooper.training.loop.watching import read_metrics
from cooper.training.rl.recipe import GrpoRecipe
from cooper.training.rl.rewards.exploration import ExplorationReward
from cooper.training.rl.run import assemble
from cooper.training.rl.tasks import FileTasks, source_of
from tests.cli.conftest import run  # noqa: F401 - the command line in this process
from tests.parity.conftest import golden_dir  # noqa: F401 - where the golden checkpoint lies
from tests.reasoning_files import picture, published_questions, write_rows

SETTINGS = {
    "steps": 2,
    "learning_rate": 1e-4,
    "questions": 2,
    "group": 2,
    "rows": 2,
    "max_turns": 2,
    "sampling": {"max_tokens": 4},
}
RECORD = {"log_every": 1, "save_every": 1, "eval_every": 2}


@pytest.fixture
def written(start: Path, tmp_path: Path) -> Callable[..., Path]:
    """A recipe file of grpo from the tiny checkpoint, on published questions, with changes."""

    def of(**changes: object) -> Path:
        places = {"out": str(tmp_path / "run"), "data": str(published_questions(tmp_path)), "init": str(start)}
        path = tmp_path / "recipe.yaml"
        path.write_text(yaml.safe_dump({**places, **SETTINGS, "record": RECORD, **changes}))
        return path

    return of


def plain(text: str) -> str:
    return " ".join(text.split())


@pytest.mark.slow
def test_reinforcement_trains_on_published_questions_from_published_weights(run, golden_dir, written, tmp_path):  # noqa: F811
    weights = tmp_path / "weights"
    weights.mkdir()
    shutil.copy(golden_dir / "checkpoint" / "ema.safetensors", weights)
    path = written(init=str(weights), base=str(golden_dir / "checkpoint"))
    ran = run("train", "grpo", "--config", path)
    assert ran.code == 0, ran.err
    assert [line["step"] for line in read_metrics(tmp_path / "run" / "metrics.jsonl") if "loss" in line] == [1, 2]


def test_reinforcement_takes_published_questions_and_an_exam_of_them(run, written, tmp_path, monkeypatch):  # noqa: F811
    monkeypatch.setattr("cooper.training.stages.exam.TURN_TOKENS", 4)  # an untrained network does not end its turns
    held_out = published_questions(tmp_path / "held-out")
    source = {"kind": "questions", "path": str(tmp_path / "RL_data.jsonl"), "image_root": str(tmp_path / "images"), "limit": 4}
    ran = run("train", "grpo", "--config", written(data=source, val=str(held_out), eval_questions=2))
    assert ran.code == 0, ran.err
    lines = read_metrics(tmp_path / "run" / "metrics.jsonl")
    assert [line["step"] for line in lines if "loss" in line] == [1, 2]
    assert any("eval_interleaved_accuracy" in line for line in lines)


def test_flags_of_the_rows_count_where_the_recipe_names_none(start, tmp_path):
    places = {"out": tmp_path / "run", "init": start, "data": published_questions(tmp_path)}
    parts = assemble(GrpoRecipe(**places, steps=1, learning_rate=1e-4, questions=2, group=2, rows=2), load_bundle(start))
    (exploration,) = (reward for reward in parts.rewards if isinstance(reward, ExplorationReward))
    assert exploration.flags == parts.tasks.flags == {f"q{number}": FLAGS[number % 3] for number in range(6)}
    assert parts.tasks.readable(1).question.images[0].tobytes() == picture(1).tobytes()
    others = write_rows(tmp_path / "flags" / "flags.jsonl", [{"id": "q0", "flag": "negative"}])
    recipe = GrpoRecipe(**places, flags=others, steps=1, learning_rate=1e-4, questions=2, group=2, rows=2)
    assert assemble(recipe, load_bundle(start)).tasks.flags == {"q0": "negative"}


def test_free_text_needs_a_judge(run, written, tmp_path):  # noqa: F811
    path = written()
    rows = [json.loads(line) for line in (tmp_path / "RL_data.jsonl").read_text().splitlines()]
    rows[4]["answer"] = "a red chair"
    other = write_rows(tmp_path / "other.jsonl", rows)
    ran = run("train", "grpo", "--config", path, f"data={other}")
    assert ran.code == 1 and "the answer to q4 of " in plain(ran.err) and "only a judge can grade them" in plain(ran.err)
    assert [item.scoring for item in FileTasks(other).items].count("judge") == 1


def test_flags_are_not_made_of_questions_that_rules_cannot_grade(run, start, tmp_path):  # noqa: F811
    path = published_questions(tmp_path, count=2)
    rows = [json.loads(line) for line in path.read_text().splitlines()]
    rows[1]["answer"] = "a red chair"
    write_rows(path, rows)
    ran = run("data", "flags", "--data", path, "--model", start, "--out", tmp_path / "flags", "--samples", "1")
    assert ran.code == 0 and "the answer to q1 is free text, which rules cannot grade" in plain(ran.err)
    assert [json.loads(line)["id"] for line in (tmp_path / "flags" / "flags.jsonl").read_text().splitlines()] == ["q0"]


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ({"image": "gone.png"}, "RL_data.jsonl, line 4, field 'image': cannot read"),
        ({"flag": "postive"}, "RL_data.jsonl, line 4: the field 'flag' is 'postive'; known: positive, negative, boundary"),
        ({"answer": "E"}, "RL_data.jsonl, line 4: the field 'answer' is 'E', and the question offers A, B"),
    ],
)
def test_a_question_at_fault_ends_the_command_before_the_first_step(run, written, tmp_path, change, said):  # noqa: F811
    path = written()
    rows = [json.loads(line) for line in (tmp_path / "RL_data.jsonl").read_text().splitlines()]
    rows[3] |= change
    write_rows(tmp_path / "RL_data.jsonl", rows)
    ran = run("train", "grpo", "--config", path)
    assert ran.code == 1 and said in plain(ran.err) and not list((tmp_path / "run").glob("checkpoint-*"))


def test_other_data_hold_no_questions(tmp_path):
    with pytest.raises(CooperError, match="data of the kind traces hold no questions to ask; known: scenes, questions"):
        source_of(DataSource(kind="traces", path=tmp_path), 0, 4)
