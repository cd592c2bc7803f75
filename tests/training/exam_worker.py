"""Processes of the tests of exams: `python -m torch.distributed.run ... exam_worker.py OUT START SCENES`."""

import json
import sys
from pathlib import Path

import torch
from torch import distributed

from cooper.scenes.examples import CONVENTIONS, SceneExamples
from cooper.scenes.problems import exam_items
from cooper.training.bundles import load_bundle
from cooper.training.scale.sharding import leave
from cooper.training.scale.sharing import everyones, our_share
from cooper.training.stages.exam import AnswerExam, MapExam, ReasoningExam
from cooper.training.targets import modalities_of

if __name__ == "__main__":
    torch.set_num_threads(1)
    out, start, scenes = map(Path, sys.argv[1:])
    if torch.distributed.is_torchelastic_launched():
        distributed.init_process_group("gloo")
    share = our_share()
    for count in range(5):
        items = list(range(count))
        assert everyones([10 * item for item in share.of(items)]) == [10 * item for item in items]
    bundle, examples = load_bundle(start), SceneExamples(scenes, 3)
    answers = AnswerExam(exam_items(examples, 5), ("direct", "interleaved"))
    maps = MapExam(examples, CONVENTIONS, modalities_of(bundle.model.config.modalities, CONVENTIONS))
    figures = ReasoningExam(answers, maps).figures(bundle, out / f"sheet-{share.rank}.png")
    one = MapExam(examples[:1], CONVENTIONS, maps.modalities).figures(bundle, out / f"one-{share.rank}.png")
    (out / f"figures-{share.rank}.json").write_text(json.dumps([figures, one, len(share.of(answers.items))]))
    leave()
