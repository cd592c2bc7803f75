"""Golden groups 05 to 07: caches, logits, greedy text, velocities and trajectories of the published network."""

import json
from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file

from cooper.model.config import DrawingDefaults
from cooper.model.cooper import CooperModel
from cooper.model.flow import Branches, branches, guided, schedule
from cooper.reasoning.context import EMPTY, Context, Seeded, begin, bind, extend
from cooper.reasoning.decoding import Decoding, Sampling, Writer, Written
from cooper.reasoning.denoising import Denoising, Drawer, DrawnLatents
from cooper.sequence.packing import Row, pack, pack_tokens
from cooper.sequence.processor import Processor
from cooper.sequence.segments import LatentSegment, NoisedSegment, Segment, TextSegment, VitSegment, tokens_latent
from tests.parity.golden import ids_of

TOLERANCE = 1e-4


@pytest.fixture(scope="module")
def prefill(golden_dir: Path) -> dict:
    return json.loads((golden_dir / "05_prefill.json").read_text())


@pytest.fixture(scope="module")
def chain(golden_dir: Path, prefill: dict, model: CooperModel, processor: Processor) -> list[Segment]:
    """The segments of the golden context, with the posterior noise that the published encoder drew."""
    pixels, noise = load_file(golden_dir / "02_preprocess.safetensors"), load_file(golden_dir / "05_prefill.safetensors")
    segments: list[Segment] = []
    for entry in prefill["segments"]:
        if entry["kind"] == "text":
            segments.append(TextSegment(ids_of(entry, processor, "content")))
        elif entry["kind"] == "vit_image":
            segments.append(VitSegment(pixels[f"{entry['content']}.vit_pixels"]))
        else:
            with torch.no_grad():
                moments = model.vae.encode(pixels[f"{entry['content']}.vae_pixels"][None])
                segments.append(LatentSegment(model.vae.scaled(moments.sample(noise["vae_eps"]))[0]))
    return segments


def contexts_of(model: CooperModel, processor: Processor, chain: list[Segment]) -> dict[str, Context]:
    geometry = processor.geometry
    main = begin(model, geometry, [chain])[0]
    text = extend(model, geometry, [EMPTY], [chain[:-1]])[0]
    words = [segment for segment in chain if isinstance(segment, TextSegment)]
    image = extend(model, geometry, [EMPTY], [words])[0]
    return {"main": main, "cfg_text": text, "cfg_img": image}


@pytest.fixture(scope="module")
def contexts(model: CooperModel, processor: Processor, chain: list[Segment]) -> dict[str, Context]:
    return contexts_of(model, processor, chain)


@pytest.mark.parametrize("name", ["main", "cfg_text", "cfg_img"])
def test_caches_and_next_token_logits(golden_dir, prefill, model, processor, contexts, name):
    golden, context = load_file(golden_dir / "05_prefill.safetensors"), contexts[name]
    assert context.kv_length == prefill[name]["kv_len"]
    assert context.rope == prefill[name]["rope"]
    for layer in range(model.config.num_hidden_layers):
        if context.beginnings is not None:
            keys, values = context.beginnings.keys[layer][context.group], context.beginnings.values[layer][context.group]
        else:
            keys, values = context.tail.keys[layer], context.tail.values[layer]
        torch.testing.assert_close(keys.transpose(0, 1), golden[f"{name}.k{layer}"], atol=TOLERANCE, rtol=0)
        torch.testing.assert_close(values.transpose(0, 1), golden[f"{name}.v{layer}"], atol=TOLERANCE, rtol=0)
    logits = next_logits(model, processor, context)
    torch.testing.assert_close(logits, golden[f"{name}.next_token_logits"], atol=TOLERANCE, rtol=0)


@torch.no_grad()
def next_logits(model: CooperModel, processor: Processor, context: Context) -> torch.Tensor:
    one = torch.ones(1, dtype=torch.long)
    geometry = processor.geometry
    packed = pack_tokens(one * geometry.bos, one * context.rope, geometry)
    return model.text_logits(model(packed, bind(model, [context])))[0]


def write(model, processor, context, sampling, forced=()) -> Written:
    decoding = Decoding(model, processor.geometry, processor.vocabulary)
    decoding.join({0: Writer(context, Seeded(0), sampling, forced)})
    while True:
        for event in decoding.step():
            if isinstance(event, Written):
                return event


def test_greedy_text(golden_dir, model, processor, contexts):
    golden = json.loads((golden_dir / "06_generate_text.json").read_text())
    steps = len(golden["tokens"]) - 1  # the published limit counts the fed start token and drops the last choice
    written = write(model, processor, contexts["main"], Sampling(max_tokens=steps))
    assert [processor.geometry.bos, *written.token_ids] == golden["tokens"]
    assert written.truncated


def test_logits_of_every_step(golden_dir, model, processor, chain):
    golden = load_file(golden_dir / "06_generate_text.safetensors")
    ids = golden["tokens"].tolist()
    packed = pack([Row((*chain, TextSegment(tuple(ids[1:]), closed=False)))], processor.geometry)
    with torch.no_grad():
        logits = model.text_logits(model(packed)[packed.text.index_T[-len(ids) :]])
    torch.testing.assert_close(logits, golden["logits"], atol=TOLERANCE, rtol=0)


def test_scores_of_a_given_text(golden_dir, model, processor, contexts):
    golden = load_file(golden_dir / "06_generate_text.safetensors")
    written = write(model, processor, contexts["main"], Sampling(), forced=tuple(golden["score_target_ids"].tolist()))
    wide = torch.tensor(written.logprobs)
    # the golden scores normalise over all rows of the embedding, ours over the tokenizer's vocabulary
    packed_scores = full_vocabulary_scores(model, processor, contexts["main"], golden["score_target_ids"])
    torch.testing.assert_close(packed_scores, golden["score_logprobs"], atol=TOLERANCE, rtol=0)
    assert (wide >= packed_scores - TOLERANCE).all()
    assert not written.truncated


@torch.no_grad()
def full_vocabulary_scores(model, processor, context, targets) -> torch.Tensor:
    cache = bind(model, [context])
    packed = pack([Row((TextSegment(tuple(targets[:-1].tolist())),), start=context.rope)], processor.geometry)
    scores = model.text_logits(model(packed, cache)).log_softmax(-1)
    return scores[:-1].gather(1, targets[:, None])[:, 0]


def drawer(contexts: dict[str, Context], noise: torch.Tensor, grid: tuple[int, int], settings: DrawingDefaults) -> Drawer:
    return Drawer(contexts["main"], grid, noise, contexts["cfg_text"], contexts["cfg_img"], settings=settings)


@pytest.fixture(scope="module")
def flow(golden_dir: Path) -> dict:
    return json.loads((golden_dir / "07_flow.json").read_text())


def grid_of(flow: dict, model: CooperModel) -> tuple[int, int]:
    cell = model.config.vae_geometry.downsampling * model.config.latent_patch_size
    return flow["image_hw"][0] // cell, flow["image_hw"][1] // cell


@torch.no_grad()
def velocity(model, processor, context, x_t, t, grid) -> torch.Tensor:
    packed = pack([Row((NoisedSegment(x_t, t, grid),), start=context.rope)], processor.geometry)
    return model.velocity(model(packed, bind(model, [context]))[packed.und :])


def test_velocities_of_each_branch(golden_dir, flow, model, processor, contexts):
    golden, grid = load_file(golden_dir / "07_flow.safetensors"), grid_of(flow, model)
    for name, context in (("v.cond", "main"), ("v.uncond_text", "cfg_text"), ("v.uncond_img", "cfg_img")):
        v = velocity(model, processor, contexts[context], golden["x_t"], flow["t"], grid)
        torch.testing.assert_close(v, golden[name], atol=TOLERANCE, rtol=0)
    for t in (0.0, 1.0):
        v = velocity(model, processor, contexts["main"], golden["x_t"], t, grid)
        torch.testing.assert_close(v, golden[f"v.cond_t{t:.0f}"], atol=TOLERANCE, rtol=0)


def test_guided_velocities(golden_dir):
    golden = load_file(golden_dir / "07_flow.safetensors")
    v, text, image = (golden[f"v.{name}"][None] for name in ("cond", "uncond_text", "uncond_img"))
    found = [name for name in golden if name.startswith(("v.text4.", "v.text4_img2."))]
    assert found
    for name in found:
        parts = name.removeprefix("v.").split(".", 2)
        floor = float(parts[2].removeprefix("min")) if len(parts) > 2 else 0.0
        both = parts[0] == "text4_img2"
        settings = DrawingDefaults(text_scale=4, image_scale=2 if both else 1, renorm=parts[1], renorm_min=floor)
        ours = guided(v, text, image if both else None, settings)[0]
        torch.testing.assert_close(ours, golden[name], atol=TOLERANCE, rtol=0)
    # without a text scale the picture scale alone does nothing, as published
    assert branches(DrawingDefaults(text_scale=1, image_scale=2), 0.7) == Branches(False, False)
    torch.testing.assert_close(golden["v.img2_only"], golden["v.cond"], atol=0, rtol=0)


def test_trajectories(golden_dir, flow, model, processor, contexts):
    golden, grid = load_file(golden_dir / "07_flow.safetensors"), grid_of(flow, model)
    for name, run in flow["runs"].items():
        settings = DrawingDefaults(
            run["num_timesteps"],
            run["timestep_shift"],
            run["cfg_text_scale"],
            run["cfg_img_scale"],
            tuple(run["cfg_interval"]),
            run["cfg_renorm_type"],
            run["cfg_renorm_min"],
        )
        times = schedule(settings.num_timesteps, settings.timestep_shift)
        torch.testing.assert_close(times[: len(run["t"])], torch.tensor(run["t"])[: len(times)], atol=1e-6, rtol=0)
        denoising = Denoising(model, processor.geometry)
        denoising.join({0: drawer(contexts, golden["init_noise"], grid, settings)})
        drawn = [event for _ in times[1:] for event in denoising.step() if isinstance(event, DrawnLatents)]
        torch.testing.assert_close(drawn[0].latents_ND, golden[f"traj.{name}"][-1], atol=TOLERANCE, rtol=0)


def test_decoded_picture(golden_dir, flow, model):
    golden, grid = load_file(golden_dir / "07_flow.safetensors"), grid_of(flow, model)
    latent = tokens_latent(golden["traj.cfg4_2_text_channel"][-1], grid, model.config.latent_patch_size)
    with torch.no_grad():
        picture = model.vae.decode(latent[None])[0]
    torch.testing.assert_close(picture.mean(0), golden["decode.depth_map"], atol=TOLERANCE, rtol=0)
    levels = (picture.permute(1, 2, 0) * 255).to(torch.uint8).int() - golden["decode.image_uint8"].int()
    assert levels.abs().max() <= 1
    assert (levels != 0).float().mean() < 1e-3


def test_time_embedding(golden_dir, model):
    golden = load_file(golden_dir / "07_flow.safetensors")
    with torch.no_grad():
        torch.testing.assert_close(
            model.time_embedder(golden["time_embed.t"]), golden["time_embed.out"], atol=TOLERANCE, rtol=0
        )
