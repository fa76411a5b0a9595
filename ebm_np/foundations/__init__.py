"""What every chapter stands on, and what itself imports no chapter.

Reading order: `convolution`, when images come; the rest whenever it is met, or last: `arrays`, `gradient_check`,
`numerics`, `costs`, `layers`, `proximal`, `parameters`, `optimizers`, `results`, `training`, `validation`.
"""
