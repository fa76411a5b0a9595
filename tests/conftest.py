"""Hypothesis profiles, and a fixture that fails tests which touch what they should not."""

import os

for name in ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS", "VECLIB_MAXIMUM_THREADS"):
    os.environ.setdefault(name, "1")  # before NumPy is imported: tests run on all cores at once

import numpy as np
import pytest
from hypothesis import HealthCheck, Phase, settings

settings.register_profile("dev", max_examples=20, deadline=None)
settings.register_profile(
    "ci", max_examples=40, deadline=None, derandomize=True, suppress_health_check=[HealthCheck.too_slow]
)
settings.register_profile("thorough", max_examples=2000, deadline=None)
settings.register_profile(  # a mutant has many tests to fail, and nobody looks at its smallest example
    "mutation",
    max_examples=10,
    deadline=None,
    derandomize=True,
    database=None,
    phases=[Phase.explicit, Phase.generate],
    suppress_health_check=list(HealthCheck),
)
settings.load_profile(os.environ.get("HYPOTHESIS_PROFILE", "ci"))


@pytest.fixture(autouse=True)
def no_global_state_is_touched():
    before = np.random.get_state()  # noqa: NPY002 - watched so that nobody uses it
    errors = np.geterr()
    yield
    after = np.random.get_state()  # noqa: NPY002
    assert all(np.array_equal(a, b) for a, b in zip(before, after, strict=True)), "the global random state was used"
    assert np.geterr() == errors, "the floating-point error handling was changed"


@pytest.fixture
def rng():
    return np.random.default_rng(20201018)
