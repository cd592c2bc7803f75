"""Golden group 08 from rows of JSON Lines: read by the readers of stage 2, laid out, packed, and the published loss."""

import base64
import json
import shutil
from dataclasses import dataclass, replace
from pathlib import Path

import pytest
import torch
from PIL import Image
from safetensors.torch import load_file

from cooper.data.examples import TraceGroup
from cooper.data.sources.reasoning.trace_file import RowTaker, TraceFile
from cooper.model.cooper import CooperModel
from cooper.sequence.layout import Views
from cooper.sequence.packed import PackedSequence
from cooper.sequence.packing import Row, pack
from cooper.sequence.processor import Processor
from cooper.sequence.segments import NoisedSegment, TextSegment, noised
from cooper.trace.prompts import DEFAULT
from cooper.training.stages.reasoning import TraceRows
from cooper.training.stages.rows import MapRows
from cooper.training.traces import trace_file

TOLERANCE = 1e-4
VIEWS = Views(map=("vae", "vit"))  # as the published training reads maps


@pytest.fixture(scope="module")
def plan(golden_dir: Path) -> dict:
    return json.loads((golden_dir / "08_train.json").read_text())


@pytest.fixture(scope="module")
def golden(golden_dir: Path) -> dict[str, torch.Tensor]:
    return load_file(golden_dir / "08_train.safetensors")


@pytest.fixture(scope="module")
def texts(plan: dict, golden: dict[str, torch.Tensor], processor: Processor) -> list[list[str]]:
    """The words of both samples; the golden group holds them as token ids, with two marks around each text and picture."""
    ids, at, found = golden["packed_text_ids"].tolist(), 0, []
    for sample in plan["plan"]:
        counts = [entry["n_text_ids"] or 0 for entry in sample]
        starts = [at + sum(counts[:place]) + 2 * place + 1 for place in range(len(counts))]
        found.append([processor.decode(ids[start : start + n]) for start, n in zip(starts, counts, strict=True) if n])
        at = starts[-1] + counts[-1] + 1
    return found


@dataclass
class GoldenLatents:
    """In place of the store of latents, those of the golden group in their order: there pictures were padded to one canvas
    before they were encoded, which is not done here, and the posterior was sampled."""

    golden: dict[str, torch.Tensor]
    shapes: list[list[int]]
    patch: int
    given: int = 0

    def get(self, pixels: object, name: object = None) -> torch.Tensor:
        height, width = (side * self.patch for side in self.shapes[self.given])
        self.given += 1
        return self.golden["padded_latent"][self.given - 1, :, :height, :width]


@dataclass
class GoldenNoise:
    """In place of the noise of a run, that of the golden group: no generator has to be matched."""

    golden: dict[str, torch.Tensor]
    latents: GoldenLatents
    seed: int = 0

    def of(self, latent_zhw: torch.Tensor, patch: int, row: int, target: int) -> NoisedSegment:
        counts = [height * width for height, width in self.latents.shapes]
        seen = sum(counts[: self.latents.given - 1])
        noise = self.golden["flow_noise"][seen : seen + counts[self.latents.given - 1]]
        return noised(latent_zhw, noise, float(self.golden["shifted_timesteps"][seen]), patch)


@pytest.fixture
def own_file(texts: list[list[str]], golden_dir: Path, tmp_path: Path) -> Path:
    """The two golden samples as rows of traces: each target is `drawn`, the last one with nothing behind it."""
    for name in ("img0", "img1", "img2"):
        shutil.copy(golden_dir / "images" / f"{name}.png", tmp_path)
    (request, answer), (system, question, turn, reflection, last) = texts
    both = {"map": "depth", "image": "img2.png"}
    one = {
        "system": "",
        "question": [{"image": "img0.png"}, {"text": request}],
        "steps": [{**both, "drawn": "img2.png"}, {"text": answer}],
    }
    drawn_last = {"map": "depth", "image": "img0.png", "drawn": "img0.png"}
    steps = [{"text": turn}, both, {"text": reflection, "author": "prompt"}, {"text": last}, drawn_last]
    two = {"system": system, "question": [{"image": "img1.png"}, {"text": question}], "steps": steps}
    path = tmp_path / "traces.jsonl"
    path.write_text(json.dumps(one) + "\n" + json.dumps(two) + "\n")
    return path


@pytest.fixture
def published_file(texts: list[list[str]], golden_dir: Path, tmp_path: Path) -> Path:
    """The second sample, without its target, as the published rows have it: no system text, no picture with a loss."""
    _, question, turn, reflection, last = texts[1]

    def words(text: str, loss: str) -> dict:
        return {"type": "text", "value": text, "need_loss": loss}

    def picture(name: str) -> dict:
        return {"type": "image", "value": base64.b64encode((golden_dir / "images" / name).read_bytes()).decode()}

    parts = [picture("img1.png"), words(question, "false"), words(turn, "true"), picture("img2.png")]
    path = tmp_path / "published.jsonl"
    path.write_text(json.dumps({"interleaved_reason": [*parts, words(reflection, "false"), words(last, "true")]}) + "\n")
    return path


def opened(path: Path, texts: list[list[str]], processor: Processor) -> TraceFile:
    prompts = replace(DEFAULT, system={**DEFAULT.system, "interleaved": texts[1][0]})
    return trace_file(path, RowTaker(prompts, processor.canvas, lambda row, mode: 0), 0, 9)


def rows_of(
    source: TraceFile, plan: dict, golden: dict, model: CooperModel, processor: Processor, skipped: int = 0
) -> list[Row]:
    """All rows, laid out for training. `skipped`: golden latents that belong to an earlier row."""
    latents = GoldenLatents(golden, plan["patchified_vae_latent_shapes"], model.config.latent_patch_size, skipped)
    direct = replace(processor, vit_after_vae=False)  # the published training makes both views from the file
    maps = MapRows((), {}, latents, direct, DEFAULT, GoldenNoise(golden, latents))  # pyright: ignore[reportArgumentType]
    rows = TraceRows(source, maps, VIEWS, drawn=1.0)
    return [rows.tree(number, TraceGroup((source.trace(number),))) for number in range(len(source))]


def in_sequence(packed: PackedSequence) -> torch.Tensor:
    """Packed place of every token in sequence order."""
    return torch.cat([slots[:n] for slots, n in zip(packed.splits.slot_BQ, packed.splits.lengths, strict=True)])


def off_by(packed: PackedSequence, wanted: torch.Tensor) -> float:
    """How far the resampled pictures are from the golden ones: 0 with the Pillow that made those, a little with others. The
    loss may be off by as much."""
    off = float((packed.vit.patches_PC - wanted).abs().max())
    assert off <= 9 / 255
    return off


def test_rows_of_traces_have_the_published_layout_and_loss(own_file, texts, plan, golden, model, processor):
    rows = rows_of(opened(own_file, texts, processor), plan, golden, model, processor)
    packed = pack(rows, processor.geometry)
    order = in_sequence(packed)
    assert list(packed.splits.lengths) == plan["sample_lens"]
    torch.testing.assert_close(packed.position_L[order], golden["packed_position_ids"])
    torch.testing.assert_close(packed.text.ids_T, golden["packed_text_ids"])
    torch.testing.assert_close(packed.targets.ids_S, golden["packed_label_ids"])
    back = torch.argsort(order)
    torch.testing.assert_close(back[packed.targets.index_S], golden["ce_loss_indexes"])
    torch.testing.assert_close(back[packed.und + packed.targets.velocity_index_M], golden["mse_loss_indexes"])
    for number, length in enumerate(packed.splits.lengths):
        assert torch.equal(packed.splits.mask_BQQ[number, :length, :length], golden[f"mask{number}_visible"])
    with torch.no_grad():
        losses = model.losses(packed)
    close = TOLERANCE + off_by(packed, golden["packed_vit_tokens"])
    torch.testing.assert_close(losses.ce_sum / losses.ce_count, torch.tensor(plan["ce_mean"]), atol=close, rtol=0)
    torch.testing.assert_close(losses.mse_sum / losses.mse_count, torch.tensor(plan["mse"]), atol=close, rtol=0)


def test_a_published_row_has_the_published_layout_and_loss(published_file, texts, plan, golden, model, processor):
    (row,) = rows_of(opened(published_file, texts, processor), plan, golden, model, processor, skipped=3)
    packed = pack([row], processor.geometry)
    length, before = packed.splits.lengths[0], plan["sample_lens"][0]
    after = before + length
    torch.testing.assert_close(packed.position_L[in_sequence(packed)], golden["packed_position_ids"][before:after])
    assert torch.equal(packed.splits.mask_BQQ[0], golden["mask1_visible"][:length, :length])
    learned = [processor.decode(segment.ids) for segment in row.segments if isinstance(segment, TextSegment) and segment.loss]
    assert learned == [texts[1][2], texts[1][4]]
    mine = (golden["ce_loss_indexes"] >= before) & (golden["ce_loss_indexes"] < after)
    with torch.no_grad():
        losses = model.losses(packed)
    assert losses.mse_count == 0 and losses.ce_count == int(mine.sum())
    close = TOLERANCE + off_by(packed, golden["packed_vit_tokens"][-sum(packed.vit.lengths) :])
    torch.testing.assert_close(losses.ce_sum / losses.ce_count, golden["ce"][mine].mean(), atol=close, rtol=0)


def test_the_pictures_of_the_rows_are_those_of_the_files(own_file, texts, processor, golden_dir):
    trace = opened(own_file, texts, processor).trace(1)
    (shown,) = trace.question.images
    assert shown.tobytes() == Image.open(golden_dir / "images" / "img1.png").convert("RGB").tobytes()
    assert [step.drawn.shape[:2] for step in trace.maps] == [(0, 0), processor.canvas(trace.maps[1].image).size[::-1]]
