"""Say which mutation scores still hold: each was measured of a code that may have changed since.

    python scripts/mutation_scores.py

A score in `tests/mutants.md` stands beside the mark of the code it was measured of, its syntax tree without docstrings
and comments. `scripts/mutate.py` prints the new row.
"""

import ast
import hashlib
import re
from pathlib import Path
from typing import NamedTuple

ROOT = Path(__file__).resolve().parents[1]
TABLE = ROOT / "tests" / "mutants.md"


class Score(NamedTuple):
    """A row of the table."""

    module: str
    mutants: int
    killed: int
    code: str

    @property
    def share(self) -> float:
        """That of the mutants that were killed."""
        return self.killed / self.mutants

    def row(self) -> str:
        """Return it as the table has it."""
        return f"| {self.module} | {self.mutants} | {self.killed} | {100 * self.share:.1f} % | {self.code} |"


def mark(source: str) -> str:
    """Return eight digits that change with the code, and not with its docstrings and comments."""
    tree = ast.parse(source)
    for node in ast.walk(tree):
        if isinstance(node, ast.Module | ast.ClassDef | ast.FunctionDef):
            node.body = [part for part in node.body if not _is_text(part)] or [ast.Pass()]
    return hashlib.sha256(ast.unparse(tree).encode()).hexdigest()[:8]


def _is_text(statement: ast.stmt) -> bool:
    return isinstance(statement, ast.Expr) and isinstance(statement.value, ast.Constant)


def path(module: str) -> Path:
    """Return the file of a module, as in foundations.costs."""
    return ROOT / "ebm_np" / f"{module.replace('.', '/')}.py"


def scores() -> list[Score]:
    """Return the rows of the table."""
    rows = re.findall(r"^\| (\w+\.\w+) \| (\d+) \| (\d+) \| [\d.]+ % \| (\w+) \|$", TABLE.read_text("utf-8"), re.M)
    return [Score(module, int(mutants), int(killed), code) for module, mutants, killed, code in rows]


def main() -> None:
    """Print the modules whose code is no longer the one that was measured, and how many scores hold."""
    found = scores()
    old = [score.module for score in found if mark(path(score.module).read_text("utf-8")) != score.code]
    for module in old:
        print(f"{module}: changed since it was measured")
    least = min(found, key=lambda score: score.share)
    print(f"{len(found) - len(old)} of {len(found)} scores are of today's code; the least is\n{least.row()}")


if __name__ == "__main__":
    main()
