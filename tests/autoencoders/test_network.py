from itertools import pairwise

import numpy as np
import pytest
from guards import read_only
from hypothesis import assume, given
from hypothesis import strategies as st
from strategies import generators

from ebm_np.autoencoders.network import Params, Tied, checked, gathered, init, untied
from ebm_np.foundations.gradient_check import gradient_check
from ebm_np.foundations.layers import ACTIVATIONS, Affine, affine, mlp, mlp_forward, mlp_vjp
from ebm_np.foundations.parameters import flatten, inner, leaves, tree_map

NAMES = pytest.mark.parametrize("f", sorted(ACTIVATIONS))
TIED = pytest.mark.parametrize("tied", [False, True], ids=["untied", "tied"])
names = st.sampled_from(sorted(ACTIVATIONS))
depths = st.integers(1, 3)


def draw_widths(rng, depth):
    return tuple(int(width) for width in rng.integers(1, 5, depth + 1))


def draw_network(rng, widths, tied, f="tanh"):
    """A network whose offsets are not zero."""
    network = tree_map(lambda a: a + 0.5 * rng.normal(size=a.shape), init(rng, widths, f, tied=tied))
    return read_only(network)


def same(a, b):
    assert type(a) is type(b)
    for one, other in zip(leaves(a), leaves(b), strict=True):
        np.testing.assert_array_equal(one, other)
        assert one.dtype == other.dtype


# where to start


@TIED
@given(generators(), depths)
def test_the_encoder_goes_from_observation_to_code_and_the_decoder_the_same_way_back(tied, rng, depth):
    widths = draw_widths(rng, depth)
    network = init(rng, widths, tied=tied)
    assert type(network) is (Tied if tied else Params)
    encoder, decoder = untied(network)
    assert [layer.W.shape for layer in encoder] == [(k, d) for d, k in pairwise(widths)]
    assert [layer.W.shape for layer in decoder] == [(k, d) for d, k in pairwise(widths[::-1])]
    for layer in (*encoder, *decoder):
        assert type(layer) is Affine
        assert layer.b.shape == layer.W.shape[:1]
        assert not layer.b.any()


@NAMES
@TIED
def test_weights_are_normal_with_variance_one_over_the_inputs_and_for_relu_twice_that(tied, f):
    encoder, decoder = init(np.random.default_rng(0), (300, 100, 50), f, tied=tied)
    for W, _ in encoder if tied else (*encoder, *decoder):
        standard = W * np.sqrt(W.shape[1] / (2 if f == "relu" else 1))
        assert abs(standard.mean()) < 4 / np.sqrt(W.size)
        assert abs(standard.var() - 1) < 4 * np.sqrt(2 / W.size)
        assert abs((standard**4).mean() - 3) < 4 * np.sqrt(96 / W.size)  # 3 only for a normal distribution


@TIED
@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_a_network_has_the_type_asked_for_and_is_decided_by_the_seed(tied, dtype):
    one, again, other = (init(np.random.default_rng(s), (4, 3, 2), tied=tied, dtype=dtype) for s in (1, 1, 2))
    assert {leaf.dtype for leaf in leaves(one)} == {np.dtype(dtype)}
    assert {leaf.dtype for leaf in leaves(init(np.random.default_rng(1), (4, 3), tied=tied))} == {np.dtype(float)}
    same(one, again)
    assert not np.array_equal(one.encoder[0].W, other.encoder[0].W)


# tied weights


def test_a_network_that_is_not_tied_is_handed_on_as_it_is(rng):
    network, grad = (draw_network(rng, (4, 3, 2), False) for _ in range(2))
    assert untied(network) is network
    assert gathered(network, grad) is grad


@given(generators(), depths)
def test_a_tied_decoder_has_the_matrices_of_the_encoder_transposed_and_in_reverse(rng, depth):
    network = draw_network(rng, draw_widths(rng, depth), True)
    encoder, decoder = untied(network)
    same(encoder, network.encoder)
    for m, layer in enumerate(decoder):
        mate = network.encoder[depth - 1 - m].W
        np.testing.assert_array_equal(layer.W, mate.T)
        assert np.shares_memory(layer.W, mate)  # not a copy that could go its own way
        np.testing.assert_array_equal(layer.b, network.offsets[m])


@TIED
@given(names, generators(), depths)
def test_the_decoder_reads_the_code(tied, f, rng, depth):
    # the note has g(W_y y + b_y): where code and observation differ in length, that cannot even be computed
    widths = draw_widths(rng, depth)
    d, k = widths[0], widths[-1]
    encoder, decoder = untied(draw_network(rng, widths, tied))
    y = rng.normal(size=(5, d))
    h = mlp(encoder, y, f, last=f)
    assert h.shape == (5, k)
    assert mlp(decoder, h, f).shape == (5, d)
    if d != k:
        with pytest.raises(ValueError, match="matmul"):
            affine(decoder[0], y)


@given(generators(), depths)
def test_a_tied_linear_network_with_orthonormal_rows_projects(rng, depth):
    widths = sorted(draw_widths(rng, depth), reverse=True)
    encoder = tuple(Affine(np.linalg.qr(rng.normal(size=(d, k)))[0].T, np.zeros(k)) for d, k in pairwise(widths))
    encoder, decoder = untied(Tied(encoder, tuple(np.zeros(width) for width in widths[-2::-1])))
    y = rng.normal(size=(5, widths[0]))
    h = mlp(encoder, y, "identity")
    projected = mlp(decoder, h, "identity")
    np.testing.assert_allclose(mlp(encoder, projected, "identity"), h, atol=1e-13)
    np.testing.assert_allclose(((y - projected) * projected).sum(axis=1), 0, atol=1e-12)


@TIED
@given(generators(), depths)
def test_gathering_is_the_adjoint_of_untying(tied, rng, depth):
    # untying is linear, so the chain rule for it is <gathered(G), N> = <G, untied(N)> for all networks N
    network, direction = (draw_network(rng, widths, tied) for widths in [draw_widths(rng, depth)] * 2)
    grad = tree_map(lambda a: rng.normal(size=a.shape), untied(network))
    found = gathered(network, read_only(grad))
    assert type(found) is type(network)
    assert [a.shape for a in leaves(found)] == [a.shape for a in leaves(network)]
    size = np.sqrt(inner(grad, grad) * inner(direction, direction))
    assert inner(found, direction) == pytest.approx(inner(grad, untied(direction)), rel=0, abs=1e-14 * 10 * size)


@TIED
@given(names, generators(), depths, names)
def test_the_gathered_gradient_of_encoder_and_decoder_is_the_complex_step(tied, f, rng, depth, g):
    widths = draw_widths(rng, depth)
    network, y = draw_network(rng, widths, tied, f), rng.normal(size=(3, widths[0]))
    grad = rng.normal(size=y.shape)

    def passes(network, y):
        encoder, decoder = untied(network)
        hs = mlp_forward(encoder, y, f, last=f)
        return encoder, hs, decoder, mlp_forward(decoder, hs[-1], f, last=g)

    encoder, hs, decoder, ts = passes(network, y)
    sums = [affine(layer, x) for layer, x in zip((*encoder, *decoder), (*hs[:-1], *ts[:-1]), strict=True)]
    assume("relu" not in (f, g) or all(np.abs(a).min() > 1e-3 for a in sums))
    assume(g not in ("sigmoid", "tanh") or np.abs(sums[-1]).max() < 4)  # flat, they have digits left in absolute terms
    in_decoder, in_code = mlp_vjp(decoder, ts, grad, f, last=g)
    in_encoder, in_y = mlp_vjp(encoder, hs, in_code, f, last=f)
    claimed = gathered(network, Params(in_encoder, in_decoder)), in_y
    check = gradient_check(lambda p: (grad * passes(*p)[-1][-1]).sum(), claimed, (network, y))
    assert check.passed, str(check)


# the door


@TIED
@given(generators(), depths)
def test_a_sound_network_passes_the_door_as_it_is(tied, rng, depth):
    network = draw_network(rng, draw_widths(rng, depth), tied)
    same(checked(network), network)
    single = tree_map(lambda a: a.astype(np.float32), network)
    same(checked(single), single)
    whole = tree_map(lambda a: np.round(3 * a).astype(int), network)
    same(checked(whole), tree_map(lambda a: a.astype(float), whole))


@given(generators(), depths, depths)
def test_encoder_and_decoder_may_differ_in_depth(rng, deep, high):
    there, back = draw_widths(rng, deep), draw_widths(rng, high)
    back = (there[-1], *back[1:-1], there[0])
    network = Params(init(rng, there).encoder, init(rng, back).encoder)
    same(checked(network), network)


def affines(*widths):
    return tuple(Affine(np.ones((k, d)), np.ones(k)) for d, k in pairwise(widths))


def spoilt(layer, **fields):
    """An encoder with one wrong array."""
    layers = list(affines(4, 3, 2))
    layers[layer] = layers[layer]._replace(**fields)
    return tuple(layers)


BACK = affines(2, 3, 4)
OFFSETS = (np.ones(3), np.ones(4))
BAD = [
    ("params", TypeError, None),
    ("params", TypeError, (affines(4, 2), affines(2, 4))),
    ("params", TypeError, affines(4, 2)),
    ("params.encoder", TypeError, Params((), BACK)),
    ("params.encoder", TypeError, Params(None, BACK)),
    ("params.encoder", TypeError, Params(list(affines(4, 3, 2)), BACK)),
    ("params.encoder", TypeError, Params(((np.ones((2, 4)), np.ones(2)),), BACK)),
    ("params.encoder", TypeError, Params(Affine(np.ones((2, 4)), np.ones(2)), BACK)),
    ("params.encoder[0].W", ValueError, Params(spoilt(0, W=np.ones(4)), BACK)),
    ("params.encoder[0].W", ValueError, Params(spoilt(0, W=np.full((3, 4), np.nan)), BACK)),
    ("params.encoder[0].W", ValueError, Params(spoilt(0, W=np.ones((3, 0))), BACK)),
    ("params.encoder[0].W", ValueError, Params(spoilt(0, W=np.full((3, 4), 1e200)), BACK)),
    ("params.encoder[0].W", TypeError, Params(spoilt(0, W=None), BACK)),
    ("params.encoder[0].W", TypeError, Params(spoilt(0, W=np.ones((3, 4)) * 1j), BACK)),
    ("params.encoder[0].b", ValueError, Params(spoilt(0, b=np.ones(4)), BACK)),
    ("params.encoder[0].b", ValueError, Params(spoilt(0, b=np.ones((3, 1))), BACK)),
    ("params.encoder[1].W", ValueError, Params(spoilt(1, W=np.ones((2, 4))), BACK)),
    ("params.encoder[1].W", ValueError, Params(spoilt(1, W=np.full((2, 3), np.inf)), BACK)),
    ("params.encoder[1].b", TypeError, Params(spoilt(1, b="b"), BACK)),
    ("params.decoder", TypeError, Params(affines(4, 2), ())),
    ("params.decoder", TypeError, Params(affines(4, 2), OFFSETS)),
    ("params.decoder[0].W", ValueError, Params(affines(4, 2), affines(4, 4))),  # reads y, not the code
    ("params.decoder[1].W", ValueError, Params(affines(4, 2), affines(2, 3, 5))),
    ("params.decoder[1].W", ValueError, Params(affines(4, 2), (*affines(2, 3), *affines(2, 4)))),
    ("params.decoder[0].b", ValueError, Params(affines(4, 2), (Affine(np.ones((4, 2)), np.full(4, np.nan)),))),
    ("params.encoder", TypeError, Tied((), ())),
    ("params.encoder[1].W", ValueError, Tied(spoilt(1, W=np.ones((2, 4))), OFFSETS)),
    ("params.offsets", ValueError, Tied(affines(4, 3, 2), OFFSETS[:1])),
    ("params.offsets", ValueError, Tied(affines(4, 3, 2), list(OFFSETS))),
    ("params.offsets", ValueError, Tied(affines(4, 3, 2), BACK[0].b)),
    ("params.offsets[0]", ValueError, Tied(affines(4, 3, 2), OFFSETS[::-1])),
    ("params.offsets[1]", ValueError, Tied(affines(4, 3, 2), (OFFSETS[0], np.full(4, np.nan)))),
    ("params.offsets[1]", TypeError, Tied(affines(4, 3, 2), (OFFSETS[0], None))),
]


@pytest.mark.parametrize(("name", "error", "network"), BAD)
def test_a_network_that_does_not_fit_together_is_refused_by_the_name_of_the_part(name, error, network):
    with pytest.raises(error) as caught:
        checked(network)
    assert str(caught.value).startswith(f"{name}: expected")


@pytest.mark.parametrize(
    ("name", "error", "arguments"),
    [
        ("rng", TypeError, {"rng": 0}),
        ("f", ValueError, {"f": "gelu"}),
        ("f", ValueError, {"f": None}),
        ("widths", ValueError, {"widths": (4,)}),
        ("widths", ValueError, {"widths": ()}),
        ("widths", ValueError, {"widths": [4, 2]}),
        ("widths", ValueError, {"widths": 4}),
        ("widths", ValueError, {"widths": (4, 0)}),
        ("widths", ValueError, {"widths": (4, -1, 2)}),
        ("widths", TypeError, {"widths": (4, 2.0)}),
        ("widths", TypeError, {"widths": (4, None)}),
        ("dtype", TypeError, {"dtype": int}),
        ("dtype", TypeError, {"dtype": None}),
    ],
)
@TIED
def test_a_bad_argument_of_init_is_refused_by_name(tied, name, error, arguments):
    good = {"rng": np.random.default_rng(0), "widths": (4, 3, 2)}
    with pytest.raises(error, match=rf"^{name}: expected"):
        init(**{**good, **arguments}, tied=tied)


@TIED
def test_a_gradient_has_the_structure_of_its_network_so_that_both_can_be_flattened(tied, rng):
    network = draw_network(rng, (4, 3, 2), tied)
    grad = gathered(network, tree_map(np.ones_like, untied(network)))
    assert flatten(grad).shape == flatten(network).shape
    if tied:  # each matrix stands twice, each offset once
        assert all((W == 2).all() and (b == 1).all() for W, b in grad.encoder)
        assert all((c == 1).all() for c in grad.offsets)


@pytest.mark.parametrize(
    ("network", "error"),
    [
        ([], TypeError("params: expected Params or Tied, got list")),
        (Tied((), ()), TypeError("params.encoder: expected a tuple of Affine layers, got an empty one")),
        (Tied([1], ()), TypeError("params.encoder: expected a tuple of Affine layers, got list")),
        (
            Tied((Affine(np.ones(3), np.ones(3)),), ()),
            ValueError("params.encoder[0].W: expected shape (k, d), got shape (3,)"),
        ),
        (
            Tied((Affine(np.ones(3), np.ones(3)), *affines(3, 2)), ()),
            ValueError("params.encoder[0].W: expected shape (k, d), got shape (3,)"),
        ),
        (
            Tied(affines(4, 3, 2), OFFSETS[:1]),
            ValueError("params.offsets: expected a tuple of 2, one for each layer, got 1"),
        ),
        (
            Tied(affines(4, 3, 2), list(OFFSETS)),
            ValueError("params.offsets: expected a tuple of 2, one for each layer, got list"),
        ),
    ],
)
def test_the_refusal_says_what_was_expected_and_what_came(network, error):
    with pytest.raises(type(error)) as caught:
        checked(network)
    assert str(caught.value) == str(error)


def test_unless_it_is_asked_for_a_network_is_not_tied(rng):
    assert type(init(rng, (3, 2))) is Params


def test_tied_is_true_or_false(rng):
    with pytest.raises(TypeError, match=r"^tied: expected True or False, got str$"):
        init(rng, (3, 2), tied="no")


@TIED
def test_complex_parameters_pass_for_the_complex_step_alone(tied, rng):
    network = tree_map(lambda a: a + 1e-200j, draw_network(rng, (3, 4, 2), tied))
    found = checked(network, analytic=True)
    for a, b in zip(leaves(found), leaves(network), strict=True):
        np.testing.assert_array_equal(a, b)
    parts = network._asdict() if tied else {"encoder": network.encoder, "decoder": network.decoder}
    for name, part in parts.items():
        mixed = tree_map(np.real, network)._replace(**{name: part})
        with pytest.raises(TypeError, match=rf"^params\.{name}"):
            checked(mixed)
