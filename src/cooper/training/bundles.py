"""What a stage hands to the next one: the autoencoder's folder, and whole checkpoints in our own layout."""

import json
import os
from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import torch
from safetensors.torch import load_file, save_file
from torch import Tensor, nn

from cooper.errors import CooperError
from cooper.files.hub import NANO
from cooper.files.values import Depth, Positive, Size
from cooper.model.checkpoints.config_check import check_config
from cooper.model.checkpoints.tensor_files import is_finite
from cooper.model.config import CooperConfig, DrawingDefaults, Transforms, VaeGeometry, VitGeometry
from cooper.model.cooper import CooperModel
from cooper.model.mot import JointAttention, MotLayer, PerExpert
from cooper.model.vae import Autoencoder
from cooper.model.vit import Vit
from cooper.reasoning.cooper import Cooper
from cooper.sequence.processor import Processor
from cooper.trace.prompts import FILE_NAME as PROMPTS_FILE
from cooper.trace.prompts import Prompts
from cooper.training.start.tokenizer import save_tokenizer

EYES = ("vit.", "connector.")  # what a new picture tower brings, and what must be learnt anew behind it
QUERY_KEY_LIKENESS = 0.9  # correlation of query and key weights of a fresh network
HEAD_NORM = 1.5


@dataclass(frozen=True)
class NetworkShape:
    """Sizes of the network; defaults are nano's. `views`: which views of a picture are read, as in the configuration."""

    hidden_size: Size = 192
    num_hidden_layers: Depth = 6
    num_attention_heads: Size = 6
    num_key_value_heads: Size = 2
    intermediate_size: Size = 512
    rope_theta: Positive = 1e6
    latent_patch_size: Size = 4
    latent_side: Size = 8
    vit_side: Size = 8
    position_scale: Positive = 3.14159
    position_base: Positive = 8.0
    vit: VitGeometry = VitGeometry(128, 4, 4, 384, 14, 8)
    transforms: Transforms = Transforms((128, 128, 16), (112, 112, 14), True)
    drawing: DrawingDefaults = DrawingDefaults(10, 1.0, 1.0, 1.0)


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
    _check_finite(part)
    folder.mkdir(parents=True, exist_ok=True)
    save_file(part.state_dict(), folder / f"{stage}.safetensors")
    (folder / f"{stage}.json").write_text(json.dumps(said, indent=2) + "\n", encoding="utf-8")


def _check_finite(module: nn.Module) -> None:
    """CooperError names the first tensor with numbers that are not finite: such a model answers nothing."""
    for name, tensor in module.state_dict().items():
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


@torch.no_grad()
def with_vision(model: CooperModel, trained: TrainedVision, seed: int) -> CooperModel:
    """The same network with another picture tower. A tower of the same shape has learned on: the connector behind it stays;
    behind one of another shape it is fresh."""
    said = {**model.config.to_dict(), "vit": asdict(trained.geometry), "transforms": asdict(trained.transforms)}
    torch.manual_seed(seed)
    seeing = CooperModel(CooperConfig.from_dict(said))
    initialise(seeing)
    seeing.vit.load_state_dict(trained.vit.state_dict())
    anew = "vit." if trained.geometry == model.config.vit_geometry else EYES
    eyes = {name: weight for name, weight in seeing.state_dict().items() if name.startswith(anew)}
    others = {name: weight for name, weight in model.state_dict().items() if not name.startswith(anew)}
    seeing.load_state_dict({**others, **eyes})
    return seeing


def new_model(shape: NetworkShape, trained: TrainedAutoencoder, vocabulary: int, seed: int) -> CooperModel:
    """A network with fresh weights around a trained autoencoder."""
    config = CooperConfig(
        answers_in_words=True,  # as the teacher of scenes does
        hidden_size=shape.hidden_size,
        num_hidden_layers=shape.num_hidden_layers,
        num_attention_heads=shape.num_attention_heads,
        num_key_value_heads=shape.num_key_value_heads,
        intermediate_size=shape.intermediate_size,
        vocab_size=vocabulary,
        rope_theta=shape.rope_theta,
        latent_patch_size=shape.latent_patch_size,
        latent_side=shape.latent_side,
        vit_side=shape.vit_side,
        position_scale=shape.position_scale,
        position_base=shape.position_base,
        vit=asdict(shape.vit),
        vae=asdict(trained.autoencoder.geometry),
        transforms=asdict(shape.transforms),
        views={"input": ["vae", "vit"], "input_text_mode": ["vit"], "map": ["vit"]},
        modalities={name: dict(settings) for name, settings in trained.modalities.items()},
        drawing=asdict(shape.drawing),
    )
    check_memory(lambda: CooperModel(check_config(config, "recipe: network")), "network")
    torch.manual_seed(seed)
    model = CooperModel(config)
    initialise(model)
    model.vae.load_state_dict(trained.autoencoder.state_dict())
    return model


@torch.no_grad()
def initialise(model: CooperModel) -> None:
    """Weights for training from nothing: normal with standard deviation 1 / sqrt(inputs), so that a token's picture,
    place and time weigh alike; smaller at the ends of residual branches and at the heads; both experts start equal.

    Two beginnings spare a small network its longest plateaus: velocities start as the noised latent itself
    (`latent_out` undoes `latent_in`), and queries start close to keys with sharp heads, so that a latent token looks at
    what lies at the same place of the picture.
    """
    depth = model.config.num_hidden_layers
    for name, module in model.named_modules():
        if name.startswith("vae"):
            continue
        if isinstance(module, nn.Linear):
            ends_branch = f".{name}".split(".")[-2] in ("o", "out_proj") or name.endswith((".fc2", "down_proj", "out_proj"))
            std = module.in_features**-0.5 * ((2 * depth) ** -0.5 if ends_branch and "connector" not in name else 1.0)
            nn.init.normal_(module.weight, std=0.02 if name == "lm_head" else std)
            if module.bias is not None:
                nn.init.zeros_(module.bias)
        elif isinstance(module, nn.Embedding):
            nn.init.normal_(module.weight, std=0.3)
    nn.init.orthogonal_(model.latent_in.weight)
    model.latent_out.weight.copy_(model.latent_in.weight.T)
    for layer in model.layers:
        assert isinstance(layer, MotLayer)
        _look_at_the_same_place(layer.attention)
        for pair in layer.modules():
            if isinstance(pair, PerExpert):
                pair.gen.load_state_dict(pair.und.state_dict())


def _look_at_the_same_place(attention: JointAttention) -> None:
    """Queries of each head start near the keys of its group; head norms start above 1, which sharpens the attention."""
    query, key, d = attention.q.get_parameter("und.weight"), attention.k.get_parameter("und.weight"), attention.head_dim
    groups = query.shape[0] // key.shape[0]
    near_nH = key.view(-1, d, key.shape[1]).repeat_interleave(groups, 0).reshape(query.shape)
    query.copy_(QUERY_KEY_LIKENESS * near_nH + (1 - QUERY_KEY_LIKENESS**2) ** 0.5 * query)
    for norm in (attention.q_norm, attention.k_norm):
        norm.get_parameter("und.weight").fill_(HEAD_NORM)


def save_bundle(bundle: Bundle, folder: Path) -> None:
    """config.json, model.safetensors (autoencoder included), tokenizer files and prompts.json."""
    _check_finite(bundle.model)
    folder.mkdir(parents=True, exist_ok=True)
    bundle.model.save_pretrained(folder)
    save_tokenizer(bundle.processor.tokenizer, folder)
    bundle.prompts.to_json(folder / PROMPTS_FILE)


def load_bundle(start: Path, base: Path | None = None) -> Bundle:
    """A checkpoint of either layout in float32: a folder, a hub id or `nano`, as `Cooper.from_pretrained` reads it. CooperError
    names what is missing or does not fit; prompts that are missing are ours, with a warning."""
    parts = Cooper.from_pretrained(str(start), None if base is None else str(base), torch.float32).engine.parts
    return Bundle(parts.model, parts.layout.processor, parts.prompts)
