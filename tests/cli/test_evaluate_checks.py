"""`cooper eval` finds mistakes in all that it is asked for before it loads a model."""

import subprocess
import sys

import pytest

import cooper.reasoning.cooper as door
from tests.evaluation.suites.test_published import mmvp  # noqa: F401 - a fixture

JUDGE = ("--judge", "http://localhost:1/v1", "--judge-model", "big")


@pytest.fixture
def no_model(monkeypatch):
    def load(*args, **kwargs):
        pytest.fail("the model was loaded before the mistake was found")

    monkeypatch.setattr(door.Cooper, "from_pretrained", load)


@pytest.mark.usefixtures("no_model")
@pytest.mark.parametrize(
    ("more", "said"),
    [
        (["mmpv"], "unknown benchmark 'mmpv'"),
        (["mmbench-v11-mini"], "mmbench-v11-mini is not on the hub: name the folder"),
        (["mm-vet", "--data", "mm-vet={open}"], "mm-vet has open answers, which a judge must grade"),
        (["q-spatial-plus", "--data", "q-spatial-plus=/nowhere"], "/nowhere: no such file or folder"),
        (["scenes", "--traces", "-1"], "traces must not be negative"),
        (["--limit", "0"], "limit must be at least 1"),
    ],
)
def test_a_mistake_in_the_second_benchmark_is_found_first(run, tmp_path, mmvp, write_open, more, said):  # noqa: F811
    more = [word.format(open=write_open) for word in more]
    ran = run("eval", "mmvp", *more, "--data", f"mmvp={mmvp}", "--mode", "direct", "--out", tmp_path / "x")
    assert ran.code == 1 and said in " ".join(ran.err.split())
    assert not (tmp_path / "x").exists()


@pytest.fixture
def write_open(tmp_path):
    folder = tmp_path / "open"
    folder.mkdir()
    (folder / "x.png").write_bytes(b"not looked at")
    entry = '{"v1_0": {"imagename": "x.png", "question": "x?", "answer": "1", "capability": ["ocr"]}}'
    (folder / "mm-vet.json").write_text(entry)
    return folder


@pytest.mark.usefixtures("no_model")
@pytest.mark.parametrize("names", [["scenes"], ["scenes", "depth"]])
def test_a_judge_that_nothing_would_ask_is_an_error(run, tmp_path, names):
    data = ("--dataset", "scenes", "--data", f"depth={tmp_path}") if "depth" in names else ()
    ran = run("eval", *names, *data, *JUDGE, "--out", tmp_path / "x")
    assert ran.code == 1 and f"a judge scores published benchmarks, and {', '.join(names)} needs none" in ran.err


REFUSED = [
    (("scenes", "--mode", "foo"), "unknown mode 'foo'"),
    (("scenes", "--seed", "-1"), "seed is -1"),
    (("sibenhc",), "unknown benchmark 'sibenhc'"),
    (("depth", "--dataset", "nyu"), "needs the folder of the data set"),
    (("depth", "--dataset", "scenes"), "makes one, then --data depth=data/scenes/val"),
    (("mmvp", "--data", "gone"), "gone"),
    (("scenes", "--model", "nowhere"), "nowhere"),
    (("scenes", "--inference", "gone.yaml"), "cannot read gone.yaml"),
    (("scenes", "--out", "file"), "is a file"),
    (("--rescore", "nope"), "nope is no folder"),
]


@pytest.mark.parametrize(("more", "said"), REFUSED)
def test_what_cannot_be_is_refused_before_torch_is_imported(tmp_path, more, said):
    (tmp_path / "file").touch()
    code = (
        f"import sys; sys.argv = ['cooper', 'eval', *{more}]\n"
        "from cooper.cli.main import main\n"
        "try: main()\n"
        "finally: print([name for name in ('torch', 'transformers', 'diffusers') if name in sys.modules])"
    )
    ran = subprocess.run([sys.executable, "-c", code], cwd=tmp_path, capture_output=True, text=True, check=False)
    assert ran.returncode == 1 and said in " ".join(ran.stderr.split()) and ran.stdout.strip() == "[]", ran.stderr
    assert [path.name for path in tmp_path.iterdir()] == ["file"]


@pytest.mark.parametrize(("suite", "dataset"), [("depth", "nyu"), ("segmentation", "ade20k")])
def test_suites_of_maps_refuse_a_mode(run, tmp_path, suite, dataset):
    """They draw in no mode, so one would pass unseen."""
    ran = run("eval", suite, "--dataset", dataset, "--data", str(tmp_path), "--mode", "text", "--out", str(tmp_path / "out"))
    said = f"a mode says how questions are answered, and {suite} asks none: leave --mode away"
    assert ran.code == 1 and said in ran.err and not (tmp_path / "out").exists()
