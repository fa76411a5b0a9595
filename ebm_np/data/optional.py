"""Modules that only some loaders need; importing the library needs NumPy and SciPy alone."""

from importlib import import_module
from typing import Any


def optional(module: str, purpose: str) -> Any:
    """Import and return a module that only `purpose` needs.

    Raises
    ------
    ModuleNotFoundError
        if it is not installed, saying what it is needed for and how to install it.
    """
    try:
        return import_module(module)
    except ImportError as error:
        package = "Pillow" if module.startswith("PIL") else module.partition(".")[0]
        message = f"{package} is needed to {purpose}: pip install 'ebm_np[figures]'"
        raise ModuleNotFoundError(message, name=module) from error
