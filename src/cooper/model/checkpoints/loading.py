"""How `from_pretrained` reads both layouts, on the meta device, in any type, on any devices."""

from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Self

import torch
from torch import Tensor, nn
from transformers import PreTrainedModel
from transformers.utils import is_accelerate_available, logging

from cooper.errors import CooperError
from cooper.files.hub import resolve
from cooper.files.rows import read_object
from cooper.model.checkpoints.names import VAE_PREFIX
from cooper.model.checkpoints.opening import (
    OWN_STEM,
    is_published_layout,
    network_dtype,
    open_checkpoint,
    stored_dtype,
    verify_ours,
)
from cooper.model.checkpoints.quantising import bits_of, quantised, settings_of, unpacked
from cooper.model.checkpoints.tensor_files import DTYPES, is_finite, read_header, read_headers, read_tensors
from cooper.model.config import CooperConfig
from cooper.model.devices import SHARED_OUT, SYNONYMS, Device, checked_device, checked_dtype, renamed

WORTH_A_BAR = 1_000_000_000  # bytes
ADAPTER_CONFIG, ADAPTER_FILE = "adapter_config.json", "adapter_model.safetensors"  # as PEFT names them


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
        autoencoder in float32. ``device`` and ``torch_dtype`` are other names of ``device_map``
        and ``dtype``. ``quantization_config`` may also be "int8" or "4bit"; only linear layers of the decoder are quantised.
        Everything else is Hugging Face's; ``output_loading_info`` is not offered, for every
        tensor is checked. Raises CooperError naming the file or tensor at fault.
        """
        bits_of(kwargs.get("quantization_config"))
        synonyms = {name: kwargs.pop(name) for name in SYNONYMS if name in kwargs}
        named = renamed({"dtype": None if dtype == "auto" else dtype, "device_map": device_map}, synonyms)
        kwargs["dtype"], device_map = checked_dtype(named["dtype"]), named["device_map"]
        if kwargs.pop("output_loading_info", False):
            raise CooperError("output_loading_info is not offered: a checkpoint that does not fit exactly is refused")
        single = _single_device(checked_device(device_map))
        if single is None and device_map is not None:
            kwargs["device_map"] = device_map
        if pretrained_model_name_or_path is None:
            model = super().from_pretrained(None, *model_args, **kwargs)
        else:
            directory = resolve(pretrained_model_name_or_path)
            with _bars(directory):
                model = cls._from_directory(directory, base, *model_args, **kwargs)
        if single is not None:
            nn.Module.to(model, single)
        return model

    @classmethod
    def _from_directory(cls, directory: Path, base: str | Path | None, *model_args: Any, **kwargs: Any) -> Self:
        base_directory = None if base is None else resolve(base)
        kwargs["use_safetensors"] = True  # other formats can run code
        if (directory / ADAPTER_CONFIG).is_file():
            return cls._with_adapter(directory, base, *model_args, **kwargs)
        keeps_types = kwargs["dtype"] == "auto"
        few = kwargs.get("quantization_config") is not None
        if not is_published_layout(directory, base_directory):
            if is_quantised(directory):
                if few:
                    raise CooperError(f"{directory} is quantised already; load it without naming a quantization")
                return cls._quantised(directory, *model_args, **kwargs)
            stored = verify_ours(directory)
            if keeps_types:
                kwargs["dtype"] = network_dtype(stored)  # what the weights have, whatever the configuration says
            if few:
                model = cls._with_few_bits(directory, read_tensors(stored), directory, *model_args, **kwargs)
            else:
                model = super().from_pretrained(directory, *model_args, **kwargs)
            dtypes = {name: DTYPES[header.dtype] for name, header in stored.items()}
        else:
            checkpoint = open_checkpoint(directory, base_directory)
            state = dict(checkpoint.state)
            kwargs |= {"config": checkpoint.config, "state_dict": state}
            if few:
                kwargs["dtype"] = stored_dtype(checkpoint) if keeps_types else kwargs["dtype"]
                model = cls._with_few_bits(None, state, directory, **kwargs)
            else:
                model = super().from_pretrained(None, **kwargs)
            model.name_or_path = model.config.name_or_path = str(directory)
            dtypes = {name: tensor.dtype for name, tensor in state.items()}
        if keeps_types:
            _restore_types(model, dtypes)
        if not few:
            _require_finite(model.named_parameters(), directory)
            _require_finite(model.named_buffers(), directory)
        return model

    @classmethod
    def _with_few_bits(
        cls, source: Path | None, state: Mapping[str, Tensor], directory: Path, *model_args: Any, **kwargs: Any
    ) -> Self:
        """A plain checkpoint, quantised as it is read; its numbers are looked at before, for later they cannot be."""
        settings = settings_of(kwargs.pop("quantization_config"), kwargs["dtype"])
        _require_finite(state.items(), directory)
        with quantised():
            return unpacked(super().from_pretrained(source, *model_args, quantization_config=settings, **kwargs))

    @classmethod
    def _with_adapter(cls, directory: Path, base: str | Path | None, *model_args: Any, **kwargs: Any) -> Self:
        """The network that an adapter was trained on, loaded and checked as any other, with the adapter's weights."""
        network = network_below(directory)
        model = cls._from_directory(network, base, *model_args, **kwargs)
        try:
            model.load_adapter(str(directory))
        except (ValueError, TypeError, KeyError, RuntimeError, ImportError) as error:
            raise CooperError(f"the adapter {directory} does not fit {network}: {' '.join(str(error).split())[:300]}") from None
        _require_finite(((name, each) for name, each in model.named_parameters() if ".lora_" in name), directory)
        return model

    @classmethod
    def _quantised(cls, directory: Path, *model_args: Any, **kwargs: Any) -> Self:
        """A checkpoint of 8-bit or 4-bit weights; names of its tensors differ from the table, so the library compares them."""
        read_headers(directory, OWN_STEM)
        loaded: Any = super().from_pretrained(directory, *model_args, output_loading_info=True, **kwargs)
        model, told = loaded
        for what in ("missing_keys", "unexpected_keys", "mismatched_keys"):
            for name in sorted(map(str, told.get(what) or ()))[:1]:
                raise CooperError(
                    f"{directory}: tensor {name} is one of the {what.replace('_', ' ')} of this quantised checkpoint"
                )
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
    if isinstance(device_map, dict) or device_map in SHARED_OUT:
        raise CooperError(f"device_map={device_map!r} needs accelerate: pip install accelerate, or name one device")
    return device_map


@contextmanager
def _bars(directory: Path) -> Iterator[None]:
    """Progress bars while weights load, but for those that are there in a moment."""
    shown = sum(path.stat().st_size for path in directory.glob("*.safetensors")) >= WORTH_A_BAR
    if shown or not logging.is_progress_bar_enabled():
        yield
        return
    logging.disable_progress_bar()
    try:
        yield
    finally:
        logging.enable_progress_bar()


def _require_finite(named: Iterable[tuple[str, Tensor]], directory: Path) -> None:
    """Refuse weights that hold a NaN or an infinity, by name; weights that lie on the disk are not read for it."""
    for name, tensor in named:
        if tensor.device.type != "meta" and not is_finite(tensor.detach()):
            raise CooperError(
                f"{directory}: tensor {name} holds numbers that are not finite, so nothing can be computed with it"
            )


def network_below(directory: Path) -> Path:
    """The directory of the network that an adapter was trained on. CooperError: there is none, or no weights of the adapter."""
    config = directory / ADAPTER_CONFIG
    named = read_object(config, lenient=True).get("base_model_name_or_path")
    if not isinstance(named, str):
        raise CooperError(f"{config}: base_model_name_or_path does not name the network that the adapter belongs to")
    if not (directory / ADAPTER_FILE).is_file():
        raise CooperError(f"{directory} holds no {ADAPTER_FILE}; other formats of adapters are not read")
    read_header(directory / ADAPTER_FILE)
    network = resolve(named)
    if (network / ADAPTER_CONFIG).is_file():
        raise CooperError(f"{config}: {named} is an adapter, too; name the network itself")
    return network


def is_quantised(directory: Path) -> bool:
    """Whether the configuration says that weights are quantised."""
    config_path = directory / "config.json"
    return config_path.is_file() and "quantization_config" in read_object(config_path, lenient=True)
