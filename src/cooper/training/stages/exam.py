"""How a model in training draws and answers: maps and questions that it has not seen, with the engine that inference uses and
the scores that evaluation uses.

N: examples drawn. H, W: height and width in pixels.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from PIL import Image

from cooper.data.examples import Conventions, Examples
from cooper.data.item import Item
from cooper.evaluation.figures.summary import mode_figures
from cooper.evaluation.maps.scores import class_names, depth_figures, depth_row, segmentation_figures, segmentation_row
from cooper.evaluation.maps.sheet import stacked
from cooper.evaluation.runs.answering import answer_row
from cooper.files.pictures import grey_picture
from cooper.perception import Modality
from cooper.perception.modality import Drawn
from cooper.reasoning.cooper import Cooper
from cooper.reasoning.decoding import Sampling
from cooper.trace.modes import AnswerMode
from cooper.training.bundles import Bundle

TURN_TOKENS = 128  # the longest turn that is waited for
ON_A_SHEET = 8  # examples
DrawnMaps = Mapping[str, Sequence[Drawn]]  # by modality, pictures [H, W, 3] in [0, 1] of the first N examples


@dataclass(frozen=True, eq=False)
class AnswerExam:
    """The same questions each time. With `grey`, the model is shown a grey picture."""

    items: Sequence[Item]
    modes: tuple[AnswerMode, ...]
    grey: bool = False

    def figures(self, bundle: Bundle) -> Mapping[str, float]:
        """Per mode: accuracy over all questions, the mean over spatial categories, and maps per question."""
        door = Cooper.of(bundle.model.eval(), bundle.processor, bundle.prompts)
        questions = [item.question.opened() for item in self.items]
        if self.grey:
            questions = [
                replace(each, parts=tuple(part if isinstance(part, str) else grey_picture(part) for part in each.shown))
                for each in questions
            ]
        found: dict[str, float] = {}
        for mode in self.modes:
            traces = door.batch(questions, door.options(mode, Sampling(max_tokens=TURN_TOKENS)))
            rows = [answer_row(item, mode, trace[0]) for item, trace in zip(self.items, traces, strict=True)]
            figures = mode_figures(rows)
            found[f"{mode}_accuracy"], found[f"{mode}_maps"] = figures.accuracy.mean, figures.usage.maps
            found[f"{mode}_spatial"] = figures.means["spatial"].mean
        return found


@dataclass(frozen=True, eq=False)
class MapExam:
    """Draws the maps of examples and scores them, as `cooper eval` does; without guidance, for speed."""

    examples: Examples
    conventions: Conventions
    modalities: Mapping[str, Modality]

    def figures(self, bundle: Bundle, picture: Path) -> dict[str, float]:
        """The scores of what a model draws; the sheet goes into the file `picture`."""
        drawn = self.drawn(bundle)
        self.sheet(drawn).save(picture)
        return self.scores(drawn)

    def drawn(self, bundle: Bundle) -> DrawnMaps:
        """Depth and segmentation of all examples, each from the noise of its own name."""
        door = Cooper.of(bundle.model.eval(), bundle.processor, bundle.prompts)
        unguided = replace(bundle.model.config.drawing_defaults, text_scale=1.0, image_scale=1.0)
        door = replace(door, defaults=replace(door.defaults, drawing=unguided))
        images, names = [each.image for each in self.examples], [each.id for each in self.examples]
        return {kind: [step.drawn for step in door.draw(images, kind, names=names)] for kind in ("depth", "segmentation")}

    def scores(self, drawn: DrawnMaps) -> dict[str, float]:
        """`drawn` against the truth: `abs_rel` in metres where the model draws metres, `abs_rel_aligned` and `delta1_aligned`
        after affine alignment, `miou` where the model draws the classes of the set, else `region_iou`."""
        depth = [
            depth_row(self.modalities["depth"].decode(each), example, self.conventions)
            for each, example in zip(drawn["depth"], self.examples, strict=True)
        ]
        readings = [self.modalities["segmentation"].decode(each) for each in drawn["segmentation"]]
        same = all(class_names(reading) == self.conventions.names for reading in readings)
        conventions = self.conventions if same else replace(self.conventions, names=())
        regions = [segmentation_row(*pair, conventions) for pair in zip(readings, self.examples, strict=True)]
        of_depth, of_regions = depth_figures(depth), segmentation_figures(regions, conventions)
        wanted = {
            "abs_rel": of_depth.get("abs_rel_metres"),
            "abs_rel_aligned": of_depth.get("abs_rel"),
            "delta1_aligned": of_depth.get("delta1"),
            "miou" if same else "region_iou": of_regions.get("miou" if same else "region_iou"),
        }
        return {name: found.mean for name, found in wanted.items() if found is not None}

    def sheet(self, drawn: DrawnMaps) -> Image.Image:
        """One line per example: picture, true and drawn depth, true and drawn segmentation."""
        lines = []
        for place, example in enumerate(self.examples[:ON_A_SHEET]):
            line = [example.image]
            for kind, maps in drawn.items():
                line += [self.modalities[kind].render(each) for each in (example.drawn(kind, self.modalities), maps[place])]
            lines.append(line)
        return stacked(lines)
