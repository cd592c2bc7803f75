"""Questions about a thing that is not there: the answer is that it cannot be seen."""

from dataclasses import replace

from cooper.scenes.questions.choosing import choose
from cooper.scenes.questions.contents import absent_pairs, material
from cooper.scenes.questions.metric import camera_distance, height, object_distance, size
from cooper.scenes.questions.question import Draft
from cooper.scenes.questions.spatial import relative_distance, situational_view, spatial_grid, spatial_relation
from cooper.scenes.questions.wording import Phrasing
from cooper.scenes.room.scene import Scene

LENGTHS = (camera_distance, object_distance, height, size)
ASKERS = (*LENGTHS, relative_distance, spatial_relation, situational_view, spatial_grid, material)


def absent(scene: Scene, phrasing: Phrasing) -> Draft | None:
    """A question of another category in which one thing has become one that is not there; it shares its colour or its shape
    with one that is."""
    rng = phrasing.rng
    draft = choose(rng, ASKERS)(scene, phrasing)
    if draft is None:
        return None
    by_id = {item.id: item for item in scene.objects}
    named = [by_id[number] for number in draft.objects if by_id[number].name in draft.text]
    pairs = absent_pairs(scene)
    if not named or not pairs:
        return None
    gone, pair = choose(rng, named), choose(rng, pairs)
    missing = f"{pair.colour} {pair.shape}"
    others = tuple(number for number in draft.objects if number != gone.id)
    text = draft.text.replace(gone.name, missing)
    return replace(draft, type="Unanswerable", text=text, answer=missing, objects=others, value=None)
