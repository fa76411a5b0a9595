"""The reading order of the book, `python -m ebm_np`: a line for each module."""

import ast
from pathlib import Path

CHAPTERS = (
    ("latent", "ellipse free_energy inference nearest_point losses denoising horn"),
    ("sparse", "regularized sparse_coding textbook dictionary gabor lista predictive coupled_lista"),
    ("foundations", "convolution"),
    ("sparse", "convolutional operator_fista convolutional_dictionary convolutional_autoencoder"),
    ("sparse", "convolutional_working_set"),
    ("autoencoders", "network autoencoder denoising contractive target_propagation variational generation linear_vae"),
    ("physics", "mechanics hopfield capacity mean_field dense_memory modern_hopfield"),
    ("physics", "boltzmann partition contrastive_divergence"),
    ("sparse", "gram_form fast_fista sweeps supports active_set"),
    ("foundations", "arrays gradient_check numerics costs layers proximal parameters optimizers results training"),
    ("foundations", "validation"),
    ("data", "ellipse digits pen mnist idx photographs patches contrast images letters bars locations optional"),
)
READING_ORDER = tuple(f"{chapter}/{module}" for chapter, modules in CHAPTERS for module in modules.split())
"""All modules, as paths below `ebm_np` without ".py"."""


def title(module: str) -> str:
    """Return the first line of a module's docstring."""
    path = Path(__file__).parent / f"{module}.py"
    return (ast.get_docstring(ast.parse(path.read_text(encoding="utf-8"))) or "").partition("\n")[0]


def main() -> None:
    """Print the modules in reading order, each with what it is about."""
    width = max(map(len, READING_ORDER))
    for module in READING_ORDER:
        print(f"{module:<{width}}  {title(module)}")


if __name__ == "__main__":
    main()
