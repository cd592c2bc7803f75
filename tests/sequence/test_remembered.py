"""What was made of a picture is remembered by its pixels."""

from PIL import Image

from cooper.reasoning.cooper import Cooper
from cooper.sequence.images import Remembered
from tests.networks import picture


def test_a_picture_is_known_by_its_pixels_and_the_one_not_asked_for_longest_goes():
    made: list[Image.Image] = []

    def size_of(image: Image.Image) -> tuple[int, int]:
        made.append(image)
        return image.size

    remembered = Remembered(size_of, most=2)
    red, copy = Image.new("RGB", (4, 2), "red"), Image.new("RGB", (4, 2), "red")
    turned, blue = Image.new("RGB", (2, 4), "red"), Image.new("RGB", (4, 2), "blue")
    assert remembered(red) == remembered(copy) == (4, 2) and made == [red]
    assert remembered(turned) == (2, 4) and made == [red, turned]
    remembered(red), remembered(blue), remembered(red)
    assert made == [red, turned, blue]
    remembered(turned)
    assert made == [red, turned, blue, turned]


def test_a_picture_that_is_asked_about_again_is_encoded_once(monkeypatch):
    nano = Cooper.from_pretrained("nano")
    vae, seen = nano.engine.parts.model.vae, []
    latents = vae.latents
    monkeypatch.setattr(vae, "latents", lambda pixels: seen.append(len(pixels)) or latents(pixels))
    layout = nano.engine.parts.layout
    first, again = (layout.latent_of(picture()) for _ in range(2))
    assert seen == [1] and (first == again).all()
