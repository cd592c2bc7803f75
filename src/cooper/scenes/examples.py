"""Rendered scenes as examples: pictures with exact maps, and the description behind them."""

from collections.abc import Iterator, Sequence
from functools import lru_cache
from pathlib import Path
from typing import overload

import numpy as np
from PIL import Image

from cooper.data.examples import Conventions, Example, ExampleSet, example_of
from cooper.scenes.room.catalogue import CLASS_IDS, CLASS_NAMES, SHAPES
from cooper.scenes.room.render import FAR, NEAR, SceneRecord
from cooper.scenes.room.scene import Scene, scene_id
from cooper.scenes.store import SceneSet

CONVENTIONS = Conventions(
    near=NEAR,
    far=FAR,
    names=CLASS_NAMES,
    things=frozenset(CLASS_IDS[shape] for shape in SHAPES),
    void=CLASS_IDS["void"],
)
IN_MEMORY = 2 << 30  # bytes of decoded scenes that are kept; beyond, those not used for longest go


class SceneExamples(Sequence[Example]):
    """The first `limit` scenes of a rendered set, or all there are; each is read when it is asked for."""

    def __init__(self, folder: str | Path, limit: int | None = None) -> None:
        self.scenes = SceneSet(folder)
        self._length = len(self.scenes) if limit is None else min(limit, len(self.scenes))
        self.record = lru_cache(maxsize=IN_MEMORY // (9 * self.scenes.info.size**2))(self._record)

    def _record(self, index: int) -> SceneRecord:
        if not 0 <= index < self._length:
            raise IndexError(f"{self.scenes.folder}: scene {index} is not in 0..{self._length - 1}")
        return self.scenes[index]

    def scene(self, index: int) -> Scene:
        """What stands where in one scene."""
        return self.scenes.scene(index)

    def __len__(self) -> int:
        return self._length

    @overload
    def __getitem__(self, index: int) -> Example: ...
    @overload
    def __getitem__(self, index: slice) -> list[Example]: ...
    def __getitem__(self, index: int | slice) -> Example | list[Example]:
        if isinstance(index, slice):
            return [self[place] for place in range(*index.indices(self._length))]
        place = index + self._length if index < 0 else index
        if not 0 <= place < self._length:
            raise IndexError(f"{self.scenes.folder}: scene {index} is not in 0..{self._length - 1}")

        def read() -> Example:
            return scene_example(self.record(place))

        name = scene_id(self.scene(place))
        return Example(name, lambda: read().image, lambda: read().reading, lambda: read().sources())

    def __iter__(self) -> Iterator[Example]:
        return (self[place] for place in range(self._length))


def scene_example(record: SceneRecord) -> Example:
    """One scene that is in memory."""
    labels, instances = record.labels.astype(np.int32), record.instances.astype(np.int32)
    image = Image.fromarray(record.rgb)
    return example_of(scene_id(record.scene), image, depth=record.depth_m, labels=labels, instances=instances)


def read_scenes(folder: Path, limit: int | None = None) -> ExampleSet:
    """The first `limit` scenes of a set, or all, as a data set of maps: depth in the range of the renderer, classes and
    objects."""
    words = "objects, and each other class as one"
    return ExampleSet(name="scenes", items=SceneExamples(folder, limit), conventions=CONVENTIONS, regions=words)
