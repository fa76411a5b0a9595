"""Downloads from servers on this machine that behave, and from some that do not."""

import hashlib
import logging
import subprocess
import sys
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest
from data.idx_file import idx_bytes, small_mnist

from ebm_np.data import mnist

NAMES = [f"{name}.gz" for name in mnist.FILES["train"]]
CONTENTS = {name: idx_bytes(numbers, compress=True) for name, numbers in zip(NAMES, small_mnist(), strict=True)}
IMAGES, LABELS = NAMES
CHECKSUMS = {name: hashlib.sha256(content).hexdigest() for name, content in CONTENTS.items()}
CHILD = f"""
import sys
sys.path.insert(0, {str(Path(mnist.__file__).parents[2])!r})
from ebm_np.data import mnist
mnist.SHA256.update({CHECKSUMS!r})
print(mnist.load(cache=sys.argv[1], mirrors=[sys.argv[2]], timeout=10).labels.size)
"""


class Mirror:
    """A server of `CONTENTS`; `answer(handler, content)` may be replaced by something worse."""

    def __init__(self):
        self.requests = []
        self.closing = threading.Event()
        self.answer = send
        mirror = self

        class Handler(BaseHTTPRequestHandler):
            def do_GET(self):
                mirror.requests.append(self.path.removeprefix("/"))
                mirror.answer(self, CONTENTS[mirror.requests[-1]])

            def log_message(self, *_):
                pass

        self.server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.url = f"http://127.0.0.1:{self.server.server_port}"
        self.thread = threading.Thread(target=self.server.serve_forever, kwargs={"poll_interval": 0.02})
        self.thread.start()

    def close(self):
        self.closing.set()
        self.server.shutdown()
        self.server.server_close()
        self.thread.join()


def send(handler, content, promised=None):
    handler.send_response(200)
    handler.send_header("Content-Length", str(len(content) if promised is None else promised))
    handler.end_headers()
    handler.wfile.write(content)


def send_wrong(handler, content):
    send(handler, bytes(reversed(content)))


def send_cut(handler, content):
    send(handler, content[: len(content) // 2], promised=len(content))


def send_error(handler, content):
    handler.send_error(503)


@pytest.fixture
def mirrors(monkeypatch):
    monkeypatch.delenv("EBM_NP_DATA", raising=False)
    monkeypatch.setenv("NO_PROXY", "127.0.0.1")
    monkeypatch.setenv("no_proxy", "127.0.0.1")
    monkeypatch.setattr(mnist, "SHA256", CHECKSUMS)
    servers = [Mirror(), Mirror()]
    yield servers
    for server in servers:
        server.close()


def load(cache, *servers, timeout=5.0, by=mnist.load):
    return by(cache=cache, mirrors=[getattr(server, "url", server) for server in servers], timeout=timeout)


def assert_complete(cache):
    assert {path.name: path.read_bytes() for path in cache.iterdir()} == CONTENTS


def test_a_download_is_kept_and_not_repeated(mirrors, tmp_path):
    digits = load(tmp_path, mirrors[0])
    again = load(tmp_path, mirrors[0])
    assert digits.source == again.source == "MNIST (train, 7 digits)"
    assert mirrors[0].requests == NAMES
    assert_complete(tmp_path)


def test_a_good_cache_needs_no_mirror(mirrors, tmp_path):
    load(tmp_path, mirrors[0])
    mirrors[0].answer = send_error
    assert len(load(tmp_path, "http://127.0.0.1:1").labels) == 7


def test_the_default_cache_is_the_users(mirrors, monkeypatch, tmp_path):
    import pooch

    monkeypatch.setattr(pooch, "os_cache", lambda name: tmp_path / name)
    load(None, mirrors[0])
    assert_complete(tmp_path / "ebm_np" / "mnist")


def test_pooch_keeps_quiet_and_is_as_talkative_as_before(mirrors, monkeypatch, tmp_path, caplog):
    import pooch

    log = pooch.get_logger()
    monkeypatch.setattr(log, "handlers", [caplog.handler])
    monkeypatch.setattr(log, "level", logging.DEBUG)
    load(tmp_path, mirrors[0])
    assert not caplog.records
    assert log.level == logging.DEBUG


def test_a_damaged_cached_file_is_downloaded_anew(mirrors, tmp_path):
    (tmp_path / IMAGES).write_bytes(b"damaged")
    load(tmp_path, mirrors[0])
    assert_complete(tmp_path)


def test_a_damaged_cached_file_that_cannot_be_replaced_is_an_error(mirrors, tmp_path):
    (tmp_path / IMAGES).write_bytes(b"damaged")
    mirrors[0].answer = send_error
    with pytest.raises(ValueError, match=rf"{IMAGES}: expected SHA-256"):
        load(tmp_path, mirrors[0], by=mnist.load_or_synthetic)


@pytest.mark.parametrize("answer", [send_wrong, send_cut, send_error])
def test_the_second_mirror_helps_out(mirrors, tmp_path, answer):
    mirrors[0].answer = answer
    assert len(load(tmp_path, *mirrors).labels) == 7
    assert mirrors[0].requests == mirrors[1].requests == NAMES
    assert_complete(tmp_path)


def test_the_second_mirror_helps_out_where_the_first_is_down(mirrors, tmp_path):
    mirrors[0].close()
    assert len(load(tmp_path, *mirrors).labels) == 7
    assert_complete(tmp_path)


@pytest.mark.parametrize("answer", [send_wrong, send_cut, send_error])
def test_one_clear_error_where_no_mirror_helps(mirrors, tmp_path, answer):
    for mirror in mirrors:
        mirror.answer = answer
    with pytest.raises(ConnectionError) as caught:
        load(tmp_path, *mirrors)
    message = str(caught.value)
    assert all(f"{mirror.url}/{IMAGES}: " in message for mirror in mirrors)
    assert "$EBM_NP_DATA" in message
    assert [mirror.requests for mirror in mirrors] == [[IMAGES], [IMAGES]]  # the second file is not even tried
    assert not list(tmp_path.iterdir())


def test_a_slow_answer_is_given_up(mirrors, tmp_path):
    mirrors[0].answer = lambda handler, content: mirrors[0].closing.wait(20)
    with pytest.raises(ConnectionError, match="timed out"):
        load(tmp_path, mirrors[0], timeout=0.2)
    assert not list(tmp_path.iterdir())


def test_an_answer_that_stops_half_way_is_given_up(mirrors, tmp_path):
    def stall(handler, content):
        send_cut(handler, content)
        handler.wfile.flush()
        mirrors[0].closing.wait(20)

    mirrors[0].answer = stall
    assert len(load(tmp_path, *mirrors, timeout=0.5).labels) == 7
    assert_complete(tmp_path)


def test_offline_synthetic_digits_stand_in_at_once(mirrors, tmp_path, caplog):
    caplog.set_level("INFO", logger="ebm_np")
    digits = load(tmp_path, "http://127.0.0.1:1", by=mnist.load_or_synthetic)
    assert digits.source == "synthetic digits (MNIST not found)"
    assert f"http://127.0.0.1:1/{IMAGES}" in caplog.text


def start_child(cache, mirror):
    return subprocess.Popen(
        [sys.executable, "-W", "error", "-c", CHILD, str(cache), mirror.url],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )


def test_two_processes_may_download_at_once(mirrors, tmp_path):
    both = threading.Barrier(2)

    def send_together(handler, content):
        if handler.path.endswith(IMAGES):
            both.wait(20)
        send(handler, content)

    mirrors[0].answer = send_together
    children = [start_child(tmp_path / "new" / "cache", mirrors[0]) for _ in range(2)]
    for child in children:
        output, errors = child.communicate(timeout=30)
        assert child.returncode == 0, errors
        assert output.strip() == "7"
    assert mirrors[0].requests.count(IMAGES) == 2
    assert_complete(tmp_path / "new" / "cache")


def test_a_killed_download_leaves_nothing_under_the_final_name(mirrors, tmp_path):
    half_way = threading.Event()

    def stall(handler, content):
        send_cut(handler, content)
        half_way.set()
        mirrors[0].closing.wait(20)

    mirrors[0].answer = stall
    child = start_child(tmp_path, mirrors[0])
    assert half_way.wait(20)
    child.kill()
    child.communicate(timeout=20)
    assert not (tmp_path / IMAGES).exists()
    assert len(load(tmp_path, mirrors[1]).labels) == 7
    assert (tmp_path / IMAGES).read_bytes() == CONTENTS[IMAGES]
