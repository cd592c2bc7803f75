"""What a stage hands to the next one: the autoencoder's folder, and whole checkpoints in our own layout."""

import json
import os
from collections.abc import Callable, Mapping
from copy import deepcopy
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import torch
from safetensors.torch import load_file, save_file
from tokenizers import Tokenizer
from torch import Tensor, nn
from transformers import PreTrainedTokenizerFast

from cooper.errors import CooperError
from cooper.files.hub import NANO
from cooper.model.checkpoints.tensor_files import is_finite
from cooper.model.config import Transforms, VaeGeometry, VitGeometry
from cooper.model.cooper import CooperModel
from cooper.model.vae import Autoencoder
from cooper.model.vit import Vit
from cooper.reasoning.cooper import Cooper
from cooper.sequence.processor import Marks, Processor
from cooper.trace.prompts import FILE_NAME as PROMPTS_FILE
from cooper.trace.prompts import Prompts


@dataclass(frozen=True, eq=False)
class TrainedAutoencoder:
    """An autoencoder with the maps that it was trained on."""

    autoencoder: Autoencoder
    modalities: Mapping[str, Mapping[str, Any]]


@dataclass(frozen=True, eq=False)
class TrainedVision:
    """A picture tower and the transforms that make its pictures."""

    vit: Vit
    geometry: VitGeometry
    transforms: Transforms


@dataclass(frozen=True, eq=False)
class Bundle:
    """A model with everything that its checkpoint holds."""

    model: CooperModel
    processor: Processor
    prompts: Prompts
    stored: Mapping[str, Tensor] | None = None  # memory-mapped weights, where those of the model are others or not there yet


def check_memory(build: Callable[[], nn.Module], name: str) -> None:
    """CooperError: a network with more weights than this machine can hold."""
    with torch.device("meta"):
        weights = sum(weight.numel() for weight in build().parameters())
    if 4 * weights > os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE"):
        raise CooperError(f"recipe: {name} has {weights / 1e9:.1f} billion weights, more than the memory of this machine holds")


def save_autoencoder(trained: TrainedAutoencoder, folder: Path) -> None:
    said = {"geometry": asdict(trained.autoencoder.geometry), "modalities": trained.modalities}
    _save_part(trained.autoencoder, said, folder, "autoencoder")


def load_autoencoder(folder: Path) -> TrainedAutoencoder:
    """What `save_autoencoder` wrote, or that of a whole checkpoint. CooperError names the folder that holds none."""
    if _is_whole(folder):
        model = load_bundle(folder).model
        return TrainedAutoencoder(model.vae, model.config.modalities)
    said, weights = _load_part(folder, "autoencoder", "autoencoder")
    autoencoder = Autoencoder(VaeGeometry(**said["geometry"]))
    autoencoder.load_state_dict(weights)
    return TrainedAutoencoder(autoencoder, said["modalities"])


def save_vision(trained: TrainedVision, folder: Path) -> None:
    said = {"geometry": asdict(trained.geometry), "transforms": asdict(trained.transforms)}
    _save_part(trained.vit, said, folder, "vision")


def load_vision(folder: Path) -> TrainedVision:
    """What `save_vision` wrote, or that of a whole checkpoint. CooperError names the folder that holds none."""
    if _is_whole(folder):
        model = load_bundle(folder).model
        return TrainedVision(model.vit, model.config.vit_geometry, model.config.picture_transforms)
    said, weights = _load_part(folder, "vision", "picture tower")
    geometry = VitGeometry(**said["geometry"])
    vit = Vit(geometry)
    vit.load_state_dict(weights)
    return TrainedVision(vit, geometry, Transforms(**said["transforms"]))


def _save_part(part: nn.Module, said: Mapping[str, Any], folder: Path, stage: str) -> None:
    """STAGE.safetensors with the weights and STAGE.json with what rebuilds the module."""
    _check_finite(part.state_dict())
    folder.mkdir(parents=True, exist_ok=True)
    save_file(part.state_dict(), folder / f"{stage}.safetensors")
    (folder / f"{stage}.json").write_text(json.dumps(said, indent=2) + "\n", encoding="utf-8")


def _check_finite(state: Mapping[str, Tensor]) -> None:
    """CooperError names the first tensor with numbers that are not finite: such a model answers nothing."""
    for name, tensor in state.items():
        if not is_finite(tensor):
            raise CooperError(f"the trained tensor {name} holds numbers that are not finite; lower the learning rate")


def _is_whole(folder: Path) -> bool:
    """Whether this is a whole checkpoint, and not the result of a first stage."""
    return str(folder) == NANO or (folder / "config.json").exists()


def _load_part(folder: Path, stage: str, noun: str) -> tuple[dict[str, Any], dict[str, Tensor]]:
    config, weights = folder / f"{stage}.json", folder / f"{stage}.safetensors"
    if not config.exists() or not weights.exists():
        raise CooperError(f"{folder} holds no finished {noun}; run `cooper train {stage}` first")
    return json.loads(config.read_text(encoding="utf-8")), load_file(weights)


def save_bundle(bundle: Bundle, folder: Path, state: Mapping[str, Tensor] | None = None) -> None:
    """config.json, model.safetensors (autoencoder included), tokenizer files and prompts.json. `state`: the tensors that are
    written, by their plain names; those of the model by default."""
    model = bundle.model
    if state is None:
        state = model.state_dict()
    else:  # whatever the model is wrapped in
        config: Any = deepcopy(model.config)
        vars(config).pop("quantization_config", None)
        with torch.device("meta"):
            model = CooperModel(config)
        nn.Module.to(model, state["embed_tokens.weight"].dtype)
    _check_finite(state)
    folder.mkdir(parents=True, exist_ok=True)
    model.save_pretrained(folder, state_dict=dict(state))
    save_companions(bundle, folder)


def save_companions(bundle: Bundle, folder: Path) -> None:
    """Tokenizer files and prompts.json."""
    save_tokenizer(bundle.processor.tokenizer, folder)
    bundle.prompts.to_json(folder / PROMPTS_FILE)


def load_bundle(start: Path, base: Path | None = None) -> Bundle:
    """A checkpoint of either layout in float32 on the CPU: a folder, a hub id or `nano`, as `Cooper.from_pretrained` reads it.
    CooperError names what is missing or does not fit; prompts that are missing are ours, with a warning."""
    parts = Cooper.from_pretrained(str(start), None if base is None else str(base), torch.float32, "cpu").engine.parts
    return Bundle(parts.model, parts.layout.processor, parts.prompts)


def save_tokenizer(tokenizer: Tokenizer, folder: Path) -> None:
    """`tokenizer.json` and the `tokenizer_config.json` by which transformers' AutoTokenizer reads it."""
    marks = Marks()
    fast = PreTrainedTokenizerFast(
        tokenizer_object=tokenizer,
        bos_token=marks.bos,
        eos_token=marks.eos,
        pad_token=marks.eos,
        extra_special_tokens=[marks.image_start, marks.image_end],
        clean_up_tokenization_spaces=False,
    )
    folder.mkdir(parents=True, exist_ok=True)
    fast.save_pretrained(folder)
