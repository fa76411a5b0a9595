r"""Synthetic handwritten digits, 28 x 28: the data that is always there, because this module draws it.

A digit is a pen line c(s), s being its arc length, drawn by a round pen of Gaussian profile. The ridge at a pixel q is

    R(q) = \int exp(-||q - c(s)||^2 / 2 w^2) ds / (w sqrt(2 pi))
         ~ \sum_p G(u - u_p) G(v - v_p) Delta_p / (w sqrt(2 pi)),          G(t) = exp(-t^2 / 2 w^2)              (1)
    I(q) = clip(g (R(q) - b), 0, 1)                                                                            (2)

with q = (u, v) and c_p = (u_p, v_p). The Gaussian factorises, so the sum over the P points of the line is a product of
two thin matrices, (28, P) (P, 28), and a block of pictures is one stacked product. Beside a long straight stroke
R = exp(-d^2 / 2 w^2), d being the distance: the middle of the stroke saturates, its edge is a soft ramp of slope g.

A hand varies what it draws: it chooses one of the forms of the digit, bends it by a smooth random displacement

    c <- c + \sum_k a_k sin(2 pi f_k . c + phi_k)                                                              (3)

then turns, slants and stretches it. As in MNIST the result is scaled until its longer side measures 20 pixels, its
centre of mass is put at pixel (14, 14), give or take half a pixel, and intensities are multiples of 1/255.

| symbol | in code | meaning, shape |
|---|---|---|
| c_p | `line` | points of the pen line, right and down: (n, P, 2) |
| Delta_p | `step` | length of line that a point stands for, pixels: (n, P) |
| w | `width` | standard deviation of the pen's profile, pixels: (n,) |
| g | `INK` | contrast of a stroke's edge |
| b | `PAPER` | height of the ridge up to which no ink shows |

Source: the form of the pictures is that of MNIST, LeCun, Bottou, Bengio and Haffner (1998), "Gradient-based learning
applied to document recognition", section III-A; smooth displacements as in Simard, Steinkraus and Platt (2003), "Best
practices for convolutional neural networks applied to visual document analysis".
"""

from functools import cache
from typing import NamedTuple

import numpy as np
from numpy.typing import DTypeLike

from ebm_np.data.pen import FORMS, pen_line
from ebm_np.foundations import validation as check
from ebm_np.foundations.arrays import Array

SIDE = 28  # pixels
BOX = 20.0  # longer side of a digit, pixels
INK = 1.8
PAPER = 0.1  # strokes end, Gaussians do not
POINTS = 72  # of a pen line: closer than the pen is wide, so that (1) shows no beads
BLOCK = 500  # digits drawn at once: bounds the memory to some tens of megabytes


class Digits(NamedTuple):
    """Pictures of digits: `images` (N, 784) in [0, 1] where 1 is ink, `labels` (N,) in 0..9, `source` for captions."""

    images: Array
    labels: Array
    source: str


def synthetic(rng: np.random.Generator, n: int, *, dtype: DTypeLike = np.float64) -> Digits:
    """Draw `n` digits in random order, the ten classes as evenly as `n` allows.

    Parameters
    ----------
    rng : numpy.random.Generator
        decides everything: a generator in the same state draws the same digits.
    n : int
        how many, at least 1.
    dtype : float64 or float32
        of the images; the float32 digits are the float64 ones, rounded.

    Raises
    ------
    TypeError, ValueError
        if `rng` is no Generator, `n` no whole number of at least 1, or `dtype` another type.
    """
    check.generator("rng", rng)
    n, kind = check.count("n", n), check.floating("dtype", dtype)
    labels = rng.permutation(np.arange(n) % 10)
    images = np.empty((n, SIDE * SIDE), kind)
    for start in range(0, n, BLOCK):
        block = slice(start, start + BLOCK)
        images[block] = _draw(*_write(labels[block], rng), rng)
    return Digits(images, labels, f"synthetic digits ({n:,})")


def _write(labels: Array, rng: np.random.Generator) -> tuple[Array, Array]:
    """Return a pen line for each label, bent, turned, slanted and stretched at random, and its joins."""
    first, number, lines, joined = _forms()
    form = first[labels] + rng.integers(number[labels])
    line = _bend(lines[form], rng)
    return np.einsum("nij,npj->npi", _random_shape(labels.size, rng), line), joined[form]


@cache
def _forms() -> tuple[Array, Array, Array, Array]:
    """Return where a label's forms begin (10,), how many it has (10,), their lines (F, P, 2) and joins (F, P - 1)."""
    number = np.array([len(forms) for forms in FORMS])
    lines, joined = zip(*(pen_line(form, POINTS) for forms in FORMS for form in forms), strict=True)
    return np.cumsum(number) - number, number, np.stack(lines), np.stack(joined)


def _bend(line: Array, rng: np.random.Generator, waves: int = 4) -> Array:
    """Displace the points by equation (3): waves of about one period in a digit's height."""
    n = len(line)
    frequency = rng.normal(0.0, 0.6, (n, 2, waves))
    phase = rng.uniform(0.0, 2 * np.pi, (n, 1, waves))
    amplitude = rng.normal(0.0, 0.04, (n, waves, 2))
    return line + np.sin(2 * np.pi * line @ frequency + phase) @ amplitude


def _random_shape(n: int, rng: np.random.Generator) -> Array:
    """Return matrices (n, 2, 2): stretch, then slant to the right, then turn."""
    stretch = np.exp(rng.normal(0.05, 0.18, n))
    slant = rng.normal(0.22, 0.25, n)
    angle = rng.normal(0.0, np.deg2rad(6.0), n)
    one, zero = np.ones(n), np.zeros(n)
    matrices = (
        [[np.cos(angle), -np.sin(angle)], [np.sin(angle), np.cos(angle)]],
        [[one, -slant], [zero, one]],
        [[stretch, zero], [zero, one]],
    )
    turn, lean, widen = (np.moveaxis(np.array(m), -1, 0) for m in matrices)
    return np.asarray(turn @ lean @ widen)


def _draw(line: Array, joined: Array, rng: np.random.Generator) -> Array:
    """Return the pictures (n, 784) of pen lines, equations (1) and (2), each with a pen of its own width."""
    width = np.clip(rng.normal(0.86, 0.18, len(line)), 0.5, 1.5)[:, None]
    line, step = _fit(line, joined, BOX - 3.6 * width)
    line = line + rng.uniform(-0.5, 0.5, (len(line), 1, 2))
    offset = np.arange(SIDE) - line.transpose(2, 0, 1)[..., None]
    across, down = np.exp(-0.5 * (offset / width[..., None]) ** 2)
    ridge = np.swapaxes(down * step[..., None], 1, 2) @ across / (width[..., None] * np.sqrt(2 * np.pi))
    return np.asarray(np.rint(255.0 * np.clip(INK * (ridge - PAPER), 0.0, 1.0)) / 255.0).reshape(-1, SIDE * SIDE)


def _fit(line: Array, joined: Array, size: Array) -> tuple[Array, Array]:
    """Scale lines to `size` pixels (n, 1), put their centre of mass at (14, 14); return them and their steps (n, P)."""
    line = line * (size / np.ptp(line, axis=1).max(axis=1, keepdims=True))[..., None]
    segment = np.linalg.norm(np.diff(line, axis=1), axis=2) * joined
    step = 0.5 * (np.pad(segment, ((0, 0), (1, 0))) + np.pad(segment, ((0, 0), (0, 1))))
    centre = np.einsum("np,npi->ni", step, line) / step.sum(axis=1, keepdims=True)
    return line - centre[:, None] + SIDE / 2, step
