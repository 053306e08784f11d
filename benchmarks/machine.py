"""What the numbers were measured on, and with."""

import os
import platform
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path

import llvmlite.binding as llvm

from ..execution import available_threads
from ..kernels._cpu.native import vector_bytes

CACHE = Path("/sys/devices/system/cpu/cpu0/cache")


def describe():
    """The machine as a dict; what it does not tell is None."""
    return {
        "processor": _processor(),
        "llvm_name": llvm.get_host_cpu_name(),
        "cores": os.cpu_count(),
        "cores_for_this_process": available_threads(),
        "vector_bits": 8 * vector_bytes(),
        "caches": caches(),
        "system": platform.platform(),
    }


def load_average():
    """How many processes wanted a processor in the last minute; None where the system does not tell."""
    return os.getloadavg()[0] if hasattr(os, "getloadavg") else None


def peak_memory():
    """Bytes that this process had in memory at most so far (VmHWM); None where the system does not tell."""
    try:
        lines = Path("/proc/self/status").read_text().splitlines()
    except OSError:
        return None
    return next((1024 * int(line.split()[1]) for line in lines if line.startswith("VmHWM:")), None)


def versions():
    """{package: version}, None for what is not installed."""
    return {
        "python": platform.python_version(),
        **{name: installed(name) for name in ("tinyconv", "numpy", "numba", "llvmlite", "torch")},
    }


def installed(package):
    try:
        return version(package)
    except PackageNotFoundError:
        return None


def caches():
    """{"L2": bytes, "L3": bytes} of the first core, as far as the system tells."""
    found = {}
    for folder in sorted(CACHE.glob("index*")):
        try:
            level, size = (folder / "level").read_text().strip(), (folder / "size").read_text().strip()
        except OSError:
            continue
        if level in "23" and size.endswith("K"):
            found[f"L{level}"] = int(size[:-1]) * 1024
    return found


def _processor():
    try:
        lines = Path("/proc/cpuinfo").read_text().splitlines()
    except OSError:
        return platform.processor() or None
    return next(
        (line.partition(":")[2].strip() for line in lines if line.startswith("model name")),
        platform.processor() or None,
    )
