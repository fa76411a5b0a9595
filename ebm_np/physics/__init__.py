"""Blog 004: where energy comes from, and the memory and the machine that were built on it.

Reading order: `mechanics` (the thrown apple), `hopfield` (a memory whose minima are what it has stored), `capacity` and
`mean_field` (how much it holds), `dense_memory` and `modern_hopfield` (where the idea went); `boltzmann`, `partition`
and `contrastive_divergence` (a memory that is trained: model, likelihood, training).
"""
