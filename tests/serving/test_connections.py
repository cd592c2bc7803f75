"""Clients that send or read slowly, or not at all, on plain sockets against a running server."""

import contextlib
import json
import os
import socket
import struct

from tests.serving.running import Served, asking, serving, settings_in
from tests.serving.test_faults import busy, until


def line_to(served: Served, receives: int | None = None) -> socket.socket:
    """A connection. `receives`: bytes that the kernel holds for the client before the server must wait."""
    line = socket.socket()
    if receives is not None:
        line.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, receives)
    line.settimeout(60)
    line.connect(("127.0.0.1", int(served.url.rsplit(":", 1)[1])))
    return line


def sent(line: socket.socket, body: bytes) -> None:
    head = f"POST /v1/responses HTTP/1.1\r\nHost: 127.0.0.1\r\nContent-Length: {len(body)}\r\n\r\n"
    line.sendall(head.encode() + body)


def test_half_a_body_is_waited_for_only_so_long(served, monkeypatch):
    monkeypatch.setattr("cooper.serving.guards.BODY", 0.2)
    with line_to(served) as line:
        line.sendall(b"POST /v1/chat/completions HTTP/1.1\r\nHost: 127.0.0.1\r\nContent-Length: 900\r\n\r\n{")
        assert line.recv(4096).startswith(b"HTTP/1.1 408")


def test_ten_thousand_connections_that_open_and_close_leave_nothing(served):
    """Some say nothing, some break off within the head or the body, some reset the connection."""
    wholly = struct.pack("ii", 1, 0)
    begins = [
        b"",
        b"GET /hea",
        b"GET /health HTTP/1.1\r\nHost: 127.0.0.1\r\n",
        b"POST /v1/responses HTTP/1.1\r\nContent-Length: 9\r\n\r\n{",
    ]
    before = len(os.listdir("/proc/self/fd")) if os.path.isdir("/proc/self/fd") else 0
    for number in range(10_000):
        with contextlib.suppress(ConnectionError), line_to(served) as line:
            if number % 3 == 0:
                line.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, wholly)
            if begins[number % 4]:
                line.sendall(begins[number % 4])
    assert served.client.get("/health").status_code == 200
    assert (
        served.client.post("/v1/chat/completions", json=asking(seed=3)).json()["choices"][0]["message"]["content"]
        == "red capsule"
    )
    if before:
        until(lambda: len(os.listdir("/proc/self/fd")) <= before + 8)


def test_a_client_that_reads_nothing_holds_nobody_up(nano, tmp_path, monkeypatch):
    """Its row ends, others are answered, and in the end the server lets go of it."""
    monkeypatch.setattr("cooper.serving.guards.READING", 1.0)
    body = asking(seed=3, stream=True)
    body["input"] = body.pop("messages")
    body["drawing"] = {"num_timesteps": 60}  # a preview with each step: more than buffers hold
    with serving(nano, settings_in(tmp_path), sends=4096) as served, line_to(served, receives=4096) as line:
        sent(line, json.dumps(body).encode())
        until(lambda: busy(served) == 1, served)
        found = served.client.post("/v1/chat/completions", json=asking(seed=3)).json()
        assert found["choices"][0]["message"]["content"] == "red capsule"
        until(lambda: busy(served) == 0, served)
        until(lambda: not served.server.server_state.tasks, served)  # the server has let go of it
        taken = b""
        with contextlib.suppress(ConnectionError):
            while more := line.recv(65536):
                taken += more
        assert b"response.created" in taken and b"response.completed" not in taken
