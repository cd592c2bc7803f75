"""`POST /v1/responses`: thoughts, maps and the answer as items, with OpenAI's events; a map under way as a partial image."""

import base64
import json
import time
from collections.abc import AsyncIterator, Iterator
from typing import Any

from cooper.files.pictures import png_bytes
from cooper.serving.api.calls import Call, Gone, whole
from cooper.serving.api.faults import ApiFault
from cooper.serving.api.story import Answered, MapDrawn, MapUnderWay, Scene, Thought, ThoughtEnds, TokenUsage

Event = dict[str, Any]


def responses_usage(usage: TokenUsage) -> dict[str, Any]:
    """Tokens in the form of responses."""
    return {
        "input_tokens": usage.read,
        "input_tokens_details": {"cached_tokens": 0, "text_tokens": usage.text_in, "image_tokens": usage.pictures_in},
        "output_tokens": usage.written,
        "output_tokens_details": {
            "reasoning_tokens": usage.thoughts,
            "text_tokens": usage.words,
            "image_tokens": usage.maps,
        },
        "total_tokens": usage.read + usage.written,
    }


class Items:
    """The items of one response as they grow, and the events that say so."""

    def __init__(self, call: Call) -> None:
        self._call, self._number = call, 0
        self._created = int(time.time())
        self.done: list[dict[str, Any]] = []
        self._open: dict[str, Any] | None = None
        self._partial = 0

    def response(self, status: str, **more: Any) -> dict[str, Any]:
        """The response object as it stands."""
        options = self._call.asked.options
        return {
            "id": f"resp_{self._call.job.id}",
            "object": "response",
            "created_at": self._created,
            "status": status,
            "model": self._call.house.name,
            "output": self.done,
            "error": None,
            "incomplete_details": None,
            "instructions": None,
            "metadata": {},
            "parallel_tool_calls": False,
            "temperature": options.sampling.temperature,
            "top_p": options.sampling.top_p,
            "tool_choice": "none",
            "tools": [],
            "usage": None,
            "trace_id": self._call.trace,
            **more,
        }

    def event(self, kind: str, **fields: Any) -> Event:
        """An event with its number."""
        made = {"type": f"response.{kind}", "sequence_number": self._number, **fields}
        self._number += 1
        return made

    def events(self, scene: Scene) -> Iterator[Event]:
        """The events of one scene."""
        if isinstance(scene, Thought):
            yield from self._thinks(scene.text)
        elif isinstance(scene, ThoughtEnds):
            yield from self._thought()
        elif isinstance(scene, MapUnderWay):
            yield from self._draws(scene)
        elif isinstance(scene, MapDrawn):
            yield from self._drawn(scene)
        else:
            yield from self._answered(scene)

    def _place(self) -> dict[str, Any]:
        assert self._open is not None
        return {"item_id": self._open["id"], "output_index": len(self.done)}

    def _begun(self, item: dict[str, Any]) -> Event:
        self._open = item
        return self.event("output_item.added", output_index=len(self.done), item=dict(item))

    def _closed(self) -> Event:
        assert self._open is not None
        self._open["status"] = "completed"
        made = self.event("output_item.done", output_index=len(self.done), item=self._open)
        self.done.append(self._open)
        self._open = None
        return made

    def _id(self, kind: str) -> str:
        return f"{kind}_{self._call.job.id}_{len(self.done)}"

    def _thinks(self, text: str) -> Iterator[Event]:
        if self._open is None:
            yield self._begun(
                {"id": self._id("rs"), "type": "reasoning", "status": "in_progress", "summary": [], "content": []}
            )
            assert self._open is not None
            self._open["content"] = [{"type": "reasoning_text", "text": ""}]
        self._open["content"][0]["text"] += text
        yield self.event("reasoning_text.delta", **self._place(), content_index=0, delta=text)

    def _thought(self) -> Iterator[Event]:
        assert self._open is not None
        yield self.event("reasoning_text.done", **self._place(), content_index=0, text=self._open["content"][0]["text"])
        yield self._closed()

    def _map_begun(self, modality: str) -> Iterator[Event]:
        self._partial = 0
        item = {"id": self._id("ig"), "type": "image_generation_call", "status": "in_progress", "result": None}
        yield self._begun({**item, "output_format": "png", "modality": modality})
        yield self.event("image_generation_call.in_progress", **self._place())
        yield self.event("image_generation_call.generating", **self._place())

    def _draws(self, scene: MapUnderWay) -> Iterator[Event]:
        if self._open is None:
            yield from self._map_begun(scene.modality)
        if scene.image is not None:
            yield self.event(
                "image_generation_call.partial_image",
                **self._place(),
                partial_image_index=self._partial,
                partial_image_b64=base64.b64encode(png_bytes(scene.image)).decode(),
                output_format="png",
                size=f"{scene.image.width}x{scene.image.height}",
                modality=scene.modality,
                done=scene.done,
                total=scene.total,
            )
            self._partial += 1

    def _drawn(self, scene: MapDrawn) -> Iterator[Event]:
        if self._open is None:  # a known map, which was not drawn
            yield from self._map_begun(scene.step.modality)
        assert self._open is not None
        image = scene.step.image
        self._open["result"] = base64.b64encode(png_bytes(image)).decode()
        self._open |= {"size": f"{image.width}x{image.height}", "facts": list(scene.step.facts)}
        yield self.event("image_generation_call.completed", **self._place())
        yield self._closed()

    def _answered(self, scene: Answered) -> Iterator[Event]:
        yield self._begun(
            {"id": self._id("msg"), "type": "message", "status": "in_progress", "role": "assistant", "content": []}
        )
        part = {"type": "output_text", "text": "", "annotations": [], "logprobs": []}
        yield self.event("content_part.added", **self._place(), content_index=0, part=dict(part))
        yield self.event("output_text.delta", **self._place(), content_index=0, delta=scene.answer, logprobs=[])
        yield self.event("output_text.done", **self._place(), content_index=0, text=scene.answer, logprobs=[])
        part["text"] = scene.answer
        yield self.event("content_part.done", **self._place(), content_index=0, part=part)
        assert self._open is not None
        self._open["content"] = [part]
        yield self._closed()

    def end(self, answer: Answered) -> dict[str, Any]:
        """The finished response."""
        more = {"usage": responses_usage(answer.usage), "notes": list(answer.trace.notes)}
        if answer.reason == "length":
            return self.response("incomplete", incomplete_details={"reason": "max_output_tokens"}, **more)
        return self.response("completed", **more)


async def response(call: Call) -> dict[str, Any]:
    """The whole answer as one object."""
    items = Items(call)
    scenes, answer = await whole(call)
    for scene in [*scenes, answer]:
        for _ in items.events(scene):
            pass
    return items.end(answer)


async def events(call: Call) -> AsyncIterator[bytes]:
    """The answer as server-sent events."""
    items = Items(call)
    try:
        yield _sent(items.event("created", response=items.response("in_progress")))
        yield _sent(items.event("in_progress", response=items.response("in_progress")))
        async for scene in call.scenes():
            if scene is None:
                yield b": still here\n\n"
                continue
            for event in items.events(scene):
                yield _sent(event)
            if isinstance(scene, Answered):
                last = items.end(scene)
                yield _sent(items.event(last["status"], response=last))
    except ApiFault as fault:
        error = {"code": fault.code or "server_error", "message": fault.message}
        yield _sent(items.event("failed", response=items.response("failed", error=error)))
    except Gone:
        return


def _sent(event: Event) -> bytes:
    return f"event: {event['type']}\ndata: {json.dumps(event, ensure_ascii=False)}\n\n".encode()
