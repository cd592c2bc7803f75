"""A network at its beginning: its shape, its first weights, a picture tower put into it."""

from collections.abc import Mapping
from dataclasses import asdict, dataclass, field, fields

import torch
from torch import nn

from cooper.errors import CooperError
from cooper.files.values import Depth, Positive, Size
from cooper.model.checkpoints.config_check import check_config
from cooper.model.config import CooperConfig, DrawingDefaults, Transforms, VitGeometry
from cooper.model.cooper import CooperModel
from cooper.model.latents import Waves, sincos_table
from cooper.model.mot import JointAttention, MotLayer, PerExpert
from cooper.scenes.questions.question import CANNOT_SEE
from cooper.sequence.layout import View, Views
from cooper.training.bundles import TrainedAutoencoder, TrainedVision, check_memory

EYES = ("vit.", "connector.")  # what a new picture tower brings, and what must be learnt anew behind it
QUERY_KEY_LIKENESS = 0.9  # correlation of query and key weights of a fresh network
HEAD_NORM = 1.5
VIEWS = tuple(each.name for each in fields(Views))


@dataclass(frozen=True)
class NetworkShape:
    """Sizes of the network; defaults are nano's. `views`: which views, `vae` or `vit` or both, are read of a picture that is
    asked about (`input`, `input_text_mode`, `input_direct_mode`) and of a map that the model drew (`map`)."""

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
    views: Mapping[str, tuple[View, ...]] = field(default_factory=dict)

    def __post_init__(self) -> None:
        for name, views in self.views.items():
            if name not in VIEWS:
                raise CooperError(f"views names {name!r}; known: {', '.join(VIEWS)}")
            if not views or len(set(views)) < len(views):
                raise CooperError(f"views.{name} is {list(views)}; it must name vae, vit or both, each once")


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
    sizes = {name: value for name, value in asdict(shape).items() if name != "views"}
    config = CooperConfig(
        answers_in_words=True,  # as the teacher of scenes does
        refusal=CANNOT_SEE,
        **sizes,
        vocab_size=vocabulary,
        vae=asdict(trained.autoencoder.geometry),
        views={name: list(views) for name, views in shape.views.items()},
        modalities={name: dict(settings) for name, settings in trained.modalities.items()},
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


@torch.no_grad()
def initialise_tower(taught: nn.Module) -> None:
    """A picture tower `taught.vit` and the heads that teach it: weights of standard deviation 1 / sqrt(inputs), smaller at the
    ends of branches. Positions start as waves, so that neighbours are alike from the first step."""
    for name, module in taught.named_modules():
        if isinstance(module, nn.Linear):
            ends_branch = name.endswith(("fc2", "out_proj"))
            nn.init.normal_(module.weight, std=module.in_features**-0.5 * (0.3 if ends_branch else 1.0))
            nn.init.zeros_(module.bias)
    places = taught.get_submodule("vit").position_embedding
    assert isinstance(places, nn.Embedding)
    side = round(places.num_embeddings**0.5)
    places.weight.copy_(sincos_table(side, places.embedding_dim, Waves(torch.pi, float(side))))


def _look_at_the_same_place(attention: JointAttention) -> None:
    """Queries of each head start near the keys of its group; head norms start above 1, which sharpens the attention."""
    query, key, d = attention.q.get_parameter("und.weight"), attention.k.get_parameter("und.weight"), attention.head_dim
    groups = query.shape[0] // key.shape[0]
    near_nH = key.view(-1, d, key.shape[1]).repeat_interleave(groups, 0).reshape(query.shape)
    query.copy_(QUERY_KEY_LIKENESS * near_nH + (1 - QUERY_KEY_LIKENESS**2) ** 0.5 * query)
    for norm in (attention.q_norm, attention.k_norm):
        norm.get_parameter("und.weight").fill_(HEAD_NORM)
