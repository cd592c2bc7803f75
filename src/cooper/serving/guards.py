"""What stands before the app, as plain ASGI: who may ask, from where, and how much may come in."""

import asyncio
import hmac
from collections.abc import Awaitable, Callable, MutableMapping
from typing import Any

from cooper.serving.api.faults import ApiFault

Scope = MutableMapping[str, Any]
Message = MutableMapping[str, Any]
Receive = Callable[[], Awaitable[Message]]
Send = Callable[[Message], Awaitable[None]]
App = Callable[[Scope, Receive, Send], Awaitable[None]]

BODY = 60.0  # seconds in which the body of a request must have come
READING = 60.0  # seconds in which a client must take what it is sent next
OPEN = ("/", "/health", "/ready", "/v1/pictures")  # what needs no key, as /static: these tell nothing of what was asked
HEADERS = {
    b"x-content-type-options": b"nosniff",
    b"referrer-policy": b"no-referrer",
    b"x-frame-options": b"DENY",
    b"cross-origin-resource-policy": b"same-origin",
    b"cache-control": b"no-store",
}


class Keys:
    """The keys that may ask; none at all means that everybody may, with the key ""."""

    def __init__(self, keys: tuple[str, ...] = ()) -> None:
        self._keys = keys

    def __bool__(self) -> bool:
        return bool(self._keys)

    def of(self, header: str) -> str:
        """The key in an Authorization header. ApiFault: there is none, or a wrong one. All are compared, in constant time."""
        if not self._keys:
            return ""
        kind, _, given = header.partition(" ")
        right = [key for key in self._keys if hmac.compare_digest(key.encode(), given.strip().encode())]
        if kind.lower() != "bearer" or not right:
            headers = {"WWW-Authenticate": "Bearer"}
            said = "this key is not known here" if given else "a key is needed: Authorization: Bearer KEY"
            raise ApiFault(401, said, "invalid_api_key", headers=headers)
        return right[0]


class Guard:
    """Checks host, key and size of every request before the app sees it, and adds headers to answers. `hosts`: the names by
    which the server may be called, none where any will do; a page elsewhere that has its name point here calls by another.
    `origins`: pages elsewhere that may ask. Where there are keys any page may that has one."""

    def __init__(self, app: App, keys: Keys, hosts: tuple[str, ...], origins: tuple[str, ...], most: int) -> None:
        self._app, self._keys, self._hosts, self._origins, self._most = app, keys, hosts, origins, most

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return

        reads, head = True, scope["method"] == "HEAD"
        scope = {**scope, "method": "GET"} if head else scope

        async def headed(message: Message) -> None:
            if head and message["type"] == "http.response.body":
                message = {**message, "body": b""}
            if message["type"] == "http.response.start":
                there = {name.lower() for name, _ in message["headers"]}
                message["headers"] = [*message["headers"], *((k, v) for k, v in HEADERS.items() if k not in there)]
            nonlocal reads
            try:
                async with asyncio.timeout(READING):
                    await send(message)
            except TimeoutError:
                reads = False
                raise

        try:
            scope["key"] = self._checked(scope)
            received, gone = await asyncio.wait_for(self._limited(scope, receive), BODY)
        except TimeoutError:
            late = ApiFault(408, f"the body did not come within {BODY:g} s", "timeout", headers={"Connection": "close"})
            await late.response()(scope, receive, headed)
            return
        except ApiFault as fault:
            await fault.response()(scope, receive, headed)
            return
        try:
            if not gone:
                await self._app(scope, received, headed)
        except Exception:
            if reads:
                raise  # otherwise the server closes the connection, for nobody takes the rest of the answer

    def _checked(self, scope: Scope) -> str:
        """The key of a request. ApiFault: another host, no key, or more than may come."""
        headers = {name.decode("latin-1").lower(): value.decode("latin-1") for name, value in scope["headers"]}
        host = headers.get("host", "").rsplit("@")[-1]
        name = host[: host.find("]") + 1] if host.startswith("[") else host.split(":")[0]
        if self._hosts and name.lower() not in self._hosts:
            raise ApiFault(403, "this server is not called by that name; see --allow-host", "host_not_allowed")
        origin = headers.get("origin", "")
        own = origin.partition("://")[2] == headers.get("host", "")
        if scope["method"] == "POST" and origin and not (own or self._keys or origin in self._origins):
            raise ApiFault(403, "a page of another server may not ask here; see --allow-origin", "origin_not_allowed")
        length = headers.get("content-length", "0")
        if not length.isascii() or not length.isdigit() or int(length[:18]) > self._most:
            raise self._too_large()
        path = scope["path"]
        free = path in OPEN or path.startswith("/static/") or scope["method"] == "OPTIONS"
        return "" if free else self._keys.of(headers.get("authorization", ""))

    def _too_large(self) -> ApiFault:
        """The connection ends with it: what else is on its way would have to be read."""
        said = f"the body is larger than the {self._most:,} bytes that may be sent"
        return ApiFault(413, said, "too_large", headers={"Connection": "close"})

    async def _limited(self, scope: Scope, receive: Receive) -> tuple[Receive, bool]:
        """The whole body, read before the app begins; whether the client left meanwhile. ApiFault: there is too much of it."""
        if scope["method"] not in ("POST", "PUT", "PATCH"):
            return receive, False
        pieces, size, more = [], 0, True
        while more:
            message = await receive()
            if message["type"] == "http.disconnect":
                return receive, True
            pieces.append(message.get("body", b""))
            size += len(pieces[-1])
            more = message.get("more_body", False)
            if size > self._most:
                raise self._too_large()
        body = {"type": "http.request", "body": b"".join(pieces), "more_body": False}
        told = False

        async def again() -> Message:
            nonlocal told
            if told:
                return await receive()
            told = True
            return body

        return again, False
