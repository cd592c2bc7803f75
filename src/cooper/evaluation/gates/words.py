"""Gate A: how far words come with N labels, from a picture tower's frozen features, when places are told."""

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
import torch
from PIL import Image

from cooper.errors import CooperError
from cooper.evaluation.gates.gate import NEAR, Tally
from cooper.evaluation.gates.probe import Label, said_by, taught
from cooper.files.rows import batches
from cooper.scenes.questions.question import depth_of, place_of
from cooper.scenes.room.catalogue import COLOURS, SHAPES
from cooper.scenes.room.render import SceneRecord
from cooper.scenes.room.scene import Scene, SceneObject, scene_id

AT_ONCE = 50  # pictures that the tower reads together
HELD_OUT = 0.1  # of the scenes with labels: they only say when to stop
Features = Callable[[Sequence[Image.Image]], np.ndarray]  # of pictures: [N, rows, columns, W], as a tower gives them


@dataclass(frozen=True)
class WordTallies:
    """Tallies of held-out scenes: distances within `NEAR` of objects that are named, and shapes of objects whose colour is."""

    far: list[Tally]
    names: list[Tally]


def words_of(
    features_of: Features, train: Sequence[SceneRecord], records: Sequence[SceneRecord], labels: int, seed: int, steps: int
) -> WordTallies:
    """Teach a probe with `labels` objects of `train`, and ask it about all objects of `records`.

    CooperError: `train` holds fewer objects than that besides those that say when to stop.
    """
    seen, told = _seen(features_of, train)
    first = max(1, round(HELD_OUT * len(train)))
    held_out, there = [each for each in told if each.scene < first], [each for each in told if each.scene >= first]
    if len(there) < labels:
        raise CooperError(
            f"the {len(train)} scenes with labels hold {len(there)} objects to learn from, fewer than the {labels} asked for: "
            "render more, or ask for fewer (--labels)"
        )
    chosen = [there[place] for place in np.random.default_rng(seed).permutation(len(there))[:labels]]
    probe = taught(seen, chosen, held_out, seed, steps)
    shown, asked = _seen(features_of, records)
    said = said_by(probe, shown, asked)
    far, names = (np.zeros((len(records), 2), dtype=int) for _ in range(2))
    for label, each in zip(asked, said, strict=True):
        far[label.scene] += (abs(math.exp(each.log_m - label.log_m) - 1) <= NEAR, 1)
        names[label.scene] += (label.alone and each.shape == label.shape, label.alone)
    scenes = [scene_id(record.scene) for record in records]
    return WordTallies(
        *([Tally(scene, int(a), int(b)) for scene, (a, b) in zip(scenes, each, strict=True)] for each in (far, names))
    )


def _seen(features_of: Features, records: Sequence[SceneRecord]) -> tuple[torch.Tensor, list[Label]]:
    """Features [N, P, W] of the pictures, and their objects."""
    parts = [features_of([Image.fromarray(record.rgb) for record in chunk]) for chunk in batches(records, AT_ONCE)]
    features = np.concatenate(parts)
    rows, columns = features.shape[1:3]
    labels = [
        _label(number, item, record.scene, rows, columns)
        for number, record in enumerate(records)
        for item in record.scene.objects
    ]
    return torch.from_numpy(features.reshape(len(records), rows * columns, -1)), labels


def _label(number: int, item: SceneObject, scene: Scene, rows: int, columns: int) -> Label:
    place = place_of(item, scene)
    row, column = (min(side - 1, max(0, int(part * side))) for part, side in ((place.v, rows), (place.u, columns)))
    alone = sum(other.colour == item.colour for other in scene.objects) == 1
    colour, shape = list(COLOURS).index(item.colour), SHAPES.index(item.shape)
    return Label(number, row * columns + column, colour, shape, math.log(depth_of(item)), alone)
