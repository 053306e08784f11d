"""One comparison: the same work done by several contenders, each checked, then all timed in turns. Its rows
are what the JSON holds.
"""

from . import parity
from .backends import NotMeasured
from .timing import first_call, interleaved, summary


def kernels(described, makers, workload, batch, dtype, ceilings, seconds, doubtful=None):
    """The rows of one workload. `makers` are (name, threads, function that makes the Contender, or raises
    NotMeasured).

    doubtful  {name: further check that gives a Parity} for those that are not ours: whatever they raise makes
              them wrong, and stops nothing
    """
    expected, doubtful = workload.expected(batch), doubtful or {}
    terms, rows, sound = workload.terms(batch, expected), [], {}
    work = workload.work(batch, dtype, expected)
    for name, threads, make in makers:
        row = described | work | {"contender": name, "threads": threads, "status": "ok", "why": ""}
        rows.append(row)
        try:
            contender = make()
            row["first_call"] = first_call(contender)
        except NotMeasured as error:
            row |= {"status": "not measured", "why": str(error)}
            continue
        except Exception as error:
            if name not in doubtful:
                raise
            row |= {"status": "wrong", "why": f"{type(error).__name__}: {error}"}
            continue
        result = parity.check(contender.result(), expected, dtype, terms)
        if result.ok and name in doubtful:
            result = doubtful[name]()
        row |= result.columns()
        if result.ok:
            sound[name] = contender
    return timed(rows, sound, ceilings, seconds)


def timed(rows, sound, ceilings, seconds):
    """`rows` with the samples of the contenders `sound` (by name), their rates, and their speed against
    PyTorch: eager ("torch"), and at its best.
    """
    for name, samples in interleaved(list(sound.values()), seconds).items():
        row = next(row for row in rows if row["contender"] == name)
        row["samples"] = samples
        row["median"], row["spread"] = summary(samples)
        row |= rate(row, row["median"], ceilings)
    medians = {row["contender"]: row["median"] for row in rows if "median" in row}
    peers = [median for name, median in medians.items() if name.startswith("torch")]
    for row in rows:
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
