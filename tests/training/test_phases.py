"""A recipe with phases, through the command: read and checked whole, run in order, stopped and gone on with."""

import contextlib
import json
import os
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest
import yaml
from safetensors.torch import load_file

from cooper.errors import CooperError
from cooper.training.loop.folder import plain
from cooper.training.loop.stopping import Interrupted, Stopping
from cooper.training.phases import check_phases, read_phases
from cooper.training.run import train
from tests.cli.conftest import run  # noqa: F401 - the command line in this process

from .conftest import MODALITIES, SHAPE

NANO = Path(__file__).parents[2] / "recipes" / "nano" / "nano.yaml"
SIZES = plain(SHAPE)
VAE = {"base_channels": 8, "channel_multipliers": [1, 2], "blocks_per_level": 1, "latent_channels": 2, "norm_groups": 4}
VISION = {"modalities": MODALITIES, "vit": SIZES["vit"], "transforms": SIZES["transforms"], "cells": 4}
TINY = {  # changes of the phases of the bundled model
    "autoencoder": {"geometry": VAE, "crop": 16},
    "vision": {key: VISION[key] for key in ("vit", "transforms", "cells")},
    "maps": {"network": SIZES, "words": 400},
    "flags": {"samples": 1, "limit": 8},
    "reinforced": {
        "scenes": 2,
        "steps": 2,
        "questions": 2,
        "group": 2,
        "rows": 4,
        "sampling.max_tokens": 5,
        "eval_questions": 2,
    },
}
SMALL = {"eval_scenes": 1, "scenes": 4}


@pytest.fixture
def recipe(scene_folder: Path, start: Path, tmp_path: Path) -> Path:
    """Two phases of the stage that is quickest, and one of another that begins with the second."""
    data = {"data": str(scene_folder), "val": str(scene_folder)}
    optimiser = {"steps": 2, "batch": 2, "learning_rate": 1e-3, "warmup": 1}
    record = {"log_every": 1, "save_every": 1, "eval_every": 2, "keep": 9}
    phases = {
        "eyes": {"stage": "vision"},
        "more-eyes": {"stage": "vision", "seed": 1},
        "maps": {"stage": "amg", "init": str(start), "vision": "more-eyes", "frozen": ["vit"], "optimiser": {"batch": 1}},
    }
    path = tmp_path / "recipe.yaml"
    values = {
        "out": str(tmp_path / "all"),
        **data,
        **SMALL,
        **VISION,
        "optimiser": optimiser,
        "record": record,
        "phases": phases,
    }
    path.write_text(yaml.safe_dump(values, sort_keys=False))
    return path


def _weights(folder: Path) -> dict:
    return {path.relative_to(folder): load_file(path) for path in sorted(folder.glob("*/model/*.safetensors"))}


def _assert_equal(one: Path, other: Path) -> None:
    ours, theirs = _weights(one), _weights(other)
    assert ours and ours.keys() == theirs.keys()
    for path, tensors in ours.items():
        for name, tensor in tensors.items():
            assert tensor.equal(theirs[path][name]), f"{path}: {name}"


def test_shared_keys_groups_files_and_results(recipe, start, tmp_path):
    (tmp_path / "begin.yaml").write_text(
        "optimiser: {kind: muon, batch: 7}\nmixture: {rgb: 1}\nmove: 3\nout: elsewhere\nseed: 9"
    )
    out, phases = read_phases(recipe, ["phases.more-eyes.recipe=begin.yaml", "phases.more-eyes.mixture={depth: 2}"])
    eyes, more, maps = (phase.recipe for phase in phases)
    assert [phase.recipe.out for phase in phases] == [out / "eyes", out / "more-eyes", out / "maps"]
    assert (maps.vision, maps.init, maps.optimiser.batch, maps.optimiser.steps) == (out / "more-eyes/model", start, 1, 2)
    assert (more.optimiser.kind, more.optimiser.batch, more.move, more.seed, eyes.seed) == ("muon", 2, 3, 1, 0)
    assert more.mixture == {"depth": 2} and maps.scenes == 4


@pytest.mark.parametrize(
    ("override", "said"),
    [
        ("phases.maps.optimiser.steps=0", "recipe.yaml: phases.maps.optimiser.steps is 0; it must be at least 1"),
        ("phases.maps.optimizer={}", "recipe.yaml: phases.maps: unknown key 'optimizer'"),
        ("phases.maps.maps=[depth, depth]", "recipe.yaml: phases.maps: maps is ['depth', 'depth']"),
        ("phases.maps.stage=smt", "recipe.yaml: phases.maps.stage is 'smt'; choose from autoencoder, vision, amg"),
        ("phases.maps.stage=[amg]", "phases.maps.stage is ['amg']"),
        ("phases.maps.out=x", "phases.maps.out: the folder of a phase is"),
        ("phases.maps.init=eyes", "phases.maps.init names the phase 'eyes' of stage vision; it takes one of amg, sft, grpo"),
        ("phases.eyes.init=maps", "phases.eyes.init names the phase 'maps', which does not come before it"),
        ("phases.maps.init=maps", "phases.maps.init names the phase 'maps', which does not come before it"),
        ("phases.maps.vision=eye", "phases.maps: vision: no phase is named 'eye', and eye is no directory"),
        ("phases.maps.data=nowhere", "phases.maps: nowhere/dataset.json: not found, so nowhere is no rendered scene set"),
        ("phases.maps.frozen=[vitt]", "phases.maps: recipe: frozen names 'vitt', no part of the network"),
        ("phases.maps.recipe=gone.yaml", "gone.yaml: No such file"),
        ("phases.nano={stage: amg}", "the phase 'nano' must have a name of"),
        ("phases.a b={stage: amg}", "the phase 'a b' must have a name of"),
        ("phases.maps=3", "phases.maps must be a group of keys, not 3"),
        ("phases={}", "phases must be a group of phases by name, in their order, not {}"),
        ("out=null", "out must be a path"),
        ("mixtur={rgb: 1}", "unknown key 'mixtur': no phase has it"),
        ("words=10", "phases.maps.words is 10; it must be at least 300"),
    ],
)
def test_a_mistake_in_any_phase_is_named_before_the_first_begins(run, recipe, tmp_path, override, said):  # noqa: F811
    refused = run("train", "phases", "--config", recipe, override)
    told = [line for line in refused.err.splitlines() if line.startswith("cooper: ")]
    assert refused.code == 1 and len(told) == 1 and said in told[0], refused.err
    assert not (tmp_path / "all").exists()


def test_a_reinforcement_that_trl_or_its_questions_refuse_is_named_before_the_first_begins(recipe, tmp_path):
    last = "phases.last={stage: grpo, init: maps, steps: 1, learning_rate: 1e-4, questions: 2, group: 2, rows: 4"
    for more, said in (
        (", trl: {nonsense: 1}}", "phases.last: recipe: trl names 'nonsense'"),
        (", rows: 3}", "do not divide"),
        (", lora: {targets: [nothing]}}", "phases.last: recipe: lora.targets names 'nothing'"),
        (", flags: nowhere}", "phases.last: flags is 'nowhere': there is no such path, and no phase has this name"),
        (f", data: {tmp_path}/q.jsonl}}", "q.jsonl"),
    ):
        start = last.replace(", rows: 4", "") if "rows" in more else last
        with pytest.raises(CooperError, match=said):
            train("phases", recipe, [start + more])
    assert not (tmp_path / "all" / "eyes").exists()


def test_phases_are_stopped_skipped_and_gone_on_with(run, recipe, tmp_path, monkeypatch):  # noqa: F811
    whole = run("train", "phases", "--config", recipe, f"out={tmp_path / 'whole'}")
    assert whole.code == 0 and whole.out == f"Model: {tmp_path / 'whole' / 'maps' / 'model'}\n", whole.err
    assert f"phase more-eyes (2 of 3): vision in {tmp_path / 'whole' / 'more-eyes'}" in whole.err
    assert not any(word in whole.err for word in ("Warning", "warnings.warn", "shards", "[transformers]"))

    from cooper.training.stages.vision import VisionObjective

    honest, seen = VisionObjective.forward, []

    def stopping(self, batch):
        seen.append(batch)
        if len(seen) == 3:  # the first step of the second phase
            os.kill(os.getpid(), signal.SIGINT)
        return honest(self, batch)

    with monkeypatch.context() as patch:
        patch.setattr(VisionObjective, "forward", stopping)
        stopped = run("train", "phases", "--config", recipe)
    told = "phase more-eyes (2 of 3): stopped at step 1; start the same command again to continue from "
    assert stopped.code == 130 and f"{told}{tmp_path / 'all' / 'more-eyes' / 'checkpoint-1'}" in stopped.err
    changed = run("train", "phases", "--config", recipe, "phases.more-eyes.jitter=0.5")
    said = (
        f"phase more-eyes (2 of 3): {tmp_path / 'all' / 'more-eyes'} holds a run of another recipe: jitter was 0.0 and is 0.5"
    )
    assert changed.code == 1 and said in " ".join(changed.err.split())
    again = run("train", "phases", "--config", recipe)
    assert again.code == 0 and f"{tmp_path / 'all' / 'eyes'} holds the finished run of this recipe" in again.err
    assert "phase eyes" not in again.err and "phase more-eyes (2 of 3)" in again.err
    _assert_equal(tmp_path / "all", tmp_path / "whole")

    stale = run("train", "phases", "--config", recipe, "phases.more-eyes.jitter=0.5", "--force-recipe")
    assert stale.code == 1 and "all/maps began with another result of the phase 'more-eyes'" in stale.err.replace("\n", "")
    gone = tmp_path / "all" / "more-eyes" / "model"
    gone.rename(tmp_path / "put-away")
    missed = run("train", "phases", "--config", recipe)
    said = f"all/maps began with the result of the phase 'more-eyes', {gone}, which is gone; put it back, or move "
    assert missed.code == 1 and said in missed.err.replace("\n", ""), missed.err
    (tmp_path / "put-away").rename(gone)
    (tmp_path / "all" / "maps").rename(tmp_path / "aside")
    (tmp_path / "all" / "more-eyes" / "finished.json").unlink()
    forced = run("train", "phases", "--config", recipe, "phases.more-eyes.jitter=0.5", "--force-recipe")
    assert forced.code == 0 and (tmp_path / "all" / "more-eyes" / "recipe-until-2.yaml").exists(), forced.err


def test_an_interruption_outside_of_training_says_where_it_stands(recipe, monkeypatch, tmp_path):
    def stop(*_):
        raise KeyboardInterrupt

    monkeypatch.setattr("cooper.training.stages.vision.vision_scores", stop)
    with pytest.raises(
        Interrupted, match=r"^phase eyes \(1 of 3\): stopped; start the same command again to continue from .*eyes$"
    ):
        train("phases", recipe)


def test_a_folder_of_one_stage_is_not_taken(recipe, tmp_path):
    (tmp_path / "all" / "model").mkdir(parents=True)
    with pytest.raises(CooperError, match="holds a run of one stage; choose another out for the phases"):
        train("phases", recipe)


def test_the_recipe_of_the_bundled_model_reads(scene_folder: Path, tmp_path: Path):
    places = [f"data={scene_folder}", f"val={scene_folder}", f"out={tmp_path}"]
    places += [f"phases.{name}.data={scene_folder}" for name in ("flags", "reinforced")]
    _, phases = read_phases(NANO, places)
    check_phases(NANO, phases)
    by_name = {phase.name: phase for phase in phases}
    assert {phase.stage for phase in phases} == {"autoencoder", "vision", "amg", "sft", "drawings", "flags", "grpo"}
    assert by_name["drawing-again"].recipe.init == tmp_path / "reinforced" / "model"
    flags, reinforced = by_name["flags"].recipe, by_name["reinforced"].recipe
    assert (flags.seed, flags.per_scene) == (reinforced.questions_seed, reinforced.per_scene)
    assert reinforced.flags == tmp_path / "flags" / "flags" / "flags.jsonl"
    seeds = [phase.recipe.seed for phase in phases if phase.stage == "sft"]
    assert len(set(seeds)) == len(seeds), "a phase begins with the rows of another"


@pytest.mark.parametrize(
    ("override", "said"),
    [
        ("phases.own-maps.scenes=2", "phases.reading-own: scenes is 4, but 2 in the phase that makes its drawings"),
        ("phases.own-maps.maps=[depth]", r"maps is \['depth', 'segmentation'\], but \['depth'\] in the phase"),
        ("phases.own-maps.data=elsewhere", "phases.own-maps: elsewhere/dataset.json: not found"),
        ("phases.flags.seed=3", "phases.reinforced: questions_seed is 2, but 3 in the phase that makes its flags"),
        ("phases.flags.per_scene=5", "phases.reinforced: per_scene is 4, but 5 in the phase that makes its flags"),
        ("phases.flags.margin=0", "phases.flags.margin is 0.0; it must be above 0 and at most 1"),
    ],
)
def test_maps_and_flags_of_other_scenes_or_questions_are_named_before_the_first_begins(scene_folder, tmp_path, override, said):
    places = [f"data={scene_folder}", f"val={scene_folder}", f"out={tmp_path / 'all'}"]
    places += [f"phases.{name}.data={scene_folder}" for name in ("flags", "reinforced")]
    with pytest.raises(CooperError, match=said):
        train("phases", NANO, [*places, override])
    assert not (tmp_path / "all" / "autoencoder").exists()


def _tiny(scenes: Path, out: Path, processes: int = 1) -> list[str]:
    """The command that makes the bundled model, of two steps a phase."""
    data, record = str(scenes), {"log_every": 1, "save_every": 1, "eval_every": 2, "keep": 9}
    changes: dict[str, object] = {"data": data, "val": data, "record": record}
    for phase in read_phases(NANO)[1]:
        small: dict[str, object] = dict(TINY.get(phase.name, {}))
        if hasattr(phase.recipe, "optimiser"):
            small |= {"optimiser.steps": 2, "optimiser.batch": 2, "optimiser.warmup": 1, "eval_scenes": 1}
        if phase.stage == "sft":
            small |= {"eval_questions": 2, "draws": 1}
        if phase.name in ("flags", "reinforced"):
            small["data"] = data
        if phase.name == "reinforced" and processes > 1:
            small["rows"] = small["rows"] // processes  # of each process
        changes |= {f"phases.{phase.name}.{key}": value for key, value in small.items()}
    said = [f"{key}={json.dumps(value)}" for key, value in changes.items()]
    several = ["-m", "torch.distributed.run", "--standalone", f"--nproc-per-node={processes}"] if processes > 1 else []
    command = [sys.executable, *several, "-m", "cooper", "train", "phases", "--config", str(NANO)]
    return [*command, f"out={out}", f"latents={out}-latents", *said]


@pytest.mark.slow
def test_the_bundled_model_is_made_tiny_killed_in_the_middle_and_gone_on_with(scene_folder: Path, tmp_path: Path):
    whole, killed = tmp_path / "whole", tmp_path / "killed"
    subprocess.run(_tiny(scene_folder, whole), check=True)
    process = subprocess.Popen(_tiny(scene_folder, killed))
    while not (killed / "thinking" / "checkpoint-1" / "manifest.json").exists():
        assert process.poll() is None
        time.sleep(0.01)
    process.kill()
    assert process.wait() != 0
    again = subprocess.run(_tiny(scene_folder, killed), capture_output=True, text=True, check=True)
    assert f"{killed / 'looking'} holds the finished run of this recipe" in again.stderr
    assert again.stdout == f"Model: {killed / 'drawing-again' / 'model'}\n"
    _assert_equal(whole, killed)


@pytest.mark.slow
def test_two_processes_make_the_bundled_model_tiny(scene_folder: Path, tmp_path: Path):
    environment = {**os.environ, "OMP_NUM_THREADS": "1", "CUDA_VISIBLE_DEVICES": ""}
    done = subprocess.run(
        _tiny(scene_folder, tmp_path / "all", processes=2), env=environment, capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr[-3000:]
    assert done.stdout == f"Model: {tmp_path / 'all' / 'drawing-again' / 'model'}\n"
    for phase in read_phases(NANO)[1]:
        assert (tmp_path / "all" / phase.name / "finished.json").exists(), phase.name
        assert done.stderr.count(f"phase {phase.name} (") == 1


@pytest.mark.parametrize("moment", ["swallowed", "after the last step"])
def test_a_signal_that_nobody_took_ends_before_the_next_phase(recipe: Path, tmp_path: Path, monkeypatch, moment):
    """As in a callback of the garbage collector, where Python passes over an exception, or when the last step is taken."""
    from cooper.training import run as door

    finish = door.finish

    def finished(recipe):
        if moment == "swallowed":
            with contextlib.suppress(KeyboardInterrupt):
                signal.raise_signal(signal.SIGINT)
        finish(recipe)

    class Late(Stopping):
        def on_step_end(self, args, state, control, **kwargs):
            super().on_step_end(args, state, control, **kwargs)
            if state.global_step == state.max_steps:
                signal.raise_signal(signal.SIGINT)

    monkeypatch.setattr(door, "finish", finished)
    if moment != "swallowed":
        monkeypatch.setattr("cooper.training.loop.trainer.Stopping", Late)
    with pytest.raises(Interrupted, match=r"phase more-eyes \(2 of 3\): stopped; start the same command again"):
        train("phases", recipe)
    assert (tmp_path / "all" / "eyes" / "finished.json").exists() and not (tmp_path / "all" / "more-eyes").exists()


def test_other_data_under_the_same_name_are_refused(recipe: Path, scene_folder: Path, tmp_path: Path):
    data = tmp_path / "data"
    shutil.copytree(scene_folder, data)
    one = tmp_path / "eyes.yaml"
    values = yaml.safe_load(recipe.read_text())
    stage = {key: value for key, value in values.items() if key != "phases"} | {"out": str(tmp_path / "one"), "data": str(data)}
    one.write_text(yaml.safe_dump(stage | {key: VISION[key] for key in VISION}))
    train("vision", one, ["optimiser.steps=1"])
    (tmp_path / "one" / "finished.json").unlink()
    info = json.loads((data / "dataset.json").read_text())
    (data / "dataset.json").write_text(json.dumps(info | {"count": 3}))  # a set that grows is the same set
    train("vision", one, ["optimiser.steps=1"])
    (tmp_path / "one" / "finished.json").unlink()
    (data / "dataset.json").write_text(json.dumps(info | {"seed": 12}))
    with pytest.raises(CooperError, match=r"began with other data: .*data \(data of the recipe\) has changed since"):
        train("vision", one, ["optimiser.steps=1"])
    train("vision", one, ["optimiser.steps=1"], force=True)
