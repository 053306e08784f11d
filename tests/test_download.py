"""Downloading MNIST from a server of our own: good files, and each way in which a mirror can be bad."""

import gzip
import hashlib
import http.client
import http.server
import os
import threading

import numpy as np
import pytest

from tinyconv import data
from tinyconv.data import download as downloading, mnist
from tinyconv.errors import DataError


def idx(array):
    return bytes((0, 0, 8, array.ndim)) + np.array(array.shape, ">u4").tobytes() + array.tobytes()


def small_mnist():
    rng = np.random.default_rng(0)
    arrays = (
        rng.integers(0, 256, (20, 28, 28)),
        np.arange(20) % 10,
        rng.integers(0, 256, (5, 28, 28)),
        np.arange(5),
    )
    return {
        f"{name}.gz": gzip.compress(idx(array.astype(np.uint8)))
        for name, array in zip(mnist.CHECKSUMS, arrays)
    }


class Handler(http.server.BaseHTTPRequestHandler):
    """The first folder of the address says how the server behaves: /good/NAME.gz, /cut/NAME.gz, …"""

    def do_GET(self):
        self.server.asked.append(self.path)
        behaviour, name = self.path.strip("/").split("/")
        body = self.server.files.get(name)
        if behaviour == "hangs":
            self.server.stop.wait(10)
        if behaviour in ("missing", "hangs") or body is None:
            return self.send_error(404)
        if behaviour == "cut":  # whole by its Content-Length, but the gzip stream ends early
            body = body[:-20]
        elif behaviour == "flipped":  # a good gzip stream of other bytes
            plain = gzip.decompress(body)
            body = gzip.compress(plain[:-1] + bytes([plain[-1] ^ 1]), compresslevel=1)
        elif behaviour == "broken":  # a gzip stream damaged in the middle
            body = body[:30] + bytes(byte ^ 255 for byte in body[30:50]) + body[50:]
        elif behaviour == "page":  # what a hotel's login page looks like
            body = b"<html>please log in</html>"
        elif behaviour == "plain":  # unpacked on the way
            body = gzip.decompress(body)
        elif behaviour == "other_gzip":
            body = gzip.compress(gzip.decompress(body), compresslevel=1)
        announced = len(body)
        if behaviour == "short":  # closes the connection before all announced bytes are sent
            body = body[:-20]
        self.send_response(200)
        if behaviour != "unannounced":
            self.send_header("Content-Length", str(announced))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *_):
        pass


@pytest.fixture
def server(monkeypatch, tmp_path):
    monkeypatch.setenv("NO_PROXY", "*")
    monkeypatch.delenv("TINYCONV_DATA", raising=False)
    for cache in ("XDG_CACHE_HOME", "LOCALAPPDATA", "HOME"):
        monkeypatch.setenv(cache, str(tmp_path / "cache"))
    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    server.daemon_threads, server.stop, server.asked, server.files = (
        True,
        threading.Event(),
        [],
        small_mnist(),
    )
    server.url = f"http://127.0.0.1:{server.server_port}"
    for name, content in server.files.items():
        monkeypatch.setitem(
            mnist.CHECKSUMS, name.removesuffix(".gz"), hashlib.md5(gzip.decompress(content)).hexdigest()
        )
    threading.Thread(target=server.serve_forever, args=(0.02,), daemon=True).start()
    yield server
    server.stop.set()
    server.shutdown()
    server.server_close()


def mirrors(monkeypatch, server, *behaviours):
    monkeypatch.setenv(
        "TINYCONV_MNIST_MIRROR", ", ".join(f"{server.url}/{behaviour}" for behaviour in behaviours)
    )


def files_under(folder):
    return sorted(path.name for path in folder.rglob("*") if path.is_file())


@pytest.mark.parametrize("behaviour", ["good", "plain", "other_gzip", "unannounced"])
def test_downloads_what_is_absent(server, monkeypatch, tmp_path, behaviour):
    mirrors(monkeypatch, server, behaviour)
    train, test = data.load("mnist", data_dir=tmp_path / "data", progress=False)
    assert (len(train), len(test)) == (20, 5)
    assert idx(train.images[:, 0]) == gzip.decompress(server.files["train-images-idx3-ubyte.gz"])
    assert idx(test.labels.astype(np.uint8)) == gzip.decompress(server.files["t10k-labels-idx1-ubyte.gz"])
    assert files_under(tmp_path) == sorted(f"{name}.gz" for name in mnist.CHECKSUMS)
    assert len(server.asked) == 4
    data.load("mnist", data_dir=tmp_path / "data", progress=False)
    assert len(server.asked) == 4  # the second time it is there


REASONS = {
    "missing": "404",
    "short": r"truncated, \d+ of \d+ bytes came|IncompleteRead",
    "cut": "truncated or corrupt gzip",
    "broken": "corrupt gzip|MD5",
    "flipped": "MD5 is .* and should be",
    "page": "MD5 is .* and should be",
}


@pytest.mark.parametrize("behaviour", REASONS)
def test_bad_mirror_is_passed_over(server, monkeypatch, tmp_path, behaviour):
    mirrors(monkeypatch, server, behaviour, "good")
    train, _ = data.load("mnist", data_dir=tmp_path / "data", progress=False)
    assert len(train) == 20
    assert [path.split("/")[1] for path in server.asked] == [behaviour, "good"] * 4


@pytest.mark.parametrize("behaviour", REASONS)
def test_bad_mirrors_alone_leave_nothing_and_say_why(server, monkeypatch, tmp_path, behaviour):
    mirrors(monkeypatch, server, behaviour, "missing")
    with pytest.raises(
        DataError, match=f"(?s)/{behaviour}/.*({REASONS[behaviour]}).*/missing/.*404.*by hand"
    ) as caught:
        data.load("mnist", data_dir=tmp_path / "data", progress=False)
    assert str(tmp_path / "data" / "mnist") in str(caught.value)
    assert files_under(tmp_path) == []


def test_mirror_that_hangs_or_is_not_there(server, monkeypatch, tmp_path):
    monkeypatch.setattr(downloading, "TIMEOUT", 0.2)
    monkeypatch.setenv("TINYCONV_MNIST_MIRROR", f"{server.url}/hangs,http://127.0.0.1:9/,nonsense")
    with pytest.raises(
        DataError, match="(?s)hangs.*timed out.*:9/.*refused.*nonsense.*unknown url"
    ) as caught:
        data.load("mnist", data_dir=tmp_path, progress=False)
    assert "3 mirrors" in str(caught.value) and files_under(tmp_path) == []


@pytest.mark.parametrize("broken", ["read", "replace"])
def test_interruption_leaves_nothing(server, monkeypatch, tmp_path, broken):
    def interrupted(*_):
        raise KeyboardInterrupt

    mirrors(monkeypatch, server, "good")
    if broken == "read":
        monkeypatch.setattr(http.client.HTTPResponse, "read", interrupted)
    else:
        monkeypatch.setattr(os, "replace", interrupted)
    with pytest.raises(KeyboardInterrupt):
        data.load("mnist", data_dir=tmp_path, progress=False)
    assert files_under(tmp_path) == []


def test_full_disk_is_not_the_mirrors_fault(server, monkeypatch, tmp_path):
    def half_written(file):
        raise OSError(28, "No space left on device")

    mirrors(monkeypatch, server, "good", "good")
    monkeypatch.setattr("tinyconv.files.os.fsync", half_written)
    with pytest.raises(DataError, match="cannot write .*train-images.*No space left on device"):
        data.load("mnist", data_dir=tmp_path, progress=False)
    assert files_under(tmp_path) == [] and len(server.asked) == 1


def test_goes_into_the_first_home_that_is_set(server, monkeypatch, tmp_path):
    mirrors(monkeypatch, server, "good")
    monkeypatch.setattr(downloading.sys, "platform", "linux")
    data.load("mnist", progress=False)
    assert files_under(tmp_path / "cache" / "tinyconv" / "mnist")
    assert data.find()["mnist"] == str(tmp_path / "cache" / "tinyconv" / "mnist")
    (tmp_path / "cache").rename(tmp_path / "away")
    monkeypatch.setenv("TINYCONV_DATA", str(tmp_path / "shared"))
    data.load("mnist", progress=False)
    assert files_under(tmp_path / "shared" / "mnist")


def test_data_dir_that_is_a_file(server, monkeypatch, tmp_path):
    mirrors(monkeypatch, server, "good")
    (tmp_path / "file").write_text("")
    with pytest.raises(DataError, match="cannot write"):
        data.load("mnist", data_dir=tmp_path / "file", progress=False)


def test_only_the_missing_file_is_fetched(server, monkeypatch, tmp_path):
    mirrors(monkeypatch, server, "good")
    data.load("mnist", data_dir=tmp_path, progress=False)
    (tmp_path / "mnist" / "t10k-labels-idx1-ubyte.gz").unlink()
    data.load("mnist", data_dir=tmp_path, progress=False)
    assert len(server.asked) == 5


def test_another_data_set_is_not_completed_with_mnist(server, monkeypatch, tmp_path):
    mirrors(monkeypatch, server, "good")
    (tmp_path / "mnist").mkdir()
    (tmp_path / "mnist" / "train-images-idx3-ubyte").write_bytes(idx(np.zeros((20, 28, 28), np.uint8)))
    with pytest.raises(DataError, match="train-images-idx3-ubyte is damaged or not MNIST's own"):
        data.load("mnist", data_dir=tmp_path, progress=False)
    assert server.asked == []


def test_find_never_downloads(server, monkeypatch, tmp_path):
    mirrors(monkeypatch, server, "good")
    found = data.find(tmp_path)
    assert (
        "not found" in found["mnist"]
        and str(tmp_path / "mnist") in found["mnist"]
        and set(found) == {"mnist", "mnist5k", "cifar10"}
    )
    assert server.asked == []


def test_progress_is_in_bytes(server, monkeypatch, tmp_path, capsys):
    mirrors(monkeypatch, server, "good")
    data.load("mnist", data_dir=tmp_path)
    assert "train-images-idx3-ubyte.gz: 100%" in capsys.readouterr().err


REAL = mnist.find()
REAL_CHECKSUMS = dict(mnist.CHECKSUMS)


@pytest.mark.skipif(
    not REAL, reason="MNIST's files are not on this machine; set TINYCONV_DATA to a folder that holds them"
)
def test_the_real_files_pass_their_checksums(server, monkeypatch, tmp_path):
    for (name, checksum), path in zip(REAL_CHECKSUMS.items(), REAL):
        monkeypatch.setitem(mnist.CHECKSUMS, name, checksum)
        content = path.read_bytes()
        server.files[f"{name}.gz"] = (
            content if path.suffix == ".gz" else gzip.compress(content, compresslevel=1)
        )
    mirrors(monkeypatch, server, "flipped", "good")
    train, test = data.load("mnist", data_dir=tmp_path, progress=False)
    assert train.images.shape == (60000, 1, 28, 28) and test.images.shape == (10000, 1, 28, 28)
