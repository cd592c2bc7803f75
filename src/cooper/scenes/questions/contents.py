"""What there is: counting, existence, occlusion, and the general group (colour, shape, material)."""

from collections.abc import Sequence

import numpy as np

from cooper.scenes.questions.choosing import choose, some
from cooper.scenes.questions.question import Draft, letter_of, shown
from cooper.scenes.questions.wording import Phrasing
from cooper.scenes.room.catalogue import ALL_PAIRS, COLOURS, HELD_OUT, MATERIALS, SHAPES, Pair
from cooper.scenes.room.scene import Scene, SceneObject

HIDDEN, WHOLE = 0.85, 0.98  # at most / at least so much visible: "partly hidden" / "not hidden"
COUNT_WEIGHTS = {1: 0.09, 2: 0.13, 3: 0.20, 4: 0.25, 5: 0.33}  # rare counts are asked for more often, to even them out


def plural(shape: str) -> str:
    return "arches" if shape == "arch" else f"{shape}s"


def counting(scene: Scene, phrasing: Phrasing) -> Draft | None:
    """How many objects there are of a shape, of a colour, or in all."""
    rng = phrasing.rng
    groups: dict[str, list[SceneObject]] = {"objects": list(scene.objects)}
    for item in scene.objects:
        groups.setdefault(plural(item.shape), []).append(item)
        groups.setdefault(f"{item.colour} objects", []).append(item)
    wanted = int(rng.choice(list(COUNT_WEIGHTS), p=list(COUNT_WEIGHTS.values())))
    fitting = sorted(name for name, items in groups.items() if min(len(items), 5) == wanted)
    if not fitting:
        return None
    name = choose(rng, fitting)
    phrases = ("How many {name} are there?", "Count the {name} in the picture.", "What is the number of {name}?")
    ids = tuple(item.id for item in groups[name])
    return Draft("Number_Int", phrasing.worded("counting", phrases, name=name), str(len(ids)), ids)


def existence(scene: Scene, phrasing: Phrasing) -> Draft | None:
    """Whether an object of a colour and shape is there. Absent ones share a colour or shape with one that is.

    Pairs held out of training are never the absent ones: that they are always there must not be learnt from words.
    """
    rng = phrasing.rng
    absent = absent_pairs(scene)
    phrases = ("Is there a {name} in the picture?", "Does the picture show a {name}?", "Can you see a {name}?")
    if rng.random() < 0.5:
        item = choose(rng, scene.objects)
        return Draft("YN", _article(phrasing.worded("existence", phrases, name=item.name)), "Yes", (item.id,))
    pair = choose(rng, absent)
    return Draft("YN", _article(phrasing.worded("existence", phrases, name=f"{pair.colour} {pair.shape}")), "No", ())


def absent_pairs(scene: Scene) -> list[Pair]:
    """Pairs of shape and colour that are not there, but share one of the two with an object that is."""
    present = {Pair(item.shape, item.colour) for item in scene.objects}
    shapes, colours = {pair.shape for pair in present}, {pair.colour for pair in present}
    return [
        pair
        for pair in ALL_PAIRS
        if pair not in present and pair not in HELD_OUT and (pair.shape in shapes or pair.colour in colours)
    ]


def occlusion(scene: Scene, phrasing: Phrasing) -> Draft | None:
    """Which object is partly hidden, or whether one is. Asked only where hidden and whole objects are both there."""
    rng = phrasing.rng
    hidden = [item for item in scene.objects if shown(item) <= HIDDEN]
    whole = [item for item in scene.objects if shown(item) >= WHOLE]
    if not hidden or not whole:
        return None
    if len(whole) >= 2 and rng.random() < 0.5:
        truth = choose(rng, hidden)
        named = some(rng, [truth, *some(rng, whole, 3)], 4)
        choices = tuple(item.name for item in named)
        phrases = ("Which object is partly hidden by something else?", "Which of these is partly hidden?")
        ids = tuple(item.id for item in named)
        return Draft("MCQ", phrasing.worded("occlusion.which", phrases), letter_of(choices, truth.name), ids, choices)
    holds = rng.random() < 0.5
    item = choose(rng, hidden if holds else whole)
    phrases = ("Is the {name} partly hidden by something else?", "Does anything hide a part of the {name}?")
    return Draft("YN", phrasing.worded("occlusion.is", phrases, name=item.name), "Yes" if holds else "No", (item.id,))


def colour(scene: Scene, phrasing: Phrasing) -> Draft | None:
    """The colour of the only object of a shape."""
    rng = phrasing.rng
    only = _unique(scene.objects, [item.shape for item in scene.objects])
    if not only:
        return None
    item = choose(rng, only)
    others = [name for name in COLOURS if name != item.colour and Pair(item.shape, name) not in HELD_OUT]
    phrases = ("What colour is the {name}?", "Which colour does the {name} have?")
    return _choice_of_four(rng, phrasing.worded("colour", phrases, name=item.shape), item.colour, others, item.id)


def shape(scene: Scene, phrasing: Phrasing) -> Draft | None:
    """The shape of the only object of a colour."""
    rng = phrasing.rng
    only = _unique(scene.objects, [item.colour for item in scene.objects])
    if not only:
        return None
    item = choose(rng, only)
    others = [name for name in SHAPES if name != item.shape and Pair(name, item.colour) not in HELD_OUT]
    phrases = ("What shape is the {name} object?", "Which shape does the {name} object have?")
    return _choice_of_four(rng, phrasing.worded("shape", phrases, name=item.colour), item.shape, others, item.id)


def material(scene: Scene, phrasing: Phrasing) -> Draft | None:
    """How an object's surface looks: matte, glossy or like metal."""
    rng = phrasing.rng
    fitting = {item.material for item in scene.objects}
    wanted = choose(rng, MATERIALS)
    if wanted not in fitting:
        return None
    item = choose(rng, [item for item in scene.objects if item.material == wanted])
    choices = tuple(some(rng, MATERIALS, 3))
    phrases = ("What is the surface of the {name} like?", "Which material does the {name} look like?")
    return Draft("MCQ", phrasing.worded("material", phrases, name=item.name), letter_of(choices, wanted), (item.id,), choices)


def _choice_of_four(rng: np.random.Generator, text: str, truth: str, others: Sequence[str], item: int) -> Draft:
    choices = tuple(some(rng, [truth, *some(rng, others, 3)], 4))
    return Draft("MCQ", text, letter_of(choices, truth), (item,), choices)


def _unique(objects: Sequence[SceneObject], keys: Sequence[str]) -> list[SceneObject]:
    return [item for item, key in zip(objects, keys, strict=True) if keys.count(key) == 1]


def _article(text: str) -> str:
    return text.replace(" a orange", " an orange")
