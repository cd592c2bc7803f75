"""What a picture tower alone says of pictures, for probes of what it has learnt.

N: pictures. R, C: rows and columns of its grid. D: width of a feature.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import torch
from jaxtyping import Float32
from PIL import Image

from cooper.errors import CooperError
from cooper.model.config import Transforms, VitGeometry
from cooper.model.vit import Vit
from cooper.sequence.images import ImageTransform, vit_pixels_CHW
from cooper.sequence.packing import grid_positions
from cooper.sequence.segments import pixel_patches


@dataclass(frozen=True, eq=False)
class Tower:
    """A picture tower and the transforms that make its pictures."""

    vit: Vit
    geometry: VitGeometry
    transforms: Transforms

    @torch.no_grad()
    def features(self, images: Sequence[Image.Image]) -> Float32[np.ndarray, "N R C D"]:
        """Of pictures of one size, in float32. CooperError: their sizes differ."""
        sizes = {image.size for image in images}
        if len(sizes) != 1:
            raise CooperError(f"a probe of a picture tower needs pictures of one size, not of {len(sizes)}")
        vae, vit, patch = ImageTransform(*self.transforms.vae), ImageTransform(*self.transforms.vit), self.geometry.patch_size
        pixels = [vit_pixels_CHW(image, vae, vit, self.transforms.vit_after_vae) for image in images]
        rows, columns = (side // patch for side in pixels[0].shape[1:])
        places = grid_positions(rows, columns, self.geometry.position_side).repeat(len(images))
        device = next(self.vit.parameters()).device
        patches = torch.cat([pixel_patches(each, patch) for each in pixels]).to(device)
        found = self.vit.eval()(patches, places.to(device), (rows * columns,) * len(images))
        return found.float().cpu().numpy().reshape(len(images), rows, columns, -1)
