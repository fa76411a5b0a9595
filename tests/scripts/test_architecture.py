import subprocess
import sys
from graphlib import TopologicalSorter

from scripts import architecture

IMPORTS = architecture.imports()


def reached(module):
    """Return a module with all that it imports, and what these import."""
    return {module}.union(*map(reached, IMPORTS[module]))


def test_the_picture_in_the_readme_is_the_one_of_the_imports():
    readme = (architecture.LIBRARY.parent / "README.md").read_text(encoding="utf-8")
    assert architecture.mermaid() in readme, "python scripts/architecture.py prints the new one"


def test_every_chapter_has_its_box():
    assert architecture.CHAPTERS.keys() == {path.parent.name for path in architecture.LIBRARY.glob("*/__init__.py")}


def test_no_imports_go_in_a_circle():
    list(TopologicalSorter(IMPORTS).static_order())
    list(
        TopologicalSorter(
            {a: {b for who, b in architecture.arrows() if who == a} for a in architecture.CHAPTERS}
        ).static_order()
    )


def test_foundations_know_no_chapter():
    assert not [arrow for arrow in architecture.arrows() if arrow[0] == "foundations"]


def test_what_is_read_from_the_files_is_what_python_imports():
    module = "autoencoders.denoising"
    code = f"import sys, ebm_np.{module}; print(*sys.modules)"
    ran = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, check=True, cwd=architecture.LIBRARY.parent
    )
    loaded = {name.removeprefix("ebm_np.") for name in ran.stdout.split() if name.startswith("ebm_np.")}
    assert {name for name in loaded if "." in name} == reached(module)
