"""Notes 08-3: a code that is computed, not searched for; what keeps its energy from collapsing; a way to train it.

Reading order: `network` (what all share), `autoencoder` (the model), `denoising` (spoil the input), `contractive`
(hold the code still), `target_propagation` (train encoder and decoder on a code found between them), `variational`
(noise on the code), `generation` (what that is good for), `linear_vae` (the same where everything is known).
"""
