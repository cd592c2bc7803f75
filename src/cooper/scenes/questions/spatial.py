"""Where things are: relative distance, relation, situational view, reach and the picture's grid."""

import math

from cooper.scenes.questions.choosing import choose, some
from cooper.scenes.questions.question import (
    SIDE_GAP,
    Draft,
    apart,
    clearly_nearer,
    couples,
    depth_of,
    either_way,
    letter_of,
    place_of,
)
from cooper.scenes.questions.wording import Phrasing
from cooper.scenes.room.scene import Scene, SceneObject

REACH_MARGIN = 1.15  # an arm is longer or shorter than the gap at least by this factor
TURN = (math.radians(25), math.radians(155))  # how far to the side of the line of sight "left" and "right" are clear
LINE_GAP = 0.035  # a centre lies at least this far from the lines of the grid, as a fraction of the picture
CELLS = (
    ("top left", "top centre", "top right"),
    ("middle left", "middle centre", "middle right"),
    ("bottom left", "bottom centre", "bottom right"),
)


def relative_distance(scene: Scene, phrasing: Phrasing) -> Draft | None:
    """Which of several objects is closest to (farthest from) the camera, or whether one is closer than another."""
    rng = phrasing.rng
    count = min(4, len(scene.objects))
    if count >= 3 and rng.random() < 0.7:
        named = some(rng, scene.objects, count)
        near = rng.random() < 0.5
        ranked = sorted(named, key=depth_of, reverse=not near)
        best, second = ranked[:2]
        if not clearly_nearer(*((best, second) if near else (second, best))):
            return None
        phrases = (
            "Which object is {word} the camera?",
            "Which of these is {word} the camera?",
            "Of these objects, which one is {word} the camera?",
        )
        choices = tuple(item.name for item in named)
        text = phrasing.worded("relative_distance.which", phrases, word="closest to" if near else "farthest from")
        return Draft("MCQ", text, letter_of(choices, best.name), tuple(item.id for item in named), choices)
    first, second = some(rng, scene.objects, 2)
    if not (clearly_nearer(first, second) or clearly_nearer(second, first)):
        return None
    near = rng.random() < 0.5
    phrases = (
        "Is the {first} {word} the camera than the {second}?",
        "Compared with the {second}, is the {first} {word} the camera?",
    )
    word = "closer to" if near else "farther from"
    text = phrasing.worded("relative_distance.is", phrases, first=first.name, second=second.name, word=word)
    return Draft("YN", text, _yes(near == (depth_of(first) < depth_of(second))), (first.id, second.id))


def spatial_relation(scene: Scene, phrasing: Phrasing) -> Draft | None:
    """Left, right, in front or behind, as the camera sees it."""
    rng = phrasing.rng
    first, second = some(rng, scene.objects, 2)
    side = place_of(first, scene).u - place_of(second, scene).u
    in_front = clearly_nearer(first, second)
    behind = clearly_nearer(second, first)
    sideways, deep = abs(side) >= SIDE_GAP, in_front or behind
    ids = (first.id, second.id)
    if sideways and deep and rng.random() < 0.5:
        choices = tuple(some(rng, [f"{x} and {y}" for x in ("left", "right") for y in ("in front", "behind")], 4))
        truth = f"{'left' if side < 0 else 'right'} and {'in front' if in_front else 'behind'}"
        phrases = (
            "Seen from the camera, where is the {first} relative to the {second}?",
            "Where is the {first} with respect to the {second}, as the camera sees it?",
        )
        text = phrasing.worded("spatial_relation.where", phrases, first=first.name, second=second.name)
        return Draft("MCQ", text, letter_of(choices, truth), ids, choices)
    words = (["to the left of", "to the right of"] if sideways else []) + (["in front of", "behind"] if deep else [])
    if not words:
        return None
    word = choose(rng, words)
    holds = {"to the left of": side < 0, "to the right of": side > 0, "in front of": in_front, "behind": behind}[word]
    phrases = ("Is the {first} {word} the {second}?", "As the camera sees it, is the {first} {word} the {second}?")
    return Draft(
        "YN", phrasing.worded("spatial_relation.is", phrases, first=first.name, second=second.name, word=word), _yes(holds), ids
    )


def turn_to(here: SceneObject, facing: SceneObject, other: SceneObject) -> float:
    """Seen from above, the angle from the line of sight to the other object; positive to the left, in radians."""
    ahead = facing.centre.array()[:2] - here.centre.array()[:2]
    wanted = other.centre.array()[:2] - here.centre.array()[:2]
    return math.atan2(ahead[0] * wanted[1] - ahead[1] * wanted[0], float(ahead @ wanted))


def situational_view(scene: Scene, phrasing: Phrasing) -> Draft | None:
    """Left or right for someone who stands at one object and faces another."""
    rng = phrasing.rng
    if len(scene.objects) < 3:
        return None
    here, facing, other = some(rng, scene.objects, 3)
    angle = turn_to(here, facing, other)
    if not TURN[0] <= abs(angle) <= TURN[1]:
        return None
    names = {"here": here.name, "facing": facing.name, "other": other.name}
    ids = (here.id, facing.id, other.id)
    truth = "left" if angle > 0 else "right"
    if rng.random() < 0.5:
        choices = tuple(some(rng, ["left", "right"], 2))
        phrases = (
            "If you stand at the {here} and face the {facing}, on which side of you is the {other}?",
            "You are at the {here}, facing the {facing}. On which side is the {other}?",
        )
        return Draft("MCQ", phrasing.worded("situational_view.side", phrases, **names), letter_of(choices, truth), ids, choices)
    word = choose(rng, ["left", "right"])
    phrases = (
        "If you stand at the {here} and face the {facing}, is the {other} on your {word}?",
        "You are at the {here}, facing the {facing}. Is the {other} on your {word}?",
    )
    return Draft("YN", phrasing.worded("situational_view.is", phrases, word=word, **names), _yes(word == truth), ids)


def reach(scene: Scene, phrasing: Phrasing) -> Draft | None:
    """Whether an arm of a given length spans from the centre of one object to the centre of another.

    The length lies between the distances of two pairs, and either pair is asked about: the length tells nothing.
    """
    rng = phrasing.rng
    pairs = some(rng, couples(scene), 2)
    if len(pairs) < 2:
        return None
    short, long = sorted(pairs, key=apart)
    length = round(math.sqrt(apart(short) * apart(long)), 1)
    if apart(short) * REACH_MARGIN > length or length * REACH_MARGIN > apart(long):
        return None
    fits = rng.random() < 0.5
    pair = either_way(rng, short if fits else long)
    phrases = (
        "Can an arm of {length} m reach from the centre of the {first} to the centre of the {second}?",
        "Is a stick of {length} m long enough to reach from the centre of the {first} to the centre of the {second}?",
    )
    text = phrasing.worded("reach", phrases, length=f"{length:.1f}", first=pair.first.name, second=pair.second.name)
    return Draft("YN", text, _yes(fits), (pair.first.id, pair.second.id), value=length)


def cell_of(item: SceneObject, scene: Scene) -> str | None:
    """The cell of a 3 by 3 grid that holds the middle of the object's outline; None when it lies near a line."""
    place = place_of(item, scene)
    if any(abs(x - line) < LINE_GAP for x in (place.u, place.v) for line in (1 / 3, 2 / 3)):
        return None
    return CELLS[min(2, int(place.v * 3))][min(2, int(place.u * 3))]


def spatial_grid(scene: Scene, phrasing: Phrasing) -> Draft | None:
    """Which cell of a 3 by 3 grid an object is in. Wrong cells are those of other objects, so that none stands out."""
    rng = phrasing.rng
    cells = {item.id: cell_of(item, scene) for item in scene.objects}
    clear = [item for item in scene.objects if cells[item.id] is not None]
    occupied = sorted({cell for cell in cells.values() if cell is not None})
    if len(occupied) < 2:
        return None
    if len(occupied) >= 3 and rng.random() < 0.7:
        choices = tuple(some(rng, occupied, min(4, len(occupied))))
        truth = choose(rng, choices)
        item = choose(rng, [item for item in clear if cells[item.id] == truth])
        phrases = (
            "Cut the picture into a 3 by 3 grid: which cell holds the middle of the {name}?",
            "In which cell of a 3 by 3 grid is the {name}?",
        )
        return Draft(
            "MCQ",
            phrasing.worded("spatial_grid.which", phrases, name=item.name),
            letter_of(choices, truth),
            (item.id,),
            choices,
        )
    truth, wrong = some(rng, occupied, 2)
    item = choose(rng, [item for item in clear if cells[item.id] == truth])
    holds = rng.random() < 0.5
    phrases = ("Is the {name} in the {cell} cell of a 3 by 3 grid?", "On a 3 by 3 grid, is the {name} {cell}?")
    text = phrasing.worded("spatial_grid.is", phrases, name=item.name, cell=truth if holds else wrong)
    return Draft("YN", text, _yes(holds), (item.id,))


def _yes(holds: bool) -> str:
    return "Yes" if holds else "No"
