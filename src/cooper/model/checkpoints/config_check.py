"""Whether a configuration describes a network that can be built, before anything of its size is made."""

from collections.abc import Mapping
from typing import Any, get_args

from cooper.errors import CooperError
from cooper.files.arguments import real, shown, whole, words
from cooper.files.plugins import PluginError
from cooper.model.config import CooperConfig
from cooper.perception import build_modalities
from cooper.sequence.layout import View

WIDEST, DEEPEST, MOST_WORDS, LARGEST_SIDE = 1 << 17, 1 << 10, 1 << 23, 1 << 10  # far beyond any network of this kind
_NETWORK = {
    "hidden_size": WIDEST,
    "num_hidden_layers": DEEPEST,
    "num_attention_heads": WIDEST,
    "num_key_value_heads": WIDEST,
    "intermediate_size": 8 * WIDEST,
    "vocab_size": MOST_WORDS,
    "latent_patch_size": 64,
    "latent_side": LARGEST_SIDE,
    "vit_side": LARGEST_SIDE,
}
_VIT = {
    "hidden_size": WIDEST,
    "num_layers": DEEPEST,
    "num_attention_heads": WIDEST,
    "intermediate_size": 8 * WIDEST,
    "patch_size": 256,
    "position_side": LARGEST_SIDE,
}
_VAE = {"base_channels": 1 << 14, "blocks_per_level": 64, "latent_channels": 1 << 12, "norm_groups": 1 << 14}
_POSITIVE = ("rope_theta", "rms_norm_eps", "position_scale", "position_base")
BEYOND_TABLE = 4  # times the side of the table of positions
_LEVELS = 8  # of the autoencoder


def check_numbers(values: Mapping[str, Any], where: object) -> None:
    """CooperError, with `where` in front, names the first size of the network, as a file says it, that none can have."""
    try:
        for name in _NETWORK.keys() & values.keys():
            whole(values[name], name, 1, _NETWORK[name])
        for name in _POSITIVE:
            _positive(values.get(name, 1.0), name)
    except CooperError as error:
        raise CooperError(f"{where}: {error}") from None


def check_config(config: CooperConfig, where: object) -> CooperConfig:
    """The same configuration. CooperError, with `where` in front, names the first field that no network can have."""
    check_numbers(config.to_dict(), where)
    try:
        _groups(config.vit, "vit", _VIT)
        _positive(config.vit["layer_norm_eps"], "vit.layer_norm_eps")
        _check_vae(config.vae)
        _check_heads(config)
        _check_transforms(config)
        _check_modalities(config.modalities)
        _check_home(config.trained_on)
        if not isinstance(config.answers_in_words, bool):
            raise CooperError(f"answers_in_words must be true or false, not {shown(config.answers_in_words)}")
        if not isinstance(config.refusal, str):
            raise CooperError(f"refusal must be a text, not {shown(config.refusal)}")
        for name, mark in config.special_tokens.items():
            words(mark, f"special_tokens.{name}")
        for name, views in config.views.items():
            for view in views:
                if view not in get_args(View):
                    raise CooperError(f"views.{name} holds {shown(view)}; known: {', '.join(get_args(View))}")
    except PluginError:
        raise
    except CooperError as error:
        raise CooperError(f"{where}: {error}") from None
    return config


def _groups(values: Mapping[str, Any], group: str, highest: Mapping[str, int]) -> None:
    for name, high in highest.items():
        whole(values[name], f"{group}.{name}", 1, high)


def _positive(value: Any, name: str) -> None:
    if real(value, name) <= 0:
        raise CooperError(f"{name} is {value}; it must be above 0")


def _check_vae(vae: Mapping[str, Any]) -> None:
    _groups(vae, "vae", _VAE)
    multipliers = vae["channel_multipliers"]
    if isinstance(multipliers, str) or not 1 <= len(multipliers) <= _LEVELS:
        raise CooperError(f"vae.channel_multipliers is {shown(multipliers)}; it must be a list of 1 to {_LEVELS} numbers")
    for multiplier in multipliers:
        whole(multiplier, "vae.channel_multipliers", 1, 64)
    _positive(vae["scale"], "vae.scale")
    real(vae["shift"], "vae.shift")


def _check_heads(config: CooperConfig) -> None:
    hidden, heads, groups = config.hidden_size, config.num_attention_heads, config.num_key_value_heads
    if hidden % heads or (hidden // heads) % 2:
        raise CooperError(f"hidden_size {hidden} does not give each of the {heads} attention heads an even width")
    if heads % groups:
        raise CooperError(f"num_key_value_heads {groups} does not divide the {heads} attention heads")
    if config.vit["hidden_size"] % config.vit["num_attention_heads"]:
        raise CooperError("vit.num_attention_heads does not divide vit.hidden_size")


def _check_transforms(config: CooperConfig) -> None:
    """Sizes and strides of both views. The packer refuses a picture beyond the table of positions; sides far beyond it would
    fill the memory before."""
    token = config.vae_geometry.downsampling * config.latent_patch_size
    tables = {"vae": (config.latent_side, token), "vit": (config.vit_side, config.vit["patch_size"])}
    for name, (side, stride) in tables.items():
        sizes = config.transforms[name]
        if isinstance(sizes, str) or len(sizes) not in (3, 4):
            raise CooperError(f"transforms.{name} is {shown(sizes)}; it must be [longest side, shortest side, stride]")
        for size in sizes[:3]:
            whole(size, f"transforms.{name}", 1, 1 << 16)
        if sizes[2] % stride:
            raise CooperError(f"transforms.{name} has the stride {sizes[2]}; it must be a multiple of {stride} px, one token")
        if max(sizes[:2]) > BEYOND_TABLE * side * stride:
            raise CooperError(f"transforms.{name} makes sides of {max(sizes[:2])} px; positions end at {side * stride} px")


def _check_home(home: Any) -> None:
    if home is None:
        return
    if not isinstance(home, Mapping) or home.keys() != {"pictures", "min_psnr"}:
        raise CooperError("trained_on must hold pictures and min_psnr")
    words(home["pictures"], "trained_on.pictures")
    real(home["min_psnr"], "trained_on.min_psnr")


def _check_modalities(modalities: Any) -> None:
    if not isinstance(modalities, Mapping) or not all(isinstance(options, Mapping) for options in modalities.values()):
        raise CooperError("modalities must map names of maps to their settings")
    try:
        build_modalities(modalities)
    except PluginError:
        raise
    except (ValueError, TypeError, AttributeError) as error:
        raise CooperError(f"modalities: {error}") from None
