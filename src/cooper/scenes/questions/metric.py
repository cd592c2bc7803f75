"""Lengths in metres: distance from the camera, distance between objects, height and width."""

from cooper.scenes.questions.choosing import choose, some
from cooper.scenes.questions.question import (
    Draft,
    apart,
    couples,
    depth_of,
    either_way,
    spread_pick,
)
from cooper.scenes.questions.wording import Phrasing
from cooper.scenes.room.scene import Scene

SIZE_RATIO = 1.12  # objects compared in size differ at least by this factor in height or width


def camera_distance(scene: Scene, phrasing: Phrasing) -> Draft | None:
    """Plane depth of the visible surface (its median), straight ahead along the camera's axis."""
    rng = phrasing.rng
    item = scene.objects[spread_pick(rng, [depth_of(item) for item in scene.objects], 1.4, 5.2)]
    phrases = (
        "How far from the camera, measured straight ahead, is the surface of the {name} in metres?",
        "What is the depth of the {name} in metres?",
        "How many metres deep in the picture is the {name}?",
    )
    return _length(phrasing.worded("camera_distance", phrases, name=item.name), depth_of(item), (item.id,))


def object_distance(scene: Scene, phrasing: Phrasing) -> Draft | None:
    """Distance in space between the centres of two objects."""
    rng = phrasing.rng
    pairs = couples(scene)
    pair = either_way(rng, pairs[spread_pick(rng, [apart(pair) for pair in pairs], 0.5, 3.5)])
    phrases = (
        "How far apart are the centres of the {first} and the {second} in metres?",
        "What is the distance in metres from the centre of the {first} to the centre of the {second}?",
        "How many metres are between the centres of the {first} and the {second}?",
    )
    text = phrasing.worded("object_distance", phrases, first=pair.first.name, second=pair.second.name)
    return _length(text, apart(pair), (pair.first.id, pair.second.id))


def height(scene: Scene, phrasing: Phrasing) -> Draft | None:
    """From the lowest to the highest point of an object."""
    rng = phrasing.rng
    item = scene.objects[spread_pick(rng, [item.size.z for item in scene.objects], 0.12, 0.9)]
    phrases = (
        "How tall is the {name} in metres?",
        "What is the height of the {name} in metres?",
        "From bottom to top, how many metres does the {name} measure?",
    )
    return _length(phrasing.worded("height", phrases, name=item.name), item.size.z, (item.id,))


def size(scene: Scene, phrasing: Phrasing) -> Draft | None:
    """The width of an object, or which of two objects of one shape is wider."""
    rng = phrasing.rng
    alike = [pair for pair in couples(scene) if pair.first.shape == pair.second.shape]
    clear = [pair for pair in alike if not 1 / SIZE_RATIO < pair.first.size.x / pair.second.size.x < SIZE_RATIO]
    if clear and rng.random() < 0.5:
        first, second = (pair := either_way(rng, choose(rng, clear))).first, pair.second
        word = choose(rng, ["wider", "narrower"])
        phrases = ("Is the {first} {word} than the {second}?", "Compared with the {second}, is the {first} {word}?")
        holds = (word == "wider") == (first.size.x > second.size.x)
        text = phrasing.worded("size.is", phrases, first=first.name, second=second.name, word=word)
        return Draft("YN", text, "Yes" if holds else "No", (first.id, second.id))
    named = some(rng, scene.objects, len(scene.objects))
    item = named[spread_pick(rng, [item.size.x for item in named], 0.2, 0.8)]
    phrases = (
        "How wide is the {name} in metres?",
        "What is the width of the {name} in metres?",
        "From side to side, how many metres does the {name} measure?",
    )
    return _length(phrasing.worded("size", phrases, name=item.name), item.size.x, (item.id,))


def _length(text: str, metres: float, objects: tuple[int, ...]) -> Draft:
    return Draft("Number", text, f"{metres:.2f}", objects, value=round(metres, 4))
