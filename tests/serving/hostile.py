"""What must be refused with one sentence: name, how it is sent, the status, and words of the sentence."""

import base64
import struct
import zlib
from dataclasses import dataclass, field
from io import BytesIO
from typing import Any

import numpy as np
from PIL import Image

from tests.serving.running import URL, asking, messages


@dataclass(frozen=True)
class Attempt:
    """`says`: words that the sentence must have; `status` a set where several are right."""

    name: str
    status: tuple[int, ...]
    says: str
    path: str = "/v1/chat/completions"
    method: str = "POST"
    body: bytes | dict[str, Any] | None = None
    headers: dict[str, str] = field(default_factory=dict)


def _picture(kind: str = "PNG", size: tuple[int, int] = (64, 64), **more: Any) -> bytes:
    file = BytesIO()
    Image.new("RGB", size, (90, 60, 30)).save(file, kind, **more)
    return file.getvalue()


def _url(data: bytes, kind: str = "image/png") -> str:
    return f"data:{kind};base64,{base64.b64encode(data).decode()}"


def _chunk(kind: bytes, data: bytes) -> bytes:
    return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))


def _bomb(width: int, height: int) -> bytes:
    """A small PNG file that says it has so many pixels."""
    head = _chunk(b"IHDR", struct.pack(">IIBBBBB", width, height, 8, 2, 0, 0, 0))
    return b"\x89PNG\r\n\x1a\n" + head + _chunk(b"IDAT", zlib.compress(bytes(1000))) + _chunk(b"IEND", b"")


def _animated() -> bytes:
    frames = [Image.new("RGB", (32, 32), (shade, 0, 0)) for shade in (0, 99, 200)]
    file = BytesIO()
    frames[0].save(file, "GIF", save_all=True, append_images=frames[1:])
    return file.getvalue()


def _npy(array: np.ndarray, **more: Any) -> str:
    file = BytesIO()
    np.save(file, array, **more)
    return _url(file.getvalue(), "application/x-npy")


def _nested(depth: int) -> bytes:
    return b'{"messages": ' + b"[" * depth + b"]" * depth + b"}"


_SAYS = {"__class__": "class", "subject": ""}  # where the sentence has another word than the field
WRONG: dict[str, list[Any]] = {  # a field and values that it may not have
    "mode": ["loud", 3, [], {"a": 1}, "INTERLEAVED"],
    "seed": [-1, 2**32, 1.5, "zero", [], True],
    "temperature": [-0.1, 2.1, "hot", [], "Infinity"],
    "top_p": [0, -0.1, 1.1, "much", {}],
    "max_tokens": [0, -5, "many", 1.5, []],
    "max_turns": [0, -1, 99, "two", 1.5],
    "drawing": [
        "fast",
        [],
        {"num_timesteps": 1},
        {"num_timesteps": 101},
        {"colour": 1},
        {"text_scale": "x"},
        {"num_timesteps": 1e9},
    ],
    "choices": ["red", [1], ["red", "red"], ["", "red"], {"a": 1}],
    "subject": [1, -2, "first", 0.5],
    "known": ["depth", {"depth": 3}, {"heat": URL}, {"depth": "http://127.0.0.1/x.npy"}, {"depth": URL}, []],
    "stream": ["yes", 3, []],
    "stream_options": ["usage", {"include_everything": True}],
    "previews": ["no", 3],
    "n": [0, 2, "one"],
    "stop": ["\n", ["x"]],
    "tools": [[{"type": "function"}]],
    "response_format": [{"type": "json_object"}],
    "frequency_penalty": [0.5],
    "logprobs": [True],
    "shell": ["rm -rf /"],
    "__class__": ["x"],
    "logit_bias": [{"5": 100}],
}

PICTURES: dict[str, tuple[str, str]] = {  # a URL in place of a picture's, and what is said
    "http": ("http://169.254.169.254/latest/meta-data", "never fetched"),
    "https": ("https://example.com/x.png", "never fetched"),
    "file": ("file:///etc/passwd", "never fetched"),
    "path": ("/etc/passwd", "data URL"),
    "relative path": ("../../etc/passwd", "data URL"),
    "text": ("data:text/html;base64,PHNjcmlwdD4=", "image/"),
    "svg": (_url(b"<svg xmlns='http://www.w3.org/2000/svg'><script>alert(1)</script></svg>", "image/svg+xml"), "not a picture"),
    "no base64": ("data:image/png,hello", "base64"),
    "broken base64": ("data:image/png;base64,!!!!", "base64"),
    "empty": ("data:image/png;base64,", "not a picture"),
    "nothing": ("", "data URL"),
    "no comma": ("data:image/png;base64", "data URL"),
    "not a picture": (_url(b"hello world, no picture at all"), "not a picture"),
    "truncated": (_url(_picture(size=(256, 256))[:200]), "truncated"),
    "truncated jpeg": (_url(_picture("JPEG", (256, 256))[:300], "image/jpeg"), "runcated"),
    "animated": (_url(_animated(), "image/gif"), "animated"),
    "bomb": (_url(_bomb(60000, 60000)), "px"),
    "large": (_url(_bomb(7200, 7200)), "px"),
    "too wide": (_url(_picture(size=(2000, 10))), "times the shorter"),
    "too small": (_url(_picture(size=(4, 4))), "at least"),
    "postscript": (_url(b"%!PS-Adobe-3.0 EPSF-3.0\n%%BoundingBox: 0 0 9 9\n", "image/eps"), "not a picture"),
}

IDS = [
    "..%2f..%2fetc%2fpasswd",
    "../../../etc/passwd",
    "tr_" + "A" * 22,
    "tr_" + "A" * 21 + "/",
    "tr_" + "." * 22,
    "owner.json",
    "%00",
    "a" * 5000,
    "tr_%2e%2e%2f%2e%2e%2f%2e%2e%2fAAAAAAAAAAAAA",
    "'; DROP TABLE traces; --",
]

BODIES: dict[str, bytes] = {
    "empty": b"",
    "no json": b"hello",
    "a list": b"[]",
    "a number": b"3",
    "null": b"null",
    "half": b'{"messages": [',
    "not utf-8": b'{"messages": "\xff\xfe"}',
    "nested a little": _nested(50),
    "nested": _nested(100_000),
    "nan": b'{"messages": NaN}',
}

TALKS: dict[str, tuple[Any, str]] = {  # messages that are none
    "missing": (None, "messages"),
    "empty": ([], "messages"),
    "a text": ("hello", "messages"),
    "numbers": ([1, 2], "messages[0]"),
    "an assistant": ([*messages(), {"role": "assistant", "content": "No."}], "earlier turns"),
    "a tool": ([{"role": "tool", "content": "x"}], "messages[0]"),
    "no content": ([{"role": "user"}], "content"),
    "content is a number": ([{"role": "user", "content": 3}], "content"),
    "no text": ([{"role": "user", "content": messages()[0]["content"][:1]}], "asks nothing"),
    "blank": ([{"role": "user", "content": "   "}], "asks nothing"),
    "a strange part": ([{"role": "user", "content": [{"type": "video_url", "video_url": {"url": "x"}}]}], "content[0]"),
    "a part is a text": ([{"role": "user", "content": ["hello"]}], "content[0]"),
    "text is a number": ([{"role": "user", "content": [{"type": "text", "text": 3}]}], "content[0]"),
    "url is a number": ([{"role": "user", "content": [{"type": "image_url", "image_url": {"url": 3}}]}], "image_url"),
    "url is missing": ([{"role": "user", "content": [{"type": "image_url"}]}], "image_url"),
    "unknown field": ([{"role": "user", "content": "x", "tool_calls": []}], "tool_calls"),
    "nine pictures": (
        [{"role": "user", "content": [*messages()[0]["content"][:1] * 9, {"type": "text", "text": "x"}]}],
        "8 pictures",
    ),
    "endless": (
        [{"role": "user", "content": [*messages()[0]["content"][:1], {"type": "text", "text": "why " * 9000}]}],
        "characters",
    ),
    "no picture": ([{"role": "user", "content": "How far?"}], "no picture"),
}


def attempts() -> list[Attempt]:
    """All of them."""
    found = [
        Attempt(f"{name} = {value!r}"[:60], (400, 413), _SAYS.get(name, name), body={**asking(), name: value})
        for name, values in WRONG.items()
        for value in values
    ]
    found += [
        Attempt(f"picture: {name}", (400, 413), says, body={"messages": messages(url=url)})
        for name, (url, says) in PICTURES.items()
    ]
    found += [Attempt(f"messages: {name}", (400, 413), says, body={"messages": talk}) for name, (talk, says) in TALKS.items()]
    found += [Attempt(f"body: {name}", (400,), "", body=body) for name, body in BODIES.items()]
    found += [
        Attempt(f"id: {name[:30]}", (404,), "", f"/v1/traces/{name}{view}", "GET")
        for name in IDS
        for view in ("", "/page", "/trace.zip")
    ]
    pickled = np.array([print], dtype=object)
    found += [
        Attempt("known: pickle", (400,), "npy", body=asking(known={"depth": _npy(pickled, allow_pickle=True)})),
        Attempt("known: text", (400,), "", body=asking(known={"depth": _npy(np.array(["a"]))})),
        Attempt("known: cube", (400,), "", body=asking(known={"depth": _npy(np.zeros((3, 3, 3), np.float32))})),
        Attempt("known: behind", (400,), "behind", body=asking(known={"depth": _npy(np.full((64, 64), -1, np.float32))})),
        Attempt("known: wide", (400,), "another shape", body=asking(known={"depth": _npy(np.ones((10, 90), np.float32))})),
        Attempt("another model", (404,), "not served", body=asking(model="gpt-4o")),
        Attempt("model is a list", (400, 404), "model", body=asking(model=["nano"])),
        Attempt("input is missing", (400,), "input", "/v1/responses", body={"model": "nano"}),
        Attempt("input is a number", (400,), "input", "/v1/responses", body={"input": 3}),
        Attempt(
            "previous response",
            (400,),
            "previous_response_id",
            "/v1/responses",
            body={"input": "x", "previous_response_id": "r"},
        ),
        Attempt("instructions", (400,), "instructions", "/v1/responses", body={"input": "x", "instructions": ["obey"]}),
        Attempt("no input", (400,), "here it is called input", "/v1/responses", body={"messages": messages()}),
        Attempt("a map of no numbers", (400,), "came out as no numbers", body=asking(drawing={"text_scale": 1e38})),
        Attempt("a map that is none", (400,), "this model draws", body=asking(known={"foo": _url(_picture())})),
        Attempt("another model by name", (404,), "is not served here", "/v1/models/gpt-9", "GET"),
        Attempt("host", (403,), "name", "/v1/models", "GET", headers={"Host": "evil.example"}),
        Attempt("host with our name", (403,), "name", "/v1/models", "GET", headers={"Host": "localhost.evil.example"}),
        Attempt("host with a user", (403,), "name", "/v1/models", "GET", headers={"Host": "localhost@evil.example"}),
        Attempt("no host", (403, 400), "", "/v1/models", "GET", headers={"Host": ""}),
        Attempt("method", (404, 405), "", "/v1/chat/completions", "GET"),
        Attempt("method 2", (404, 405), "", "/v1/models", "DELETE"),
        Attempt("route", (404,), "", "/v1/files", "GET"),
        Attempt("route 2", (404,), "", "/static/../../../etc/passwd", "GET"),
        Attempt("route 3", (404,), "", "/static/%2e%2e/%2e%2e/page.py", "GET"),
        Attempt("docs", (404,), "", "/docs", "GET"),
        Attempt("schema", (404,), "", "/openapi.json", "GET"),
    ]
    return found
