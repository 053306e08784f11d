"""The picture: the ladder as bars, one panel a shape and direction; CPU against GPU over the batch; and the
rows under the roofs of their devices.
"""

from pathlib import Path

import numpy as np

from ..errors import TinyconvError
from ..files import write_atomically
from . import labels
from .report import seconds, wins
from .versus import comparisons

FORMATS = (".png", ".svg", ".pdf")
COLORS = {"cpu": "tab:blue", "cuda": "tab:orange", "torch": "tab:gray", "reference": "tab:green"}
DEVICES = {"cpu": "CPU", "cuda": "GPU"}
ACROSS = 4  # panels of a row


def check(path):
    """Raises TinyconvError where a picture cannot be drawn, before anything is measured."""
    if Path(path).suffix not in FORMATS:
        raise TinyconvError(f"--plot: expected a file that ends with {', '.join(FORMATS)}, got {path}")
    try:
        import matplotlib.figure  # noqa: F401
    except ImportError:
        raise TinyconvError("--plot needs matplotlib: pip install 'tinyconv[bench]'") from None


def draw(result, path):
    """Write the picture of a session's result. Raises OSError."""
    figure = picture(result)
    write_atomically(path, lambda file: figure.savefig(file, format=Path(path).suffix[1:], dpi=120))


def picture(result):
    """Return the matplotlib Figure: of two devices their crossing and their roofs, else of a ladder its
    bars, else the roofs.
    """
    from matplotlib.figure import Figure

    measured = [row for row in result["rows"] if "median" in row]
    rungs = [row for row in measured if row["kind"] == "ladder"]
    crossings = [one for one in comparisons(measured) if len(one.pairs) > 1]
    points = [row for row in measured if row["bytes"] and row["flop"] and row["kind"] != "ladder"]
    if crossings:
        return _devices(Figure, crossings, _largest_batch(points), result)
    if rungs:
        return _ladder(Figure, rungs, result["ceilings"])
    figure = Figure(figsize=(10, 6), layout="constrained")
    _roofline(figure.subplots(), points, result["ceilings"])
    return figure


def _ladder(Figure, rungs, ceilings):
    panels = {}
    for row in rungs:
        panels.setdefault((row["device"], row["layer"], row["direction"]), []).append(row)
    columns = len({direction for _, _, direction in panels})
    figure = Figure(figsize=(5 * columns, 0.6 + 3 * len(panels) / columns), layout="constrained")
    for axes, ((device, layer, direction), rows) in zip(
        figure.subplots(-(-len(panels) // columns), columns, squeeze=False).flat, panels.items()
    ):
        rows = list(
            {row["contender"]: row for row in rows}.values()
        )  # measured with several numbers of threads: the last
        speeds = [row["flop"] / row["median"] / 1e9 for row in rows]
        peaks = [ceilings[row["ceiling"]]["arithmetic"]["flops"] / 1e9 for row in rows]
        bars = axes.barh([row["contender"] for row in rows], speeds, color=COLORS[device])
        # each bar has its own ceiling beside it: tensor cores have another one
        places = np.arange(len(rows))
        axes.vlines(peaks, places - 0.5, places + 0.5, color="black", linestyle="--", linewidth=1)
        texts = [f"{speed:.3g}" if speed < 1000 else f"{speed:,.0f}" for speed in speeds]
        for text in axes.bar_label(bars, texts, padding=4):
            text.set_bbox({"facecolor": "white", "edgecolor": "none", "pad": 1})
        axes.set(
            title=f"{DEVICES[device]}, {direction}\n{layer}, batch {rows[0]['batch']}",
            xlabel="GFLOP/s (dashed: the ceiling)",
        )
        axes.set(xscale="log", xlim=(min(speeds) / 2, max(peaks) * 3))
        axes.invert_yaxis()
    return figure


def _devices(Figure, crossings, points, result):
    """CPU against GPU: a panel for each piece of work, and below them the roofs of both."""
    rows = -(-len(crossings) // ACROSS)
    columns = min(ACROSS, len(crossings))
    figure = Figure(figsize=(max(11, 4 * columns), 3.8 * rows + 7 * bool(points)), layout="constrained")
    heights = [3.8] * rows + [7] * bool(points)
    grid = figure.add_gridspec(len(heights), columns, height_ratios=heights)
    for place, one in enumerate(crossings):
        _crossing(figure.add_subplot(grid[place // columns, place % columns]), one)
    if points:
        _roofline(figure.add_subplot(grid[rows, :]), points, result["ceilings"])
    return figure


def _crossing(axes, one):
    """Seconds over the batch, on both devices; a dotted line where they are equal."""
    batches = [pair.batch for pair in one.pairs]
    threads = f"CPU, {one.threads} thread" + "s" * (one.threads > 1)
    axes.plot(batches, [pair.cpu["median"] for pair in one.pairs], "o-", color=COLORS["cpu"], label=threads)
    axes.plot(batches, [pair.cuda["median"] for pair in one.pairs], "o-", color=COLORS["cuda"], label="GPU")
    resident = [pair.cuda.get("resident") for pair in one.pairs]
    copied = [pair.cuda["median"] + (pair.cuda.get("copies") or 0) for pair in one.pairs]
    if all(resident):
        axes.plot(batches, resident, "o--", color=COLORS["cuda"], label="GPU, batch resident", markersize=3)
    elif copied != [pair.cuda["median"] for pair in one.pairs]:
        axes.plot(batches, copied, "o--", color=COLORS["cuda"], label="GPU, with copies", markersize=3)
    batch, between = one.wins_from(with_copies=True)
    if batch:
        axes.axvline(between or batch, color="black", linestyle=":")
    axes.set(xscale="log", yscale="log", xlabel="images in a batch", ylabel="time")
    axes.set_xticks(batches, [f"{batch:,}" for batch in batches])
    axes.set_xticks([], minor=True)
    axes.yaxis.set_major_formatter(lambda value, _: seconds(value))
    axes.yaxis.set_minor_formatter(lambda value, _: "")
    axes.set_title("\n".join([one.title, *wins(one).split("; ")]), fontsize=9)
    axes.grid(alpha=0.3)
    axes.legend(fontsize=8)


def _roofline(axes, rows, ceilings):
    """Speed over arithmetic intensity: multiply-adds count as two. Each device has its own roof."""
    intensities = [row["flop"] / row["bytes"] for row in rows] or [1.0]
    low, high = min(intensities) / 2, max(intensities) * 2
    peaks = []
    for device, found in _roofs(ceilings).items():
        peak = found["arithmetic"]["flops"] / 1e9
        peaks.append(peak)
        name, color = DEVICES[device], COLORS[device]
        axes.axhline(peak, color=color, linewidth=1, label=f"{name}: multiply-adds in registers")
        for level, style in zip([level for level in found if level != "arithmetic"], ("-.", "--", ":")):
            speed = found[level]["bytes_per_second"] / 1e9
            line = [low, max(low, min(high, peak / speed))]
            axes.plot(
                line,
                [speed * x for x in line],
                color=color,
                linewidth=1,
                linestyle=style,
                label=f"{name}: copying in {level}",
            )
    names, colors = {}, {}
    for contender in dict.fromkeys(row["contender"] for row in rows):
        mine = [row for row in rows if row["contender"] == contender]
        color = COLORS.get(contender, "tab:purple")
        places = [(row["flop"] / row["bytes"], row["flop"] / row["median"] / 1e9) for row in mine]
        axes.scatter(*zip(*places), s=16, color=color, label=DEVICES.get(contender, contender), zorder=3)
        if contender != "torch":
            for row, place in zip(mine, places):
                names[place] = f"{row['layer']} {_short(row['direction'])}".strip()
                colors[place] = color
    axes.set(
        xscale="log",
        yscale="log",
        xlabel="FLOP for each byte that must move",
        ylabel="GFLOP/s",
        xlim=(low, high),
        ylim=(None, 3 * max(peaks)),
    )
    axes.legend(fontsize=8, loc="upper center", bbox_to_anchor=(0.5, -0.09), ncols=4)
    labels.place(axes, names, colors)


def _short(direction):
    """Nothing for forward, dx for backward_input, dweight for backward_weight."""
    words = {"forward": "", "backward_input": "dx"}
    return words.get(direction, direction.replace("backward_", "d"))


def _roofs(ceilings):
    """{device: its ceilings}; of the CPU those of the most threads."""
    threads = [found for name, found in ceilings.items() if not name.startswith("cuda")]
    roofs = {"cpu": max(threads, key=lambda found: found["arithmetic"]["flops"])} if threads else {}
    return roofs | ({"cuda": ceilings["cuda"]} if "cuda" in ceilings else {})


def _largest_batch(rows):
    """Of each piece of work the rows of the largest batch: others would lie on top of them."""
    largest = {}
    for row in rows:
        key = row["model"], row["layer"], row["direction"]
        largest[key] = max(largest.get(key, 0), row["batch"])
    return [row for row in rows if row["batch"] == largest[row["model"], row["layer"], row["direction"]]]
