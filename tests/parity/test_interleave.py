"""Golden group 09: the whole interleaved loop with scripted turns, and one masked pass over each rollout."""

import json
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image
from safetensors.torch import load_file

from cooper.model.config import DrawingDefaults
from cooper.model.cooper import CooperModel
from cooper.perception.modality import build_modalities
from cooper.reasoning.engine import Engine
from cooper.reasoning.events import TraceDone
from cooper.reasoning.options import Options, Request
from cooper.reasoning.session import Parts
from cooper.sequence.layout import Layout
from cooper.sequence.packing import Row, pack
from cooper.sequence.processor import Processor
from cooper.trace.prompts import Prompts
from cooper.trace.steps import Question, TextStep
from cooper.trace.trace import Trace
from tests.parity.golden import text_of

EXACT = 1e-4


class Replay:
    """The random numbers of a golden run."""

    def __init__(self, noises: list[torch.Tensor]) -> None:
        self.noises = list(noises)

    def uniform(self) -> float:
        return 0.5

    def normal(self, tokens: int, width: int) -> torch.Tensor:
        noise = self.noises.pop(0)
        assert noise.shape == (tokens, width)
        return noise


class Scenario:
    """One golden run: its files, its inputs, and an engine set up as it was."""

    def __init__(self, golden_dir: Path, name: str, model: CooperModel, processor: Processor) -> None:
        self.record = json.loads((golden_dir / f"09_interleave_{name}.json").read_text())
        self.tensors = load_file(golden_dir / f"09_interleave_{name}.safetensors")
        self.model, self.processor = model, processor
        outputs, params = self.record["output_list"], self.record["params"]
        texts = [text_of(entry, processor) for entry in outputs if entry["type"] == "text"]
        self.turns = [text_of(event, processor) for event in self.record["events"] if event["op"] == "gen_text"]
        fixed = [text for text in texts if text not in self.turns]
        question = text_of(self.record["inputs"][1], processor)
        reflection = next((text for text in fixed[1:] if text != question), "")
        self.prompts = Prompts(
            system={"interleaved": fixed[0], "perception": "", "text": "", "direct": ""},
            reflection=reflection,
            requests={
                "depth": "<depth-estimation>x</depth-estimation>",
                "segmentation": "<segmentation>x</segmentation>",
            },
        )
        image = Image.open(golden_dir / "images" / f"{self.record['inputs'][0]}.png")
        self.question = Question((image, question))
        low, high = params["cfg_interval"]
        self.options = Options(
            drawing=DrawingDefaults(
                params["num_timesteps"],
                params["timestep_shift"],
                params["cfg_text_scale"],
                params["cfg_img_scale"],
                (low, high),
                params["cfg_renorm_type"],
                params["cfg_renorm_min"],
            ),
            max_turns=params["max_inter_num"],
        )
        golden_pixels = load_file(golden_dir / "02_preprocess.safetensors")[f"{self.record['inputs'][0]}.vae_pixels"]
        with torch.no_grad():
            moments = model.vae.encode(golden_pixels[None])
            self.latent = model.vae.scaled(moments.sample(self.tensors["vae_eps"]))[0]
        self.layout = Layout(processor, model.config.view_rules, lambda _image: self.latent)
        self.engine = Engine(Parts(model, self.layout, self.prompts, build_modalities(model.config.modalities)))

    @property
    def target_ids(self) -> list[tuple[int, ...]]:
        return [tuple(self.tensors[f"turn{turn}.target_ids"].tolist()) for turn in range(len(self.turns))]

    def run(self, scripts: list[tuple[tuple[int, ...], ...]]) -> list[Trace]:
        noises = [self.tensors[key] for key in sorted(self.tensors) if key.endswith("init_noise")]
        requests = [Request(0, Replay(noises), script=script) for script in scripts]
        done = [e for e in self.engine.run([self.question], requests, self.options) if isinstance(e, TraceDone)]
        return [event.trace for event in sorted(done, key=lambda event: event.row)]

    @torch.no_grad()
    def uncut_scores(self, trace: Trace) -> list[torch.Tensor]:
        """Log-probabilities over all embedding rows of every turn, by one masked pass over the whole trace."""
        packed = pack([Row(tuple(self.layout.trace(trace, loss=True)))], self.processor.geometry)
        logits = self.model.text_logits(self.model(packed)[packed.targets.index_S])
        scores = logits.log_softmax(-1).gather(1, packed.targets.ids_S[:, None])[:, 0]
        return list(scores.split([len(turn.token_ids) for turn in trace.turns]))

    @torch.no_grad()
    def cut_scores(self, trace: Trace) -> torch.Tensor:
        packed = pack([Row(tuple(self.layout.trace(trace, loss=True)))], self.processor.geometry)
        logits = self.model.text_logits(self.model(packed)[packed.targets.index_S])[:, : self.processor.vocabulary]
        return logits.log_softmax(-1).gather(1, packed.targets.ids_S[:, None])[:, 0]


@pytest.mark.parametrize("name", ["depth", "depth_seg"])
def test_rollout_with_maps(golden_dir, model, processor, name):
    scenario = Scenario(golden_dir, name, model, processor)
    trace = scenario.run([tuple(scenario.target_ids)])[0]
    for index, step in enumerate(trace.maps):
        golden = scenario.tensors[f"image{index}.latent"]
        torch.testing.assert_close(torch.from_numpy(step.latents), golden, atol=EXACT, rtol=0)
        if step.modality == "depth":
            drawn = torch.from_numpy(step.drawn.mean(-1))
            torch.testing.assert_close(drawn, scenario.tensors[f"image{index}.depth_map"], atol=EXACT, rtol=0)
        else:
            levels = np.asarray(step.image).astype(int) - scenario.tensors[f"image{index}.image_uint8"].numpy().astype(int)
            assert np.abs(levels).max() <= 1
    assert len(trace.maps) == len([key for key in scenario.tensors if key.endswith("init_noise")])
    for turn, (scores, ids) in enumerate(zip(scenario.uncut_scores(trace), scenario.target_ids, strict=True)):
        assert trace.turns[turn].token_ids == ids
        torch.testing.assert_close(scores, scenario.tensors[f"turn{turn}.logprobs"], atol=EXACT, rtol=0)
    sampled = torch.tensor([p for turn in trace.turns for p in turn.logprobs])
    torch.testing.assert_close(scenario.cut_scores(trace), sampled, atol=1e-5, rtol=0)


def test_rendering_of_the_maps(golden_dir, model, processor):
    scenario = Scenario(golden_dir, "depth_seg", model, processor)
    trace = scenario.run([tuple(scenario.target_ids)])[0]
    files = [entry["file"] for entry in scenario.record["output_list"] if entry["type"] == "image"][1:]
    for step, file in zip(trace.maps, files, strict=True):
        golden = np.asarray(Image.open(golden_dir / file).convert("RGB")).astype(int)
        ours = np.asarray(step.image).astype(int)
        assert ours.shape == golden.shape
        assert (np.abs(ours - golden).max(-1) > 1).mean() < 5e-3  # a colour index may flip by one


def test_turns_without_a_tag(golden_dir, model, processor):
    """The published loop forgets a turn without a tag, so each of its turns is the first one of a row of ours."""
    scenario = Scenario(golden_dir, "no_tag", model, processor)
    scenario.options = replace(scenario.options, max_turns=1)
    traces = scenario.run([(ids,) for ids in scenario.target_ids])
    for turn, trace in enumerate(traces):
        first = scenario.uncut_scores(trace)[0]
        torch.testing.assert_close(first, scenario.tensors[f"turn{turn}.logprobs"], atol=EXACT, rtol=0)


def test_a_turn_without_a_tag_stays_in_the_context(golden_dir, model, processor):
    scenario = Scenario(golden_dir, "no_tag", model, processor)
    trace = scenario.run([tuple(scenario.target_ids)])[0]
    assert [step.text for step in trace.steps if isinstance(step, TextStep)] == scenario.turns
    assert not trace.maps  # the request came with the last allowed turn
    repeated = torch.tensor(trace.turns[1].logprobs) - scenario.tensors["turn1.logprobs"]
    assert repeated.abs().max() > 0.01  # the second turn was drawn knowing the first
