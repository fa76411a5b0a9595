"""What every chapter stands on, and which knows no chapter.

Reading order: `arrays`, `gradient_check`, `numerics`, `costs`, `layers`, `proximal`, `parameters`, `optimizers`,
`results`, `training`, `validation`.
"""
