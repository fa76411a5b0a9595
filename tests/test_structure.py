"""The house rules that a reader relies on: short functions, short modules."""

import ast
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[1]
MODULES = sorted([*ROOT.glob("ebm_np/**/*.py"), *ROOT.glob("scripts/**/*.py")])
EVERY_MODULE = pytest.mark.parametrize("path", MODULES, ids=[str(path.relative_to(ROOT)) for path in MODULES])


def length(function):
    """The lines of a function without its docstring."""
    first = function.body[0]
    documented = ast.get_docstring(function) is not None
    docstring = first.end_lineno - first.lineno + 1 if documented else 0
    return function.end_lineno - function.lineno + 1 - docstring


@EVERY_MODULE
def test_functions_have_forty_lines_and_modules_about_three_hundred_at_most(path):
    text = path.read_text(encoding="utf-8")
    assert len(text.splitlines()) <= 320
    functions = [node for node in ast.walk(ast.parse(text)) if isinstance(node, ast.FunctionDef)]
    assert {f.name: length(f) for f in functions if length(f) > 40} == {}


@EVERY_MODULE
def test_every_public_function_says_what_it_does(path):
    tree = ast.parse(path.read_text(encoding="utf-8"))
    functions = [node for node in tree.body if isinstance(node, ast.FunctionDef | ast.ClassDef)]
    assert [f.name for f in functions if not f.name.startswith("_") and not ast.get_docstring(f)] == []
