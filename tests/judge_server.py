"""A small OpenAI-style server that answers, dawdles, refuses and breaks, as a test tells it."""

import asyncio
import json
import threading
import time
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import asynccontextmanager, contextmanager
from dataclasses import dataclass, field, replace
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import pytest

from cooper.evaluation.judge.endpoint import JudgeSettings

KEY = "any-form-of-key"


def completion(text: str | None = "yes") -> str:
    usage = {"prompt_tokens": 7, "completion_tokens": 2, "total_tokens": 9}
    choice = {"index": 0, "message": {"role": "assistant", "content": text}, "finish_reason": "stop"}
    return json.dumps({"id": "x", "object": "chat.completion", "created": 0, "choices": [choice], "usage": usage})


@dataclass(frozen=True)
class Play:
    """One answer of the server. `held`: it never comes; `torn`: it dies half way; `drip`: byte by byte without an end.

    Which try runs out of time must not depend on how fast a machine is: see `expiring`.
    """

    body: str = field(default_factory=completion)
    status: int = 200
    headers: tuple[tuple[str, str], ...] = ()
    held: bool = False
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
    stuck: int = 0  # answers so far that were held or drip
    lock: threading.Lock = field(default_factory=threading.Lock)
    closed: threading.Event = field(default_factory=threading.Event)

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
        with told.lock:
            told.busy -= 1
            told.stuck += play.held or play.drip
        if play.held:
            told.closed.wait()
        self._answer(play)

    def _answer(self, play: Play) -> None:
        body = play.body.encode()
        size = str(10**9 if play.drip else len(body))
        try:
            self.send_response(play.status)
            for name, value in (*play.headers, ("Content-Type", "application/json"), ("Content-Length", size)):
                self.send_header(name, value)
            self.end_headers()
            self.wfile.write(body[: len(body) // 2 if play.torn else None])
            while play.drip and not self.told.closed.wait(0.02):
                self.wfile.write(b" ")
                self.wfile.flush()
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
    Told.told.closed.set()
    http.shutdown()
    http.server_close()


def settings_of(server: Server, **changes) -> JudgeSettings:
    plain = JudgeSettings(server.url, "big-judge", timeout=30.0, retries=2, backoff=0.01)
    return replace(plain, **changes)


def in_turn(*plays: Play) -> Callable[[int, str], Play]:
    """The plays one after the other, the last one for ever."""
    return lambda call, prompt: plays[min(call, len(plays) - 1)]


def expiring(monkeypatch: pytest.MonkeyPatch, server: Server) -> None:
    """A try's time is over as soon as the server holds it or drips, and never because a machine is slow.

    In place of the clock, so that no test waits for it or loses against it; only one try may be under way at a time.
    """
    timeout = asyncio.timeout

    async def over(limit: asyncio.Timeout, before: int) -> None:
        while server.stuck == before:
            await asyncio.sleep(0.005)
        limit.reschedule(asyncio.get_running_loop().time())

    @asynccontextmanager
    async def until_stuck(seconds: float) -> AsyncIterator[None]:
        async with timeout(None) as limit:
            watching = asyncio.create_task(over(limit, server.stuck))
            try:
                yield
            finally:
                watching.cancel()

    monkeypatch.setattr(asyncio, "timeout", until_stuck)
