"""Recipes that no run can follow, through the command: one sentence that names the key, and no checkpoint begun."""

from pathlib import Path

import pytest
import yaml

from cooper.files.values import overridden
from cooper.training.loop.folder import plain
from tests.cli.conftest import run  # noqa: F401 - the command line in this process

from .conftest import MODALITIES, SHAPE

SIZES = plain(SHAPE)
OPTIMISER = {"steps": 1, "batch": 1, "learning_rate": 1e-3}
VAE = {"base_channels": 8, "channel_multipliers": [1, 2], "blocks_per_level": 1, "latent_channels": 2, "norm_groups": 4}
STAGES = {
    "autoencoder": {"optimiser": OPTIMISER, "modalities": MODALITIES, "geometry": VAE, "crop": 16},
    "vision": {"optimiser": OPTIMISER, "modalities": MODALITIES, "vit": SIZES["vit"], "transforms": SIZES["transforms"]},
    "amg": {"optimiser": OPTIMISER, "init": "nano"},
    "sft": {"optimiser": OPTIMISER, "init": "nano", "mixture": {"text": 1}, "questions": {"text": 1}},
    "grpo": {"steps": 1, "learning_rate": 1e-3, "init": "nano", "questions": 1, "group": 2, "rows": 2},
}
INTERVALS = [f"record.{name}={value}" for name in ("log_every", "save_every", "eval_every", "keep") for value in (0, -1, 1.5)]
SEEDS = [f"seed={value}" for value in (-1, 2**32, 2**64, 10**30, 1.5, "2024-01-01", "null", "true", "x")]


@pytest.fixture
def refused(run, scene_folder, tmp_path, monkeypatch):  # noqa: F811
    monkeypatch.chdir(tmp_path)

    def of(stage: str, *overrides: str) -> str:
        places = {"out": "run", "data": str(scene_folder), "val": str(scene_folder)}
        Path("recipe.yaml").write_text(yaml.safe_dump({**places, **STAGES[stage]}))
        ran = run("train", stage, "--config", "recipe.yaml", *overrides)
        told = [line for line in ran.err.splitlines() if line.startswith("cooper: ")]
        assert ran.code == 1 and len(told) == 1, ran.err
        assert not list(Path().glob("run/checkpoint-*"))
        return told[0]

    return of


@pytest.mark.parametrize("stage", STAGES)
def test_intervals_and_seeds_have_ranges_in_every_stage(refused, stage):
    for override in (*INTERVALS, *SEEDS, "scenes=0", "scenes=-1", "scenes=1e9", "out=recipe.yaml", "out=recipe.yaml/below"):
        key = override.partition("=")[0]
        assert key in refused(stage, override) or key == "out"
    rate = "learning_rate" if stage == "grpo" else "optimiser.learning_rate"
    for value in ("0", "-1", ".inf", ".nan", "1e300", "1e999", "abc", "{}", "[1]", "null"):
        assert rate in refused(stage, f"{rate}={value}")


@pytest.mark.parametrize(
    ("stage", "override", "said"),
    [
        ("autoencoder", "crop=7", "crop is 7; it must be a multiple of 2"),
        ("autoencoder", "crop=34", "crop is 34; the pictures of"),
        ("autoencoder", "geometry.channel_multipliers=[]", "channel_multipliers must have 1 to 8 entries"),
        ("autoencoder", "geometry.base_channels=1000000", "billion weights, more than the memory"),
        ("autoencoder", "geometry.norm_groups=7", "norm_groups 7 does not divide"),
        ("autoencoder", "mixture={rgb: 0}", "mixture must give one of its sources a weight above 0"),
        ("autoencoder", "emphasis={foo: 1}", "emphasis names 'foo'"),
        ("autoencoder", "modalities={}", "modalities has no settings of depth"),
        ("autoencoder", "modalities.depth.near=9", "near"),
        ("autoencoder", "modalities.segmentation.names=[a, a]", "none of them twice"),
        ("autoencoder", "modalities.segmentation.names=[a, b]", "outside the 2 named classes"),
        ("vision", "vit.num_attention_heads=3", "vit.num_attention_heads must divide vit.hidden_size"),
        ("vision", "vit.patch_size=13", "it must be a multiple of vit.patch_size, 13"),
        ("vision", "vit.position_side=1", "vit.position_side ends at 14 px"),
        ("vision", "vit.hidden_size=1000000", "billion weights, more than the memory"),
        ("vision", "transforms.vit=[28]", "transforms.vit has 1 entries; it must have 3"),
        ("amg", "maps=[depth, depth]", "it must name depth, segmentation or both"),
        ("amg", "init=null", "init or autoencoder is missing"),
        ("amg", "words=10", "words is 10; it must be at least 300"),
        ("sft", "questions.text=0", "questions.text is missing or 0"),
        ("sft", "questions.text=65", "questions.text is 65; it must be at least 0 and at most 64"),
        ("sft", "categories={reech: 2}", "categories names 'reech'; known: relative_distance, "),
        ("sft", "categories={absent: 4}", "categories names 'absent', but the scenes of "),
        ("sft", "categories={reach: -1}", "categories.reach is -1"),
        ("grpo", "group=1", "group is 1; it must be at least 2"),
        ("grpo", "steps=1000000000", "steps times questions is 1000000000"),
        ("grpo", "trl={num_iterations: 0}", "trl.num_iterations is 0"),
        ("grpo", "trl={loss_type: foo}", "trl.loss_type is 'foo'; choose from grpo"),
        ("grpo", "trl={fsdp_config: gone.json}", "trl.fsdp_config: cannot read gone.json: No such file or directory"),
        ("grpo", "trl={fsdp_config: recipe.yaml}", "trl.fsdp_config: recipe.yaml: not JSON"),
        ("grpo", "trl={fsdp_config: 5}", "trl.fsdp_config is 5; it must be a group of keys, or a JSON file"),
        ("sft", "mixture={text:1}", "the value of 'text:1' is missing: put a space after its colon"),
        ("sft", "questions={interleavd: 3}", "questions names 'interleavd'; known: interleaved"),
        ("grpo", "rewards={answer: 0, format: 0, exploration: 0}", "one must be above 0"),
        ("grpo", "judge={url: 'ftp://x', model: m}", "url must be an http or https address"),
    ],
)
def test_keys_that_do_not_fit_are_named(refused, stage, override, said):
    assert said in refused(stage, override)


def test_what_shows_only_beside_the_network_is_named(refused):
    everything = "[vit, und, gen, connector, embed_tokens, lm_head, latent_in, latent_out, time_embedder]"
    assert "frozen leaves no weight that could be trained" in refused("amg", f"frozen={everything}")
    assert "lora.targets names 'nothing'" in refused("grpo", "lora={targets: [nothing]}", "rewards.exploration=0")
    assert "trl.bf16 must be true or false" in refused("grpo", "trl={bf16: x}", "rewards.exploration=0")


def test_a_nested_override_makes_its_groups():
    assert overridden({"a": 1}, "b.c.d=2") == {"a": 1, "b": {"c": {"d": 2}}}
