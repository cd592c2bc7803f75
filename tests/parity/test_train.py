"""Golden group 08: the training forward and backward pass on two packed samples."""

import json
from itertools import pairwise
from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file

from cooper.model.attention import AttentionPlan
from cooper.model.checkpoints.names import network_entries
from cooper.model.cooper import CooperModel
from cooper.model.flow import shifted
from cooper.sequence.packed import PackedSequence
from cooper.sequence.packing import Row, pack
from cooper.sequence.processor import Processor
from cooper.sequence.segments import LatentSegment, Segment, TextSegment, VitSegment, noised

TOLERANCE = 1e-4


@pytest.fixture(scope="module")
def plan(golden_dir: Path) -> dict:
    return json.loads((golden_dir / "08_train.json").read_text())


@pytest.fixture(scope="module")
def golden(golden_dir: Path) -> dict[str, torch.Tensor]:
    return load_file(golden_dir / "08_train.safetensors")


@pytest.fixture(scope="module")
def packed(plan: dict, golden: dict[str, torch.Tensor], model: CooperModel, processor: Processor) -> PackedSequence:
    """The golden samples laid out by our packer, from their latents, noise and timesteps."""
    return pack([Row(tuple(row)) for row in rows_of(plan, golden, model, processor)], processor.geometry)


def rows_of(plan: dict, golden: dict, model: CooperModel, processor: Processor) -> list[list[Segment]]:
    shapes, vit_lengths = plan["patchified_vae_latent_shapes"], golden["vit_token_seqlens"].tolist()
    patch, latents, vits, seen = model.config.latent_patch_size, 0, 0, 0
    text_at, rows = 0, []
    ids = golden["packed_text_ids"].tolist()
    for sample in plan["plan"]:
        row: list[Segment] = []
        for entry in sample:
            if entry["type"] == "text":
                count = entry["n_text_ids"]
                row.append(TextSegment(tuple(ids[text_at + 1 : text_at + 1 + count]), loss=bool(entry["loss"])))
                text_at += count + 2
                continue
            text_at += 2  # the marks around a picture
            if entry["type"] == "vit_image":
                start = sum(vit_lengths[:vits])
                row.append(VitSegment(unpatched(golden, start, vit_lengths[vits], model)))
                vits += 1
                continue
            h, w = shapes[latents]
            latent = golden["padded_latent"][latents, :, : h * patch, : w * patch]
            if entry["loss"]:
                t = float(golden["shifted_timesteps"][seen])
                row.append(noised(latent, golden["flow_noise"][seen : seen + h * w], t, patch))
            else:
                row.append(LatentSegment(latent))
            latents, seen = latents + 1, seen + h * w
        rows.append(row)
    return rows


def unpatched(golden: dict, start: int, count: int, model: CooperModel) -> torch.Tensor:
    """Pixels [3, H, W] of one packed ViT picture; its height and width follow from the 2-D positions."""
    side, patch = model.config.vit_side, model.config.vit_geometry.patch_size
    position = golden["packed_vit_position_ids"][start : start + count]
    columns = int((position % side).max()) + 1
    patches = golden["packed_vit_tokens"][start : start + count].view(count // columns, columns, patch, patch, 3)
    return patches.permute(4, 0, 2, 1, 3).reshape(3, count // columns * patch, columns * patch)


def in_sequence(packed: PackedSequence) -> torch.Tensor:
    """Packed place of every token in sequence order."""
    return torch.cat([slots[:n] for slots, n in zip(packed.splits.slot_BQ, packed.splits.lengths, strict=True)])


def test_layout(golden, packed, processor):
    order = in_sequence(packed)
    torch.testing.assert_close(packed.position_L[order], golden["packed_position_ids"])
    torch.testing.assert_close(packed.text.ids_T, golden["packed_text_ids"])
    torch.testing.assert_close(packed.latents.position_N, golden["packed_latent_position_ids"])
    torch.testing.assert_close(packed.vit.position_P, golden["packed_vit_position_ids"])
    torch.testing.assert_close(packed.targets.ids_S, golden["packed_label_ids"])
    back = torch.argsort(order)  # packed place -> sequence place
    torch.testing.assert_close(back[packed.targets.index_S], golden["ce_loss_indexes"])
    torch.testing.assert_close(back[packed.und + packed.targets.velocity_index_M], golden["mse_loss_indexes"])
    for row, length in enumerate(packed.splits.lengths):
        assert torch.equal(packed.splits.mask_BQQ[row, :length, :length], golden[f"mask{row}_visible"])


def test_time_shift(golden, plan):
    ours = shifted(golden["packed_timesteps"].sigmoid(), plan["timestep_shift"])
    torch.testing.assert_close(ours, golden["shifted_timesteps"], atol=1e-6, rtol=0)


@pytest.mark.parametrize("backend", ["sdpa", "flex"])
def test_hidden_states(golden, packed, model, backend, monkeypatch):
    monkeypatch.setattr(model, "attention_backend", backend)
    with torch.no_grad():
        hidden = model(packed)
    torch.testing.assert_close(hidden[in_sequence(packed)], golden["last_hidden_state"], atol=TOLERANCE, rtol=0)


@pytest.mark.parametrize("backend", ["sdpa", "fused"])
def test_losses_and_gradients(golden, plan, packed, model, backend, monkeypatch):
    monkeypatch.setattr(model, "attention_backend", backend)
    model.zero_grad()
    losses = model.losses(packed)
    torch.testing.assert_close(losses.ce_sum / losses.ce_count, torch.tensor(plan["ce_mean"]), atol=TOLERANCE, rtol=0)
    torch.testing.assert_close(losses.mse_sum / losses.mse_count, torch.tensor(plan["mse"]), atol=TOLERANCE, rtol=0)
    (losses.ce_sum / losses.ce_count + losses.mse_sum / losses.mse_count).backward()
    parameters = dict(model.named_parameters())
    names = {entry.published: entry for entry in network_entries(model.config)}
    for name, norm in plan["grad_norms_of_total"].items():
        if names[name].ours not in parameters:
            continue  # the position tables are frozen here, as in the published training
        grad = parameters[names[name].ours].grad
        torch.testing.assert_close(grad.norm(), torch.tensor(norm), atol=TOLERANCE, rtol=0, msg=name)
    for key in [key for key in golden if key.startswith("grad.")]:
        grad = parameters[names[key.removeprefix("grad.")].ours].grad
        torch.testing.assert_close(grad, golden[key], atol=TOLERANCE, rtol=0, msg=key)
    model.zero_grad()


def test_plan_is_made_once(packed):
    plan = AttentionPlan(packed, None)
    assert plan.tiles is plan.tiles
    assert all(a < b for a, b in pairwise(packed.text.index_T.tolist()))
