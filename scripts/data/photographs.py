"""Whitening: all frequencies made equal.

The amplitudes of natural images fall as 1/f (dashed): neighbours are nearly equal, and a model of raw patches learns
little else. Whitening flattens the spectrum up to the cutoff, or, for patches, makes their covariance the identity;
what is left is edges, which is what sparse coding is to find.
"""

from typing import Any

import numpy as np
from matplotlib.figure import Figure

from ebm_np.data import patches, photographs
from ebm_np.foundations.arrays import Array
from scripts import make_figures, style

ORDER = 2
NOTE = "08-2, examples (whitened natural patches)"
EQUATION = "R(f) = |f| exp(-(|f| / f0)^4)"
FUNCTION = "ebm_np.data.patches.whiten_image"
TEST = "tests/data/test_patches.py::test_a_one_over_f_image_gets_a_flat_spectrum"
SIZE = 12
BINS = np.linspace(0, 0.5, 41)


def compute(rng: np.random.Generator, quick: bool = False) -> dict[str, Any]:
    """Return mean amplitude spectra, raw and whitened, and 48 patches, raw and whitened by ZCA."""
    found = photographs.load()
    everything = patches.random_patches(found.images, rng, 2_000 if quick else 20_000, SIZE)
    whitening = patches.fit_whitening(everything, regularization=1e-3)
    some = everything[:48]
    whitened = [patches.whiten_image(image) for image in found.images]
    return {
        "spectrum": np.mean([_spectrum(image) for image in found.images], axis=0),
        "whitened_spectrum": np.mean([_spectrum(image) for image in whitened], axis=0),
        "patches": patches.remove_dc(some).reshape(-1, SIZE, SIZE),
        "whitened_patches": patches.whiten(whitening, some).reshape(-1, SIZE, SIZE),
        "source": found.source,
    }


def draw(data: dict[str, Any]) -> Figure:
    """Draw the spectra and the patches."""
    figure, (left, *right) = style.new(9.6, 3, data["source"], ncols=3, gridspec_kw={"width_ratios": (1.1, 1, 1)})
    f = (BINS[1:] + BINS[:-1]) / 2
    for key, color, name in (("spectrum", style.BLUE, "raw"), ("whitened_spectrum", style.ORANGE, "whitened")):
        left.loglog(f, data[key] / data[key][4], color=color, label=name)
    left.loglog(f, f[4] / f, "--", color=style.GREY, label="$1/f$")
    left.set(xlabel="frequency (cycles per pixel)", ylabel=f"amplitude / that at {f[4]:.2f}", ylim=(0.03, 30))
    left.legend(loc="lower left")
    for axes, key, title in zip(
        right, ("patches", "whitened_patches"), ("patches, mean removed", "whitened"), strict=True
    ):
        spread = 3 * data[key].std()
        axes.imshow(style.mosaic(data[key], 8, fill=-spread), cmap="gray", vmin=-spread, vmax=spread)
        axes.set_title(title, loc="left")
        axes.axis("off")
    return figure


def _spectrum(image: Array) -> Array:
    """Return the mean amplitude of an image in rings of frequency, cycles per pixel."""
    amplitude = np.abs(np.fft.fft2((image - image.mean()) / image.std()))
    frequency = np.hypot(np.fft.fftfreq(image.shape[0])[:, None], np.fft.fftfreq(image.shape[1])[None, :])
    total, _ = np.histogram(frequency, BINS, weights=amplitude)
    return total / np.histogram(frequency, BINS)[0]


if __name__ == "__main__":
    make_figures.run_alone(__file__)
