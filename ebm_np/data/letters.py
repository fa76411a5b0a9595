"""Capital letters as patterns of +1 (ink) and -1 (paper), one node a pixel: what a Hopfield network remembers.

The letters are drawn below, on a grid of 5 x 7 pixels; `scale` enlarges every pixel to scale x scale of them.
"""

import numpy as np
from numpy.typing import DTypeLike

from ebm_np.foundations import validation as check
from ebm_np.foundations.arrays import Array

HEIGHT, WIDTH = 7, 5
ALPHABET = "ABCDEFGHIJKLMNOPQRSTUVWXYZ"
ROWS = """
.###. ####. .###. ####. ##### ##### .###. #...# ##### ..### #...# #.... #...#
#...# #...# #...# #...# #.... #.... #...# #...# ..#.. ...#. #..#. #.... ##.##
#...# #...# #.... #...# #.... #.... #.... #...# ..#.. ...#. #.#.. #.... #.#.#
##### ####. #.... #...# ####. ####. #.### ##### ..#.. ...#. ##... #.... #.#.#
#...# #...# #.... #...# #.... #.... #...# #...# ..#.. ...#. #.#.. #.... #...#
#...# #...# #...# #...# #.... #.... #...# #...# ..#.. #..#. #..#. #.... #...#
#...# ####. .###. ####. ##### #.... .###. #...# ##### .##.. #...# ##### #...#

#...# .###. ####. .###. ####. .#### ##### #...# #...# #...# #...# #...# #####
##..# #...# #...# #...# #...# #.... ..#.. #...# #...# #...# #...# #...# ....#
##..# #...# #...# #...# #...# #.... ..#.. #...# #...# #...# .#.#. .#.#. ...#.
#.#.# #...# ####. #...# ####. .###. ..#.. #...# #...# #.#.# ..#.. ..#.. ..#..
#..## #...# #.... #.#.# #.#.. ....# ..#.. #...# #...# #.#.# .#.#. ..#.. .#...
#..## #...# #.... #..#. #..#. ....# ..#.. #...# .#.#. ##.## #...# ..#.. #....
#...# .###. #.... .##.# #...# ####. ..#.. .###. ..#.. #...# #...# ..#.. #####
"""


def bitmap(letter: str, *, scale: int = 1, dtype: DTypeLike = np.float64) -> Array:
    """Return one capital letter, (7 scale, 5 scale) of +1 and -1.

    Raises
    ------
    TypeError, ValueError
        if `letter` is not one of A to Z, `scale` no whole number of at least 1, `dtype` neither float64 nor float32.

    Examples
    --------
    >>> bitmap("L")[-2:].tolist()
    [[1.0, -1.0, -1.0, -1.0, -1.0], [1.0, 1.0, 1.0, 1.0, 1.0]]
    """
    factor, kind = check.count("scale", scale), check.floating("dtype", dtype)
    if not isinstance(letter, str):
        raise TypeError(f"letter: expected a str, got {type(letter).__name__}")
    if len(letter) != 1 or letter not in ALPHABET:
        raise ValueError(f"letter: expected one of A to Z, got {letter!r}")
    half, place = divmod(ALPHABET.index(letter), 13)
    rows = [row.split()[place] for row in ROWS.strip().split("\n\n")[half].splitlines()]
    signs = np.array([[1.0 if pixel == "#" else -1.0 for pixel in row] for row in rows], kind)
    return np.kron(signs, np.ones((factor, factor), kind))


def letters(text: str, *, scale: int = 1, dtype: DTypeLike = np.float64) -> Array:
    """Return the letters of `text` as rows, (n, 35 scale^2) of +1 and -1; errors as in `bitmap`.

    >>> letters("AZ").shape
    (2, 35)
    """
    if not isinstance(text, str):
        raise TypeError(f"text: expected a str of capital letters, got {type(text).__name__}")
    if not text:
        raise ValueError("text: expected at least one letter, got ''")
    if not set(text) <= set(ALPHABET):
        raise ValueError(f"text: expected letters from A to Z, got {text!r}")
    return np.stack([bitmap(letter, scale=scale, dtype=dtype).ravel() for letter in text])
