"""How a model in training draws and answers: maps and questions that it has not seen, with the engine that inference uses and
the scores that evaluation uses. The processes of a run share an exam: each answers and draws its part, and all know what the
others found.

N: examples drawn. H, W: height and width in pixels.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from PIL import Image

from cooper.data.examples import Conventions, Example, Examples
from cooper.data.item import Item
from cooper.data.sources.reasoning.trace_file import QUESTIONS
from cooper.errors import CooperError
from cooper.evaluation.figures.summary import mode_figures
from cooper.evaluation.maps.scores import class_names, depth_figures, depth_row, segmentation_figures, segmentation_row
from cooper.evaluation.maps.sheet import stacked
from cooper.evaluation.runs.answering import answer_row
from cooper.files.pictures import grey_picture
from cooper.files.rows import batches
from cooper.perception import Modality
from cooper.perception.modality import Drawn, Reading
from cooper.reasoning.cooper import Cooper
from cooper.reasoning.decoding import Sampling
from cooper.scenes.examples import SceneExamples
from cooper.scenes.problems import exam_items
from cooper.trace.modes import AnswerMode
from cooper.training.bundles import Bundle
from cooper.training.data import Data, is_rows, scene_folder, source_of_data
from cooper.training.rl.tasks import FileTasks
from cooper.training.scale.sharing import everyones, our_share

TURN_TOKENS = 128  # the longest turn that is waited for
ON_A_SHEET = 8  # examples
EXAM_SCENES = 100  # whose questions are asked, by default
AT_ONCE = 64  # pictures that are in memory together
DrawnMaps = Mapping[str, Sequence[Drawn]]  # by modality, pictures [H, W, 3] in [0, 1] of the first N examples


@dataclass(frozen=True, eq=False)
class AnswerExam:
    """The same questions each time. With `grey`, the model is shown a grey picture."""

    items: Sequence[Item]
    modes: tuple[AnswerMode, ...]
    grey: bool = False

    def figures(self, bundle: Bundle) -> Mapping[str, float]:
        """Per mode: accuracy over all questions, the mean over spatial categories, and maps per question. Every process must
        call it."""
        door, items = Cooper.of(bundle.model.eval(), bundle.processor, bundle.prompts), our_share().of(self.items)
        questions = [item.question.opened() for item in items]
        if self.grey:
            questions = [
                replace(each, parts=tuple(part if isinstance(part, str) else grey_picture(part) for part in each.shown))
                for each in questions
            ]
        found: dict[str, float] = {}
        for mode in self.modes:
            traces = door.batch(questions, door.options(mode, Sampling(max_tokens=TURN_TOKENS)))
            rows = [answer_row(item, mode, trace[0]) for item, trace in zip(items, traces, strict=True)]
            figures = mode_figures(everyones(rows))
            found[f"{mode}_accuracy"], found[f"{mode}_maps"] = figures.accuracy.mean, figures.usage.maps
            found[f"{mode}_spatial"] = figures.means["spatial"].mean
        return found


@dataclass(frozen=True, eq=False)
class MapExam:
    """Draws the `maps` of examples, as far as they are known, and scores them, as `cooper eval` does; without guidance, for
    speed."""

    examples: Examples
    conventions: Conventions
    modalities: Mapping[str, Modality]
    maps: tuple[str, ...] = ("depth", "segmentation")

    def figures(self, bundle: Bundle, picture: Path) -> dict[str, float]:
        """The scores of what a model draws; the sheet goes into the file `picture`. Every process must call it."""
        drawn, share = self.drawn(bundle), our_share()
        shown = {kind: everyones(maps[: -(-ON_A_SHEET // share.count)]) for kind, maps in drawn.items()}
        if share.first:
            self.sheet(shown).save(picture)
        return self.scores(drawn)

    def drawn(self, bundle: Bundle) -> DrawnMaps:
        """This process's share of the maps that are known, each from the noise of its own name."""
        door = Cooper.of(bundle.model.eval(), bundle.processor, bundle.prompts)
        unguided = replace(bundle.model.config.drawing_defaults, text_scale=1.0, image_scale=1.0)
        door = replace(door, defaults=replace(door.defaults, drawing=unguided))
        return {kind: _drawn(door, kind, self.ours(kind)) for kind in self.maps if with_map(self.examples, kind)}

    def ours(self, kind: str) -> list[Example]:
        """This process's share of the examples of which a map is known."""
        return our_share().of(with_map(self.examples, kind))

    def scores(self, drawn: DrawnMaps) -> dict[str, float]:
        """What all processes have `drawn` against the truth: `abs_rel` in metres where the model draws metres,
        `abs_rel_aligned` and `delta1_aligned` after affine alignment, `miou` where the model draws the classes of the set, else
        `region_iou`."""
        depth = [
            depth_row(reading, example, self.conventions) for reading, example in zip(*self._read(drawn, "depth"), strict=True)
        ]
        readings, examples = self._read(drawn, "segmentation")
        names = self.conventions.names
        same = bool(names) and all(everyones([class_names(reading) == names for reading in readings]))
        conventions = self.conventions if same else replace(self.conventions, names=())
        regions = [segmentation_row(*pair, conventions) for pair in zip(readings, examples, strict=True)]
        of_depth, of_regions = depth_figures(everyones(depth)), segmentation_figures(everyones(regions), conventions)
        wanted = {
            "abs_rel": of_depth.get("abs_rel_metres"),
            "abs_rel_aligned": of_depth.get("abs_rel"),
            "delta1_aligned": of_depth.get("delta1"),
            "miou" if same else "region_iou": of_regions.get("miou" if same else "region_iou"),
        }
        return {name: found.mean for name, found in wanted.items() if found is not None}

    def _read(self, drawn: DrawnMaps, kind: str) -> tuple[list[Reading], list[Example]]:
        """What the drawn maps of a kind say, and the examples that they are of."""
        maps = drawn.get(kind, ())
        return [self.modalities[kind].decode(each) for each in maps], self.ours(kind) if maps else []

    def sheet(self, drawn: DrawnMaps) -> Image.Image:
        """One line per example: picture, then of each map the true and the drawn one (of the first examples at least); grey
        where the truth is not known."""
        lines = []
        waiting = {kind: iter(maps) for kind, maps in drawn.items()}
        for example in self.examples[:ON_A_SHEET]:
            line = [example.image]
            for kind, maps in waiting.items():
                pair = (example.drawn(kind, self.modalities), next(maps)) if example.has(kind) else ()
                line += [self.modalities[kind].render(each) for each in pair] or [grey_picture(line[0])] * 2
            lines.append(line)
        return stacked(lines)


@dataclass(frozen=True, eq=False)
class ReasoningExam:
    """Questions, and maps where the truth is known."""

    answers: AnswerExam
    maps: MapExam | None = None

    def figures(self, bundle: Bundle, picture: Path) -> dict[str, float]:
        """The figures of both; the sheet of maps goes into the file `picture`."""
        drawn = {} if self.maps is None else self.maps.figures(bundle, picture)
        return {**drawn, **self.answers.figures(bundle)}


def with_map(examples: Examples, kind: str) -> list[Example]:
    """Those examples of which a map is known."""
    return [example for example in examples if example.has(kind)]


def _drawn(door: Cooper, kind: str, examples: Sequence[Example]) -> list[Drawn]:
    """A map of each example, `AT_ONCE` at a time, for pictures may be large."""
    maps: list[Drawn] = []
    for some in batches(examples, AT_ONCE):
        steps = door.draw([each.image for each in some], kind, names=[each.id for each in some])
        maps += [step.drawn for step in steps]
    return maps


def exam_of(val: Data, count: int, scenes: int = EXAM_SCENES) -> list[Item]:
    """`count` questions that are asked each time: about rendered scenes, the first `scenes` of them, or the first of a file of
    questions whose answers rules can read. CooperError: other data, or no such question."""
    if not is_rows(val):
        why = "exams ask questions about scenes, or those of a JSON Lines file"
        return exam_items(SceneExamples(scene_folder(val, why), scenes), count)
    source = source_of_data(val)
    if source.kind != QUESTIONS:
        raise CooperError(f"{source.path} holds {source.kind}; exams ask questions about scenes, or those of a JSON Lines file")
    items = [item for item in FileTasks(source.path, source.image_root, source.limit).items if item.scoring != "judge"][:count]
    if not items:
        raise CooperError(f"{source.path}: every answer is free text, which the rules of an exam cannot read")
    return items
