"""The command line. Nothing heavy is imported before a command needs it."""

import sys
from typing import Annotated

import typer

from cooper.cli import asking, checkpoints, data, evaluate, kits, results, scenes, training
from cooper.cli.commands import Commands, OnceCommand, StoppedError
from cooper.cli.faults import flush_or_tell, tell, write_what_the_console_can
from cooper.files.arguments import visible

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
app.command()(checkpoints.inspect)
app.command()(checkpoints.export)
app.add_typer(scenes.app, name="scenes")
app.add_typer(data.app, name="data")
app.command("eval", cls=OnceCommand)(evaluate.evaluate)
app.command()(results.compare)
app.command()(results.study)
app.command()(results.gates)
app.command()(results.read)
app.command()(kits.vlmeval)


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
    """Run the command line. A mistake of the user is one sentence on stderr and exit code 1; Ctrl-C is 130."""
    write_what_the_console_can()
    code: int | str | None = 0
    try:
        app()
    except SystemExit as stop:
        code = stop.code
    except (StoppedError, KeyboardInterrupt) as stop:
        typer.echo(": ".join(filter(None, ("cooper: interrupted", visible(str(stop))))), err=True)
        code = 130
    except Exception as fault:
        if not tell(fault):
            raise
        code = 1
    sys.exit(code or flush_or_tell())


if __name__ == "__main__":
    main()
