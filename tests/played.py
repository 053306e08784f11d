"""What `tinyconv bench --backend cpu,cuda` would give on a machine with a GPU, played: the times are made
up of launches, arithmetic and bytes, without noise.
"""

import numpy as np

from tinyconv.benchmarks import compare, networks, workloads

CEILINGS = {
    "1": {
        "arithmetic": {"flops": 117e9},
        "L2": {"bytes_per_second": 100e9, "fits": 2**20},
        "memory": {"bytes_per_second": 12e9, "fits": None},
    },
    "16": {
        "arithmetic": {"flops": 1800e9},
        "L2": {"bytes_per_second": 1600e9, "fits": 2**24},
        "memory": {"bytes_per_second": 190e9, "fits": None},
    },
    "cuda": {
        "arithmetic": {"flops": 62.3e12},
        "memory": {"bytes_per_second": 3000e9, "fits": None},
    },
}
CROSSING = 55e9  # bytes per second from pinned memory to the GPU
# device -> seconds that a call takes at least, share of the multiply-adds and of the memory that it gets then
SPEED = {"cpu": (0.3e-6, 0.8, 0.7), "cuda": (3e-6, 0.4, 0.5)}


def taken(device, work):
    """Seconds of a call."""
    ceiling = CEILINGS["cuda" if device == "cuda" else "16"]
    launch, arithmetic, moved = SPEED[device]
    return (
        launch
        + work["flop"] / (ceiling["arithmetic"]["flops"] * arithmetic)
        + work["bytes"] / (ceiling["memory"]["bytes_per_second"] * moved)
    )


def result(what, batches=(256,), whole=False, sweep=True):
    """The result of a session."""
    rows = []
    for workload in [] if whole else workloads.chosen(what):
        named = workload.operation in what
        for batch in sorted({*batches, *(networks.SWEEP[workload.model] if named and sweep else ())}):
            shape = (batch, *(workload.y_shape or workload.x_shape))
            work = workload.work(batch, np.float32, np.empty(shape, np.float32))
            rows += _rows(
                {
                    "kind": "layer",
                    "model": workload.model,
                    "layer": workload.layer,
                    "operation": workload.operation,
                    "direction": workload.direction,
                    "batch": batch,
                },
                work,
                copies=work["bytes"] / CROSSING,
            )
    for model in [name for name in what if name in workloads.MODELS]:
        net, _ = workloads.MODELS[model]()
        for batch in sorted({*batches, *networks.SWEEP[model]}) if sweep else batches:
            task = networks.Task(model, "training step", batch, "float32", 16)
            work = {"flop": 2 * task.multiply_adds(net) * batch, "bytes": 0, "footprint": 0}
            described = {"kind": "network", "layer": model, "operation": "network"}
            described |= {"model": model, "direction": "training step", "batch": batch}
            rows += _rows(described, work, steps=60)
    return {
        "machine": {"processor": "Played", "vector_bits": 512, "cores": 16},
        "load_average": {"before": 0.1},
        "arguments": {"dtype": "float32"},
        "ceilings": CEILINGS,
        "gpu": {"name": "Played GPU", "multiprocessors": 132, "crossing": CROSSING},
        "rows": rows,
    }


def _rows(described, work, copies=None, steps=1):
    """The two rows of a piece of work; steps: how many launches it is made of."""
    rows = []
    for device in ("cpu", "cuda"):
        seconds = taken(device, work) + (steps - 1) * SPEED[device][0]
        row = described | work | {"contender": device, "threads": 16 if device == "cpu" else 1}
        row |= {"ceiling": "16" if device == "cpu" else "cuda", "status": "ok", "why": ""}
        row |= {"error": 0.1, "first_call": 1.0}
        if device == "cuda" and copies is not None:
            row["copies"] = copies
        if device == "cuda" and steps > 1:
            row["resident"], seconds = seconds, seconds + 100e-6
        row |= {"samples": [seconds] * 3, "median": seconds, "spread": 0.0}
        rows.append(row | compare.rate(row, seconds, CEILINGS[row["ceiling"]]))
    rows[1]["times_cpu"] = rows[0]["median"] / rows[1]["median"]
    return rows
