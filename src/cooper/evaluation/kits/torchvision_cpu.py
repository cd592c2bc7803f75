"""Lets the PyPI wheel of torchvision, which is linked against CUDA, import beside a CPU build of torch.

Without its compiled operators torchvision still wants to describe two of them when it is imported, and fails where nobody has
declared them. Both kits import it; import this first. It does nothing where torchvision is absent or fits the torch at hand.
"""

from importlib.metadata import PackageNotFoundError, version

import torch

SCHEMAS = (
    "nms(Tensor dets, Tensor scores, float iou_threshold) -> Tensor",
    "qnms(Tensor dets, Tensor scores, float iou_threshold) -> Tensor",
)


def _declared() -> torch.library.Library | None:
    """The library that holds the two names; it must live as long as the process. None where it is not needed."""
    try:
        build = version("torchvision").partition("+")[2]
    except PackageNotFoundError:
        return None
    if torch.version.cuda is not None or build == "cpu":
        return None
    library = torch.library.Library("torchvision", "DEF")
    for schema in SCHEMAS:
        library.define(schema)
    return library


LIBRARY = _declared()
