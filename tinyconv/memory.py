"""How much memory training takes, and how much there is."""
import math
import os
from pathlib import Path

import numpy as np

from .plan import leaves


def needed(net, x_shape, training=True):
    """Bytes that a batch of x_shape takes in the network, with its parameters, and in training their velocities and gradients too (these twice:
    the last batch of an epoch may be smaller, and has its own).

    Every y is kept until the way back, and along with it there are up to three arrays as large as the largest: dy, dx, and a copy with margins
    (what nobody needs any more is used again: kernels/_arena.py). The batch itself is there twice, as it came and in native form.
    """
    sizes, shape = [math.prod(x_shape)], tuple(x_shape)
    for layer in leaves(net):
        shape = layer.output_shape(shape)
        sizes.append(math.prod(shape))
    parameters = sum(array.size for array in net.params.values())
    return np.dtype(np.float32).itemsize * (2 * sizes[0] + 3 * max(sizes) + ((sum(sizes[1:]) + 4 * parameters) if training else parameters))


def available(device="cpu"):
    """Bytes that this process can still take without swapping or being killed, or on the GPU; None where the system does not say."""
    if device == "cuda":
        from .kernels import _cuda_gpu                          # where a GPU is asked for, and not before: it takes most of a second
        free = _cuda_gpu.memory()
        return free and free[0]
    found = [amount for amount in (_free_of_the_machine(), *_free_of_the_groups()) if amount is not None]
    return min(found) if found else None


def _free_of_the_machine():
    try:
        for line in Path("/proc/meminfo").read_text().splitlines():
            if line.startswith("MemAvailable:"):
                return 1024 * int(line.split()[1])
    except (OSError, ValueError):
        pass
    try:
        return os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")     # all of it: how much is in use, only Linux tells
    except (AttributeError, ValueError, OSError):
        return None


def _free_of_the_groups():
    """What is left of the limits that a container or job sets (Linux control groups), those of all groups above this process."""
    try:
        lines = [line.split(":", 2) for line in Path("/proc/self/cgroup").read_text().splitlines()]
    except OSError:
        return
    for _, controllers, group in lines:
        if controllers == "":
            root, names = Path("/sys/fs/cgroup"), ("memory.max", "memory.current", "inactive_file ")
        elif "memory" in controllers.split(","):
            root, names = Path("/sys/fs/cgroup/memory"), ("memory.limit_in_bytes", "memory.usage_in_bytes", "total_inactive_file ")
        else:
            continue
        place = root / group.lstrip("/")
        for folder in (place, *place.parents):
            if folder == root or root in folder.parents:
                yield _left(folder, *names)


def _left(folder, limit, usage, files):
    """Limit less usage, in bytes; file contents that are only kept because nobody needed the memory do not count as used."""
    try:
        limit, usage = (int((folder / name).read_text()) for name in (limit, usage))        # "max" is no number: no limit
        kept = next((int(line.split()[1]) for line in (folder / "memory.stat").read_text().splitlines() if line.startswith(files)), 0)
        return max(limit - usage + kept, 0)
    except (OSError, ValueError):
        return None


def say(amount):
    """1.5 GB, 20 MB"""
    return f"{amount / 1e9:.1f} GB" if amount >= 5e8 else f"{max(amount / 1e6, 1):.0f} MB"
