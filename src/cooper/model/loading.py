"""How `from_pretrained` reads both layouts, on the meta device, in any type, on any devices."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any, Self

import torch
from torch import nn
from transformers import PreTrainedModel
from transformers.utils import is_accelerate_available

from cooper.errors import CooperError
from cooper.files.hub import resolve
from cooper.model.checkpoint import is_published_layout, open_checkpoint, verify_ours
from cooper.model.config import CooperConfig
from cooper.model.layout import VAE_PREFIX
from cooper.model.weights import DTYPES, read_json

Device = str | int | torch.device


class ReadsBothLayouts(PreTrainedModel):
    """A Hugging Face model whose checkpoints may also lie in the published BAGEL/COOPER layout."""

    config_class = CooperConfig
    _keep_in_fp32_modules_strict = {"vae"}  # published in float32 beside bfloat16 weights

    @classmethod
    def from_pretrained(  # the signature is Hugging Face's, with `base` added
        cls,
        pretrained_model_name_or_path: str | Path | None,
        *model_args: Any,
        base: str | Path | None = None,
        dtype: torch.dtype | str | None = "auto",
        device_map: Device | dict[str, Device] | None = None,
        **kwargs: Any,
    ) -> Self:
        """Load a model of either layout from ``"nano"``, a directory or a hub id.

        ``base`` names the directory or hub id that holds the configuration, autoencoder and tokenizer of bare published
        weights. ``dtype`` "auto" (or None) keeps the types as stored; any other casts the network, and leaves the
        autoencoder in float32. Everything else is Hugging Face's; ``output_loading_info`` is not offered, for every
        tensor is checked. Raises CooperError naming the file or tensor at fault.
        """
        kwargs["dtype"] = dtype if dtype is not None else "auto"
        if kwargs.pop("output_loading_info", False):
            raise CooperError("output_loading_info is not offered: a checkpoint that does not fit exactly is refused")
        single = _single_device(device_map)
        if single is None and device_map is not None:
            kwargs["device_map"] = device_map
        if pretrained_model_name_or_path is None:
            model = super().from_pretrained(None, *model_args, **kwargs)
        else:
            model = cls._from_directory(resolve(pretrained_model_name_or_path), base, *model_args, **kwargs)
        if single is not None:
            nn.Module.to(model, single)
        return model

    @classmethod
    def _from_directory(cls, directory: Path, base: str | Path | None, *model_args: Any, **kwargs: Any) -> Self:
        base_directory = None if base is None else resolve(base)
        if not is_published_layout(directory, base_directory):
            if _is_adapter_or_quantised(directory):
                return super().from_pretrained(directory, *model_args, **kwargs)
            stored = verify_ours(directory)
            model = super().from_pretrained(directory, *model_args, **kwargs)
            dtypes = {name: DTYPES[header.dtype] for name, header in stored.items()}
        else:
            checkpoint = open_checkpoint(directory, base_directory)
            state = dict(checkpoint.state)
            model = super().from_pretrained(None, config=checkpoint.config, state_dict=state, **kwargs)
            model.name_or_path = model.config.name_or_path = str(directory)
            dtypes = {name: tensor.dtype for name, tensor in state.items()}
        if kwargs["dtype"] == "auto":
            _restore_types(model, dtypes)
        return model


def _restore_types(model: nn.Module, dtypes: Mapping[str, torch.dtype]) -> None:
    """Give tables and autoencoder, which Hugging Face loads in float32, their stored types back."""
    for name, tensor in (*model.named_buffers(), *model.named_parameters()):
        if name.startswith(VAE_PREFIX) or name.endswith(".table"):
            tensor.data = tensor.data.to(dtypes[name])


def _single_device(device_map: Device | dict[str, Device] | None) -> Device | None:
    """The device to move to by ourselves, where accelerate is not installed. Raises CooperError if that cannot do."""
    if device_map is None or is_accelerate_available():
        return None
    if isinstance(device_map, dict) or device_map in ("auto", "balanced", "balanced_low_0", "sequential"):
        raise CooperError(f"device_map={device_map!r} needs accelerate: pip install 'cooper[train]', or name one device")
    return device_map


def _is_adapter_or_quantised(directory: Path) -> bool:
    """Tensor names of these differ from the table; Hugging Face checks them."""
    if (directory / "adapter_config.json").is_file():
        return True
    config_path = directory / "config.json"
    return config_path.is_file() and "quantization_config" in read_json(config_path)
