"""Whether a picture looks like those that a model was trained on, measured by its own autoencoder.

An autoencoder gives back what it knows and loses the rest. nano's gives rendered rooms back at 30 dB and more, photographs at
less than 28 dB (peak signal-to-noise ratio of the picture at the size that the model reads); see `docs/experiments.md`.
"""

from collections.abc import Sequence

import torch
from PIL import Image

from cooper.model.cooper import CooperModel
from cooper.sequence.processor import Processor


@torch.no_grad()
def returned_db(model: CooperModel, processor: Processor, image: Image.Image) -> float:
    """How well the autoencoder gives a picture back: peak signal-to-noise ratio in dB."""
    pixels_1CHW = processor.vae_pixels(image)[None].to(model.device)
    back_1CHW = model.vae.reconstruct(model.vae.latents(pixels_1CHW)).float().clamp(-1, 1)
    error = (back_1CHW - pixels_1CHW).square().mean().clamp(min=1e-9)
    return float(10 * torch.log10(4 / error))  # values lie in [-1, 1], so the peak is 2


def notes_on(model: CooperModel, processor: Processor, images: Sequence[Image.Image]) -> tuple[str, ...]:
    """What should be said of pictures that are unlike those that the model was trained on; () where its configuration does
    not say what they looked like."""
    home = model.config.trained_on
    if home is None:
        return ()
    strange = [number for number, image in enumerate(images) if returned_db(model, processor, image) < home["min_psnr"]]
    if not strange:
        return ()
    which = "the picture looks" if len(images) == 1 else f"picture {', '.join(map(str, strange))} (counted from 0) looks"
    return (f"{which} unlike the {home['pictures']} that this model knows, so its answer and its maps mean little here",)
