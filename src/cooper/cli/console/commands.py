"""What commands share: options of models; what is kept when one is interrupted; an option that is given twice is refused."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Annotated, Any

import typer
from typer.core import TyperCommand, TyperGroup, TyperOption

from cooper.errors import CooperError

BaseOption = Annotated[
    Path | None,
    typer.Option("--base", help="BAGEL directory with configuration, tokenizer and autoencoder, if MODEL holds only weights."),
]
DeviceOption = Annotated[
    str | None, typer.Option("--device", help="Device: auto, cpu, cuda, ... The accelerator by default, if there is one.")
]


FEW_BITS = ("int8", "4bit")


def _few_bits(name: str | None) -> str | None:
    """The option as it is. CooperError: no such weights; it is told before a folder is made or a model is read."""
    if name is not None and name not in FEW_BITS:
        raise CooperError(f"quantization must be {' or '.join(FEW_BITS)}, not {name!r}")
    return name


QuantizationOption = Annotated[
    str | None,
    typer.Option("--quantization", callback=_few_bits, help="Weights of the decoder in int8 or 4bit; needs the extra quant."),
]


class StoppedError(Exception):
    """The user stopped the command; the text says what is kept, and is empty where nothing is."""


class Commands(TyperGroup):
    """As any group, but an interruption reaches `main`, which says so; typer by itself ends without a word."""

    def invoke(self, ctx: Any) -> Any:
        try:
            return super().invoke(ctx)
        except KeyboardInterrupt:
            raise StoppedError from None


@contextmanager
def told_when_interrupted(kept: Callable[[], str]) -> Iterator[None]:
    """On Ctrl-C in the block, end the command with what `kept` says."""
    try:
        yield
    except KeyboardInterrupt:
        raise StoppedError(kept()) from None


def goes_on(*folders: Path) -> str:
    """What to say where rows are kept as they come: which folders hold some, and that the same command goes on with them."""
    there = [str(folder) for folder in folders if folder.is_dir() and any(folder.iterdir())]
    return f"what is done is kept in {', '.join(there)}; the same command goes on from there" if there else ""


class OnceCommand(TyperCommand):
    """As any command, but of an option with one value the first is never dropped without a word."""

    def parse_args(self, ctx: typer.Context, args: list[str]) -> list[str]:
        for option in self.params:
            if isinstance(option, TyperOption) and not option.multiple and not option.is_flag:
                given = [word for word in args if word.partition("=")[0] in option.opts]
                if len(given) > 1:
                    raise CooperError(f"{given[0].partition('=')[0]} stands there {len(given)} times, and it takes one value")
        return super().parse_args(ctx, args)
