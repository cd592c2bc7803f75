"""One door for every stage: a recipe in, a run folder with checkpoints, figures and a finished model out."""

import gc
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import yaml

from cooper.errors import CooperError
from cooper.evaluation.runs.processes import Share, wait_for_others
from cooper.files.locks import held
from cooper.files.plugins import load_plugins
from cooper.files.rows import write_whole
from cooper.files.values import read_recipe
from cooper.training.loop.folder import FINISHED_FILE, RECIPE_FILE, enter, finish, is_begun, is_finished, is_there, plain
from cooper.training.loop.stopping import Interrupted, noticing
from cooper.training.phases import Phase, check_phases, read_phases
from cooper.training.stages.table import STAGES

PHASES = "phases"  # in place of a stage


def train(stage: str, config: str | Path, overrides: Sequence[str] = (), force: bool = False) -> Path:
    """Run a stage as its recipe says, from its last checkpoint if there is one; returns the folder of the finished model. The
    stage `phases` runs all phases of a recipe that are not finished, and returns the result of the last.

    `force`: a run in the same folder goes on although its recipe was another. CooperError: an unknown stage, key or value, a
    recipe that changed, data that are not there, or a loss that is not a number. Interrupted: a signal ended the run; a
    checkpoint was left.
    """
    load_plugins()
    if stage == PHASES:
        out, phases = read_phases(config, overrides)
        with held(out, "cooper train phases"):
            return _train_phases(config, out, phases, force)
    if stage not in STAGES:
        raise CooperError(f"unknown stage {stage!r}; choose {', '.join((*STAGES, PHASES))}")
    return _train(stage, read_recipe(STAGES[stage].recipe, config, overrides), force)


def _train(stage: str, recipe: Any, force: bool) -> Path:
    result: Path = recipe.out / STAGES[stage].result
    if not is_finished(recipe, result):
        with held(recipe.out, f"cooper train {stage}"):
            enter(recipe, force)
            STAGES[stage].run(recipe)
            finish(recipe)
    return result


def _train_phases(config: str | Path, out: Path, phases: Sequence[Phase], force: bool) -> Path:
    left = [phase for phase in phases if not is_finished(phase.recipe, phase.result)]
    check_phases(config, left)
    _refuse_stale(phases, {phase.name for phase in left})
    if is_begun(out):
        raise CooperError(f"{out} holds a run of one stage; choose another out for the phases")
    if Share.here().first:
        record = {phase.name: {"stage": phase.stage, **plain(phase.recipe)} for phase in phases}
        write_whole(out / RECIPE_FILE, yaml.safe_dump({"out": str(out), "phases": record}, sort_keys=False, allow_unicode=True))
    with noticing() as signals:
        _train_left(phases, left, force, signals)
    return phases[-1].result


def _train_left(phases: Sequence[Phase], left: Sequence[Phase], force: bool, signals: Sequence[int]) -> None:
    """Train the phases that are left, in order, until a signal comes."""
    for phase in left:
        title = f"phase {phase.name} ({phases.index(phase) + 1} of {len(phases)})"
        if Share.here().first:
            print(f"{title}: {phase.stage} in {phase.recipe.out}", file=sys.stderr)
        if signals:
            raise Interrupted(None, phase.recipe.out, title)
        try:
            _train(phase.stage, phase.recipe, force)
        except Interrupted as stopped:
            raise Interrupted(stopped.step, stopped.folder, title) from None
        except KeyboardInterrupt:
            raise Interrupted(None, phase.recipe.out, title) from None
        except CooperError as error:
            raise CooperError(f"{title}: {error}") from None
        finished = phase.recipe.out / FINISHED_FILE
        wait_for_others(lambda finished=finished: int(not finished.exists()), f"file {finished}")
        gc.collect()  # a trainer and its model refer to each other


def _refuse_stale(phases: Sequence[Phase], left: set[str]) -> None:
    """CooperError: a phase has begun with the result of one that is to be trained still: with another, or one that is gone."""
    for phase in phases:
        for earlier in phase.uses.values():
            if earlier.name not in left or not is_begun(phase.recipe.out):
                continue
            begun = f"{phase.recipe.out} began with"
            if not is_there(earlier.result):
                raise CooperError(
                    f"{begun} the result of the phase {earlier.name!r}, {earlier.result}, which is gone; put it back, or move "
                    f"{phase.recipe.out} away, so that both are made anew"
                )
            raise CooperError(
                f"{begun} another result of the phase {earlier.name!r} than the one that is to be made now; "
                "move that folder away, or choose another out"
            )
