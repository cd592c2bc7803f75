"""`POST /v1/chat/completions`: a string as content, maps beside it as images, thoughts as reasoning_content."""

import json
import time
from collections.abc import AsyncIterator
from typing import Any

from cooper.serving.api.calls import Call, Gone, whole
from cooper.serving.api.faults import ApiFault
from cooper.serving.api.story import Answered, MapDrawn, Scene, Thought, ThoughtEnds, TokenUsage, data_url


def chat_usage(usage: TokenUsage) -> dict[str, Any]:
    """Tokens in the form of chat completions."""
    return {
        "prompt_tokens": usage.read,
        "completion_tokens": usage.written,
        "total_tokens": usage.read + usage.written,
        "prompt_tokens_details": {"text_tokens": usage.text_in, "image_tokens": usage.pictures_in, "cached_tokens": 0},
        "completion_tokens_details": {
            "reasoning_tokens": usage.thoughts,
            "text_tokens": usage.words,
            "image_tokens": usage.maps,
        },
    }


def _image(scene: MapDrawn) -> dict[str, Any]:
    url = {"url": data_url(scene.step.image)}
    return {"type": "image_url", "image_url": url, "index": scene.number, "modality": scene.step.modality}


def _head(call: Call, kind: str) -> dict[str, Any]:
    return {
        "id": f"chatcmpl-{call.job.id}",
        "object": kind,
        "created": int(time.time()),
        "model": call.house.name,
        "trace_id": call.trace,
    }


def _notes(answer: Answered) -> dict[str, Any]:
    """What the model's answer should be read with."""
    return {"notes": list(answer.trace.notes)}


async def completion(call: Call) -> dict[str, Any]:
    """The whole answer as one object."""
    scenes, answer = await whole(call)
    texts = (scene.text if isinstance(scene, Thought) else "\n" if isinstance(scene, ThoughtEnds) else "" for scene in scenes)
    message: dict[str, Any] = {"role": "assistant", "content": answer.answer, "refusal": None}
    message["reasoning_content"] = "".join(texts).strip() or None
    message["images"] = [_image(scene) for scene in scenes if isinstance(scene, MapDrawn)]
    choice = {"index": 0, "message": message, "logprobs": None, "finish_reason": answer.reason}
    return {**_head(call, "chat.completion"), "choices": [choice], "usage": chat_usage(answer.usage), **_notes(answer)}


async def chunks(call: Call) -> AsyncIterator[bytes]:
    """The answer in chunks, as server-sent events."""
    head = _head(call, "chat.completion.chunk")

    def chunk(delta: dict[str, Any], reason: str | None = None, **more: Any) -> bytes:
        choice = {"index": 0, "delta": delta, "logprobs": None, "finish_reason": reason}
        return _event({**head, "choices": [choice], **more})

    try:
        yield chunk({"role": "assistant", "content": ""})
        async for scene in call.scenes():
            if scene is None:
                yield b": still here\n\n"
            elif isinstance(scene, Answered):
                yield chunk({"content": scene.answer})
                yield chunk({}, scene.reason, **_notes(scene))
                if call.asked.usage:
                    yield _event({**head, "choices": [], "usage": chat_usage(scene.usage)})
            elif (delta := _delta(scene)) is not None:
                yield chunk(delta)
    except ApiFault as fault:
        yield _event(fault.body)
    except Gone:
        return
    yield b"data: [DONE]\n\n"


def _delta(scene: Scene) -> dict[str, Any] | None:
    if isinstance(scene, Thought):
        return {"reasoning_content": scene.text}
    if isinstance(scene, ThoughtEnds):
        return {"reasoning_content": "\n"}
    return {"images": [_image(scene)]} if isinstance(scene, MapDrawn) else None


def _event(value: dict[str, Any]) -> bytes:
    return f"data: {json.dumps(value, ensure_ascii=False)}\n\n".encode()
