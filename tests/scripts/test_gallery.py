import ast
import json
import pkgutil
import re
from functools import cache
from pathlib import Path

import pytest
from PIL import Image

from scripts import gallery, pipeline

# by glob, not by pipeline.names(), so that a script that cannot be imported fails its own tests only
NAMES = sorted(f"{path.parent.name}/{path.stem}" for path in (pipeline.ROOT / "scripts").glob("*/*.py"))
page = cache(gallery.page)
every_figure = pytest.mark.parametrize("name", NAMES)


@every_figure
@pytest.mark.parametrize("key", ["NOTE", "EQUATION", "FUNCTION", "TEST"])
def test_a_script_says_what_it_draws(name, key):
    value = getattr(pipeline.load(name), key)
    assert isinstance(value, str)
    assert value.strip()


@every_figure
def test_a_script_has_a_title_and_says_what_it_teaches(name):
    docstring = pipeline.load(name).__doc__
    title, _, text = docstring.partition("\n\n")
    assert title == gallery.title(name)
    assert text.strip()


def test_no_two_figures_stand_at_the_same_place_of_the_book():
    orders = [pipeline.load(name).ORDER for name in NAMES]
    assert all(isinstance(order, int) for order in orders)
    assert len(set(orders)) == len(orders)


@every_figure
def test_the_function_of_a_figure_exists(name):
    function = pipeline.load(name).FUNCTION
    assert function.startswith("ebm_np.")
    pkgutil.resolve_name(function)


@every_figure
def test_the_test_of_a_figure_exists(name):
    path, _, function = pipeline.load(name).TEST.partition("::")
    assert re.fullmatch(r"tests/\w+/test_\w+\.py", path)
    tree = ast.parse((pipeline.ROOT / path).read_text())
    assert function in {node.name for node in tree.body if isinstance(node, ast.FunctionDef)}


@every_figure
def test_a_figure_has_its_entry_on_the_page(name):
    script = pipeline.load(name)
    assert f"\n## {gallery.title(name)}\n" in page()
    assert f"]({name}.png)\n" in page()
    assert script.FUNCTION in page()
    assert script.TEST in page()


@every_figure
def test_a_row_of_the_page_has_four_cells(name):
    """A bar ends a cell even between backticks, unless it is escaped."""
    row = gallery._entry(name).rstrip().splitlines()[-1]
    assert len(re.findall(r"(?<!\\)\|", row)) == 5


def test_the_page_is_in_the_order_of_the_book():
    linked = re.findall(r"\]\((.+)\.png\)", page())
    assert linked == sorted(NAMES, key=lambda name: pipeline.load(name).ORDER)


def test_the_committed_page_is_the_one_that_the_scripts_give():
    assert (pipeline.FIGURES / "README.md").read_text(encoding="utf-8") == page()


@every_figure
def test_a_figure_is_committed_with_its_numbers(name):
    with Image.open(pipeline.FIGURES / f"{name}.png") as picture:
        picture.load()
    record = json.loads((pipeline.FIGURES / f"{name}.json").read_text())
    assert record["figure"] == name
    assert record["full"].keys() == record["quick"].keys()
    assert record["full"]["source"]


def test_no_picture_outlives_its_script():
    here = Path(pipeline.FIGURES)
    committed = {path.relative_to(here).with_suffix("").as_posix() for path in here.glob("*/*.*")}
    assert {name for name in committed if not name.startswith("quick/")} <= set(NAMES)
