"""What was asked stays known: across judges, after a kill, with several writers."""

import subprocess
import sys
import threading
from collections.abc import Iterator
from dataclasses import replace

import pytest

from cooper.errors import CooperError
from cooper.evaluation.judge.cache import ReplyCache, StoredReply
from cooper.evaluation.judge.judge import Judge, JudgeCounts
from tests.judge_server import Play, Server, completion, serving, settings_of


@pytest.fixture
def server(monkeypatch) -> Iterator[Server]:
    with serving(monkeypatch) as server:
        yield server


def test_a_second_judge_asks_nothing_twice(server, tmp_path):
    server.script = lambda call, prompt: Play(completion(f"{prompt} ü\u2028\\ \ud83d"))
    settings = settings_of(server, cache=tmp_path / "new" / "cache")
    first = Judge(settings).ask_all(["a", "b\ud800"])
    again = Judge(settings)
    second = again.ask_all(["b\ud800", "a", "c"])
    assert [verdict.reply for verdict in second[:2]] == [first[1].reply, first[0].reply]
    assert [verdict.cached for verdict in second] == [True, True, False]
    assert again.counts == JudgeCounts(asked=1, cached=2, tokens_in=7, tokens_out=2)
    assert len(server.requests) == 3
    for change in ({"model": "other"}, {"temperature": 0.5}, {"max_tokens": 5}):
        assert not Judge(replace(settings, **change)).ask_all(["a"])[0].cached
    assert Judge(replace(settings, url=settings.url + "/", timeout=9.0)).ask_all(["a"])[0].cached


def test_a_killed_run_keeps_what_it_had(server, tmp_path):
    code = (
        "import sys; from pathlib import Path; from cooper.evaluation.judge.judge import Judge, JudgeSettings; "
        "Judge(JudgeSettings(sys.argv[1], 'big-judge', concurrency=1, cache=Path(sys.argv[2]))).ask_all(list('abc'))"
    )
    third = threading.Event()
    server.script = lambda call, prompt: Play(held=True) if call == 2 and not third.set() else Play()
    process = subprocess.Popen([sys.executable, "-c", code, server.url, str(tmp_path)])
    assert third.wait(600)
    process.kill()
    process.wait()
    verdicts = Judge(settings_of(server, cache=tmp_path)).ask_all(list("abc"))
    assert [verdict.cached for verdict in verdicts] == [True, True, False]


def test_a_torn_last_line_costs_one_reply(server, tmp_path):
    settings = settings_of(server, cache=tmp_path, concurrency=1)
    Judge(settings).ask_all(["a", "b"])
    [path] = tmp_path.iterdir()
    path.write_bytes(path.read_bytes()[:-10])
    verdicts = Judge(settings).ask_all(["a", "b"])
    assert [(verdict.reply, verdict.cached) for verdict in verdicts] == [("yes", True), ("yes", False)]
    assert all(verdict.cached for verdict in Judge(settings).ask_all(["a", "b"]))


def test_a_cache_written_by_many_threads_is_whole(tmp_path):
    cache = ReplyCache(tmp_path)
    replies = [StoredReply(str(index), "x" * index, index, 0) for index in range(40)]
    threads = [threading.Thread(target=cache.add, args=(reply,)) for reply in replies]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert [ReplyCache(tmp_path).get(reply.key) for reply in replies] == replies


def test_what_is_no_cache_is_named(tmp_path):
    (tmp_path / "judge-1.jsonl").write_text('{"id": 1}\n')
    with pytest.raises(CooperError, match=r"judge-1\.jsonl: not a cache of a judge, it has a row with id"):
        ReplyCache(tmp_path)
    (tmp_path / "file").touch()
    with pytest.raises(CooperError, match="cannot be kept"):
        ReplyCache(tmp_path / "file").add(StoredReply("k", "r", 0, 0))
