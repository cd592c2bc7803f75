"""Everything a checkpoint must say about the network: geometry, views, picture transforms, maps and drawing defaults."""

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from transformers import PreTrainedConfig

from cooper.errors import CooperError
from cooper.files.arguments import real, whole
from cooper.sequence.images import ImageTransform
from cooper.sequence.layout import View, Views
from cooper.sequence.processor import Marks, Processor, Tables

RENORMS = ("global", "channel", "text_channel")  # how guided velocities are brought back to the length of the plain ones
MOST_STEPS = 10_000
LARGEST_SCALE = 1e4  # of guidance and of the shift


@dataclass(frozen=True)
class VitGeometry:
    """The picture tower (SigLIP). `num_layers` counts the layers that exist; `position_side` the side of its position table."""

    hidden_size: int = 1152
    num_layers: int = 26
    num_attention_heads: int = 16
    intermediate_size: int = 4304
    patch_size: int = 14
    position_side: int = 70
    layer_norm_eps: float = 1e-6


@dataclass(frozen=True)
class VaeGeometry:
    """The autoencoder. Defaults are FLUX's, which the published checkpoints imply."""

    base_channels: int = 128
    channel_multipliers: tuple[int, ...] = (1, 2, 4, 4)
    blocks_per_level: int = 2
    latent_channels: int = 16
    scale: float = 0.3611
    shift: float = 0.1159
    norm_groups: int = 32

    def __post_init__(self) -> None:
        object.__setattr__(self, "channel_multipliers", tuple(self.channel_multipliers))

    @property
    def downsampling(self) -> int:
        """Pixels per latent cell along one side."""
        return 2 ** (len(self.channel_multipliers) - 1)


@dataclass(frozen=True)
class DrawingDefaults:
    """How maps are drawn unless the caller says otherwise: steps, timestep shift, guidance (published inference defaults)."""

    num_timesteps: int = 30
    timestep_shift: float = 3.0
    text_scale: float = 4.0
    image_scale: float = 2.0
    interval: tuple[float, float] = (0.4, 1.0)
    renorm: str = "global"
    renorm_min: float = 0.0

    def __post_init__(self) -> None:
        whole(self.num_timesteps, "num_timesteps, the points of which at least 2 make one step,", 2, MOST_STEPS)
        for name in ("timestep_shift", "text_scale", "image_scale", "renorm_min"):
            if not 0 <= real(getattr(self, name), name) <= LARGEST_SCALE:
                raise CooperError(f"{name} is {getattr(self, name):g}; it must lie between 0 and {LARGEST_SCALE:g}")
        if self.timestep_shift == 0:
            raise CooperError("timestep_shift is 0; it must be above 0 (1 shifts nothing)")
        if isinstance(self.interval, str) or not isinstance(self.interval, Sequence) or len(self.interval) != 2:
            raise CooperError(f"interval is {self.interval!r}; it must be two times, such as [0.4, 1.0]")
        interval = tuple(real(time, "interval") for time in self.interval)
        if not 0 <= interval[0] <= interval[1] <= 1:
            raise CooperError(f"interval is {list(interval)}; its times must rise and lie between 0 and 1")
        object.__setattr__(self, "interval", interval)
        if self.renorm not in RENORMS:
            raise CooperError(f"renorm is {self.renorm!r}; it must be one of {', '.join(RENORMS)}")


def default_modalities() -> dict[str, dict[str, Any]]:
    """The maps of the published checkpoints: depth relative to the training set's range, segmentation as raw colours."""
    return {
        "depth": {"near": 0.0, "far": 1.0, "metric": False},
        "segmentation": {"codec": "colours", "names": []},
    }


@dataclass(frozen=True)
class Transforms:
    """Picture sizes: (longest side, shortest side, stride) in pixels for both views.

    `vit_after_vae`: the ViT view is made from the VAE-resized picture, as published inference does.
    """

    vae: tuple[int, int, int] = (1024, 512, 16)
    vit: tuple[int, int, int] = (518, 224, 14)
    vit_after_vae: bool = True

    def __post_init__(self) -> None:
        object.__setattr__(self, "vae", tuple(self.vae))
        object.__setattr__(self, "vit", tuple(self.vit))


class CooperConfig(PreTrainedConfig):
    """Configuration of the unified network, saved as `config.json` beside the weights.

    The nested groups are plain dictionaries on disk and frozen dataclasses in use (`config.vit_geometry` and so on).
    """

    model_type = "cooper"
    has_no_defaults_at_init = False

    def __init__(
        self,
        hidden_size: int = 3584,
        num_hidden_layers: int = 28,
        num_attention_heads: int = 28,
        num_key_value_heads: int = 4,
        intermediate_size: int = 18944,
        vocab_size: int = 152064,
        rope_theta: float = 1e6,
        rms_norm_eps: float = 1e-6,
        latent_patch_size: int = 2,
        latent_side: int = 64,
        vit_side: int = 70,
        position_scale: float = 1.0,
        position_base: float = 10000.0,
        vit: dict[str, Any] | None = None,
        vae: dict[str, Any] | None = None,
        transforms: dict[str, Any] | None = None,
        views: Mapping[str, Sequence[View]] | None = None,
        modalities: dict[str, dict[str, Any]] | None = None,
        drawing: dict[str, Any] | None = None,
        special_tokens: dict[str, str] | None = None,
        **kwargs: Any,
    ) -> None:
        self.hidden_size = hidden_size
        self.num_hidden_layers = num_hidden_layers
        self.num_attention_heads = num_attention_heads
        self.num_key_value_heads = num_key_value_heads
        self.intermediate_size = intermediate_size
        self.vocab_size = vocab_size
        self.rope_theta = rope_theta
        self.rms_norm_eps = rms_norm_eps
        self.latent_patch_size = latent_patch_size
        self.latent_side = latent_side
        self.vit_side = vit_side
        self.position_scale = position_scale
        self.position_base = position_base
        self.vit = asdict(VitGeometry(**(vit or {})))
        self.vae = asdict(VaeGeometry(**(vae or {})))
        self.transforms = asdict(Transforms(**(transforms or {})))
        self.views = asdict(Views.of(views or {}))
        self.modalities = modalities if modalities is not None else default_modalities()
        self.drawing = asdict(DrawingDefaults(**(drawing or {})))
        self.special_tokens = asdict(Marks(**(special_tokens or {})))
        kwargs.setdefault("tie_word_embeddings", False)
        super().__init__(**kwargs)

    @property
    def head_dim(self) -> int:
        return self.hidden_size // self.num_attention_heads

    @property
    def latent_token_width(self) -> int:
        """Numbers in one latent token: patch x patch x channels."""
        return self.latent_patch_size**2 * self.vae_geometry.latent_channels

    @property
    def vit_geometry(self) -> VitGeometry:
        return VitGeometry(**self.vit)

    @property
    def vae_geometry(self) -> VaeGeometry:
        return VaeGeometry(**self.vae)

    @property
    def drawing_defaults(self) -> DrawingDefaults:
        return DrawingDefaults(**self.drawing)

    @property
    def picture_transforms(self) -> Transforms:
        return Transforms(**self.transforms)

    @property
    def view_rules(self) -> Views:
        return Views.of(self.views)

    def processor(self, directory: str | Path) -> Processor:
        """The processor of a checkpoint whose tokenizer lies in `directory`. Raises CooperError where it is missing."""
        return self.processor_with(Processor.read_tokenizer(directory))

    def processor_with(self, tokenizer_json: str) -> Processor:
        """The processor of this configuration around the text of a `tokenizer.json`."""
        transforms = self.picture_transforms
        return Processor(
            tokenizer_json=tokenizer_json,
            tables=Tables(
                latent_patch=self.latent_patch_size,
                latent_side=self.latent_side,
                latent_width=self.latent_token_width,
                vit_patch=self.vit_geometry.patch_size,
                vit_side=self.vit_side,
            ),
            vae=ImageTransform(*transforms.vae),
            vit=ImageTransform(*transforms.vit),
            vit_after_vae=transforms.vit_after_vae,
            marks=Marks(**self.special_tokens),
        )
