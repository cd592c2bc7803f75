"""Which maps of some data a model learns, and how it draws them: the model's way and the data's conventions must fit."""

import math
import sys
import warnings
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from cooper.data.examples import Conventions, Example, ExampleSet
from cooper.data.sources.pictures import check_range
from cooper.errors import CooperError
from cooper.evaluation.runs.processes import Share
from cooper.perception import Modality, build_modalities
from cooper.perception.depth import DepthModality
from cooper.perception.segmentation import SegmentationModality
from cooper.training.data import Data, open_data, scenes_in, source_of_data
from cooper.training.recipe import check_maps

PROBED = 16  # pictures that are read before a run begins, spread over the set
LISTED = 6  # classes that a sentence names

Settings = Mapping[str, Mapping[str, Any]]  # of modalities, by name


@dataclass(frozen=True, eq=False)
class MapTargets:
    """What a stage learns maps from and is examined on. `modalities` draw the maps of both."""

    train: ExampleSet
    held_out: ExampleSet
    modalities: Mapping[str, Modality]


def changed_settings(settings: Settings, changes: Settings) -> dict[str, dict[str, Any]]:
    """The modalities of a checkpoint with those keys replaced that a recipe names. CooperError: another modality, or settings
    that do not fit."""
    for name in changes:
        if name not in settings:
            raise CooperError(f"recipe: modalities names {name!r}; the checkpoint draws {', '.join(settings)}")
    merged = {name: {**own, **changes.get(name, {})} for name, own in settings.items()}
    if changes:
        check_maps(merged)
    return merged


def map_targets(data: Data, val: Data, settings: Settings, maps: Sequence[str], most: tuple[int, int]) -> MapTargets:
    """Open the data of a stage that learns `maps`, `most` pictures to train and to examine, and check that they fit the
    modalities of the model. CooperError names what does not fit and what to do."""
    train, held_out = (open_data(each, count, maps) for each, count in zip((data, val), most, strict=True))
    modalities = modalities_of(settings, train.conventions)
    for each, found, count in ((data, train, PROBED), (val, held_out, most[1])):
        if scenes_in(found) is None:
            place = str(source_of_data(each).path)
            counts = {name: sum(item.has(name) for item in found.items) for name in maps}
            if Share.here().first:
                told = ", ".join(f"{name} of {known}" for name, known in counts.items())
                several = "s" * (len(found.items) > 1)
                print(f"{place}: {len(found.items)} picture{several}, {told}", file=sys.stderr)
            if found is train and not all(counts.values()):
                missing, left = (", ".join(name for name in maps if bool(counts[name]) == known) for known in (False, True))
                raise CooperError(f"no picture of {place} has a true map of {missing}; say `maps: [{left}]` in the recipe")
            _check(found, modalities, [name for name in maps if counts[name]], place)
            _probe(found, modalities, maps, count)
    return MapTargets(train, held_out, modalities)


def modalities_of(settings: Settings, conventions: Conventions) -> dict[str, Modality]:
    """The maps of a checkpoint for some data. Relative depth is relative to the range of the data, as in the published
    training."""
    modalities = build_modalities(settings)
    depth = modalities.get("depth")
    if isinstance(depth, DepthModality) and not depth.metric and math.isfinite(conventions.far) and conventions.far > 0:
        modalities["depth"] = replace(depth, near=conventions.near, far=conventions.far)
    return modalities


def _check(found: ExampleSet, modalities: Mapping[str, Modality], maps: Sequence[str], place: str) -> None:
    """CooperError: depth without a range that relative depth needs, or other classes than the model draws."""
    conventions = found.conventions
    for name in maps:
        if name not in modalities:
            raise CooperError(f"the model draws no map of {name}; it draws {', '.join(modalities)}")
    depth, regions = modalities.get("depth"), modalities.get("segmentation")
    if "depth" in maps and isinstance(depth, DepthModality):
        if not depth.metric and not math.isfinite(conventions.far):
            raise CooperError(
                f"{place}: the model draws relative depth, so its range must be known: say near and far, in metres, in "
                "data.yaml"
            )
        if depth.metric and math.isfinite(conventions.far) and conventions.far > depth.far:
            warnings.warn(
                f"depth of {place} counts up to {conventions.far:g} m, and the model draws {depth.near:g} to {depth.far:g} m: "
                f"all beyond is learnt as {depth.far:g} m; `modalities: {{depth: {{far: {conventions.far:g}}}}}` in the recipe "
                "changes that",
                stacklevel=3,
            )
    if "segmentation" in maps and isinstance(regions, SegmentationModality) and regions.codec == "scenes":
        _check_names(conventions.names, tuple(regions.names), place)


def _check_names(known: tuple[str, ...], drawn: tuple[str, ...], place: str) -> None:
    if not known:
        raise CooperError(
            f"{place} does not name its classes, and the model draws {_listed(drawn)}: say names, by id from 0, in data.yaml"
        )
    if known != drawn:
        raise CooperError(
            f"{place} has the classes {_listed(known)}, and the model draws {_listed(drawn)}: to teach it yours, say "
            "`modalities: {segmentation: {codec: scenes, names: [...], stuff: [...]}}` in the recipe, with the same names in "
            "the same order, and in stuff those whose objects are not counted; or leave labels out with `maps: [depth]`"
        )


def _listed(names: tuple[str, ...]) -> str:
    more = len(names) - LISTED
    return ", ".join(names[:LISTED]) + (f" and {more} more" if more > 0 else "")


def _probe(found: ExampleSet, modalities: Mapping[str, Modality], maps: Sequence[str], count: int) -> None:
    """Read some pictures and their maps, so that what is wrong with all of them shows before a run begins."""
    step = max(1, len(found.items) // count)
    for item in found.items[::step]:
        item.image.load()
        item.reading  # noqa: B018 - it is read here
        if item.has("depth") and "depth" in maps:
            _check_metres(item, modalities["depth"])


def _check_metres(item: Example, depth: Modality) -> None:
    if isinstance(depth, DepthModality) and depth.metric:
        metres = item.depth_m[item.known("depth")]
        what = f"the picture {item.id} does not fit `modalities` of the model"
        if metres.size:
            check_range((float(np.min(metres)), float(np.max(metres))), Conventions(near=depth.near, far=depth.far), what)
