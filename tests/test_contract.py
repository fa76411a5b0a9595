"""What every model promises: the tests that the table in `contract_models` is held to."""

import numpy as np
import pytest
from contract_models import MODELS
from guards import read_only

from ebm_np.foundations.parameters import leaves, tree_map


def those(has):
    """Return the models that have a function, as a parametrization."""
    found = {name: model for name, model in MODELS.items() if getattr(model, has) is not None}
    return pytest.mark.parametrize("model", found.values(), ids=found)


EVERY_MODEL, EVERY_INFERRING_MODEL, EVERY_TRAINED_MODEL = those("params"), those("infer"), those("fit")
FUNCTIONS = [pytest.param(m, f, id=f"{name}, {k}") for name, m in MODELS.items() for k, f in m.per_sample.items()]
EVERY_FUNCTION = pytest.mark.parametrize(("model", "function"), FUNCTIONS)
N = 9


def data(model):
    return tuple(model.data.values())


def fitted(model, params, *arguments, seed=0):
    return model.fit(params, *arguments, rng=np.random.default_rng(seed))


def in_single(model):
    return tree_map(lambda a: np.asarray(a, np.float32), (model.params, data(model)))


@EVERY_MODEL
def test_arguments_are_never_written_to(model):
    params, arguments = read_only(model.params), read_only(data(model))
    for function in (model.infer, model.grad_params, *model.per_sample.values()):
        if function is not None:
            function(params, *arguments)
    if model.fit is not None:
        fitted(model, params, *arguments)


@EVERY_FUNCTION
def test_float32_in_float32_out_and_float64_otherwise(model, function):
    params, arguments = in_single(model)
    single, double = function(params, *arguments), function(model.params, *data(model))
    assert single.dtype == np.float32
    assert double.dtype == np.float64
    np.testing.assert_allclose(single, double, rtol=1e-3, atol=1e-3 * np.abs(double).max())


@EVERY_TRAINED_MODEL
def test_training_keeps_float32(model):
    params, arguments = in_single(model)
    assert {leaf.dtype for leaf in leaves(fitted(model, params, *arguments).params)} == {np.dtype("f4")}


@EVERY_INFERRING_MODEL
def test_inference_keeps_float32(model):
    params, arguments = in_single(model)
    found = model.infer(params, *arguments)
    assert {leaf.dtype for leaf in (found.z, found.energy, found.trace)} == {np.dtype("f4")}


@those("grad_params")
def test_weights_lift_nothing_to_float64(model):
    params, arguments = in_single(model)
    grads = model.grad_params(params, *arguments, weights=np.linspace(0, 1, N))
    assert {leaf.dtype for leaf in leaves(grads)} == {np.dtype("f4")}


@those("grad_params")
def test_gradients_are_sums_over_rows_with_weights_and_means_without(model):
    rows = [model.grad_params(model.params, *(a[n : n + 1] for a in data(model))) for n in range(N)]
    for weights in (np.linspace(-1, 1, N), None):
        c = np.full(N, 1 / N) if weights is None else weights
        expected = tree_map(lambda *each, c=c: np.tensordot(c, np.array(each), 1), *rows)
        grads = model.grad_params(model.params, *data(model), weights=weights)
        for grad, sum_ in zip(leaves(grads), leaves(expected), strict=True):
            np.testing.assert_allclose(grad, sum_, rtol=1e-4, atol=1e-3 * (1e-3 + np.abs(sum_).max()))


@EVERY_FUNCTION
def test_a_batch_is_its_rows_one_by_one(model, function):
    together = function(model.params, *data(model))
    alone = [function(model.params, *(a[n : n + 1] for a in data(model)))[0] for n in range(N)]
    np.testing.assert_allclose(together, alone, rtol=1e-5, atol=1e-6 * np.abs(together).max())


VIEWS = {
    "Fortran": np.asfortranarray,
    "strided": lambda a: np.repeat(a, 2, axis=0)[::2],
    "reversed": lambda a: np.ascontiguousarray(a[::-1])[::-1],
    "broadcast": lambda a: np.broadcast_to(a[:1], a.shape),
}


@EVERY_FUNCTION
@pytest.mark.parametrize("view", VIEWS.values(), ids=VIEWS)
def test_the_layout_in_memory_does_not_matter(model, function, view):
    looked_at = tuple(map(view, data(model)))
    copies = tuple(np.array(a, order="C") for a in looked_at)
    np.testing.assert_allclose(
        function(model.params, *looked_at), function(model.params, *copies), rtol=1e-6, atol=1e-9
    )


@EVERY_FUNCTION
def test_the_layout_of_parameters_does_not_matter(model, function):
    turned = tree_map(np.asfortranarray, model.params)
    np.testing.assert_allclose(
        function(turned, *data(model)), function(model.params, *data(model)), rtol=1e-6, atol=1e-9
    )


@EVERY_INFERRING_MODEL
@pytest.mark.parametrize("n", [1, N])
def test_results_have_a_row_a_sample(model, n):
    found = model.infer(model.params, *(a[:n] for a in data(model)))
    assert len(found.z) == len(found.energy) == len(found.converged) == found.trace.shape[1] == n
    assert found.converged.dtype == bool
    assert isinstance(found.n_iter, int)


@EVERY_TRAINED_MODEL
def test_training_is_decided_by_the_seed(model):
    one, same = (fitted(model, model.params, *data(model), seed=3) for _ in range(2))
    for a, b in zip(leaves(one.params), leaves(same.params), strict=True):
        np.testing.assert_array_equal(a, b)
    np.testing.assert_array_equal(one.history, same.history)
    assert one.history.shape == (2,)


@EVERY_TRAINED_MODEL
def test_trained_parameters_have_the_structure_of_the_untrained(model):
    params = fitted(model, model.params, *data(model)).params
    assert type(params) is type(model.params)
    assert [a.shape for a in leaves(params)] == [a.shape for a in leaves(model.params)]


@EVERY_TRAINED_MODEL
def test_a_single_sample_is_learned_from_or_refused_by_name(model):
    """Those that hold a part of the data out need two."""
    try:
        result = fitted(model, model.params, *(a[:1] for a in data(model)))
    except ValueError as error:
        assert str(error).startswith("y: expected")  # noqa: PT017 - either will do
    else:
        assert all(np.isfinite(leaf).all() for leaf in leaves(result.params))


BAD = {
    "NaN": lambda a: np.where(np.arange(a.size).reshape(a.shape) == 3, np.nan, a),
    "infinity": lambda a: np.where(np.arange(a.size).reshape(a.shape) == 3, np.inf, a),
    "empty": lambda a: a[:0],
    "too wide": lambda a: np.hstack([a, a]),
    "wrong rank": lambda a: a[0],
    "rows of unequal length": lambda a: [[1.0], [1.0, 2.0]],
    "a string": lambda a: "y",
    "strings": lambda a: a.astype(str),
    "dates": lambda a: a.astype("datetime64[s]"),
    "None": lambda a: None,
    "objects": lambda a: a.astype(object),
    "complex numbers": lambda a: a + 0j,
}
SPOILED = [pytest.param(m, which, id=f"{name}, {which}") for name, m in MODELS.items() for which in m.data]


@pytest.mark.parametrize(("model", "which"), SPOILED)
@pytest.mark.parametrize("bad", BAD)
def test_bad_data_is_refused_by_name(model, which, bad):
    spoiled = model.data | {which: BAD[bad](model.data[which])}
    names = "|".join(model.data) if bad in ("empty", "too wide", "wrong rank") else which
    doors = [*model.per_sample.values()] if model.infer is None else [model.infer]
    if model.fit is not None and which != model.not_in_fit:
        doors.append(lambda *arguments: fitted(model, *arguments))
    for door in doors if bad not in model.accepts else []:
        with pytest.raises((ValueError, TypeError), match=f"^({names}): expected"):
            door(model.params, *spoiled.values())
