"""A run's folder takes no rows of other weights or other settings, and says so of folders that do not tell."""

import json
from dataclasses import replace
from pathlib import Path

import pytest

from cooper.errors import CooperError
from cooper.evaluation.kits.answering import Answerer, KitModel
from cooper.evaluation.runs.folder import open_run
from cooper.evaluation.runs.origin import PIECE, PIECES, Origin, files_digest
from cooper.evaluation.suites.depth import DepthSuite
from cooper.evaluation.suites.jobs import EvaluationRequest
from cooper.evaluation.suites.scenes import ScenesSuite
from cooper.evaluation.suites.segmentation import SegmentationSuite
from cooper.reasoning.options import Inference, read_inference
from tests.evaluation.suites.test_published import Says, mmvp, settings  # noqa: F401 - mmvp is a fixture

OTHER = Origin("", "0123", {"max_turns": 2})


@pytest.fixture
def weights(tmp_path):
    folder = tmp_path / "weights"
    folder.mkdir()
    (folder / "model.safetensors").write_bytes(bytes(3_000_000))
    (folder / "config.json").write_text("{}")
    return folder


def test_other_weights_settings_and_names_have_another_digest(weights):
    assert files_digest([weights]) == files_digest([weights])
    seen = {files_digest([weights])}
    trained = bytearray(3_000_000)
    trained[::PIECE] = b"\x01" * len(trained[::PIECE])  # the header, the size and the name stay
    for name, content in (("model.safetensors", trained), ("config.json", b"{ }"), ("prompts.json", b"{}")):
        (weights / name).write_bytes(content)
        seen.add(files_digest([weights]))
    (weights / "config.json").rename(weights / "other.json")
    seen.add(files_digest([weights]))
    assert len(seen) == 5


def test_a_small_file_is_read_whole(weights):
    path = weights / "model.safetensors"
    path.write_bytes(bytes(PIECES * PIECE))
    before = files_digest([weights])
    for place in (0, 1000, PIECES * PIECE - 1):
        changed = bytearray(PIECES * PIECE)
        changed[place] = 1
        path.write_bytes(changed)
        assert files_digest([weights]) != before


def test_what_is_recorded(weights, tmp_path):
    plain, with_base = Origin.of(str(weights)), Origin.of(str(weights), weights)
    assert plain.record == {"weights": files_digest([weights])}
    assert with_base.record["base"] == str(weights) and with_base.weights != plain.weights
    path = tmp_path / "inference.yaml"
    path.write_text("# a note\nmax_turns: 2\nsampling: {temperature: 0.5}\n")
    record = Origin.of(str(weights), None, read_inference(path)).record
    assert record["inference"]["max_turns"] == 2 and record["inference"]["sampling"]["temperature"] == 0.5
    assert json.loads(json.dumps(record)) == record
    with pytest.raises(CooperError, match="no directory"):
        Origin.of("nowhere at all")


@pytest.mark.parametrize(
    "made",
    [
        lambda origin: ScenesSuite(model="nano", modes=("text",), out=Path("x"), origin=origin),
        lambda origin: DepthSuite(model="nano", dataset="nyu", data="x", out=Path("y"), origin=origin),
        lambda origin: SegmentationSuite(model="nano", dataset="ade20k", data="x", out=Path("y"), origin=origin),
        lambda origin: settings(Path("x"), "y", origin=origin),
    ],
    ids=["scenes", "depth", "segmentation", "published"],
)
def test_every_kind_of_run_records_it_and_refuses_another(made, tmp_path):
    open_run(tmp_path, made(OTHER).record)
    open_run(tmp_path, made(OTHER).record)
    for changed in (replace(OTHER, weights="4567"), replace(OTHER, inference={"max_turns": 3}), replace(OTHER, base="b")):
        with pytest.raises(CooperError, match=r"holds a run with (weights|inference|base) .*: choose another folder"):
            open_run(tmp_path, made(changed).record)


def test_a_folder_of_an_earlier_version_is_refused_in_a_sentence(mmvp, tmp_path):  # noqa: F811
    settings(tmp_path / "run", mmvp).evaluate(Says("A"))  # no weights are known: as earlier versions wrote it
    with pytest.raises(CooperError, match="a run of an earlier version, which did not write down its weights and settings"):
        settings(tmp_path / "run", mmvp, origin=OTHER).evaluate(Says("A"))


def test_a_kit_answers_with_the_settings_of_a_file(tmp_path):
    path = tmp_path / "inference.yaml"
    path.write_text("max_turns: 2\nsampling: {temperature: 0.5, max_tokens: 7}\n")
    model = KitModel("nano", "text", inference=str(path))
    options = Answerer.of(model).options
    assert (options.mode, options.max_turns, options.sampling.temperature, options.sampling.max_tokens) == ("text", 2, 0.5, 7)
    assert Answerer.of(replace(model, max_tokens=9)).options.sampling.max_tokens == 9
    assert Answerer.of(KitModel("nano", "text")).options.max_turns == Inference().max_turns == 3
    assert model.record["inference"]["max_turns"] == 2 and "inference" not in KitModel("nano", "text").record
    path.write_text("max_turn: 2\n")
    with pytest.raises(CooperError, match="unknown key 'max_turn'"):
        Answerer.of(model)


@pytest.mark.parametrize(
    ("name", "said", "record"),
    [
        (
            "scenes",
            {"limit": 7, "blind": True},
            {"limit": 7, "data": "d", "split": "test", "maps": None, "blind": True},
        ),
        ("mmvp", {"limit": 3}, {"limit": 3, "data": "d/"}),
        ("depth", {"dataset": "nyu"}, {"benchmark": "depth on nyu", "limit": None, "data": "d"}),
        ("segmentation", {"dataset": "ade20k"}, {"benchmark": "segmentation on ade20k", "limit": None, "data": "d"}),
    ],
)
def test_a_run_is_recorded_as_earlier_versions_did(name, said, record):
    """Or no folder of theirs could be gone on with."""
    suite = EvaluationRequest(model="nano", out=Path("x"), data="d/", seed=4, origin=OTHER, **said).suite(name)
    assert suite.record == {"benchmark": name, "model": "nano", "seed": 4, **OTHER.record, **record}


def test_scenes_without_data_and_limit_are_recorded_as_earlier_versions_did():
    suite = EvaluationRequest(model="nano", out=Path("x")).suite("scenes")
    assert suite.record["limit"] == 400 and suite.record["data"] is None
