"""A sheet of pictures to look at after a run: the best, the middle and the worst, a line each."""

from collections.abc import Callable, Sequence

from PIL import Image

from cooper.data.examples import Example
from cooper.evaluation.runs.answering import Reasoner, RunPlan
from cooper.files.rows import batches
from cooper.perception.modality import Drawn

SHOWN = 4  # pictures of each kind
SIDE = 224  # px: their longer side

Panels = Callable[[Example, Drawn], Sequence[Image.Image]]


def contact_sheet(
    model: Reasoner, modality: str, items: Sequence[Example], errors: Sequence[float], panels: Panels, plan: RunPlan
) -> Image.Image:
    """The items of the lowest, middle and highest errors, their maps drawn again. `panels` says what follows the picture."""
    lines = []
    for places in batches(best_middle_worst(errors), plan.batch):
        steps = model.draw([items[place].image for place in places], modality, seed=plan.seed)
        for place, step in zip(places, steps, strict=True):
            lines.append([items[place].image, *panels(items[place], step.drawn)])
    return stacked(lines)


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
    return _under([_line(line) for line in lines])


def _line(pictures: Sequence[Image.Image]) -> Image.Image:
    height = round(SIDE * pictures[0].height / max(pictures[0].size))
    width = round(SIDE * pictures[0].width / max(pictures[0].size))
    line = Image.new("RGB", (width * len(pictures), height))
    for place, picture in enumerate(pictures):
        line.paste(picture.convert("RGB").resize((width, height)), (place * width, 0))
    return line


def _under(lines: Sequence[Image.Image]) -> Image.Image:
    sheet = Image.new("RGB", (max(line.width for line in lines), sum(line.height for line in lines)))
    top = 0
    for line in lines:
        sheet.paste(line, (0, top))
        top += line.height
    return sheet
