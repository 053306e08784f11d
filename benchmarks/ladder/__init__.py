"""The ladder: conv2d from textbook loops to the shipped kernel, one idea a file.

    plain_loops.py        the equation as it stands: seven loops
    loops_reordered.py    the same loops, the pixels of a row innermost
    im2col_blas.py        copy every window into a matrix, leave the rest to a matrix product
    prange.py             loops_reordered, the images shared among threads by Numba
    images_innermost.py   another layout: as many images side by side as a vector has lanes
    the shipped kernel    kernels/conv2d/cpu.py: the same layout, a tile of outputs kept in registers

Each file has forward, backward_input and backward_weight with the parameters of kernels/conv2d/reference.py,
but for ceil. `tinyconv bench conv2d` checks every rung, then times it, in all three directions; `--kernel
FILE.py:function` puts a function of your own beside them.
"""

from dataclasses import dataclass

from ...kernels import load
from ..backends import BACKENDS, contender
from . import im2col_blas, images_innermost, loops_reordered, plain_loops, prange


@dataclass(frozen=True)
class Rung:
    """One implementation of conv2d: `module` has the functions, `form` is the layout that they take."""

    title: str
    module: object
    form: object
    threads: str = (
        "1"  # "1"; "T": each thread takes a share of the batch; "its own": it starts threads itself
    )

    def contender(self, workload, batch, dtype, threads):
        """This rung on a workload of conv2d, ready to be checked and timed."""
        function, shares = getattr(self.module, workload.direction), threads if self.threads == "T" else 1
        return contender(self.title, function, self.form, workload, batch, dtype, shares)


def rungs():
    """All rungs, from the bottom to the top."""
    nchw, native = BACKENDS["reference"], BACKENDS["cpu"]
    return [
        Rung("plain loops", plain_loops, nchw),
        Rung("loops reordered", loops_reordered, nchw),
        Rung("im2col + BLAS", im2col_blas, nchw, "its own"),
        Rung("prange", prange, nchw, "its own"),
        Rung("images innermost", images_innermost, native, "T"),
        Rung("shipped kernel", load("conv2d", "cpu"), native, "T"),
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
