"""Clients that leave, queues that are full, engines that die, servers that are stopped."""

import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from threading import Event

import httpx
import pytest

from cooper.cli.asking import ask
from cooper.cli.serving import serve
from cooper.errors import CooperError
from cooper.perception.depth import DepthModality
from cooper.reasoning.engine import Running
from tests.serving.running import Served, asking, serving, settings_in

LONG = {"mode": "perception", "drawing": {"num_timesteps": 100}}  # a hundred steps of two maps: time to leave


def until(happened: Callable[[], bool], served: Served | None = None) -> None:
    """Wait for something that must happen; after two minutes say how things stand, rather than wait for ever."""
    end = time.monotonic() + 120
    while not happened():
        time.sleep(0.01)
        desk = served.house.desk if served else None
        assert time.monotonic() < end, desk and (desk.fault, desk._jobs, desk._waiting, desk._leaving)


@pytest.fixture
def gate(monkeypatch) -> Event:
    """Until it is set, requests enter and leave the engine and get no further: nothing is over before it was looked at."""
    honest, opened = Running.step, Event()

    def waiting(self):
        if opened.is_set():
            return honest(self)
        time.sleep(0.01)
        return iter(())

    monkeypatch.setattr(Running, "step", waiting)
    return opened


def busy(served: Served) -> int:
    return len(served.house.desk._jobs)


@pytest.mark.parametrize("stream", [True, False], ids=["streamed", "plain"])
@pytest.mark.parametrize("route", ["/v1/chat/completions", "/v1/responses"])
def test_a_client_that_leaves_frees_its_row(served, gate, stream, route):
    body = asking(stream=stream, **LONG)
    body["input" if route.endswith("responses") else "messages"] = body.pop("messages")
    with httpx.Client(base_url=served.url, timeout=60) as client, ThreadPoolExecutor(1) as pool:
        if stream:
            with client.stream("POST", route, json=body) as answer:
                coming = answer.iter_bytes()  # held: one that is let go of takes its connection along
                next(coming)
                until(lambda: busy(served) == 1, served)
        else:
            asked = pool.submit(client.post, route, json=body, timeout=httpx.Timeout(60, read=1.0))
            until(lambda: busy(served) == 1 or asked.done(), served)
            assert isinstance(asked.exception(), httpx.ReadTimeout)  # it waited a second and left
    until(lambda: busy(served) == 0, served)
    gate.set()
    found = served.client.post("/v1/chat/completions", json=asking(seed=3)).json()
    assert found["choices"][0]["message"]["content"] == "red capsule"


def test_a_full_queue_says_when_to_come_again(nano, gate, tmp_path):
    with serving(nano, settings_in(tmp_path, limits={"rows": 1, "queue": 1})) as small, ThreadPoolExecutor(2) as pool:
        first = pool.submit(small.client.post, "/v1/chat/completions", json=asking(**LONG))
        until(lambda: busy(small) == 1, small)
        second = pool.submit(small.client.post, "/v1/chat/completions", json=asking(seed=3))
        until(lambda: len(small.house.desk._waiting) == 1, small)
        third = small.client.post("/v1/chat/completions", json=asking())
        assert third.status_code == 429 and int(third.headers["retry-after"]) >= 1
        assert third.json()["error"]["code"] == "queue_full"
        assert "cooper:num_requests_waiting" in small.client.get("/metrics").text
        gate.set()
        assert first.result().status_code == 200
        assert second.result().json()["choices"][0]["message"]["content"] == "red capsule"


def test_what_takes_too_long_ends(nano, gate, tmp_path):
    with serving(nano, settings_in(tmp_path, limits={"seconds": 0.5})) as hasty:
        answer = hasty.client.post("/v1/chat/completions", json=asking(**LONG))
        assert answer.status_code == 504 and "0.5 s" in answer.json()["error"]["message"]
        body = asking(stream=True, **LONG)
        body["input"] = body.pop("messages")
        events = hasty.client.post("/v1/responses", json=body).text
        assert "event: response.failed" in events and '"code": "timeout"' in events
        until(lambda: busy(hasty) == 0, hasty)


def test_more_memory_than_there_is_is_refused_before_it_starts(nano, tmp_path):
    with serving(nano, settings_in(tmp_path, limits={"memory": 200_000})) as small:
        answer = small.client.post("/v1/chat/completions", json=asking(max_turns=6))
        assert answer.status_code == 400 and "fewer pictures, tokens or turns" in answer.json()["error"]["message"]
        assert small.client.get("/ready").status_code == 200


def test_rows_wait_for_memory(nano, tmp_path):
    """Two that fit one after the other, and not together."""
    with serving(nano, settings_in(tmp_path)) as probe:
        asked = nano.prepared(*question_of_body(nano))[0]
        needed = probe.house.desk.needed(asked, nano.options())
    with serving(nano, settings_in(tmp_path, limits={"memory": needed * 3 // 2})) as small, ThreadPoolExecutor(3) as pool:
        most, answers = 0, [pool.submit(small.client.post, "/v1/chat/completions", json=asking(seed=k)) for k in range(3)]
        while not all(answer.done() for answer in answers):
            most = max(most, busy(small))
            time.sleep(0.001)
        assert most == 1 and all(answer.result().status_code == 200 for answer in answers)


def question_of_body(nano):
    from io import BytesIO

    from cooper.trace.asked import question_of
    from tests.serving.running import QUESTION, ROOM

    return question_of(BytesIO(ROOM), QUESTION), nano.options()


def test_a_row_that_fails_harms_no_other(served, monkeypatch):
    """A map that cannot be read, in one of two requests that are under way together."""
    honest, asked = DepthModality.decode, []

    def broken(self, drawn):
        asked.append(1)
        if len(asked) == 1:
            raise ValueError("secret of the house")
        return honest(self, drawn)

    monkeypatch.setattr(DepthModality, "decode", broken)
    with ThreadPoolExecutor(2) as pool:
        answers = list(pool.map(lambda seed: served.client.post("/v1/chat/completions", json=asking(seed=seed)), (3, 3)))
    assert sorted(answer.status_code for answer in answers) == [200, 500]
    failed = next(answer for answer in answers if answer.status_code == 500)
    assert failed.json()["error"]["message"] == "the answer failed: ValueError"


def test_a_note_that_fails_costs_no_answer(served, monkeypatch):
    def broken(*_):
        raise RuntimeError("no notes today")

    monkeypatch.setattr(type(served.house.desk.model), "noted", broken)
    found = served.client.post("/v1/chat/completions", json=asking(seed=3))
    assert found.status_code == 200 and found.json()["choices"][0]["message"]["content"] == "red capsule"
    assert served.client.get("/ready").status_code == 200


def test_a_map_that_cannot_be_shown_ends_its_own_request_alone(served, monkeypatch):
    """Maps under way are made for responses; a chat that is streamed beside them never asks for one."""

    def broken(*_):
        raise RuntimeError("no look today")

    monkeypatch.setattr(Running, "preview", broken)
    body = asking(stream=True, seed=3)
    with ThreadPoolExecutor(2) as pool:
        chat = pool.submit(served.client.post, "/v1/chat/completions", json=body)
        response = pool.submit(served.client.post, "/v1/responses", json={"input": body["messages"], "stream": True, "seed": 3})
        assert "red capsule" in chat.result().text
        assert "event: response.failed" in response.result().text
    assert served.client.get("/ready").status_code == 200
    until(lambda: busy(served) == 0, served)


def test_an_engine_that_hangs_keeps_nobody_beyond_the_time(nano, tmp_path, monkeypatch):
    honest, goes_on = Running.step, Event()

    def hangs(self):
        goes_on.wait()
        return honest(self)

    monkeypatch.setattr(Running, "step", hangs)
    with serving(nano, settings_in(tmp_path, limits={"seconds": 0.5})) as hasty:
        try:
            assert hasty.client.post("/v1/chat/completions", json=asking()).status_code == 504
            assert busy(hasty) == 1, "the engine has not come back"
        finally:
            goes_on.set()
        until(lambda: busy(hasty) == 0, hasty)


def test_a_dead_engine_is_told_to_all_and_seen(nano, gate, tmp_path, monkeypatch):
    with serving(nano, settings_in(tmp_path)) as doomed, ThreadPoolExecutor(2) as pool:
        plain = pool.submit(doomed.client.post, "/v1/chat/completions", json=asking(**LONG))
        streamed = pool.submit(doomed.client.post, "/v1/chat/completions", json=asking(stream=True, **LONG))
        until(lambda: busy(doomed) == 2, doomed)

        def dies(self):
            raise MemoryError("no more")

        monkeypatch.setattr(Running, "step", dies)
        assert plain.result().status_code == 503 and "engine" in plain.result().json()["error"]["message"]
        assert '"code": "engine_dead"' in streamed.result().text
        assert doomed.client.get("/ready").status_code == 503 and doomed.client.get("/health").status_code == 200
        assert doomed.client.post("/v1/chat/completions", json=asking()).status_code == 503


def test_traces_are_kept_for_a_time_and_a_size(nano, tmp_path):
    with serving(nano, settings_in(tmp_path, limits={"keep_bytes": 400_000, "keep_seconds": 3600.0})) as small:
        names = [small.client.post("/v1/chat/completions", json=asking(seed=k)).json()["trace_id"] for k in range(3)]
        found = [small.client.get(f"/v1/traces/{name}").status_code for name in names]
        assert found[-1] == 200 and 404 in found
    with serving(nano, settings_in(tmp_path / "b", limits={"keep_seconds": 0.01})) as brief:
        name = brief.client.post("/v1/chat/completions", json=asking()).json()["trace_id"]
        time.sleep(0.05)
        assert brief.client.get(f"/v1/traces/{name}").status_code == 404


def test_a_trace_that_cannot_be_kept_costs_no_answer(served, monkeypatch):
    def full(*_):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr("cooper.trace.trace.save_record", full)
    found = served.client.post("/v1/chat/completions", json=asking(seed=3))
    assert found.status_code == 200 and found.json()["choices"][0]["message"]["content"] == "red capsule"
    assert served.client.get(f"/v1/traces/{found.json()['trace_id']}").status_code == 404
    assert not list(served.house.kept._folder.glob("draft-*"))


def test_what_nobody_foresaw_is_an_error_in_the_same_form(served, monkeypatch):
    def broken(*_):
        raise RuntimeError("secret of the house")

    monkeypatch.setattr("cooper.serving.app.parts_of", broken)
    found = served.client.post("/v1/chat/completions", json=asking())
    assert found.status_code == 500 and found.json()["error"]["code"] == "server_error" and "secret" not in found.text


def test_replicas_share_their_traces(nano, tmp_path):
    with serving(nano, settings_in(tmp_path)) as one, serving(nano, settings_in(tmp_path)) as other:
        name = one.client.post("/v1/chat/completions", json=asking()).json()["trace_id"]
        assert other.client.get(f"/v1/traces/{name}").status_code == 200


def begun(folder: Path, *words: str) -> tuple[subprocess.Popen, str]:
    """A server as a user starts it, and its address once it answers."""
    import socket

    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    command = [sys.executable, "-m", "cooper", "serve", "--port", str(port), "--traces", str(folder), *words]
    process = subprocess.Popen(command, stderr=subprocess.PIPE, text=True, env={**os.environ, "OMP_NUM_THREADS": "1"})
    url = f"http://127.0.0.1:{port}"

    def answers() -> bool:
        assert process.poll() is None, process.communicate()[1]
        try:
            return httpx.get(f"{url}/ready").status_code == 200
        except httpx.TransportError:
            return False

    until(answers)
    return process, url


def test_a_stopped_server_answers_what_is_under_way(tmp_path):
    process, url = begun(tmp_path / "traces")
    with ThreadPoolExecutor(1) as pool, httpx.Client(base_url=url, timeout=60) as client:
        asked = pool.submit(client.post, "/v1/chat/completions", json=asking(**LONG))
        until(lambda: asked.done() or _running(httpx.get(f"{url}/metrics").text) == 1.0)
        process.send_signal(signal.SIGTERM)
        assert asked.result().status_code == 200
    said = process.communicate()[1]
    assert process.returncode in (0, -signal.SIGTERM, 143) and "Traceback" not in said


def _running(text: str) -> float:
    return next(float(line.rsplit(" ", 1)[1]) for line in text.splitlines() if line.startswith("cooper:num_requests_running{"))


@pytest.mark.slow
def test_a_killed_server_keeps_the_traces_of_what_was_done(tmp_path):
    process, url = begun(tmp_path / "traces")
    name = httpx.post(f"{url}/v1/chat/completions", json=asking(seed=3), timeout=60).json()["trace_id"]
    process.kill()
    process.communicate()
    again, url = begun(tmp_path / "traces")
    assert httpx.get(f"{url}/v1/traces/{name}").status_code == 200
    again.terminate()
    again.communicate()


@pytest.mark.parametrize(
    ("asked", "says"),
    [
        ({"host": "0.0.0.0"}, "would let everybody ask"),
        ({"key_env": "COOPER_NO_SUCH_KEY"}, "not set or empty"),
        ({"key_env": "COOPER_SHORT_KEY"}, "fewer than 8 characters"),
        ({"most_rows": 0}, "rows is 0"),
        ({"keep_seconds": -1.0}, "keep_seconds"),
        ({"host": "no.such.host.invalid", "key_env": "COOPER_GOOD_KEY"}, "cannot listen on no.such.host.invalid"),
        ({"traces": Path(__file__)}, r"test_faults\.py"),
    ],
)
def test_a_server_that_cannot_start_says_why(monkeypatch, asked, says):
    """The command itself, called as its function."""
    monkeypatch.setenv("COOPER_SHORT_KEY", "short")
    monkeypatch.setenv("COOPER_GOOD_KEY", "long-enough-a-key")
    with pytest.raises(CooperError, match=says):
        serve(**asked)


def test_a_port_that_is_taken_is_said_before_the_model_is_loaded(served):
    with pytest.raises(CooperError, match=r"cannot listen on 127\.0\.0\.1"):
        serve(port=int(served.url.rsplit(":", 1)[1]), model="/no/such/model")


def test_a_server_is_asked_without_loading_a_model(served):
    with pytest.raises(CooperError, match="--device says how a model is loaded here"):
        ask([Path("room.png")], "What?", server=served.url, device="cpu")


def test_metrics_come_back_to_rest(served):
    until(lambda: _running(served.client.get("/metrics").text) == 0.0)
    assert json.dumps(served.client.get("/ready").json())
