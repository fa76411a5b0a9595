"""The page figures/README.md: each picture with its equation, its function and the test that proves it."""

from scripts import pipeline

HEAD = """# Figures

Every picture is made by the script of the same name under `scripts/` from the library's own functions
(`python scripts/make_figures.py NAME`), and stands beside a `.json` file with the numbers that it shows.
This page is written by `scripts/make_figures.py`. Where each figure of the notes is found: [NOTES.md](NOTES.md).
"""


def title(name: str) -> str:
    """Return the first line of a script's docstring."""
    return (pipeline.docstring(name) or name).splitlines()[0]


def page() -> str:
    """Return the whole page."""
    return "\n".join([HEAD, *map(_entry, pipeline.names())])


def _entry(name: str) -> str:
    script = pipeline.load(name)
    text = "\n\n".join(" ".join(part.split("\n")) for part in pipeline.docstring(name).split("\n\n")[1:])
    # a bar would end the cell, even inside code
    cells = (f"`{cell}`".replace("|", "\\|") for cell in (script.EQUATION, script.FUNCTION, script.TEST))
    return f"""## {title(name)}

![{title(name)}]({name}.png)

{text}

| notes | equation | function | test |
|---|---|---|---|
| {script.NOTE} | {" | ".join(cells)} |
"""
