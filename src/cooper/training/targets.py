"""Which maps of some data a model learns, and how it draws them: the model's way and the data's conventions must fit."""

import math
import sys
import warnings
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from cooper.data.examples import MOST_BAD, Conventions, Example, ExampleSet
from cooper.data.sources.pictures import check_range
from cooper.errors import CooperError
from cooper.evaluation.runs.processes import Share
from cooper.perception import Modality, build_modalities
from cooper.perception.depth import DepthModality
from cooper.perception.segmentation import SegmentationModality
from cooper.training.data import Data, Sources, by_name, open_data, places_of, scenes_in, source_of_data
from cooper.training.feed.aside import SetAside
from cooper.training.recipe import check_maps

PROBED = 16  # pictures that are read before a run begins, spread over the set
LISTED = 6  # classes that a sentence names

Settings = Mapping[str, Mapping[str, Any]]  # of modalities, by name


@dataclass(frozen=True, eq=False)
class MapSource:
    """Pictures with maps, and the modalities that draw their maps. `place`: where they lie."""

    found: ExampleSet
    modalities: Mapping[str, Modality]
    place: str


@dataclass(frozen=True, eq=False)
class MapTargets:
    """What a stage learns maps from, by name, and is examined on."""

    train: Mapping[str, MapSource]
    held_out: MapSource

    @property
    def modalities(self) -> Mapping[str, Modality]:
        """Those of the exam."""
        return self.held_out.modalities

    @property
    def only(self) -> MapSource:
        """What is learnt from, where it is one source."""
        (source,) = self.train.values()
        return source

    @property
    def are_scenes(self) -> bool:
        """Whether all that is learnt from is rendered."""
        return all(scenes_in(source.found) is not None for source in self.train.values())


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


def map_targets(
    data: Sources,
    val: Data,
    settings: Settings,
    maps: Sequence[str],
    most: tuple[int, int],
    aside: SetAside | None = None,
) -> MapTargets:
    """Open the data of a stage that learns `maps`, `most` pictures of each source to train and to examine, and check that they
    fit the modalities of the model. `aside` takes pictures that cannot be read, if they are few. CooperError names what does
    not fit and what to do."""
    train = {name: _source(each, open_data(each, most[0], maps), settings) for name, each in by_name(data).items()}
    found = open_data(val, most[1], maps)
    alone = None if isinstance(data, Mapping) else train[""].modalities
    held_out = replace(_source(val, found, settings), modalities=alone or modalities_of(settings, found.conventions))
    known = {name: any(item.has(name) for each in train.values() for item in each.found.items) for name in maps}
    if not all(known.values()):
        missing, left = (", ".join(name for name in maps if known[name] == there) for there in (False, True))
        raise CooperError(f"no picture of {places_of(data)} has a true map of {missing}; say `maps: [{left}]` in the recipe")
    for name, source in train.items():
        _check_source(source, maps, _Probe(PROBED, name or source.place, aside))
    _check_source(held_out, maps, _Probe(most[1], held_out.place))
    return MapTargets(train, held_out)


def _source(data: Data, found: ExampleSet, settings: Settings) -> MapSource:
    return MapSource(found, modalities_of(settings, found.conventions), str(source_of_data(data).path))


def _check_source(source: MapSource, maps: Sequence[str], probe: "_Probe") -> None:
    """Tell what pictures there are, and read some. CooperError: they do not fit what the model draws."""
    if scenes_in(source.found) is not None:
        return
    items = source.found.items
    counts = {name: sum(item.has(name) for item in items) for name in maps}
    if Share.here().first:
        told = ", ".join(f"{name} of {known}" for name, known in counts.items())
        print(f"{source.place}: {len(items)} picture{'s' * (len(items) > 1)}, {told}", file=sys.stderr)
    _check(source.found, source.modalities, [name for name in maps if counts[name]], source.place)
    probe.read(source.found, source.modalities, maps)


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


@dataclass(frozen=True, eq=False)
class _Probe:
    """Reads `count` pictures and their maps, so that what is wrong with all of them shows before a run begins. `aside` takes
    one of a hundred or more that cannot be read."""

    count: int
    source: str
    aside: SetAside | None = None

    def read(self, found: ExampleSet, modalities: Mapping[str, Modality], maps: Sequence[str]) -> None:
        known = frozenset[str]() if self.aside is None else self.aside.of(self.source)
        faults: dict[str, str] = {}
        for item in found.items[:: max(1, len(found.items) // self.count)]:
            if item.id in known:
                continue
            try:
                item.image.load()
                item.reading  # noqa: B018 - it is read here
            except CooperError as error:
                faults[item.id] = str(error)
                if self.aside is None or len(faults) > 1 or len(found.items) * MOST_BAD < 1:
                    raise
                continue
            if item.has("depth") and "depth" in maps:
                _check_metres(item, modalities["depth"])
        for row, fault in faults.items():
            if self.aside is not None:
                self.aside.add(self.source, row, fault, len(found.items))


def _check_metres(item: Example, depth: Modality) -> None:
    if isinstance(depth, DepthModality) and depth.metric:
        metres = item.depth_m[item.known("depth")]
        what = f"the picture {item.id} does not fit `modalities` of the model"
        if metres.size:
            check_range((float(np.min(metres)), float(np.max(metres))), Conventions(near=depth.near, far=depth.far), what)
