from scripts import mutation_scores as scores

CODE = '"""What it is."""\n\ndef f(x):\n    """Return twice x."""\n    return 2 * x\n'


def test_the_mark_of_a_code_changes_with_what_it_does_and_not_with_what_it_says():
    reworded = CODE.replace("Return twice x.", "Double x.").replace("\n\n", "  # a comment\n\n\n")
    assert scores.mark(reworded) == scores.mark(CODE)
    assert scores.mark(CODE.replace("2 *", "3 *")) != scores.mark(CODE)


def test_a_function_of_a_docstring_alone_has_a_mark():
    assert scores.mark('def f():\n    """Nothing."""\n') == scores.mark("def f():\n    pass\n")


def test_every_row_of_the_table_is_read_and_is_of_a_module_at_95_percent_or_better():
    text = scores.TABLE.read_text("utf-8")
    table = text[text.index("## Scores") : text.index("## Survivors")]
    found = scores.scores()
    assert [score.row() for score in found] == [line for line in table.splitlines() if line.startswith("| ")][1:]
    assert all(scores.path(score.module).exists() for score in found)
    assert min(score.killed / score.mutants for score in found) >= 0.95


def test_every_module_with_functions_that_mutmut_changes_has_its_row():
    chapters = ("foundations", "latent", "sparse", "autoencoders", "physics")
    measured = {score.module for score in scores.scores()}
    modules = {f"{c}.{path.stem}" for c in chapters for path in (scores.ROOT / "ebm_np" / c).glob("[!_]*.py")}
    assert modules - measured <= {"foundations.arrays", "foundations.results"}  # types alone


def test_a_score_of_another_code_is_named(monkeypatch, capsys):
    old = scores.scores()[0]._replace(code="0" * 8)
    monkeypatch.setattr(scores, "scores", lambda: [old])
    scores.main()
    assert f"{old.module}: changed since it was measured\n0 of 1" in capsys.readouterr().out
