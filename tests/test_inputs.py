"""Inputs: crops, reflections, colour noise and means against plain NumPy, and draws that follow from the key
alone.
"""

import numpy as np
import pytest

from tinyconv.data.dataset import Dataset
from tinyconv.data.inputs import Inputs, image_keys
from tinyconv.errors import CheckpointError, DataError
from tinyconv.kernels._cpu.random import random_bits
from tinyconv.kernels.dropout import reference as dropout

COMPONENTS = np.array([3.0, 2.0, 1.0]), np.linalg.qr(np.random.default_rng(1).normal(size=(3, 3)))[0]


def pictures(rng, *shape):
    return rng.integers(0, 256, shape, np.uint8)


def views(inputs, images):
    """Every view that training could draw of one image, in float64: {(top, left, mirrored): (C, h, w)}."""
    C, H, W = inputs.image_shape
    _, h, w = inputs.shape
    s = inputs.shift
    x = inputs.scale * (images.astype(float) - inputs.mean)
    x = np.pad(x, ((0, 0), (s, s), (s, s)), constant_values=inputs.outside)
    found = {}
    for top in range(H - h + 2 * s + 1):
        for left in range(W - w + 2 * s + 1):
            view = x[:, top : top + h, left : left + w]
            found[top - s, left - s, False] = view
            if inputs.mirror:
                found[top - s, left - s, True] = view[..., ::-1]
    return found


@pytest.mark.parametrize(
    "options",
    [
        dict(crop=5),
        dict(crop=5, mirror=True),
        dict(shift=2, mirror=True),
        dict(crop=(3, 6), shift=1, mirror=True),
        dict(shift=9),
        dict(mirror=True),
        {},
    ],
    ids=str,
)
def test_training_draws_each_view_about_as_often(rng, options):
    image = pictures(rng, 1, 3, 7, 8)
    inputs = Inputs((3, 7, 8), scale=0.25, mean=rng.normal(100, 9, (3, 7, 8)), **options)
    expected = views(inputs, image[0])
    n = 100 * len(expected)
    x = inputs.training(image.repeat(n, 0), image_keys(5, 2, np.arange(n)))
    assert x.shape == (n, *inputs.shape) and x.dtype == np.float32
    different, counts = np.unique(x.reshape(n, -1), axis=0, return_counts=True)
    if options == dict(shift=9):  # most views are all outside: alike
        assert all(
            min(abs(view - seen.reshape(view.shape)).max() for view in expected.values()) < 1e-4
            for seen in different
        )
        return
    assert len(different) == len(expected) and counts.min() > 50 and counts.max() < 160
    for seen in different:
        assert min(np.abs(view - seen.reshape(view.shape)).max() for view in expected.values()) < 2e-5


def test_outside_of_the_image_is_the_mean(rng):
    inputs = Inputs((1, 4, 4), mean=50.0, shift=4)
    x = inputs.training(np.full((200, 1, 4, 4), 60, np.uint8), image_keys(0, 0, np.arange(200)))
    assert set(np.unique(x)) == {0, 10}


def test_noise_lies_along_the_principal_components(rng):
    inputs = Inputs((3, 5, 6), scale=0.5, mirror=True, crop=4, colour=0.1, components=COMPONENTS)
    n = 4000
    image = np.full((n, 3, 5, 6), 100, np.uint8)
    noise = inputs.training(image, image_keys(1, 1, np.arange(n))).astype(float) - 50
    assert np.abs(noise - noise[:, :, :1, :1]).max() == 0  # the same for all pixels of an image
    a = noise[:, :, 0, 0] @ COMPONENTS[1] / COMPONENTS[0] / (0.5 * 255)
    assert (
        np.abs(a.mean(0)).max() < 0.01
        and np.abs(a.std(0) - 0.1).max() < 0.005
        and np.abs(np.corrcoef(a.T) - np.eye(3)).max() < 0.06
    )
    assert (
        0.25 < np.mean(np.abs(a) > 0.1) < 0.38 and np.abs(a).max() > 0.28
    )  # a normal distribution: 32 % beyond one deviation
    np.testing.assert_array_equal(inputs.testing(image[:1]), 50)


def test_noise_is_drawn_as_the_page_says(rng):
    inputs = Inputs((3, 2, 2), scale=2, colour=0.1, components=COMPONENTS, mirror=True)
    key = image_keys(0, 0, np.arange(50))
    first, second = (
        np.stack([dropout._uniform(key, np.array([e + 2 * i], np.uint64)) for i in range(3)], axis=1)
        for e in (3, 4)
    )
    a = 0.1 * np.sqrt(-2 * np.log(first + 2.0**-53)) * np.cos(2 * np.pi * second)
    expected = 2 * 255 * (a * COMPONENTS[0]) @ COMPONENTS[1].T
    np.testing.assert_allclose(
        inputs.training(np.zeros((50, 3, 2, 2), np.uint8), key)[:, :, 0, 0], expected, rtol=1e-5
    )


def test_the_same_key_gives_the_same_bits(rng):
    images = pictures(rng, 40, 3, 9, 9)
    inputs = Inputs((3, 9, 9), crop=6, shift=1, mirror=True, colour=0.1, components=COMPONENTS)
    key = image_keys(3, 7, np.arange(40))
    whole = inputs.training(images, key)
    order = rng.permutation(40)
    np.testing.assert_array_equal(inputs.training(images[order], key[order]), whole[order])
    np.testing.assert_array_equal(
        np.concatenate([inputs.training(images[i : i + 1], key[i : i + 1]) for i in range(40)]), whole
    )
    out = np.full((40, 3, 6, 6), np.nan, np.float32)
    assert inputs.training(images, key, out) is out and (out == whole).all()
    assert (
        len({k for seed in range(3) for epoch in range(3) for k in image_keys(seed, epoch, np.arange(100))})
        == 900
    )
    np.testing.assert_array_equal(image_keys(3, 7, [5, 2]), key[[5, 2]])


def test_random_bits_are_those_of_dropout():
    with np.errstate(over="ignore"):
        for key, e in ((0, 0), (2**63 + 5, 7), (123456789, 2**40)):
            bits = int(random_bits(np.uint64(key), e))
            assert (bits >> 11) * 2.0**-53 == dropout._uniform(np.uint64(key), np.array([e], np.uint64))[0]


def test_ten_crops(rng):
    images = pictures(rng, 2, 3, 8, 9)
    inputs = Inputs((3, 8, 9), crop=5, crops=10, scale=2, mean=7)
    x = inputs.testing(images)
    assert x.shape == (20, 3, 5, 5)
    for n, image in enumerate(images.astype(np.float32)):
        five = [2 * (image[:, t : t + 5, l : l + 5] - 7) for t, l in ((0, 0), (0, 4), (3, 0), (3, 4), (1, 2))]
        np.testing.assert_array_equal(x[10 * n : 10 * n + 10], five + [view[..., ::-1] for view in five])
    np.testing.assert_array_equal(Inputs((3, 8, 9), crop=5, scale=2, mean=7).testing(images), x[4::10])


@pytest.mark.parametrize("size", [(4, 5), (7, 9), (5, 5), (32, 32)])
def test_digits_are_the_papers_to_the_bit(rng, size):
    images = pictures(rng, 5, 1, 4, 5)
    images[0, 0, 0, :2] = 0, 255
    down, across = size[0] - 4, size[1] - 5
    padded = np.pad(
        images, ((0, 0), (0, 0), (down // 2, down - down // 2), (across // 2, across - across // 2))
    )
    expected = np.float32(1.275 / 255) * padded.astype(np.float32) + np.float32(-0.1)
    inputs = Inputs.digits((1, 4, 5), (1, *size))
    assert inputs.shape == (1, *size) and not inputs.random
    for x in (inputs.training(images), inputs.testing(images)):
        np.testing.assert_array_equal(x, expected)
    assert expected.min() == np.float32(-0.1) and expected.max() == np.float32(1.175)


def test_measured_over_all_images(rng):
    images = (rng.integers(0, 200, (70, 1, 9, 8)) + rng.integers(0, 56, (70, 3, 9, 8))).astype(np.uint8)
    dataset = Dataset("some", images, np.zeros(70, np.int64), ("one",), "photo 9")
    inputs = Inputs.measured(dataset, crop=6, colour=0.1, progress=False)
    np.testing.assert_allclose(inputs.mean, images.mean(0), rtol=1e-6)
    pixels = images.transpose(0, 2, 3, 1).reshape(-1, 3) / 255
    eigenvalues, vectors = inputs.components
    np.testing.assert_allclose(vectors * eigenvalues @ vectors.T, np.cov(pixels.T, bias=True), atol=1e-12)
    np.testing.assert_allclose(vectors.T @ vectors, np.eye(3), atol=1e-12)
    assert (np.diff(eigenvalues) < 0).all() and (vectors.sum(0) > 0).all()
    again = Inputs.measured(dataset, crop=6, colour=0.1, progress=False, workers=0)
    np.testing.assert_array_equal(again.components[1], vectors)
    x = inputs.testing(images)
    assert x.shape == (70, 3, 6, 6) and np.abs(x.mean(0)).max() < 1e-3


def test_what_takes_long_to_measure_is_kept(rng, tmp_path, monkeypatch):
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    monkeypatch.setattr("tinyconv.data.inputs.KEPT", 0)
    images = Dataset("some", pictures(rng, 9, 3, 5, 4), np.zeros(9, np.int64), ("one",), "fit")
    first = Inputs.measured(images, progress=False, mirror=True)
    (kept,) = tmp_path.rglob("*.npz")
    with monkeypatch.context() as context:
        context.setattr("tinyconv.data.inputs.add_pixels", lambda *_: pytest.fail("measured again"))
        again = Inputs.measured(images, progress=False, crop=4, colour=0.1)
        with pytest.raises(pytest.fail.Exception, match="measured again"):
            Inputs.measured(images.subset(slice(8), "others"), progress=False, workers=0)
    assert (
        (again.mean == first.mean).all()
        and (again.components[1] == first.components[1]).all()
        and again.shape == (3, 4, 4)
        and first.mirror
    )
    kept.write_bytes(b"damaged")
    assert (Inputs.measured(images, progress=False).mean == first.mean).all()
    assert (Inputs.load(kept).mean == first.mean).all()


def test_white_images_do_not_overflow_sums():
    white = Dataset(
        "white", np.full((3, 1, 2, 70_000), 255, np.uint8), np.zeros(3, np.int64), ("one",), "fit"
    )
    inputs = Inputs.measured(white, progress=False)
    assert (inputs.mean == 255).all() and inputs.components[0][0] == pytest.approx(0, abs=1e-9)


def test_saved_and_loaded(rng, tmp_path):
    inputs = Inputs(
        (3, 9, 8),
        crop=(5, 6),
        scale=0.1,
        mean=rng.normal(100, 9, (3, 1, 1)),
        mirror=True,
        colour=0.2,
        shift=1,
        components=COMPONENTS,
        crops=10,
        outside=0.25,
    )
    inputs.save(tmp_path / "inputs.npz")
    loaded = Inputs.load(tmp_path / "inputs.npz")
    images, key = pictures(rng, 20, 3, 9, 8), image_keys(0, 0, np.arange(20))
    np.testing.assert_array_equal(loaded.training(images, key), inputs.training(images, key))
    np.testing.assert_array_equal(loaded.testing(images), inputs.testing(images))
    assert repr(loaded) == repr(inputs) and "ten crops" in repr(inputs)
    Inputs.digits((1, 3, 3), (1, 4, 4)).save(tmp_path / "digits.npz")
    assert Inputs.load(tmp_path / "digits.npz").shape == (1, 4, 4)
    content = (tmp_path / "inputs.npz").read_bytes()
    later = content.replace("format 1".encode("utf-32-le"), "format 9".encode("utf-32-le"))
    for damaged in (content[:100], b"", b"PK", later):
        (tmp_path / "inputs.npz").write_bytes(damaged)
        with pytest.raises(CheckpointError, match="inputs.npz: damaged"):
            Inputs.load(tmp_path / "inputs.npz")
    with pytest.raises(CheckpointError, match="no such file"):
        Inputs.load(tmp_path / "absent.npz")


@pytest.mark.parametrize(
    "shape, options, message",
    [
        ((3, 5, 5), dict(crop=0), "sides of 1 or more"),
        ((3, 5, 5), dict(crops=5), "1 or 10, got 5"),
        ((3, 5, 5), dict(crop=6, crops=10), "ten crops of 6x6 do not fit"),
        ((3, 5, 5), dict(shift=-1), "0 or more"),
        (
            (3, 5, 5),
            dict(mean=np.zeros((3, 4, 5))),
            r"a mean that broadcasts to them, got one of shape \(3, 4, 5\)",
        ),
        ((3, 5, 5), dict(colour=0.1), "needs their principal components: Inputs.measured finds them"),
        (
            (1, 5, 5),
            dict(colour=0.1, components=COMPONENTS),
            r"expected eigenvalues \(1,\) and vectors \(1, 1\), got \(3,\) and \(3, 3\)",
        ),
    ],
)
def test_options_that_cannot_be(shape, options, message):
    with pytest.raises(ValueError, match=message):
        Inputs(shape, **options)


def test_images_and_keys_that_do_not_suit(rng):
    inputs = Inputs((3, 5, 5), mirror=True)
    for wrong in (np.zeros((2, 3, 5, 4), np.uint8), np.zeros((2, 3, 5, 5)), np.zeros((3, 5, 5), np.uint8)):
        with pytest.raises(DataError, match=r"expected images uint8 \(n, 3, 5, 5\), got"):
            inputs.testing(wrong)
    images = np.zeros((2, 3, 5, 5), np.uint8)
    with pytest.raises(ValueError, match="expected key, uint64"):
        inputs.training(images)
    with pytest.raises(ValueError, match=r"expected key of shape \(2,\)"):
        inputs.training(images, image_keys(0, 0, [1]))
    with pytest.raises(ValueError, match="expected out float32"):
        inputs.testing(images, np.zeros((2, 3, 5, 5)))
    with pytest.raises(DataError, match="4x5 do not fit into 32x4"):
        Inputs.digits((1, 4, 5), (1, 32, 4))
    with pytest.raises(DataError, match="images of 3 channels do not suit a network that sees 1"):
        Inputs.digits((3, 4, 5), (1, 32, 32))
    assert inputs.testing(images[:0]).shape == (0, 3, 5, 5)
