"""One comparison: the same work done by several contenders, each checked, then all timed in turns. Its rows
are what the JSON holds.
"""

from collections.abc import Callable
from dataclasses import dataclass

from . import parity
from .backends import NotMeasured
from .timing import first_call, interleaved, summary


@dataclass(frozen=True)
class Entry:
    """One contender of a comparison.

    make      makes the Contender, or raises NotMeasured
    ceiling   which of the session's ceilings it is held against: "2" of so many threads, "cuda", "cuda tf32"
    check     gives the Parity of its result; None: that of its dtype
    stranger  a further check of a kernel that is not ours: whatever it raises makes it wrong, and stops
    nothing
    """

    name: str
    threads: int
    make: Callable
    ceiling: str
    check: Callable | None = None
    stranger: Callable | None = None


def kernels(described, entries, workload, batch, dtype, ceilings, seconds):
    """Return the rows of one workload, one an entry. ceilings: {name: ceiling}."""
    expected = workload.expected(batch)
    terms, rows, sound = workload.terms(batch, expected), [], {}
    work = workload.work(batch, dtype, expected)
    for entry in entries:
        row = described | work | {"contender": entry.name, "threads": entry.threads, "ceiling": entry.ceiling}
        row |= {"status": "ok", "why": ""}
        rows.append(row)
        try:
            contender = entry.make()
            row["first_call"] = first_call(contender)
        except NotMeasured as error:
            row |= {"status": "not measured", "why": str(error)}
            continue
        except Exception as error:
            if not entry.stranger:
                raise
            row |= {"status": "wrong", "why": f"{type(error).__name__}: {error}"}
            continue
        found = contender.result()
        result = entry.check(found, expected) if entry.check else parity.check(found, expected, dtype, terms)
        if result.ok and entry.stranger:
            result = entry.stranger()
        row |= contender.facts | result.columns()
        if result.ok:
            sound[entry.name] = contender
    return timed(rows, sound, ceilings, seconds)


def timed(rows, sound, ceilings, seconds):
    """`rows` with the samples of the contenders `sound` (by name), their rates, and their speed against
    PyTorch: eager ("torch"), and at its best; of the GPU also against the CPU.
    """
    for name, samples in interleaved(list(sound.values()), seconds).items():
        row = next(row for row in rows if row["contender"] == name)
        row["samples"] = samples
        row["median"], row["spread"] = summary(samples)
        row |= rate(row, row["median"], ceilings[row["ceiling"]])
    medians = {row["contender"]: row["median"] for row in rows if "median" in row}
    peers = [median for name, median in medians.items() if name.startswith("torch")]
    for row in rows:
        if "median" in row and row["contender"] == "cuda" and "cpu" in medians:
            row["times_cpu"] = medians["cpu"] / row["median"]
        if "median" in row and "torch" in medians:
            row["times_torch"] = medians["torch"] / row["median"]
        if "median" in row and len(peers) > 1:
            row["times_best_torch"] = min(peers) / row["median"]
    return rows


def rate(work, seconds, ceilings):
    """What was reached, and its share of the roof that is lower for this work: arithmetic, or the memory in
    which its arrays lie.
    """
    times = {"arithmetic": work["flop"] / ceilings["arithmetic"]["flops"]}
    if work["bytes"]:
        fits = lambda level: ceilings[level]["fits"] is None or work["footprint"] <= ceilings[level]["fits"]
        level = next(level for level in ceilings if level != "arithmetic" and fits(level))
        times[level] = work["bytes"] / ceilings[level]["bytes_per_second"]
    roof = max(times, key=times.get)
    reached, unit = (work["flop"], "GFLOP/s") if roof == "arithmetic" else (work["bytes"], "GB/s")
    return {"rate": reached / seconds / 1e9, "unit": unit, "roof": roof, "share": times[roof] / seconds}
