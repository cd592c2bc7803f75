"""Make the bundled model of a finished run: `python -m cooper.training.start.bundling RUN/model src/cooper/assets/nano`.

Words and drawing may have been trained apart, each with the other expert frozen: a third argument names the checkpoint whose
drawing expert is taken.
"""

import sys
from pathlib import Path

import torch

from cooper.errors import CooperError
from cooper.model.cooper import CooperModel
from cooper.training.bundles import Bundle, load_bundle, save_bundle

LIMIT_MB = 24
DRAWING = ("gen", "latent_in", "latent_out", "time_embedder")  # parts of the names of what only drawing trains


def bundle(model: Path, out: Path, drawing: Path | None = None) -> int:
    """Write the network in bfloat16 and its autoencoder in float32; returns the bytes written. `drawing`: a checkpoint of the
    same shape, whose drawing expert is taken.

    Raises CooperError if the files exceed the limit of the package, or the checkpoints do not fit.
    """
    loaded = load_bundle(model)
    network = loaded.model
    if drawing is not None:
        take_drawing(network, load_bundle(drawing).model)
    for name, tensor in [*network.named_parameters(), *network.named_buffers()]:
        if not name.startswith("vae."):
            tensor.data = tensor.data.to(torch.bfloat16)
    save_bundle(Bundle(network, loaded.processor, loaded.prompts), out)
    written = sum(path.stat().st_size for path in out.iterdir())
    if written > LIMIT_MB * 1e6:
        raise CooperError(f"{out} has {written / 1e6:.1f} MB; the bundled model may have {LIMIT_MB}")
    return written


def take_drawing(network: CooperModel, other: CooperModel) -> None:
    """Put the drawing expert of `other` into the network. CooperError: they differ in shape."""
    theirs = {name: weight for name, weight in other.named_parameters() if set(name.split(".")) & set(DRAWING)}
    ours = dict(network.named_parameters())
    for name, weight in theirs.items():
        if name not in ours or ours[name].shape != weight.shape:
            raise CooperError(f"the two checkpoints differ in shape: {name}")
        ours[name].data = weight.data.clone()


def main() -> None:
    if len(sys.argv) not in (3, 4):
        sys.exit("usage: python -m cooper.training.start.bundling MODEL OUT [DRAWING]")
    try:
        print(f"{bundle(*map(Path, sys.argv[1:])) / 1e6:.1f} MB")
    except CooperError as error:
        sys.exit(f"cooper: {error}")


if __name__ == "__main__":
    main()
