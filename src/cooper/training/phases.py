"""A recipe with `phases:`: stages of training one after the other, each with a recipe of its own, read and checked together.

out: runs/nano               # the phase `maps` has the folder runs/nano/maps
data: data/scenes/train      # a key above `phases` holds for every phase whose stage knows it
phases:
  maps: {stage: amg, recipe: amg.yaml, optimiser: {steps: 500}}    # `recipe`: a file beside this one, to begin with
  words: {stage: sft, init: maps, mixture: {text: 1}, ...}         # `init`: the result of the phase `maps`
"""

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, is_dataclass
from pathlib import Path
from typing import Any, get_type_hints

import torch

from cooper.errors import CooperError
from cooper.evaluation.runs.processes import Share as Processes
from cooper.files.hub import NANO, resolve
from cooper.files.plain import read_plain
from cooper.files.values import build, checked, read_values, shown
from cooper.model.config import CooperConfig
from cooper.model.cooper import CooperModel
from cooper.scenes.store import SceneSet
from cooper.training.data import by_name, is_rows, one_source, open_data, place_of, scene_folder
from cooper.training.rl.recipe import GrpoRecipe
from cooper.training.rl.tasks import source_of
from cooper.training.scale.adapters import lora_config
from cooper.training.stages.autoencoder import AutoencoderRecipe
from cooper.training.stages.exam import exam_of
from cooper.training.stages.maps import AmgRecipe
from cooper.training.stages.objective import freeze
from cooper.training.stages.reasoning import SftRecipe
from cooper.training.stages.table import STAGES
from cooper.training.traces import UNKNOWN, trace_file

_WHOLE = ("amg", "sft", "grpo")  # stages that leave a whole checkpoint
FROM = {  # keys that may name a phase, and the stages whose results they take
    "init": _WHOLE,
    "base": _WHOLE,
    "autoencoder": ("autoencoder", *_WHOLE),
    "vision": ("vision", *_WHOLE),
    "drawings": ("drawings",),
    "flags": ("flags",),
}


@dataclass(frozen=True)
class Phase:
    """`uses`: the earlier phases that it begins with, by the keys that name them; in the recipe stand their results."""

    name: str
    stage: str
    recipe: Any
    uses: Mapping[str, "Phase"]

    @property
    def result(self) -> Path:
        """What later phases begin with."""
        return self.recipe.out / STAGES[self.stage].result


def read_phases(path: str | Path, overrides: Sequence[str] = ()) -> tuple[Path, list[Phase]]:
    """The folder of the whole and the phases in their order; each recipe is read as that of its stage is.

    CooperError names the file, the phase and the key that does not fit, such as `phases.maps.optimiser.steps`.
    """
    values = read_values(path, overrides)
    said = values.pop("phases", None)
    out: Path = checked(Path, values.pop("out", None), f"{path}: out")
    if not isinstance(said, Mapping) or not said:
        raise CooperError(f"{path}: phases must be a group of phases by name, in their order, not {shown(said)}")
    found: dict[str, Phase] = {}
    for name, own in said.items():
        if not re.fullmatch(r"\w[\w-]*", name) or name == NANO:
            raise CooperError(f"{path}: the phase {shown(name)} must have a name of letters, digits, - and _, and not {NANO!r}")
        if not isinstance(own, Mapping):
            raise CooperError(f"{path}: phases.{name} must be a group of keys, not {shown(own)}")
        stage = own.get("stage")
        if stage is None:
            others = [known for known, keys in said.items() if isinstance(keys, Mapping) and "stage" in keys]
            raise CooperError(f"{path}: phases.{name} has no stage; phases with one: {', '.join(others) or 'none'}")
        if stage not in tuple(STAGES):
            raise CooperError(f"{path}: phases.{name}.stage is {shown(stage)}; choose from {', '.join(STAGES)}")
        if "out" in own:
            raise CooperError(f"{path}: phases.{name}.out: the folder of a phase is {out / name}; leave the key out")
        place = f"{path}: phases.{name}"
        merged, file = _merged(stage, Path(path), values, own)
        uses = _uses(merged, found, tuple(said), place)
        merged |= {key: earlier.result for key, earlier in uses.items()} | {"out": out / name}
        recipe = build(STAGES[stage].recipe, merged, f"{path}{file}", f"phases.{name}")
        found[name] = Phase(name, stage, recipe, uses)
    known = {key for phase in found.values() for key in get_type_hints(type(phase.recipe))}
    for key in values:
        if key not in known:
            raise CooperError(f"{path}: unknown key {shown(key)}: no phase has it")
    return out, list(found.values())


def _merged(stage: str, path: Path, shared: Mapping[str, Any], own: Mapping[str, Any]) -> tuple[dict[str, Any], str]:
    """The keys of a phase over those above `phases` over those of its recipe file, and what to call that file in messages."""
    kind, file = STAGES[stage].recipe, own.get("recipe")
    begun = {} if file is None else read_plain(path.parent / checked(Path, file, f"{path}: a phase's recipe"))
    known = get_type_hints(kind)
    merged = _laid_over(kind, begun, {key: value for key, value in shared.items() if key in known})
    merged = _laid_over(kind, merged, {key: value for key, value in own.items() if key not in ("stage", "recipe")})
    return merged, "" if file is None else f" (with {file})"


def _laid_over(kind: Any, below: Mapping[str, Any], above: Mapping[str, Any]) -> dict[str, Any]:
    """Groups whose keys are fixed, such as `optimiser`, are laid over one another; others, such as `mixture`, are replaced."""
    merged, hints = dict(below), get_type_hints(kind)
    for key, value in above.items():
        under = below.get(key)
        if is_dataclass(hints.get(key)) and isinstance(value, Mapping) and isinstance(under, Mapping):
            value = _laid_over(hints[key], under, value)
        merged[key] = value
    return merged


def _uses(merged: Mapping[str, Any], earlier: Mapping[str, Phase], names: Sequence[str], place: str) -> dict[str, Phase]:
    """By key, the phases that a phase begins with. CooperError: one that does not come before it, or does not fit."""
    found = {key: merged[key] for key in FROM if isinstance(merged.get(key), str) and merged[key] in names}
    for key, name in found.items():
        if name not in earlier:
            raise CooperError(f"{place}.{key} names the phase {name!r}, which does not come before it")
        if earlier[name].stage not in FROM[key]:
            raise CooperError(
                f"{place}.{key} names the phase {name!r} of stage {earlier[name].stage}; it takes one of {', '.join(FROM[key])}"
            )
    return {key: earlier[name] for key, name in found.items()}


def check_phases(path: str | Path, phases: Sequence[Phase]) -> None:
    """What would show only when a phase begins: data, checkpoints and names of weights that are not there, settings that TRL
    refuses. CooperError names the phase."""
    with torch.device("meta"):
        network = CooperModel(CooperConfig())
    for phase in phases:
        try:
            _check(phase, network)
        except CooperError as error:
            raise CooperError(f"{path}: phases.{phase.name}: {error}") from None


def _check(phase: Phase, network: CooperModel) -> None:
    recipe = phase.recipe
    scenes = _checked_data(phase.stage, recipe)
    if "drawings" in phase.uses:
        made = phase.uses["drawings"].recipe
        _check_same("drawings", ("data", recipe.data, made.data), ("scenes", scenes, min(scenes, made.scenes)))
        _check_same("drawings", ("maps", ["depth", "segmentation"], sorted(made.maps)))  # traces draw both
    if "flags" in phase.uses:
        made, seed = phase.uses["flags"].recipe, recipe.seed if recipe.questions_seed is None else recipe.questions_seed
        _check_same("flags", ("data", recipe.data, made.data), ("per_scene", recipe.per_scene, made.per_scene))
        _check_same("flags", ("questions_seed", seed, made.seed))
    for key in FROM:
        value = getattr(recipe, key, None)
        if value is None or key in phase.uses:
            continue
        if key in ("drawings", "flags"):
            if not value.exists():
                raise CooperError(f"{key} is {str(value)!r}: there is no such path, and no phase has this name")
            continue
        try:
            resolve(str(value))
        except CooperError as error:
            raise CooperError(f"{key}: no phase is named {str(value)!r}, and {error}") from None
    if getattr(recipe, "frozen", ()):
        freeze(network, ("vae", *recipe.frozen))
        network.requires_grad_(True)
    if getattr(recipe, "lora", None) is not None:
        lora_config(recipe.lora, network)
    if isinstance(recipe, GrpoRecipe):
        from cooper.training.rl.run import arguments

        arguments(recipe, Processes.here().count)


def _checked_data(stage: str, recipe: Any) -> int:
    """How many scenes, pictures or questions a phase has. CooperError: its data are not there, or no data for it."""
    if isinstance(recipe, AmgRecipe | AutoencoderRecipe):
        open_data(recipe.val, 1, ())
        if isinstance(recipe, AutoencoderRecipe):
            one_source(recipe.data)
        return sum(len(open_data(each, recipe.scenes, ()).items) for each in by_name(recipe.data).values())
    why = f"the stage {stage} reads no other data"
    val = getattr(recipe, "val", None)
    if val is not None and is_rows(val):
        exam_of(val, 1)
    elif val is not None:
        SceneSet(scene_folder(val, why))
    if hasattr(recipe, "per_scene") and not place_of(recipe.data).is_dir():
        return len(source_of(recipe.data, 0, recipe.per_scene))
    if isinstance(recipe, SftRecipe) and is_rows(recipe.data):
        files = by_name(recipe.data).values()
        return sum(len(trace_file(each, UNKNOWN, recipe.seed, recipe.scenes)) for each in files)
    return min(len(SceneSet(scene_folder(one_source(recipe.data), why))), getattr(recipe, "scenes", 1))


def _check_same(key: str, *pairs: tuple[str, Any, Any]) -> None:
    """CooperError: the phase that `key` names made its maps or flags of other data."""
    for name, ours, theirs in pairs:
        if ours != theirs:
            raise CooperError(f"{name} is {ours}, but {theirs} in the phase that makes its {key}; they must be the same")
