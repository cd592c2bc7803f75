"""Tries, back-off and faults: what passes, what is given up, and where the key comes from."""

import json
import re
import socket
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest

from cooper.errors import CooperError
from cooper.evaluation.judge.endpoint import JudgeSettings, Verdict, read_completion, read_key, read_retry_after, shown_url
from cooper.evaluation.judge.judge import Judge, JudgeCounts
from tests.judge_server import Play, Server, completion, expiring, in_turn, serving, settings_of


@pytest.fixture
def server(monkeypatch) -> Iterator[Server]:
    with serving(monkeypatch) as server:
        yield server


def test_after_a_slow_try_comes_another(server, monkeypatch):
    expiring(monkeypatch, server)
    server.script = in_turn(Play(held=True), Play())
    assert Judge(settings_of(server, retries=1)).ask_all(["?"])[0].reply == "yes"
    assert len(server.requests) == 2


def test_a_slow_server_runs_out_of_time(server):
    server.script = in_turn(Play(held=True))
    judge = Judge(settings_of(server, timeout=0.1, retries=1))
    [verdict] = judge.ask_all(["?"])
    assert verdict == Verdict(None, f"{server.url} gave no whole reply within 0.1 s (tries: 2)")
    assert judge.counts == JudgeCounts(asked=1, unreached=1)


def test_a_server_that_drips_runs_out_of_time_too(server):
    server.script = in_turn(Play(drip=True))
    [verdict] = Judge(settings_of(server, timeout=0.3, retries=0)).ask_all(["?"])  # would never end
    assert verdict.reply is None and "within 0.3 s" in verdict.error


def test_too_many_requests_pass(server):
    server.script = in_turn(Play("{}", 429), Play("{}", 503), Play())
    assert Judge(settings_of(server)).ask_all(["?"])[0].reply == "yes"
    assert len(server.requests) == 3


def test_retry_after_is_obeyed(server):
    server.script = in_turn(Play("{}", 429, (("Retry-After", "0.4"),)), Play())
    assert Judge(settings_of(server)).ask_all(["?"])[0].reply == "yes"
    assert server.times[1] - server.times[0] >= 0.4


def test_a_server_that_asks_for_an_hour_is_given_up(server):
    server.script = in_turn(Play('{"error": {"message": "quota"}}', 429, (("Retry-After", "3600"),)))
    [verdict] = Judge(settings_of(server)).ask_all(["?"])
    assert verdict.reply is None and "HTTP 429" in verdict.error and "quota" in verdict.error
    assert len(server.requests) == 1


BROKEN = {
    "error 500": (Play('{"error": {"message": "out of memory"}}', 500), "HTTP 500.*out of memory"),
    "rubbish": (Play("<html>proxy</html>"), "not answer with JSON"),
    "deep rubbish": (Play("[" * 100_000), "not answer with JSON"),
    "no choices": (Play('{"choices": []}'), "without choices"),
    "error in disguise": (Play('{"error": {"message": "busy"}}'), "without choices.*busy"),
    "no text": (Play(completion(None)), "wrote no text"),
    "blank text": (Play(completion(" \n")), "wrote no text"),
    "dies half way": (Play(torn=True), "could not be reached"),
}


@pytest.mark.parametrize(("play", "said"), BROKEN.values(), ids=BROKEN)
def test_what_stays_broken_is_no_reply_and_is_not_kept(server, tmp_path, play, said):
    server.script = in_turn(play, play, play, Play())
    judge = Judge(settings_of(server, cache=tmp_path))
    [verdict, same] = judge.ask_all(["?", "?"])
    assert verdict.reply is None and not verdict.cached and same == verdict
    assert re.search(said + r".*\(tries: 3\)$", verdict.error), verdict.error
    assert judge.counts == JudgeCounts(asked=1, unreached=2)
    assert len(server.requests) == 3
    assert judge.ask_all(["?"]) == [Verdict("yes", "", False, 7, 2)]
    assert judge.counts.asked == 2


def test_a_prompt_the_server_cannot_take_is_not_tried_again(server):
    server.script = lambda call, prompt: Play('{"error": {"message": "too long"}}', 400) if prompt == "long" else Play()
    long, short = Judge(settings_of(server)).ask_all(["long", "short"])
    assert long.reply is None and "HTTP 400" in long.error and "too long" in long.error
    assert short.reply == "yes" and len(server.requests) == 2


def test_a_server_that_is_not_there():
    pytest.importorskip("openai")
    [verdict] = Judge(JudgeSettings("http://127.0.0.1:9/v1", "m", backoff=0.0, retries=1)).ask_all(["?"])
    assert verdict.reply is None and "could not be reached" in verdict.error


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ({"url": "localhost:8000"}, "url must be"),
        ({"url": "http://localhost:x/v1"}, "url must be"),
        ({"model": ""}, "model must be"),
        ({"key": "sk-123"}, "key must name"),
        ({"concurrency": 0}, "concurrency must be at least 1, got 0"),
        ({"timeout": 0.0}, "timeout must be"),
        ({"retries": -1}, "retries must be"),
        ({"backoff": -1.0}, "backoff must be"),
        ({"max_tokens": 0}, "max_tokens must be"),
        ({"temperature": float("nan")}, "temperature must be"),
    ],
)
def test_wrong_settings_are_named(change, said):
    with pytest.raises(CooperError, match=said):
        replace(JudgeSettings("http://localhost:8000/v1", "m"), **change)


def test_keys_come_from_the_environment_or_a_file(tmp_path: Path, monkeypatch):
    monkeypatch.delenv("JUDGE_KEY", raising=False)
    assert read_key("JUDGE_KEY", tmp_path) == ""
    (tmp_path / ".env").write_text('MY_JUDGE_KEY=no\n# JUDGE_KEY=no\nexport JUDGE_KEY = "a #1" # mine\nEMPTY= # none\n')
    assert read_key("JUDGE_KEY", tmp_path) == "a #1"
    assert read_key("EMPTY", tmp_path) == ""
    monkeypatch.setenv("JUDGE_KEY", " from-outside\n")
    assert read_key("JUDGE_KEY", tmp_path) == "from-outside"
    monkeypatch.setenv("JUDGE_KEY", "ключ")
    with pytest.raises(CooperError, match="JUDGE_KEY holds characters"):
        read_key("JUDGE_KEY", tmp_path)


def test_the_working_directory_has_the_key(server, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    (tmp_path / ".env").write_text("OTHER_KEY='from file'\n")
    Judge(settings_of(server, key="OTHER_KEY")).ask_all(["?"])
    assert server.keys == ["Bearer from file"]


@pytest.mark.parametrize(
    ("header", "seconds"),
    [
        (None, None),
        ("7", 7.0),
        ("0.5", 0.5),
        ("-3", 0.0),
        ("soon", None),
        ("nan", None),
        ("Thu, 01 Jan 1970 00:01:40 GMT", 90.0),
        ("Thu, 01 Jan 1970 00:00:00 GMT", 0.0),
    ],
)
def test_retry_after(header, seconds):
    assert read_retry_after(header, now=10.0) == seconds


@pytest.mark.parametrize("body", ["[]", "3", '{"choices": 3}', '{"choices": [3]}', '{"choices": [{"message": 3}]}'])
def test_odd_bodies_are_faults(body):
    assert not isinstance(read_completion(body), Verdict)


def test_odd_usage_counts_as_nothing():
    body = json.dumps({"choices": [{"message": {"content": "yes"}}], "usage": {"prompt_tokens": "many"}})
    assert read_completion(body) == Verdict("yes")


@pytest.mark.parametrize(
    ("url", "shown"),
    [
        ("https://host.example/v1", "https://host.example/v1"),
        ("https://user:hunter22@host.example:8000/v1?key=hunter22#hunter22", "https://host.example:8000/v1"),
        ("http://hunter22@[::1]:8000/v1/", "http://[::1]:8000/v1/"),
        ("https://host.example/v1?to=me@hunter22", "https://host.example/v1"),
        ("user:hunter22@host.example/v1?key=hunter22", "host.example/v1"),
        ("ftp://user:hunter22@host.example/v1", "ftp://host.example/v1"),
        ("https://user:hunt#er?22@host.example", "https://host.example"),
        ("https://user:hunter22@host.example:port/v1", "https://host.example:port/v1"),
        ("https://user:hunter22@[::1/v1?hunter22", "https://[::1/v1"),
    ],
)
def test_an_address_is_shown_without_its_secrets(url, shown):
    assert shown_url(url) == shown


def test_an_address_that_is_none_is_refused_without_its_secrets():
    with pytest.raises(CooperError, match=r"url must be .* got 'ftp://host.example/v1'") as refused:
        JudgeSettings("ftp://user:hunter22@host.example/v1?key=hunter22", "m")
    assert "hunter22" not in str(refused.value)


@pytest.mark.parametrize(("status", "error"), [(500, "HTTP 500"), (401, "refuses the key"), (404, "no such address")])
def test_messages_hold_no_secret_of_the_address(server, status, error):
    place = server.url.removeprefix("http://")
    settings = settings_of(server, url=f"http://user:hunter22@{place}?token=swordfish", retries=0)
    said = json.dumps({"error": {"message": f"user:hunter22 with token swordfish is unknown at {settings.url}"}})
    server.script = in_turn(Play(said, status))
    try:
        [verdict] = Judge(settings).ask_all(["?"])
        message = verdict.error
    except CooperError as refused:
        message = str(refused)
    assert error in message and server.url in message and "is unknown" in message
    assert "hunter22" not in message and "swordfish" not in message


def test_a_judge_that_cannot_be_reached_is_named_without_secrets(monkeypatch):
    pytest.importorskip("openai")
    monkeypatch.setenv("NO_PROXY", "127.0.0.1")
    with socket.socket() as taken:  # a port that nobody listens at
        taken.bind(("127.0.0.1", 0))
        place = f"127.0.0.1:{taken.getsockname()[1]}"
        [verdict] = Judge(JudgeSettings(f"http://user:hunter22@{place}/v1?key=swordfish", "m", retries=0)).ask_all(["?"])
    assert verdict.error.startswith(f"http://{place}/v1 could not be reached")
    assert "hunter22" not in verdict.error and "swordfish" not in verdict.error
