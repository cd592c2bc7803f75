"""A probe: how much can be learnt from frozen features with few labels, when the place of what is asked is told.

Each question names an object, or its colour alone, and its cell; the probe attends to all cells and tells how far the object
is, or its shape. N: scenes. P: cells. K: questions of a scene. W: width of a feature.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn.functional import cross_entropy, smooth_l1_loss

from cooper.scenes.room.catalogue import COLOURS, SHAPES

WIDTH, HEADS, LAYERS, DROPOUT = 96, 4, 3, 0.1
BATCH, RATE, DECAY, EXAM = 32, 1.5e-3, 0.05, 50  # scenes of a step; steps between two looks at the held-out labels
UNSAID = len(SHAPES)  # in place of a shape that the question does not name


@dataclass(frozen=True)
class Label:
    """One object: its scene, by number, its cell, its name, and how far it is. `alone`: no other has its colour."""

    scene: int
    cell: int
    colour: int
    shape: int
    log_m: float
    alone: bool


@dataclass(frozen=True)
class Said:
    """What the probe says of an object: metres when it is named, its shape when its colour is."""

    log_m: float
    shape: int


class Probe(nn.Module):
    """Attention over cells and questions; a question sees the cells and itself."""

    def __init__(self, cells: int, width: int) -> None:
        super().__init__()
        self.norm, self.cell_in = nn.LayerNorm(width), nn.Linear(width, WIDTH)
        self.place = nn.Parameter(torch.randn(cells, WIDTH) * 0.3)
        self.colour, self.shape = nn.Embedding(len(COLOURS), WIDTH), nn.Embedding(len(SHAPES) + 1, WIDTH)
        self.layers = nn.ModuleList(
            nn.TransformerEncoderLayer(WIDTH, HEADS, 3 * WIDTH, DROPOUT, "gelu", batch_first=True, norm_first=True)
            for _ in range(LAYERS)
        )
        self.out, self.head = nn.LayerNorm(WIDTH), nn.Linear(WIDTH, 1 + len(SHAPES))
        nn.init.constant_(self.head.bias[:1], 1.0)  # e metres: the middle of a room

    def forward(self, features_NPW: Tensor, cell_NK: Tensor, colour_NK: Tensor, shape_NK: Tensor) -> Tensor:
        seen = self.cell_in(self.norm(features_NPW)) + self.place
        asked = self.place[cell_NK] + self.colour(colour_NK) + self.shape(shape_NK)
        cells, questions = seen.shape[1], asked.shape[1]
        hidden = torch.ones(cells + questions, cells + questions, dtype=torch.bool)
        hidden[:, :cells] = False
        hidden &= ~torch.eye(cells + questions, dtype=torch.bool)
        state = torch.cat([seen, asked], dim=1)
        for layer in self.layers:
            state = layer(state, src_mask=hidden)
        return self.head(self.out(state[:, cells:]))


@dataclass(frozen=True)
class _Asked:
    """Questions of some scenes, [N, K] each; `far` and `named`: which of them ask how far, and which for the shape."""

    scene_N: Tensor
    cell: Tensor
    colour: Tensor
    shape: Tensor
    log_m: Tensor
    truth: Tensor
    far: Tensor
    named: Tensor


def _asked(labels: Sequence[Label]) -> _Asked:
    by_scene: dict[int, list[Label]] = {}
    for label in labels:
        by_scene.setdefault(label.scene, []).append(label)
    lines: list[list[tuple[Any, ...]]] = []
    for own in by_scene.values():
        line = [(each.cell, each.colour, each.shape, each.log_m, each.shape, 1, 0) for each in own]
        lines.append(line + [(each.cell, each.colour, UNSAID, each.log_m, each.shape, 0, 1) for each in own if each.alone])
    longest = max(map(len, lines))
    table = torch.tensor([line + [(0, 0, 0, 0.0, 0, 0, 0)] * (longest - len(line)) for line in lines], dtype=torch.float64)
    cell, colour, shape, log_m, truth, far, named = table.unbind(-1)
    return _Asked(
        scene_N=torch.tensor(list(by_scene)),
        cell=cell.long(),
        colour=colour.long(),
        shape=shape.long(),
        log_m=log_m.float(),
        truth=truth.long(),
        far=far.float(),
        named=named.float(),
    )


def _loss(probe: Probe, features_NPW: Tensor, asked: _Asked) -> Tensor:
    out = probe(features_NPW[asked.scene_N], asked.cell, asked.colour, asked.shape)
    far = smooth_l1_loss(out[..., 0], asked.log_m, reduction="none", beta=0.1)
    named = cross_entropy(out[..., 1:].flatten(0, 1), asked.truth.flatten(), reduction="none").view_as(far)
    return 4 * (far * asked.far).sum() / asked.far.sum().clamp(min=1) + (
        (named * asked.named).sum() / asked.named.sum().clamp(min=1)
    )


def taught(features_NPW: Tensor, labels: Sequence[Label], held_out: Sequence[Label], seed: int, steps: int) -> Probe:
    """A probe that has learnt these labels, as it was where it did best on those held out."""
    torch.manual_seed(seed)
    rng = np.random.default_rng(seed)
    probe = Probe(*features_NPW.shape[1:])
    optimiser = torch.optim.AdamW(probe.parameters(), lr=RATE, weight_decay=DECAY)
    exam, scenes = _asked(held_out), sorted({label.scene for label in labels})
    best, kept = float("inf"), probe.state_dict()
    for step in range(1, steps + 1):
        rate = RATE * min(1.0, step / 40) * (0.51 + 0.49 * float(np.cos(np.pi * step / steps)))
        optimiser.param_groups[0]["lr"] = rate
        chosen = set(rng.choice(scenes, min(BATCH, len(scenes)), replace=False).tolist())
        loss = _loss(probe.train(), features_NPW, _asked([label for label in labels if label.scene in chosen]))
        optimiser.zero_grad()
        loss.backward()
        nn.utils.clip_grad_norm_(probe.parameters(), 1.0)
        optimiser.step()
        if step % EXAM == 0 or step == steps:
            with torch.no_grad():
                found = float(_loss(probe.eval(), features_NPW, exam))
            if found < best:
                best, kept = found, {name: weight.clone() for name, weight in probe.state_dict().items()}
    probe.load_state_dict(kept)
    return probe.eval()


@torch.no_grad()
def said_by(probe: Probe, features_NPW: Tensor, labels: Sequence[Label]) -> list[Said]:
    """What the probe says of each object, in their order."""
    found = []
    for label in labels:
        cell, colour = torch.tensor([[label.cell] * 2]), torch.tensor([[label.colour] * 2])
        out = probe(features_NPW[label.scene][None], cell, colour, torch.tensor([[label.shape, UNSAID]]))[0]
        found.append(Said(float(out[0, 0]), int(out[1, 1:].argmax())))
    return found
