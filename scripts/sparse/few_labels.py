"""Few labels, and features learned without any.

Features learned without labels can help, says note 08-2, where labelled samples are few. Tried here on digits: 10 to
1,000 of each class come with labels, 2,000 without. From these a convolutional sparse auto-encoder learns 32 kernels.
The maps that its encoder makes of a digit, less its local mean, are split by sign and averaged in 4 x 4 cells (right:
six maps of the 32), and softmax regression reads these, or the pixels. For all competitors weight decay is chosen on
one half of the labelled digits, by the errors on the other. In each draw the larger sets contain the smaller ones.

The remark comes out: ten labels a class do for learned features what takes about 100 of them on raw pixels. But most
of that is no learning: random kernels of unit norm, with the same shrinkage and cells, come three quarters of the way.
Learning takes a fifth to a quarter off their error where labels are few, and a tenth at 1,000 a class. Most of this is
due to the kernels: that the encoder was trained too, and they with it, adds little, and next to nothing from 100 labels
on. (The note would train the features further, with the labels; here they stay as they are.)
"""

from collections.abc import Callable
from typing import Any

import numpy as np
from matplotlib.figure import Figure

from ebm_np.data import contrast
from ebm_np.foundations.arrays import Array
from ebm_np.sparse import convolutional, convolutional_autoencoder, convolutional_dictionary
from scripts import make_figures, materials, softmax_regression, style

ORDER = 224
NOTE = '08-2, convolutional sparse coding: where labels are few, such features "can help to boost performance"'
EQUATION = "x = mean in each of 4 x 4 cells of [z~]+ and [-z~]+, z~ = g . sh_theta(A star y); p = softmax(x W + b)"
FUNCTION = "ebm_np.sparse.convolutional_autoencoder.encode"
TEST = (
    "tests/sparse/test_convolutional_autoencoder.py::"
    "test_the_trained_encoder_predicts_new_codes_better_than_the_untrained"
)
TOLERANCE = 0.05
P, LAM, SIGMA, CROP, CELLS = 7, 2.0, 2.0, 18, 4
"""Kernels of P x P; lam, in units of the standard deviation of prepared digits; the high-pass; crops; pooling."""
SIZES = (10, 30, 100, 300, 1_000)
"""Labelled digits a class."""
DECAYS = (0.02, 0.2)
"""Candidates, over the number of labelled digits: so decay stays one prior on W, however many there are."""
BLOCK = 50
"""Images encoded at once: their maps stay in the cache."""
TOL = 1e-4
"""Of the gradient, where regression ends: with 1e-3 it would end early, at an error half as large again."""
SHOWN = 6
COMPETITORS = {
    "pixels": ("raw pixels", style.BLACK, "o"),
    "random": ("random kernels", style.ORANGE, "s"),
    "kernels": ("learned kernels, encoder untrained", style.SKY, "^"),
    "encoder": ("learned kernels, encoder trained", style.BLUE, "D"),
}

Features = Callable[[Array], Array]


def compute(rng: np.random.Generator, quick: bool = False) -> dict[str, Any]:
    """Return the test error of each competitor, draw and size; kernels; and what the classifier sees of one digit."""
    train, test = materials.digits("train"), materials.digits("test")
    n_crops, n_draws, n_test, M = (100, 2, 500, 8) if quick else (2_000, 3, len(test.labels), 32)
    fewest = np.bincount(train.labels, minlength=10).min()
    sizes = [n for n in SIZES[: 2 if quick else None] if n <= fewest]

    y = _prepare(train.images[:n_crops])  # whoever labelled them is not asked
    unit = y.std()
    learned = _learn(_crops(y / unit, rng), rng, M)
    random = convolutional.init(rng, M, 1, P, P, np.float32).K
    params = {
        "random": convolutional_autoencoder.from_kernels(random, "shrink", LAM),
        "kernels": convolutional_autoencoder.from_kernels(learned.K, "shrink", LAM),
        "encoder": learned,
    }
    features: dict[str, Features] = {"pixels": lambda images: images}
    features |= {name: _reader(some, unit) for name, some in params.items()}

    errors = _errors(features, train, test, n_test, sizes, n_draws, rng)
    image = test.images[:1]
    z = convolutional_autoencoder.encode(learned, _prepare(image) / unit)
    return {
        "sizes": np.array(sizes),
        **{f"error {name}": error for name, error in errors.items()},
        "learned": learned.K[:, 0],
        "random": random[:, 0],
        "image": image.reshape(28, 28),
        "prepared": (_prepare(image) / unit)[0, 0],
        "maps": z[0],
        "pooled": _pool(z).reshape(2, M, CELLS, CELLS),
        "n unlabelled": n_crops,
        "source": f"{train.source}; {n_test:,} for the error, of {test.source}",
    }


def _errors(
    features: dict[str, Features], train: Any, test: Any, n_test: int, sizes: list[int], n_draws: int,
    rng: np.random.Generator,
) -> dict[str, Array]:  # fmt: skip
    """Return the test error on each kind of features after each draw of labelled digits, (draws, sizes)."""
    x_test = {name: read(test.images[:n_test]) for name, read in features.items()}
    errors = {name: np.zeros((n_draws, len(sizes))) for name in features}
    for trial in range(n_draws):
        of_class = [rng.permutation(np.flatnonzero(train.labels == digit))[: sizes[-1]] for digit in range(10)]
        drawn = np.stack(of_class, axis=1).ravel()  # the first 10 n are n of each class: larger sets hold the smaller
        for name, read in features.items():
            x, labels = read(train.images[drawn]), train.labels[drawn]
            for i, n in enumerate(sizes):
                error = _error(x[: 10 * n], labels[: 10 * n], x_test[name], test.labels[:n_test])
                errors[name][trial, i] = error
    return errors


def _prepare(images: Array) -> Array:
    """Return digits (N, 784) as images (N, 1, 28, 28) without their local mean."""
    side_by_side = np.moveaxis(images.reshape(-1, 28, 28), 0, 2)  # each a channel: `high_pass` keeps channels apart
    return np.ascontiguousarray(np.moveaxis(contrast.high_pass(side_by_side, SIGMA), 2, 0))[:, None]


def _crops(y: Array, rng: np.random.Generator) -> Array:
    """Return one crop of each image."""
    corners = rng.integers(0, y.shape[-1] - CROP + 1, (len(y), 2))
    return np.stack([image[:, i : i + CROP, j : j + CROP] for image, (i, j) in zip(y, corners, strict=True)])


def _learn(y: Array, rng: np.random.Generator, M: int) -> convolutional_autoencoder.Params:
    """Return kernels learned from images, and the encoder trained on them (which moves the kernels a little)."""
    start = convolutional_dictionary.init_from_images(rng, y, M, P, P)
    found = convolutional_dictionary.fit(start, y, rng, lam=LAM, batch_size=20, n_steps=20)
    untrained = convolutional_autoencoder.from_kernels(found.params.K, "shrink", LAM)
    return convolutional_autoencoder.fit(untrained, y, rng, lam=LAM, n_epochs=3, batch_size=20, n_steps=5).params


def _reader(params: convolutional_autoencoder.Params, unit: float) -> Features:
    """Return the function from digits (N, 784) to features (N, 2 M CELLS^2)."""

    def read(images: Array) -> Array:
        blocks = (_prepare(images[i : i + BLOCK]) / unit for i in range(0, len(images), BLOCK))
        return np.concatenate([_pool(convolutional_autoencoder.encode(params, y)) for y in blocks])

    return read


def _pool(z: Array) -> Array:
    """Return the means of [z]+ and [-z]+ over the cells of maps (N, M, h, w): (N, 2 M CELLS^2)."""
    rows, columns = (_cells(n, z.dtype) for n in z.shape[2:])
    whole, size = (rows @ (maps @ columns.T) for maps in (z, np.abs(z)))
    return np.asarray(np.stack([size + whole, size - whole], axis=1) / 2).reshape(len(z), -1)  # [z]+ = (|z| + z) / 2


def _cells(n: int, dtype: Any) -> Array:
    """Return the matrix (CELLS, n) that takes n places to the means of CELLS stretches of nearly the same length."""
    cell = np.arange(n) * CELLS // n
    belongs = cell == np.arange(CELLS)[:, None]
    return (belongs / belongs.sum(axis=1, keepdims=True)).astype(dtype)


def _error(x: Array, labels: Array, x_test: Array, labels_test: Array) -> float:
    """Return the test error of softmax regression, its decay chosen by halves of the labelled digits."""
    mean = x.mean(axis=0)
    length = np.sqrt(((x - mean) ** 2).sum(axis=1).mean())
    x, x_test = (x - mean) / length, (x_test - mean) / length

    def fit(n: int, decay: float, start: softmax_regression.Params | None = None) -> softmax_regression.Params:
        return softmax_regression.fit(x[:n], labels[:n], 10, decay / n, start=start, tol=TOL)

    n, halves = len(x) // 2, list[softmax_regression.Params]()
    for decay in DECAYS:  # each fit begins where one like it ended
        halves.append(fit(n, decay, halves[-1] if halves else None))
    best = int(np.argmin([softmax_regression.error(half, x[n:], labels[n:]) for half in halves]))
    return softmax_regression.error(fit(len(x), DECAYS[best], halves[best]), x_test, labels_test)


def draw(data: dict[str, Any]) -> Figure:
    """Show errors as curves and as numbers; right, both sets of kernels, and what the classifier sees of one digit."""
    figure, axes = style.new(
        13.0, 7.0, data["source"], nrows=2, ncols=2, gridspec_kw={"height_ratios": (3.1, 1), "width_ratios": (1, 1.08)}
    )
    _curves(axes[0, 0], data)
    _table(axes[1, 0], data)
    grid = axes[0, 0].get_gridspec()
    for unused in axes[:, 1]:
        unused.remove()
    right = grid[:, 1].subgridspec(2, 1, height_ratios=(1, 2.5))
    kernels = right[0].subgridspec(1, 2).subplots()
    for plot, name, title in (
        (kernels[0], "learned", f"kernels learned from {data['n unlabelled']:,} digits, no labels"),
        (kernels[1], "random", "random kernels: the control"),
    ):
        images = data[name] / np.abs(data[name]).max(axis=(1, 2), keepdims=True)
        plot.imshow(style.mosaic(images, 8, fill=1.0), cmap="gray", vmin=-1, vmax=1)
        plot.axis("off")
        plot.set_title(title, fontsize=9)
    _seen(right[1].subgridspec(4, SHOWN + 1).subplots(), data)
    return figure


def _curves(axes: Any, data: dict[str, Any]) -> None:
    for name, (label, colour, marker) in COMPETITORS.items():
        mean, deviation = _statistics(data, name)
        axes.errorbar(
            data["sizes"], mean, deviation, color=colour, marker=marker, ms=4.5, capsize=3, label=label, elinewidth=1
        )
    axes.set(xscale="log", yscale="log", xlabel="labelled digits a class", ylabel="test error (%)")
    axes.set_xticks(data["sizes"], [f"{n:,.0f}" for n in data["sizes"]])
    low, high = axes.get_ylim()
    ticks = [n for n in (0.2, 0.3, 0.5, 1, 2, 3, 5, 10, 20, 30, 50) if low <= n <= high]
    axes.set_yticks(ticks, [str(n) for n in ticks])
    axes.minorticks_off()
    axes.grid(color="#dddddd", lw=0.6)
    axes.legend(loc="best", title="softmax regression on", alignment="left", title_fontsize=8)
    means = [_statistics(data, name)[0] for name in ("pixels", "random", "encoder")]
    few, many = ([f"{mean[i]:.2g} %" for mean in means] for i in (0, -1))
    axes.set_title(
        f"{data['sizes'][0]:,.0f} labels a class: {few[0]} wrong on pixels, {few[1]} by random kernels, {few[2]} by "
        f"learned\n{data['sizes'][-1]:,.0f} labels a class: {many[0]}, {many[1]} and {many[2]}",
        loc="left", fontsize=9.5,
    )  # fmt: skip


def _table(axes: Any, data: dict[str, Any]) -> None:
    """Write the errors in rows of the colours of the curves."""
    axes.axis("off")
    n_draws = len(data["error pixels"])
    columns = 0.46 + 0.142 * np.arange(len(data["sizes"]))
    axes.text(0, 0.98, f"error (%), mean of {n_draws} draws ± its standard error", fontsize=8, va="top")
    rows = 0.62 - 0.2 * np.arange(len(COMPETITORS))
    for x, n in zip(columns, data["sizes"], strict=True):
        axes.text(x, 0.8, f"{n:,.0f} a class", fontsize=8, ha="center", va="center", color="#555555")
    for y, (name, (label, colour, _)) in zip(rows, COMPETITORS.items(), strict=True):
        axes.text(0, y, label, color=colour, fontsize=8, va="center", weight="bold")
        for x, mean, deviation in zip(columns, *_statistics(data, name), strict=True):
            decimals = 1 if deviation >= 0.1 else 2
            axes.text(x, y, f"{mean:.{decimals}f} ± {deviation:.{decimals}f}", fontsize=8.5, ha="center", va="center")
    axes.set(xlim=(0, 1.06), ylim=(-0.1, 1))


def _statistics(data: dict[str, Any], name: str) -> tuple[Array, Array]:
    """Return the mean over draws, and its standard error, in per cent."""
    errors = 100 * data[f"error {name}"]
    return errors.mean(axis=0), errors.std(axis=0, ddof=1) / np.sqrt(len(errors))


def _seen(axes: Any, data: dict[str, Any]) -> None:
    """Show a digit, and of the maps that say most: kernel, map, and what is left of it after pooling."""
    chosen = np.argsort(np.abs(data["maps"]).sum(axis=(1, 2)))[::-1][:SHOWN]
    most, pooled = np.abs(data["maps"][chosen]).max() / 2, data["pooled"][:, chosen].max()
    for plot in axes.ravel():
        plot.set(xticks=[], yticks=[])
        plot.spines[:].set_visible(True)
        plot.spines[:].set(color="#bbbbbb", linewidth=0.6)
    limit = np.abs(data["prepared"]).max()
    for plot, image, name, limits in (
        (axes[0, 0], data["image"], "a test digit", (-1, 1)),
        (axes[1, 0], data["prepared"], "less local mean", (-limit, limit)),
    ):
        plot.imshow(image, cmap="gray", vmin=limits[0], vmax=limits[1])
        plot.set_title(name, fontsize=8)
    M = len(data["learned"])
    words = (
        "what is read:",
        f"{M} kernels",
        "x 2 signs",
        f"x {CELLS} x {CELLS} cells",
        f"= {2 * M * CELLS**2:,} means",
    )
    for plot, text in ((axes[2, 0], "\n".join(words)), (axes[3, 0], "")):
        plot.axis("off")
        plot.text(0, 1, text, fontsize=8, va="top", linespacing=1.4)
    for column, m in zip(axes[:, 1:].T, chosen, strict=True):
        kernel = data["learned"][m]
        column[0].imshow(kernel, cmap="gray", vmin=-np.abs(kernel).max(), vmax=np.abs(kernel).max())
        column[1].imshow(data["maps"][m], cmap="RdBu", vmin=-most, vmax=most)
        column[2].imshow(data["pooled"][0, m], cmap="Blues", vmin=0, vmax=pooled)
        column[3].imshow(data["pooled"][1, m], cmap="Reds", vmin=0, vmax=pooled)
    axes[0, 1].set_title("kernels whose maps say most", fontsize=8, loc="left")
    for plot, label in zip(
        axes[1:, 1], (r"map $\tilde z$", r"$[\tilde z]_+$ pooled", r"$[-\tilde z]_+$ pooled"), strict=True
    ):
        plot.set_ylabel(label, fontsize=8)


if __name__ == "__main__":
    make_figures.run_alone(__file__)
