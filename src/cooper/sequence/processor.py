"""Texts and pictures of a checkpoint -> token ids and pixels: the tokenizer, the marks, and the two picture transforms."""

from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

from PIL import Image
from tokenizers import Tokenizer
from torch import Tensor

from cooper.errors import CooperError
from cooper.sequence.images import ImageTransform, pixels_CHW, vit_pixels_CHW
from cooper.sequence.packing import Geometry


@dataclass(frozen=True)
class Marks:
    """The texts of the four special tokens that structure a sequence."""

    bos: str = "<|im_start|>"
    eos: str = "<|im_end|>"
    image_start: str = "<|vision_start|>"
    image_end: str = "<|vision_end|>"


@dataclass(frozen=True)
class Tables:
    """Patch sizes and sides of the position tables of a checkpoint, and the width of a latent token."""

    latent_patch: int
    latent_side: int
    latent_width: int
    vit_patch: int
    vit_side: int


@dataclass(frozen=True, eq=False)
class Processor:
    """Everything between a user's words and pictures and the numbers the network reads.

    `vae` and `vit` are the picture transforms; `vit_after_vae` makes the ViT view from the VAE-resized picture.
    """

    tokenizer_json: str
    tables: Tables
    vae: ImageTransform
    vit: ImageTransform
    vit_after_vae: bool = True
    marks: Marks = Marks()

    @classmethod
    def read_tokenizer(cls, directory: str | Path) -> str:
        """The text of `tokenizer.json`. Raises CooperError where it is missing or no tokenizer."""
        path = Path(directory) / "tokenizer.json"
        try:
            text = path.read_text(encoding="utf-8")
            Tokenizer.from_str(text)
        except OSError as error:
            raise CooperError(f"cannot read the tokenizer {path}: {error.strerror}") from None
        except Exception as error:  # noqa: BLE001 - the tokenizers library raises bare Exception
            raise CooperError(f"{path} holds no tokenizer: {error}") from None
        return text

    @cached_property
    def tokenizer(self) -> Tokenizer:
        """The tokenizer that maps the texts of special tokens to their ids (for texts that come with a checkpoint)."""
        return Tokenizer.from_str(self.tokenizer_json)

    @cached_property
    def plain_tokenizer(self) -> Tokenizer:
        """The same, but special tokens in a text are spelled out as ordinary characters (for texts of users)."""
        tokenizer = Tokenizer.from_str(self.tokenizer_json)
        tokenizer.encode_special_tokens = True
        return tokenizer

    @cached_property
    def geometry(self) -> Geometry:
        """What the packer must know. Raises CooperError if the tokenizer lacks a mark."""
        ids = []
        for text in (
            self.marks.bos,
            self.marks.eos,
            self.marks.image_start,
            self.marks.image_end,
        ):
            token = self.tokenizer.token_to_id(text)
            if token is None:
                raise CooperError(f"the tokenizer has no token {text!r}")
            ids.append(token)
        tables = self.tables
        return Geometry(
            *ids,
            latent_patch=tables.latent_patch,
            latent_side=tables.latent_side,
            latent_width=tables.latent_width,
            vit_patch=tables.vit_patch,
            vit_side=tables.vit_side,
        )

    @cached_property
    def vocabulary(self) -> int:
        """Tokens that may be sampled: logits are cut to this length."""
        return self.tokenizer.get_vocab_size(with_added_tokens=True)

    def encode(self, text: str) -> tuple[int, ...]:
        """Ids of a text that belongs to the checkpoint; texts of special tokens become those tokens."""
        return tuple(self.tokenizer.encode(text, add_special_tokens=False).ids)

    def encode_plain(self, text: str) -> tuple[int, ...]:
        """Ids of a user's text: nothing in it can become a special token."""
        return tuple(self.plain_tokenizer.encode(text, add_special_tokens=False).ids)

    def decode(self, ids: tuple[int, ...] | list[int]) -> str:
        """The text of ids; marks are left out."""
        marks = {self.geometry.bos, self.geometry.eos}
        return self.tokenizer.decode([i for i in ids if i not in marks], skip_special_tokens=False)

    def canvas(self, image: Image.Image) -> Image.Image:
        """The picture as the VAE sees it; maps of it are drawn at this size."""
        return self.vae.resize(image)

    def vae_pixels(self, image: Image.Image) -> Tensor:
        """Normalised pixels [3, H, W] of the VAE view."""
        return pixels_CHW(self.canvas(image))

    def vit_pixels(self, image: Image.Image) -> Tensor:
        """Normalised pixels [3, H, W] of the ViT view."""
        return vit_pixels_CHW(image, self.vae, self.vit, self.vit_after_vae)
