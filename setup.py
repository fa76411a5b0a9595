"""Packaging of ebm_np; settings of the tools are in pyproject.toml."""

from pathlib import Path

from setuptools import find_packages, setup

FIGURES = ["matplotlib>=3.8", "tqdm>=4.66", "pooch>=1.8", "pillow>=10"]
TEST = [*FIGURES, "pytest>=8", "pytest-xdist>=3.5", "hypothesis>=6.100", "ruff>=0.6", "mypy>=1.11"]
MUTATION = [*TEST, "mutmut>=3.8"]
BENCH = [*FIGURES, "scikit-learn>=1.4", "spams-bin>=2.6", "sporco>=0.2", "torch>=2.2", "hopfieldnetwork>=1.0"]

setup(
    name="ebm_np",
    version="0.1.0",
    description="Energy-based models as LeCun and Canziani teach them, from scratch in NumPy",
    long_description=Path(__file__).with_name("README.md").read_text(encoding="utf-8"),
    long_description_content_type="text/markdown",
    license="MIT",
    python_requires=">=3.11",
    # spelled out so that an editable install puts the repository's root on the path: the scripts import one another
    package_dir={"": "."},
    packages=find_packages(include=["ebm_np", "ebm_np.*"]),
    package_data={"ebm_np": ["py.typed"]},
    install_requires=["numpy>=1.26", "scipy>=1.11"],
    extras_require={"figures": FIGURES, "test": TEST, "bench": BENCH, "mutation": MUTATION},
)
