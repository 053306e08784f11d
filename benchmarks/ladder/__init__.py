"""The ladder: conv2d from textbook loops to the shipped kernel, one idea a file.

On the CPU:

    plain_loops.py        the equation as it stands: seven loops
    loops_reordered.py    the same loops, the pixels of a row innermost
    im2col_blas.py        copy every window into a matrix, leave the rest to a matrix product
    prange.py             loops_reordered, the images shared among threads by Numba
    images_innermost.py   another layout: as many images side by side as a vector has lanes
    the shipped kernel    kernels/conv2d/cpu.py: the same layout, a tile of outputs kept in registers

On the GPU:

    cuda_textbook.py      the equation as it stands: one thread for each number of the result
    cuda_coalesced.py     another layout: neighbouring threads read neighbours in memory
    cuda_shared.py        a tile of the result for a block of threads, its factors in shared memory
    cuda_registers.py     a tile of the tile for each thread, in registers
    cuda_tensor_cores.py  the same tile, multiplied by tensor cores, factors rounded to 10 bits
    the shipped kernel    kernels/conv2d/cuda.py: the tile that suits the layer, factors found through tables
                          and loaded while the step before is multiplied; exact, and on tensor cores (tf32)

From cuda_shared.py on they share cuda_matrix.py, conv2d as a matrix product, and cuda_factors.py. What each
multiply-add of forward costs, counted (by tests/test_ladder_cuda.py; the instructions in the machine code for
sm_90, 256 maps, windows of 3x3):

                     numbers from memory     from shared memory    instructions of a thread
    textbook thread  2, in 32 + 1 sectors    0                     53
    coalesced        2, in 4 + 1 sectors     0                     60
    shared memory    1/8                     2                     20
    register tiles   1/32 + 1/128            3/8                   8
    tensor cores     1/32 + 1/128            1/16                  4
    shipped kernel   1/128 + 1/128           1/4, tf32: 1/32       1.2, tf32: 0.2 (its largest tile)

Each file has forward, backward_input and backward_weight with the parameters of kernels/conv2d/reference.py,
but for ceil. `tinyconv bench conv2d`, with `--backend cuda` on the GPU, checks every rung, then times it, in
all three directions; `--kernel FILE.py:function` puts a function of your own beside those of the CPU.
"""

from dataclasses import dataclass
from functools import wraps

import numpy as np

from ...device import backend
from ...kernels import load
from ..backends import BACKENDS, PLAIN, NotMeasured, contender
from ..compare import Entry
from . import im2col_blas, images_innermost, loops_reordered, plain_loops, prange


@dataclass(frozen=True)
class Rung:
    """One implementation of conv2d: `module` has the functions, `form` is the layout that they take.

    threads    "1"; "T": each thread takes a share of the batch; "its own": it starts threads itself
    precision  of its products; "tf32": on tensor cores, which compute float32 only
    """

    title: str
    module: object
    form: object
    threads: str = "1"
    precision: str = "float32"

    def contender(self, workload, batch, dtype, threads):
        """This rung on a workload of conv2d, ready to be checked and timed. Raises NotMeasured for float64 on
        tensor cores.
        """
        if self.precision == "tf32" and dtype != np.float32:
            raise NotMeasured("tensor cores multiply float32 numbers, rounded to TF32")
        function = getattr(self.module, workload.direction)
        if self.precision == "tf32":
            function = in_tf32(function)
        shares = threads if self.threads == "T" else 1
        return contender(self.title, function, self.form, workload, batch, dtype, shares)

    def entry(self, workload, batch, dtype, threads, ceiling):
        """This rung as an Entry of a comparison."""
        check = None
        if self.precision == "tf32":
            ceiling = f"{ceiling} tf32"
            check = lambda found, expected: check_tf32(found, workload, batch, expected)
        make = lambda: self.contender(workload, batch, dtype, threads)
        return Entry(self.title, 1 if self.threads == "1" else threads, make, ceiling, check)


def in_tf32(function):
    """`function`, its products computed on tensor cores."""

    @wraps(function)
    def call(*arguments):
        with backend("cuda").arithmetic("tf32"):
            return function(*arguments)

    return call


def check_tf32(found, workload, batch, expected):
    """The Parity of a result of tensor cores: its error as a share of what rounding the factors can do."""
    from ..gpu.checks import check

    return check(found, workload, batch, "tf32", expected)


def rungs(device="cpu"):
    """All rungs of a device, "cpu" or "cuda", from the bottom to the top."""
    return _on_gpu() if device == "cuda" else _on_cpu()


def _on_cpu():
    nchw, native = BACKENDS["reference"], BACKENDS["cpu"]
    return [
        Rung("plain loops", plain_loops, nchw),
        Rung("loops reordered", loops_reordered, nchw),
        Rung("im2col + BLAS", im2col_blas, nchw, "its own"),
        Rung("prange", prange, nchw, "its own"),
        Rung("images innermost", images_innermost, native, "T"),
        Rung("shipped kernel", load("conv2d", "cpu"), native, "T"),
    ]


def _on_gpu():
    # here, since they need the package of the GPU
    from . import cuda_coalesced, cuda_registers, cuda_shared, cuda_tensor_cores, cuda_textbook

    shipped, native = load("conv2d", "cuda"), BACKENDS["cuda"]
    return [
        Rung("textbook thread", cuda_textbook, PLAIN),
        Rung("coalesced", cuda_coalesced, native),
        Rung("shared memory", cuda_shared, native),
        Rung("register tiles", cuda_registers, native),
        Rung("shipped kernel", shipped, native),
        Rung("tensor cores", cuda_tensor_cores, native, precision="tf32"),
        Rung("shipped kernel, tf32", shipped, native, precision="tf32"),
    ]


def ranked(rows):
    """The rows with "rank" (1 is the fastest), "times_first" and "times_previous"; a rung that is wrong has
    none of them.
    """
    measured = [row for row in rows if "median" in row]
    for place, row in enumerate(sorted(measured, key=lambda row: row["median"]), 1):
        row["rank"] = place
    for row, previous in zip(measured, [*measured[:1], *measured]):
        row |= {
            "times_first": measured[0]["median"] / row["median"],
            "times_previous": previous["median"] / row["median"],
        }
    return rows
