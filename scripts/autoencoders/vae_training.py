"""The bound, epoch by epoch.

The negative ELBO of 784 - 400 - 20 - 400 - 784 on digits in gray levels, a bound on -log p(y): 105.0 nats on the test
set after ten epochs of Adam at 1e-3 in batches of 128 (public logs of the same network: 105.6), 102.8 after six more at
smaller rates (from the dotted lines on: 5e-4, 2e-4, 5e-5). It starts with every ball at the prior, KL = 0; the code has
its price, and C falls by more. Importance weights (200 codes a digit, 1,000 test digits) put log p(y) 3.2 nats above
the bound: so much the Gaussian q, and one encoder for all digits, leave out.
"""

from typing import Any

import numpy as np
from matplotlib.figure import Figure

from ebm_np.autoencoders import generation, variational
from ebm_np.autoencoders.variational import Params
from scripts import digit_networks, make_figures, style

ORDER = 316
NOTE = "08-3, VAE: the two terms of the loss"
EQUATION = "F~(y) = C(y, y~) + beta KL(mu, v)"
FUNCTION = "ebm_np.autoencoders.variational.fit"
TEST = (
    "tests/autoencoders/test_variational.py::"
    "test_more_codes_bring_the_estimate_from_the_elbo_to_the_log_likelihood_and_never_back"
)
TOLERANCE = 0.02
SHARES = "digit_networks.variational_by_epoch"
MODEL = digit_networks.VARIATIONAL
SCHEDULE = ((3, 5e-4), (2, 2e-4), (1, 5e-5))
"""Epochs, and Adam's rate, after the first ten."""
N_IMPORTANCE, N_JUDGED = 200, 1_000


def compute(rng: np.random.Generator, quick: bool = False) -> dict[str, Any]:
    """Return C and KL of training and test digits after each epoch, and the gap between the bound and log p(y)."""
    y, _, _ = digit_networks.gray("train", 2_000 if quick else None)
    test, _, _ = digit_networks.gray("test", 500 if quick else None)
    by_epoch, source = digit_networks.variational_by_epoch(quick)
    eps = rng.standard_normal((len(test), digit_networks.WIDTHS[-1]), np.float32)
    rates, seen = [digit_networks.RATE] * (len(by_epoch) - 1), list[list[float]]()

    def watch(epoch: int, params: Params) -> None:
        if epoch or not seen:  # the first look of a new rate is the last of the one before
            judged = [variational.parts(params, some, eps[: len(some)], MODEL) for some in (y[: len(test)], test)]
            seen.append([float(part.mean(dtype=np.float64)) for pair in judged for part in pair])

    for epoch, params in enumerate(by_epoch):
        watch(epoch, params)
    for n_epochs, rate in SCHEDULE:
        n_epochs = 1 if quick else n_epochs
        params = variational.fit(params, y, rng, MODEL, n_epochs=n_epochs, rate=rate, watch=watch).params
        rates += [rate] * n_epochs
    n_judged = 100 if quick else N_JUDGED
    bound = variational.elbo(params, test[:n_judged], eps[:n_judged], MODEL)
    estimate = generation.log_likelihood(params, test[:n_judged], rng, N_IMPORTANCE, MODEL)
    return {
        "parts": np.array(seen),
        "gap": float(np.mean(estimate - bound)),
        "estimate": float(estimate.mean()),
        "rates": np.array(rates),
        "source": source,
    }


def draw(data: dict[str, Any]) -> Figure:
    """Draw the sum, and its two parts."""
    figure, (left, right) = style.new(10, 3.9, data["source"], ncols=2)
    c_train, kl_train, c_test, kl_test = data["parts"].T
    epochs = np.arange(len(c_test))
    changes = 1 + np.flatnonzero(np.diff(data["rates"]))
    left.plot(epochs[1:], (c_train + kl_train)[1:], color=style.SKY, label="training digits")
    left.plot(epochs[1:], (c_test + kl_test)[1:], color=style.BLUE, marker=".", label="test digits")
    left.set(xlabel="epoch", ylabel="negative ELBO, $C$ + KL (nats)", ylim=(98, 125))
    total = c_test + kl_test
    left.set_title(
        f"test: {total[min(10, epochs[-1])]:.1f} nats after 10 epochs, {total[-1]:.1f} in the end", loc="left"
    )
    right.plot(epochs[1:], c_test[1:], color=style.RED, label="$C$, test")
    right.plot(epochs[1:], kl_test[1:], color=style.GREEN, label="KL, test")
    right.set(xlabel="epoch", ylabel="nats", ylim=(0, None))
    right.set_title(f"log p(y) is some {data['gap']:.1f} nats above the bound", loc="left")
    for axes in (left, right):
        for epoch in changes:
            axes.axvline(epoch, color=style.GREY, linewidth=0.8, linestyle=":")
        axes.xaxis.get_major_locator().set_params(integer=True)
        axes.legend()
    return figure


if __name__ == "__main__":
    make_figures.run_alone(__file__)
