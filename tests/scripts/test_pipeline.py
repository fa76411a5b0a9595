import importlib
import io
import json
import os
import re
import resource
import subprocess
import sys
from concurrent.futures import ProcessPoolExecutor, ThreadPoolExecutor
from multiprocessing import get_context
from types import SimpleNamespace

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import array_shapes, arrays
from PIL import Image

from scripts import pipeline, style

TOLERANCE, LONGEST = pipeline.TOLERANCE, pipeline.LONGEST
small_arrays = arrays(float, array_shapes(min_dims=0, max_dims=3, max_side=4), elements=st.floats(-1e9, 1e9))
long_arrays = st.integers(LONGEST + 1, 2 * LONGEST).flatmap(
    lambda n: st.integers(0, 2**32).map(lambda seed: np.random.default_rng(seed).normal(size=n))
)
tables = st.dictionaries(st.text(max_size=5), small_arrays | long_arrays | st.text(max_size=5), min_size=1)


def through_json(data):
    return json.loads(json.dumps(pipeline.numbers(data)))


def compare(recorded, data, tolerance=TOLERANCE):
    pipeline._compare(recorded, pipeline.numbers(data), tolerance, "chapter/figure")


def draw(data):
    figure, axes = style.new(2, 2, data["source"])
    axes.plot(data["y"])
    return figure


@pytest.fixture
def script(monkeypatch):
    """A figure `chapter/figure`; a test replaces what it needs."""
    fake = SimpleNamespace(compute=lambda rng, quick: {"y": rng.normal(size=5), "source": "five numbers"}, draw=draw)
    monkeypatch.setattr(pipeline, "load", lambda name: fake)
    return fake


# Writing


def test_a_written_file_has_its_content_and_the_rights_of_any_other(tmp_path):
    path, other = tmp_path / "new" / "folder" / "file", tmp_path / "other"
    pipeline.write(path, b"content")
    other.touch()
    assert path.read_bytes() == b"content"
    assert path.stat().st_mode == other.stat().st_mode


def test_a_disk_that_is_full_leaves_the_old_file_and_nothing_else(tmp_path):
    path = tmp_path / "file"
    pipeline.write(path, b"old")
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (1000, hard))
    try:
        with pytest.raises(OSError, match="File too large"):
            pipeline.write(path, bytes(10_000))
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))
    assert path.read_bytes() == b"old"
    assert os.listdir(tmp_path) == ["file"]


def test_a_name_that_cannot_be_taken_leaves_the_old_folder_and_nothing_else(tmp_path):
    (tmp_path / "file" / "inside").mkdir(parents=True)
    with pytest.raises(OSError, match="directory"):
        pipeline.write(tmp_path / "file", b"new")
    assert os.listdir(tmp_path) == ["file"]


def reader_beside(path, is_running):
    """Read a file as often as possible while others write it; return what was found."""
    found = set()
    while is_running():
        found.add(path.read_bytes())
    return found


@pytest.mark.parametrize("kind", ["threads", "processes"])
def test_concurrent_writers_leave_a_whole_file_at_every_moment(tmp_path, kind):
    path, contents = tmp_path / "file", [bytes([k]) * (300_000 + k) for k in range(8)]
    pipeline.write(path, contents[0])
    pool = ThreadPoolExecutor(4) if kind == "threads" else ProcessPoolExecutor(2, mp_context=get_context("spawn"))
    with pool:
        writes = [pool.submit(pipeline.write, path, content) for _ in range(20) for content in contents]
        found = reader_beside(path, lambda: not all(write.done() for write in writes))
        for write in writes:
            write.result()
    assert found <= set(contents)
    assert path.read_bytes() in contents
    assert os.listdir(tmp_path) == ["file"]


def run_script(text, *arguments):
    paths = {"PYTHONPATH": os.pathsep.join(path for path in sys.path if path), "OPENBLAS_NUM_THREADS": "1"}
    done = subprocess.run(
        [sys.executable, "-c", text, *map(str, arguments)], env=os.environ | paths, text=True, stdout=subprocess.PIPE
    )
    assert done.returncode == 0
    return done.stdout


FORKED = """
import os, sys
from pathlib import Path
from scripts import pipeline

path, child = Path(sys.argv[1]), os.fork()
for _ in range(300):
    pipeline.write(path, bytes([child != 0]) * 100_000)
    assert path.read_bytes() in (bytes(100_000), b"\\1" * 100_000)
if child:
    sys.exit(os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]))
"""


def test_forked_writers_do_not_share_what_is_half_written(tmp_path):
    run_script(FORKED, tmp_path / "file")
    assert os.listdir(tmp_path) == ["file"]


TERMINATED = """
import os, signal, sys
from itertools import count
from pathlib import Path
from scripts import pipeline

path = Path(sys.argv[1])
signal.alarm(60)
signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))  # as make_figures does
pipeline.write(path, b"old")


def write_until(last):
    lines = count()

    def trace(frame, event, _):
        if event == "line" and next(lines) == last:
            where.write_text(f"{frame.f_code.co_name}, line {frame.f_lineno}")
            sys.settrace(None)
            signal.raise_signal(signal.SIGTERM)
        return trace

    try:
        sys.settrace(trace)
        pipeline.write(path, b"new")
        os._exit(0)
    finally:
        os._exit(143)


where = path.parent.with_suffix(".where")
for last in count():
    path.write_bytes(b"old")
    child = os.fork()
    if child == 0:
        write_until(last)
    status = os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])
    if path.read_bytes() not in (b"old", b"new") or os.listdir(path.parent) != [path.name]:
        print(where.read_text())
    for left in path.parent.glob(".*"):
        left.unlink()
    if status == 0:
        assert last > 10
        break
"""


def test_sigterm_at_any_line_of_a_write_leaves_a_whole_file_and_nothing_else(tmp_path):
    lines_that_leave_something = run_script(TERMINATED, tmp_path / "folder" / "file")
    assert lines_that_leave_something == ""


KILLED = """
import io, json, os, random, signal, sys, time
from pathlib import Path
from PIL import Image
from scripts import make_figures, pipeline

folder, number, trials = Path(sys.argv[1]), signal.Signals[sys.argv[2]], int(sys.argv[3])
signal.alarm(60)
buffer = io.BytesIO()
Image.effect_noise((1500, 1500), 50).save(buffer, "png", compress_level=0)
pipeline.picture = lambda script, data: buffer.getvalue()  # large and drawn at once: a kill mostly hits a write
sys.stderr = open(os.devnull, "w")


def build():
    make_figures.main(["latent/samples", "--out", str(folder)])


build()  # imports all that it needs; a child builds from its first moment on
signal.signal(signal.SIGTERM, signal.SIG_DFL)
for _ in range(trials):
    child = os.fork()
    if child == 0:
        try:
            while True:
                build()
        finally:
            os._exit(143)
    time.sleep(random.uniform(0, 0.06))
    ended = 0
    while not ended:  # again only where Python ignored it, in the callback of a weak reference
        os.kill(child, number)
        for _ in range(200):
            ended, status = os.waitpid(child, os.WNOHANG)
            if ended:
                break
            time.sleep(0.01)
    assert os.waitstatus_to_exitcode(status) in (-number, 143), status
    for path in folder.glob("*/*.png"):
        with Image.open(path) as picture:
            picture.load()
        with Image.open(path) as picture:
            picture.verify()
    for path in folder.glob("*/*.json"):
        json.loads(path.read_text())
print(*(path.name for path in folder.glob("*/.*")), end="")
"""


@pytest.mark.parametrize("number", ["SIGKILL", "SIGTERM"])
def test_a_run_killed_at_any_moment_leaves_whole_files(tmp_path, number):
    left = run_script(KILLED, tmp_path, number, 40)
    assert number == "SIGKILL" or left == ""
    assert sorted(path.name for path in tmp_path.glob("latent/[!.]*")) == ["samples.json", "samples.png"]


# Building


def test_a_figure_is_built_as_a_picture_and_a_record(tmp_path, script):
    script.compute = lambda rng, quick: {"y": np.arange(2 if quick else 4), "source": "counting"}
    assert pipeline.build("chapter/figure", tmp_path) == "counting"
    assert sorted(os.listdir(tmp_path / "chapter")) == ["figure.json", "figure.png"]
    record = json.loads((tmp_path / "chapter/figure.json").read_text())
    assert record == {
        "figure": "chapter/figure",
        "quick": {"y": [0, 1], "source": "counting"},
        "full": {"y": [0, 1, 2, 3], "source": "counting"},
    }


def test_a_picture_names_no_software_and_no_date():
    data = {"y": np.arange(3), "source": ""}
    with Image.open(io.BytesIO(pipeline.picture(SimpleNamespace(draw=draw), data))) as picture:
        assert picture.info.keys() == {"dpi"}


def test_drawing_leaves_the_settings_of_matplotlib_as_they_were():
    before = dict(style.mpl.rcParams)
    pipeline.picture(SimpleNamespace(draw=draw), {"y": np.arange(3), "source": ""})
    assert dict(style.mpl.rcParams) == before


def test_every_computation_starts_from_the_same_seed(script):
    first, second = (pipeline.compute("chapter/figure", quick) for quick in (False, True))
    np.testing.assert_array_equal(first["y"], second["y"])


@pytest.mark.parametrize("bad", [np.nan, np.inf, -np.inf])
@pytest.mark.parametrize("only_quick", [False, True])
def test_a_number_that_is_not_finite_is_refused_by_name_and_nothing_is_written(tmp_path, script, bad, only_quick):
    script.compute = lambda rng, quick: {
        "fine": 1.0,
        "y": np.array([1, bad if quick >= only_quick else 2]),
        "source": "",
    }
    with pytest.raises(FloatingPointError, match=r"^y: NaN or infinity$"):
        pipeline.build("chapter/figure", tmp_path)
    assert os.listdir(tmp_path) == []


def test_the_figures_are_all_scripts_in_the_order_of_the_book():
    names = pipeline.names()
    found = {f"{path.parent.name}/{path.stem}" for path in (pipeline.ROOT / "scripts").glob("*/*.py")}
    assert len(names) == len(found)
    assert set(names) == found
    orders = [importlib.import_module(f"scripts.{name.replace('/', '.')}").ORDER for name in names]
    assert orders == sorted(orders)


# The numbers of a record


@given(tables)
def test_numbers_go_through_json_unchanged(data):
    assert through_json(data) == pipeline.numbers(data)
    compare(through_json(data), data)


@given(small_arrays)
def test_a_short_array_is_recorded_to_nine_digits(array):
    np.testing.assert_allclose(pipeline.numbers({"y": array})["y"], array, rtol=5e-9)


@given(long_arrays)
def test_a_long_array_is_recorded_by_its_statistics_and_a_hundred_entries(array):
    summary = pipeline.numbers({"y": array})["y"]
    statistics = [array.mean(), array.std(), array.min(), array.max()]
    assert summary["shape"] == [array.size]
    np.testing.assert_allclose(summary["mean, std, min, max"], statistics, rtol=5e-9)
    assert len(summary["entries"]) == 100
    np.testing.assert_allclose(summary["entries"][::99], array[[0, -1]], rtol=5e-9)
    assert np.isclose(np.array(summary["entries"])[:, None], array, rtol=5e-9).any(axis=1).all()


@pytest.mark.parametrize("size", [LONGEST, LONGEST + 1])
def test_an_array_is_long_above_the_longest(size):
    assert isinstance(pipeline.numbers({"y": np.zeros(size)})["y"], dict) == (size > LONGEST)


@given(st.data())
def test_a_changed_number_is_found_beyond_the_tolerance_and_only_there(draws):
    table = draws.draw(st.dictionaries(st.text(max_size=5), small_arrays, min_size=1))
    tolerance = draws.draw(st.sampled_from([TOLERANCE, 1e-3, 0.1]))
    key = draws.draw(st.sampled_from(sorted(table)))
    changed, scale = table[key].copy(), max(np.abs(table[key]).max(), 1e-6)
    index = draws.draw(st.integers(0, changed.size - 1))
    far = draws.draw(st.booleans())
    times = draws.draw(st.floats(1.1, 1e9) if far else st.floats(0, 0.9))
    changed.flat[index] += draws.draw(st.sampled_from([-1, 1])) * times * tolerance * scale
    if far:
        with pytest.raises(AssertionError, match=rf"^chapter/figure, {re.escape(key)}: differs by "):
            compare(through_json(table), table | {key: changed}, tolerance)
    else:
        compare(through_json(table), table | {key: changed}, tolerance)


@given(long_arrays, st.integers(0, 99))
def test_a_changed_entry_of_a_long_array_is_found_and_named(array, k):
    recorded = through_json({"y": array})
    recorded["y"]["entries"][k] += 1e-3
    with pytest.raises(AssertionError, match=r"^chapter/figure, y, entries: differs by "):
        compare(recorded, {"y": array})


@given(long_arrays, st.data())
def test_any_large_change_in_a_long_array_is_found(array, draws):
    changed = array.copy()
    changed[draws.draw(st.integers(0, array.size - 1))] += draws.draw(st.sampled_from([-10, 10]))
    with pytest.raises(AssertionError, match=r"^chapter/figure, y, mean, std, min, max: differs by "):
        compare(through_json({"y": array}), {"y": changed})


@pytest.mark.parametrize("bad", [np.nan, np.inf])
def test_a_number_that_is_no_longer_finite_is_found(bad):
    with pytest.raises(AssertionError, match=r"^chapter/figure, y: differs by "):
        compare({"y": [1.0, 2.0]}, {"y": np.array([1.0, bad])})


SHORT, LONG, TALL = np.zeros(LONGEST), np.zeros(LONGEST + 2), np.zeros((2, LONGEST // 2 + 1))


@pytest.mark.parametrize(
    ("recorded", "computed"),
    [
        ({"y": np.zeros(3)}, {"y": np.zeros(4)}),
        ({"y": np.zeros(3)}, {"y": np.zeros((3, 1))}),
        ({"y": np.zeros(3)}, {"y": 0.0}),
        ({"y": LONG}, {"y": TALL}),
        ({"y": SHORT}, {"y": LONG}),
        ({"y": LONG}, {"y": SHORT}),
        ({"y": "word"}, {"y": "other"}),
        ({"y": "word"}, {"y": np.zeros(3)}),
        ({"y": "word"}, {"y": LONG}),
        ({"y": np.zeros(3)}, {"y": "word"}),
        ({"y": LONG}, {"y": "word"}),
    ],
)
def test_another_shape_or_kind_is_named(recorded, computed):
    with pytest.raises(AssertionError, match=r"^chapter/figure, y\b"):
        compare(through_json(recorded), computed)


@pytest.mark.parametrize("computed", [{"a": 1.0}, {"a": 1.0, "b": 2.0, "c": 3.0}, {"a": 1.0, "c": 2.0}])
def test_another_set_of_keys_is_named(computed):
    with pytest.raises(AssertionError, match=re.escape(f"recorded ['a', 'b'], computed {sorted(computed)}")):
        compare(through_json({"a": 1.0, "b": 2.0}), computed)


# Checking


@pytest.mark.parametrize("quick", [False, True])
def test_a_build_agrees_with_itself(tmp_path, script, quick):
    script.compute = lambda rng, quick: {"y": rng.normal(size=3 if quick else 5), "source": "numbers"}
    pipeline.build("chapter/figure", tmp_path)
    assert pipeline.check("chapter/figure", tmp_path, quick) == "agrees"


def test_a_quick_build_agrees_with_itself(tmp_path, script):
    pipeline.build("chapter/figure", tmp_path, quick=True)
    assert pipeline.check("chapter/figure", tmp_path, quick=True) == "agrees"


def test_a_quick_check_compares_though_the_quick_run_uses_less_data(tmp_path, script):
    script.compute = lambda rng, quick: {"y": np.arange(3), "source": "half of it" if quick else "all of it"}
    pipeline.build("chapter/figure", tmp_path)
    assert pipeline.check("chapter/figure", tmp_path, quick=True) == "agrees"


def test_a_script_sets_its_own_tolerance(tmp_path, script):
    script.compute = lambda rng, quick: {"y": np.ones(3), "source": "numbers"}
    pipeline.build("chapter/figure", tmp_path)
    script.compute = lambda rng, quick: {"y": np.full(3, 1.001), "source": "numbers"}
    with pytest.raises(AssertionError, match=r"differs by 0\.001"):
        pipeline.check("chapter/figure", tmp_path)
    script.TOLERANCE = 0.01
    assert pipeline.check("chapter/figure", tmp_path) == "agrees"
    script.compute = lambda rng, quick: {"y": np.full(3, 1.02), "source": "numbers"}
    with pytest.raises(AssertionError, match=r"differs by 0\.02"):
        pipeline.check("chapter/figure", tmp_path)


def test_of_arrays_that_chance_decides_shape_mean_and_spread_are_compared(tmp_path, script):
    coins = np.random.default_rng(0).integers(0, 2, 9_000)
    script.CHANCE, script.TOLERANCE = ("y",), 0.05
    script.compute = lambda rng, quick: {"y": coins, "source": "coins"}
    pipeline.build("chapter/figure", tmp_path)
    script.compute = lambda rng, quick: {"y": coins[::-1], "source": "coins"}
    assert pipeline.check("chapter/figure", tmp_path) == "agrees"
    for other in (coins[:-1], coins * 1.1, 1 - 0 * coins, 0.5 + 0 * coins):
        script.compute = lambda rng, quick, other=other: {"y": other, "source": "coins"}
        with pytest.raises(AssertionError, match="chapter/figure, y"):
            pipeline.check("chapter/figure", tmp_path)
    script.CHANCE = ()
    script.compute = lambda rng, quick: {"y": coins[::-1], "source": "coins"}
    with pytest.raises(AssertionError, match="chapter/figure, y"):
        pipeline.check("chapter/figure", tmp_path)


def test_numbers_from_other_data_are_not_compared_and_the_outcome_says_so(tmp_path, script):
    pipeline.build("chapter/figure", tmp_path)
    script.compute = lambda rng, quick: {"y": np.zeros(7), "source": "seven zeros"}
    outcome = "not compared: recorded from five numbers, here seven zeros"
    assert pipeline.check("chapter/figure", tmp_path) == outcome
