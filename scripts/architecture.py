"""What imports what: the picture of the library in the README, `python scripts/architecture.py`."""

import ast
from pathlib import Path

LIBRARY = Path(__file__).resolve().parents[1] / "ebm_np"
CHAPTERS = {
    "data": "what they look at",
    "foundations": "layers, costs, optimizers, checks",
    "latent": "notes 15-1",
    "sparse": "notes 08-2",
    "autoencoders": "notes 08-3",
    "physics": "blog 004",
}


def imports() -> dict[str, set[str]]:
    """Return for each module of the library, "chapter.module", those that it imports."""
    modules = {".".join(path.relative_to(LIBRARY).with_suffix("").parts): path for path in LIBRARY.glob("*/[!_]*.py")}
    return {name: _imported(path) & modules.keys() for name, path in sorted(modules.items())}


def arrows() -> list[tuple[str, str]]:
    """Return which chapter imports from which other."""
    pairs = {
        (module.partition(".")[0], source.partition(".")[0]) for module, some in imports().items() for source in some
    }
    return sorted((who, source) for who, source in pairs if who != source)


def mermaid() -> str:
    """Return the picture: an arrow from each chapter to those that it stands on."""
    boxes = [f'    {name}["<b>{name}</b><br/>{about}"]' for name, about in CHAPTERS.items()]
    lines = [f"    {who} --> {source}" for who, source in arrows()]
    return "\n".join(["```mermaid", "flowchart BT", *boxes, *lines, "```"])


def _imported(path: Path) -> set[str]:
    """Return the names of what a file imports from the library, as "chapter.module"; those of functions too."""
    found = set()
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.ImportFrom) and (node.module or "").startswith("ebm_np."):
            module = str(node.module).removeprefix("ebm_np.")
            found |= {module, *(f"{module}.{alias.name}" for alias in node.names)}
        elif isinstance(node, ast.Import):
            found |= {alias.name.removeprefix("ebm_np.") for alias in node.names}
    return found


if __name__ == "__main__":
    print(mermaid())
