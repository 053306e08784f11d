"""The picture: the ladder as bars, one panel a shape and direction; without a ladder, the rows under their
roofs.
"""

from pathlib import Path

from ..errors import TinyconvError
from ..files import write_atomically

FORMATS = (".png", ".svg", ".pdf")


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
    from matplotlib.figure import Figure

    measured = [row for row in result["rows"] if "median" in row]
    rungs = [row for row in measured if row["kind"] == "ladder"]
    if rungs:
        figure = _ladder(Figure, rungs, result["ceilings"])
    else:
        figure = _roofline(Figure, [row for row in measured if row["bytes"]], result["ceilings"])
    write_atomically(path, lambda file: figure.savefig(file, format=Path(path).suffix[1:], dpi=120))


def _ladder(Figure, rungs, ceilings):
    panels = {}
    for row in rungs:
        panels.setdefault((row["layer"], row["direction"]), []).append(row)
    columns = len({direction for _, direction in panels})
    figure = Figure(figsize=(5 * columns, 0.6 + 3 * len(panels) / columns), layout="constrained")
    peak = max(found["arithmetic"]["flops"] for found in ceilings.values()) / 1e9
    for axes, ((layer, direction), rows) in zip(
        figure.subplots(-(-len(panels) // columns), columns, squeeze=False).flat, panels.items()
    ):
        rows = list(
            {row["contender"]: row for row in rows}.values()
        )  # measured with several numbers of threads: the last
        speeds = [row["flop"] / row["median"] / 1e9 for row in rows]
        bars = axes.barh([row["contender"] for row in rows], speeds, color="tab:blue")
        axes.bar_label(bars, [f" {speed:.3g}" for speed in speeds])
        axes.axvline(peak, color="black", linestyle="--")
        axes.set(
            title=f"{direction}\n{layer}, batch {rows[0]['batch']}", xlabel="GFLOP/s (dashed: the ceiling)"
        )
        axes.set(xscale="log", xlim=(min(speeds) / 2, peak * 3))
        axes.invert_yaxis()
    return figure


def _roofline(Figure, rows, ceilings):
    """Speed over arithmetic intensity: multiply-adds count as two, a row without any is not shown."""
    figure = Figure(figsize=(10, 6), layout="constrained")
    axes = figure.subplots()
    rows = [row for row in rows if row["flop"]]
    intensities = [row["flop"] / row["bytes"] for row in rows] or [1.0]
    line = [min(intensities) / 2, max(intensities) * 2]
    roofs = max(ceilings.values(), key=lambda found: found["arithmetic"]["flops"])
    peak = roofs["arithmetic"]["flops"] / 1e9
    axes.axhline(peak, color="black", label="multiply-adds in registers")
    for level, style in zip([level for level in roofs if level != "arithmetic"], ("-", "--", ":")):
        axes.plot(
            line,
            [roofs[level]["bytes_per_second"] / 1e9 * x for x in line],
            color="gray",
            linestyle=style,
            label=f"copying in {level}",
        )
    for contender in dict.fromkeys(row["contender"] for row in rows):
        mine = [row for row in rows if row["contender"] == contender]
        axes.scatter(
            [row["flop"] / row["bytes"] for row in mine],
            [row["flop"] / row["median"] / 1e9 for row in mine],
            label=contender,
        )
        for row in mine if contender != "torch" else []:
            axes.annotate(
                f"{row['layer']} {row['direction']}",
                (row["flop"] / row["bytes"], row["flop"] / row["median"] / 1e9),
                fontsize=6,
            )
    axes.set(
        xscale="log",
        yscale="log",
        xlabel="FLOP for each byte that must move",
        ylabel="GFLOP/s",
        xlim=line,
        ylim=(None, 2 * peak),
    )
    axes.legend()
    return figure
