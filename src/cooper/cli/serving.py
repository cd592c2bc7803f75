"""`cooper serve`: page and endpoints over one resident model."""

import os
import socket
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


def _listens(host: str, port: int) -> None:
    """CooperError: nobody could reach the server there."""
    try:
        found = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE)[0]
        with socket.socket(found[0]) as tried:
            tried.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            tried.bind(found[4])
    except OSError as error:
        raise CooperError(f"cannot listen on {host}, port {port}: {error.strerror or error}") from None


def serve(
    model: ModelOption = "nano",
    device: DeviceOption = None,
    base: BaseOption = None,
    quantization: QuantizationOption = None,
    host: Annotated[
        str, typer.Option(help="Address to listen on; others than this machine's own need --key-env.")
    ] = "127.0.0.1",
    port: Annotated[int, typer.Option(help="Port to listen on.", min=0, max=65535)] = 8000,
    key_env: Annotated[
        str | None, typer.Option(help="Environment variable with the keys that may ask, commas between.")
    ] = None,
    allow_host: Annotated[
        list[str] | None, typer.Option(help="Further name by which the server may be called; repeat.")
    ] = None,
    allow_origin: Annotated[list[str] | None, typer.Option(help="Page of another server that may ask (CORS); repeat.")] = None,
    traces: Annotated[Path | None, typer.Option(help="Folder of kept traces, which replicas may share.")] = None,
    most_rows: Annotated[int, typer.Option(help="Requests that are answered at once.")] = 16,
    queue: Annotated[int, typer.Option(help="Requests that wait behind them; more get 429.")] = 64,
    most_pictures: Annotated[int, typer.Option(help="Pictures of one request.")] = 8,
    most_pixels: Annotated[int, typer.Option(help="Pixels of one picture.")] = 24_000_000,
    most_tokens: Annotated[int, typer.Option(help="Tokens of one turn.")] = 1024,
    most_seconds: Annotated[float, typer.Option(help="Seconds of one request, waiting included.")] = 300.0,
    memory_mib: Annotated[int, typer.Option(help="MiB of keys and values of all requests; 0 is half of what is free.")] = 0,
    keep_seconds: Annotated[float, typer.Option(help="Seconds that a trace is kept.")] = 3600.0,
    keep_mib: Annotated[int, typer.Option(help="MiB of traces that are kept.")] = 512,
    drain: Annotated[float, typer.Option(help="Seconds that requests under way have when the server is stopped.")] = 60.0,
) -> None:
    """Serve a web page and OpenAI's endpoints with one resident model, until it is stopped."""
    keys, own = keys_of(key_env), host in LOOPBACK
    if not (own or keys):
        raise CooperError(f"listening on {host} would let everybody ask: name a variable that holds a key with --key-env")
    try:
        from cooper.serving.app import LOOPBACK as NAMES
        from cooper.serving.app import Settings
        from cooper.serving.desk.limits import MIB, Limits
    except ImportError as error:
        raise CooperError(f'serving needs further packages ({error.name or error}): pip install "cooper[serve]"') from None
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

    _listens(host, port)
    config = uvicorn.Config(
        app_of(Cooper.from_pretrained(model, **loading), settings),
        host,
        port,
        log_level="warning",
        timeout_graceful_shutdown=round(settings.drain),
        server_header=False,
    )
    place = f"http://{f'[{host}]' if ':' in host else host}:{port}"
    typer.echo(f"{place}  page, /v1/chat/completions, /v1/responses; Ctrl-C ends", err=True)
    uvicorn.Server(config).run()
