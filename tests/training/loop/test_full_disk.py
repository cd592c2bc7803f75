"""A disk that fills while a run writes its checkpoint."""

import yaml

from tests.cli.test_full_disk import cooper, told


def test_a_training_says_how_it_goes_on(tmp_path, scene_folder):
    places = {"out": str(tmp_path / "run"), "data": str(scene_folder), "val": str(scene_folder), "init": "nano"}
    optimiser = {"steps": 2, "batch": 1, "learning_rate": 1e-4, "warmup": 1}
    record = {"save_every": 1, "eval_every": 9}
    (tmp_path / "amg.yaml").write_text(yaml.safe_dump({**places, "words": 300, "optimiser": optimiser, "record": record}))
    said = told(cooper("train", "amg", "--config", tmp_path / "amg.yaml", most=8 << 20))
    assert "the disk is full or may hold no larger one" in said and "File too large" in said
    assert said.endswith("make room, and the same command goes on from the last whole checkpoint")
    assert (tmp_path / "run" / "recipe.yaml").is_file()
