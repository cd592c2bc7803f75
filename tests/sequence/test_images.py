import struct
import zlib

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image

from cooper.errors import CooperError
from cooper.files.pictures import checked_image, read_image, to_rgb
from cooper.sequence.images import ImageTransform, pixels_CHW


def noise(width=40, height=30, channels=3):
    values = np.random.default_rng(0).integers(0, 256, (height, width, channels), dtype=np.uint8)
    return Image.fromarray(values[..., 0] if channels == 1 else values)


def refusal(path):
    with pytest.raises(CooperError) as caught:
        read_image(path)
    message = str(caught.value)
    assert path.name in message and "\n" not in message
    return message


def test_a_file_that_is_no_picture(tmp_path):
    path = tmp_path / "notes.png"
    path.write_text("not a picture")
    assert "not a picture" in refusal(path)


def test_missing_file_empty_file_and_folder(tmp_path):
    assert "No such file" in refusal(tmp_path / "absent.png")
    assert "is a folder, not a picture file" in refusal(tmp_path)
    (tmp_path / "empty.jpg").touch()
    refusal(tmp_path / "empty.jpg")


@pytest.mark.parametrize("suffix", ["png", "jpg", "webp", "bmp", "tif"])
@pytest.mark.parametrize("part", [0.3, 0.6])
def test_a_truncated_file(tmp_path, suffix, part):
    path = tmp_path / f"cut.{suffix}"
    noise(200, 150).save(path)
    content = path.read_bytes()
    path.write_bytes(content[: int(len(content) * part)])
    refusal(path)


@pytest.mark.parametrize("suffix", ["gif", "png", "webp", "tif"])
def test_an_animated_file_names_its_frames(tmp_path, suffix):
    path = tmp_path / f"moving.{suffix}"
    frames = [Image.new("RGB", (20, 20), (40 * i, 0, 0)) for i in range(3)]
    frames[0].save(path, save_all=True, append_images=frames[1:])
    assert "3 frames" in refusal(path)


def test_a_gif_of_one_frame_is_a_picture(tmp_path):
    Image.new("P", (20, 20), 3).save(tmp_path / "still.gif")
    assert read_image(tmp_path / "still.gif").mode == "RGB"


def test_a_photograph_with_extras_is_one_picture(tmp_path):
    path = tmp_path / "phone.jpg"
    noise().save(path, format="MPO", save_all=True, append_images=[noise(20, 15)])
    assert read_image(path).size == (40, 30)


def test_one_pixel_and_a_thread(tmp_path):
    Image.new("RGB", (1, 1)).save(tmp_path / "dot.png")
    assert "1 x 1" in refusal(tmp_path / "dot.png")
    Image.new("RGB", (20_000, 10)).save(tmp_path / "thread.png")
    assert "20000 x 10" in refusal(tmp_path / "thread.png")


@pytest.mark.parametrize("side", [12_000, 60_000])  # above the limit, and above twice the limit
def test_a_decompression_bomb_is_not_unpacked(tmp_path, side):
    def chunk(kind, body):
        return struct.pack(">I", len(body)) + kind + body + struct.pack(">I", zlib.crc32(kind + body))

    header = struct.pack(">IIBBBBB", side, side, 8, 0, 0, 0, 0)
    path = tmp_path / "bomb.png"
    path.write_bytes(b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", header) + chunk(b"IDAT", zlib.compress(b"\0")) + chunk(b"IEND", b""))
    assert "px that a picture may have" in refusal(path)


def test_a_16_bit_picture_is_scaled(tmp_path):
    wide = np.linspace(0, 65535, 400, dtype=np.uint16).reshape(20, 20)
    Image.fromarray(wide).save(tmp_path / "wide.png")
    image = read_image(tmp_path / "wide.png")
    assert image.mode == "RGB"
    np.testing.assert_allclose(np.asarray(image)[..., 0], wide / 257, atol=0.5)


@pytest.mark.parametrize("mode", ["CMYK", "L", "1", "P", "YCbCr", "LAB", "HSV"])
def test_other_colour_modes_become_rgb(mode):
    image = noise().convert("RGB" if mode == "LAB" else mode)
    assert to_rgb(image).mode == "RGB"


def test_cmyk_and_palette_files(tmp_path):
    noise().convert("CMYK").save(tmp_path / "print.jpg")
    noise().quantize(16).save(tmp_path / "few.png")
    assert read_image(tmp_path / "print.jpg").mode == read_image(tmp_path / "few.png").mode == "RGB"


def test_transparency_lies_on_white(tmp_path):
    clear = Image.new("RGBA", (10, 10), (255, 0, 0, 0))
    half = Image.new("RGBA", (10, 10), (255, 0, 0, 128))
    grey = Image.new("LA", (10, 10), (0, 0))
    assert to_rgb(clear).getpixel((0, 0)) == (255, 255, 255)
    assert to_rgb(half).getpixel((0, 0)) == (255, 127, 127)
    assert to_rgb(grey).getpixel((0, 0)) == (255, 255, 255)
    palette = Image.new("P", (10, 10), 0)
    palette.save(tmp_path / "clear.png", transparency=0)
    assert read_image(tmp_path / "clear.png").getpixel((0, 0)) == (255, 255, 255)


def test_a_picture_is_turned_upright(tmp_path):
    image = Image.new("RGB", (40, 20))
    exif = image.getexif()
    exif[0x0112] = 6  # orientation: turn by 90 degrees
    image.save(tmp_path / "turned.jpg", exif=exif)
    assert read_image(tmp_path / "turned.jpg").size == (20, 40)


def test_floating_point_pixels_are_refused():
    with pytest.raises(CooperError, match="known range"):
        checked_image(Image.new("F", (20, 20)))


def test_size_rules():
    vae = ImageTransform(1024, 512, 16)
    assert vae.size(640, 480) == (688, 512)
    assert vae.size(2048, 1024) == (1024, 512)
    assert ImageTransform(128, 64, 16, max_pixels=64 * 64).size(128, 128) == (
        32,
        32,
    )  # a quarter of each side: the area rule


@settings(deadline=None)
@given(st.integers(8, 5000), st.integers(8, 5000))
def test_sizes_are_multiples_within_the_longer_side(width, height):
    transform = ImageTransform(518, 224, 14)
    size = transform.size(width, height)
    assert size.width % 14 == size.height % 14 == 0 and min(size) >= 14 and max(size) <= 518


def test_pixels_span_minus_one_to_one():
    image = Image.fromarray(np.array([[[0, 255, 51]] * 3] * 2, dtype=np.uint8))
    pixels = pixels_CHW(image)
    assert pixels.shape == (3, 2, 3) and str(pixels.dtype) == "torch.float32"
    np.testing.assert_allclose(pixels[:, 0, 0], [-1.0, 1.0, -0.6], atol=1e-6)
