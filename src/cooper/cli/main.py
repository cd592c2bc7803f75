"""The command line. Nothing heavy is imported before a command needs it."""

import signal
import sys
from typing import Annotated

import typer

from cooper.cli import asking, checkpoints, data, evaluate, kits, results, scenes, serving, training
from cooper.cli.console.commands import Commands, OnceCommand, StoppedError
from cooper.cli.console.faults import flush_or_tell, tell, tell_own_warnings, write_what_the_console_can
from cooper.files.arguments import visible

STOPPED = 130  # exit code of what Ctrl-C has ended

app = typer.Typer(
    cls=Commands,
    help="Answer spatial questions about pictures with a model that draws depth and segmentation maps while it reasons.",
    no_args_is_help=True,
    pretty_exceptions_enable=False,
)
app.command()(asking.ask)
app.command()(asking.example)
app.command()(asking.depth)
app.command()(asking.segment)
app.command()(training.train)
app.command()(training.plan)
app.command()(checkpoints.inspect)
app.command()(checkpoints.export)
app.command()(checkpoints.merge)
app.add_typer(scenes.app, name="scenes")
app.add_typer(data.app, name="data")
app.command("eval", cls=OnceCommand)(evaluate.evaluate)
app.command()(results.compare)
app.command()(results.study)
app.command()(results.gates)
app.command()(results.read)
app.command()(kits.vlmeval)
app.command()(serving.serve)


def _print_version(wanted: bool) -> None:
    if wanted:
        from importlib.metadata import version

        typer.echo(version("cooper"))
        raise typer.Exit


@app.callback()
def root(
    version: Annotated[
        bool, typer.Option("--version", callback=_print_version, is_eager=True, help="Print the version and exit.")
    ] = False,
) -> None:
    """Options of all commands."""


def main() -> None:
    """Run the command line. A mistake of the user is one sentence on stderr and exit code 1; Ctrl-C is 130, however often."""
    write_what_the_console_can()
    tell_own_warnings()
    try:
        code = _ended()
    except KeyboardInterrupt:  # once more, while the first was told
        code = STOPPED
    if code == STOPPED:
        signal.signal(signal.SIGINT, signal.SIG_IGN)  # until the interpreter is gone, which would end with another code
    sys.exit(code or flush_or_tell())


def _ended() -> int | str | None:
    """Run the command, say what ended it early, and give back the exit code."""
    try:
        app()
    except SystemExit as stop:
        return stop.code
    except (StoppedError, KeyboardInterrupt) as stop:
        typer.echo(": ".join(filter(None, ("cooper: interrupted", visible(str(stop))))), err=True)
        return STOPPED
    except Exception as fault:
        if not tell(fault):
            raise
        return 1
    return 0


if __name__ == "__main__":
    main()
