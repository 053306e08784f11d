"""CIFAR-10 in each of its forms, with files of our own; and the real one where it is."""

import hashlib
import http.server
import io
import os
import tarfile
import threading
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from tinyconv import data
from tinyconv.data import cifar10
from tinyconv.errors import DataError

PER_BATCH = 7


def batch(seed):
    """(bytes of a binary batch, images, labels)"""
    rng = np.random.default_rng(seed)
    labels, images = (
        rng.integers(0, 10, PER_BATCH, np.uint8),
        rng.integers(0, 256, (PER_BATCH, 3, 32, 32), np.uint8),
    )
    return b"".join(bytes([label]) + image.tobytes() for label, image in zip(labels, images)), images, labels


BATCHES = {
    name: batch(seed)
    for seed, name in enumerate([f"data_batch_{i}.bin" for i in range(1, 6)] + ["test_batch.bin"])
}
TRAIN = [np.concatenate([BATCHES[name][part] for name in list(BATCHES)[:5]]) for part in (1, 2)]


def packed(files, mode="w:gz"):
    content = io.BytesIO()
    with tarfile.open(fileobj=content, mode=mode) as tar:
        for name, body in files.items():
            member = tarfile.TarInfo(name)
            member.size = len(body)
            tar.addfile(member, io.BytesIO(body))
    return content.getvalue()


def binary_tar():
    return packed(
        {f"cifar-10-batches-bin/{name}": content for name, (content, _, _) in BATCHES.items()}
        | {"cifar-10-batches-bin/readme": b"hi"}
    )


def png(value):
    file = io.BytesIO()
    Image.fromarray(np.full((32, 32, 3), value, np.uint8)).save(file, "PNG")
    return file.getvalue()


def tree(test="test", per_class=3):
    return {
        f"{part}/{name}/{i:04}.png": png(20 * label + i + (5 if part == test else 0))
        for part, count in (("train", per_class), (test, 2))
        for label, name in enumerate(cifar10.CLASSES)
        for i in range(count)
    }


def write(folder, files):
    for name, content in files.items():
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_bytes(content)


@pytest.fixture(autouse=True)
def homes(tmp_path, monkeypatch, request):
    if request.node.name == "test_real_cifar10":  # which takes seconds to unpack: kept for other tests
        return
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    monkeypatch.delenv("TINYCONV_DATA", raising=False)
    monkeypatch.setattr(cifar10, "MIRRORS", ("http://127.0.0.1:9/",))


def assert_is_binary(parts):
    train, test = parts
    np.testing.assert_array_equal(train.images, TRAIN[0])
    assert train.labels.tolist() == TRAIN[1].tolist() and train.labels.dtype == np.int64
    np.testing.assert_array_equal(test.images, BATCHES["test_batch.bin"][1])
    assert (train.name, test.name, train.preparation, train.class_names) == (
        "cifar10 train",
        "cifar10 test",
        "photo 32",
        cifar10.CLASSES,
    )


@pytest.mark.parametrize(
    "home",
    [
        "given",
        "given/cifar10",
        "given/cifar-10-batches-bin",
        "env/cifar10/cifar-10-batches-bin",
        "cache/tinyconv/cifar10",
    ],
)
def test_binary_batches_are_found(tmp_path, monkeypatch, home):
    monkeypatch.setenv("TINYCONV_DATA", str(tmp_path / "env"))
    write(tmp_path / home, {name: content for name, (content, _, _) in BATCHES.items()})
    assert_is_binary(data.load("cifar10", data_dir=tmp_path / "given", progress=False))
    assert data.find(tmp_path / "given")["cifar10"] == str(tmp_path / home)


def test_packed_batches_are_unpacked_once(tmp_path, monkeypatch):
    write(tmp_path / "given", {"cifar-10-binary.tar.gz": binary_tar()})
    assert_is_binary(data.load("cifar10", data_dir=tmp_path / "given", progress=False))
    with monkeypatch.context() as context:
        context.setattr(cifar10, "_members", lambda path: pytest.fail("unpacked again"))
        assert_is_binary(data.load("cifar10", data_dir=tmp_path / "given", progress=False))
    for kept in (tmp_path / "cache").rglob("train-images.npy"):
        kept.write_bytes(kept.read_bytes()[:-1])  # a damaged copy is no obstacle
    assert_is_binary(data.load("cifar10", data_dir=tmp_path / "given", progress=False))
    assert_is_binary(data.load("cifar10", data_dir=tmp_path / "given", progress=False))


@pytest.mark.skipif(
    not hasattr(os, "geteuid") or os.geteuid() == 0, reason="for root every folder can be written"
)
def test_a_cache_that_cannot_be_written(tmp_path):
    (tmp_path / "cache").mkdir(mode=0o500)
    write(tmp_path / "given", {"cifar-10-binary.tar.gz": binary_tar()})
    assert_is_binary(data.load("cifar10", data_dir=tmp_path / "given", progress=False))


@pytest.mark.parametrize("form", ["tree", "cifar10-png.tar", "cifar10-jpg.tar.xz", "cifar10.tar.gz"])
@pytest.mark.parametrize("prefix", ["", "cifar10/"])
def test_class_folders_as_they_are_or_packed(tmp_path, form, prefix):
    files = {prefix + name: content for name, content in tree().items()}
    if form == "tree":
        write(tmp_path, files)
    else:
        mode = {".xz": "w:xz", ".gz": "w:gz"}.get(Path(form).suffix, "w")
        files = dict(reversed(files.items()))  # a tar may have them in any order
        write(
            tmp_path,
            {form: packed(files | {"readme.txt": b"hi", prefix + "train/cat/._0000.png": b"rubbish"}, mode)},
        )
    for _ in range(2):
        train, test = data.load("cifar10", data_dir=tmp_path, progress=False)
        assert train.images.shape == (30, 3, 32, 32) and test.images.shape == (20, 3, 32, 32)
        assert (
            train.labels.tolist() == np.repeat(range(10), 3).tolist() and train.class_names == cifar10.CLASSES
        )
        assert train.images[:, 1, 9, 9].tolist() == [20 * label + i for label in range(10) for i in range(3)]
        assert test.images[:, 2, 0, 31].tolist() == [
            20 * label + i + 5 for label in range(10) for i in range(2)
        ]


def test_a_changed_tree_or_tar_is_read_anew(tmp_path):
    write(tmp_path / "a", tree())
    assert len(data.load("cifar10", data_dir=tmp_path / "a", progress=False)[0]) == 30
    write(tmp_path / "a", {"train/ship/more.png": png(7)})
    assert len(data.load("cifar10", data_dir=tmp_path / "a", progress=False)[0]) == 31
    for per_class in (2, 3):
        write(tmp_path / "b", {"cifar10.tar": packed(tree(per_class=per_class), "w")})
        assert len(data.load("cifar10", data_dir=tmp_path / "b", progress=False)[0]) == 10 * per_class


@pytest.mark.parametrize(
    "name, content, message",
    [
        ("cifar-10-binary.tar.gz", binary_tar()[:-2000], "cifar-10-binary.tar.gz is damaged or no tar file"),
        ("cifar-10-binary.tar.gz", b"no tar", "is damaged or no tar file"),
        (
            "cifar-10-binary.tar.gz",
            packed({"data_batch_1.bin": b""}),
            "it lacks data_batch_2.bin, data_batch_3.bin",
        ),
        (
            "cifar10.tar",
            packed({"some/readme.txt": b"hi"}, "w"),
            "holds no images of CIFAR-10: expected members such as train/airplane/0000.jpg",
        ),
        ("cifar10.tar.xz", packed(tree(), "w:xz")[:-500], "cifar10.tar.xz is damaged or no tar file"),
        ("cifar10.tar.bz2", packed(tree(), "w:bz2")[:-500], "cifar10.tar.bz2 is damaged or no tar file"),
        ("cifar10.tar", packed(tree(), "w")[:20480], "it ends too early"),
        ("cifar10.tar", packed(tree(), "w")[: 20480 + 512], "is damaged or no tar file"),
        ("cifar10.tar", packed(tree(), "w")[: 20480 + 700], "cifar10.tar is damaged or no tar file"),
        (
            "cifar10.tar",
            packed(tree() | {"train/cow/0000.png": png(1)}, "w"),
            "a folder is called 'cow'; expected airplane, ",
        ),
        (
            "cifar10.tar",
            packed(tree() | {"train/cat/0001.png": b"x"}, "w"),
            r"train/cat/0001.png in .*cifar10.tar cannot be read as an image",
        ),
    ],
)
def test_damaged_archives(tmp_path, name, content, message):
    write(tmp_path, {name: content})
    with pytest.raises(DataError, match=message):
        data.load("cifar10", data_dir=tmp_path, progress=False)


def test_damaged_batches(tmp_path):
    write(tmp_path, {name: content for name, (content, _, _) in BATCHES.items()})
    for content, message in (
        (BATCHES["test_batch.bin"][0][:-1], "expected records of 3073 bytes, got 21510 bytes"),
        (b"", "got 0 bytes"),
        (b"\x0a" + BATCHES["test_batch.bin"][0][1:], "labels must be 0..9, got 10"),
    ):
        write(tmp_path, {"test_batch.bin": content})
        with pytest.raises(DataError, match=f"test_batch.bin is damaged: .*{message}"):
            data.load("cifar10", data_dir=tmp_path)


class Handler(http.server.BaseHTTPRequestHandler):
    def do_GET(self):
        self.server.asked.append(self.path)
        body = self.server.content if self.path == "/good/cifar-10-binary.tar.gz" else b"<html>"
        self.send_response(200)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *_):
        pass


@pytest.fixture
def server(monkeypatch):
    monkeypatch.setenv("NO_PROXY", "*")
    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    server.asked, server.content, server.url = [], binary_tar(), f"http://127.0.0.1:{server.server_port}"
    threading.Thread(target=server.serve_forever, args=(0.02,), daemon=True).start()
    yield server
    server.shutdown()
    server.server_close()


def test_downloaded_from_the_first_good_mirror(tmp_path, monkeypatch, server):
    monkeypatch.setattr(cifar10, "MD5", hashlib.md5(server.content).hexdigest())
    monkeypatch.setenv("TINYCONV_CIFAR10_MIRROR", f"{server.url}/page, {server.url}/good/")
    assert "not found; first use downloads it into" in data.find(tmp_path)["cifar10"] and not server.asked
    for _ in range(2):
        assert_is_binary(data.load("cifar10", data_dir=tmp_path, progress=False))
    assert server.asked == ["/page/cifar-10-binary.tar.gz", "/good/cifar-10-binary.tar.gz"]
    assert data.find(tmp_path)["cifar10"] == str(tmp_path / "cifar10" / "cifar-10-binary.tar.gz")


def test_no_mirror_has_it(tmp_path, monkeypatch, server):
    monkeypatch.setenv("TINYCONV_CIFAR10_MIRROR", f"{server.url}/page")
    with pytest.raises(
        DataError, match="(?s)from any of 1 mirrors.*MD5 is .* and should be c32a1d4ab5d03f1284b67883e8d87530"
    ):
        data.load("cifar10", data_dir=tmp_path, progress=False)
    assert not list(tmp_path.rglob("*.gz"))


REAL = os.environ.get("TINYCONV_DATA")


@pytest.mark.skipif(
    not (REAL and cifar10.find(REAL)),
    reason="CIFAR-10 is not on this machine; set TINYCONV_DATA to a folder that holds it",
)
def test_real_cifar10():
    train, test = data.load("cifar10", data_dir=REAL, progress=False)
    assert train.images.shape == (50000, 3, 32, 32) and test.images.shape == (10000, 3, 32, 32)
    assert (
        np.bincount(train.labels).tolist() == [5000] * 10 and np.bincount(test.labels).tolist() == [1000] * 10
    )
    np.testing.assert_allclose(
        train.images.mean((0, 2, 3)), (125.3, 123.0, 113.9), atol=0.5
    )  # as is well known; JPEG changes little
