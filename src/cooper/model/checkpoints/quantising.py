"""Weights of few bits: which layers, by which library, and what a library refuses in one sentence.

Only the linear layers of the decoder are quantised. The autoencoder, the picture tower and its connector, the time embedder,
the layers that read and predict latents, norms, embeddings and the head of words keep their type.
"""

import re
from collections.abc import Iterator
from contextlib import contextmanager
from copy import deepcopy
from importlib import import_module
from typing import Any, TypeVar

import torch
from torch import nn

from cooper.errors import CooperError
from cooper.files.arguments import shown
from cooper.model.checkpoints.memory import BITS

KEPT = ("vae", "vit", "connector", "latent_in", "latent_out", "time_embedder", "lm_head", "embed_tokens")  # never quantised
Network = TypeVar("Network", bound=nn.Module)
QUANTISED = re.compile(r"layers\.\d+\.(attention\.[qkvo]|mlp)\.(und|gen)\.((gate|up|down)_proj\.)?weight")  # weights, by name


def bits_of(asked: Any) -> float | None:
    """Bits of a quantised weight, its share of the scales included; None: nothing is quantised.

    CooperError: `asked` is no name and no configuration of bitsandbytes or torchao.
    """
    if asked is None:
        return None
    if isinstance(asked, str):
        if asked not in BITS:
            raise CooperError(f"quantization must be {' or '.join(BITS)}, not {shown(asked)}")
        return BITS[asked]
    kind = type(asked).__name__
    if kind == "BitsAndBytesConfig":
        return BITS["4bit"] if asked.load_in_4bit else BITS["int8"]
    if kind == "TorchAoConfig":
        return BITS["4bit"] if "4" in type(asked.quant_type).__name__ else BITS["int8"]
    raise CooperError(f"quantization must be {', '.join(BITS)}, a BitsAndBytesConfig or a TorchAoConfig, not {shown(asked)}")


def settings_of(asked: Any, dtype: torch.dtype) -> Any:
    """The configuration that transformers takes, which leaves out `KEPT`: of "int8" (torchao: a scale for each row), "4bit"
    (bitsandbytes: NF4 with scales quantised again), or of a configuration of either library. Products of 4-bit weights are
    computed in `dtype`.

    CooperError: the library is not installed, or `asked` is neither.
    """
    bits_of(asked)
    kind = {"int8": "TorchAoConfig", "4bit": "BitsAndBytesConfig"}[asked] if isinstance(asked, str) else type(asked).__name__
    _need("torchao" if kind == "TorchAoConfig" else "bitsandbytes")
    if isinstance(asked, str):
        return _named(asked, dtype)
    found = deepcopy(asked)
    if kind == "TorchAoConfig":
        found.modules_to_not_convert = list(dict.fromkeys((*KEPT, *(asked.modules_to_not_convert or ()))))
        found.include_input_output_embeddings = False
    else:
        found.llm_int8_skip_modules = list(dict.fromkeys((*KEPT, *(asked.llm_int8_skip_modules or ()))))
    return found


def bits_config(**settings: Any) -> Any:
    """A configuration of bitsandbytes. CooperError: it is not installed."""
    _need("bitsandbytes")
    from transformers import BitsAndBytesConfig

    return BitsAndBytesConfig(llm_int8_skip_modules=list(KEPT), **settings)


def _named(name: str, dtype: torch.dtype) -> Any:
    if name == "4bit":
        quant = {"bnb_4bit_quant_type": "nf4", "bnb_4bit_use_double_quant": True, "bnb_4bit_compute_dtype": dtype}
        return bits_config(load_in_4bit=True, **quant)
    from torchao.quantization import Int8WeightOnlyConfig
    from transformers import TorchAoConfig

    return TorchAoConfig(Int8WeightOnlyConfig(), modules_to_not_convert=list(KEPT))


def _need(library: str) -> None:
    try:
        import_module(library)
    except ImportError:
        raise CooperError(f"quantising needs {library}: pip install {library}") from None


@contextmanager
def quantised() -> Iterator[None]:
    """Within it a library quantises. CooperError: it cannot."""
    try:
        yield
    except CooperError:
        raise
    except (ValueError, TypeError, RuntimeError, ImportError, NotImplementedError, AssertionError) as error:
        raise CooperError(f"the weights cannot be quantised here: {' '.join(str(error).split())[:300]}") from None


def unpacked(model: Network) -> Network:
    """The same model, whose 4-bit weights stay as they are stored. On some processors bitsandbytes would pack them anew at the
    first pass: products are then of bfloat16, widths must be multiples of 64, and the weights can be trained no more."""
    for module in model.modules():
        if hasattr(module, "support_avx512bf16_for_cpu"):
            module.support_avx512bf16_for_cpu = False  # pyright: ignore[reportAttributeAccessIssue, reportArgumentType]
    return model
