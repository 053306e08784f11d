"""What this GPU can do at most, measured in the same run: multiply-adds in registers and in tensor cores,
bytes copied, launches.

As in ceiling.py a ceiling is the best sample, not the median: what once was reached is possible.
"""

import time

import numpy as np

from ...kernels._cuda import launch, memory, package, streams
from ...kernels._cuda.graph import capturing
from ...kernels._cuda.launch import kernel
from ...kernels._cuda.package import cuda
from ..backends import NotMeasured
from .clock import OnGpu, TorchStream, clock

CHAINS, UNROLLED = 8, 16  # independent multiply-adds of a thread; steps between two tests of the loop
THREADS, BLOCKS = 256, 8  # of a block; blocks for each multiprocessor
SAMPLES = 5


@kernel
def multiply_add(steps, y):
    """Chains acc = acc a + b that touch nothing but registers: each multiply-add waits for the one before it
    in its chain, so there are several.
    """
    e, number = cuda.grid(1), y.dtype.type
    a, b = number(0.5), number(1)  # tends to 2: neither overflow nor denormals
    c0, c1, c2, c3, c4, c5, c6, c7 = (
        number(e),
        number(e + 1),
        number(e + 2),
        number(e + 3),
        number(e + 4),
        number(e + 5),
        number(e + 6),
        number(e + 7),
    )
    for _ in range(steps):
        for _ in range(UNROLLED):  # a constant, so the compiler writes it out
            c0, c1, c2, c3 = cuda.fma(c0, a, b), cuda.fma(c1, a, b), cuda.fma(c2, a, b), cuda.fma(c3, a, b)
            c4, c5, c6, c7 = cuda.fma(c4, a, b), cuda.fma(c5, a, b), cuda.fma(c6, a, b), cuda.fma(c7, a, b)
    y[e] = c0 + c1 + c2 + c3 + c4 + c5 + c6 + c7  # used, so that nothing is left out


@kernel
def copy(x, y):
    for e in range(cuda.grid(1), x.size, cuda.gridsize(1)):
        y[e] = x[e]


@kernel
def nothing(x):
    pass


def best(launch, seconds):
    """The shortest of some samples of launch(), each of about `seconds`."""
    one = OnGpu("", launch, clock())
    one.seconds(1)  # compiles
    n = max(1, int(seconds / max(one.seconds(3) / 3, 1e-7)))
    return min(one.seconds(n) / n for _ in range(SAMPLES))


def arithmetic(dtype, sizes):
    """FLOP/s of multiply-adds in registers."""
    blocks = sizes.multiprocessors() * BLOCKS
    threads = THREADS if not package.SIMULATOR else 2
    y = memory.empty((blocks * threads,), np.dtype(dtype))
    taken = best(lambda: multiply_add[blocks, threads](sizes.fma_steps, y), sizes.seconds)
    return 2 * CHAINS * UNROLLED * sizes.fma_steps * y.size / taken


def copying(sizes):
    """Bytes per second of a copy on the GPU, read and written: the better of a kernel and of the driver's own
    copy.
    """
    x, y = (memory.empty((sizes.copied // 4,), np.float32) for _ in range(2))
    ways = lambda: copy[x.size](x, y), lambda: y.copy_to_device(x, launch.stream())
    return 2 * x.size * 4 / min(best(way, sizes.seconds) for way in ways)


def crossing(sizes):
    """Bytes per second from pinned memory to the GPU."""
    here, there = (
        streams.pinned((sizes.crossed // 4,), np.float32),
        memory.empty((sizes.crossed // 4,), np.float32),
    )
    here[...] = 0
    return here.nbytes / best(lambda: there.copy_to_device(here, launch.stream()), sizes.seconds)


def launching(sizes):
    """Seconds from one kernel to the next that does nothing: (launched from Python one by one, as nodes of
    one graph, graphs of one kernel).
    """
    x = memory.empty((1,), np.float32)
    nothing[1, 1](x)
    graphs = []
    for nodes in (sizes.launches, 1):
        with capturing() as graph:
            for _ in range(nodes):
                nothing[1, 1](x)
        graphs.append(graph)

    def from_python(n):
        start = time.perf_counter()
        for _ in range(n):
            nothing[1, 1](x)
        launch.stream().synchronize()
        return (time.perf_counter() - start) / n

    single = min(from_python(sizes.launches) for _ in range(SAMPLES))
    return (
        single,
        best(graphs[0].launch, sizes.seconds) / sizes.launches,
        best(graphs[1].launch, sizes.seconds),
    )


def tensor_cores(torch, sizes, tf32):
    """FLOP/s of PyTorch's product of two large matrices, that is of cuBLAS: on tensor cores where tf32, else
    exact. Raises NotMeasured without a GPU.
    """
    if not torch.cuda.is_available():
        raise NotMeasured("PyTorch sees no GPU")
    n = sizes.matrix
    stream = torch.cuda.current_stream()
    a, b = (torch.randn(n, n, device="cuda") for _ in range(2))
    with precision(torch, tf32), torch.no_grad():
        one = OnGpu("", lambda: torch.matmul(a, b), TorchStream(torch, stream))
        one.seconds(3)
        repeats = max(1, int(sizes.seconds / (one.seconds(3) / 3)))
        return 2 * n**3 / min(one.seconds(repeats) / repeats for _ in range(SAMPLES))


class precision:
    """Within this context PyTorch multiplies float32 matrices exactly, or (tf32) on tensor cores.

    careful   False: cuDNN tries its algorithms and takes the fastest (benchmark=True). True: it takes one
              that it calls deterministic, and tries none
    """

    def __init__(self, torch, tf32, careful=False):
        self.torch, self.tf32, self.careful = torch, tf32, careful

    def __enter__(self):
        torch, cudnn = self.torch, self.torch.backends.cudnn
        self.before = (
            torch.get_float32_matmul_precision(),
            cudnn.allow_tf32,
            cudnn.benchmark,
            cudnn.deterministic,
        )
        self._set("high" if self.tf32 else "highest", self.tf32, not self.careful, self.careful)

    def __exit__(self, *_):
        self._set(*self.before)

    def _set(self, matmul, convolution, benchmark, deterministic):
        cudnn = self.torch.backends.cudnn
        self.torch.set_float32_matmul_precision(matmul)
        cudnn.allow_tf32, cudnn.benchmark, cudnn.deterministic = convolution, benchmark, deterministic


def timed(run, part):
    """Yield (title, function that returns a row): see worker.py."""
    ceilings, sizes = run.ceilings, run.sizes

    def fma():
        ceilings["float32"] = arithmetic(np.float32, sizes)
        return {"flops": ceilings["float32"]}

    def bytes_copied():
        ceilings["copy"] = copying(sizes)
        return {"bytes_per_second": ceilings["copy"]}

    def launches():
        single, node, graph = launching(sizes)
        return {"from_python": single, "in_a_graph": node, "a_graph": graph}

    def matrices(tf32):
        ceilings["tf32" if tf32 else "cuBLAS float32"] = found = tensor_cores(run.torch(), sizes, tf32)
        return {"flops": found}

    yield "multiply-adds in registers, float32", fma
    yield "copy on the GPU", bytes_copied
    yield "copy from pinned memory to the GPU", lambda: {"bytes_per_second": crossing(sizes)}
    yield "launches", launches
    yield "matrix product, tf32 (cuBLAS)", lambda: matrices(True)
    yield "matrix product, float32 (cuBLAS)", lambda: matrices(False)
