"""Questions of a run: from scenes and from files; what cannot be read is set aside."""

import json
from pathlib import Path

import pytest

from cooper.errors import CooperError
from cooper.scenes.problems import SceneTasks
from cooper.training.rl.sampler import Sampler
from cooper.training.rl.tasks import FileTasks, Tasks, source_of
from tests.networks import picture
from tests.training.rollout_groups import tiny_door


def _file(folder: Path, count: int = 3, broken: tuple[int, ...] = ()) -> Path:
    rows = []
    for number in range(count):
        name = f"{number}.png"
        picture(number).save(folder / name)
        if number in broken:
            (folder / name).write_bytes(b"no picture")
        rows.append({"id": f"q{number}", "image": name, "question": "Near?", "type": "YN", "answer": "yes"})
    path = folder / "questions.jsonl"
    path.write_text("".join(json.dumps(row) + "\n" for row in rows))
    return path


def test_questions_of_scenes(scene_folder, records):
    tasks = SceneTasks(scene_folder, seed=3, per_scene=2, limit=3)
    assert len(tasks) == 6
    items = [tasks.item(number) for number in range(6)]
    assert len({item.id for item in items}) == 6
    assert [item.id.rsplit("-", 2)[0] for item in items[::2]] == [
        f"{s.split}-{s.seed}" for s in (record.scene for record in records[:3])
    ]
    assert isinstance(source_of(scene_folder, 3, 2), SceneTasks)
    assert all(item.type in ("MCQ", "YN", "Number", "Number_Int") for item in items)


def test_questions_of_a_file(tmp_path):
    path = _file(tmp_path)
    tasks = source_of(path, 0, 4)
    assert isinstance(tasks, FileTasks) and len(tasks) == 3
    item = tasks.item(1)
    assert (item.id, item.type, item.truth, item.question.text) == ("q1", "YN", "yes", "Near?")
    assert item.question.images[0].size == (32, 32)


@pytest.mark.parametrize(
    ("line", "said"),
    [
        ("{", r"questions\.jsonl, line 1: not JSON"),
        ('{"id": "a"}', "line 1: the field 'image' is missing"),
        ('{"id": "a", "image": "a.png", "question": "?", "type": "YN", "answer": 1}', "the field 'answer'"),
        ('{"id": "a", "image": "a.png", "question": "?", "type": "Essay", "answer": "1"}', "type is 'Essay'; known: MCQ"),
    ],
)
def test_a_broken_line_is_named(tmp_path, line, said):
    path = tmp_path / "questions.jsonl"
    path.write_text(line + "\n")
    with pytest.raises(CooperError, match=said):
        FileTasks(path)
    with pytest.raises(CooperError, match="cannot read the questions"):
        FileTasks(tmp_path / "none.jsonl")


def test_a_question_whose_picture_is_broken_is_set_aside_and_the_next_one_is_asked(tmp_path):
    tasks = Tasks(FileTasks(_file(tmp_path, broken=(1,))))
    assert [tasks.readable(number).id for number in (0, 1, 2, 1)] == ["q0", "q2", "q2", "q2"]
    assert list(tasks.set_aside) == [1] and "1.png" in tasks.set_aside[1]
    door = tiny_door(tmp_path)
    rollouts = tasks.sampled(Sampler(door, door.options("direct"), 4), [1, 0], 2, seed=0)
    assert [rollout.item.id for rollout in rollouts] == ["q2", "q2", "q0", "q0"]


def test_nothing_readable_is_said(tmp_path):
    with pytest.raises(CooperError, match="none of the 2 questions can be read; the first"):
        Tasks(FileTasks(_file(tmp_path, 2, (0, 1)))).readable(1)
