"""How surprised a machine that knows digits is by other things.

784-16, trained on black-and-white digits for 15 epochs; -log p(v), exactly, of digits and of what is none. Training and
test digits agree: it has learned digits, not these digits. Digits upside down have the right kind of strokes at the
wrong places. Pixels drawn alone, each as often on as in digits, have all the right means and no strokes: a model of
means only would not notice. Letters have strokes and straight ones, with corners and ends where digits have none. Then
coin tosses, and digits in negative, a thousand nats away and more. F alone tells all this: log Z, the same for all,
only says where 0 is. Ones are the least surprising digits, being few pixels and much alike.
"""

from typing import Any

import numpy as np
from matplotlib.figure import Figure

from ebm_np.data import letters
from ebm_np.foundations.arrays import Array
from ebm_np.physics import boltzmann, partition
from scripts import digit_machines, make_figures, style

ORDER = 422
NOTE = "004, Restricted Boltzmann Machine (RBM): free energy of digits against noise and letters"
EQUATION = "F(v) = -b.v - sum_j softplus(c_j + (v W)_j)"
FUNCTION = "ebm_np.physics.boltzmann.free_energy"
TEST = "tests/physics/test_boltzmann.py::test_free_energy_is_minus_the_log_of_the_sum_over_all_hidden_states"
TOLERANCE = 0.05
CHANCE = ("pictures",)
HIDDEN = 16
SCHEDULE = ((10, 0.03), (5, 0.005))
KINDS = {
    "training digits": style.SKY,
    "test digits": style.BLUE,
    "upside down": style.PURPLE,
    "letters": style.GREEN,
    "pixels drawn alone": style.ORANGE,
    "coin tosses": style.GREY,
    "negatives": style.RED,
}


def compute(rng: np.random.Generator, quick: bool = False) -> dict[str, Any]:
    """Return -log p of each kind, quantiles of it, and pictures."""
    v, _, source = digit_machines.bits("train", 2_000 if quick else None)
    test, _, _ = digit_machines.bits("test", 500 if quick else None)
    schedule = ((2, 0.03),) if quick else SCHEDULE
    params = digit_machines.train(digit_machines.untrained(rng, v, HIDDEN), v, rng, schedule, centred=True)
    n = len(test)
    kinds = [
        v[:n],
        test,
        test[:, ::-1],
        _letters(),
        boltzmann.sample(np.tile(v.mean(axis=0), (n, 1)), rng),
        boltzmann.sample(np.full_like(test, 0.5), rng),
        1 - test,
    ]
    log_z = partition.log_partition(params)
    surprise = [boltzmann.free_energy(params, kind) + log_z for kind in kinds]
    order = [np.argsort(some, kind="stable")[[0, len(some) // 2, -1]] for some in surprise]
    return {
        "quantiles": np.array([np.quantile(some, np.linspace(0, 1, 101)) for some in surprise]),
        "pictures": np.array([kind[some] for kind, some in zip(kinds, order, strict=True)]),
        "values": np.array([some[some_order] for some, some_order in zip(surprise, order, strict=True)]),
        "source": f"{source}; 26 letters at 6 places each",
    }


def _letters() -> Array:
    """Return the alphabet, 21 x 15 pixels of ink, at six places about the middle: (156, 784)."""
    patterns = (letters.letters(letters.ALPHABET, scale=3, dtype=np.float32) + 1) / 2
    images = np.zeros((6, len(patterns), 28, 28), np.float32)
    for place, (row, column) in enumerate(np.ndindex(2, 3)):
        height, width = 3 * letters.HEIGHT, 3 * letters.WIDTH
        images[place, :, 3 + row : 3 + row + height, 5 + column : 5 + column + width] = patterns.reshape(
            -1, height, width
        )
    return images.reshape(-1, 784)


def draw(data: dict[str, Any]) -> Figure:
    """Draw the range of each kind, and its least, its middle and its most surprising picture."""
    figure, (left, right) = style.new(11, 5.4, data["source"], ncols=2, width_ratios=(2.4, 1))
    places = np.arange(len(KINDS))
    for place, colour, q in zip(places, KINDS.values(), data["quantiles"], strict=True):
        left.plot(q[[0, -1]], [place, place], color=colour, linewidth=1)
        left.plot(q[[5, 95]], [place, place], color=colour, linewidth=4, solid_capstyle="butt")
        left.plot(q[[25, 75]], [place, place], color=colour, linewidth=14, solid_capstyle="butt")
        left.plot(q[50], place, "|", color="white", markersize=13, markeredgewidth=2)
        left.text(q[-1] * 1.04, place, f"{q[50]:,.0f}", va="center", color="#555555")
    left.set_yticks(places, KINDS)
    ticks = (50, 100, 200, 500, 1_000, 2_000)
    left.set(xscale="log", xlabel=r"$-\log p(v) = F(v) + \log Z$ (nats)", ylim=(len(KINDS) - 0.5, -0.5))
    left.set_xticks(ticks, [f"{tick:,}" for tick in ticks])
    left.set_xticks([], minor=True)
    left.set_title("all, 90%, half of each kind; the median in numbers", loc="left")
    images = data["pictures"].reshape(-1, 28, 28)
    right.imshow(style.mosaic(images, 3, pad=6, fill=0.15), cmap="gray_r", vmin=0, vmax=1)
    right.set_xticks(14 + 34 * np.arange(3), ["least", "median", "most"])
    right.set_yticks([])
    right.tick_params(length=0)
    right.spines[:].set_visible(False)
    right.set_title("surprising", loc="left")
    return figure


if __name__ == "__main__":
    make_figures.run_alone(__file__)
