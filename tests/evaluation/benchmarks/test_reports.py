"""Each published benchmark from small made files to the figures of its report, counted by hand."""

import json
from pathlib import Path

import pytest
from PIL import Image

from cooper.evaluation.benchmarks.mmbench import MINI
from cooper.evaluation.benchmarks.q_spatial import COLUMNS
from cooper.evaluation.suites.published import PublishedSuite
from cooper.trace.steps import TextStep
from cooper.trace.trace import Trace
from tests.judge_server import Play, completion, serving, settings_of


class Replies:
    """Answers in the order in which the questions come, over and over.

    A fake, so that figures can be counted by hand from known replies; `test_real_door.py` runs nano.
    """

    modalities: dict = {}

    def __init__(self, *replies: str) -> None:
        self.replies, self.asked = replies, 0

    def options(self, mode, *, given="own"):
        return mode

    def batch(self, questions, options="direct", seed=0, samples=1):
        start, self.asked = self.asked, self.asked + len(questions)
        said = [self.replies[(start + place) % len(self.replies)] for place in range(len(questions))]
        return [[Trace(q, (TextStep(f"<answer>{reply}</answer>"),))] for q, reply in zip(questions, said, strict=True)]


def evaluated(model: Replies, name: str, data: Path, judge=None):
    """The first mode of the report as it is in the JSON file, and the Markdown."""
    out = data.parent / f"run-{name}"
    suite = PublishedSuite(
        model="replies", name=name, modes=("direct",), out=out, data=str(data), batch=2, judge=judge, quiet=True
    )
    suite.evaluate(model)
    return json.loads((out / "report.json").read_text())["modes"][0], (out / "report.md").read_text()


def near(mean: float, rows: int):
    """A figure of that mean and count of rows."""
    return {"mean": pytest.approx(mean), "rows": rows}


def short(figure: dict) -> dict:
    return {name: figure[name] for name in ("mean", "rows")}


def test_q_spatial_is_the_share_within_a_factor_of_two(tmp_path, write_parquet, picture):
    values = (dict(zip(COLUMNS, ("How far?", 100.0, "centimeter", kind, "0.jpg"), strict=False)) for kind in "aabbb")
    rows = [{**cells, "image": {"bytes": picture(number), "path": "0.jpg"}} for number, cells in enumerate(values)]
    table = write_parquet(tmp_path / "QSpatial_plus.parquet", rows)
    replies = ("1.9 m", "60 cm", "40 cm", "1 m", "3 m")  # right, right, wrong, right, wrong
    mode, text = evaluated(Replies(*replies), "q-spatial-plus", table)
    assert short(mode["accuracy"]) == near(3 / 5, 5)
    assert short(mode["value"]) == near((0.0 + 0.2 + 0.0 + 1.0 + 0.0) / 5, 5), "0.2: an error of 0.4 is below 0.5 and 0.45"
    assert short(mode["means"]["distance_size"]) == near((1 + 1 / 3) / 2, 5)
    assert "| all rows (5) | 60.0 (23.1 .. 88.2) |" in text


@pytest.fixture
def mmbench(tmp_path, write_table, base64_picture):
    """Two questions of two options and one of three, the right one always B as it is first written."""
    base = {"question": "What is it?", "hint": "", "A": "cube", "B": "ball", "C": "", "answer": "B", "category": "x"}
    rows = [{"index": index, **base, "image": base64_picture(index)} for index in (1, 2)]
    rows.append({"index": 3, **base, "C": "cone", "category": "y", "image": base64_picture(3)})
    return write_table(tmp_path / f"{MINI}.tsv", rows)


def test_mmbench_circular_counts_questions_of_which_all_rotations_are_right(mmbench):
    replies = ("ball", "ball", "ball", "cube", "ball", "ball", "ball")  # questions 1 and 3 are right in every rotation
    mode, text = evaluated(Replies(*replies), "mmbench-v11-mini", mmbench)
    assert short(mode["accuracy"]) == near(6 / 7, 7) and short(mode["bundles"]) == near(2 / 3, 3)
    assert "| whole bundles (3) | 66.7 (" in text and "| all rows (7) | 85.7 (" in text


def test_mmbench_plain_is_the_share_of_rows(mmbench):
    mode, text = evaluated(Replies("B", "A", "B"), "mmbench-v11-mini-plain", mmbench)
    assert short(mode["accuracy"]) == near(2 / 3, 3) and mode["bundles"]["rows"] == 0
    assert short(mode["means"]["general"]) == near((1 / 2 + 1) / 2, 3)
    assert "| all rows (3) | 66.7 (" in text and "whole bundles" not in text


def test_mmvp_counts_questions_and_pairs(tmp_path, write_table, base64_picture):
    base = {"question": "Open?", "A": "Open", "B": "Closed", "answer": "A"}
    rows = [{"index": index, **base, "image": base64_picture(index)} for index in range(1, 5)]
    mode, text = evaluated(Replies("A", "A", "A", "B"), "mmvp", write_table(tmp_path / "MMVP.tsv", rows))
    assert short(mode["accuracy"]) == near(3 / 4, 4) and short(mode["bundles"]) == near(1 / 2, 2)
    assert "| all rows (4) | 75.0 (" in text


def test_sibench_is_the_mean_of_what_rows_earn(tmp_path, write_table, picture):
    folder = tmp_path / "sibench"
    (folder / "BLINK").mkdir(parents=True)
    (folder / "BLINK" / "0.png").write_bytes(picture(0))
    asked = [("Near?\nA. cube\nB. ball", "B", "MCQ"), ("There?", "no", "YN"), ("How far in cm?", "100", "Number")]
    asked += [("How far in cm?", "-20", "Number"), ("How many?", "3", "Number_Int")]
    rows = [
        {
            "index": n,
            "question": q,
            "answer": a,
            "type": t,
            "data_source": "x",
            "input_type": "image",
            "image_path": "BLINK/0.png",
        }
        for n, (q, a, t) in enumerate(asked)
    ]
    write_table(folder / "Height.tsv", rows)
    mode, text = evaluated(Replies("B", "yes", "120", "-20", "4"), "sibench-Height", folder)
    earned = [1.0, 0.0, 0.6, 1.0, 0.0]  # an error of 0.2 is below 0.5 .. 0.25
    assert short(mode["value"]) == near(sum(earned) / 5, 5) and short(mode["accuracy"]) == near(3 / 5, 5)
    [height] = mode["categories"]
    assert short(height["value"]) == near(sum(earned) / 5, 5) and short(height["relative_accuracy"]) == near(0.8, 2)
    assert "| mean of what rows earn | 52.0 (" in text and "| Height (2) | 80.0 (" in text and "| Height (5) | 52.0 (" in text


def test_mm_vet_is_the_mean_grade(tmp_path, monkeypatch):
    folder = tmp_path / "mm-vet"
    (folder / "images").mkdir(parents=True)
    entries = {}
    for number in range(4):
        Image.new("RGB", (8, 8)).save(folder / "images" / f"{number}.png")
        wanted = ["ocr", "math"] if number < 3 else ["rec"]
        entry = {"imagename": f"{number}.png", "question": f"What is {number}?", "answer": "a<AND>b", "capability": wanted}
        entries[f"v1_{number}"] = entry
    (folder / "mm-vet.json").write_text(json.dumps(entries))
    grades = {"What is 0?": "1.0", "What is 1?": "0.5", "What is 2?": "0.3", "What is 3?": "no idea"}
    with serving(monkeypatch) as server:
        server.script = lambda call, prompt: Play(completion(next(g for q, g in grades.items() if q in prompt)))
        mode, text = evaluated(Replies("a"), "mm-vet", folder, settings_of(server))
    assert short(mode["value"]) == near(0.6, 3) and short(mode["accuracy"]) == near(2 / 3, 3) and mode["unscored"] == 1
    figures = {part["category"]: part["value"] for part in mode["categories"]}
    assert short(figures["math_ocr"]) == near(0.6, 3) and figures["rec"]["rows"] == 0
    assert "| mean of what rows earn | 60.0 (8.8 .. 97.5) |" in text and "| math_ocr (3) | 60.0 (8.8 .. 97.5) |" in text
    assert (
        "- judge: big-judge, prompts of version" in text and "0 rows without a reply, 1 with one that could not be read" in text
    )
