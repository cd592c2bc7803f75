"""Flags of whole categories: where a few answers of a question tell little, those of a category do."""

import json
from dataclasses import asdict

import numpy as np
import pytest
from typer.testing import CliRunner

from cooper.cli.main import app
from cooper.curation.counts import DrawingCounts
from cooper.curation.flags import FlagSettings, flag_questions, read_flags
from cooper.curation.gains import category_flag, category_gains, points
from cooper.evaluation.figures.statistics import Estimate
from tests.training.rollout_groups import tiny_door

SHARES = {"camera_distance": (0.8, 0.5), "spatial_grid": (0.4, 0.7), "colour": (0.6, 0.6)}  # right with and without maps


def rows(count: int) -> list[dict[str, object]]:
    rng = np.random.default_rng(0)
    return [
        {"id": f"{name}-{number}", "category": name, "flag": "boundary"}
        | asdict(DrawingCounts(int(rng.binomial(4, drawn)), 4, int(rng.binomial(4, plain)), 4))
        for name, (drawn, plain) in SHARES.items()
        for number in range(count)
    ]


def test_a_category_has_the_flag_of_all_its_answers():
    gains = category_gains(rows(200))
    assert {name: category_flag(gain) for name, gain in gains.items()} == {
        "camera_distance": "positive",
        "spatial_grid": "negative",
        "colour": "boundary",
    }
    assert gains["camera_distance"].mean == pytest.approx(0.3, abs=0.06)
    assert points(Estimate(0.052, low=-0.01, high=0.114, rows=9)) == "[+5: -1 .. +11]"


def test_questions_without_one_kind_of_answer_tell_nothing():
    alone = {"category": "size", "drawn_right": 0, "drawn": 0, "plain_right": 4, "plain": 8}
    both = {"category": "size", "drawn_right": 1, "drawn": 1, "plain_right": 0, "plain": 4}
    assert category_gains([alone, alone, both]) == {} and category_flag(None) == "boundary"
    found = category_gains([alone, both, both])["size"]
    assert (found.mean, found.high, found.rows) == (1.0, 1.0, 2) and category_flag(found) == "boundary", "two are too few"


def test_flags_of_either_kind_follow_from_the_same_answers(tmp_path):
    out, made = tmp_path / "flags", rows(40)
    out.mkdir()

    class Answered:
        def __len__(self) -> int:
            return len(made)

        def ids(self) -> list[str]:
            return [str(row["id"]) for row in made]

        def item(self, number: int):
            raise AssertionError("all were answered before")

        def digest(self, number: int) -> str:
            return f"digest {number}"

    def flagged(by) -> dict[str, str]:
        settings = FlagSettings(model="tiny", data=tmp_path, out=out, samples=8, by=by, quiet=True)
        path = out / "flags.jsonl"
        if not path.exists():
            path.write_text("".join(json.dumps(row) + "\n" for row in made))
        return dict(read_flags(flag_questions(tiny_door(tmp_path), Answered(), settings).path))

    first, whole, again = flagged("question"), flagged("category"), flagged("question")
    assert first == again != whole
    by_category = {name: {flag for key, flag in whole.items() if key.startswith(name)} for name in SHARES}
    assert by_category["camera_distance"] == {"positive"} and by_category["spatial_grid"] == {"negative"}
    counted = [json.loads(line) for line in (out / "flags.jsonl").read_text().splitlines()]
    assert [{**row, "flag": ""} for row in counted] == [{**row, "flag": ""} for row in made]


def test_the_command_knows_both(tmp_path):
    refused = CliRunner().invoke(app, ["data", "flags", "--data", str(tmp_path), "--out", str(tmp_path / "o"), "--by", "scene"])
    assert refused.exit_code == 2
