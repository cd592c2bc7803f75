"""The scenes benchmark: questions, depth and segmentation over rendered rooms with exact truth."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, get_args

from PIL import Image

from cooper.data.digests import item_digest, truth_digests
from cooper.data.item import Item
from cooper.errors import CooperError
from cooper.evaluation.figures.readers import reader_figures
from cooper.evaluation.figures.summary import Report
from cooper.evaluation.maps.drawing import DEPTH, SEGMENTATION, MapKind, draw_maps
from cooper.evaluation.maps.readers import PerfectReader, kept_readers
from cooper.evaluation.maps.scores import depth_figures, segmentation_figures
from cooper.evaluation.runs.answering import AnswerRow, Reasoner, answer_all, check_items
from cooper.evaluation.runs.folder import check_run, left_out_notes
from cooper.evaluation.runs.processes import wait_for_others
from cooper.evaluation.runs.progress import progress
from cooper.evaluation.runs.settings import check_not_negative
from cooper.evaluation.runs.swaps import check_swaps
from cooper.evaluation.suites.suite import Asked, QuestionSuite
from cooper.files.pictures import grey_picture
from cooper.perception.modality import Reading
from cooper.scenes.examples import CONVENTIONS, scene_example
from cooper.scenes.problems import NOTHING, item_of
from cooper.scenes.production import RenderSettings, render_scenes
from cooper.scenes.questions.categories import ALL_CATEGORIES, balanced_questions
from cooper.scenes.questions.question import SceneQuestion
from cooper.scenes.questions.wording import Wording
from cooper.scenes.room.render import SceneRecord
from cooper.scenes.room.scene import scene_id
from cooper.scenes.store import SceneSet, shard_path
from cooper.scenes.teacher.traces import ALL_MAPS
from cooper.scenes.teacher.traces import truth_of as reading_of

QUESTIONS_PER_SCENE = 4


@dataclass(frozen=True, kw_only=True)
class ScenesSuite(QuestionSuite):
    """`limit`: questions. `data`: a rendered set; without it the `split` of `seed` is rendered under `out`, in format `form`.
    `categories`: those that are asked, all that the format has by default. `wording`: `trained` or `held_out`, of format 3.

    `maps`: pictures whose depth and segmentation are drawn, None for all. `blind`: questions come with a grey picture.
    `given_maps` "true": the model reads the true map where it asks for one: what better drawing could bring at most.
    """

    name: str = "scenes"
    limit: int = 400
    split: str = "test"
    maps: int | None = None
    blind: bool = False
    form: int | None = None
    categories: tuple[str, ...] | None = None
    wording: Wording | None = None

    def __post_init__(self) -> None:
        super().__post_init__()
        check_not_negative(self, "maps")
        for name in self.categories or ():
            if name not in ALL_CATEGORIES:
                raise CooperError(f"unknown category {name!r} (--categories); known: {', '.join(ALL_CATEGORIES)}")
        if self.wording not in (None, *get_args(Wording)):
            raise CooperError(f"unknown wording {self.wording!r} (--wording); known: {', '.join(get_args(Wording))}")

    @property
    def record(self) -> dict[str, Any]:
        own = {"split": self.split, "maps": self.maps, "blind": self.blind}
        named = {"wording": self.wording, "format": self.form, "categories": self.categories and list(self.categories)}
        own |= {name: value for name, value in named.items() if value is not None}
        return {**super().record, "data": str(Path(self.data)) if self.data else None, **own}

    def read(self) -> Asked | None:
        """A set that is there is read; one that must be rendered first waits until the folder is taken."""
        return self.load() if self.data else None

    def load(self) -> Asked:
        check_run(self.out, self.record)  # before scenes are rendered into another run's folder
        faults: dict[str, str] = {}
        records = _records(self, faults)
        asked = questions_about(records, self)
        items = items_of(records, self, asked)
        scenes = {scene_id(record.scene): record for record in records}
        reader = PerfectReader({each.id: (each, scenes[_scene_of(each)]) for each in asked})
        check_items(items)
        check_swaps(items, self)
        truths = [] if self.blind else [scene_example(record) for record in records[: self.maps]]
        digests = {**{item.id: item_digest(item) for item in items}, **truth_digests(truths), **dict.fromkeys(faults, "")}
        return Asked(
            items=tuple(items),
            truths=tuple(truths),
            conventions=CONVENTIONS,
            notes=tuple(left_out_notes(faults)),
            digests=digests,
            witness=reader.row,
        )

    def run(self, model: Reasoner, asked: Asked) -> Report:
        """As `Suite.run`. Of several processes only the first renders."""
        rows = answer_all(model, asked.items, self, asked.witness)

        def drawn(kind: MapKind[Any]) -> list[Any]:
            able = asked.truths and kind.name in model.modalities
            return draw_maps(model, kind, asked.truths, conventions=CONVENTIONS, settings=self) if able else []

        return self._with_maps(rows, asked, {kind.name: drawn(kind) for kind in (DEPTH, SEGMENTATION)})

    def rescored(self, rows: Sequence[AnswerRow], asked: Asked) -> Report:
        """The maps of the run stay as they are."""
        return self._with_maps(rows, asked, {kind.name: kind.kept(self.out, CONVENTIONS) for kind in (DEPTH, SEGMENTATION)})

    def _with_maps(self, rows: Sequence[AnswerRow], asked: Asked, maps: Mapping[str, Sequence[Any]]) -> Report:
        regions = segmentation_figures(maps["segmentation"], CONVENTIONS, self.seed)
        readers = tuple(reader_figures(kept_readers(self.out), rows))
        return self.reported(
            asked, rows, maps={"depth": depth_figures(maps["depth"]), "segmentation": regions}, readers=readers
        )


def questions_about(records: Sequence[SceneRecord], settings: ScenesSuite) -> Sequence[SceneQuestion]:
    """At most `limit` questions, as even over the categories as the scenes allow."""
    per_scene = max(QUESTIONS_PER_SCENE, -(-settings.limit // len(records)))
    scenes = [record.scene for record in records]
    if settings.form not in (None, scenes[0].form):
        raise CooperError(f"{settings.data} holds scenes of format {scenes[0].form}, not {settings.form} (--format)")
    if settings.wording is not None and scenes[0].form == 2:
        raise CooperError("--wording needs scenes of format 3 (--format 3); those of format 2 are asked about in one way")
    asked = balanced_questions(scenes, settings.seed, per_scene, settings.categories, settings.wording)[: settings.limit]
    if not asked:
        raise CooperError(f"the scenes give no question of the categories {', '.join(settings.categories or ())}")
    return asked


def _scene_of(question: SceneQuestion) -> str:
    return question.id.rsplit("-", 2)[0]


def items_of(records: Sequence[SceneRecord], settings: ScenesSuite, asked: Sequence[SceneQuestion] | None = None) -> list[Item]:
    """The questions about these scenes, `asked` where they are made already, each with its picture and the maps that it comes
    with."""
    shown = {scene_id(record.scene): _shown(record, settings.blind) for record in records}
    known = {scene_id(record.scene): _known(record) if settings.given_maps == "true" else NOTHING for record in records}
    return [
        item_of(question, shown[_scene_of(question)], known[_scene_of(question)])
        for question in (questions_about(records, settings) if asked is None else asked)
    ]


def _known(record: SceneRecord) -> dict[str, Reading]:
    return dict.fromkeys(ALL_MAPS, reading_of(record))


def _shown(record: SceneRecord, blind: bool) -> Image.Image:
    picture = Image.fromarray(record.rgb)
    return grey_picture(picture) if blind else picture


def _records(settings: ScenesSuite, faults: dict[str, str] | None = None) -> list[SceneRecord]:
    """The first scenes of the set, as many as the questions need; `faults` takes those that cannot be read, with the reason."""
    scenes = SceneSet(settings.data) if settings.data else _rendered(settings)
    found, faults = [], {} if faults is None else faults
    for index in range(min(-(-settings.limit // QUESTIONS_PER_SCENE), len(scenes))):
        try:
            found.append(scenes[index])
        except CooperError as error:
            if not settings.skip_bad:
                raise CooperError(f"{error} (--skip-bad leaves out scenes that cannot be read)") from None
            faults[f"scene {index}"] = str(error)
    if not found:
        raise CooperError(f"none of the scenes in {settings.data} can be read; the first: {next(iter(faults.values()))}")
    return found


def _rendered(settings: ScenesSuite) -> SceneSet:
    count = -(-settings.limit // QUESTIONS_PER_SCENE)
    folder = settings.out / "scenes"
    render = RenderSettings(count=count, seed=settings.seed, split=settings.split, out=folder, form=settings.form or 2)
    if not settings.share.first:
        shards = [shard_path(folder, number) for number in range(-(-count // render.info.shard))]
        wait_for_others(lambda: sum(not shard.exists() for shard in shards), f"shards of scenes in {folder}")
        return SceneSet(folder)
    with progress(count, "scenes rendered", settings.quiet) as advance:
        seen = 0

        def tell(done: int, _count: int) -> None:
            nonlocal seen
            advance(done - seen)
            seen = done

        render_scenes(render, tell)
    return SceneSet(folder)
