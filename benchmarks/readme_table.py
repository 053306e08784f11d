"""Writes the tables of benchmarks/README.md from benchmarks/results/: `python benchmarks/readme_table.py`.

Results come from these commands, NAME saying the machine:

    tinyconv bench lenet5 conv2d --against torch --batch 1,64,256 --json benchmarks/results/NAME.json
    tinyconv bench alexnet --whole --against torch --batch 64,128 --threads 2 --json FILE
    python -m tinyconv.benchmarks.gpu
"""

import json
import re
import sys
from pathlib import Path

HERE = Path(__file__).resolve().parent
README, RESULTS = HERE / "README.md", HERE / "results"
TITLES = {"lenet5": "LeNet-5", "alexnet": "AlexNet"}
DIRECTIONS = ("forward", "backward_input", "backward_weight")
MOVING = (
    "local_response_norm",
    "max_pool2d",
)  # operations that are shown though they move bytes more than they compute
PRODUCTS = "conv2d", "dense"
# columns of whole networks on a GPU: from NumPy arrays, and resident (the batch lies on the GPU already)
GPU_TIMES = (
    ("tinyconv", "median"),
    ("resident", "resident_median"),
    ("on the CPU", "cpu_median"),
    ("PyTorch", "torch_median"),
    ("resident", "torch_resident_median"),
    ("its CUDA graph", "graph_median"),
    ("resident", "graph_resident_median"),
    ("torch.compile", "compiled_median"),
)
GPU_RATIOS = {
    "times PyTorch": ("torch_median", "median"),
    "resident": ("torch_resident_median", "resident_median"),
}
BEGIN, END = "<!-- benchmarks -->", "<!-- /benchmarks -->"


def section():
    """The text between the markers: one part for each result, in the order of the names."""
    parts = [
        _part(json.loads(path.read_text()), path.name)
        for path in sorted(RESULTS.glob("*.json"), key=lambda path: path.stem)
    ]
    return "\n\n".join(parts) or "No results are kept yet."


def with_section(readme):
    """The text `readme` with the section between its markers replaced. Raises ValueError where there are
    none.
    """
    if BEGIN not in readme or END not in readme:
        raise ValueError(f"expected the markers {BEGIN} and {END}")
    return re.sub(f"{BEGIN}.*{END}", lambda _: f"{BEGIN}\n{section()}\n{END}", readme, flags=re.DOTALL)


def _part(result, name):
    if str(result["format"]).startswith("tinyconv gpu"):
        return _gpu_part(result["rows"], result["date"], name, result["format"].endswith(" 1"))
    machine, versions, what = result["machine"], result["versions"], result["arguments"]
    ours = [row for row in result["rows"] if row["contender"] == "cpu" and "median" in row]
    peak = "; ".join(
        f"{threads} thread{'s' if threads != '1' else ''} {found['arithmetic']['flops'] / 1e9:.0f} GFLOP/s"
        for threads, found in sorted(
            ((name, found) for name, found in result["ceilings"].items() if name.isdigit()),
            key=lambda item: int(item[0]),
        )
    )
    lines = [
        f"{machine['processor']}, {machine['vector_bits']} bits wide, {what['dtype']}, {result['date']}; "
        f"Python {versions['python']}, "
        f"Numba {versions['numba']}, PyTorch {versions['torch'] or 'not installed'}. Multiply-adds in "
        f"registers reach {peak}. "
        f"All samples: [`{name}`](results/{name})."
    ]
    lines += _networks([row for row in ours if row["kind"] == "network"], result["rows"])
    batch, threads = max(what["batches"]), max(what["threads"])
    layers = [
        row
        for row in ours
        if row["kind"] == "layer"
        and row["batch"] == batch
        and row["threads"] == threads
        and (row["roof"] == "arithmetic" or row["operation"] in MOVING)
    ]
    if layers:
        lines += ["", f"| batch {batch}, {threads} threads | forward | dx | dweight |", "|---|---|---|---|"]
        for layer in dict.fromkeys((row["layer"], row["operation"]) for row in layers):
            cells = [
                next(
                    (
                        _speed(row)
                        for row in layers
                        if (row["layer"], row["direction"]) == (layer[0], direction)
                    ),
                    "",
                )
                for direction in DIRECTIONS
            ]
            lines.append(f"| {layer[0]} {layer[1]} | {' | '.join(cells)} |")
    rungs = [row for row in result["rows"] if row["kind"] == "ladder" and row["contender"].count(":") == 0]
    for device in ("cpu", "cuda"):
        lines += _ladder([row for row in rungs if row.get("device", "cpu") == device])
    return "\n".join(lines)


def _gpu_part(rows, date, name, first_format):
    """What benchmarks/gpu/ has measured: the GPU beside its processor, operations as a whole, training."""
    steps = [row for row in rows if row["section"] == "networks" and "median" in row and "against" not in row]
    kinds = "From NumPy arrays, copies included; resident: the batch lies on the GPU already. "
    if first_format:
        kinds = (
            "tinyconv from NumPy arrays, one step a sample, and PyTorch from pinned memory; resident: the "
            "batch lies on the GPU already. "
        )
    one = next(row for row in rows if "gpu" in row)
    ceiling = {
        row["title"].partition(",")[0]: row
        for row in rows
        if row["section"] == "ceilings" and row["status"] == "ok"
    }
    roofs = (
        [
            f"multiply-adds in registers reach {ceiling['multiply-adds in registers']['flops'] / 1e12:.1f} "
            "TFLOP/s"
        ]
        if "multiply-adds in registers" in ceiling
        else []
    )
    roofs += (
        [f"a copy {ceiling['copy on the GPU']['bytes_per_second'] / 1e12:.2f} TB/s"]
        if "copy on the GPU" in ceiling
        else []
    )
    lines = [
        f"{one['gpu']['name']} ({one['machine']['processor']}, {one['machine']['cores_for_this_process']} "
        f"threads), {date}; PyTorch "
        f"{one['versions']['torch'] or 'not installed'}{'. On the GPU ' + ', '.join(roofs) if roofs else ''}. "  # noqa: E501
        f"{kinds if steps else ''}All samples: [`{name}`](results/{name})."
    ]
    cpu = {(row["model"], time["batch"]): time["cpu"] for row in rows for time in row.get("times", ())}
    compiled = {
        _step_of(row): row
        for row in rows
        if row["section"] == "networks" and "median" in row and "against" in row
    }
    if steps:
        lines += [
            "",
            f"| | {' | '.join(['images', 'precision', *(name for name, _ in GPU_TIMES), *GPU_RATIOS])} |",
            "|---" * (3 + len(GPU_TIMES) + len(GPU_RATIOS)) + "|",
        ]
    for row in steps:
        rule = row.get("rule", "SGD")
        if rule == "SGD":
            row = row | {"compiled_median": compiled.get(_step_of(row), {}).get("torch_median")}
        if row["work"] == "training step" and rule == "SGD":
            row = row | {"cpu_median": cpu.get((row["model"], row["batch"]))}
        cells = [
            f"{TITLES.get(row['model'], row['model'])} {row['work']}"
            + ("" if rule == "SGD" else f", {rule}"),
            f"{row['batch']:,}",
            row["precision"],
            *(_time(row[key]) if row.get(key) else "" for _, key in GPU_TIMES),
            *(_ratio(row, *keys) for keys in GPU_RATIOS.values()),
        ]
        lines.append(f"| {' | '.join(cells)} |")
    products = [
        row
        for row in rows
        if row["section"] == "operations"
        and "share" in row
        and row["direction"] in DIRECTIONS
        and row["operation"] in PRODUCTS
        and row["model"] == "alexnet"
    ]
    if products:
        lines += ["", "| AlexNet, batch 128, GPU | forward | dx | dweight |", "|---|---|---|---|"]
    for layer, operation, precision in dict.fromkeys(
        (row["layer"], row["operation"], row["precision"]) for row in products
    ):
        found = {
            row["direction"]: row
            for row in products
            if (row["layer"], row["precision"]) == (layer, precision)
        }
        cells = [
            f"{found[d]['flop'] / found[d]['median'] / 1e12:.1f} TFLOP/s, "
            f"{100 * found[d]['share']:.0f} %{' of the copy rate' if found[d]['roof'] == 'memory' else ''}"
            + (f", {_times(found[d])}x PyTorch" if "times_torch" in found[d] else "")
            if d in found
            else ""
            for d in DIRECTIONS
        ]
        lines.append(f"| {layer} {operation}, {precision} | {' | '.join(cells)} |")
    for row in rows:
        if row["section"] == "training" and row["status"] == "ok":
            lines += ["", f"{row['title']}: {100 * row['test_error']:.2f} % after {row['seconds']:.1f} s."]
    return "\n".join(lines)


def _step_of(row):
    return row["model"], row["work"], row["batch"], row["precision"]


def _networks(ours, rows):
    """A table of whole networks; where PyTorch came in variants, with each of them, its best, and the peak
    memory of each process.
    """
    if not ours:
        return []
    variants = list(
        dict.fromkeys(
            row["contender"]
            for row in rows
            if row["kind"] == "network" and row["contender"].startswith("torch")
        )
    ) or ["torch"]
    peers = {(*_key(row), row["contender"]): row for row in rows if row["kind"] == "network"}
    several, title = len(variants) > 1, TITLES[ours[0]["model"]]
    names = ["PyTorch", *variants[1:]] if several else ["PyTorch"]
    heads = [
        f"{title}, whole",
        "images",
        "threads",
        "tinyconv",
        *names,
        "times as fast",
        *(["as the best", "peak memory, in that order"] * several),
    ]
    lines = ["", f"| {' | '.join(heads)} |", "|---" * len(heads) + "|"]
    for row in ours:
        against = [peers.get((*_key(row), variant), {}) for variant in variants]
        cells = [
            row["direction"],
            f"{row['batch']:,}",
            str(row["threads"]),
            _time(row["median"]),
            *(_time(peer["median"]) if "median" in peer else "not measured" for peer in against),
            _times(row),
        ]
        if several:
            best = f"{row['times_best_torch']:.2f}" if "times_best_torch" in row else ""
            cells += [
                best,
                ", ".join(
                    f"{one['peak_memory'] / 1e9:.2f}" if one.get("peak_memory") else "?"
                    for one in (row, *against)
                )
                + " GB",
            ]
        lines.append(f"| {' | '.join(cells)} |")
    return lines


def _ladder(rows):
    rows = [row for row in rows if "median" in row]
    if not rows:
        return []
    panels = list(dict.fromkeys((row["layer"], row["direction"]) for row in rows))
    titles = [f"{layer.split(',')[0]} {direction}" for layer, direction in panels]
    lines = [
        "",
        f"| the ladder, GFLOP/s, batch {rows[0]['batch']} | {' | '.join(titles)} |",
        "|---" * (len(panels) + 1) + "|",
    ]
    for rung in dict.fromkeys(row["contender"] for row in rows):
        speeds = {
            (row["layer"], row["direction"]): f"{row['flop'] / row['median'] / 1e9:.1f}"
            for row in rows
            if row["contender"] == rung
        }
        lines.append(f"| {rung} | {' | '.join(speeds.get(panel, '') for panel in panels)} |")
    return lines


def _key(row):
    return row["layer"], row["direction"], row["batch"], row["threads"], row["kind"]


def _speed(row):
    against = f", {row['times_torch']:.1f}x PyTorch" if "times_torch" in row else ""
    return f"{row['rate']:.0f} {row['unit']}, {100 * row['share']:.0f} %{against}"


def _times(row):
    return f"{row['times_torch']:.2f}" if "times_torch" in row else ""


def _ratio(row, theirs, ours):
    return f"{row[theirs] / row[ours]:.2f}" if theirs in row and ours in row else ""


def _time(value):
    return f"{value:.2f} s" if value >= 1 else f"{1e3 * value:.3g} ms"


if __name__ == "__main__":
    if not README.is_file():
        sys.exit(f"{README}: no such file; run this in a checkout of the repository")
    README.write_text(with_section(README.read_text()))
