"""The tables of figures/NOTES.md: every name exists, every test is there, every picture opens, nothing is left out."""

import ast
import json
import pkgutil
import re
from functools import cache

import pytest
from PIL import Image

from scripts import pipeline

PAGE = (pipeline.FIGURES / "NOTES.md").read_text(encoding="utf-8")
SECTIONS = dict(re.findall(r"^## (.+?)\n\n(.+?)(?=\n\n|\n?\Z)", PAGE, re.MULTILINE | re.DOTALL))
FIGURES_OF_THE_NOTES = {"15-1": 11, "08-2": 10, "08-3": 8}
PICTURES_OF_THE_BLOG = ("thrown_apple", "energy_along_path")
ERRATA = 25


def cells(section):
    """Return the rows of the table of a section, without its head."""
    rows = [re.split(r"(?<!\\)\|", line)[1:-1] for line in section.splitlines()[2:]]
    return [[cell.strip() for cell in row] for row in rows]


EQUATIONS = {title: cells(section) for title, section in SECTIONS.items() if re.match(r"\d", title)}
WRONG = cells(SECTIONS["Where the notes are wrong or silent"])
every_equation = pytest.mark.parametrize(
    "row", [pytest.param(row, id=row[1][:60]) for rows in EQUATIONS.values() for row in rows]
)


@cache
def functions_in(path):
    tree = ast.parse((pipeline.ROOT / path).read_text(encoding="utf-8"))
    return {node.name for node in tree.body if isinstance(node, ast.FunctionDef)}


def assert_tests_exist(cell):
    named = re.findall(r"`(.+?)`", cell)
    assert named
    for test in named:
        path, _, function = test.partition("::")
        assert function in functions_in(path), test


def test_there_is_a_section_for_each_note():
    assert [title.partition(":")[0] for title in EQUATIONS] == ["15-1", "08-2", "08-3", "004"]
    assert all(len(row) == 5 for rows in (*EQUATIONS.values(), WRONG) for row in rows)


@every_equation
def test_its_function_exists(row):
    named = re.findall(r"`(.+?)`", row[2])
    assert named
    for function in named:
        assert pkgutil.resolve_name(function) is not None


@every_equation
def test_its_test_exists(row):
    assert_tests_exist(row[3])


@every_equation
def test_its_picture_opens(row):
    for path in re.findall(r"\]\((.+?)\)", row[4]):
        with Image.open(pipeline.FIGURES / path) as picture:
            picture.load()


@pytest.mark.parametrize(
    ("note", "number"), [(n, k) for n, last in FIGURES_OF_THE_NOTES.items() for k in range(1, last + 1)]
)
def test_every_figure_of_the_notes_has_its_row_with_a_picture(note, number):
    (rows,) = (rows for title, rows in EQUATIONS.items() if title.startswith(note))
    assert [row[4] for row in rows if re.match(rf"figure {number}\b", row[1])] not in ([], [""])


@pytest.mark.parametrize("picture", PICTURES_OF_THE_BLOG)
def test_both_pictures_of_the_blog_have_their_row(picture):
    assert any(
        f"physics/{picture}.png" in row[4] for row in EQUATIONS["004: where it comes from, memories and machines"]
    )


def test_every_erratum_has_its_row_in_order():
    assert [int(row[0]) for row in WRONG] == list(range(1, ERRATA + 1))


@pytest.mark.parametrize("row", WRONG, ids=lambda row: row[0])
def test_an_erratum_is_proved(row):
    assert row[1] in ("15-1", "08-2", "08-3", "004")
    assert row[2]
    assert row[3]
    assert_tests_exist(row[4])


def test_erratum_11_there_are_256_strokes():
    record = json.loads((pipeline.FIGURES / "sparse/mnist_atoms.json").read_text(encoding="utf-8"))
    assert record["full"]["atoms"]["shape"] == [784, 256]
