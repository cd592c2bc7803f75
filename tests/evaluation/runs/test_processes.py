"""Shares of a run: every row in exactly one, whatever the number of processes, and all rows read together."""

import json
import threading
from functools import partial

import pytest
import torch

from cooper.errors import CooperError
from cooper.evaluation.maps.drawing import DEPTH, SEGMENTATION, draw_maps
from cooper.evaluation.runs.answering import KEY, answer_all, read_answers
from cooper.evaluation.runs.folder import gather_rows, open_run, parts_of, read_part_lines
from cooper.evaluation.runs.processes import Share, wait_for_others
from cooper.evaluation.runs.settings import RunSettings
from cooper.files.rows import append_rows, read_rows
from tests.evaluation.suites.test_published import Says, mmvp, settings  # noqa: F401 - mmvp is a fixture


def plan(folder, share, **changes) -> RunSettings:
    return RunSettings(
        **{
            "model": "made",
            "modes": ("interleaved", "direct"),
            "seed": 0,
            "batch": 3,
            "out": folder,
            "quiet": True,
            "share": share,
        }
        | changes
    )


def together(count, work):
    """What `work(share)` gives in each of `count` processes; threads stand for them."""
    given, faults = {}, []

    def run(share):
        try:
            given[share.rank] = work(share)
        except CooperError as error:
            faults.append(error)

    threads = [threading.Thread(target=run, args=(Share(rank, count),)) for rank in reversed(range(count))]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(30)
    assert not faults and len(given) == count
    return [given[rank] for rank in range(count)]


@pytest.fixture(autouse=True)
def hasty(monkeypatch):
    monkeypatch.setattr("cooper.evaluation.runs.processes.PAUSE", 0.01)


@pytest.mark.parametrize("count", [1, 2, 3, 7, 40])
def test_every_item_is_in_exactly_one_share(count):
    shares = [Share(rank, count).of(range(22)) for rank in range(count)]
    assert sorted(item for share in shares for item in share) == list(range(22))
    assert max(map(len, shares)) - min(map(len, shares)) <= 1


def test_the_launcher_numbers_the_processes(monkeypatch):
    for name in ("RANK", "WORLD_SIZE", "LOCAL_RANK"):
        monkeypatch.delenv(name, raising=False)
    assert Share.here() == Share(0, 1, 0) and Share.here().first
    for name, value in (("RANK", "9"), ("WORLD_SIZE", "16"), ("LOCAL_RANK", "1")):
        monkeypatch.setenv(name, value)
    assert Share.here() == Share(9, 16, 1) and not Share.here().first
    monkeypatch.setenv("WORLD_SIZE", "9")
    with pytest.raises(CooperError, match="process 9 of 9: RANK must be"):
        Share.here()
    monkeypatch.setenv("RANK", "first")
    with pytest.raises(CooperError, match="RANK is 'first' in the environment"):
        Share.here()


def test_each_process_has_a_device_of_its_own(monkeypatch):
    monkeypatch.setattr(torch.cuda, "device_count", lambda: 2)
    assert [Share(rank, 4, rank).device("auto") for rank in range(4)] == ["cuda:0", "cuda:1", "cuda:0", "cuda:1"]
    assert Share(3, 4, 1).device("cuda") == "cuda:1"
    assert Share(1, 2, 1).device("cpu") == "cpu" and Share(1, 2, 1).device(None) is None
    assert Share().device("auto") == "auto"
    monkeypatch.setattr(torch.cuda, "device_count", lambda: 0)
    assert Share(1, 2, 1).device("auto") == "cpu" and Share(1, 2, 1).device("cuda") == "cuda"


def test_two_processes_answer_what_one_answers(cooper, items, tmp_path):
    whole = answer_all(cooper, items, plan(tmp_path / "one", Share()))
    models = [type(cooper)(), type(cooper)()]
    first, second = together(2, lambda share: answer_all(models[share.rank], items, plan(tmp_path / "two", share)))
    assert first == second == whole
    assert [sum(count for _, count in model.calls) for model in models] == [22, 22]
    assert sorted(path.name for path in (tmp_path / "two").iterdir()) == ["rows-0.jsonl", "rows-1.jsonl", "traces"]
    assert {row.id for row in read_answers(tmp_path / "two" / "rows.jsonl")} == {item.id for item in items}


def test_a_run_goes_on_with_another_number_of_processes(cooper, items, tmp_path):
    whole = answer_all(cooper, items, plan(tmp_path / "one", Share()))
    folder, kind = tmp_path / "parts", type(cooper)
    for share, stop in ((Share(), 2), (Share(1, 3), 2), (Share(0, 3), 1), (Share(1, 2), 3)):
        with pytest.raises(KeyboardInterrupt):
            answer_all(kind(stop_after=stop), items, plan(folder, share))
    path, wrote = folder / "rows.jsonl", len(read_part_lines(folder / "rows.jsonl", *KEY))
    for torn in (path, folder / "rows-1.jsonl"):  # killed within a line, twice
        torn.write_bytes(torn.read_bytes()[:-20])
    done = len(read_part_lines(path, *KEY))
    assert 10 < done == wrote - 2 < 30
    models = [kind() for _ in range(4)]
    for rows in together(4, lambda share: answer_all(models[share.rank], items, plan(folder, share))):
        assert rows == whole
    assert sum(count for model in models for _, count in model.calls) == 44 - done
    rows = [(row["mode"], row["id"]) for path in folder.glob("rows*.jsonl") for row in read_rows(path)]
    assert len(rows) == len(set(rows)) == 44
    again = kind()
    assert answer_all(again, items, plan(folder, Share())) == whole and again.calls == []


def test_of_equal_rows_the_first_counts(tmp_path):
    path = tmp_path / "rows.jsonl"
    for name, rows in (("rows-10", [("a", 10), ("c", 10)]), ("rows-2", [("a", 2), ("b", 2)]), ("rows", [("b", 0), ("b", 1)])):
        append_rows(tmp_path / f"{name}.jsonl", [{"id": id, "from": number} for id, number in rows])
    for other in ("rows-old.jsonl", "rows-1.jsonl.bak", "other-1.jsonl"):
        (tmp_path / other).write_text("not a row\n")
    assert [file.name for file in parts_of(path)] == ["rows.jsonl", "rows-2.jsonl", "rows-10.jsonl"]
    assert {id: line.values["from"] for (id,), line in read_part_lines(path, "id").items()} == {"b": 0, "a": 2, "c": 10}
    with pytest.raises(CooperError, match=r"rows\.jsonl holds a row without 'mode'"):
        read_part_lines(path, "mode", "id")


def test_a_row_that_two_processes_wrote_counts_once(cooper, items, tmp_path):
    whole = answer_all(cooper, items, plan(tmp_path, Share()))
    (tmp_path / "rows-1.jsonl").write_bytes((tmp_path / "rows.jsonl").read_bytes())
    assert answer_all(cooper, items, plan(tmp_path, Share())) == whole
    assert len(read_answers(tmp_path / "rows.jsonl")) == 44


def _draw(kind, models, truths, conventions, folder, share):
    return draw_maps(models[share.rank], kind, truths, conventions=conventions, settings=plan(folder, share))


def test_maps_are_shared_too(cooper, truths, conventions, tmp_path):
    for kind in (DEPTH, SEGMENTATION):
        whole = draw_maps(cooper, kind, truths, conventions=conventions, settings=plan(tmp_path / "one", Share()))
        stopping = type(cooper)(stop_after=1)
        with pytest.raises(KeyboardInterrupt):
            draw_maps(stopping, kind, truths, conventions=conventions, settings=plan(tmp_path / "two", Share()))
        models = [type(cooper)(), type(cooper)()]
        work = partial(_draw, kind, models, truths, conventions, tmp_path / "two")
        assert together(2, work) == [whole, whole]
        assert sum(count for model in models for _, count in model.calls) == 4
        assert len(read_part_lines(tmp_path / "two" / f"{kind.name}.jsonl", "id")) == 7


def test_only_the_first_process_opens_and_reports(mmvp, tmp_path):  # noqa: F811
    def work(share):
        return settings(tmp_path / "two", mmvp, share=share).evaluate(Says("A"))

    whole = settings(tmp_path / "one", mmvp).evaluate(Says("A"))
    first, second = together(2, work)
    assert first == second == whole
    one, two = (json.loads((tmp_path / name / "report.json").read_text()) for name in ("one", "two"))
    assert one == two
    for report in (tmp_path / "two").glob("report.*"):
        report.unlink()
    settings(tmp_path / "two", mmvp, share=Share(1, 2)).evaluate(Says("A"))
    assert not list((tmp_path / "two").glob("report.*"))


def test_another_run_in_the_folder_is_named_by_every_process(tmp_path):
    open_run(tmp_path, {"seed": 1}, Share(0, 2))
    open_run(tmp_path, {"seed": 1}, Share(1, 2))
    for rank in range(2):
        with pytest.raises(CooperError, match="a run with seed 1, not 2"):
            open_run(tmp_path, {"seed": 2}, Share(rank, 2))


def test_waiting_ends_when_nothing_comes(tmp_path):
    path = tmp_path / "rows.jsonl"
    append_rows(tmp_path / "rows-0.jsonl", [{"id": "a"}])
    wanted = [("a",), ("b",), ("c",)]
    with pytest.raises(CooperError, match=r"2 rows of .* did not come from the other processes within 0\.05 s"):
        gather_rows(path, ("id",), wanted, Share(0, 2), patience=0.05)
    counts = iter([3, 3, 2, 2, 1, 1, 0])  # slow, but never still for long
    wait_for_others(lambda: next(counts), "rows", patience=0.05)
