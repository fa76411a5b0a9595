"""What becomes of weights on pixels that are the same in all data, as those at the border of digits are."""

import numpy as np
import pytest

from ebm_np.autoencoders import autoencoder, denoising, network
from ebm_np.autoencoders.autoencoder import Model

STILL = slice(0, 6)
"""Of twelve numbers, those that never change."""
MODEL = Model("tanh", "tanh")


def draw_data(rng, n=500):
    y = np.tanh(rng.normal(size=(n, 3)) @ rng.normal(size=(3, 12)))
    y[:, STILL] = -1
    return y


def differences(params):
    """Between the weights of neighbouring still numbers, unit by unit."""
    return np.diff(params.encoder[0].W[:, STILL], axis=1)


@pytest.mark.parametrize("regularizer", ["none", "l1", "l2"])
def test_a_plain_auto_encoder_keeps_the_noise_of_its_start_on_still_pixels(regularizer, rng):
    # the gradient's columns are delta^T y, equal where y is equal: all of them move together
    y, start = draw_data(rng), network.init(rng, (12, 5))
    model = MODEL._replace(regularizer=regularizer, lam=0.01)
    fitted = autoencoder.fit(start, y, rng, model, n_epochs=5, batch_size=32, rate=1e-2)
    assert np.abs(fitted.params.encoder[0].W - start.encoder[0].W).min(axis=1).max() > 0.01
    np.testing.assert_allclose(differences(fitted.params), differences(start), rtol=0, atol=1e-12)


def test_noise_on_the_input_wears_off_what_the_start_left_on_still_pixels(rng):
    y, start = draw_data(rng), network.init(rng, (12, 5))
    dropout = denoising.Corruption("dropout", 0.5)
    fitted = denoising.fit(start, y, rng, MODEL, dropout, n_epochs=100, batch_size=32, rate=3e-3)
    left = np.square(differences(fitted.params)).mean() / np.square(differences(start)).mean()
    assert left < 0.1
