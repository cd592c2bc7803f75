"""Questions of format 3 whose answer hangs on where all things are, which does not fit in a few words."""

import math
from itertools import pairwise, permutations

import numpy as np

from cooper.scenes.questions.choosing import choose, some
from cooper.scenes.questions.question import (
    Couple,
    Draft,
    apart,
    clearly_nearer,
    depth_of,
    letter_of,
)
from cooper.scenes.questions.wording import Phrasing
from cooper.scenes.room.sampling import corners
from cooper.scenes.room.scene import Scene, SceneObject

NEIGHBOUR_RATIO = 1.15  # the second nearest is farther at least by this factor
CLEARANCE = 0.12  # a way is wider or narrower than asked about at least by so many metres


def depth_order(scene: Scene, phrasing: Phrasing) -> Draft | None:
    """Which list of three or four objects goes from the nearest to the farthest."""
    rng = phrasing.rng
    named = some(rng, scene.objects, min(len(scene.objects), 3 + int(rng.integers(2))))
    ranked = sorted(named, key=depth_of)
    if len(ranked) < 3 or not all(clearly_nearer(near, far) for near, far in pairwise(ranked)):
        return None
    names = [item.name for item in ranked]
    wrong = [" - ".join(order) for order in permutations(names) if list(order) != names]
    truth = " - ".join(names)
    choices = tuple(some(rng, [truth, *some(rng, wrong, 3)], 4))
    phrases = ("Which list is in order from the nearest to the farthest?", "What is the order from near to far?")
    text = phrasing.worded("depth_order", phrases)
    return Draft("MCQ", text, letter_of(choices, truth), tuple(item.id for item in ranked), choices)


def farther_count(scene: Scene, phrasing: Phrasing) -> Draft | None:
    """How many of the other objects are farther from the camera (or closer) than a named one."""
    rng = phrasing.rng
    item = choose(rng, scene.objects)
    others = [other for other in scene.objects if other is not item]
    if len(others) < 2 or not all(clearly_nearer(item, other) or clearly_nearer(other, item) for other in others):
        return None
    far = rng.random() < 0.5
    count = sum(clearly_nearer(item, other) == far for other in others)
    phrases = (
        "How many of the other objects are {word} the camera than the {name}?",
        "How many are {word} the camera than the {name}?",
    )
    text = phrasing.worded("farther_count", phrases, word="farther from" if far else "closer to", name=item.name)
    return Draft("Number_Int", text, str(count), (item.id, *(other.id for other in others)))


def nearest_neighbour(scene: Scene, phrasing: Phrasing) -> Draft | None:
    """Which of the other objects is nearest to a named one, centre to centre in the room."""
    rng = phrasing.rng
    named = some(rng, scene.objects, min(len(scene.objects), 5))
    if len(named) < 4:
        return None
    item, others = named[0], named[1:]
    ranked = sorted(others, key=lambda other: apart(Couple(item, other)))
    if apart(Couple(item, ranked[0])) * NEIGHBOUR_RATIO > apart(Couple(item, ranked[1])):
        return None
    choices = tuple(other.name for other in others)
    phrases = ("Which object is nearest to the {name}, from centre to centre?", "In the room, what is closest to the {name}?")
    text = phrasing.worded("nearest_neighbour", phrases, name=item.name)
    return Draft("MCQ", text, letter_of(choices, ranked[0].name), (item.id, *(other.id for other in others)), choices)


def free_path(scene: Scene, phrasing: Phrasing) -> Draft | None:
    """Whether something of a given width gets straight over the floor from one object to another. Only between objects on the
    floor, with no other thing nearly in the way; every other time of a way that is free."""
    rng = phrasing.rng
    floor = [item for item in scene.objects if item.support == "floor"]
    if len(floor) < 3:
        return None
    wanted = rng.random() < 0.5
    width = choose(rng, (0.2, 0.3, 0.4, 0.5, 0.6))
    pairs = some(rng, [(a, b) for a in floor for b in floor if a is not b], 30)
    for first, second in pairs:
        gap = free_width(scene, first, second)
        if abs(gap - width) > CLEARANCE and (gap > width) == wanted and apart(Couple(first, second)) > 1.0:
            phrases = (
                "Can a ball {width} m wide roll straight from the {first} to the {second} without touching another thing?",
                "Is the straight path from the {first} to the {second} free for something {width} m wide?",
            )
            text = phrasing.worded("free_path", phrases, width=f"{width:.1f}", first=first.name, second=second.name)
            others = tuple(item.id for item in scene.objects if item not in (first, second))
            return Draft("YN", text, "Yes" if wanted else "No", (first.id, second.id, *others), value=width)
    return None


def free_width(scene: Scene, first: SceneObject, second: SceneObject) -> float:
    """How wide something may be that moves over the floor from the middle of one object to that of another, in metres: twice
    the distance of the straight line to the footprint of the nearest other thing on the floor."""
    start, end = first.centre.array()[:2], second.centre.array()[:2]
    footprints = [
        corners(item.centre, item.size, item.yaw)[:, :2]
        for item in scene.objects
        if item.support == "floor" and item not in (first, second)
    ]
    footprints += [corners(piece.centre, piece.size, piece.yaw)[:, :2] for piece in scene.room.furniture if piece.kind != "rug"]
    return min((2 * _distance(start, end, np.unique(points.round(6), axis=0)) for points in footprints), default=math.inf)


def _distance(start: np.ndarray, end: np.ndarray, outline: np.ndarray) -> float:
    """From a line in the plane to a convex outline, its corners in any order; 0 where they meet."""
    middle = outline.mean(axis=0)
    turned = outline[np.argsort(np.arctan2(*(outline - middle).T[::-1]))]
    sides = list(zip(turned, np.roll(turned, -1, axis=0), strict=True))
    if any(_cross(start, end, *side) for side in sides):
        return 0.0
    points = [_to_segment(point, start, end) for point in outline]
    return min([*points, *(_to_segment(tip, *side) for tip in (start, end) for side in sides)])


def _to_segment(point: np.ndarray, start: np.ndarray, end: np.ndarray) -> float:
    along = end - start
    share = float(np.clip((point - start) @ along / max(float(along @ along), 1e-12), 0, 1))
    return float(np.linalg.norm(point - start - share * along))


def _cross(a: np.ndarray, b: np.ndarray, c: np.ndarray, d: np.ndarray) -> bool:
    def side(p: np.ndarray, q: np.ndarray, r: np.ndarray) -> float:
        return float((q[0] - p[0]) * (r[1] - p[1]) - (q[1] - p[1]) * (r[0] - p[0]))

    return side(a, b, c) * side(a, b, d) < 0 and side(c, d, a) * side(c, d, b) < 0
