"""Data that a model makes for a later phase: its own maps of a scene set, and flags of questions that maps help with.

Both go on where they were stopped, question by question. With several processes the first one makes them.
"""

from dataclasses import dataclass
from pathlib import Path
from typing import Annotated

from cooper.curation.counts import By
from cooper.curation.drawing import DrawSettings, draw_scenes
from cooper.curation.flags import FlagSettings, flag_questions
from cooper.evaluation.runs.origin import Origin
from cooper.evaluation.runs.processes import Share
from cooper.files.values import Above, AtLeast, AtMost, Count, Seed, Weight
from cooper.reasoning.cooper import Cooper
from cooper.training.recipe import Batch, check_map_names
from cooper.training.rl.tasks import source_of

MAPS_FOLDER, FLAGS_FOLDER = "maps", "flags"  # in the folder of the phase


@dataclass(frozen=True)
class DrawingsRecipe:
    """`cooper data draw` as a phase: `init` draws the `maps` of the first `scenes` scenes, `batch` at once."""

    out: Path
    data: Path
    init: Path
    maps: tuple[str, ...] = ("depth", "segmentation")
    scenes: Count = 100_000
    batch: Batch = 32
    seed: Seed = 0

    def __post_init__(self) -> None:
        check_map_names(self.maps)


@dataclass(frozen=True)
class FlagsRecipe:
    """`cooper data flags` as a phase: `init` answers the first `limit` questions, `samples` times with maps and as often
    without. `seed` and `per_scene` choose the questions, as `questions_seed` and `per_scene` of the reinforcement do."""

    out: Path
    data: Path
    init: Path
    by: By = "question"
    samples: Annotated[int, AtLeast(1), AtMost(1000)] = 8
    margin: Annotated[float, Above(0), AtMost(1)] = 0.25
    limit: Count = 1000
    per_scene: Annotated[int, AtLeast(1), AtMost(10_000)] = 4
    batch: Batch = 16
    temperature: Weight = 1.0
    seed: Seed = 0


def draw_own_maps(recipe: DrawingsRecipe) -> None:
    """Draw the maps into the folder `maps` of the phase."""
    if Share.here().first:
        model, out = str(recipe.init), recipe.out / MAPS_FOLDER
        same = {"data": recipe.data, "limit": recipe.scenes, "batch": recipe.batch, "seed": recipe.seed}
        settings = DrawSettings(model=model, out=out, modalities=recipe.maps, origin=Origin.of(model), **same)
        draw_scenes(Cooper.from_pretrained(model), settings)


def make_flags(recipe: FlagsRecipe) -> None:
    """Write `flags.jsonl` into the folder `flags` of the phase."""
    if Share.here().first:
        names = ("data", "by", "samples", "margin", "limit", "batch", "temperature", "seed")
        same = {name: getattr(recipe, name) for name in names}
        settings = FlagSettings(model=str(recipe.init), out=recipe.out / FLAGS_FOLDER, **same)
        questions = source_of(recipe.data, recipe.seed, recipe.per_scene)
        flag_questions(Cooper.from_pretrained(settings.model), questions, settings)
