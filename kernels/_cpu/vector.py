"""Vector: the numbers that one SIMD register holds, as a type that kernels compute with.

LLVM turns a plain loop into vector code only where it can prove that nothing overlaps and that the loop is
long; a loop over L lanes is not. So the kernels say it themselves:

    v = load(x, (b, c, i, j))                     x is (blocks, C, H, W, L): the L images at one pixel, a Vector of L lanes
                                                  x is (blocks, C, H, W): one image a block; a Vector of one
                                                  lane, that is a number
    store(y, (b, c, i, j), fma(w, v, bias))       the same way back

    v = load_run(x, e)                            x[e:e + width(x)]: a full register, whatever the numbers stand for; zeros behind the end
    store_run(y, e, v)

The number of lanes is known when a kernel is compiled: an axis left over means a full register (as lanes() in
native.py has it), none means one lane. Arithmetic with Python's numbers stays in the dtype of the vector, as
in NumPy. Compared vectors give a mask for where().

vector_in_numpy.py says in NumPy what every operation means, which is what runs under NUMBA_DISABLE_JIT=1;
vector_llvm.py and vector_memory.py say the same to LLVM, and have to be imported before a kernel is compiled.
"""  # noqa: E501

from . import vector_llvm as vector_llvm, vector_memory as vector_memory
from .vector_in_numpy import (
    bits_of_float as bits_of_float,
    choose as choose,
    double as double,
    exponent as exponent,
    fill_like as fill_like,
    fma as fma,
    inner as inner,
    lane_sum as lane_sum,
    lanewise as lanewise,
    load as load,
    load_run as load_run,
    mantissa as mantissa,
    maximum as maximum,
    minimum as minimum,
    nearest as nearest,
    polynomial as polynomial,
    room as room,
    sqrt as sqrt,
    store as store,
    store_run as store_run,
    two_to as two_to,
    where as where,
    width as width,
)
