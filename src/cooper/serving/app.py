"""The app: routes over one desk, and what is served beside them."""

import time
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Annotated, Any

from fastapi import FastAPI, Request
from starlette.middleware.cors import CORSMiddleware
from starlette.responses import JSONResponse, Response, StreamingResponse

from cooper.files.values import AtLeast, AtMost, check_fields
from cooper.reasoning.cooper import Cooper
from cooper.serving.api import chat, responses
from cooper.serving.api.calls import Call, Gone, House, begin
from cooper.serving.api.faults import ApiFault
from cooper.serving.api.fields import Inquiry, asked_of, body_of, messages_of, parts_of
from cooper.serving.api.traces import VIEWS, folder_of
from cooper.serving.desk.board import Board
from cooper.serving.desk.desk import Desk
from cooper.serving.desk.figures import Figures
from cooper.serving.desk.kept import KeptTraces
from cooper.serving.desk.limits import Limits
from cooper.serving.guards import Guard, Keys
from cooper.serving.web import routes
from cooper.trace.modes import MODES

LOOPBACK = ("localhost", "127.0.0.1", "[::1]")
ROUTES = "/v1/chat/completions, /v1/responses, /v1/models and /v1/traces/ID"
STREAM = {"X-Accel-Buffering": "no"}  # a proxy must not hold events back
Maker = Callable[[Call], Any]


@dataclass(frozen=True, kw_only=True)
class Settings:
    """How a server is run. `keys`: () lets everybody ask. `hosts`: names by which it may be called, () any. `origins`: pages of
    other servers that may ask from a browser. `drain`: seconds that requests under way have when the server goes down.
    `board`: a folder in which replicas lay their figures, so that each shows those of all."""

    traces: Path
    limits: Limits = field(default_factory=Limits)
    keys: tuple[str, ...] = ()
    hosts: tuple[str, ...] = LOOPBACK
    origins: tuple[str, ...] = ()
    drain: Annotated[float, AtLeast(0), AtMost(86_400)] = 60.0
    replica: str = "0"
    board: Path | None = None

    def __post_init__(self) -> None:
        check_fields(self)


def app_of(model: Cooper, settings: Settings) -> FastAPI:
    """The whole server over a loaded model. Its desk runs from the app's start to its end."""
    name = Path(model.engine.name).name or "cooper"
    figures = Figures(name, settings.replica)
    board = Board(figures, settings.board)
    desk = Desk(model, settings.limits, figures)
    house = House(desk, KeptTraces(settings.traces, settings.limits), name)

    @asynccontextmanager
    async def life(_app: FastAPI) -> AsyncIterator[None]:
        desk.open()
        async with board.kept_up():
            yield
            desk.close(settings.drain)

    app = FastAPI(title="COOPER", docs_url=None, redoc_url=None, openapi_url=None, redirect_slashes=False, lifespan=life)
    app.state.house = house
    _answers(app, house)
    _facts(app, house, board)
    _traces(app, house)
    app.include_router(routes())
    app.add_exception_handler(ApiFault, _told)  # pyright: ignore[reportArgumentType]
    app.add_exception_handler(Exception, _unforeseen)
    app.add_exception_handler(404, _no_route)
    app.add_exception_handler(405, _no_route)
    app.add_middleware(
        Guard, keys=Keys(settings.keys), hosts=settings.hosts, origins=settings.origins, most=settings.limits.body
    )
    if settings.origins:
        app.add_middleware(
            CORSMiddleware, allow_origins=list(settings.origins), allow_methods=["GET", "POST"], allow_headers=["authorization"]
        )
    return app


async def _told(_request: Request, fault: ApiFault) -> Response:
    return fault.response()


async def _unforeseen(_request: Request, _error: Exception) -> Response:
    return ApiFault(500, "the server has failed at this request; its log says how", "server_error").response()


async def _no_route(request: Request, error: Any) -> Response:
    said = f"{request.method} {request.url.path[:80]} is not served here; {ROUTES} are"
    return ApiFault(error.status_code, said, "not_found", headers=error.headers).response()


def _answers(app: FastAPI, house: House) -> None:
    """The two ways to ask."""

    async def call_of(request: Request, field_name: str) -> Call:
        asked = await house.helped(inquiry, await request.body(), field_name)  # pictures are decoded in it
        return await begin(request, house, asked, request.scope["key"], previews=field_name == "input")

    def inquiry(raw: bytes, field_name: str) -> Inquiry:
        body = body_of(raw)
        given = body.pop(field_name, None)
        if field_name == "input":
            given = messages_of(given, body)
        wanted = body.get("model", house.name)
        if wanted not in ("", house.name, house.desk.model.engine.name):
            raise ApiFault(
                404, f"the model {str(wanted)[:80]!r} is not served here; {house.name!r} is", "model_not_found", "model"
            )
        parts = parts_of(given, field_name, house.desk.limits)
        return asked_of(body, parts, house.desk.model, house.desk.limits)

    async def answered(call: Call, plain: Maker, streamed: Maker) -> Response:
        if call.asked.stream:
            return StreamingResponse(streamed(call), media_type="text/event-stream", headers=STREAM)
        try:
            return JSONResponse(await plain(call))
        except Gone:
            return Response(status_code=499)

    @app.post("/v1/chat/completions")
    async def completions(request: Request) -> Response:
        return await answered(await call_of(request, "messages"), chat.completion, chat.chunks)

    @app.post("/v1/responses")
    async def respond(request: Request) -> Response:
        return await answered(await call_of(request, "input"), responses.response, responses.events)


def _facts(app: FastAPI, house: House, board: Board) -> None:
    """What a server says of itself."""
    started, limits = int(time.time()), house.desk.limits

    def served() -> dict[str, Any]:
        model = {"id": house.name, "object": "model", "created": started, "owned_by": "cooper"}
        more = {
            "modes": list(MODES),
            "maps": list(house.desk.model.modalities),
            "limits": {**vars(limits), "memory": house.desk.budget},
        }
        drawing = house.desk.model.defaults.drawing
        more["defaults"] = {
            "num_timesteps": drawing.num_timesteps,
            "temperature": house.desk.model.defaults.sampling.temperature,
        }
        return {**model, **more}

    @app.get("/v1/models")
    async def models() -> dict[str, Any]:
        return {"object": "list", "data": [served()]}

    @app.get("/v1/models/{name:path}")
    async def model(name: str) -> dict[str, Any]:
        if name != house.name:
            raise ApiFault(404, f"the model {name[:80]!r} is not served here; {house.name!r} is", "model_not_found", "model")
        return served()

    @app.get("/health")
    async def health() -> dict[str, str]:
        return {"status": "alive"}

    @app.get("/ready")
    async def ready() -> Response:
        fault = house.desk.fault
        return JSONResponse({"status": fault or "ready"}, 503 if fault else 200)

    @app.get("/metrics")
    async def metrics() -> Response:
        return Response(board.text(), media_type="text/plain; version=0.0.4")


def _traces(app: FastAPI, house: House) -> None:
    """What was answered, for as long as it is kept."""
    for path, view in VIEWS.items():
        app.get(f"/v1/traces/{{trace}}{path}", response_model=None)(_of_trace(house.kept, view))


def _of_trace(kept: KeptTraces, view: Callable[[Path], Response]) -> Callable[[Request, str], Response]:
    def route(request: Request, trace: str) -> Response:
        return view(folder_of(kept, trace, request.scope["key"]))

    return route
