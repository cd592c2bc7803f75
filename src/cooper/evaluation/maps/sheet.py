"""A sheet of pictures to look at after a run: the best, the middle and the worst, a line each."""

from collections.abc import Sequence

from PIL import Image

SHOWN = 4  # pictures of each kind
SIDE = 224  # px: their longer side


def best_middle_worst(errors: Sequence[float]) -> list[int]:
    """Places of the `SHOWN` lowest, middle and highest errors in that order, each once.

    >>> best_middle_worst([0.3, 0.1, 0.2])
    [1, 2, 0]
    """
    order = sorted(range(len(errors)), key=lambda place: errors[place])
    middle = len(order) // 2 - min(SHOWN, len(order)) // 2
    return list(dict.fromkeys([*order[:SHOWN], *order[middle : middle + SHOWN], *order[-SHOWN:]]))


def stacked(lines: Sequence[Sequence[Image.Image]]) -> Image.Image:
    """Lines of pictures, one below the other."""
    drawn = [_line(line) for line in lines]
    sheet = Image.new("RGB", (max(line.width for line in drawn), sum(line.height for line in drawn)))
    top = 0
    for line in drawn:
        sheet.paste(line, (0, top))
        top += line.height
    return sheet


def _line(pictures: Sequence[Image.Image]) -> Image.Image:
    height = round(SIDE * pictures[0].height / max(pictures[0].size))
    width = round(SIDE * pictures[0].width / max(pictures[0].size))
    line = Image.new("RGB", (width * len(pictures), height))
    for place, picture in enumerate(pictures):
        line.paste(picture.convert("RGB").resize((width, height)), (place * width, 0))
    return line
