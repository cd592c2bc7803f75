"""A language model behind an OpenAI-compatible endpoint that reads or grades replies, for benchmarks and rewards alike.

A judge that cannot be reached is a verdict without a reply, not an exception: whoever asks decides what that is worth.
"""

import asyncio
import json
import threading
from collections.abc import AsyncIterator, Callable, Mapping, Sequence
from contextlib import asynccontextmanager
from dataclasses import astuple, dataclass, field, replace
from hashlib import sha256

from cooper.errors import CooperError
from cooper.evaluation.judge.cache import ReplyCache, StoredReply
from cooper.evaluation.judge.endpoint import Endpoint, JudgeSampling, JudgeSettings, Prompt, Verdict, read_key, sendable
from cooper.evaluation.judge.prompts import PROMPT_VERSION

__all__ = ["Judge", "JudgeCounts", "JudgeSettings", "Reader", "Verdict"]

Reader = Callable[[str], object]  # what a reply says; None where it says nothing of use


@dataclass(frozen=True)
class JudgeCounts:
    """What a judge has done so far.

    asked: prompts put to the endpoint, equal ones once and however many tries they took. cached: prompts answered
    without asking, by an earlier reply or that of an equal prompt. unreached: prompts left without a reply. Tokens: of
    the prompts asked.
    """

    asked: int = 0
    cached: int = 0
    unreached: int = 0
    tokens_in: int = 0
    tokens_out: int = 0

    def __add__(self, other: "JudgeCounts") -> "JudgeCounts":
        return JudgeCounts(*(mine + more for mine, more in zip(astuple(self), astuple(other), strict=True)))


@dataclass(frozen=True)
class _Prompt:
    """A prompt as it is sent, and what reads its reply."""

    prompt: Prompt
    read: Reader

    def useful(self, reply: str) -> bool:
        return self.read(reply) is not None


@dataclass
class _Session:
    """What all calls in one event loop share: connections, places for requests, and the prompts under way."""

    endpoint: Endpoint
    places: asyncio.Semaphore
    under_way: dict[str, asyncio.Task[Verdict]] = field(default_factory=dict)
    users: int = 0

    async def close(self) -> None:
        tasks = list(self.under_way.values())
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
        await self.endpoint.close()


class Judge:
    """Asks each prompt once, many at a time, and keeps every reply that is of use.

    `concurrency` holds for all calls within one event loop. The key and the cache are read here; the `openai` package
    is loaded when there is something to ask. `version`: of the wording of prompts; a reply to another one is not taken for
    theirs. CooperError: a key or a cache that cannot be used.
    """

    def __init__(self, settings: JudgeSettings, version: str = PROMPT_VERSION) -> None:
        self.settings, self._version = settings, version
        self._key = read_key(settings.key)
        self._cache = ReplyCache(settings.cache)
        self._sampling = JudgeSampling(settings)
        self._sessions: dict[asyncio.AbstractEventLoop, _Session] = {}
        self._counts = JudgeCounts()
        self._counting = threading.Lock()

    @property
    def counts(self) -> JudgeCounts:
        """The sums over all calls so far."""
        return self._counts

    def ask_all(self, prompts: Sequence[Prompt], readers: Sequence[Reader] = ()) -> list[Verdict]:
        """`ask` for callers without an event loop; CooperError inside one."""
        try:
            asyncio.get_running_loop()
        except RuntimeError:
            return asyncio.run(self.ask(prompts, readers))
        raise CooperError("ask_all was called inside an event loop: use `await judge.ask(prompts)`")

    async def ask(self, prompts: Sequence[Prompt], readers: Sequence[Reader] = ()) -> list[Verdict]:
        """One verdict for each prompt, in order. CooperError: a wrong key or model, or a cache that cannot be written.

        Equal prompts share one request, also across calls. `readers`: one for each prompt, any reply will do without. Neither
        failures nor replies that a reader finds of no use are kept, so a later call tries them again.
        """
        if isinstance(prompts, str):
            raise CooperError("a judge takes a sequence of prompts, got a single string")
        sent = [sendable(prompt) if isinstance(prompt, str) else prompt for prompt in prompts]
        keys = [self._cache_key(prompt) for prompt in sent]
        parts = zip(keys, sent, readers or [str] * len(sent), strict=True)
        wanted = {key: _Prompt(prompt, read) for key, prompt, read in parts}
        fresh = {key: prompt for key, prompt in wanted.items() if self._kept(key, prompt) is None}
        asked = await self._ask_fresh(fresh) if fresh else {}
        first = dict(asked)  # of equal prompts the first was asked, the others share its reply
        verdicts = [first.pop(key, None) or self._kept(key, wanted[key]) or asked[key] for key in keys]
        cached = sum(verdict.cached for verdict in verdicts)
        unreached = sum(verdict.reply is None for verdict in verdicts)
        self._count(JudgeCounts(cached=cached, unreached=unreached))
        return verdicts

    def _kept(self, key: str, prompt: _Prompt) -> Verdict | None:
        """An earlier reply that is of use."""
        stored = self._cache.get(key)
        if stored is None or not prompt.useful(stored.reply):
            return None
        return Verdict(stored.reply, cached=True, tokens_in=stored.tokens_in, tokens_out=stored.tokens_out)

    async def _ask_fresh(self, fresh: Mapping[str, _Prompt]) -> dict[str, Verdict]:
        """Verdicts by key; those that another call had under way already count as cached."""
        async with self._session() as session:
            shared = fresh.keys() & session.under_way.keys()
            for key, prompt in fresh.items():
                if key not in shared:
                    session.under_way[key] = asyncio.create_task(self._put(session, key, prompt))
                    session.under_way[key].add_done_callback(_look_at_fault)
            tasks = {key: session.under_way[key] for key in fresh}
            done, _ = await asyncio.wait(tasks.values(), return_when=asyncio.FIRST_EXCEPTION)
            for task in done:
                task.result()  # raises what can never work
            verdicts = {key: task.result() for key, task in tasks.items()}
        return {
            key: replace(verdict, cached=True) if key in shared and verdict.reply is not None else verdict
            for key, verdict in verdicts.items()
        }

    async def _put(self, session: _Session, key: str, prompt: _Prompt) -> Verdict:
        """Ask one prompt when there is a place, and keep a useful reply before anyone sees it."""
        try:
            async with session.places:  # given up when the reply is on disk, so a killed run loses no more than its places
                verdict = await session.endpoint.ask(prompt.prompt)
                self._count(JudgeCounts(asked=1, tokens_in=verdict.tokens_in, tokens_out=verdict.tokens_out))
                if verdict.reply is not None and prompt.useful(verdict.reply):
                    stored = StoredReply(key, verdict.reply, verdict.tokens_in, verdict.tokens_out)
                    await asyncio.to_thread(self._cache.add, stored)  # reaches the disk: too slow for the loop
            return verdict
        finally:
            session.under_way.pop(key, None)

    @asynccontextmanager
    async def _session(self) -> AsyncIterator[_Session]:
        """The session of the running loop; the last call to leave ends what is under way and closes the connections."""
        loop = asyncio.get_running_loop()
        session = self._sessions.get(loop)
        if session is None:
            session = _Session(Endpoint(self.settings, self._key, self._sampling), asyncio.Semaphore(self.settings.concurrency))
            self._sessions[loop] = session
        session.users += 1
        try:
            yield session
        finally:
            session.users -= 1
            if not session.users:
                del self._sessions[loop]
                await session.close()

    def _cache_key(self, prompt: Prompt) -> str:
        """A name for all that can change a reply."""
        asked = self.settings
        parts = [asked.url.rstrip("/"), asked.model, prompt, asked.temperature, asked.max_tokens, self._version]
        return sha256(json.dumps(parts).encode("utf-8")).hexdigest()

    def _count(self, more: JudgeCounts) -> None:
        with self._counting:
            self._counts = self._counts + more


def _look_at_fault(task: asyncio.Task[Verdict]) -> None:
    """Fetch a task's exception, or asyncio complains about those that nobody waits for any more."""
    if not task.cancelled():
        task.exception()
