"""Photographs become the pixels that the field's usual transforms give."""

import numpy as np
import pytest
from PIL import Image
from torchvision.transforms import v2

from bench.data.decoding import Preprocessing, decode
from bench.errors import InputError
from tests.support.photographs import photograph


def test_without_a_size_the_middle_is_cut_out_as_it_is(tmp_path):
    pixels = photograph(tmp_path / "a.png", 10, 7)
    found = decode(tmp_path / "a.png", Preprocessing(None, 4, None, 3))
    np.testing.assert_array_equal(found, pixels[2:6, 3:7])


@pytest.mark.parametrize(("width", "height"), [(40, 57), (57, 40), (31, 31), (33, 500), (32, 32)])
@pytest.mark.parametrize("interpolation", ["nearest", "bilinear", "bicubic", "lanczos"])
def test_sizes_and_crops_are_those_of_torchvision(tmp_path, width, height, interpolation):
    photograph(tmp_path / "a.png", width, height)
    with Image.open(tmp_path / "a.png") as image:
        how = v2.Compose([v2.Resize(32, v2.InterpolationMode(interpolation)), v2.CenterCrop(28), v2.PILToTensor()])
        expected = how(image.convert("RGB"))
    found = decode(tmp_path / "a.png", Preprocessing(32, 28, interpolation, 3))
    np.testing.assert_array_equal(found.transpose(2, 0, 1), expected.numpy())


@pytest.mark.parametrize(("mode", "channels"), [("L", 3), ("RGB", 1), ("RGBA", 3)])
def test_channels_are_the_ones_asked_for(tmp_path, mode, channels):
    photograph(tmp_path / "a.png", 8, 8, mode=mode)
    assert decode(tmp_path / "a.png", Preprocessing(None, 8, None, channels)).shape == (8, 8, channels)


@pytest.mark.parametrize(
    ("content", "says"),
    [
        (None, "is missing"),
        (b"no image", "cannot be decoded"),
        ("cut", "cannot be decoded"),
        ("small", r"is 3×3 pixels"),
    ],
)
def test_what_gives_no_pixels_is_named(tmp_path, content, says):
    path = tmp_path / "a.png"
    if content in {"cut", "small"}:
        photograph(path, 3, 3)
    if content == "cut":
        path.write_bytes(path.read_bytes()[:-30])
    elif isinstance(content, bytes):
        path.write_bytes(content)
    with pytest.raises(InputError, match=f"a.png.*{says}"):
        decode(path, Preprocessing(None, 4, None, 3))


def test_deep_images_are_not_clipped_in_silence(tmp_path):
    Image.fromarray(np.full((4, 4), 1000, np.uint16)).save(tmp_path / "a.png")
    with pytest.raises(InputError, match="more than eight bits"):
        decode(tmp_path / "a.png", Preprocessing(None, 4, None, 1))
