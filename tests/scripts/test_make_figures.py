import ast
import json
import os
import re
import subprocess
import sys
import time

import pytest

from scripts import gallery, make_figures, pipeline

CHEAP = ("latent/samples", "latent/energy_graph")


@pytest.fixture
def figures(tmp_path, monkeypatch):
    """The folder that takes the place of figures/."""
    monkeypatch.setattr(pipeline, "FIGURES", tmp_path / "figures")
    return tmp_path / "figures"


@pytest.fixture
def run(capsys, figures):
    """Run the command line in this process; return the exit status, standard output and standard error."""

    def run(*arguments):
        status = 0
        try:
            make_figures.main([*map(str, arguments)])
        except SystemExit as end:
            status = end.code
        return status, *capsys.readouterr()

    return run


def tree(folder):
    return {path.relative_to(folder).as_posix(): path.read_bytes() for path in folder.rglob("*") if path.is_file()}


# Names


@pytest.mark.parametrize("unknown", ["nosuch", "latent/nosuch", "latent/samples.py", "/", ""])
def test_an_unknown_name_is_refused_in_one_line_and_nothing_is_made(run, figures, unknown):
    status, out, err = run(*CHEAP, unknown)
    assert (status, out) == (2, "")
    assert err == f"unknown figure {unknown}; --list shows all names\n"
    assert not figures.exists()


def test_all_unknown_names_are_named(run, figures):
    assert "unknown figure one, two;" in run("one", "latent", "two")[2]


@pytest.mark.parametrize("wanted", [[], ["latent"], ["sparse/", "latent"], ["latent/samples"]])
def test_a_list_gives_each_chosen_name_beside_its_title(run, wanted):
    chosen = [n for n in pipeline.names() if not wanted or {n, n.split("/")[0], n.split("/")[0] + "/"} & set(wanted)]
    titles = []
    for name in chosen:
        docstring = ast.get_docstring(ast.parse((pipeline.ROOT / "scripts" / f"{name}.py").read_text()))
        titles.append(docstring.splitlines()[0])
    status, out, err = run("--list", *wanted)
    assert (status, err) == (0, "")
    assert [line.split(maxsplit=1) for line in out.splitlines()] == [
        list(pair) for pair in zip(chosen, titles, strict=True)
    ]


def test_a_list_imports_no_figure_and_writes_nothing(book):
    book.add("chapter/figure", constants="raise SystemExit('imported')")
    before = book.files()
    assert book.run("--list") == (0, f"{'chapter/figure':32} The figure chapter/figure.\n", "")
    assert book.files() == before


def test_a_list_names_even_a_script_that_is_no_python(book):
    book.add("one/a")
    book.add("one/b", constants="def")
    status, out, _ = book.run("--list")
    assert (status, [line.split()[0] for line in out.splitlines()]) == (0, ["one/a", "one/b"])


def test_a_list_needs_no_window_and_no_other_module_of_the_scripts(book):
    book.add("chapter/figure")
    (book.root / "scripts" / "unasked.py").write_text("raise SystemExit('imported')")
    ask = "import sys\nfrom scripts import make_figures\nmake_figures.main(['--list'])\n"
    ask += "print('matplotlib.pyplot' in sys.modules)"
    (book.root / "scripts" / "ask.py").write_text(ask)
    assert book.run(script="ask") == (0, f"{'chapter/figure':32} The figure chapter/figure.\nFalse\n", "")


def test_a_chapter_stands_for_all_its_figures_in_the_order_of_the_book():
    assert make_figures._choose(["latent"]) == [name for name in pipeline.names() if name.startswith("latent/")]
    assert make_figures._choose(["sparse", "latent"]) == make_figures._choose(["latent/", "sparse/", "latent/samples"])


def test_without_a_name_all_figures_are_chosen():
    assert make_figures._choose([]) == pipeline.names()


@pytest.mark.parametrize("jobs", ["0", "-1", "x", "1.5", "", "²"])
def test_a_number_of_jobs_that_makes_no_sense_is_refused_in_one_line_below_the_usage(run, figures, jobs):
    status, out, err = run(*CHEAP, "--jobs", jobs)
    assert (status, out) == (2, "")
    assert err.startswith("usage: ")
    assert err.endswith(f": error: argument --jobs: expected a whole number of at least 1, got {jobs!r}\n")
    assert not figures.exists()


# Making


def test_a_full_run_writes_pictures_records_and_the_page(book):
    book.add("one/b")
    book.add("one/a")
    book.add("two/c")
    before = book.files()
    status, out, err = book.run()
    assert (status, out) == (0, "")
    assert re.fullmatch(r"(one/b|one/a|two/c): five numbers \(.*\)\n" * 3, err)
    made = [f"figures/{name}.{kind}" for name in ("one/a", "one/b", "two/c") for kind in ("json", "png")]
    assert book.files() == sorted([*before, "figures/README.md", *made])
    page = (book.figures / "README.md").read_text()
    assert re.findall(r"\((.*)\.png\)", page) == ["one/b", "one/a", "two/c"]


def test_a_quick_run_stays_in_its_own_folder(book):
    book.add("one/a")
    before = book.files()
    assert book.run("--quick")[0] == 0
    assert book.files() == sorted([*before, "figures/quick/one/a.json", "figures/quick/one/a.png"])


def test_a_script_runs_alone(book):
    book.add("one/a")
    book.add("one/b")
    status, _, err = book.run(script="one/a")
    assert (status, err.splitlines()[0][:20]) == (0, "one/a: five numbers ")
    assert sorted(path.name for path in (book.figures / "one").iterdir()) == ["a.json", "a.png"]


def test_the_page_is_the_one_of_the_gallery(run, figures):
    assert run(*CHEAP)[0] == 0
    assert (figures / "README.md").read_text() == gallery.page()


def test_every_run_gives_the_same_bytes_whatever_the_number_of_jobs(tmp_path):
    trees = []
    for seed, jobs in ((1, 1), (2, 1), (3, 2)):
        folder = tmp_path / str(seed)
        command = [sys.executable, "-m", "scripts.make_figures", *CHEAP, "--jobs", str(jobs), "--out", str(folder)]
        paths = {"PYTHONPATH": os.pathsep.join(path for path in sys.path if path), "PYTHONHASHSEED": str(seed)}
        subprocess.run(command, check=True, cwd=tmp_path, env=os.environ | paths, capture_output=True)
        trees.append(tree(folder))
    assert trees[0].keys() == {f"{name}.{kind}" for name in CHEAP for kind in ("json", "png")}
    assert trees[0] == trees[1] == trees[2]


@pytest.mark.parametrize("jobs", [1, 2])
def test_figures_that_share_a_training_are_made_one_after_the_other_by_one_process(book, jobs):
    shares = 'SHARES = "materials.training"'
    count = "style.seen = getattr(style, 'seen', 0) + 1"
    compute = f"import os; {count}; time.sleep(0.5); return {{'y': np.array([os.getpid(), style.seen]), 'source': ''}}"
    book.add("one/a", compute, shares)
    book.add("one/b")
    book.add("one/c", "1 / 0", shares)
    book.add("two/d", compute, shares)
    status, _, err = book.run("--quick", "--jobs", jobs)
    assert (status, err.splitlines()[-1]) == (1, "failed: one/c")
    records = [json.loads((book.figures / f"quick/{name}.json").read_text()) for name in ("one/a", "two/d")]
    (process, _), (same, _) = places = [record["quick"]["y"] for record in records]
    assert process == same
    assert [seen for _, seen in places] == [1, 2]


@pytest.mark.parametrize("jobs", [1, 2])
def test_a_mistake_in_a_script_is_shown_where_it_was_made(book, jobs):
    book.add("one/a", "1 / 0")
    book.add("one/b")
    assert "scripts/one/a.py" in book.run("--jobs", jobs)[2]


def test_a_process_that_dies_fails_its_figures_by_name(book):
    book.add("one/a", "import os; os._exit(3)")
    status, _, err = book.run("--jobs", 2)
    assert (status, err.splitlines()[-1]) == (1, "failed: one/a")


# Failing


@pytest.mark.parametrize("jobs", [1, 2])
def test_a_failing_figure_does_not_stop_the_others_and_is_named_at_the_end(book, jobs):
    book.add("one/a", "raise OSError('the disk is gone')")
    book.add("one/b")
    book.add("one/c", "return {'y': np.array([np.nan]), 'source': ''}")
    book.add("one/d", "1 / 0")
    book.add("two/e")
    status, _, err = book.run("--jobs", jobs)
    assert status == 1
    lines = err.splitlines()
    assert "one/a: FAILED: the disk is gone" in lines
    assert "one/c: FAILED: y: NaN or infinity" in lines
    assert "ZeroDivisionError: division by zero" in lines
    assert set(lines[-1].removeprefix("failed: ").split(", ")) == {"one/a", "one/c", "one/d"}
    made = sorted(path.relative_to(book.figures).as_posix() for path in book.figures.glob("*/*"))
    assert made == ["one/b.json", "one/b.png", "two/e.json", "two/e.png"]


@pytest.mark.parametrize("error", [OSError, ValueError, FileNotFoundError, ModuleNotFoundError])
def test_an_error_that_a_user_can_mend_is_one_line(run, monkeypatch, error):
    def fail(name, folder, quick):
        raise error("expected a folder, got a fish")

    monkeypatch.setattr(pipeline, "build", fail)
    status, out, err = run("latent/samples")
    assert (status, out) == ("failed: latent/samples", "")
    assert err == "latent/samples: FAILED: expected a folder, got a fish\n"


@pytest.mark.parametrize("error", [AssertionError, ValueError])
def test_an_error_without_words_says_at_least_what_it_is(run, monkeypatch, error):
    def fail(name, folder, quick):
        raise error

    monkeypatch.setattr(pipeline, "build", fail)
    assert error.__name__ in run("latent/samples")[2]


def test_an_error_that_is_ours_to_mend_says_where_it_happened(run, monkeypatch):
    def fail(name, folder, quick):
        return {}["no key"]

    monkeypatch.setattr(pipeline, "build", fail)
    status, _, err = run("latent/samples")
    assert status == "failed: latent/samples"
    assert "in fail\n" in err
    assert "KeyError: 'no key'" in err


@pytest.mark.parametrize(
    ("flaw", "words"), [("import nosuch_module", "No module named 'nosuch_module'"), ("def", "SyntaxError: ")]
)
def test_a_script_that_cannot_be_imported_does_not_stop_the_others(book, flaw, words):
    book.add("one/a", constants=flaw)
    book.add("one/b")
    status, _, err = book.run()
    assert status == 1
    assert "one/a: FAILED: " in err
    assert words in err
    assert err.endswith("\nfailed: one/a\n")
    assert (book.figures / "one/b.png").exists()


@pytest.mark.parametrize("name", ["data/digits", "data/photographs", "sparse/mnist_atoms"])
def test_a_data_folder_that_does_not_exist_is_named_in_one_line(run, figures, monkeypatch, name):
    monkeypatch.setenv("EBM_NP_DATA", "/no/such/folder")
    status, _, err = run(name, "latent/energy_graph")
    assert status == f"failed: {name}"
    assert f"{name}: FAILED: $EBM_NP_DATA: expected an existing folder, got '/no/such/folder'" in err.splitlines()
    assert len(err.splitlines()) == 2
    assert (figures / "latent/energy_graph.png").exists()


@pytest.mark.parametrize("jobs", [1, 2])
def test_a_terminated_run_starts_no_further_figure(book, jobs):
    for k in range(12):  # of which 7 may be finished or handed out when the end comes
        book.add(f"one/{k}", "time.sleep(0.3 * (not quick))")
    process = book.start("--jobs", jobs)
    while not list(book.figures.glob("one/*.png")) and process.poll() is None:
        time.sleep(0.01)
    process.terminate()
    assert book.end(process)[0] == 143
    assert len(list(book.figures.glob("one/*.png"))) < 9
    assert not list(book.figures.rglob(".partial-*"))


SWALLOWED = """class Thing: pass
    thing = Thing()
    watch = weakref.ref(thing, lambda _: signal.raise_signal(signal.SIGTERM))
    del thing"""


def test_a_termination_that_a_callback_swallows_ends_the_run_after_the_figure_at_hand(book):
    """Python ignores what is raised in the callback of a weak reference; matplotlib has many."""
    book.add("one/a", SWALLOWED, constants="import signal, weakref")
    book.add("one/b")
    assert book.run()[0] == 143
    assert not list(book.figures.glob("one/b.*"))


# Checking


@pytest.mark.parametrize("options", [[], ["--jobs", "2"]])
def test_a_check_of_an_untouched_build_agrees_and_writes_nothing(book, options):
    book.add("one/a")
    book.add("one/b")
    book.run()
    (book.figures / "README.md").unlink()
    before = tree(book.root)
    status, out, err = book.run("--check", *options)
    assert (status, out) == (0, "")
    assert sorted(re.sub(r" \(.*\)", "", line) for line in err.splitlines()) == ["one/a: agrees", "one/b: agrees"]
    assert tree(book.root) == before


@pytest.mark.parametrize("options", [[], ["--quick"]])
def test_a_build_of_real_figures_is_checked_against_its_own_folder(run, tmp_path, figures, options):
    run(*CHEAP, "--out", tmp_path)
    assert not figures.exists()
    status, _, err = run("--check", *options, *CHEAP, "--out", tmp_path)
    assert status == 0
    assert err.count(": agrees (") == 2


def test_a_quick_build_can_be_checked_by_a_quick_check(run, tmp_path):
    run("latent/samples", "--quick", "--out", tmp_path)
    status, _, err = run("latent/samples", "--quick", "--check", "--out", tmp_path)
    assert status == 0
    assert err.startswith("latent/samples: agrees (")


def test_a_changed_number_fails_the_check_naming_figure_and_key_and_no_other(run, tmp_path):
    run(*CHEAP, "--out", tmp_path)
    path = tmp_path / "latent/samples.json"
    record = json.loads(path.read_text())
    record["full"]["decoded"][7][1] += 0.5
    path.write_text(json.dumps(record))
    status, _, err = run("--check", *CHEAP, "--out", tmp_path)
    assert status == "failed: latent/samples"
    assert re.search(r"^latent/samples: FAILED: latent/samples, decoded: differs by 0\.5\b.*$", err, re.MULTILINE)
    assert "latent/energy_graph: agrees" in err


@pytest.mark.parametrize("content", [None, "", "[]", "{}", '{"data": 3'])
def test_a_record_that_is_missing_or_damaged_is_named_in_one_line(run, tmp_path, content):
    path = tmp_path / "latent" / "samples.json"
    path.parent.mkdir()
    if content is not None:
        path.write_text(content)
    status, _, err = run("--check", "latent/samples", "--out", tmp_path)
    assert status == "failed: latent/samples"
    assert len(err.splitlines()) == 1
    assert err.startswith("latent/samples: FAILED: ")
    assert str(path) in err


def test_numbers_from_other_data_are_not_compared_and_that_is_no_failure(run, tmp_path):
    run("latent/samples", "--out", tmp_path)
    path = tmp_path / "latent/samples.json"
    path.write_text(path.read_text().replace("the 24 samples of lecture 15-1", "24 raindrops"))
    status, _, err = run("--check", "latent/samples", "--out", tmp_path)
    assert status == 0
    assert "not compared: recorded from 24 raindrops, here the 24 samples of lecture 15-1" in err


# A script alone


def test_a_script_alone_takes_the_options_of_the_command_line(book):
    book.add("one/a")
    status, _, err = book.run("--quick", "--out", book.root / "elsewhere", script="one/a")
    assert status == 0, err
    assert (book.root / "elsewhere/one/a.png").exists()
    assert not book.figures.exists()


def test_an_interrupted_run_says_so_in_one_line(run, monkeypatch):
    def interrupt(name, folder, quick):
        raise KeyboardInterrupt

    monkeypatch.setattr(pipeline, "build", interrupt)
    status, _, err = run("latent/samples")
    assert status == 130
    assert err.splitlines()[-1] == "interrupted"
