"""The ceilings of the GPU in the form of ceiling.py: the roofs that `tinyconv bench --backend cuda` holds
it against.
"""

import contextlib

import numpy as np

from ...kernels._cuda import gpu, package
from .. import pytorch
from ..backends import NotMeasured
from . import ceilings
from .sizes import SIZES


def measure(dtype, tensor_cores):
    """Return ({"cuda": the ceilings of the GPU, "cuda tf32": those of its tensor cores}, {"name",
    "crossing", ...}: what else is known of it). crossing: bytes per second from pinned memory to the GPU.

    tensor_cores  whether they are measured too, by a large product of PyTorch's; where that is not installed,
                  what they compute is held against the multiply-adds of float32
    """
    sizes = SIZES["rehearsal" if package.SIMULATOR else "full"]
    memory = {"bytes_per_second": ceilings.copying(sizes), "fits": None}
    found = {"cuda": {"arithmetic": {"flops": ceilings.arithmetic(np.dtype(dtype), sizes)}, "memory": memory}}
    if tensor_cores:
        found["cuda tf32"] = found["cuda"]
        with contextlib.suppress(NotMeasured):
            flops = ceilings.tensor_cores(pytorch.load(), sizes, True)
            found["cuda tf32"] = {"arithmetic": {"flops": flops}, "memory": memory}
    return found, gpu.facts() | {"crossing": ceilings.crossing(sizes)}
