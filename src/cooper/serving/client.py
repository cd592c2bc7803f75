"""Asking a server from a program: the same question in, the same trace out, as if the model were here."""

import io
import zipfile
from collections.abc import Sequence
from pathlib import Path, PurePosixPath
from tempfile import TemporaryDirectory
from typing import Any

import httpx
from PIL import Image

from cooper.errors import CooperError
from cooper.files.arguments import brief
from cooper.serving.api.story import data_url
from cooper.trace.modes import AnswerMode
from cooper.trace.steps import Question
from cooper.trace.trace import Trace

PATIENCE = 600.0  # seconds for one answer, waiting included


def ask_server(url: str, key: str, question: Question, mode: AnswerMode, seed: int, choices: Sequence[str] | None) -> Trace:
    """The trace of one answer by a running server. CooperError: it cannot be reached, or refuses; its sentence is passed on."""
    content: list[dict[str, Any]] = [
        {"type": "image_url", "image_url": {"url": data_url(part)}}
        if isinstance(part, Image.Image)
        else {"type": "text", "text": part}
        for part in question.shown
    ]
    body: dict[str, Any] = {"messages": [{"role": "user", "content": content}], "mode": mode, "seed": seed}
    body["subject"] = question.subject
    if choices is not None:
        body["choices"] = list(choices)
    headers = {"Authorization": f"Bearer {key}"} if key else {}
    try:
        with httpx.Client(base_url=url.rstrip("/").removesuffix("/v1"), headers=headers, timeout=PATIENCE) as client:
            answer = _json(client.post("/v1/chat/completions", json=body))
            packed = client.get(f"/v1/traces/{answer['trace_id']}/trace.zip")
            _json(packed) if packed.status_code != 200 else None
    except (httpx.HTTPError, httpx.InvalidURL, UnicodeError) as error:
        raise CooperError(f"the server {brief(url)} cannot be asked: {str(error) or type(error).__name__}") from None
    return _trace(packed.content)


def _json(response: httpx.Response) -> dict[str, Any]:
    """The object of an answer. CooperError: it is an error, or no answer of ours."""
    try:
        found = response.json()
        if response.status_code == 200 and "trace_id" in found:
            return found
        said = found["error"]["message"]
    except (ValueError, KeyError, TypeError):
        said = f"it is no COOPER server, or one behind a proxy that failed (status {response.status_code})"
    raise CooperError(f"the server answers: {said}")


def _trace(packed: bytes) -> Trace:
    """The trace of a zip archive, whose files must lie in one folder."""
    with TemporaryDirectory() as place, zipfile.ZipFile(io.BytesIO(packed)) as archive:
        for name in archive.namelist():
            path = PurePosixPath(name)
            if len(path.parts) != 2 or ".." in path.parts or path.is_absolute():
                raise CooperError("the server sent a trace with files outside of its folder")
        archive.extractall(place)
        return Trace.load(Path(place) / "trace")
