"""A small OpenAI-style server that answers, dawdles, refuses and breaks, as a test tells it."""

import json
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import pytest

from cooper.evaluation.judge import JudgeSettings

KEY = "any-form-of-key"


def completion(text: str | None = "yes") -> str:
    usage = {"prompt_tokens": 7, "completion_tokens": 2, "total_tokens": 9}
    choice = {"index": 0, "message": {"role": "assistant", "content": text}, "finish_reason": "stop"}
    return json.dumps({"id": "x", "object": "chat.completion", "created": 0, "choices": [choice], "usage": usage})


@dataclass(frozen=True)
class Play:
    """One answer of the server. `seconds`: how long it takes; `torn`: it dies half way; `drip`: it sends byte by byte."""

    body: str = field(default_factory=completion)
    status: int = 200
    headers: tuple[tuple[str, str], ...] = ()
    seconds: float = 0.0
    torn: bool = False
    drip: bool = False


@dataclass
class Server:
    """Plays what `script` says for a call, given its number from 0 and its prompt."""

    url: str
    script: Callable[[int, str], Play] = lambda call, prompt: Play()
    requests: list[dict] = field(default_factory=list)
    keys: list[str | None] = field(default_factory=list)
    times: list[float] = field(default_factory=list)
    busy: int = 0
    busiest: int = 0
    lock: threading.Lock = field(default_factory=threading.Lock)

    @property
    def prompts(self) -> list[str]:
        return [request["messages"][0]["content"] for request in self.requests]


class Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    told: Server

    def do_POST(self) -> None:
        told = self.told
        request = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
        with told.lock:
            call = len(told.requests)
            told.requests.append({**request, "path": self.path})
            told.keys.append(self.headers["Authorization"])
            told.times.append(time.monotonic())
            told.busy += 1
            told.busiest = max(told.busiest, told.busy)
        play = told.script(call, request["messages"][0]["content"])
        time.sleep(play.seconds)
        with told.lock:
            told.busy -= 1
        self._answer(play)

    def _answer(self, play: Play) -> None:
        body = play.body.encode()
        try:
            self.send_response(play.status)
            for name, value in (*play.headers, ("Content-Type", "application/json"), ("Content-Length", str(len(body)))):
                self.send_header(name, value)
            self.end_headers()
            for piece in (
                [body[i : i + 1] for i in range(len(body))] if play.drip else [body[: len(body) // 2 if play.torn else None]]
            ):
                self.wfile.write(piece)
                self.wfile.flush()
                time.sleep(0.02 * play.drip)
        except OSError:
            pass  # the judge has given up on us
        self.close_connection |= play.torn

    def log_message(self, *args: object) -> None:
        pass


@contextmanager
def serving(monkeypatch: pytest.MonkeyPatch) -> Iterator[Server]:
    """A server on a free port, and a key in the environment; skips the test where `openai` is not installed."""
    pytest.importorskip("openai")
    monkeypatch.setenv("NO_PROXY", "127.0.0.1")
    monkeypatch.setenv("OPENAI_API_KEY", KEY)

    class Told(Handler):
        pass

    http = ThreadingHTTPServer(("127.0.0.1", 0), Told)
    http.daemon_threads, http.block_on_close = True, False
    Told.told = Server(f"http://127.0.0.1:{http.server_port}/v1")
    threading.Thread(target=http.serve_forever, kwargs={"poll_interval": 0.01}, daemon=True).start()
    yield Told.told
    http.shutdown()
    http.server_close()


def settings_of(server: Server, **changes) -> JudgeSettings:
    plain = JudgeSettings(server.url, "big-judge", timeout=30.0, retries=2, backoff=0.01)
    return replace(plain, **changes)


def in_turn(*plays: Play) -> Callable[[int, str], Play]:
    """The plays one after the other, the last one for ever."""
    return lambda call, prompt: plays[min(call, len(plays) - 1)]
