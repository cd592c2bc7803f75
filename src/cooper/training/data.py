"""What `data:` and `val:` of a recipe may be: a path, a group of keys with a kind, or (`data` of amg and sft) several such
groups by name. Opened here for every stage.

The readers are those of `cooper eval depth` and `cooper eval segmentation`, data sets of plugins included.
"""

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Annotated, Any

from cooper.data.digests import sources_digest
from cooper.data.examples import Conventions, ExampleSet
from cooper.data.sources.ade20k import Split, read_ade20k
from cooper.data.sources.pictures import is_pictures, listed_sizes, read_pictures
from cooper.data.sources.reasoning.trace_file import LLAVA, MESSAGES, QUESTIONS, REASONING, TRACES, kind_of_rows
from cooper.errors import CooperError
from cooper.evaluation.suites.depth import DepthSuite
from cooper.evaluation.suites.segmentation import SegmentationSuite
from cooper.files.plugins import load_plugins
from cooper.files.rows import read_object
from cooper.files.values import AtLeast, AtMost, Count, Positive, Weight
from cooper.scenes.examples import SceneExamples, read_scenes
from cooper.trace.modes import AnswerMode

SCENES, PICTURES, ADE20K = "scenes", "pictures", "ade20k"
RANGE = ("near", "far", "names")  # laid over what a data set says of itself
OF_PICTURES = ("metres_per_count", "void", "things")
OF_FILES = {  # by the kind of a JSON Lines file, its keys
    REASONING: ("mode",),
    TRACES: ("image_root",),
    LLAVA: ("mode", "image_root"),
    MESSAGES: ("mode", "image_root"),
    QUESTIONS: ("image_root",),
}


@dataclass(frozen=True, kw_only=True)
class DataSource:
    """Data that a path alone does not say enough about. `kind`: `pictures` (your own), `scenes` (rendered), `nyu`, `kitti`,
    `hypersim`, `vkitti`, `ade20k`, or one that a plugin registered. JSON Lines files, which sft and grpo take: `reasoning`
    (the published rows of stage 2), `traces` (your own), `llava`, `messages`, `questions`. `limit`: pictures or rows, from the
    first on. `split`: of ade20k. `mode`: in which rows answer that name none. `image_root`: the folder of the pictures that
    rows name, by default that of the file. The other keys are those of `data.yaml`, and come before it; `metres_per_count`,
    `void` and `things` are of pictures alone. The stage vision takes rendered scenes only.
    """

    kind: str
    path: Path
    limit: Count | None = None
    split: Split | None = None
    metres_per_count: Positive | None = None
    near: Weight | None = None
    far: Positive | None = None
    names: tuple[str, ...] | None = None
    void: Annotated[int, AtLeast(0), AtMost(65535)] | None = None
    things: tuple[str, ...] | None = None
    mode: AnswerMode | None = None
    image_root: Path | None = None

    def __post_init__(self) -> None:
        own = {SCENES: (), PICTURES: (*RANGE, *OF_PICTURES), ADE20K: (*RANGE, "split"), **OF_FILES}
        allowed = own.get(self.kind, RANGE)
        for key in ("split", *RANGE, *OF_PICTURES, "mode", "image_root"):
            if getattr(self, key) is not None and key not in allowed:
                raise CooperError(
                    f"{key} is no key of the kind {self.kind}; it takes limit{''.join(f', {name}' for name in allowed)}"
                )
        if self.kind == ADE20K and self.split is None:
            raise CooperError("the kind ade20k needs its split: training or validation")

    def said(self, *keys: str) -> dict[str, Any]:
        """Those of `keys` that are given."""
        return {key: getattr(self, key) for key in keys if getattr(self, key) is not None}


@dataclass(frozen=True, kw_only=True)
class MixedSource(DataSource):
    """One source of several, with its share of the rows: `weight` over the sum of all. Each of its pictures or rows comes once
    before any comes again."""

    weight: Weight = 1.0


Data = Path | DataSource
Sources = Data | Mapping[str, MixedSource]


def by_name(data: Sources) -> Mapping[str, Data]:
    """The sources by their names; one without a name is called "". CooperError: none has a weight above 0."""
    if not isinstance(data, Mapping):
        return {"": data}
    if not any(source.weight for source in data.values()):
        raise CooperError("data must give one of its sources a weight above 0")
    return data


def one_source(data: Sources) -> Data:
    """The same. CooperError: it is several."""
    if isinstance(data, Mapping):
        raise CooperError(f"data has several sources ({', '.join(data)}), which only amg and sft learn from; name one here")
    return data


def source_of_data(data: Data) -> DataSource:
    """The same with a kind, which a folder tells by what it holds. CooperError: it is not there, or tells none."""
    if isinstance(data, DataSource):
        return data
    if is_rows(data) and data.is_file():
        return DataSource(kind=kind_of_rows(data) or PICTURES, path=data)
    if is_pictures(data) and not (data / "dataset.json").is_file():
        return DataSource(kind=PICTURES, path=data)
    if data.exists() and not (data / "dataset.json").is_file():
        raise CooperError(
            f"{data} is no rendered scene set (dataset.json is missing) and holds no pictures of your own (images/ with "
            f"depth/ or labels/ beside it, or data.jsonl); other data sets need their kind: {{kind: hypersim, path: {data}}}"
        )
    return DataSource(kind=SCENES, path=data)


def is_rows(data: Sources) -> bool:
    """Whether this is said to be a JSON Lines file, whatever its rows hold, or several of them."""
    if isinstance(data, Mapping):
        return all(map(is_rows, data.values()))
    return data.kind in OF_FILES if isinstance(data, DataSource) else data.suffix == ".jsonl"


def place_of(data: Data) -> Path:
    """Where data lie."""
    return data.path if isinstance(data, DataSource) else data


def places_of(data: Sources) -> str:
    """Where data lie, in words."""
    return ", ".join(str(place_of(each)) for each in by_name(data).values())


def open_data(data: Data, most: int, maps: Sequence[str]) -> ExampleSet:
    """The first pictures, `most` or the source's own limit, of which one of `maps` is known (`depth`, `segmentation`;
    all if there are none). CooperError names what is not there or cannot be read."""
    source = source_of_data(data)
    most = most if source.limit is None else min(most, source.limit)
    if source.kind == SCENES:
        return read_scenes(source.path, most)
    if not source.path.exists():
        raise CooperError(f"{source.path}: not found")
    found = _read(source, maps)
    items = [item for item in found.items if not maps or any(map(item.has, maps))][:most]
    if not items:
        raise CooperError(f"no picture of {source.path} has a true map of {' or '.join(maps)}")
    return replace(found, items=items, conventions=_laid_over(found.conventions, source))


def _read(source: DataSource, maps: Sequence[str]) -> ExampleSet:
    if source.kind == PICTURES:
        return read_pictures(source.path, source.said(*RANGE, *OF_PICTURES), maps)
    if source.kind in OF_FILES:
        raise CooperError(f"{source.path} holds {source.kind}, and no maps of pictures; it is a file for sft or grpo")
    if source.kind == ADE20K and source.split is not None:
        return read_ade20k(source.path, source.split)
    known, readers = map_kinds(), {**DepthSuite.READERS, **SegmentationSuite.READERS}
    if source.kind not in known:
        raise CooperError(f"unknown kind of data {source.kind!r}; known: {', '.join(known)}")
    return readers[source.kind](source.path)


def map_kinds() -> list[str]:
    """Kinds of data with maps, those of plugins included."""
    load_plugins()
    return sorted({*DepthSuite.READERS, *SegmentationSuite.READERS})


def _laid_over(conventions: Conventions, source: DataSource) -> Conventions:
    changed = replace(conventions, **source.said(*RANGE))
    if changed.far <= changed.near and "far" in source.said("near", "far"):
        raise CooperError(f"far is {changed.far:g} m, which must be more than near, {changed.near:g} m")
    return changed


def scene_folder(data: Data, why: str) -> Path:
    """The folder of rendered scenes. CooperError: it is other data, and `why` says what for scenes are needed."""
    source = source_of_data(data) if isinstance(data, DataSource) or is_pictures(data) else DataSource(kind=SCENES, path=data)
    if source.kind == SCENES and source.limit is not None:
        raise CooperError(f"limit of {source.path}: here the number of scenes is the key `scenes` of the recipe")
    if source.kind != SCENES:
        raise CooperError(f"{source.path} must be the folder of a rendered scene set (`cooper scenes render`): {why}")
    return source.path


def scenes_in(found: ExampleSet) -> SceneExamples | None:
    """The scenes, if it is them."""
    return found.items if isinstance(found.items, SceneExamples) else None


def data_digest(data: Any) -> str:
    """What tells data from others, in little time: a scene set by what it was rendered from (it may grow), a file by its
    content, pictures by the names and sizes of their files. What is none of these, or is not there, has none: ""."""
    place = data.path if isinstance(data, DataSource) else data
    if not isinstance(place, Path) or not place.exists():
        return ""
    settings = place / "dataset.json"
    if settings.is_file():
        said = {name: value for name, value in read_object(settings).items() if name != "count"}
        return sources_digest([json.dumps(said, sort_keys=True).encode()])
    if isinstance(data, DataSource) and data.kind not in (PICTURES, *OF_FILES):
        return ""
    if place.is_dir():
        return sources_digest(listed_sizes(place)) if is_pictures(place) else ""
    return sources_digest([place])
