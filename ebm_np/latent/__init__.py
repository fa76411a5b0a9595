"""Latent-variable energy-based models: notes 15-1 and the training recap of 08-3.

Reading order: `ellipse` (the whole idea on one page), `free_energy` (from a table of energies to F), `inference` (five
ways to find z-check), `nearest_point` (the ellipse's own exact one), `losses` (what training minimises), `denoising`
(descending F in y), `horn` (the model conditioned on x, and a decoder that is a network).
"""
