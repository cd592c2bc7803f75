"""One call of a client: from its body to the events of its answer. A client that leaves takes its request along."""

import asyncio
import contextlib
import os
import re
import sys
import threading
import time
import traceback
from collections.abc import AsyncIterator, Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from typing import Any, TypeVar

from starlette.requests import Request

from cooper.errors import CooperError
from cooper.serving.api.faults import ApiFault, of_code
from cooper.serving.api.fields import Inquiry
from cooper.serving.api.story import Answered, Scene, Story
from cooper.serving.desk.desk import CANCELLED, Desk, Full
from cooper.serving.desk.jobs import Failed, Finished, Job, Told
from cooper.serving.desk.kept import KeptTraces

Found = TypeVar("Found")


class Gone(Exception):  # noqa: N818 - nobody is left to be told
    """The client has left."""


def _give_way() -> None:
    """Let the engine go first, where a thread may have a priority of its own."""
    if sys.platform == "linux":
        os.setpriority(os.PRIO_PROCESS, threading.get_native_id(), 10)


@dataclass(frozen=True, eq=False)
class House:
    """What all calls share."""

    desk: Desk
    kept: KeptTraces
    name: str  # of the model, as clients see it
    helpers: ThreadPoolExecutor = field(default_factory=lambda: ThreadPoolExecutor(16, "cooper-helper", _give_way))

    async def helped(self, work: Callable[..., Found], *given: Any) -> Found:
        """What `work` gives, done beside the engine and after it: decoding pictures, writing traces. ApiFault, CooperError."""
        return await asyncio.get_running_loop().run_in_executor(self.helpers, work, *given)

    @property
    def tags(self) -> list[str]:
        return [modality.tag for modality in self.desk.model.modalities.values()]


@dataclass(frozen=True, eq=False)
class Call:
    """A request under way. `trace`: the id under which its trace will be kept."""

    house: House
    asked: Inquiry
    key: str
    trace: str
    job: Job
    inbox: "asyncio.Queue[Told | None]"

    async def scenes(self) -> AsyncIterator[Scene | None]:
        """What comes, as it comes; None after some seconds of silence. The trace is kept before the last scene. ApiFault: there
        is no answer, or none in time, which is held here, for the engine may hang; Gone: the client has left."""
        story, why = Story(self.house.tags, self.asked.choices or ()), CANCELLED
        ended = False
        most = self.house.desk.limits.seconds
        try:
            while not ended:
                left = self.job.came + most - time.monotonic()
                if left <= 0:
                    why = Failed("timeout", f"the request took longer than the {most:g} s that it may")
                    raise of_code(why.code, why.message)
                try:
                    told = await asyncio.wait_for(self.inbox.get(), min(SILENCE, left))
                except TimeoutError:
                    yield None
                    continue
                if told is None:
                    raise Gone
                if isinstance(told, Failed):
                    ended = True
                    raise of_code(told.code, told.message)
                if isinstance(told, Finished):
                    ended = True
                    told = await self.house.helped(self._kept, told)
                for scene in story.scenes(told):
                    yield scene
        finally:
            if not ended:
                self.house.desk.leave(self.job, why)

    def _kept(self, told: Finished) -> Finished:
        """The trace with its notes, kept. Where that fails, on a full disk for instance, the answer comes all the same."""
        trace = told.trace
        try:
            trace = self.house.desk.model.noted(trace, self.job.question)
            self.house.kept.keep(self.trace, trace, self.key)
        except Exception:  # noqa: BLE001 - nothing beside the answer may cost the answer
            traceback.print_exc()
        return Finished(trace)


SILENCE = 10.0  # seconds after which a stream says that it lives


async def begin(request: Request, house: House, asked: Inquiry, key: str, previews: bool) -> Call:
    """Queue a request. `previews`: whether maps under way can be sent. ApiFault: there is no place, or it asks for more than
    there is."""
    inbox: asyncio.Queue[Told | None] = asyncio.Queue()
    loop, held = asyncio.get_running_loop(), list[Told]()

    def deliver(some: Sequence[Told]) -> None:
        for told in some:
            inbox.put_nowait(told)

    def tell(told: Told) -> None:
        held.append(told)
        if asked.stream or isinstance(told, Finished | Failed):  # who waits for the whole answer wakes the loop once
            some = tuple(held)
            held.clear()
            with contextlib.suppress(RuntimeError):  # the loop has been closed: nobody is left to be told
                loop.call_soon_threadsafe(deliver, some)

    desk = house.desk
    try:
        question, engine_request = await house.helped(
            desk.model.prepared, asked.question, asked.options, asked.seed, asked.choices
        )
        needed = desk.needed(question, asked.options)
    except CooperError as error:
        said = re.sub(r"^question 0(, part \d+)?", "the question", str(error))  # of many questions there is one
        raise ApiFault(400, said, "invalid_value") from None
    job = Job(question, engine_request, asked.options, needed, tell, previews and asked.stream and asked.previews)
    try:
        desk.submit(job)
    except Full as full:
        raise ApiFault(429, str(full), "queue_full", headers={"Retry-After": str(full.seconds)}) from None
    except CooperError as error:
        raise ApiFault(503, str(error), "engine_dead") from None
    watch = asyncio.create_task(_watch(request, inbox))
    _WATCHING.add(watch)
    watch.add_done_callback(_WATCHING.discard)
    return Call(house, asked, key, house.kept.new_id(), job, inbox)


_WATCHING: set[asyncio.Task] = set()  # a task that nothing holds may be collected


async def _watch(request: Request, inbox: "asyncio.Queue[Told | None]") -> None:
    """Wait until the client leaves, and say so."""
    while (await request.receive())["type"] != "http.disconnect":
        pass
    inbox.put_nowait(None)


async def whole(call: Call) -> tuple[list[Scene], Answered]:
    """All scenes of a call that is not streamed, the answer last."""
    scenes = [scene async for scene in call.scenes() if scene is not None]
    last = scenes[-1]
    assert isinstance(last, Answered)
    return scenes[:-1], last
