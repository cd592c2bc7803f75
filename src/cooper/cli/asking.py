"""`cooper ask`, `cooper depth` and `cooper segment`: a picture in, a trace out; `cooper example`: a picture to begin with."""

import json
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from cooper.cli.console.commands import BaseOption, DeviceOption, QuantizationOption
from cooper.errors import CooperError
from cooper.files.arguments import seed_of
from cooper.files.hub import resolve
from cooper.trace.modes import AnswerMode

if TYPE_CHECKING:
    from cooper.reasoning.cooper import Cooper
    from cooper.reasoning.drawn_map import DrawnMap
    from cooper.trace.steps import Question
    from cooper.trace.trace import Trace


ModeOption = Annotated[
    AnswerMode,
    typer.Option(
        "--mode",
        help="Draw maps when needed (interleaved), always and first (perception), never (text), or answer at once (direct).",
    ),
]
ModelOption = Annotated[str, typer.Option("--model", help="Model: nano, a directory, or a hub id.")]
SeedOption = Annotated[
    int, typer.Option("--seed", help="Random seed, from 0 to 2**32 - 1; the same seed gives the same result.")
]
NativeOption = Annotated[bool, typer.Option("--native", help="Keep the map at the size it was drawn, not the picture's.")]
OutOption = Annotated[Path | None, typer.Option("--out", help="Save the trace and an HTML page of it in this folder.")]
JsonOption = Annotated[bool, typer.Option("--json", help="Print one JSON object and nothing else.")]
ChoiceOption = Annotated[
    list[str] | None,
    typer.Option(
        "--choice",
        help="Option that the answer must be one of; repeat for each. nano takes those that the question lists.",
    ),
]
PictureArgument = Annotated[Path, typer.Argument(metavar="IMAGE", help="A picture file.")]


def ask(
    images: Annotated[list[Path], typer.Argument(metavar="IMAGE...", help="One or more picture files.")],
    question: Annotated[str, typer.Argument(metavar="QUESTION", help="The question, in quotation marks.")],
    model: ModelOption = "nano",
    mode: ModeOption = "interleaved",
    seed: SeedOption = 0,
    subject: Annotated[int, typer.Option(help="Number of the picture to draw maps of, from 0; -1 is the last.")] = -1,
    choice: ChoiceOption = None,
    free: Annotated[bool, typer.Option("--free", help="Do not restrict the answer to the options of the question.")] = False,
    base: BaseOption = None,
    device: DeviceOption = None,
    quantization: QuantizationOption = None,
    out: OutOption = None,
    as_json: JsonOption = False,
    server: Annotated[
        str | None, typer.Option(help="Address of a running `cooper serve` that answers in MODEL's place.")
    ] = None,
    key_env: Annotated[str | None, typer.Option(help="Environment variable with the server's key.")] = None,
) -> None:
    """Answer a question about one or more pictures; the model may draw maps while it reasons."""
    from cooper.trace.asked import question_of
    from cooper.trace.page import save_with_page
    from cooper.trace.record import trace_json

    if server is None and key_env is not None:
        raise CooperError("--key-env names the key of a server: give its address with --server, or leave it out")
    if server is not None:
        _only_here(model=model, base=base, device=device, quantization=quantization)
    asked = question_of(images, question, subject)  # a bad question or folder is refused before a model is loaded
    choices = () if free else choice or None
    if server is not None:
        _show_trace(_asked_elsewhere(server, key_env, asked, mode, seed, choices, out), out, as_json)
        return
    loaded = _load(model, base, device, quantization, seed, out)
    trace = loaded.ask(asked, mode=mode, seed=seed, choices=choices) if as_json else _stream(loaded, asked, mode, seed, choices)
    if out is not None:
        save_with_page(trace, out)
    if as_json:
        typer.echo(json.dumps(trace_json(trace, out), ensure_ascii=False))
    elif out is not None:
        typer.echo(f"Page: {out / 'page.html'}")


def _only_here(**given: object) -> None:
    """CooperError: an option of a model that is loaded here, beside the address of a server."""
    for name, value in given.items():
        if value not in (None, "nano"):
            raise CooperError(f"--{name} says how a model is loaded here, and --server asks one that is loaded: leave one out")


def _asked_elsewhere(
    server: str,
    key_env: str | None,
    asked: "Question",
    mode: AnswerMode,
    seed: int,
    choices: Sequence[str] | None,
    out: Path | None,
) -> "Trace":
    """The answer of a running server."""
    from cooper.serving.client import ask_server
    from cooper.serving.keys import keys_of

    seed_of(seed, "--seed")
    key = next(iter(keys_of(key_env)), "")
    return ask_server(server, key, asked, mode, seed, choices)


def _show_trace(trace: "Trace", out: Path | None, as_json: bool) -> None:
    from rich.console import Console

    from cooper.cli.console.printing import print_trace
    from cooper.trace.page import save_with_page
    from cooper.trace.record import trace_json

    if out is not None:
        save_with_page(trace, out)
    if as_json:
        typer.echo(json.dumps(trace_json(trace, out), ensure_ascii=False))
    else:
        print_trace(trace, Console())
        if out is not None:
            typer.echo(f"Page: {out / 'page.html'}")


def depth(
    image: PictureArgument,
    model: ModelOption = "nano",
    seed: SeedOption = 0,
    view: Annotated[float, typer.Option(help="Horizontal field of view in degrees, for the point cloud.")] = 60.0,
    native: NativeOption = False,
    base: BaseOption = None,
    device: DeviceOption = None,
    quantization: QuantizationOption = None,
    out: OutOption = None,
    as_json: JsonOption = False,
) -> None:
    """Draw the depth map of a picture. With --out, also saves the depth array and a point cloud."""
    from cooper.files.pictures import opened

    if not 0 < view < 180:
        raise CooperError(f"--view is {view:g} degrees; it must lie between 0 and 180")
    picture = opened(image)
    drawn = _load(model, base, device, quantization, seed, out).depth(picture, seed, native)
    if out is not None:
        drawn.save(out, drawn.point_cloud(view))
    _show_map(drawn, out, as_json)


def segment(
    image: PictureArgument,
    model: ModelOption = "nano",
    seed: SeedOption = 0,
    native: NativeOption = False,
    base: BaseOption = None,
    device: DeviceOption = None,
    quantization: QuantizationOption = None,
    out: OutOption = None,
    as_json: JsonOption = False,
) -> None:
    """Draw the segmentation map of a picture. With --out, also saves the label and instance arrays."""
    from cooper.files.pictures import opened

    picture = opened(image)
    drawn = _load(model, base, device, quantization, seed, out).segment(picture, seed, native)
    if out is not None:
        drawn.save(out)
    _show_map(drawn, out, as_json)


def _load(model: str, base: Path | None, device: str | None, quantization: str | None, seed: int, out: Path | None) -> "Cooper":
    """The model, when all else that was asked for is known to be possible."""
    seed_of(seed, "--seed")
    if out is not None:
        from cooper.trace.store import trace_folder

        trace_folder(out)
    resolve(model)
    from cooper.reasoning.cooper import Cooper

    return Cooper.from_pretrained(model, base=base, device_map=device, quantization=quantization)


def _stream(model: "Cooper", asked: "Question", mode: AnswerMode, seed: int, choices: Sequence[str] | None) -> "Trace":
    from rich.console import Console

    from cooper.cli.console.printing import TracePrinter
    from cooper.reasoning.events import DrawingProgress, StepDone, TextDelta, TraceDone

    printer = TracePrinter(Console(), asked, [modality.tag for modality in model.modalities.values()])
    for event in model.stream(asked, mode=mode, seed=seed, choices=choices):
        match event:
            case TextDelta(_, text):
                printer.text(text)
            case DrawingProgress(_, done, total):
                printer.drawing(done, total)
            case StepDone(_, step):
                printer.step(step)
            case TraceDone(_, trace):
                printer.end(trace)
                return trace
    raise RuntimeError("the model ended without a trace")


def _show_map(drawn: "DrawnMap", out: Path | None, as_json: bool) -> None:
    from rich.console import Console

    from cooper.cli.console.printing import print_trace
    from cooper.trace.record import trace_json

    if as_json:
        typer.echo(json.dumps(trace_json(drawn.trace, out), ensure_ascii=False))
        return
    print_trace(drawn.trace, Console())
    if out is not None:
        typer.echo(f"Page: {out / 'page.html'}")


def example(folder: Annotated[Path, typer.Argument(help="Folder for room.png and questions.txt.")] = Path("example")) -> None:
    """Write an example picture and questions about it into a folder, and print a command to try."""
    from cooper.trace.example import example_questions, write_example

    picture = write_example(folder)
    typer.echo(f"{picture} shows a rendered room; {picture.with_name('questions.txt')} holds questions about it. For example:")
    typer.echo(f'  cooper ask {picture} "{example_questions()[0]}" --out {folder / "answer"}')
