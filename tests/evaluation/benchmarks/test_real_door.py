"""Every published benchmark as a user runs it: `cooper eval NAME`, nano, all four modes, data in the published form."""

import json
from collections.abc import Iterator

import pytest

import cooper.reasoning.cooper as door
from cooper.evaluation.benchmarks.catalogue import BENCHMARKS
from cooper.files.rows import read_rows
from cooper.trace.modes import MODES
from cooper.trace.trace import Trace
from tests.cli.conftest import run  # noqa: F401 - a fixture
from tests.evaluation.benchmarks.published_tables import published
from tests.judge_server import Play, completion, serving

pytest.importorskip("pyarrow")
ALIKE = [name for name in BENCHMARKS if name.startswith("sibench-") and name != "sibench-mini"]  # one reader, another file
ALL_MODES = ",".join(MODES)
MAPS = ["depth", "segmentation"]


@pytest.fixture(scope="module")
def loaded() -> Iterator[None]:
    """The bundled model itself, loaded once for all benchmarks: nothing stands in its place."""
    nano = door.Cooper.from_pretrained("nano")
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(door.Cooper, "from_pretrained", lambda *args, **kwargs: nano)
        yield


@pytest.mark.usefixtures("loaded")
@pytest.mark.parametrize("name", [pytest.param(each, marks=pytest.mark.slow if each in ALIKE else ()) for each in BENCHMARKS])
def test_nano_answers_and_draws(run, name, tmp_path, monkeypatch):  # noqa: F811
    out, asked = tmp_path / "out", ["--data", published(name, tmp_path / "data"), "--mode", ALL_MODES, "--limit", "1"]
    if name == "mm-vet":
        with serving(monkeypatch) as server:  # a judge has to grade, and no judge is bundled
            server.script = lambda call, prompt: Play(completion("0.5"))
            ran = run("eval", name, *asked, "--out", out, "--judge", server.url, "--judge-model", "big")
    else:
        ran = run("eval", name, *asked, "--out", out)
    assert ran.code == 0, ran.err
    rows = read_rows(out / "rows.jsonl")
    drawn = {mode: [row["maps"] for row in rows if row["mode"] == mode] for mode in MODES}
    assert all(maps == MAPS for maps in drawn["perception"]) and not any(drawn["text"] + drawn["direct"])
    if any(row["type"] in ("Number", "Text") for row in rows):  # put as it stands, without an instruction about letters
        assert drawn["interleaved"] == [["depth"]], "nano wants depth for a distance"
    for row in rows:
        trace = Trace.load(out / "traces" / row["mode"] / row["id"])
        assert [step.modality for step in trace.maps] == row["maps"] and trace.question.images[0].size == (64, 64)
        assert (out / "traces" / row["mode"] / row["id"] / "page.html").is_file()
    report = json.loads((out / "report.json").read_text())
    assert [mode["mode"] for mode in report["modes"]] == list(MODES)
    assert all(mode["rows"] == len(rows) / 4 and mode["unscored"] == 0 for mode in report["modes"])


def test_the_command_loads_nano_itself(run, tmp_path):  # noqa: F811
    data = published("mmvp", tmp_path / "data")
    ran = run(
        "eval", "mmvp", "--data", data, "--mode", "perception", "--limit", "1", "--out", tmp_path / "out", "--device", "cpu"
    )
    assert ran.code == 0, ran.err
    assert all(row["maps"] == MAPS for row in read_rows(tmp_path / "out" / "rows.jsonl"))
