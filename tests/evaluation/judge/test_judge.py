"""A judge asks each prompt once, many at a time, and counts."""

import asyncio
import json
import subprocess
import sys
import threading
from collections.abc import Iterator

import pytest

from cooper.errors import CooperError
from cooper.evaluation.judge.endpoint import JudgeSettings, Verdict
from cooper.evaluation.judge.judge import Judge, JudgeCounts
from tests.judge_server import KEY, Play, Server, completion, serving, settings_of


@pytest.fixture
def server(monkeypatch) -> Iterator[Server]:
    with serving(monkeypatch) as server:
        yield server


def test_a_good_reply(server):
    judge = Judge(settings_of(server))
    assert judge.ask_all(["Is it right?"]) == [Verdict("yes", "", False, 7, 2)]
    assert judge.counts == JudgeCounts(asked=1, tokens_in=7, tokens_out=2)
    request = server.requests[0]
    assert request["path"] == "/v1/chat/completions" and request["model"] == "big-judge"
    assert request["temperature"] == 0.0 and request["max_tokens"] == 1024
    assert server.keys == [f"Bearer {KEY}"]
    assert judge.ask_all([]) == []


def test_settings_of_none_are_not_sent_and_a_key_may_be_missing(server, monkeypatch):
    monkeypatch.delenv("OPENAI_API_KEY")
    Judge(settings_of(server, max_tokens=None, temperature=None)).ask_all(["?"])
    assert not {"temperature", "max_tokens"} & server.requests[0].keys()
    assert server.keys == ["Bearer none"]


def test_equal_prompts_are_asked_once_and_order_is_kept(server):
    server.script = lambda call, prompt: Play(completion(f"re {prompt}"))
    judge = Judge(settings_of(server))
    verdicts = judge.ask_all(["a", "b", "a", "c", "b"])
    assert [verdict.reply for verdict in verdicts] == ["re a", "re b", "re a", "re c", "re b"]
    assert [verdict.cached for verdict in verdicts] == [False, False, True, False, True]
    assert sorted(server.prompts) == ["a", "b", "c"]
    assert judge.counts == JudgeCounts(asked=3, cached=2, tokens_in=21, tokens_out=6)


def test_calls_at_once_share_requests_and_the_limit(server):
    three = threading.Barrier(3, timeout=600)  # passes nobody until three are there

    def together(call: int, prompt: str) -> Play:
        three.wait()
        return Play()

    async def both(judge: Judge) -> tuple[list[Verdict], list[Verdict]]:
        return await asyncio.gather(judge.ask(["a", "b", "c", "d"]), judge.ask(["a", "e", "f"]))

    server.script = together
    judge = Judge(settings_of(server, concurrency=3))
    first, second = asyncio.run(both(judge))
    assert not any(verdict.cached for verdict in first)
    assert [verdict.cached for verdict in second] == [True, False, False]
    assert sorted(server.prompts) == list("abcdef")
    assert server.busiest == 3
    assert judge.counts == JudgeCounts(asked=6, cached=1, tokens_in=42, tokens_out=12)


def test_one_call_given_up_does_not_harm_the_other(server):
    left = threading.Event()
    server.script = lambda call, prompt: Play() if left.wait(600) else Play("", 500)

    async def both(judge: Judge) -> list[Verdict]:
        leaving = asyncio.create_task(judge.ask(["a", "b"]))
        await asyncio.sleep(0)
        staying = asyncio.create_task(judge.ask(["a"]))
        while len(server.requests) < 2:
            await asyncio.sleep(0.005)
        leaving.cancel()
        await asyncio.wait([leaving])
        left.set()
        return await staying

    assert [verdict.reply for verdict in asyncio.run(both(Judge(settings_of(server))))] == ["yes"]
    assert sorted(server.prompts) == ["a", "b"]


@pytest.mark.parametrize(("status", "said"), [(401, "refuses the key"), (403, "not allow"), (404, "no such address or model")])
def test_what_can_never_work_fails_at_once(server, status, said, caplog):
    body = json.dumps({"error": {"message": f"you sent {KEY}"}})
    server.script = lambda call, prompt: Play(body, status)
    with pytest.raises(CooperError, match=said) as caught:
        Judge(settings_of(server, concurrency=2)).ask_all([str(i) for i in range(40)])
    assert "'big-judge'" in str(caught.value) and "OPENAI_API_KEY" in str(caught.value)
    assert KEY not in str(caught.value), "a key must not get into logs"
    assert len(server.requests) < 40
    assert "never retrieved" not in caplog.text


def test_wrong_calls_are_named(server):
    judge = Judge(settings_of(server))
    with pytest.raises(CooperError, match="a single string"):
        judge.ask_all("prompt")

    async def inside() -> None:
        judge.ask_all(["?"])

    with pytest.raises(CooperError, match=r"await judge\.ask"):
        asyncio.run(inside())


def test_a_missing_package_is_named(monkeypatch):
    monkeypatch.setitem(sys.modules, "openai", None)
    with pytest.raises(CooperError, match=r"pip install openai"):
        Judge(JudgeSettings("http://localhost:8000/v1", "m")).ask_all(["?"])


def test_importing_it_is_light():
    code = "import sys, cooper.evaluation.judge.judge; sys.exit('openai' in sys.modules or 'torch' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0
