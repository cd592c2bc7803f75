"""`cooper serve`: page and endpoints over one resident model."""

import os
import re
import socket
from collections.abc import Sequence
from pathlib import Path
from tempfile import gettempdir
from typing import TYPE_CHECKING, Annotated, Any

import typer

from cooper.cli.asking import ModelOption
from cooper.cli.console.commands import BaseOption, DeviceOption, QuantizationOption
from cooper.errors import CooperError
from cooper.files.folders import output_folder
from cooper.serving.keys import keys_of

if TYPE_CHECKING:
    from cooper.serving.app import Settings

LOOPBACK = ("127.0.0.1", "localhost", "::1")


def _listening(host: str, port: int) -> socket.socket:
    """A socket on which the server will listen; with the port 0 on any that is free. CooperError: there is no such place."""
    try:
        found = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE)[0]
        place = socket.socket(found[0])
        place.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        place.bind(found[4])
        return place
    except OSError as error:
        raise CooperError(f"cannot listen on {host}, port {port}: {error.strerror or error}") from None


def _check_names(hosts: Sequence[str], origins: Sequence[str]) -> None:
    """CooperError: a name by which nobody could call, or a page that no browser names so."""
    for name in hosts:
        if not re.fullmatch(r"[\w.-]+|\[[0-9a-fA-F:]+\]", name):
            raise CooperError(
                f"--allow-host {name!r} is no name of a machine, such as cooper.example.org, without http:// and port"
            )
    for origin in origins:
        if not re.fullmatch(r"https?://[^/*\s]+", origin):
            raise CooperError(f"--allow-origin {origin!r} is no origin, such as https://example.org or http://localhost:3000")


def _need_packages() -> None:
    """CooperError: the packages of the extra `serve` are not here."""
    try:
        import cooper.serving.app  # noqa: F401
    except ImportError as error:
        said = f"serving needs further packages ({error.name or error}): pip install '.[serve]' in this project's folder"
        raise CooperError(said) from None


def serve(
    model: ModelOption = "nano",
    device: DeviceOption = None,
    base: BaseOption = None,
    quantization: QuantizationOption = None,
    host: Annotated[str, typer.Option(help="Address to listen on; others than this machine's need --key-env.")] = "127.0.0.1",
    port: Annotated[int, typer.Option(help="Port to listen on.", min=0, max=65535)] = 8000,
    key_env: Annotated[str | None, typer.Option(help="Environment variable with the keys, commas between.")] = None,
    allow_host: Annotated[list[str] | None, typer.Option(help="Another name by which it may be called; repeat.")] = None,
    allow_origin: Annotated[list[str] | None, typer.Option(help="Page of another server that may ask (CORS); repeat.")] = None,
    traces: Annotated[Path | None, typer.Option(help="Folder of kept traces, which replicas may share.")] = None,
    most_rows: Annotated[int, typer.Option(help="Requests that are answered at once.", min=1)] = 16,
    queue: Annotated[int, typer.Option(help="Requests that wait behind them; more get 429.", min=0)] = 64,
    most_pictures: Annotated[int, typer.Option(help="Pictures of one request.", min=1)] = 8,
    most_pixels: Annotated[int, typer.Option(help="Pixels of one picture.", min=1)] = 24_000_000,
    most_tokens: Annotated[int, typer.Option(help="Tokens of one turn.", min=1)] = 1024,
    most_seconds: Annotated[float, typer.Option(help="Seconds of one request, waiting included.", min=0.1)] = 300.0,
    memory_mib: Annotated[
        int, typer.Option(help="MiB of keys and values of all requests; 0 is half of what is free.", min=0)
    ] = 0,
    keep_seconds: Annotated[float, typer.Option(help="Seconds that a trace is kept.", min=1)] = 3600.0,
    keep_mib: Annotated[int, typer.Option(help="MiB of traces that are kept.", min=1)] = 512,
    drain: Annotated[
        float, typer.Option(help="Seconds that requests under way have when the server is stopped.", min=0, max=86_400)
    ] = 60.0,
) -> None:
    """Serve a web page and OpenAI's endpoints with one resident model, until it is stopped."""
    keys, own = keys_of(key_env), host in LOOPBACK
    _check_names(allow_host or (), allow_origin or ())
    if not (own or keys):
        raise CooperError(f"listening on {host} would let everybody ask: name a variable that holds a key with --key-env")
    _need_packages()
    from cooper.serving.app import LOOPBACK as NAMES
    from cooper.serving.app import Settings
    from cooper.serving.desk.limits import MIB, Limits

    limits = Limits(
        rows=most_rows,
        queue=queue,
        memory=memory_mib * MIB,
        pictures=most_pictures,
        pixels=most_pixels,
        tokens=most_tokens,
        seconds=most_seconds,
        keep_seconds=keep_seconds,
        keep_bytes=keep_mib * MIB,
    )
    settings = Settings(
        traces=output_folder(traces or Path(gettempdir()) / f"cooper-traces-{os.getpid()}"),
        limits=limits,
        keys=keys,
        hosts=(*NAMES, *(name.lower() for name in allow_host or ())) if own or allow_host else (),
        origins=tuple(allow_origin or ()),
        drain=drain,
        replica=str(os.getpid()),
    )
    loading = {"base": base, "device_map": device, "quantization": quantization}
    _run(model, loading, settings, host, port)


def _run(model: str, loading: dict[str, Any], settings: "Settings", host: str, port: int) -> None:
    """Load the model and serve until a signal comes."""
    import uvicorn

    from cooper.reasoning.cooper import Cooper
    from cooper.serving.app import app_of

    place = _listening(host, port)
    app = app_of(Cooper.from_pretrained(model, **loading), settings)
    patience = round(settings.drain) + 10  # the desk ends what is left after `drain`, and this what hangs
    config = uvicorn.Config(app, log_level="warning", timeout_graceful_shutdown=patience, server_header=False)
    address = f"http://{f'[{host}]' if ':' in host else host}:{place.getsockname()[1]}"
    typer.echo(f"{address}  page, /v1/chat/completions, /v1/responses; Ctrl-C ends", err=True)

    class DrainingServer(uvicorn.Server):
        async def shutdown(self, sockets: list[socket.socket] | None = None) -> None:
            app.state.house.desk.drain(settings.drain)
            await super().shutdown(sockets)

    DrainingServer(config).run(sockets=[place])
