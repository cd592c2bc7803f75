"""A real server on this machine: uvicorn on a free port, in a thread, over a loaded model."""

import base64
import socket
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from importlib.resources import files
from pathlib import Path
from typing import Any

import httpx
import uvicorn

from cooper.reasoning.cooper import Cooper
from cooper.serving.api.calls import House
from cooper.serving.app import Settings, app_of

ROOM = files("cooper").joinpath("assets/demo/room.png").read_bytes()
QUESTION = files("cooper").joinpath("assets/demo/questions.txt").read_text().splitlines()[0]
URL = f"data:image/png;base64,{base64.b64encode(ROOM).decode()}"


@dataclass(frozen=True)
class Served:
    """A server that runs. `client` asks it without waiting for ever."""

    url: str
    client: httpx.Client
    house: House
    server: uvicorn.Server


def messages(text: str = QUESTION, url: str = URL) -> list[dict[str, Any]]:
    return [{"role": "user", "content": [{"type": "image_url", "image_url": {"url": url}}, {"type": "text", "text": text}]}]


def asking(text: str = QUESTION, **fields: Any) -> dict[str, Any]:
    """The body of a chat completion."""
    return {"messages": messages(text), **fields}


@contextmanager
def serving(model: Cooper, settings: Settings, sends: int | None = None, **headers: str) -> Iterator[Served]:
    """`sends`: bytes that the kernel takes for a client that does not read, some hundred thousand if not said."""
    app = app_of(model, settings)
    with socket.socket() as free:
        if sends is not None:
            free.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, sends)
        free.bind(("127.0.0.1", 0))
        free.listen(128)
        server = uvicorn.Server(uvicorn.Config(app, log_level="error", timeout_graceful_shutdown=5, lifespan="on"))
        thread = threading.Thread(target=server.run, args=([free],), daemon=True)
        thread.start()
        while not server.started:
            thread.join(0.02)
            assert thread.is_alive(), "the server did not start"
        url = f"http://127.0.0.1:{free.getsockname()[1]}"
        try:
            with httpx.Client(base_url=url, timeout=120, headers=headers) as client:
                yield Served(url, client, app.state.house, server)
        finally:
            server.should_exit = True
            thread.join()


def settings_in(folder: Path, **changes: Any) -> Settings:
    base = Settings(traces=folder / "traces", drain=5.0)
    limits = changes.pop("limits", {})
    return replace(base, limits=replace(base.limits, **limits), **changes)
