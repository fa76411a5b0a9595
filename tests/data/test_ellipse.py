import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from ebm_np.data.ellipse import NOISE, radii, sample_ellipse, sample_horn


@given(st.floats(0, 1))
def test_radii_are_those_of_the_note(x):
    alpha, beta = 1.5, 2.0
    expected = np.array([alpha * x + beta * (1 - x), beta * x + alpha * (1 - x)]) * np.exp(2 * x)
    np.testing.assert_allclose(radii(np.array(x)), expected, rtol=1e-14)
    np.testing.assert_allclose(radii(np.array([x, x])), [expected, expected], rtol=1e-14)


def test_the_ellipse_is_the_horn_at_zero_and_its_other_end_is_turned_and_larger():
    np.testing.assert_array_equal(radii(np.array(0.0)), [2, 1.5])
    np.testing.assert_allclose(radii(np.array(1.0)), np.array([1.5, 2]) * np.e**2)
    np.testing.assert_array_equal(radii(np.array(0.0), alpha=3, beta=7), [7, 3])


def test_horn_lies_on_its_radii():
    x, y = sample_horn(np.random.default_rng(0), 5000, noise=0)
    assert x.shape == (5000, 1)
    assert y.shape == (5000, 2)
    np.testing.assert_allclose(((y / radii(x[:, 0])) ** 2).sum(axis=1), 1, rtol=1e-12)
    assert 0 <= x.min() < x.max() < 1
    assert x.mean() == pytest.approx(0.5, abs=0.02)


def test_angles_are_uniform_on_the_ellipse():
    y = sample_ellipse(np.random.default_rng(1), 8000, noise=0) / [2, 1.5]
    counts = np.histogram(np.arctan2(y[:, 1], y[:, 0]), bins=8, range=(-np.pi, np.pi))[0]
    assert np.abs(counts - 1000).max() < 5 * np.sqrt(1000)


def test_the_noise_of_the_two_components_is_independent_and_of_the_stated_size():
    # erratum 3: the note writes one epsilon for both
    clean, noisy = (sample_ellipse(np.random.default_rng(2), 20_000, noise=s) for s in (0, 0.3))
    noise = noisy - clean
    np.testing.assert_allclose(noise.std(axis=0), 0.3, rtol=0.02)
    np.testing.assert_allclose(noise.mean(axis=0), 0, atol=0.01)
    assert abs(np.corrcoef(noise.T)[0, 1]) < 0.03
    assert NOISE == 1 / 20


def test_the_ellipse_of_any_input_is_a_slice_of_the_horn():
    y = sample_ellipse(np.random.default_rng(3), 100, x=0.7, noise=0)
    np.testing.assert_allclose(((y / radii(np.array(0.7))) ** 2).sum(axis=1), 1, rtol=1e-12)


def test_without_an_input_it_is_the_ellipse_and_without_a_noise_that_of_the_lecture():
    y = sample_ellipse(np.random.default_rng(3), 100, noise=0)
    np.testing.assert_allclose(((y / [2, 1.5]) ** 2).sum(axis=1), 1, rtol=1e-12)
    for sample in (sample_horn, sample_ellipse):
        one, same = (sample(np.random.default_rng(4), 10, **options) for options in ({}, {"noise": 1 / 20}))
        np.testing.assert_array_equal(one[-1], same[-1])
        assert one[-1].dtype == np.float64


def test_inputs_may_come_in_any_shape():
    assert radii(np.zeros((2, 3, 1))).shape == (2, 3, 1, 2)
    np.testing.assert_array_equal(radii(0), [2, 1.5])


def test_float32_on_request_and_determined_by_the_generator():
    for sample in (sample_horn, sample_ellipse):
        one, same = (sample(np.random.default_rng(4), 10, dtype=np.float32) for _ in range(2))
        np.testing.assert_array_equal(one[-1], same[-1])
        assert one[-1].dtype == np.float32
    assert {part.dtype for part in sample_horn(np.random.default_rng(4), 10, dtype=np.float32)} == {np.dtype("f4")}


@pytest.mark.parametrize("sample", [sample_horn, sample_ellipse])
@pytest.mark.parametrize(
    ("name", "arguments", "options"),
    [
        ("rng", (0, 5), {}),
        ("n", (np.random.default_rng(0), 0), {}),
        ("n", (np.random.default_rng(0), 2.5), {}),
        ("noise", (np.random.default_rng(0), 5), {"noise": -1}),
        ("noise", (np.random.default_rng(0), 5), {"noise": np.nan}),
        ("dtype", (np.random.default_rng(0), 5), {"dtype": int}),
    ],
)
def test_bad_arguments_are_named(sample, name, arguments, options):
    with pytest.raises((TypeError, ValueError), match=f"^{name}: expected"):
        sample(*arguments, **options)


@pytest.mark.parametrize(
    ("name", "call"),
    [
        ("x", lambda: radii(np.nan)),
        ("x", lambda: radii("one")),
        ("x", lambda: sample_ellipse(np.random.default_rng(0), 5, x=-0.1)),
        ("x", lambda: sample_ellipse(np.random.default_rng(0), 5, x=None)),
        ("alpha", lambda: radii(0.0, alpha=0.0)),
        ("beta", lambda: radii(0.0, beta=-1.0)),
        (r"rho\(x\)", lambda: radii(1e3)),
        (r"rho\(x\)", lambda: radii([0.0, 200.0])),
    ],
)
def test_bad_inputs_and_radii_are_named_too(name, call):
    with pytest.raises((TypeError, ValueError), match=f"^{name}: expected"):
        call()
