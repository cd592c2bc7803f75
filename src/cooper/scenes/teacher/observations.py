"""What a teacher says while it looks: short, regular sentences that follow from the geometry.

Places are in eighths of the picture, `x 1` to `x 8` from the left and `y 1` to `y 8` from the top.
"""

from collections.abc import Callable, Mapping
from types import MappingProxyType

from cooper.scenes.questions.question import (
    LETTERS,
    Couple,
    SceneQuestion,
    apart,
    clearly_nearer,
    depth_of,
    place_of,
    shown,
)
from cooper.scenes.questions.spatial import cell_of, turn_to
from cooper.scenes.room.catalogue import SHAPES
from cooper.scenes.room.sampling import corners
from cooper.scenes.room.scene import Scene, SceneObject

EIGHTHS = 8
HELPS: Mapping[str, str] = MappingProxyType(
    {
        "relative_distance": "depth",
        "spatial_relation": "depth",
        "situational_view": "depth",
        "reach": "depth",
        "camera_distance": "depth",
        "object_distance": "depth",
        "height": "depth",
        "size": "depth",
        "counting": "segmentation",
        "existence": "segmentation",
        "occlusion": "segmentation",
    }
)
"""Which map bears on a category; the others (grid and the general group) go without."""

REASONS: Mapping[str, str] = MappingProxyType(
    {
        "depth": "A depth map shows how far things are.",
        "segmentation": "A segmentation map shows each object apart.",
        "": "The picture alone shows this.",
    }
)

Observe = Callable[[SceneQuestion, Scene], str]


def observation(question: SceneQuestion, scene: Scene) -> str:
    """Where the objects of the question are, and what follows from that; at most about 45 words."""
    return _OBSERVE[question.category](question, scene)


def involved(question: SceneQuestion, scene: Scene) -> list[SceneObject]:
    """The objects of the question, in its order."""
    by_id = {item.id: item for item in scene.objects}
    return [by_id[number] for number in question.objects]


def eighth(fraction: float) -> int:
    """The eighth of the picture, from 1 to 8, in which a fraction of its side lies."""
    return min(EIGHTHS, max(1, int(fraction * EIGHTHS) + 1))


def at(item: SceneObject, scene: Scene) -> str:
    place = place_of(item, scene)
    return f"{item.name} x {eighth(place.u)} y {eighth(place.v)}"


def _flat(question: SceneQuestion, scene: Scene) -> str:
    return ", ".join(at(item, scene) for item in involved(question, scene))


def _deep(question: SceneQuestion, scene: Scene) -> str:
    return ", ".join(f"{at(item, scene)} {depth_of(item):.1f} m" for item in involved(question, scene))


def _relative_distance(question: SceneQuestion, scene: Scene) -> str:
    items = involved(question, scene)
    far = "farthest" in question.text
    if question.type == "MCQ":
        best = items[LETTERS.index(question.answer)]
        return f"{_deep(question, scene)}. The {best.name} is {'farthest' if far else 'closest'}."
    nearer = min(items, key=depth_of)
    return f"{_deep(question, scene)}. The {nearer.name} is closer."


def _spatial_relation(question: SceneQuestion, scene: Scene) -> str:
    first, second = involved(question, scene)
    words = []
    if question.type == "MCQ" or "to the" in question.text:
        words.append("left" if place_of(first, scene).u < place_of(second, scene).u else "right")
    if question.type == "MCQ" or not words:
        words.append("in front" if clearly_nearer(first, second) else "behind")
    return f"{_deep(question, scene)}. The {first.name} is {' and '.join(words)}."


def _situational_view(question: SceneQuestion, scene: Scene) -> str:
    here, facing, other = involved(question, scene)
    side = "left" if turn_to(here, facing, other) > 0 else "right"
    return f"{_deep(question, scene)}. The {other.name} is on the {side}."


def _two_apart(question: SceneQuestion, scene: Scene) -> str:
    first, second = involved(question, scene)
    return f"{_deep(question, scene)}. They are {apart(Couple(first, second)):.1f} m apart."


def span(item: SceneObject, scene: Scene, axis: int) -> str:
    """How many eighths of the picture the object's outline spans; `axis` 0 is across, 1 is up."""
    seen = scene.camera.project(corners(item.centre, item.size, item.yaw))[:, axis]
    return f"{EIGHTHS * float(seen.max() - seen.min()):.1f} eighths"


def _height(question: SceneQuestion, scene: Scene) -> str:
    return f"{_deep(question, scene)}. It is {span(involved(question, scene)[0], scene, 1)} tall."


def _size(question: SceneQuestion, scene: Scene) -> str:
    items = involved(question, scene)
    if question.type == "Number":
        return f"{_deep(question, scene)}. It is {span(items[0], scene, 0)} wide."
    wider = max(items, key=lambda item: item.size.x)
    return f"{_deep(question, scene)}. The {wider.name} is wider."


def _counting(question: SceneQuestion, scene: Scene) -> str:
    return f"{_flat(question, scene)}. That makes {question.answer}."


def _existence(question: SceneQuestion, scene: Scene) -> str:
    if question.answer == "Yes":
        return f"{_flat(question, scene)}. It is there."
    asked = next(name for name in SHAPES if f" {name}" in question.text)
    alike = [item for item in scene.objects if item.shape == asked]
    seen = ", ".join(at(item, scene) for item in alike) or f"no {asked} at all"
    return f"{seen}. It is not there."


def _occlusion(question: SceneQuestion, scene: Scene) -> str:
    parts = [f"{at(item, scene)} {10 * round(10 * shown(item))} percent visible" for item in involved(question, scene)]
    return f"{', '.join(parts)}."


def _grid(question: SceneQuestion, scene: Scene) -> str:
    return f"{_flat(question, scene)}. It is {cell_of(involved(question, scene)[0], scene)}."


def _general(question: SceneQuestion, scene: Scene) -> str:
    item = involved(question, scene)[0]
    if question.category == "material":
        return f"{at(item, scene)}. It looks {item.material}."
    place = place_of(item, scene)
    asked, told = (item.shape, item.colour) if question.category == "colour" else (item.colour, item.shape)
    return f"{asked} x {eighth(place.u)} y {eighth(place.v)}. It is {told}."


_OBSERVE: Mapping[str, Observe] = MappingProxyType(
    {
        "relative_distance": _relative_distance,
        "spatial_relation": _spatial_relation,
        "situational_view": _situational_view,
        "reach": _two_apart,
        "spatial_grid": _grid,
        "occlusion": _occlusion,
        "counting": _counting,
        "existence": _existence,
        "camera_distance": lambda question, scene: f"{_deep(question, scene)}.",
        "object_distance": _two_apart,
        "height": _height,
        "size": _size,
        "colour": _general,
        "shape": _general,
        "material": _general,
    }
)
