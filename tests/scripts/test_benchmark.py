import io
import json

import matplotlib.image
import numpy as np
import pytest

from scripts import benchmark, pipeline


@pytest.fixture
def folder(tmp_path, monkeypatch):
    """Where the record goes; two comparisons that take no time, one of them with a peer that is not there."""

    def missing():
        raise ImportError("No module named 'peer'")

    def one():
        yield benchmark.Case("a sum", "a longer sum", lambda: sum(range(100)), lambda: sum(range(1_000)))
        yield benchmark.Case("a sum", "a stranger", lambda: sum(range(100)), missing)

    def other():
        yield benchmark.Case("nothing", "nothing", lambda: None, lambda: None)

    monkeypatch.setattr(pipeline, "FIGURES", tmp_path)
    monkeypatch.setattr(benchmark, "COMPARISONS", {"one": one, "other": other})
    for name in benchmark.THREADS:
        monkeypatch.setenv(name, "1")
    return tmp_path


def test_all_comparisons_are_a_table_a_record_and_a_picture(folder, capsys):
    benchmark.main(["--pairs", "1"])
    printed, told = capsys.readouterr()
    assert printed.splitlines()[0].split()[:3] == ["comparison", "task", "peer"]
    assert len(printed.splitlines()) == 3
    assert "skipped: a sum, against a stranger: No module named 'peer'" in told
    record = json.loads((folder / "benchmark.json").read_text())
    assert [(row["comparison"], row["peer"]) for row in record] == [
        ("one", "a longer sum"),
        ("other", "nothing"),
    ]
    for row in record:
        assert row["lowest"] <= row["ratio"] <= row["highest"]
        assert row["ratio"] == pytest.approx(row["ours"] / row["theirs"], rel=0.5)
    assert matplotlib.image.imread(io.BytesIO((folder / "benchmark.png").read_bytes())).ndim == 3
    assert sorted(path.name for path in folder.iterdir()) == ["benchmark.json", "benchmark.png"]


@pytest.mark.parametrize("arguments", [["one"], ["--only", "longer"], ["one", "--only", "longer", "--record"]])
def test_a_part_of_them_writes_nothing(arguments, folder, capsys):
    benchmark.main([*arguments, "--pairs", "1", "--json"])
    assert [row["peer"] for row in json.loads(capsys.readouterr().out)] == ["a longer sum"]
    assert not list(folder.iterdir())


def test_a_part_of_them_may_take_the_place_of_what_is_recorded_of_it(folder, capsys):
    path = folder / "benchmark.json"
    benchmark.main(["other", "--record", "--pairs", "1"])
    assert [row["comparison"] for row in json.loads(path.read_text())] == ["other"]
    benchmark.main(["one", "--record", "--pairs", "1"])
    first = json.loads(path.read_text())
    assert [row["comparison"] for row in first] == ["one", "other"]
    benchmark.main(["one", "--record", "--pairs", "2"])
    second = json.loads(path.read_text())
    assert [row["comparison"] for row in second] == ["one", "other"]
    assert second[1] == first[1]
    assert second[0] != first[0]


def test_an_unknown_comparison_is_refused_in_words(folder, capsys):
    with pytest.raises(SystemExit) as exit:
        benchmark.main(["one", "third"])
    assert exit.value.code == 2
    assert "unknown comparison third; known: one, other" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("seconds", "calls", "kept"),
    [(0.1, 8, 7), (7.0, 4, 3), (20.0, 3, 3), (90.0, 2, 2), (150.0, 1, 1)],
)
def test_the_longer_a_comparison_takes_the_fewer_pairs_will_do_and_long_runs_warm_themselves_up(
    seconds, calls, kept, monkeypatch
):
    clock, timed = [0.0], []

    def run(whose):
        timed.append(whose)
        took = seconds * (1 + whose) * (1 + 0.01 * len(timed) ** 2)
        clock[0] += took
        return took

    monkeypatch.setattr(benchmark, "_seconds", run)
    monkeypatch.setattr(benchmark.time, "perf_counter", lambda: clock[0])
    monkeypatch.setenv(benchmark.THREADS[0], "1")
    row = benchmark.measure("one", benchmark.Case("task", "peer", 0, 1))
    assert timed == [0, 1] * calls  # in turn
    n = 2 * np.arange(calls - kept, calls)
    ratios = (1 + 0.01 * (n + 1) ** 2) / (2 * (1 + 0.01 * (n + 2) ** 2))
    assert row.ratio == pytest.approx(np.median(ratios))
    assert (row.lowest, row.highest) == pytest.approx((min(ratios), max(ratios)))
