"""What this machine can do at most, measured in the same run as the kernels: the two roofs of a roofline.

Arithmetic: multiply-adds that touch nothing but registers. Each vector register is a chain acc = acc * a + b;
a multiply-add must wait for the one before it in its chain, so as many chains run side by side as the
pipeline is deep. No kernel can be faster.

Bytes: copying one array to another, bytes read and bytes written counted (as STREAM does), once for each
level of the memory: arrays that fit half of L2, that fit half of L3, and that are far larger than any cache.
"""

from functools import cache

import numpy as np
from llvmlite import ir
from numba import njit, types
from numba.core import cgutils
from numba.extending import intrinsic

from ..kernels._cpu.native import lanes, vector_bytes
from . import machine
from .timing import Contender, interleaved, team

CHAINS = 24 if vector_bytes() == 64 else 12  # AVX-512 has 32 registers, AVX2 has 16, and two hold a and b
STEPS = 20_000  # multiply-adds of each chain in one call
DTYPES = {"float32": (ir.FloatType(), types.float32), "float64": (ir.DoubleType(), types.float64)}


def measure(dtype, threads, seconds=0.3):
    """{"arithmetic": {"flops", "samples"}, "L2": {"bytes_per_second", "fits", "samples"}, "L3": ...,
    "memory": ...}, on all `threads` at once.

    A ceiling is the best sample, not the median: what once was reached is possible. "fits" is the largest
    working set, in bytes for all threads together, that is held against this level; None for the memory.
    """
    chains = fma_chains(dtype)
    contenders = [
        Contender("arithmetic", threads, lambda n: team([lambda: chains(n * STEPS)] * threads), None)
    ]
    contenders += [_copy(level, per_thread, threads) for level, per_thread, _ in _levels(threads)]
    for contender in contenders:
        contender.call(1)  # compiles: no call that takes so long may decide how many make a sample
    samples = interleaved(contenders, seconds)
    flop = 2 * CHAINS * lanes(dtype) * STEPS * threads
    found = {"arithmetic": {"flops": flop / min(samples["arithmetic"]), "samples": samples["arithmetic"]}}
    for level, per_thread, fits in _levels(threads):
        found[level] = {
            "bytes_per_second": per_thread * threads / min(samples[level]),
            "fits": fits,
            "samples": samples[level],
        }
    return found


def _levels(threads):
    """(level, bytes that each thread's copy touches, largest working set held against it); caches that the
    system does not tell are left out.
    """
    known = machine.caches()
    if "L2" in known:
        yield "L2", known["L2"] // 2, known["L2"] * threads
    if "L3" in known:
        yield "L3", known["L3"] // 2 // threads, known["L3"]
    yield "memory", 8 * max(known.get("L3", 0), 32 << 20) // threads, None


def _copy(level, per_thread, threads):
    pairs = [
        (np.ones(per_thread // 16), np.ones(per_thread // 16)) for _ in range(threads)
    ]  # 8 bytes read, 8 written

    def work(source, target, n):
        for _ in range(n):
            copy(source, target)

    return Contender(
        level, threads, lambda n: team([lambda pair=pair: work(*pair, n) for pair in pairs]), None
    )


@njit(cache=True, nogil=True)
def copy(source, target):
    for e in range(len(source)):
        target[e] = source[e]


@cache
def fma_chains(dtype):
    """run(steps): CHAINS chains of `steps` multiply-adds of whole vector registers of `dtype`."""
    element, numba_type = DTYPES[np.dtype(dtype).name]
    L = lanes(dtype)
    vector, zero = ir.VectorType(element, L), ir.Constant(ir.IntType(32), 0)
    undefined, zeros = (
        ir.Constant(vector, ir.Undefined),
        ir.Constant(ir.VectorType(ir.IntType(32), L), [0] * L),
    )

    @intrinsic
    def loop(typing, steps, a, b):
        def codegen(context, builder, signature, arguments):
            steps, a, b = arguments
            fma = cgutils.get_or_insert_function(
                builder.module,
                ir.FunctionType(vector, [vector] * 3),
                f"llvm.fmuladd.v{L}f{element.get_abi_size(context.target_data) * 8}",
            )
            splat = lambda scalar: builder.shuffle_vector(
                builder.insert_element(ir.Constant(vector, ir.Undefined), scalar, zero), undefined, zeros
            )
            a, b = splat(a), splat(b)
            entry, body, done = (
                builder.block,
                builder.append_basic_block("step"),
                builder.append_basic_block("done"),
            )
            builder.branch(body)
            builder.position_at_end(body)
            step = builder.phi(ir.IntType(64))
            chains = [builder.phi(vector) for _ in range(CHAINS)]
            after = [builder.call(fma, (chain, a, b)) for chain in chains]
            next_step = builder.add(step, ir.Constant(ir.IntType(64), 1))
            step.add_incoming(ir.Constant(ir.IntType(64), 0), entry)
            step.add_incoming(next_step, body)
            for k, (chain, new) in enumerate(zip(chains, after)):
                chain.add_incoming(
                    ir.Constant(vector, [float(k)] * L), entry
                )  # unlike starts: alike chains LLVM would merge
                chain.add_incoming(new, body)
            builder.cbranch(builder.icmp_signed("<", next_step, steps), body, done)
            builder.position_at_end(done)
            total = after[0]
            for new in after[1:]:
                total = builder.fadd(total, new)  # used, so that nothing is left out
            return builder.extract_element(total, zero)

        return numba_type(types.int64, numba_type, numba_type), codegen

    @njit(nogil=True)
    def run(steps, a, b):
        return loop(steps, a, b)

    scalar = np.dtype(dtype).type
    return lambda steps: run(steps, scalar(0.5), scalar(1))  # tends to 2: neither overflow nor denormals
