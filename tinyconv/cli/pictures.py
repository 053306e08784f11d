"""Pictures of a run: the training curves, the filters of the first layer, and sheets of images with
captions.
"""

import numpy as np
from PIL import Image, ImageDraw

from ..device import to_host
from ..files import write_atomically


def draw_curves(run, history, held_out=True):
    """curves.png: loss and error over the epochs. Gives a sentence for the user: where it is, or why it is
    not drawn.

    held_out: whether the test images are others than those of training.
    """
    try:
        from matplotlib.figure import Figure
        from matplotlib.ticker import LogLocator, MaxNLocator, NullFormatter
    except ImportError:
        return "no picture of the curves: matplotlib is not installed (pip install 'tinyconv[demo]')"
    figure = Figure(figsize=(9, 3.5), layout="constrained")
    epochs = [row["epoch"] for row in history]
    labels = (
        ("training", "test")
        if held_out
        else ("training images, during the epoch", "training images, after the epoch")
    )
    for axes, keys, title in zip(
        figure.subplots(1, 2), (("loss", "test_loss"), ("error", "test_error")), ("loss", "error")
    ):
        for key, label in zip(keys, labels):
            axes.plot(
                epochs,
                [row[key] * (100 if "error" in key else 1) for row in history],
                marker=".",
                label=label,
            )
        axes.set(title=title + (" (%)" if title == "error" else ""), xlabel="epoch")
        axes.xaxis.set_major_locator(MaxNLocator(integer=True))
        if all(row[key] > 0 for row in history for key in keys):  # a logarithmic scale has no place for 0
            axes.set_yscale("log")
            axes.yaxis.set_major_locator(LogLocator(subs=(1, 2, 5)))
            axes.yaxis.set_major_formatter("{x:g}")
            axes.yaxis.set_minor_formatter(NullFormatter())
        axes.grid(alpha=0.3, which="both")
        axes.legend()
    write_atomically(run.folder / "curves.png", lambda file: figure.savefig(file, format="png", dpi=110))
    return f"curves: {run.folder / 'curves.png'}"


def draw_filters(run, net, side=44):
    """filters.png: the filters of the first layer, each stretched to full contrast by itself, about `side`
    pixels wide.

    Gives a sentence for the user; None where the first weights are no filters over one channel or three.
    """
    weights = to_host(
        next((value for name, value in net.params.items() if name.endswith("weight")), np.empty(0))
    )
    if weights.ndim != 4 or weights.shape[1] not in (1, 3):
        return None
    low, high = (limit(weights, axis=(1, 2, 3), keepdims=True) for limit in (np.min, np.max))
    bytes_ = (
        (255 * (weights - low) / np.maximum(high - low, np.finfo(np.float32).tiny)).round().astype(np.uint8)
    )
    columns = next(
        n for n in range(round(1.3 * len(weights) ** 0.5), len(weights) + 1) if len(weights) % n == 0
    )  # full rows: 96 in 16 x 6
    path = run.folder / "filters.png"
    draw_sheet(path, [(image, "") for image in bytes_], columns, max(1, side // max(weights.shape[2:])))
    return f"filters: {path}, {len(weights)} of {'x'.join(map(str, weights.shape[:0:-1]))}"


def draw_sheet(path, cells, columns, scale=1):
    """A PNG of `cells`, pairs of an image (uint8, (1 or 3, H, W)) and its caption, `columns` a row, each
    image `scale` times enlarged.

    A line of a caption is cut off where it is wider than its cell.
    """
    height, width = (max(image.shape[axis] for image, _ in cells) * scale for axis in (1, 2))
    lines = max(caption.count("\n") + bool(caption) for _, caption in cells)
    cell_width, cell_height, columns = width + 8, height + 4 + 14 * lines, min(columns, len(cells))
    sheet = Image.new("RGB", (columns * cell_width, -(-len(cells) // columns) * cell_height + 4), "white")
    draw = ImageDraw.Draw(sheet)
    for place, (image, caption) in enumerate(cells):
        left, top = place % columns * cell_width + 4, place // columns * cell_height + 4
        picture = Image.fromarray(
            image[0] if len(image) == 1 else np.ascontiguousarray(image.transpose(1, 2, 0))
        )
        sheet.paste(
            picture.resize((image.shape[2] * scale, image.shape[1] * scale), Image.Resampling.NEAREST),
            (left, top),
        )
        text = "\n".join(line[: _fitting(draw, line, cell_width - 4)] for line in caption.split("\n"))
        draw.text((left, top + height), text, fill="black")
    write_atomically(path, lambda file: sheet.save(file, "PNG"))


def _fitting(draw, line, width):
    """How many of its first characters are no wider than `width` pixels."""
    return next(n for n in range(len(line), -1, -1) if draw.textlength(line[:n]) <= width)
