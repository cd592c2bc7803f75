"""Make the bundled model of a finished run: `python -m cooper.training.start.bundling RUN/model src/cooper/assets/nano`."""

import sys
from pathlib import Path

import torch

from cooper.errors import CooperError
from cooper.training.bundles import Bundle, load_bundle, save_bundle

LIMIT_MB = 24


def bundle(model: Path, out: Path) -> int:
    """Write the network in bfloat16 and its autoencoder in float32; returns the bytes written.

    Raises CooperError if the files exceed the limit of the package.
    """
    loaded = load_bundle(model)
    network = loaded.model
    for name, tensor in [*network.named_parameters(), *network.named_buffers()]:
        if not name.startswith("vae."):
            tensor.data = tensor.data.to(torch.bfloat16)
    save_bundle(Bundle(network, loaded.processor, loaded.prompts), out)
    written = sum(path.stat().st_size for path in out.iterdir())
    if written > LIMIT_MB * 1e6:
        raise CooperError(f"{out} has {written / 1e6:.1f} MB; the bundled model may have {LIMIT_MB}")
    return written


def main() -> None:
    if len(sys.argv) != 3:
        sys.exit("usage: python -m cooper.training.start.bundling MODEL OUT")
    try:
        print(f"{bundle(*map(Path, sys.argv[1:])) / 1e6:.1f} MB")
    except CooperError as error:
        sys.exit(f"cooper: {error}")


if __name__ == "__main__":
    main()
