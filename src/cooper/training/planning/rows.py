"""Rows of the sizes that a stage trains on, without any data: what a plan packs.

z: latent channels. h, w: latent cells. N: latent tokens. D: numbers of a latent token.
"""

from dataclasses import dataclass

import torch

from cooper.model.config import CooperConfig
from cooper.sequence.images import ImageTransform
from cooper.sequence.layout import View
from cooper.sequence.packing import Geometry, Row
from cooper.sequence.segments import LatentSegment, NoisedSegment, Segment, TextSegment, VitSegment
from cooper.training.stages.rows import guidance_copies

REQUEST = 24  # tokens of the request for a map


@dataclass(frozen=True, kw_only=True)
class RowSizes:
    """What rows hold: pictures of `width` x `height` px; `text` tokens of question, reasoning and answer, of which `learnt`
    carry a loss; `maps` drawn in a trace."""

    width: int
    height: int
    text: int = 800
    learnt: int = 600
    maps: int = 1


@dataclass(frozen=True, eq=False)
class SizedRows:
    """Rows for a network."""

    config: CooperConfig
    sizes: RowSizes

    @property
    def geometry(self) -> Geometry:
        """Of the packer; the marks are any four tokens."""
        config = self.config
        tables = (config.latent_patch_size, config.latent_side, config.latent_token_width)
        return Geometry(0, 1, 2, 3, *tables, config.vit_geometry.patch_size, config.vit_side)

    def of_maps(self, targets: int, guided: bool = False) -> Row:
        """A row of stage 1: the picture, then requests with noised targets as branches, `guided` with the copies that the
        guidance of a teacher needs."""
        segments: list[Segment] = [self._view("vae"), self._view("vit")]
        parents = [-1, 0]
        for _ in range(targets):
            segments += [TextSegment((0,) * REQUEST), self._noised()]
            parents += [1, len(segments) - 2]
            if guided:
                parents += [1, -1, len(segments) + 1]
                segments += guidance_copies(self._noised(), segments[-2])
        return Row(tuple(segments), tuple(parents))

    def of_trace(self, copies: int = 1, drawn: int = 0) -> Row:
        """A row of stage 2 or 3: picture and question, then `copies` of reasoning with maps, as branches. `drawn` maps of each
        are flow targets, too."""
        sizes, rules = self.sizes, self.config.view_rules
        segments: list[Segment] = [self._view(view) for view in rules.input]
        segments.append(TextSegment((0,) * max(1, sizes.text - sizes.learnt)))
        parents = list(range(-1, len(segments) - 1))
        question = len(segments) - 1
        turns = sizes.maps + 1
        for _ in range(copies):
            parent = question
            for turn in range(turns):
                segments.append(TextSegment((0,) * max(1, sizes.learnt // turns), loss=True))
                parents.append(parent)
                parent = len(segments) - 1
                if turn < sizes.maps:
                    if turn < drawn:
                        segments.append(self._noised())
                        parents.append(parent)
                    for view in rules.map:
                        segments.append(self._view(view))
                        parents.append(parent)
                        parent = len(segments) - 1
        return Row(tuple(segments), tuple(parents))

    def _view(self, view: View) -> Segment:
        if view == "vae":
            return LatentSegment(torch.zeros(self.config.vae_geometry.latent_channels, *self._latent))
        transforms = self.config.picture_transforms
        source = self._canvas if transforms.vit_after_vae else (self.sizes.width, self.sizes.height)
        width, height = ImageTransform(*transforms.vit).size(*source)
        return VitSegment(torch.zeros(3, height, width))

    def _noised(self) -> NoisedSegment:
        patch, width = self.config.latent_patch_size, self.config.latent_token_width
        rows, columns = (side // patch for side in self._latent)
        numbers_ND = torch.zeros(rows * columns, width)
        return NoisedSegment(numbers_ND, 0.5, (rows, columns), numbers_ND)

    @property
    def _canvas(self) -> tuple[int, int]:
        """Width and height of the picture that the autoencoder sees."""
        return ImageTransform(*self.config.picture_transforms.vae).size(self.sizes.width, self.sizes.height)

    @property
    def _latent(self) -> tuple[int, int]:
        """h and w."""
        shrink = 2 ** (len(self.config.vae_geometry.channel_multipliers) - 1)
        width, height = self._canvas
        return height // shrink, width // shrink
