import numpy as np
import pytest

from ebm_np.foundations.validation import floating


@pytest.mark.parametrize("value", [np.float32, "float32", "<f4", ">f4", np.dtype("f4")])
def test_float32_by_any_name_is_native(value):
    assert floating("dtype", value) == np.float32
    assert floating("dtype", value).isnative


@pytest.mark.parametrize("value", [float, "float64", np.float64, "d"])
def test_float64_by_any_name(value):
    assert floating("dtype", value) == np.float64


@pytest.mark.parametrize("value", [None, int, "float16", complex, np.longdouble, "no such", object(), bool])
def test_anything_else_is_refused_by_name(value):
    with pytest.raises(TypeError, match="dtype: expected float32 or float64, got"):
        floating("dtype", value)
