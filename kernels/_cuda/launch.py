"""How kernels of the cuda backend are launched, noted or captured.

A kernel is launched on as many elements as it has to compute, `kernel[n](...)`, and goes through them in
steps of the whole grid, so that any number of threads computes the same; or, where its threads work together,
on a grid of blocks, `kernel[grid, block](...)`. All launches go to one stream, in order.

In a kernel, numbers are written in the dtype of the arrays, `x.dtype.type(0.5)`: a literal, like an integer
times a float32, is a float64 there, and a GPU computes those at 1/2 to 1/64 of the speed. Options come in as
`x.dtype.type(alpha)` for the same reason.
"""

import threading
from contextlib import contextmanager
from functools import cache

import numba
import numpy as np

from .._cache import kept_until_a_change
from .package import SIMULATOR, cuda, types

THREADS = 256  # of a block of kernel[n]
WARP = 32  # threads that go in step
# Numbers that a thread which does little with each loads before it computes with the first: the more are on
# their way, the less it waits
AT_ONCE = 4
BLOCKS = 2**16  # of them at most
ROWS = 65_535  # blocks along y, and along z, at most
PRECISIONS = ("float32", "tf32")

# of each Python thread: .launches, where they are noted instead of made; .graph, .stream, likewise;
# .precision
_local = threading.local()


class Kernel:
    """A numba.cuda kernel. kernel[n](...) launches it on n elements, kernel[grid, block](...) on that many
    blocks of so many threads.

    function   what each thread computes
    compiled   numba.cuda's dispatcher for it
    made_with  where a function makes several like it: what tells it from the others
    """

    def __init__(self, function, made_with="", **options):
        self.function, self.made_with, self.options = function, made_with, options
        options = {} if SIMULATOR else options | {"cache": True}  # the simulator knows hardly any
        self.compiled = kept_until_a_change(cuda.jit(**options)(function)) if cuda else None
        self.__doc__, self.__name__, self.__module__ = (
            function.__doc__,
            function.__name__,
            function.__module__,
        )

    def __getitem__(self, shape):
        grid, block = shape if isinstance(shape, tuple) else _blocks(shape)

        def launch(*arguments):
            launches = noting()
            if launches is not None:
                launches.append((self, grid, block, arguments))
            elif SIMULATOR and (graph := capture_in_progress()):
                graph.append(self, grid, block, arguments)
            else:
                self.compiled[grid, block, stream()](*arguments)

        return launch


def kernel(function=None, **options):
    """Decorator: @kernel, or with made_with (see Kernel) and options of numba.cuda.jit."""
    return Kernel(function, **options) if function else lambda function: Kernel(function, **options)


def device(function):
    """Decorator of a function that kernels call."""
    return cuda.jit(device=True)(function) if cuda else function


def _blocks(n):
    """Blocks and threads for n elements. The simulator has a Python thread for each: a few, which then do
    several elements, as on a GPU.
    """
    if SIMULATOR:
        return 2, 3
    return max(1, min(-(-n // THREADS), BLOCKS)), THREADS


def row_blocks(n, *rows):
    """kernel[row_blocks(n, H, C)]: blocks of threads for rows of n elements, one row for each blockIdx.y < H
    and blockIdx.z < C.

    Which row it is costs a thread no division; it goes through its elements by `for e in range(cuda.grid(1),
    n, cuda.gridsize(1))`.
    Raises ValueError for more than 65,535 of them: of maps, or of rows of pixels.
    """
    if max(rows) > ROWS:
        raise ValueError(
            f"expected at most {ROWS:,} maps and {ROWS:,} rows of pixels, which is what one launch on a "
            f"GPU can have, got {max(rows):,}"
        )
    if SIMULATOR:
        return (1, *rows), 3
    blocks = max(1, -(-n // THREADS))
    return (blocks, *rows), WARP * max(1, -(-n // (blocks * WARP)))


@device
def divided(a, b):
    """a // b and a % b for 0 <= a < 2^32, 0 < b < 2^32: in 32 bits, which a GPU divides several times faster
    than 64.
    """
    quotient = np.int64(np.uint32(a) // np.uint32(b))
    return quotient, a - quotient * b


def stream():
    """The stream of all launches of this process; in a capture, one that only this thread has."""
    return getattr(_local, "stream", None) or _stream()


@cache
def _stream():
    return cuda.stream()


def precision():
    """How matrix products of float32 arrays are computed in this thread: "float32", exactly, or "tf32", on
    tensor cores (see computing_in).
    """
    return getattr(_local, "precision", "float32")


@contextmanager
def computing_in(chosen):
    """Within this context this thread's conv2d and dense multiply float32 arrays in `chosen`, one of
    PRECISIONS.

    float32   each sum in the order of k, by fused multiply-adds: the same bits on every GPU
    tf32      each factor rounded to 10 bits behind the point, an error of up to about 1e-3 of a product, and
              sums in float32 by tensor cores, of which PTX leaves open in which order they add and how they
              round: the same bits on one kind of GPU
    """
    before, _local.precision = precision(), chosen
    try:
        yield
    finally:
        _local.precision = before


def capture_in_progress():
    """The Graph (kernels/_cuda/graph.py) that this thread captures its launches in; None where it
    makes them.
    """
    return getattr(_local, "graph", None)


def capture(graph, stream):
    _local.graph, _local.stream = graph, stream


def noting():
    """The list of launches that this thread notes instead of making; None where it makes them."""
    return getattr(_local, "launches", None)


@contextmanager
def noted():
    """Within this context launches are noted as (kernel, grid, block, arguments) and not made, and memory "on
    the GPU" is NumPy's: for those who want to know what would be launched, or to compile it, on a machine
    without a GPU. Gives the list."""
    before, _local.launches = noting(), []
    try:
        yield _local.launches
    finally:
        _local.launches = before


def machine_code(kernel, arguments, capabilities):
    """[(PTX, the assembler's report)] of a kernel called with such arguments, for GPUs of each of the
    capabilities (major, minor); needs no GPU.
    """
    from types import SimpleNamespace
    from unittest import mock

    from cuda.core import Linker, LinkerOptions, ObjectCode
    from numba.cuda import compiler, dispatcher

    options = {
        name: value
        for name, value in kernel.options.items()
        if name in ("fastmath", "opt", "lineinfo", "launch_bounds")
    }
    signature, first = types.void(*map(numba.typeof, arguments)), capabilities[0]
    # device functions ask for the GPU. numba.cuda.compile would do too, but begin with Python for each
    # capability, which is most of the time
    with mock.patch.object(
        dispatcher, "get_current_device", lambda: SimpleNamespace(compute_capability=first)
    ):
        library, _ = compiler._compile_pyfunc_with_fixup(
            kernel.function, signature, device=False, abi="numba", cc=first, **options
        )
    made = []
    for capability in capabilities:
        ptx = library.get_asm_str(cc=capability)
        linker = Linker(
            ObjectCode.from_ptx(ptx.encode()),
            options=LinkerOptions(
                arch="sm_{}{}".format(*capability),
                max_register_count=kernel.options.get("max_registers"),
                ptxas_options=["-v"],
                verbose=True,
            ),
        )
        linker.link("cubin")
        made.append((ptx, linker.get_info_log()))
    return made
