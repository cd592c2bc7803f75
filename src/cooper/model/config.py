"""Everything a checkpoint must say about the network: geometry, views, picture transforms, maps and drawing defaults."""

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Annotated, Any, Literal

from transformers import PreTrainedConfig

from cooper.errors import CooperError
from cooper.files.values import AtLeast, AtMost, Depth, Positive, Share, Size, Weight, check_fields
from cooper.sequence.images import ImageTransform
from cooper.sequence.layout import View, Views
from cooper.sequence.processor import Marks, Processor, Tables


@dataclass(frozen=True)
class VitGeometry:
    """The picture tower (SigLIP). `num_layers` counts the layers that exist; `position_side` the side of its position table."""

    hidden_size: Size = 1152
    num_layers: Depth = 26
    num_attention_heads: Size = 16
    intermediate_size: Size = 4304
    patch_size: Size = 14
    position_side: Size = 70
    layer_norm_eps: Positive = 1e-6


@dataclass(frozen=True)
class VaeGeometry:
    """The autoencoder. Defaults are FLUX's, which the published checkpoints imply."""

    base_channels: Size = 128
    channel_multipliers: tuple[Annotated[int, AtLeast(1), AtMost(64)], ...] = (1, 2, 4, 4)
    blocks_per_level: Annotated[int, AtLeast(1), AtMost(64)] = 2
    latent_channels: Size = 16
    scale: Positive = 0.3611
    shift: float = 0.1159
    norm_groups: Size = 32

    def __post_init__(self) -> None:
        object.__setattr__(self, "channel_multipliers", tuple(self.channel_multipliers))

    @property
    def downsampling(self) -> int:
        """Pixels per latent cell along one side."""
        return 2 ** (len(self.channel_multipliers) - 1)


@dataclass(frozen=True)
class DrawingDefaults:
    """How maps are drawn unless the caller says otherwise: steps, timestep shift, guidance (published inference defaults)."""

    num_timesteps: Annotated[int, AtLeast(2), AtMost(10_000)] = 30  # points; two make one step
    timestep_shift: Positive = 3.0
    text_scale: Weight = 4.0
    image_scale: Weight = 2.0
    interval: tuple[Share, Share] = (0.4, 1.0)
    renorm: Literal["global", "channel", "text_channel"] = "global"
    renorm_min: Share = 0.0

    def __post_init__(self) -> None:
        check_fields(self)
        if self.interval[0] > self.interval[1]:
            raise CooperError(f"interval is {list(self.interval)}; it must not end before it begins")


def default_modalities() -> dict[str, dict[str, Any]]:
    """The maps of the published checkpoints: depth relative to the training set's range, segmentation as raw colours."""
    return {
        "depth": {"near": 0.0, "far": 1.0, "metric": False},
        "segmentation": {"codec": "colours", "names": []},
    }


Side = Annotated[int, AtLeast(1), AtMost(2**13)]  # of a picture, in pixels


@dataclass(frozen=True)
class Transforms:
    """Picture sizes: (longest side, shortest side, stride) in pixels for both views.

    `vit_after_vae`: the ViT view is made from the VAE-resized picture, as published inference does.
    """

    vae: tuple[Side, Side, Side] = (1024, 512, 16)
    vit: tuple[Side, Side, Side] = (518, 224, 14)
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
        answers_in_words: bool = False,
        refusal: str = "",
        trained_on: dict[str, Any] | None = None,
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
        self.answers_in_words = answers_in_words  # whether a choice is answered with the option's words, not its letter
        self.refusal = refusal  # how it begins an answer about a thing that is not there; "" where it was not taught to
        self.trained_on = trained_on  # None, or {"pictures": what they are, "min_psnr": dB at which they come back at least}
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
