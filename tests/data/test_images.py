import numpy as np
import pytest
from guards import read_only
from hypothesis import given
from hypothesis import strategies as st

from ebm_np.data.images import channels_first, random_crops
from ebm_np.data.patches import random_patches

GOOD = np.zeros((5, 5))
kinds = st.sampled_from([(), (1,), (3,)])


@given(st.integers(1, 4), st.integers(1, 6), st.integers(1, 6), kinds)
def test_every_channel_of_every_image_is_at_its_place(n, height, width, channels):
    stack = np.arange(float(n * height * width * sum(channels or (1,)))).reshape(n, height, width, *channels)
    images = read_only(tuple(stack))
    for given_as in (images, list(images), stack):
        result = channels_first(given_as)
        assert result.shape == (n, *(channels or (1,)), height, width)
        assert result.flags.c_contiguous
        assert result.flags.writeable
        assert not np.shares_memory(result, stack)
        for image, got in zip(images, result, strict=True):
            for c in range(len(got)):
                np.testing.assert_array_equal(got[c], image[:, :, c] if channels else image)


@given(st.integers(1, 5), kinds, st.integers(0, 2**32 - 1))
def test_crops_are_the_patches_with_channels_first(size, channels, seed):
    rng = np.random.default_rng(seed)
    images = read_only((rng.normal(size=(6, 7, *channels)), rng.normal(size=(5, 9, *channels))))
    crops = random_crops(images, np.random.default_rng(seed), 4, size)
    patches = random_patches(images, np.random.default_rng(seed), 4, size)
    assert crops.shape == (4, *(channels or (1,)), size, size)
    assert crops.flags.c_contiguous
    np.testing.assert_array_equal(np.moveaxis(crops, 1, 3).reshape(4, -1), patches)


@pytest.mark.parametrize("channels", [(), (1,), (3,)])
def test_every_crop_is_a_piece_of_an_image(channels):
    image = np.arange(8.0 * 9 * sum(channels or (1,))).reshape(8, 9, *channels)
    whole = channels_first([image])[0]
    for crop in random_crops([image], np.random.default_rng(0), 20, 3):
        ((row, column),) = np.argwhere(whole[0] == crop[0, 0, 0])
        np.testing.assert_array_equal(crop, whole[:, row : row + 3, column : column + 3])


def test_the_type_is_kept():
    image = np.ones((4, 5), np.float32)
    assert channels_first([image]).dtype == np.float32
    assert channels_first([image, image.astype(float)]).dtype == np.float64
    assert channels_first([np.full((2, 2), 255, np.uint8)]).tolist() == [[[[255.0, 255.0], [255.0, 255.0]]]]
    assert random_crops([image], np.random.default_rng(0), 2, 3).dtype == np.float32


@pytest.mark.parametrize(
    ("name", "images"),
    [
        ("images", []),
        ("images", GOOD),
        ("images", None),
        ("images", iter([GOOD])),
        ("images", [GOOD, np.zeros((5, 6))]),
        ("images", [np.zeros((5, 5, 3)), np.zeros((5, 5, 1))]),
        (r"images\[1\]", [GOOD, np.full((5, 5), np.nan)]),
        (r"images\[1\]", [GOOD, np.zeros((5, 5, 3))]),
        (r"images\[1\]", [GOOD, None]),
        (r"images\[0\]", [np.zeros(5)]),
        (r"images\[0\]", [np.zeros((0, 5))]),
        (r"images\[0\]", [np.zeros((2, 5, 5, 3))]),
        (r"images\[1\]", ((GOOD,), ("name",))),  # nested lists of three axes are images, words are not
    ],
)
def test_bad_images_are_refused_by_name(name, images):
    with pytest.raises((TypeError, ValueError), match=rf"^{name}: expected"):
        channels_first(images)


@pytest.mark.parametrize(
    ("name", "images", "n", "size"),
    [
        ("images", [], 3, 2),
        (r"images\[0\]", [np.full((5, 5), np.nan)], 3, 2),
        ("n", [GOOD], 0, 2),
        ("size", [GOOD], 3, 6),
        ("size", [GOOD], 3, 2.0),
    ],
)
def test_bad_crops_are_refused_by_name(name, images, n, size):
    with pytest.raises((TypeError, ValueError), match=rf"^{name}: expected"):
        random_crops(images, np.random.default_rng(0), n, size)
