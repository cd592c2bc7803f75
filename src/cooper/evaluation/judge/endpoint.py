"""One prompt to one OpenAI-compatible endpoint: tries, back-off, and which faults are worth another try."""

import asyncio
import json
import math
import os
import random
import re
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from email.utils import parsedate_to_datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any
from urllib.parse import parse_qsl, unquote, urlsplit, urlunsplit

from cooper.errors import CooperError

if TYPE_CHECKING:
    import openai

LONGEST_WAIT_S = 120.0  # a server that asks for a longer pause is given up
HOPELESS = {401: "refuses the key", 403: "does not allow this key", 404: "has no such address or model"}
PASSING = frozenset({408, 409, 425, 429})  # as every status from 500 on: another try may work
BAD_FIELDS = frozenset({400, 422})  # may be about one field, which the message names
RENAMED = {"max_tokens": "max_completion_tokens"}  # what newer models call a field that they refuse
SHORTEST_SECRET = 6  # characters; a shorter one is no secret, and would be found in any text
NO_KEY = "none"  # the client wants some key; local servers do not look at it

Prompt = str | Sequence[Mapping[str, Any]]  # one message of a user, or the messages of a chat, as the endpoint takes them


@dataclass(frozen=True)
class JudgeSettings:
    """Where a judge is and how it is asked.

    url: base address, as http://localhost:8000/v1. key: name of the environment variable that holds the key (or of a
    line in `.env`); unset or empty will do for local servers. timeout: seconds for one try, all in all. retries: tries
    after the first. backoff: seconds before the second try, doubled each time. cache: folder for replies, None for
    memory only. max_tokens, temperature: None sends none; a model that refuses one by name is asked without it. who: what
    messages call it.
    """

    url: str
    model: str
    key: str = "OPENAI_API_KEY"
    concurrency: int = 16
    timeout: float = 60.0
    retries: int = 5
    backoff: float = 1.0
    cache: Path | None = None
    max_tokens: int | None = 1024
    temperature: float | None = 0.0
    who: str = "judge"

    def __post_init__(self) -> None:
        wrong = {
            "url must be an http or https address": not _is_address(self.url),
            "model must be named": not self.model,
            "key must name an environment variable": not re.fullmatch(r"[A-Za-z_][A-Za-z0-9_]*", self.key),
            "concurrency must be at least 1": self.concurrency < 1,
            "timeout must be above 0 seconds": not self.timeout > 0,
            "retries must be 0 or more": self.retries < 0,
            "backoff must be 0 seconds or more": not self.backoff >= 0,
            "max_tokens must be at least 1": self.max_tokens is not None and self.max_tokens < 1,
            "temperature must be 0 or more": self.temperature is not None and not self.temperature >= 0,
        }
        for rule, broken in wrong.items():
            if broken:
                name = rule.split()[0]
                got = shown_url(self.url) if name == "url" else getattr(self, name)
                raise CooperError(f"{self.who}: {rule}, got {got!r}")


@dataclass(frozen=True)
class Verdict:
    """What the judge said to one prompt. `reply` None: nothing, and `error` says why. `cached`: nothing was asked for it.

    Tokens are as the server counted them when it was asked, 0 where it does not say.
    """

    reply: str | None
    error: str = ""
    cached: bool = False
    tokens_in: int = 0
    tokens_out: int = 0


@dataclass(frozen=True)
class _Fault:
    """A try that failed. `wait`: seconds the server asks for; `refused`: the field that it does not take."""

    error: str
    again: bool = True
    wait: float | None = None
    refused: str = ""


class JudgeSampling:
    """The fields sent beside a prompt, but those that the server has refused, which all endpoints of a judge remember."""

    def __init__(self, settings: JudgeSettings) -> None:
        asked = {"temperature": settings.temperature, "max_tokens": settings.max_tokens}
        self.fields: Mapping[str, float] = {name: value for name, value in asked.items() if value is not None}

    def leave_out(self, field: str) -> None:
        """Send it no more, or under its other name."""
        named = {RENAMED.get(name, "") if name == field else name: value for name, value in self.fields.items()}
        self.fields = {name: value for name, value in named.items() if name}


class Endpoint:
    """A client of one endpoint, for one event loop. CooperError: the `openai` package is missing."""

    def __init__(self, settings: JudgeSettings, key: str, sampling: JudgeSampling) -> None:
        try:
            import openai
        except ImportError as error:
            raise CooperError(f"a {settings.who} needs the openai package: pip install openai") from error
        self._openai = openai
        self._settings = settings
        self._key = key
        self._sampling = sampling
        self._jitter = random.Random()  # its own generator: waiting must not move the seeded ones
        self._client = openai.AsyncOpenAI(base_url=settings.url, api_key=key or NO_KEY, timeout=settings.timeout, max_retries=0)
        self._create = self._client.chat.completions.with_raw_response.create  # loads much: not within a try's time

    async def close(self) -> None:
        """Give the connections back."""
        await self._client.close()

    async def ask(self, prompt: Prompt) -> Verdict:
        """The reply, after as many tries as the settings allow. CooperError: no try can ever work."""
        for tried in range(self._settings.retries + 1):
            outcome = await self._try(prompt)
            if isinstance(outcome, Verdict):
                return outcome
            if not outcome.again or tried == self._settings.retries:
                break
            await asyncio.sleep(self._pause(tried, outcome.wait))
        return Verdict(None, f"{outcome.error} (tries: {tried + 1})")

    async def _try(self, prompt: Prompt) -> Verdict | _Fault:
        """One try; a field that the server refuses is left out and the prompt sent again at once."""
        while True:
            outcome = await self._send(prompt, self._sampling.fields)
            if isinstance(outcome, Verdict) or not outcome.refused:
                return outcome
            self._sampling.leave_out(outcome.refused)  # it was sent, so this ends when no field is left

    async def _send(self, prompt: Prompt, fields: Mapping[str, float]) -> Verdict | _Fault:
        openai = self._openai
        url, timeout = shown_url(self._settings.url), self._settings.timeout
        try:
            async with asyncio.timeout(timeout):  # the client's own limit starts again with every byte
                raw = await self._create(
                    model=self._settings.model,
                    messages=messages_of(prompt),
                    extra_body=fields,
                )
            return read_completion(raw.http_response.text, self._settings.who)
        except (TimeoutError, openai.APITimeoutError):
            return _Fault(f"{url} gave no whole reply within {timeout:g} s")
        except openai.APIStatusError as error:
            return self._refused(error, fields)
        except (openai.OpenAIError, OSError) as error:
            return _Fault(f"{url} could not be reached: {_short(self._open(str(error.__cause__ or error)))}")

    def _refused(self, error: "openai.APIStatusError", fields: Mapping[str, float]) -> _Fault:
        """What a status from 400 on means. CooperError: a wrong key, address or model."""
        status, url = error.status_code, shown_url(self._settings.url)
        said = _short(self._open(error.message))
        if status in HOPELESS:
            key = f"the key in {self._settings.key}" if self._key else f"no key ({self._settings.key} is not set)"
            asked = f"asked for model {self._settings.model!r} with {key}"
            raise CooperError(f"the {self._settings.who} at {url} {HOPELESS[status]}, {asked}: {said}")
        wait = read_retry_after(error.response.headers.get("retry-after"))
        again = (status in PASSING or status >= 500) and (wait is None or wait <= LONGEST_WAIT_S)
        named = [name for name in fields if status in BAD_FIELDS and re.search(rf"\b{name}\b", error.message)]
        return _Fault(f"{url} answered with HTTP {status}: {said}", again, wait, named[0] if named else "")

    def _open(self, said: str) -> str:
        """What a server or library said, without the key and the secrets of the address, which it may repeat."""
        for secret in (*secrets_of(self._settings.url), self._key):
            said = said.replace(secret, "***") if len(secret) >= SHORTEST_SECRET else said
        return said

    def _pause(self, tried: int, wait: float | None) -> float:
        """Seconds before the next try: never less than the server asks for, and spread so that not all come at once."""
        backoff = self._settings.backoff
        if wait is not None:
            return wait + self._jitter.uniform(0.0, min(backoff, 1.0))
        return min(backoff * 2.0 ** min(tried, 30), LONGEST_WAIT_S) * self._jitter.uniform(0.5, 1.0)


def messages_of(prompt: Prompt) -> list[Any]:
    """A prompt as the messages of a chat."""
    return [{"role": "user", "content": prompt}] if isinstance(prompt, str) else [dict(message) for message in prompt]


def read_completion(text: str, who: str = "judge") -> Verdict | _Fault:
    """The reply in the body of a chat completion; a fault if there is none, or no text in it."""
    try:
        body = json.loads(text)
    except (ValueError, RecursionError):
        return _Fault(f"the {who}'s server did not answer with JSON")
    body = body if isinstance(body, dict) else {}
    choices = body.get("choices")
    if not isinstance(choices, list) or not choices or not isinstance(choices[0], dict):
        said = f": {_short(json.dumps(body['error'], ensure_ascii=False))}" if body.get("error") else ""
        return _Fault(f"the {who}'s server answered without choices{said}")
    message = choices[0].get("message")
    content = message.get("content") if isinstance(message, dict) else None
    if not isinstance(content, str) or not content.strip():
        return _Fault(f"the {who} wrote no text (finish reason {choices[0].get('finish_reason')!r})")
    usage = body.get("usage")
    tokens = [usage.get(name) if isinstance(usage, dict) else 0 for name in ("prompt_tokens", "completion_tokens")]
    tokens_in, tokens_out = (count if isinstance(count, int) else 0 for count in tokens)
    return Verdict(sendable(content), tokens_in=tokens_in, tokens_out=tokens_out)


def read_retry_after(header: str | None, now: float | None = None) -> float | None:
    """Seconds to wait from a Retry-After header: a number of seconds, or a date. None without a usable one."""
    if header is None:
        return None
    try:
        seconds = float(header)
    except ValueError:
        try:
            seconds = parsedate_to_datetime(header).timestamp() - (time.time() if now is None else now)
        except (ValueError, OverflowError):
            return None
    return None if math.isnan(seconds) else max(0.0, seconds)


def read_key(name: str, folder: Path | None = None) -> str:
    """The key of that name, from the environment or else from `.env` in the working directory; "" if there is none."""
    path = (folder or Path.cwd()) / ".env"
    key = os.environ.get(name, "").strip()
    if not key and path.is_file():
        lines = path.read_text(encoding="utf-8-sig", errors="replace").splitlines()
        matches = [re.match(rf"\s*(?:export\s+)?{re.escape(name)}\s*=(.*)", line) for line in lines]
        key = next((_env_value(match[1]) for match in reversed(matches) if match), "")
    if not (key.isascii() and key.isprintable()):
        raise CooperError(f"the key in {name} holds characters that no HTTP header can carry")
    return key


def _is_address(url: str) -> bool:
    try:
        parts = urlsplit(url)
        return parts.scheme in ("http", "https") and bool(parts.hostname) and parts.port != 0 and not re.search(r"\s", url)
    except ValueError:  # a port that is none
        return False


def shown_url(url: str) -> str:
    """An address as messages and reports may hold it: without user, password, query and fragment.

    >>> shown_url("https://user:secret@host:8000/v1?key=secret")
    'https://host:8000/v1'
    """
    if not _is_address(url):  # it may hold secrets all the same
        return re.split(r"[?#]", re.sub(r"^(\w+://)?.*@", r"\1", url, flags=re.DOTALL), maxsplit=1)[0]
    parts = urlsplit(url)
    return urlunsplit((parts.scheme, parts.netloc.rpartition("@")[2], parts.path, "", ""))


def secrets_of(url: str) -> list[str]:
    """Password, query and fragment of an address, as written there and plain, the longest first."""
    parts = urlsplit(url)
    pieces = [parts.netloc.rpartition("@")[0], parts.password or "", parts.query, parts.fragment]
    pieces += [value for _, value in parse_qsl(parts.query)]
    return sorted({text for piece in pieces for text in (piece, unquote(piece)) if text}, key=len, reverse=True)


def _env_value(text: str) -> str:
    """The value of a line of `.env`: quotes taken off, else a comment behind it."""
    text = text.strip()
    quoted = re.match(r"(['\"])(.*?)\1", text)
    return (quoted[2] if quoted else re.split(r"(?:^|\s)#", text)[0]).strip()


def sendable(text: str) -> str:
    """The text without halves of surrogate pairs, which neither UTF-8 nor a cache file can hold."""
    return text.encode("utf-8", "replace").decode("utf-8")


def _short(text: str) -> str:
    line = " ".join(sendable(text).split())
    return line if len(line) <= 200 else f"{line[:200]}..."
