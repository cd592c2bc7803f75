"""Reinforcement learning through the installed TRL, on a tiny network."""

import inspect
import json
from dataclasses import replace

import pytest
import torch
from trl import GRPOTrainer

from cooper.errors import CooperError
from cooper.reasoning.cooper import Cooper
from cooper.training.bundles import load_bundle
from cooper.training.loop.sealing import last_whole
from cooper.training.loop.stopping import Interrupted
from cooper.training.recipe import RecordSettings
from cooper.training.rl.recipe import RewardSettings
from cooper.training.rl.run import arguments, assemble, reinforce
from cooper.training.rl.trainer import InterleavedGRPOTrainer
from cooper.training.scale.adapters import LoraSettings
from tests.judge_server import Play, completion, serving, settings_of
from tests.training.grpo_runs import changed, lines, script, weights


@pytest.mark.usefixtures("rewarded")
def test_a_run_trains_logs_and_leaves_a_model(recipe):
    folder = reinforce(recipe)
    logged = [line for line in lines(recipe) if "reward" in line]
    assert [line["step"] for line in logged] == [1, 2]
    assert {"loss", "entropy", "rewards/short/mean", "rewards/short/std", "clip_ratio/region_mean"} <= logged[0].keys()
    assert {"maps/drawing", "rollouts/truncated", "seconds/writing", "seconds/scoring", "step_time"} <= logged[0].keys()
    page = recipe.out / "samples" / "step-000002" / "02" / "page.html"
    assert "Answer" in page.read_text() or "answer" in page.read_text()
    moved = changed(recipe.init, folder)
    assert moved and not any(name.startswith("vae.") for name in moved)
    assert isinstance(Cooper.from_pretrained(folder), Cooper)


@pytest.mark.parametrize("lora", [None, LoraSettings(rank=2, alpha=4)], ids=["all weights", "adapters"])
@pytest.mark.usefixtures("rewarded")
def test_a_resumed_run_takes_the_same_steps(recipe, lora):
    unbroken = replace(recipe, steps=3, lora=lora)
    whole = weights(reinforce(unbroken))
    assert changed(recipe.init, recipe.out / "model")
    broken = replace(unbroken, out=recipe.out.parent / "broken")
    reinforce(replace(broken, steps=2))  # a constant learning rate: stopping early changes nothing
    torn = broken.out / "checkpoint-3"
    torn.mkdir()
    (torn / "trainer_state.json").write_text('{"global_st')  # killed while it was written
    assert last_whole(broken.out) == broken.out / "checkpoint-2"
    resumed = weights(reinforce(broken))
    for name, weight in whole.items():
        torch.testing.assert_close(resumed[name], weight, atol=1e-7, rtol=0, msg=name)
    assert [line["step"] for line in lines(broken) if "reward" in line] == [1, 2, 3]


@pytest.mark.parametrize("lora", [None, LoraSettings(rank=2, alpha=4)], ids=["all weights", "adapters"])
@pytest.mark.usefixtures("rewarded")
def test_no_library_leaves_its_model_card(recipe, lora):
    reinforce(replace(recipe, steps=1, lora=lora, record=RecordSettings(log_every=1, save_every=1)))
    assert (recipe.out / "checkpoint-1").is_dir() and last_whole(recipe.out) == recipe.out / "checkpoint-1"
    assert not list(recipe.out.rglob("README.md")) and not list(recipe.out.rglob("*.md"))


@pytest.mark.usefixtures("rewarded")
def test_second_iterations_are_compared_with_the_samplers_log_probs(recipe):
    run = replace(
        recipe, steps=4, learning_rate=3e-2, trl={"num_iterations": 2}, record=RecordSettings(log_every=1, save_every=2)
    )
    reinforce(run)
    logged = [line for line in lines(run) if "loss" in line]
    first, second = (line["clip_ratio/region_mean"] for line in logged[:2])
    assert first == 0.0 and second > 0.0


@pytest.mark.usefixtures("rewarded")
def test_adapters_are_trained_and_merged(recipe):
    run = replace(recipe, lora=LoraSettings(rank=2, alpha=4), learning_rate=1e-2, trl={"beta": 0.01})
    assert arguments(run, 1).beta == 0.01
    folder = reinforce(run)
    first, second = (line["kl"] for line in lines(run) if "kl" in line)
    assert first == pytest.approx(0, abs=1e-9) and second > 1e-6  # the weights below the adapters are the reference
    assert weights(run.init).keys() == weights(folder).keys()
    moved = changed(run.init, folder)
    assert moved and all(".attention." in name for name in moved)
    adapter, merged = (Cooper.from_pretrained(recipe.out / name).engine.parts.model for name in ("adapter", "model"))
    layers = [each.layers[0].attention.q.und for each in (adapter, merged)]
    given = torch.randn(3, 32)
    torch.testing.assert_close(layers[0](given), layers[1](given), atol=1e-5, rtol=1e-5)


def test_a_judge_rewards_what_it_decides_and_nothing_else(recipe, monkeypatch):
    """One answer is right, one is wrong, and one the judge cannot be asked about: it moves nothing."""
    script(monkeypatch, load_bundle(recipe.init).processor, lambda id: [[_saying("aye")], [_saying("nay")], [_saying("hum")]])
    honest, advantages = GRPOTrainer._compute_loss, []

    def watched(self, model, inputs):
        for rollout, advantage in zip(inputs["rollout"], inputs["advantages"].tolist(), strict=True):
            advantages.append((rollout.trace.answer, round(advantage, 2)))
        return honest(self, model, inputs)

    monkeypatch.setattr(GRPOTrainer, "_compute_loss", watched)
    with serving(monkeypatch) as server:
        verdicts = {"aye": Play(completion("yes")), "nay": Play(completion("no")), "hum": Play(status=400)}
        server.script = lambda call, prompt: next(verdicts[word] for word in verdicts if f"\n{word}\n" in prompt)
        terms = RewardSettings(format=0, exploration=0)
        run = replace(recipe, steps=1, judge=settings_of(server, retries=0), rewards=terms)
        folder = reinforce(run)
        assert len(server.prompts) == len(set(server.prompts)) == 6  # two questions, three answers each
    (line,) = [line for line in lines(run) if "reward" in line]
    assert line["rewards/answer/mean"] == 0.5 and line["rewards/answer/unjudged"] == pytest.approx(1 / 3)
    assert sorted(advantages) == [("aye", 0.71)] * 2 + [("hum", 0.0)] * 2 + [("nay", -0.71)] * 2
    assert changed(run.init, folder)


def _saying(word: str) -> str:
    return f"<think>so</think><answer>{word}</answer>"


def test_text_twin_never_draws_and_has_no_tags(recipe, start):
    run = assemble(replace(recipe, mode="text", rewards=RewardSettings(exploration=0.0)), load_bundle(start))
    assert run.sampler.options.mode == "text"
    assert [reward.name for reward in run.rewards] == ["answer", "format"]
    assert run.rewards[1].tags == ()  # pyright: ignore


def test_fewer_questions_than_an_update_asks_are_an_error(recipe, start):
    with pytest.raises(CooperError, match="holds 16 questions, fewer than the 17 that each update asks"):
        assemble(replace(recipe, questions=17), load_bundle(start))


def test_another_seed_may_ask_the_same_questions(recipe, start):
    ids = [
        assemble(replace(recipe, seed=seed, questions_seed=asked), load_bundle(start)).tasks.source.ids()
        for seed, asked in ((recipe.seed, None), (recipe.seed + 1, recipe.seed), (recipe.seed + 1, None))
    ]
    assert ids[0] == ids[1] and ids[0] != ids[2]


def test_flags_must_be_those_of_the_questions(recipe, start, tmp_path):
    path = tmp_path / "flags.jsonl"
    path.write_text('{"id": "another", "flag": "positive"}\n')
    with pytest.raises(CooperError, match="flags none of these 16 questions; use the same --seed"):
        assemble(replace(recipe, flags=path), load_bundle(start))
    known = assemble(recipe, load_bundle(start)).tasks.source.ids()[3]
    path.write_text(json.dumps({"id": known, "flag": "negative"}) + "\n")
    run = assemble(replace(recipe, flags=path), load_bundle(start))
    assert run.tasks.flags == {known: "negative"} == run.rewards[2].flags  # pyright: ignore
    digests = {name: run.tasks.source.digest(number) for number, name in enumerate(run.tasks.source.ids())}
    (tmp_path / "run.json").write_text(json.dumps({"questions": digests}))  # as `cooper data flags` leaves it
    assert assemble(replace(recipe, flags=path), load_bundle(start)).tasks.flags
    (tmp_path / "run.json").write_text(json.dumps({"questions": {**digests, known: "of other words"}}))
    with pytest.raises(CooperError, match=f"the question {known} has changed since its flag was made"):
        assemble(replace(recipe, flags=path), load_bundle(start))


@pytest.mark.usefixtures("rewarded")
def test_a_loss_that_is_not_a_number_stops_the_run_and_keeps_its_rollouts(recipe, monkeypatch):
    monkeypatch.setattr(GRPOTrainer, "_compute_loss", lambda self, model, inputs: torch.tensor(float("nan")))
    with pytest.raises(CooperError, match=r"not a number at step 1; its rollouts are in .*step-1"):
        reinforce(recipe)
    kept = list((recipe.out / "not-a-number" / "step-1").iterdir())
    assert len(kept) == recipe.rows and (kept[0] / "trace.json").exists()


@pytest.mark.usefixtures("rewarded")
def test_a_signal_leaves_a_checkpoint(recipe, monkeypatch):
    import os
    import signal

    honest = InterleavedGRPOTrainer.sample

    def interrupted(self, prompts, trainer):
        os.kill(os.getpid(), signal.SIGINT)
        return honest(self, prompts, trainer)

    monkeypatch.setattr(InterleavedGRPOTrainer, "sample", interrupted)
    with pytest.raises(Interrupted) as stopped:
        reinforce(recipe)
    assert stopped.value.step == 1 and last_whole(recipe.out) == recipe.out / "checkpoint-1"


def test_what_a_recipe_may_not_say(recipe):
    with pytest.raises(CooperError, match=r"trl names 'loss_kind'"):
        arguments(replace(recipe, trl={"loss_kind": "grpo"}), 1)
    with pytest.raises(CooperError, match=r"trl\.temperature follows from sampling\.temperature"):
        replace(recipe, trl={"temperature": 0.5})
    with pytest.raises(CooperError, match="do not divide into 3 processes"):
        recipe.accumulation(3)
    with pytest.raises(CooperError, match=r"must be a multiple of trl\.num_iterations, 2"):
        replace(recipe, trl={"num_iterations": 2})
    with pytest.raises(CooperError, match="available with lora only"):
        replace(recipe, trl={"beta": 0.1})
    with pytest.raises(CooperError, match="group is 1"):
        replace(recipe, group=1)
    with pytest.raises(CooperError, match="TRL refuses these settings"):
        arguments(replace(recipe, trl={"auto_find_batch_size": True}), 1)


def test_what_is_relied_on_in_trl():
    """The four doors that are overridden, as TRL 1.16 has them; another version may move them."""
    doors = {
        "_generate_and_score_completions": "self inputs",
        "_calculate_rewards": "self inputs prompts completions completion_ids_list",
        "_compute_loss": "self model inputs",
        "_get_per_token_logps_and_entropies": "self model input_ids attention_mask logits_to_keep batch_size compute_entropy "
        "compute_aux_loss",
    }
    for name, parameters in doors.items():
        assert " ".join(inspect.signature(getattr(GRPOTrainer, name)).parameters).startswith(parameters)
    assert " ".join(inspect.signature(GRPOTrainer._log_metric).parameters) == "self name value"
    assert "rollout_func" in inspect.signature(GRPOTrainer.__init__).parameters
    text = inspect.getsource(GRPOTrainer._generate)
    assert 'required_keys = {"prompt_ids", "completion_ids", "logprobs"}' in text and '"env_mask"' in text
    assert len(inspect.getsource(inspect.getmodule(InterleavedGRPOTrainer)).splitlines()) < 150  # pyright: ignore
