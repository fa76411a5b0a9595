import importlib
import pkgutil
import re
from pathlib import Path

import ebm_np
from ebm_np.__main__ import CHAPTERS, READING_ORDER, main, title

README = Path(__file__).parents[1] / "README.md"


def in_order(some, of):
    """Say whether `some` stand in the order in which they are listed in `of`."""
    places = [of.index(one) for one in some]
    return places == sorted(places)


def test_every_module_appears_exactly_once():
    walked = pkgutil.walk_packages(ebm_np.__path__, "ebm_np.")
    modules = {m.name.removeprefix("ebm_np.").replace(".", "/") for m in walked if not m.ispkg}
    assert sorted(READING_ORDER) == sorted(modules - {"__main__"})


def test_the_readme_has_the_same_order():
    table = README.read_text(encoding="utf-8").partition("## What to read")[2].partition("\n## ")[0]
    linked = re.findall(r"\(ebm_np/(\w+/\w+)\.py\)", table)
    assert len(linked) > 20
    assert in_order(linked, READING_ORDER)


def test_the_chapters_have_the_same_order():
    for chapter in {chapter for chapter, _ in CHAPTERS}:
        modules = [module.partition("/")[2] for module in READING_ORDER if module.startswith(f"{chapter}/")]
        text = importlib.import_module(f"ebm_np.{chapter}").__doc__.partition("Reading order")[2]
        named = [name for name in re.findall(r"`(\w+)`", text) if name in modules]
        assert set(named) == set(modules), chapter
        assert in_order(named, modules), chapter


def test_a_line_is_printed_for_each_module(capsys):
    main()
    lines = capsys.readouterr().out.splitlines()
    assert [line.split()[0] for line in lines] == list(READING_ORDER)
    assert all(line.endswith(title(module)) for line, module in zip(lines, READING_ORDER, strict=True))


def test_a_docstring_says_in_one_line_what_a_module_is():
    assert all(re.fullmatch(r".{20,119}[.?]", title(module)) for module in READING_ORDER), "a sentence on line one"
