import numpy as np
import pytest

from ebm_np.data.bars import bars_and_stripes, log_likelihood_bound


@pytest.mark.parametrize("n", [1, 2, 3, 5])
@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_each_picture_is_the_same_along_its_rows_or_along_its_columns_and_all_such_are_there(n, dtype):
    pictures = bars_and_stripes(n, dtype=dtype)
    assert pictures.shape == (2 ** (n + 1), n * n)
    assert pictures.dtype == dtype
    seen = {}
    for picture in pictures.reshape(-1, n, n):
        rows, columns = (picture == picture[:, :1]).all(), (picture == picture[:1]).all()
        assert rows or columns
        seen[picture.tobytes()] = seen.get(picture.tobytes(), 0) + 1
        if n > 1:
            assert seen[picture.tobytes()] <= 1 + (rows and columns)
    assert len(seen) == 2 ** (n + 1) - 2 if n > 1 else 2
    np.testing.assert_array_equal(np.sort(1 - pictures, axis=0), np.sort(pictures, axis=0))


def test_those_of_rows_come_first_and_twelve_pixels_a_side_are_the_most():
    pictures = bars_and_stripes(12).reshape(2, 2**12, 12, 12)
    assert pictures.dtype == np.float64
    assert (pictures[0] == pictures[0][:, :, :1]).all()
    np.testing.assert_array_equal(pictures[1], pictures[0].swapaxes(1, 2))
    with pytest.raises(ValueError, match=r"^n: expected at most 12, got 13$"):
        bars_and_stripes(13)


def test_the_best_likelihood_is_that_of_the_frequencies():
    assert log_likelihood_bound(bars_and_stripes(3)) == pytest.approx(-2.599302, abs=1e-6)
    assert log_likelihood_bound(np.eye(7)) == pytest.approx(-np.log(7))
    assert log_likelihood_bound(np.ones((5, 3))) == 0


@pytest.mark.parametrize("bad", [0, -1, 13, 1.5, "3", None, True])
def test_a_bad_size_is_refused_by_name(bad):
    with pytest.raises((TypeError, ValueError), match=r"^n: expected"):
        bars_and_stripes(bad)


def test_other_bad_arguments_are_refused_by_name():
    with pytest.raises((TypeError, ValueError), match=r"^dtype: expected"):
        bars_and_stripes(2, dtype=int)
    for bad in (None, np.zeros(3), np.zeros((0, 3)), "y", np.full((2, 2), np.nan)):
        with pytest.raises((TypeError, ValueError), match=r"^y: expected"):
            log_likelihood_bound(bad)
    with pytest.raises(ValueError, match=r"^y: expected shape \(N, d\), got shape \(3,\)$"):
        log_likelihood_bound(np.zeros(3))
