"""Playing tapes (kernels/_cpu/tape.py) in compiled code, on this thread or on one that waits for them.

A thread that waits in Python for its next task must first get hold of Python's global lock, and on the way it
may be put to sleep: tens of microseconds, of a step that takes some hundreds. So a worker waits in compiled
code (`serve`), where a tape is played as soon as its numbers stand in the worker's mailbox, and nobody needs
the lock.
"""

import os

import numpy as np
from llvmlite import ir
from numba import njit, types
from numba.core import cgutils
from numba.extending import intrinsic

# What stands in a mailbox, an int64 array. SENT and DONE are how many tasks have been sent to the worker, and
# how many it has finished; KIND is that of the latest; from TASK on the numbers of a tape to play: see
# perform. They lie apart so that two processors do not quarrel over a cache line.
SENT, DONE, KIND, TASK, FAILED = 0, 16, 32, 33, 48
SIZE = 64
TAPE, SHARED, PYTHON = 1, 2, 3
LOOKS = 2**12  # at a number that another thread is to change, before somebody else may be let in


def mailbox():
    return np.zeros(SIZE, np.int64)


@intrinsic
def _word(typing, address):
    """The int64 that lies at an address."""

    def generate(context, builder, signature, arguments):
        return builder.load(builder.inttoptr(arguments[0], ir.IntType(64).as_pointer()))

    return types.int64(types.int64), generate


@intrinsic
def _set_word(typing, address, value):
    def generate(context, builder, signature, arguments):
        builder.store(arguments[1], builder.inttoptr(arguments[0], ir.IntType(64).as_pointer()))
        return context.get_dummy_value()

    return types.void(types.int64, types.int64), generate


@intrinsic
def _read(typing, array, place):
    """array[place] as another thread may have written it just now, and all that it wrote before."""

    def generate(context, builder, signature, arguments):
        array = context.make_array(signature.args[0])(context, builder, arguments[0])
        return builder.load_atomic(builder.gep(array.data, [arguments[1]]), "acquire", 8)

    return types.int64(array, types.int64), generate


@intrinsic
def _write(typing, array, place, value):
    """array[place] = value, to be seen by other threads after all that was written before."""

    def generate(context, builder, signature, arguments):
        array = context.make_array(signature.args[0])(context, builder, arguments[0])
        builder.store_atomic(arguments[2], builder.gep(array.data, [arguments[1]]), "release", 8)
        return context.get_dummy_value()

    return types.void(array, types.int64, types.int64), generate


@intrinsic
def _count(typing, address):
    """Add 1 to the int64 at an address, as one step that no other thread comes in between of; gives what
    stood there before.
    """

    def generate(context, builder, signature, arguments):
        return builder.atomic_rmw(
            "add",
            builder.inttoptr(arguments[0], ir.IntType(64).as_pointer()),
            ir.Constant(ir.IntType(64), 1),
            "acq_rel",
        )

    return types.int64(types.int64), generate


@intrinsic
def _counted(typing, address):
    """The int64 at an address as other threads have counted it up by now, and all that they wrote before."""

    def generate(context, builder, signature, arguments):
        return builder.load_atomic(builder.inttoptr(arguments[0], ir.IntType(64).as_pointer()), "acquire", 8)

    return types.int64(types.int64), generate


@intrinsic
def _give_way(typing):
    """Let another thread that waits for this processor have it, where there is one."""

    def generate(context, builder, signature, arguments):
        if os.name == "posix":
            function = cgutils.get_or_insert_function(
                builder.module, ir.FunctionType(ir.IntType(32), []), "sched_yield"
            )
            builder.call(function, [])
        return context.get_dummy_value()

    return types.void(), generate


@intrinsic
def _enter(typing, function, words):
    """int32 function(int64 *words), both given as addresses."""

    def generate(context, builder, signature, arguments):
        pointer = ir.FunctionType(ir.IntType(32), [ir.IntType(64).as_pointer()]).as_pointer()
        return builder.call(
            builder.inttoptr(arguments[0], pointer),
            [builder.inttoptr(arguments[1], ir.IntType(64).as_pointer())],
        )

    return types.int32(types.int64, types.int64), generate


@njit(cache=True, nogil=True)
def play(before, rows_before, calls, rows, position, first, last, images):
    """Make the calls `before` once, then `calls` for every chunk of `images` from first to last; tables and
    position are addresses.

    A row of a table is (code, arguments). position is set to (first image of the chunk, whether it is the
    first chunk). Gives 0, or what failed.
    """
    failed = 0
    for row in range(rows_before):
        failed |= _enter(_word(before + 16 * row), _word(before + 16 * row + 8))
    for image in range(first, last, images):
        _set_word(position, image)
        _set_word(position + 8, 1 if image == first else 0)
        for row in range(rows):
            failed |= _enter(_word(calls + 16 * row), _word(calls + 16 * row + 8))
    return failed


@njit(cache=True, nogil=True)
def play_together(rows, starts, calls, counters):
    """What each of several threads does at the same time: take a part of the present call while there are
    any, wait until all are done, go on.

    Rows starts[c] to starts[c + 1] - 1 are the parts of call c. counters are zero at the beginning, 16 a
    call: [0] parts taken, [8] parts done (apart, so that who waits does not disturb who takes). Who is late
    takes fewer parts, and nobody waits for a thread, only for parts.
    """
    failed = 0
    for call in range(calls):
        first, taken, looks = _word(starts + 8 * call), counters + 128 * call, 0
        parts, done = _word(starts + 8 * call + 8) - first, taken + 64
        part = _count(taken)
        while part < parts:
            row = rows + 16 * (first + part)
            failed |= _enter(_word(row), _word(row + 8))
            _count(done)
            part = _count(taken)
        while _counted(done) < parts:
            looks += 1
            if looks % LOOKS == 0:
                _give_way()
    return failed


@njit(cache=True, nogil=True)
def perform(kind, a, b, c, d, e, f, g, h):
    """The task (kind, a, ...) that a tape gives. Gives 0, or what failed."""
    return play_together(a, b, c, d) if kind == SHARED else play(a, b, c, d, e, f, g, h)


@njit(cache=True, nogil=True)
def serve(box, looks):
    """Play the tapes that are sent to a mailbox. Gives the number of tasks sent when one comes that is for
    Python, and 0 after `looks` in vain.
    """
    left = looks
    while left > 0:
        done = box[DONE]
        if _read(box, SENT) == done:
            left -= 1
            continue
        if box[KIND] == PYTHON:
            return box[SENT]
        t = TASK
        box[FAILED] |= perform(
            box[KIND],
            box[t],
            box[t + 1],
            box[t + 2],
            box[t + 3],
            box[t + 4],
            box[t + 5],
            box[t + 6],
            box[t + 7],
        )
        _write(box, DONE, done + 1)
        left = looks
    return 0


@njit(cache=True, nogil=True)
def watch(box, tasks, looks):
    """Wait until `tasks` are done; whether they are after `looks`."""
    for _ in range(looks):
        if _read(box, DONE) >= tasks:
            return True
    return False


@njit(cache=True, nogil=True)
def send(box, task):
    """Put a task (kind, a, ...) into a mailbox, then say that it is there."""
    for place in range(len(task)):
        box[KIND + place] = task[place]
    box[FAILED] = 0
    _write(box, SENT, box[SENT] + 1)
