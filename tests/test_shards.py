"""Photographs in folders and in shards: the same images, whatever went wrong in between."""

import json
import os
import signal
import subprocess
import sys
import tarfile
import time
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from tinyconv import cli, data
from tinyconv.data import image_folder, shards
from tinyconv.data.image_folder import PhotoFolder
from tinyconv.data.inputs import Inputs
from tinyconv.errors import DataError


def photograph(seed, width=40, height=30):
    """A smooth picture that survives JPEG."""
    small = np.random.default_rng(seed).integers(0, 256, (4, 5, 3), np.uint8)
    return Image.fromarray(small).resize((width, height), Image.Resampling.BICUBIC)


def plant(folder, counts, ending="png"):
    for label, (name, count) in enumerate(counts.items()):
        (folder / name).mkdir(parents=True)
        for i in range(count):
            photograph(100 * label + i, 40 + i, 30 + 2 * label).save(
                folder / name / f"{i:03}.{ending}", quality=95
            )
    return folder


@pytest.fixture
def tree(tmp_path):
    return plant(tmp_path / "photos", {"cat": 7, "dog": 6})


# ---- folders


def test_photo_folder_reads_what_is_asked_for(tree):
    train, test = data.load(tree, preparation="photo 16")
    assert isinstance(train, PhotoFolder) and (len(train), len(test)) == (9, 4) and train.shape == (3, 16, 16)
    assert (
        train.class_names == ("cat", "dog")
        and train.labels.tolist() == [0] * 5 + [1] * 4
        and train.labels.dtype == np.int64
    )
    assert test.files == ["000.png", "005.png"] * 2
    expected = np.stack([data.prepare_image(train.path(i), "photo 16") for i in range(9)])
    np.testing.assert_array_equal(train.read(slice(None)), expected)
    np.testing.assert_array_equal(train.read([5, -1, 5]), expected[[5, 8, 5]])
    part = train.subset(np.arange(9) % 2 == 1, "odd ones")
    assert (
        len(part) == 4
        and part.name == "odd ones"
        and part.labels.tolist() == [0, 0, 1, 1]
        and part.shape == train.shape
    )
    np.testing.assert_array_equal(part.read([2, 0]), expected[[5, 1]])
    np.testing.assert_array_equal(part.subset([3, 1], "").read(), expected[[7, 3]])
    with pytest.raises(IndexError, match="expected indices of 9 images, got 0 to 9"):
        train.read([0, 9])
    rest, held_out = data.split_off(train, 1 / 3)
    assert len(rest) == 6 and len({rest.fingerprint(), held_out.fingerprint(), train.fingerprint()}) == 3


def test_fingerprint_of_a_folder(tree):
    def fingerprint(preparation="photo 16"):
        return data.load(tree, preparation=preparation)[0].fingerprint()

    before = fingerprint()
    assert before == fingerprint() != fingerprint("photo 17") and len(before) == 8
    (tree / "cat" / "001.png").write_bytes((tree / "cat" / "001.png").read_bytes() + b"\0")
    changed = fingerprint()
    (tree / "cat" / "001.png").rename(tree / "cat" / "0011.png")
    assert len({before, changed, fingerprint()}) == 3
    train = data.load(tree, preparation="photo 16")[0]
    (tree / "cat" / "0011.png").unlink()
    with pytest.raises(DataError, match="0011.png has gone"):
        train.fingerprint()
    with pytest.raises(DataError, match="0011.png cannot be read as an image"):
        train.read([0])


def test_one_image_of_each_class_is_for_training_and_for_testing(tmp_path):
    plant(tmp_path / "sample", {"cat": 1, "dog": 1, "eel": 1})
    for preparation in ("photo 16", "fit"):
        train, test = data.load(tmp_path / "sample", preparation=preparation)
        assert (
            len(train) == len(test) == 3
            and train.name == "sample train"
            and test.name == "sample train (no held-out images)"
        )


def test_scanning_touches_no_file(tree, monkeypatch):
    touched = []
    real = os.stat
    monkeypatch.setattr(
        os, "stat", lambda path, **options: touched.append(str(path)) or real(path, **options)
    )
    assert len(image_folder.scan(tree)["cat"]) == 7
    assert not [path for path in touched if path.endswith(".png")]


# ---- shards


@pytest.fixture
def small(monkeypatch):
    """Four images a shard."""
    monkeypatch.setattr(shards, "SHARD_BYTES", 4 * 3 * 16 * 16)


def test_shards_are_the_folder(tree, tmp_path, small):
    assert shards.prepare(tree, tmp_path / "out", 16, progress=False, shard_bytes=shards.SHARD_BYTES) == []
    assert sorted(path.name for path in (tmp_path / "out").glob("*.bin")) == [
        "test-00000.bin",
        *(f"train-0000{i}.bin" for i in range(3)),
    ]
    for ours, theirs in zip(data.load(tmp_path / "out"), data.load(tree, preparation="photo 16")):
        assert (
            ours.class_names == theirs.class_names
            and ours.preparation == "photo 16"
            and ours.labels.tolist() == theirs.labels.tolist()
        )
        assert ours.names == [
            f"{theirs.class_names[label]}/{file}" for label, file in zip(theirs.labels, theirs.files)
        ]
        np.testing.assert_array_equal(ours.read(), theirs.read())
        for indices in ([3, 0, 3, -1], slice(1, 3), np.arange(len(ours)) % 2 == 0, np.zeros(0, int)):
            np.testing.assert_array_equal(ours.read(indices), theirs.read()[indices])
        assert ours.read([0]).flags.writeable
    assert (
        data.load(tmp_path / "out")[0].name == "out train"
        and data.load(tmp_path / "out")[1].name == "out test"
    )


def test_a_split_tree_gives_both_parts(tmp_path):
    plant(tmp_path / "photos" / "train", {"cat": 2, "dog": 1})
    plant(tmp_path / "photos" / "val", {"cat": 1, "dog": 3})
    shards.prepare(tmp_path / "photos", tmp_path / "out", 16, progress=False)
    train, test = data.load(tmp_path / "out")
    assert (len(train), len(test)) == (3, 4) and test.labels.tolist() == [0, 1, 1, 1]


def test_without_held_out_images(tmp_path):
    plant(tmp_path / "photos", {"cat": 1, "dog": 1})
    shards.prepare(tmp_path / "photos", tmp_path / "out", 16, progress=False)
    train, test = data.load(tmp_path / "out")
    assert (
        len(train) == len(test) == 2
        and test.name == "out train (no held-out images)"
        and train.fingerprint() == test.fingerprint()
    )


def test_bad_images_are_named_and_left_out(tree, tmp_path, capsys):
    (tree / "cat" / "002.png").write_bytes(b"no image")
    (tree / "dog" / "000.png").write_bytes((tree / "dog" / "000.png").read_bytes()[:-100])
    assert cli.main(["data", "prepare", str(tree), "--out", str(tmp_path / "out"), "--size", "16"]) == 0
    out = capsys.readouterr().out
    assert (
        "skipped: " in out and str(tree / "cat" / "002.png") in out and str(tree / "dog" / "000.png") in out
    )
    assert (
        "2 images could not be read and were left out" in out
        and "out train: 8 images of 3x16x16 in 2 classes" in out
    )
    train, test = data.load(tmp_path / "out")
    assert (
        (len(train), len(test)) == (8, 3)
        and "cat/002.png" not in train.names
        and train.labels.tolist() == [0] * 4 + [1] * 4
    )
    np.testing.assert_array_equal(train.read([1]), [data.prepare_image(tree / "cat" / "003.png", "photo 16")])
    index = json.loads((tmp_path / "out" / "shards.json").read_text())
    assert [skipped["file"] for part in index["parts"].values() for skipped in part["skipped"]] == [
        "cat/002.png",
        "dog/000.png",
    ]


def test_a_link_to_nothing_is_named_and_left_out(tree, tmp_path, capsys):
    (tree / "cat" / "link.png").symlink_to(tmp_path / "nothing")
    assert cli.main(["data", "prepare", str(tree), "--out", str(tmp_path / "out"), "--size", "16"]) == 0
    out = capsys.readouterr().out
    assert (
        f"{tree / 'cat' / 'link.png'} cannot be read as an image: No such file or directory\n" in out
        and "1 image could not be read" in out
    )


def test_a_class_whose_images_are_all_bad_is_an_error(tmp_path):
    for path in plant(tmp_path / "photos", {"cat": 2, "dog": 2}).glob("*/*.png"):
        path.write_bytes(b"")
    with pytest.raises(
        DataError, match="none of the 2 images of .*photos can be read; the first: .*cat/001.png"
    ):
        shards.prepare(tmp_path / "photos", tmp_path / "out", 16, progress=False)


def test_interrupted_and_continued(tree, tmp_path, small, monkeypatch):
    (tree / "cat" / "001.png").write_bytes(b"bad")  # in the first shard
    out, whole, decoded = tmp_path / "out", tmp_path / "whole", []
    shards.prepare(tree, whole, 16, progress=False, shard_bytes=shards.SHARD_BYTES)
    real = shards.prepare_image

    def interrupted(path, preparation):
        decoded.append(path)
        if path.endswith(os.path.join("dog", "001.png")):  # in the second
            raise KeyboardInterrupt
        return real(path, preparation)

    monkeypatch.setattr(shards, "prepare_image", interrupted)
    with pytest.raises(KeyboardInterrupt):
        shards.prepare(tree, out, 16, progress=False, shard_bytes=shards.SHARD_BYTES, workers=1)
    assert (out / "train-00000.bin").exists() and not (out / "train-00001.bin").exists()
    with pytest.raises(DataError, match="out is incomplete: preparing it was interrupted; run the same"):
        data.load(out)
    kept = (out / "train-00000.bin").stat().st_mtime_ns
    (out / ".train-00001.bin.4711.partial").write_bytes(b"what a killed process leaves")
    monkeypatch.setattr(
        shards, "prepare_image", lambda path, preparation: decoded.append(path) or real(path, preparation)
    )
    decoded.clear()
    skipped = shards.prepare(tree, out, 16, progress=False, shard_bytes=shards.SHARD_BYTES)
    assert [file for file, _ in skipped] == ["cat/001.png"] and len(decoded) == 13 - 4
    assert (out / "train-00000.bin").stat().st_mtime_ns == kept
    assert {path.name: path.read_bytes() for path in out.iterdir()} == {
        path.name: path.read_bytes() for path in whole.iterdir()
    }
    decoded.clear()
    shards.prepare(tree, out, 16, progress=False)
    assert not decoded  # complete: nothing is left to do


def test_interrupted_at_the_command_line(tree, tmp_path, monkeypatch, capsys):
    def interrupt(*_):
        raise KeyboardInterrupt

    monkeypatch.setattr(shards, "prepare_image", interrupt)
    assert (
        cli.main(
            ["data", "prepare", str(tree), "--out", str(tmp_path / "out"), "--size", "16", "--threads", "1"]
        )
        == 130
    )
    assert "the same command continues" in capsys.readouterr().out and not list((tmp_path / "out").iterdir())


@pytest.mark.skipif(os.name == "nt", reason="there is no SIGKILL on Windows")
def test_killed_and_continued(tmp_path):
    tree = plant(tmp_path / "photos", {"cat": 30, "dog": 30}, "jpg")
    program = (
        "import sys, time\nfrom tinyconv.data import shards\nreal = shards.prepare_image\n"
        "shards.prepare_image = lambda *a: time.sleep(0.01) or real(*a)\n"
        f"shards.prepare({str(tree)!r}, {str(tmp_path / 'out')!r}, 16, progress=False, workers=1, "
        f"shard_bytes={4 * 3 * 16 * 16})"
    )
    process = subprocess.Popen([sys.executable, "-c", program])
    deadline = time.time() + 60
    while not (tmp_path / "out" / "train-00001.bin").exists() and time.time() < deadline:
        time.sleep(0.005)
    process.send_signal(signal.SIGKILL)
    process.wait()
    assert not json.loads((tmp_path / "out" / "shards.json").read_text())["complete"]
    shards.prepare(tree, tmp_path / "out", 16, progress=False)
    for ours, theirs in zip(data.load(tmp_path / "out"), data.load(tree, preparation="photo 16")):
        np.testing.assert_array_equal(ours.read(), theirs.read())


def test_shards_of_something_else_are_kept(tree, tmp_path, capsys):
    shards.prepare(tree, tmp_path / "out", 16, progress=False)
    with pytest.raises(
        DataError,
        match=r"shards of other images or of another size \(photo 16, 2 classes\); choose another --out",
    ):
        shards.prepare(tree, tmp_path / "out", 17, progress=False)
    photograph(9).save(tree / "cat" / "new.png")
    with pytest.raises(DataError, match="other images or of another size"):
        shards.prepare(tree, tmp_path / "out", 16, progress=False)
    assert cli.main(["data", "prepare", str(tree), "--out", str(tree / "out")]) == 1
    assert "lies in the folder of the images" in capsys.readouterr().err
    with pytest.raises(DataError, match="photo N"):
        shards.prepare(tree, tmp_path / "other", 10000, progress=False)


def test_damaged_shards(tree, tmp_path):
    out = tmp_path / "out"

    def refuses(path, content, message):
        before = path.read_bytes()
        path.write_bytes(content(before))
        with pytest.raises(DataError, match=message):
            data.load(out)
        path.write_bytes(before)

    shards.prepare(tree, out, 16, progress=False)
    refuses(
        out / "train-00000.bin",
        lambda good: good[:-1],
        "train-00000.bin is damaged: expected 6912 bytes, got 6911; prepare",
    )
    refuses(out / "train-labels.npy", lambda good: good[:-1], "train-labels.npy cannot be read")
    refuses(
        out / "train-labels.npy",
        lambda good: (out / "test-labels.npy").read_bytes(),
        "train has 9 images and 4 labels; prepare it again",
    )
    refuses(out / "shards.json", lambda good: good[:-9], "shards.json is damaged")
    refuses(
        out / "shards.json",
        lambda good: good.replace(b"format 1", b"format 2"),
        "expected 'tinyconv shards, format 1'",
    )
    refuses(out / "shards.json", lambda good: b"[]", "shards.json is damaged")
    (out / "test-00000.bin").unlink()
    with pytest.raises(DataError, match="test-00000.bin cannot be read: No such file"):
        data.load(out)
    with pytest.raises(
        DataError, match="it has no shards.json; make one with: tinyconv data prepare DIR --out"
    ):
        shards.load(tree)


def test_fingerprint_of_shards(tree, tmp_path):
    shards.prepare(tree, tmp_path / "out", 16, progress=False)
    shards.prepare(tree, tmp_path / "again", 16, progress=False)
    train, test = data.load(tmp_path / "out")
    assert train.fingerprint() == data.load(tmp_path / "again")[0].fingerprint() != test.fingerprint()
    photograph(77, 43, 30).save(tree / "cat" / "003.png")
    shards.prepare(tree, tmp_path / "changed", 16, progress=False)
    changed = data.load(tmp_path / "changed")
    assert changed[0].fingerprint() != train.fingerprint() and changed[1].fingerprint() == test.fingerprint()


SAMPLE = Path(os.environ.get("TINYCONV_DATA", "")) / "imagenet-sample-256.tar"


@pytest.mark.skipif(
    not SAMPLE.is_file(),
    reason="imagenet-sample-256.tar is not on this machine; set TINYCONV_DATA to a folder that holds it",
)
def test_a_photograph_of_each_class_of_imagenet(tmp_path):
    with tarfile.open(SAMPLE) as tar:
        tar.extractall(tmp_path / "sample", filter="data")
    assert shards.prepare(tmp_path / "sample", tmp_path / "out", progress=False) == []
    train, test = data.load(tmp_path / "out")
    assert len(train) == len(test) == len(train.class_names) == 1000 and train.shape == (3, 256, 256)
    inputs = Inputs.measured(train, crop=224, progress=False)
    # ImageNet's well-known mean, and the principal components in common use; a thousand photographs come near
    np.testing.assert_allclose(inputs.mean.mean((1, 2)), (123.7, 116.8, 103.9), atol=3)
    eigenvalues, vectors = inputs.components
    np.testing.assert_allclose(eigenvalues, (0.2175, 0.0188, 0.0045), rtol=0.15)
    published = np.array([[-0.5675, 0.7192, 0.4009], [-0.5808, -0.0045, -0.8140], [-0.5836, -0.6948, 0.4203]])
    assert (np.abs((vectors * published).sum(0)) > 0.998).all()
