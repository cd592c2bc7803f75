import io

import numpy as np
from PIL import Image
from rich.console import Console

from cooper.cli.console.printing import TracePrinter, print_trace, thumbnail
from cooper.files.arguments import visible
from cooper.trace.steps import Question, TextStep


def console(**options):
    return Console(file=io.StringIO(), width=100, **options)


def test_a_trace_prints_in_order(example_trace):
    plain = console()
    print_trace(example_trace(Image.new("RGB", (32, 24))), plain)
    text = plain.file.getvalue()
    places = [text.index(words) for words in ("Look.", "Draw.", "depth map", "» Check", "Seen.", "\nB\n", "fake · seed 0")]
    assert places == sorted(places)
    assert "\x1b" not in text and "▀" not in text


def test_maps_are_small_pictures_on_a_colour_terminal(example_trace):
    colour = console(force_terminal=True, color_system="truecolor")
    print_trace(example_trace(Image.new("RGB", (32, 24), (200, 30, 30))), colour, ("depth-estimation",))
    text = colour.file.getvalue()
    assert "38;2;200;30;30;48;2;200;30;30m▀" in text  # the picture
    assert "38;2;0;0;0;48;2;0;0;0m▀" in text  # the map beside it


def test_a_thumbnail_holds_two_pixels_per_character():
    pixels = np.zeros((4, 2, 3), dtype=np.uint8)
    pixels[0, 0] = (1, 2, 3)
    small = thumbnail(Image.fromarray(pixels), 2)
    assert small.plain == "▀▀\n▀▀"
    assert small.spans[0].style == "rgb(1,2,3) on rgb(0,0,0)"


def test_a_model_cannot_command_the_terminal():
    assert visible("a\x1b[2J\x07\tb\n") == "a\ufffd[2J\ufffd\tb\n"
    plain = console()
    printer = TracePrinter(plain, Question(("q",)), ())
    printer.step(TextStep("[red]not markup[/red] \x1b[31m", truncated=True))
    assert "[red]not markup[/red] \ufffd[31m [cut by the token limit]" in plain.file.getvalue()
