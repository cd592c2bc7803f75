"""A model that refuses a field is asked without it, and the judge remembers."""

import json
from collections.abc import Iterator

import pytest

from cooper.evaluation.judge.judge import Judge, JudgeCounts
from tests.judge_server import Play, Server, settings_of
from tests.judge_server import serving as started

FIELDS = ("temperature", "max_tokens", "max_completion_tokens")


@pytest.fixture
def server(monkeypatch) -> Iterator[Server]:
    with started(monkeypatch) as server:
        yield server


def refusing(server: Server, *refused: str, status: int = 400):
    """Refuses the first of these fields that a request has, in the words of a well-known server."""

    def script(call: int, prompt: str) -> Play:
        sent = next((field for field in refused if field in server.requests[call]), "")
        said = f"Unsupported parameter: '{sent}' is not supported with this model. Use 'max_completion_tokens' instead."
        return Play(json.dumps({"error": {"message": said}}), status) if sent else Play()

    return script


def sent(server: Server) -> list[set[str]]:
    return [set(FIELDS) & request.keys() for request in server.requests]


def test_the_limit_of_tokens_goes_by_its_newer_name(server):
    server.script = refusing(server, "max_tokens")
    judge = Judge(settings_of(server, retries=0, concurrency=1))
    assert judge.ask_all(["a", "b"])[1].reply == "yes"
    assert sent(server) == [{"temperature", "max_tokens"}, *[{"temperature", "max_completion_tokens"}] * 2]
    assert server.requests[2]["max_completion_tokens"] == 1024 and judge.counts == JudgeCounts(2, tokens_in=14, tokens_out=4)
    judge.ask_all(["c"])
    assert len(server.requests) == 4, "the next call knows"


def test_each_field_that_is_refused_is_left_out_once(server):
    server.script = refusing(server, *FIELDS, status=422)
    assert Judge(settings_of(server, retries=0)).ask_all(["a"])[0].reply == "yes"
    assert [len(fields) for fields in sent(server)] == [2, 1, 1, 0]


def test_many_at_once_agree_on_what_is_left_out(server):
    server.script = refusing(server, "max_tokens", "temperature")
    judge = Judge(settings_of(server, retries=0, concurrency=8))
    assert {verdict.reply for verdict in judge.ask_all([str(number) for number in range(8)])} == {"yes"}
    judge.ask_all(["one more"])
    assert sent(server)[-1] == {"max_completion_tokens"}


def test_another_fault_of_the_prompt_leaves_the_fields(server):
    server.script = lambda call, prompt: Play('{"error": {"message": "too long"}}', 400)
    assert "too long" in Judge(settings_of(server)).ask_all(["a"])[0].error
    assert sent(server) == [{"temperature", "max_tokens"}]
