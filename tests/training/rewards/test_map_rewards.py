"""Rewards about maps, on traces of a teacher: true maps of a scene, maps of another one, and answers right and wrong."""

from dataclasses import replace
from pathlib import Path

import pytest

from cooper.errors import CooperError
from cooper.perception import Modality, build_modalities
from cooper.scenes.problems import SceneTasks, item_of
from cooper.scenes.questions.categories import questions_of
from cooper.scenes.questions.question import SceneQuestion
from cooper.scenes.room.render import SceneRecord
from cooper.scenes.store import SceneSet
from cooper.scenes.teacher.traces import teacher_trace, true_map
from cooper.trace.prompts import DEFAULT
from cooper.trace.steps import MapStep, TextStep
from cooper.trace.trace import Trace
from cooper.training.rl.recipe import GrpoRecipe, RewardSettings
from cooper.training.rl.rewards.answer import AnswerReward
from cooper.training.rl.rewards.maps import LinkReward, PriceReward
from cooper.training.rl.run import reinforce
from tests.training.conftest import MODALITIES
from tests.training.grpo_runs import lines

RELATIVE = {**MODALITIES, "depth": {"near": 0.3, "far": 8.0, "metric": False}}
SEED, EACH = 3, 12


@pytest.fixture
def tasks(scene_folder: Path) -> SceneTasks:
    return SceneTasks(scene_folder, SEED, EACH, 4)


def link(tasks: SceneTasks, modalities: dict[str, Modality]) -> LinkReward:
    return LinkReward(lambda item: tasks.named(item.id), modalities, AnswerReward())


def asked(records: list[SceneRecord]) -> list[tuple[int, SceneQuestion]]:
    return [(place, each) for place, record in enumerate(records) for each in questions_of(record.scene, SEED, EACH)]


def with_maps_of(trace: Trace, record: SceneRecord, modalities: dict[str, Modality]) -> Trace:
    steps = [true_map(record, step.modality, modalities) if isinstance(step, MapStep) else step for step in trace.steps]
    return replace(trace, steps=tuple(steps))


@pytest.mark.parametrize("settings", [MODALITIES, RELATIVE])
def test_only_right_maps_before_right_answers_are_linked(settings, tasks: SceneTasks, records: list[SceneRecord]):
    modalities = build_modalities(settings)
    reward, linked, broken, possible = link(tasks, modalities), 0, 0, 0
    for place, question in asked(records):
        record, item = records[place], item_of(question, "a picture")
        trace = teacher_trace(question, record, "interleaved", DEFAULT, modalities)
        wrong = replace(trace, steps=(*trace.steps[:-1], TextStep("<think>so</think><answer>nothing of it</answer>")))
        foreign = with_maps_of(trace, records[(place + 1) % len(records)], modalities)
        true, false, other = reward(item, [trace, wrong, foreign])
        able = bool(trace.maps) and bool(question.objects)
        assert false == 0 and (able or not true)
        linked, broken, possible = linked + int(true or 0), broken + int(bool(true) and not other), possible + able
    assert linked >= 0.9 * possible > 10  # colours of a thing of a few pixels cannot always be told on a map of 32
    assert broken > 0.6 * linked  # most maps of another scene say something else there


def test_each_map_has_its_price(records: list[SceneRecord]):
    modalities = build_modalities(MODALITIES)
    question = asked(records)[0][1]
    traces = [teacher_trace(question, records[0], mode, DEFAULT, modalities) for mode in ("direct", "perception")]
    assert PriceReward()(item_of(question, "a picture"), traces) == [0.0, -2.0]


def test_both_terms_through_a_run(recipe: GrpoRecipe):
    run = replace(recipe, rewards=RewardSettings(link=1.0, price=0.05), steps=1)
    reinforce(run)
    told = {name for line in lines(run) for name in line}
    assert {"rewards/link/mean", "rewards/price/mean"} <= told


def test_link_needs_scenes(recipe: GrpoRecipe, tmp_path: Path, scene_folder: Path):
    picture = tmp_path / "a.png"
    picture.write_bytes(SceneSet(scene_folder).picture_file(0))
    row = '{"id": "q%d", "image": "a.png", "question": "Is there a ball?", "type": "YN", "answer": "yes"}\n'
    (tmp_path / "questions.jsonl").write_text("".join(row % number for number in range(8)))
    run = replace(recipe, data=tmp_path / "questions.jsonl", rewards=RewardSettings(link=1.0))
    with pytest.raises(CooperError, match=r"rewards\.link needs rendered scenes"):
        reinforce(run)
