import logging
import re
import sys

import numpy as np
import pytest
from PIL import Image

from ebm_np.data.photographs import load, read_image

RNG = np.random.default_rng(0)
GRAY = RNG.integers(0, 256, (5, 4), dtype=np.uint8)
RGB = RNG.integers(0, 256, (5, 4, 3), dtype=np.uint8)
DEEP = RNG.integers(0, 65536, (5, 4), dtype=np.uint16)


def save(path, values, mode=None, **options):
    image = Image.fromarray(values)
    (image if mode is None else image.convert(mode)).save(path, **options)
    return path


def mode(path):
    with Image.open(path) as image:
        return image.mode


def luma(rgb):
    return rgb[..., 0] * 0.299 + rgb[..., 1] * 0.587 + rgb[..., 2] * 0.114


def test_colour_and_its_luma(tmp_path):
    path = save(tmp_path / "a.png", RGB)
    np.testing.assert_array_equal(read_image(path, gray=False), RGB / 255)
    np.testing.assert_allclose(read_image(path), luma(RGB / 255), rtol=1e-14)
    assert np.abs(read_image(path) * 255 - np.asarray(Image.fromarray(RGB).convert("L"))).max() <= 1


def test_gray_stays_gray_and_becomes_three_equal_channels(tmp_path):
    path = save(tmp_path / "a.png", GRAY)
    np.testing.assert_array_equal(read_image(path), GRAY / 255)
    np.testing.assert_array_equal(read_image(path, gray=False), np.stack([GRAY / 255] * 3, axis=2))


def test_white_is_one(tmp_path):
    path = save(tmp_path / "a.png", np.full((3, 3, 3), 255, np.uint8))
    np.testing.assert_array_equal(read_image(path), 1.0)


def test_gray_stored_as_colour_is_gray_exactly(tmp_path):
    levels = np.arange(256, dtype=np.uint8).reshape(16, 16)
    path = save(tmp_path / "a.png", np.stack([levels] * 3, axis=2))
    np.testing.assert_array_equal(read_image(path), levels / 255)


@pytest.mark.parametrize("name", ["a.png", "a.tif", "a.pgm"])
def test_sixteen_bits_are_not_clipped(tmp_path, name):
    path = save(tmp_path / name, DEEP)
    np.testing.assert_array_equal(read_image(path), DEEP / 65535)
    np.testing.assert_array_equal(read_image(path, gray=False)[:, :, 1], DEEP / 65535)


def test_sixteen_bits_big_endian(tmp_path):
    Image.frombytes("I;16B", (4, 5), DEEP.astype(">u2").tobytes()).save(tmp_path / "a.tif")
    np.testing.assert_array_equal(read_image(tmp_path / "a.tif"), DEEP / 65535)


def test_thirty_two_bits_hold_sixteen_or_are_refused(tmp_path):
    path = save(tmp_path / "a.tif", DEEP.astype(np.int32))
    np.testing.assert_array_equal(read_image(path), DEEP / 65535)
    save(path, DEEP.astype(np.int32) + 65536)
    with pytest.raises(ValueError, match=r"a\.tif: expected .*0 to 65535"):
        read_image(path)


def test_floats_are_fractions_or_are_refused(tmp_path):
    fractions = RNG.random((5, 4), dtype=np.float32)
    path = save(tmp_path / "a.tif", fractions)
    np.testing.assert_array_equal(read_image(path), fractions)
    for wrong in (fractions + 1, fractions - 1, fractions * np.nan):
        save(path, wrong)
        with pytest.raises(ValueError, match=r"a\.tif: expected .*0 to 1"):
            read_image(path)


def test_one_bit(tmp_path):
    path = save(tmp_path / "a.png", np.where(GRAY > 127, 255, 0).astype(np.uint8), "1")
    assert mode(path) == "1"
    np.testing.assert_array_equal(read_image(path), GRAY > 127)


def test_a_palette_shows_its_colours(tmp_path):
    colours = np.array([[[255, 0, 0], [0, 0, 255]], [[9, 200, 30], [255, 255, 255]]], np.uint8)
    path = tmp_path / "a.png"
    Image.fromarray(colours).quantize(4).save(path)
    assert mode(path) == "P"
    np.testing.assert_array_equal(read_image(path, gray=False), colours / 255)


@pytest.mark.parametrize("mode", ["RGBA", "LA"])
def test_what_is_transparent_lies_on_white(tmp_path, mode):
    values = Image.fromarray(RGB).convert(mode)
    alpha = np.zeros((5, 4), np.uint8)
    alpha[:3] = 255
    values.putalpha(Image.fromarray(alpha))
    values.save(tmp_path / "a.png")
    result = read_image(tmp_path / "a.png", gray=False)
    np.testing.assert_array_equal(result[3:], 1.0)
    np.testing.assert_array_equal(result[:3], np.asarray(values.convert("RGB"))[:3] / 255)


def test_a_transparent_colour_and_a_transparent_palette_entry(tmp_path):
    path = save(tmp_path / "a.png", np.array([[0, 10], [20, 30]], np.uint8), transparency=20)
    np.testing.assert_allclose(read_image(path), np.array([[0, 10], [255, 30]]) / 255, rtol=1e-14)
    palette = Image.new("P", (2, 1))
    palette.putpalette([255, 0, 0, 0, 255, 0])
    palette.putpixel((1, 0), 1)
    palette.save(path, transparency=1)
    np.testing.assert_array_equal(read_image(path, gray=False), [[[1, 0, 0], [1, 1, 1]]])


def test_cmyk(tmp_path):
    cmyk = np.zeros((8, 8, 4), np.uint8)
    cmyk[..., 1:3] = 255  # magenta and yellow make red
    Image.frombytes("CMYK", (8, 8), cmyk.tobytes()).save(tmp_path / "a.tif")
    np.testing.assert_array_equal(read_image(tmp_path / "a.tif", gray=False)[0, 0], [1, 0, 0])


def test_a_picture_is_turned_as_its_camera_was(tmp_path):
    exif = Image.Exif()
    exif[0x0112] = 6  # the camera stood on its right side: turn clockwise
    path = save(tmp_path / "a.png", GRAY, exif=exif)
    np.testing.assert_array_equal(read_image(path), np.rot90(GRAY, -1) / 255)


def test_a_folder_in_the_order_of_its_names(tmp_path):
    save(tmp_path / "b.png", GRAY)
    save(tmp_path / "a.JPG", RGB, format="JPEG")
    (tmp_path / "README.md").write_text("no picture")
    (tmp_path / ".hidden.png").write_text("no picture")
    photos = load(tmp_path)
    assert photos.names == ("a", "b")
    assert photos.source == "2 photographs"
    assert [image.shape for image in photos.images] == [(5, 4), (5, 4)]
    assert all(image.dtype == np.float64 and 0 <= image.min() <= image.max() <= 1 for image in photos.images)
    colour = load(tmp_path, gray=False, dtype=np.float32)
    assert [image.shape for image in colour.images] == [(5, 4, 3), (5, 4, 3)]
    assert all(image.dtype == np.float32 for image in colour.images)


def test_the_default_folder(monkeypatch, tmp_path, caplog):
    monkeypatch.setenv("EBM_NP_DATA", str(tmp_path))
    (tmp_path / "photographs").mkdir()
    save(tmp_path / "photographs" / "a.png", GRAY)
    assert load().names == ("a",)
    assert load().source == "1 photograph"
    assert not caplog.records


@pytest.mark.parametrize("value", ["", "folder without photographs"])
def test_the_sample_picture_stands_in_and_says_so(monkeypatch, tmp_path, caplog, value):
    monkeypatch.setenv("EBM_NP_DATA", value and str(tmp_path))
    with caplog.at_level(logging.WARNING):
        photos = load()
    assert photos.names == ("grace_hopper",)
    assert "no photographs found" in photos.source
    assert [record.name for record in caplog.records] == ["ebm_np.data.photographs"]
    assert photos.images[0].shape == (600, 512)
    assert photos.images[0].std() > 0.1


def test_missing_and_empty_folders(monkeypatch, tmp_path):
    with pytest.raises(FileNotFoundError, match=r"folder: expected .*nowhere"):
        load(tmp_path / "nowhere")
    with pytest.raises(FileNotFoundError, match="expected pictures"):
        load(tmp_path)
    monkeypatch.setenv("EBM_NP_DATA", str(tmp_path))
    (tmp_path / "photographs").mkdir()
    with pytest.raises(FileNotFoundError, match="expected pictures"):
        load()


@pytest.mark.parametrize("name", ["a.png", "a.jpg", "a.tif", "a.gif", "a.bmp", "a.webp", "a.ppm"])
def test_every_cut_picture_is_refused_by_name(tmp_path, name):
    noise = RNG.integers(0, 256, (40, 40, 3), dtype=np.uint8)
    path = save(tmp_path / name, noise)
    content = path.read_bytes()
    for part in np.linspace(0, 0.9, 7):
        path.write_bytes(content[: int(part * len(content))])
        with pytest.raises(ValueError, match=rf"{re.escape(str(path))}: expected a whole, readable picture"):
            load(tmp_path)


def test_a_picture_that_is_none(tmp_path):
    (tmp_path / "a.png").write_text("no picture")
    with pytest.raises(ValueError, match=r"a\.png: expected a whole, readable picture"):
        load(tmp_path)


def test_without_pillow(monkeypatch, tmp_path):
    save(tmp_path / "a.png", GRAY)
    monkeypatch.setitem(sys.modules, "PIL.Image", None)
    with pytest.raises(ImportError, match=r"Pillow is needed .*pip install 'ebm_np\[figures\]'"):
        load(tmp_path)


def test_bad_type(tmp_path):
    with pytest.raises(TypeError, match="dtype: expected"):
        load(tmp_path, dtype=int)
