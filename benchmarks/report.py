"""The rows as a table to read: printed while they come, one line each."""

from .versus import comparisons

COLUMNS = [
    ("layer", 9),
    ("what", 36),
    ("batch", 6),
    ("thr", 4),
    ("by", 13),
    ("first call", 11),
    ("median", 11),
    ("spread", 7),
    ("speed", 13),
    ("of the roof", 17),
    ("error", 6),
    ("x torch", 8),
    ("x best", 7),
    ("x cpu", 7),
    ("memory", 8),
]
LADDER = [
    ("rung", 28),
    ("thr", 4),
    ("first call", 11),
    ("median", 11),
    ("spread", 7),
    ("speed", 13),
    ("of the roof", 17),
    ("error", 6),
    ("x first", 8),
    ("x previous", 11),
    ("rank", 5),
]
VERSUS = [
    ("batch", 6),
    ("CPU", 10),
    ("GPU", 10),
    ("CPU / GPU", 9),
    ("resident", 10),
    ("copies", 10),
    ("with copies", 11),
    ("CPU of the roof", 15),
    ("GPU of the roof", 15),
]
VERSUS_LEGEND = """
CPU / GPU    how many times faster the GPU is; each contestant had a process of its own, in turns with the other
resident     a training step without what is around it, its batch on the GPU already
copies       of an operation: its activations to the GPU and its result back, no part of "GPU"; of a training step: what it takes
             longer than the resident one, which is a part of "GPU"
with copies  how many times faster the GPU is, copies included
of the roof  the lower of its own two, multiply-adds in registers and memory copied, both measured in this run"""  # noqa: E501
BUSY = 0.5  # load average from which on a comparison is not to be trusted
LEGEND = """
first call   compiling is part of it, unless Numba found the kernel in its cache (NUMBA_CACHE_DIR names an empty folder to see it)
median       of interleaved repeats; spread: the distance of their quartiles, as a share of the median
speed        useful arithmetic only (2 x multiply-adds), or bytes that must move at least
of the roof  share of what this machine reached in this run: multiply-adds in registers, or copying in the level of memory that
             the arrays fit; work that reads more than it writes can be faster than a copy
error        the largest one against the float64 reference, in units of sqrt(K) eps, K the terms of a sum; above 16 is wrong
x torch      how many times faster than PyTorch, same work, same threads, in turns with it; x best: than its fastest variant (networks.py)
x cpu        how many times faster the GPU is than the CPU, in turns with it
memory       the most that the process of a network had in memory: those that have one each do nothing else in it"""  # noqa: E501


class Printer:
    """Calls write(line) for each row, with a heading wherever the kind of table changes."""

    def __init__(self, write):
        self.write, self.heading = write, None

    def __call__(self, rows):
        for row in rows:
            columns, cells = (
                (LADDER, _ladder_cells(row)) if row["kind"] == "ladder" else (COLUMNS, _cells(row))
            )
            heading = (row["kind"] == "ladder") and (
                row["device"],
                row["layer"],
                row["direction"],
                row["batch"],
            )
            if heading != self.heading:
                self.heading = heading
                title = f"{_ladder_title(row)}\n" if heading else ""
                self.write(f"\n{title}{_line(columns, [name for name, _ in columns])}")
            self.write(
                _line(columns, cells)
                + (f"   {row['status'].upper()}: {row['why']}" if row["status"] != "ok" else _checked(row))
            )


def _cells(row):
    what = f"{row['operation']} {row['direction']}"
    if row.get("chunk"):
        what += f", {row['chunk']} at a time"
    return [
        row["layer"],
        what,
        str(row["batch"]),
        str(row["threads"]),
        row["contender"],
        *_measured(row),
        f"{row['times_torch']:.2f}" if "times_torch" in row and row["contender"] != "torch" else "",
        f"{row['times_best_torch']:.2f}" if "times_best_torch" in row else "",
        f"{row['times_cpu']:.2f}" if "times_cpu" in row else "",
        f"{row['peak_memory'] / 1e9:.2f} GB" if row.get("peak_memory") else "",
    ]


def _checked(row):
    return f"   checked: {row['checked']}" if row.get("checked") else ""


def _ladder_title(row):
    device = "GPU" if row["device"] == "cuda" else "CPU"
    return f"the ladder, {device}: conv2d {row['direction']}, {row['layer']}, batch {row['batch']}"


def _ladder_cells(row):
    places = (
        [f"{row['times_first']:.1f}", f"{row['times_previous']:.2f}", str(row["rank"])]
        if "rank" in row
        else ["", "", "-"]
    )
    return [row["contender"], str(row["threads"]), *_measured(row), *places]


def _measured(row):
    """first call, median, spread, speed, share of the roof, error; empty where there is no number."""
    error = "" if row.get("error") is None else f"{row['error']:.2g}"
    if "median" not in row:
        return [seconds(row["first_call"]) if "first_call" in row else "", "", "", "", "", error]
    return [
        seconds(row["first_call"]),
        seconds(row["median"]),
        f"{100 * row['spread']:.0f}%",
        _speed(row["rate"], row["unit"]),
        f"{100 * row['share']:.0f}% {row['roof']}",
        error,
    ]


def _speed(rate, unit):
    """1234 GFLOP/s, 12.3 TFLOP/s; bytes likewise."""
    return f"{rate:.4g} {unit}" if rate < 1e4 else f"{rate / 1e3:.3g} {unit.replace('G', 'T', 1)}"


def _line(columns, cells):
    return " ".join(
        cell.ljust(width) if place == 0 or name in ("what", "by", "of the roof") else cell.rjust(width)
        for place, ((name, width), cell) in enumerate(zip(columns, cells))
    ).rstrip()


def seconds(value):
    """1.234 s, 12.34 ms or 12.34 us"""
    for unit, factor in (("s", 1), ("ms", 1e3), ("us", 1e6)):
        if value * factor >= 1 or unit == "us":
            return f"{value * factor:.4g} {unit}"


def ceilings(result):
    """The roofs, one line for each number of threads, and one for the GPU."""
    dtype = result["arguments"]["dtype"]
    for name, found in result["ceilings"].items():
        roofs = [f"{found['arithmetic']['flops'] / 1e9:.0f} GFLOP/s in registers"]
        roofs += [
            f"{found[level]['bytes_per_second'] / 1e9:.0f} GB/s {level}"
            for level in found
            if level != "arithmetic"
        ]
        if name == "cuda":
            roofs.append(f"{result['gpu']['crossing'] / 1e9:.3g} GB/s from pinned memory to the GPU")
        if name == "cuda tf32":
            roofs = [f"{found['arithmetic']['flops'] / 1e9:.0f} GFLOP/s in a large matrix product, TF32"]
        threads = f"{name} thread" + ("" if name == "1" else "s")
        whose = {"cuda": "the GPU", "cuda tf32": "the GPU's tensor cores"}.get(name, threads)
        yield f"ceiling of {whose} ({dtype}): {', '.join(roofs)}"


def versus(result):
    """CPU against GPU: a table for each piece of work that was measured for several batches, and the batch
    from which the GPU is faster.
    """
    lines, found = [], []
    for one in comparisons(result["rows"]):
        if len(one.pairs) > 1:
            found.append(f"{one.title}: {wins(one)}")
            threads = f"{one.threads} thread" + "s" * (one.threads > 1)
            lines += ["", f"CPU, {threads}, against GPU: {one.title}"]
            lines += [_line(VERSUS, [name for name, _ in VERSUS])]
            lines += [_line(VERSUS, _versus_cells(pair)) for pair in one.pairs]
    return [*lines, VERSUS_LEGEND, "", *found, ""] if found else []


def _versus_cells(pair):
    copies, resident = pair.copies, pair.cuda.get("resident")
    return [
        f"{pair.batch:,}",
        seconds(pair.cpu["median"]),
        seconds(pair.cuda["median"]),
        f"{pair.times:.2f}",
        seconds(resident) if resident else "",
        "" if copies is None else seconds(copies),
        f"{pair.times_with_copies:.2f}",
        *(f"{_percent(row['share'])} {row['roof']}" for row in (pair.cpu, pair.cuda)),
    ]


def _percent(share):
    """50%, and 0.5%: a share of the roof may be small."""
    return f"{100 * share:.0f}%" if share >= 0.1 else f"{100 * share:.1g}%"


def wins(one):
    """The batch from which the GPU is faster, as a sentence."""
    without, with_copies = (_wins(one, *one.wins_from(copies)) for copies in (False, True))
    return (
        without
        if without == with_copies
        else f"{without}; with copies {with_copies.removeprefix('the GPU is ')}"
    )


def _wins(one, batch, between):
    if batch is None:
        return f"the GPU is not faster up to {one.pairs[-1].batch:,} images"
    equal = f" (equal at {between:.0f})" if between else ""
    return f"the GPU is faster from {batch:,} on{equal}"


def closing(result):
    """What is said after the table: the legend, the roofs, what is wrong and what could not be
    measured, with the reason.
    """
    gpu = result["gpu"]
    lines = [
        LEGEND,
        *versus(result),
        *ceilings(result),
        "{processor}: vectors of {vector_bits} bits, {cores} cores".format(**result["machine"]),
        *(["{name}: {multiprocessors} multiprocessors".format(**gpu)] if gpu else []),
    ]
    load = result["load_average"]["before"]
    if load and load > BUSY:
        lines.append(
            f"OTHERS ARE AT WORK: the load average was {load:.1f} before this run. Threads that wait for each other, PyTorch's above all, "  # noqa: E501
            "lose far more by that than threads that do not, so no ratio here is to be trusted: measure again on a quiet machine"  # noqa: E501
        )
    reasons = {}
    for row in result["rows"]:
        if row["status"] == "not measured":
            reasons.setdefault((row["contender"], row["why"]), []).append(row)
    lines += [f"not measured: {name} ({len(rows)} rows): {why}" for (name, why), rows in reasons.items()]
    wrong = [row for row in result["rows"] if row["status"] == "wrong"]
    return lines + [
        f"WRONG, not ranked: {row['contender']}, {row['layer']} {row['direction']}: {row['why']}"
        for row in wrong
    ]
