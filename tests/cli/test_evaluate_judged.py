"""`cooper eval ... --judge` against a server that fails in every way, and the run that heals what it left."""

import json
from collections.abc import Iterator
from functools import partial

import pytest
from PIL import Image

import cooper.evaluation.judge.judge as judges
import cooper.reasoning.cooper as door
from tests.evaluation.suites.test_published import Says
from tests.judge_server import Play, Server, completion, expiring, serving

QUESTIONS = 4


@pytest.fixture
def server(monkeypatch) -> Iterator[Server]:
    quick = partial(judges.JudgeSettings, retries=1, backoff=0.01, concurrency=1)
    monkeypatch.setattr(judges, "JudgeSettings", quick)
    with serving(monkeypatch) as server:
        expiring(monkeypatch, server)
        yield server


@pytest.fixture
def mm_vet(tmp_path):
    folder = tmp_path / "mm-vet"
    (folder / "images").mkdir(parents=True)
    entries = {}
    for number in range(QUESTIONS):
        Image.new("RGB", (8, 8)).save(folder / "images" / f"{number}.png")
        entry = {"imagename": f"{number}.png", "question": f"Number {number}?", "answer": "1", "capability": ["ocr"]}
        entries[f"v1_{number}"] = entry
    (folder / "mm-vet.json").write_text(json.dumps(entries))
    return folder


@pytest.fixture
def model(monkeypatch) -> Says:
    says = Says("one")
    monkeypatch.setattr(
        door.Cooper, "from_pretrained", classmethod(lambda cls, name, base=None, device_map=None, quantization=None: says)
    )
    return says


@pytest.fixture
def evaluate(run, tmp_path, mm_vet, server):
    judge = ("--judge", server.url, "--judge-model", "big-judge")
    return partial(run, "eval", "mm-vet", "--data", mm_vet, "--mode", "direct", "--out", tmp_path / "run", *judge)


FAULTS = {
    "time-out": (Play(held=True), "1 rows without a reply, 0 with one", "no whole reply within 60 s"),
    "rubbish": (Play("<html>"), "1 rows without a reply, 0 with one", "did not answer with JSON"),
    "talk": (Play(completion("a fine reply")), "0 rows without a reply, 1 with one", "could not be read: 'a fine reply'"),
    "429": (Play("{}", 429, (("Retry-After", "0"),)), "1 rows without a reply, 0 with one", "HTTP 429"),
    "dies half way": (Play(torn=True), "1 rows without a reply, 0 with one", "could not be reached"),
}


@pytest.mark.parametrize(("fault", "counted", "said"), FAULTS.values(), ids=FAULTS)
def test_a_judge_that_fails_is_told_and_the_next_run_heals_it(evaluate, model, server, tmp_path, fault, counted, said):
    server.script = lambda call, prompt: fault if "Number 2?" in prompt else Play(completion("1.0"))
    ran = evaluate()
    assert ran.code == 1 and "more than 1 % of the rows of mm-vet could not be scored" in ran.err
    assert counted in " ".join(ran.err.split()) and said in " ".join(ran.err.split())
    report = json.loads((tmp_path / "run" / "report.json").read_text())
    assert report["modes"][0]["unscored"] == 1 and report["modes"][0]["value"]["rows"] == QUESTIONS - 1
    assert "- judge: big-judge" in ran.out and "4 asked, 0 kept from before" in ran.out
    assert len(list((tmp_path / "run" / "judge").glob("judge-*.jsonl"))) == 1
    answered, asked = model.asked, len(server.requests)

    server.script = lambda call, prompt: Play(completion("0.5"))
    ran = evaluate("--json")
    assert ran.code == 0, ran.err
    healed = json.loads(ran.out)
    assert healed["modes"][0]["unscored"] == 0 and healed["modes"][0]["value"]["mean"] == pytest.approx(3.5 / 4)
    assert "1 asked, 3 kept from before" in healed["settings"]["judge"] and "judge faults" not in healed["settings"]
    assert model.asked == answered == QUESTIONS and len(server.requests) == asked + 1


def test_a_judge_that_refuses_the_key_is_one_sentence(evaluate, model, server):
    server.script = lambda call, prompt: Play("{}", 401)
    ran = evaluate()
    assert ran.code == 1 and "refuses the key" in ran.err and model.asked == QUESTIONS


def test_nothing_unscored_ends_well(evaluate, model, server):
    server.script = lambda call, prompt: Play(completion("1.0"))
    assert evaluate().code == 0 and model.asked == QUESTIONS
