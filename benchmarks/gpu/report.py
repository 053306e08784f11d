"""The printed report: tables, errors and missing rows with their reasons, goals met or not met."""

from ..report import seconds
from .goals import BAD, asked_for


def lines(result):
    rows = result["rows"]
    of = lambda section: [row for row in rows if row["section"] == section]
    yield from _environment(of("environment"), result)
    yield from _checks(of("checks"))
    yield from _ceilings(of("ceilings"))
    yield from _operations(of("operations"))
    yield from _networks(of("networks"))
    yield from _training(of("training"))
    yield from _reasons(rows)
    yield from ("", "asked for:", *asked_for(rows, complete(result)))


def wrong(result):
    """Whether anything failed."""
    return any(row["status"] in BAD for row in result["rows"])


def complete(result):
    """Whether all was checked that there is to check, PyTorch's presence aside: in full size, in all
    sections, to the end.
    """
    sections = {row["section"] for row in result["rows"]}
    return (
        result.get("sizes") == "full"
        and not result.get("interrupted")
        and not result.get("only")
        and {"checks", "operations", "networks", "training"} <= sections
        and not any(
            row["status"] == "not measured"
            for row in result["rows"]
            if row["section"] in ("checks", "operations")
        )
    )


def _environment(rows, result):
    for row in rows:
        if "gpu" in row:
            gpu, versions = row["gpu"], row["versions"]
            yield (
                f"{gpu['name']}, compute capability {'.'.join(map(str, gpu['compute_capability']))}, "
                f"{gpu['multiprocessors']} multiprocessors"
                + (f", driver {row['driver']}" if row.get("driver") else "")
            )
            yield ", ".join(f"{name} {version}" for name, version in versions.items() if version)
            yield (
                f"{row['machine']['processor']}, {row['machine']['cores_for_this_process']} threads; "
                f"{result['date']}"
            )


def _checks(rows):
    if rows:
        right = [row for row in rows if row["status"] == "ok"]
        tight = max(
            (row for row in right if row.get("error") is not None and "<dy" not in row["title"]),
            key=lambda row: row["error"],
            default=None,
        )
        yield f"\nchecks: {len(right)} of {len(rows)} right" + (
            f"; the tightest, {tight['title']}: error {tight['error']:.2g}" if tight else ""
        )


def _ceilings(rows):
    if rows:
        yield "\nceilings"
    for row in rows:
        if row["status"] == "ok":
            yield f"  {row['title']:40} " + ", ".join(
                filter(
                    None,
                    [
                        f"{row['flops'] / 1e12:.1f} TFLOP/s" if "flops" in row else "",
                        f"{row['bytes_per_second'] / 1e9:.0f} GB/s" if "bytes_per_second" in row else "",
                        f"{1e6 * row['from_python']:.2f} us from Python, {1e6 * row['in_a_graph']:.2f} us "
                        f"in a graph, {1e6 * row['a_graph']:.2f} us a graph"
                        if "from_python" in row
                        else "",
                    ],
                )
            )


def _operations(rows):
    rows = [row for row in rows if "median" in row]
    if rows:
        yield (
            "\noperations: time between events; x torch: how many times faster than PyTorch; error "
            "in units of sqrt(K) eps, of tf32 as a share of its bound"
        )
        yield (
            f"  {'':44} {'batch':>5} {'precision':9} {'tinyconv':>10} {'spread':>6} {'PyTorch':>10} "
            f"{'x torch':>7} {'speed':>14} {'of the roof':>15} {'error':>6}"
        )
    for row in rows:
        rate = (
            f"{row['rate'] / 1e3:.1f} T{row['unit'][1:]}"
            if row.get("unit") == "GFLOP/s"
            else f"{row['rate']:.0f} GB/s"
            if "rate" in row
            else ""
        )
        roof = f"{100 * row['share']:.0f}% {row['roof']}" if "share" in row else ""
        yield (
            f"  {row['model'] + ' ' + row['layer'] + ' ' + row['operation'] + ' ' + row['direction']:44} "
            f"{row['batch']:5} {row['precision']:9} "
            f"{seconds(row['median']):>10} {100 * row['spread']:5.0f}% "
            f"{seconds(row['torch_median']) if 'torch_median' in row else '':>10} "
            f"{_times(row):>7} {rate:>14} {roof:>15} {row['error']:6.2g}"
            + ("" if row["how"] == "graph" else "  launched from Python")
            + ("  PyTorch careful, see below" if _careful(row) else "")
        )


def _networks(rows):
    rows = [row for row in rows if row["status"] == "ok"]
    timed = [row for row in rows if "median" in row]
    if timed:
        yield (
            "\nnetworks: from NumPy arrays: plain arrays to updated weights or scores, copies included, for "
            "all alike; resident: the batch lies on the GPU already; graph: PyTorch's own CUDA graph"
        )
        yield f"  {'':56} {'from NumPy arrays':>32} {'resident':>32} {'x torch':>14} {'x graph':>14}"
        heads = " ".join(f"{name:>10}" for name in 2 * ("tinyconv", "PyTorch", "graph"))
        yield f"  {'':56} {heads} {'arrays':>7} {'res.':>6} {'arrays':>7} {'res.':>6}"
    for row in timed:
        times = " ".join(
            f"{seconds(row[name]) if name in row else '':>10}"
            for kind in ("", "resident_")
            for name in (f"{kind}median", f"torch_{kind}median", f"graph_{kind}median")
        )
        ratios = [
            f"{row[name]:.2f}" if name in row else ""
            for name in ("times_torch", "times_torch_resident", "times_graph", "times_graph_resident")
        ]
        yield f"  {row['title']:56} {times} {ratios[0]:>7} {ratios[1]:>6} {ratios[2]:>7} {ratios[3]:>6}"
    for row in rows:
        if "times" in row:
            yield f"  {row['model']}, training step on GPU and CPU ({row['threads']} threads): " + "; ".join(
                f"{one['batch']} images {seconds(one['cuda'])} and {seconds(one['cpu'])}"
                for one in row["times"]
            )
            yield (
                f"  the GPU is faster from {row['from_batch']} images on"
                if row["from_batch"]
                else "  the CPU is faster at all of these"
            )


def _training(rows):
    for row in rows:
        if row["status"] == "ok" and "epochs" in row:
            yield (
                f"\n{row['title']}: test error {100 * row['test_error']:.2f} %, {row['epochs']:.3g} epochs "
                f"in {row['seconds']:.1f} s of training"
                + (f", of which {row['waited']:.1f} s waiting for data" if row["waited"] > 0.1 else "")
                + (
                    f", {row['images_per_second']:.0f} images/s, {row['precision']}"
                    if "images_per_second" in row
                    else ""
                )
            )


def _reasons(rows):
    """What is wrong, one line each; what was not measured, grouped by the reason."""
    bad = [row for row in rows if row["status"] in BAD]
    if bad:
        yield "\nwrong or failed"
    for row in bad:
        yield f"  {row['section']}, {row['title']}: {row['status'].upper()}: {row['why']}"
    grouped = {}

    def note(kind, why, row):
        if why:
            grouped.setdefault((kind, why), []).append(row["title"])

    for row in rows:
        if row["status"] in ("not measured", "skipped"):
            note(row["status"], row["why"], row)
            continue
        note("PyTorch not compared", row.get("torch"), row)
        note("PyTorch's CUDA graph not compared", row.get("graph"), row)
        if _careful(row):
            note(
                "cuDNN timed with deterministic=True, benchmark=False: its fastest is wrong",
                row["torch_wrong"],
                row,
            )
    if grouped:
        yield ""
    for (status, why), titles in grouped.items():
        yield (
            f"{status} ({len(titles)} rows, {titles[0]} ...): {why}"
            if len(titles) > 1
            else f"{status} ({titles[0]}): {why}"
        )


def _careful(row):
    """Whether PyTorch was wrong, and is timed in its careful form: see operations.py."""
    return "torch_wrong" in row and "torch_median" in row


def _times(row):
    return f"{row['times_torch']:.2f}" if "times_torch" in row else ""
