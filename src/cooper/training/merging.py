"""Plain checkpoints of what a training left on its way: adapters, averaged weights, shards."""

from dataclasses import fields, replace
from pathlib import Path

import torch

from cooper.errors import CooperError
from cooper.files.hub import resolve
from cooper.files.plain import read_plain
from cooper.files.rows import read_object
from cooper.files.values import build
from cooper.model.checkpoints.export import make_empty
from cooper.model.checkpoints.loading import ADAPTER_CONFIG
from cooper.model.checkpoints.opening import PROMPTS_FILE
from cooper.reasoning.cooper import Cooper
from cooper.training.bundles import Bundle, load_bundle, save_bundle
from cooper.training.data import is_rows, one_source, scene_folder
from cooper.training.loop.averaging import Average
from cooper.training.loop.folder import RECIPE_FILE
from cooper.training.loop.sealing import STATE_FILE, fault_of, step_of
from cooper.training.refusals import allow_refusals, weights_of
from cooper.training.scale.adapters import plain_state
from cooper.training.scale.shards import FOLDER, load_weights
from cooper.training.stages.maps import AmgRecipe, first_bundle
from cooper.training.stages.objective import trainee
from cooper.training.stages.reasoning import SCENES_ONLY, SftRecipe


def merge(source: Path, out: Path, base: Path | None = None) -> Path:
    """Write an adapter with its network, or a checkpoint of a run of stage 1 or 2 with its averaged weights, into a new folder,
    which is returned. `base`: what bare published weights below an adapter lack.

    CooperError: what is neither, is damaged or does not fit.
    """
    if (source / ADAPTER_CONFIG).is_file():
        bundle = _with_adapter(source, base)
        make_empty(out)
        save_bundle(bundle, out, plain_state(bundle.model))
        return out
    if not (source / STATE_FILE).is_file():
        raise CooperError(f"{source} is neither an adapter in the form of peft nor a checkpoint of a training (checkpoint-N)")
    fault = fault_of(source)
    if fault:
        raise CooperError(f"{source} is damaged ({fault}); take another checkpoint")
    make_empty(out)
    _write_averaged(source, out)
    return out


def _with_adapter(source: Path, base: Path | None) -> Bundle:
    """The network of an adapter in its stored type; tokenizer and prompts are the adapter's, or else the network's."""
    named = read_object(source / ADAPTER_CONFIG, lenient=True).get("base_model_name_or_path")
    network = resolve(named) if isinstance(named, str) and named else source
    companions = base or (None if (source / "tokenizer.json").is_file() else network)
    own = source if (source / PROMPTS_FILE).is_file() else network
    prompts = own / PROMPTS_FILE if (own / PROMPTS_FILE).is_file() else None
    door = Cooper.from_pretrained(source, companions, "auto", "cpu", prompts=prompts)
    parts = door.engine.parts
    return Bundle(parts.model, parts.layout.processor, parts.prompts)


def _write_averaged(source: Path, out: Path) -> None:
    recipe = _recipe_of(source)
    recipe = replace(recipe, sharding=None, quantise=None)  # here the network is whole
    bundle = first_bundle(recipe) if isinstance(recipe, AmgRecipe) else load_bundle(recipe.init, recipe.base)
    if isinstance(recipe, SftRecipe) and not is_rows(recipe.data):
        scenes = scene_folder(one_source(recipe.data), SCENES_ONLY)
        if scenes.is_dir():  # elsewhere than where it was trained, the configuration stays that of the start
            allow_refusals(bundle, weights_of(scenes, recipe.categories))
    objective, _ = trainee(bundle, recipe)
    average = Average(objective, recipe.optimiser.ema)
    if (source / FOLDER).is_dir():
        load_weights(source, objective, average.weights)
    else:
        average.load(source, step_of(source), torch.device("cpu"))
    with average.applied(objective):
        save_bundle(bundle, out, plain_state(bundle.model))


def _recipe_of(source: Path) -> AmgRecipe | SftRecipe:
    """The recipe of the run that a checkpoint belongs to. CooperError: it is missing, or one of another stage."""
    path = source.parent / RECIPE_FILE
    if not path.is_file():
        raise CooperError(f"{source.parent} holds no {RECIPE_FILE}, which says what the run of this checkpoint began with")
    values = read_plain(path)
    for kind in (AmgRecipe, SftRecipe):
        if set(values) <= {field.name for field in fields(kind)}:
            return build(kind, values, str(path))
    raise CooperError(f"{path} is of another stage than amg and sft, whose checkpoints can be merged")
