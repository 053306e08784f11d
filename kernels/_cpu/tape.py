"""A tape: kernel calls, recorded once and then repeated without Python in between.

A network of small layers spends as long between its kernels as in them: every call from Python costs microseconds, and holds the lock that
the other threads wait for. But one training step calls the same kernels with the same arrays in the same order as the step before; only
what stands in the arrays differs. So the calls of one step are written down while it runs (`recording`), the arguments of each as a piece
of memory that its compiled code can be called with, and from then on `Tape.play` walks through the list in compiled code:

    calls    [ address of code that takes the arguments and calls the kernel | address of the arguments ]     one row a call
    play     for every chunk of images: position = the chunk; for every row: code(arguments)                  kernels/_cpu/replay.py

A tape keeps the arrays that it works on alive, or lies in an arena that does (kernels/_arena.py). It is the plan of a network's memory: repeating
it allocates nothing large. Two kinds: a Tape is played by one thread, chunk of images after chunk; a SharedTape by several together, call after call.
"""  # noqa: E501

from contextlib import contextmanager

import llvmlite.binding as llvm
import numpy as np
from llvmlite import ir
from numba import types
from numba.core.compiler_lock import global_compiler_lock
from numba.core.registry import cpu_target

from . import replay
from .kernel import thread
from .threads import play


@contextmanager
def recording(calls=None):
    """Within this context every kernel that this thread calls is also written down: appended to `calls`, as
    (kernel, arguments). Gives calls.
    """
    if getattr(thread, "calls", None) is not None:
        raise RuntimeError("a tape is being recorded in this thread already")
    thread.calls = calls = [] if calls is None else calls
    try:
        yield calls
    finally:
        thread.calls = None


class Tape:
    """Kernel calls that can be played again.

    calls     what `recording` gave
    position  an int64 array (2,) among the arguments of those kernels that enter or leave a chunk of images:
              play sets it to (first image, whether this is the first chunk)
    """

    def __init__(self, calls, position=None):
        position = np.zeros(2, np.int64) if position is None else position
        self.position, self._blocks, self._kept = position, [], []
        for kernel, arguments in calls:
            self._write_down(arguments, kernel.signature(arguments))
        self._calls = self._table([(kernel, kernel.signature(arguments)) for kernel, arguments in calls])
        each_step = np.array([kernel.once for kernel, _ in calls], bool)
        self._before, self._chunk = self._calls[each_step], self._calls[~each_step]
        self._tables = (
            self._before.ctypes.data,
            len(self._before),
            self._chunk.ctypes.data,
            len(self._chunk),
            position.ctypes.data,
        )

    def __reduce__(self):
        raise TypeError(
            "a tape holds addresses of arrays: it cannot be copied or written to a file; record another one"
        )

    def play(self, first=0, last=1, images=1):
        """Repeat the calls for the chunks that begin at image first, first + images, ... below last; those of
        weights alone only once.
        """
        play([self.task(first, last, images)])

    def task(self, first=0, last=1, images=1):
        """The same as a task for a thread: see kernels/_cpu/threads.py, play."""
        return (replay.TAPE, *self._tables, first, last, images)

    def slot(self, array):
        """Where the calls were given `array`, so that they can be given others afterwards."""
        return Slot([words for words, value in self._kept if value is array], array)

    def _write_down(self, arguments, signature, kept=lambda array: True):
        """The words of a call's arguments, and of its arrays those that must be kept alive, since the words
        hold their addresses.
        """
        at, block = (
            0,
            np.array(
                [word for type, value in zip(signature, arguments) for word in _words(type, value)], np.int64
            ),
        )
        self._blocks.append(block)
        for value in arguments:
            if isinstance(value, np.ndarray) and kept(value):
                self._kept.append((block[at : at + _size(value)], value))
            at += _size(value)

    def _table(self, rows):
        """The rows (code that takes a call's arguments, where they lie) that play goes through; `rows`:
        (kernel, signature) of each call.
        """
        enter = _entries(set(rows))
        return np.array(
            [(enter[row], block.ctypes.data) for row, block in zip(rows, self._blocks)], np.int64
        ).reshape(-1, 2)


class SharedTape(Tape):
    """Kernel calls that several threads play together, one call after the other, each call cut into parts
    (Kernel.parts) for whoever is free.

    It is what `recording` appends to: with recording(tape): ...; then tape.finish(), and from then on
    tape.play(threads).

    parts  how many a call is cut into at most: more than there are threads, so that one which is held up
           holds up nobody
    arena  where the arrays lie that only the tape works on: it does not keep them alive, so that the arena
           can use their memory again
    """

    def __init__(self, parts, arena):
        self.parts, self.arena, self._blocks, self._kept, self._rows, self._starts = (
            parts,
            arena,
            [],
            [],
            [],
            [0],
        )

    def append(self, call):
        kernel, arguments = call
        for part in kernel.parts(arguments, self.parts):
            signature = kernel.signature(part)
            self._write_down(part, signature, lambda array: not self.arena.owns(array))
            self._rows.append((kernel, signature))
        self._starts.append(len(self._rows))

    def finish(self):
        self._calls, self._starts = self._table(self._rows), np.array(self._starts, np.int64)
        self._counters = np.zeros((len(self._starts) - 1, 16), np.int64)

    def play(self, threads=1):
        self._counters[:] = 0
        rows, starts, counters = (array.ctypes.data for array in (self._calls, self._starts, self._counters))
        play(threads * [(replay.SHARED, rows, starts, len(self._counters), counters, 0, 0, 0, 0)])


class Slot:
    """An array of a tape's calls that is another one every time: the batch, its labels."""

    def __init__(self, words, array):
        self._words, self._array = words, array

    def put(self, array):
        """Let the calls work on `array`, C-contiguous and of the dtype and rank of the one that it
        replaces.
        """
        if (array.dtype, array.ndim) != (self._array.dtype, self._array.ndim) or not array.flags.c_contiguous:
            raise ValueError(
                f"a tape made for {self._array.dtype} of rank {self._array.ndim} was given {array.dtype} "
                f"of rank {array.ndim}, "
                "or an array with strides"
            )
        new, self._array = _array_words(array), array  # which keeps it alive
        for words in self._words:
            words[:] = new


def _array_words(array):
    """An array as compiled code takes it: no owner, no parent, size, bytes of an element, address, shape,
    strides.
    """
    return (0, 0, array.size, array.itemsize, array.ctypes.data, *array.shape, *array.strides)


def _words(type, value):
    """An argument as the 8-byte words by which compiled code finds it."""
    if isinstance(value, np.ndarray):
        return _array_words(value)
    if isinstance(type, types.BaseTuple):
        return [word for inner, part in zip(type, value) for word in _words(inner, part)]
    if isinstance(type, types.Float):
        return np.array([value, 0], np.dtype(type.name))[: 8 // np.dtype(type.name).itemsize].view(np.int64)
    if isinstance(type, (types.Integer, types.Boolean)):
        return [int(value)] if int(value) < 2**63 else [int(value) - 2**64]
    raise TypeError(f"a tape can hold arrays, numbers and tuples of them, not {type}")


def _size(value):
    if isinstance(value, np.ndarray):
        return 5 + 2 * value.ndim
    return sum(map(_size, value)) if isinstance(value, tuple) else 1


_entered, _libraries = {}, []


def _entries(wanted):
    """{(kernel, signature): the address of a function that takes the address of a call's arguments and makes
    the call}.
    """
    with global_compiler_lock:
        missing = [key for key in wanted if key not in _entered]
        if missing:
            context = cpu_target.target_context
            library = context.codegen().create_library("tinyconv_tape")
            module = library.create_ir_module("tinyconv_tape")
            names = {
                key: _write_entry(context, module, f"tinyconv_enter_{len(_entered)}_{place}", *key)
                for place, key in enumerate(missing)
            }
            library.add_ir_module(module)
            library.finalize()
            _libraries.append(library)  # owns the code
            _entered.update((key, library.get_pointer_to_function(name)) for key, name in names.items())
        return {key: _entered[key] for key in wanted}


def _write_entry(context, module, name, kernel, signature):
    """int32 name(int64 *words): load the arguments from the words, call the kernel, give 0 or what it failed
    with.
    """
    compiled = kernel.compiled.overloads[signature]
    symbol = f"tinyconv_kernel_{kernel.__module__}_{kernel.__name__}_{abs(hash(signature))}"
    llvm.add_symbol(symbol, compiled.library.get_pointer_to_function(compiled.fndesc.llvm_func_name))
    callee = ir.Function(module, context.call_conv.get_function_type(types.none, signature), symbol)
    function = ir.Function(module, ir.FunctionType(ir.IntType(32), [ir.IntType(64).as_pointer()]), name)
    builder = ir.IRBuilder(function.append_basic_block())
    at, values = 0, []
    for argument in signature:
        values.append(_load(context, builder, function.args[0], at, argument))
        at += _size_of_type(argument)
    status, _ = context.call_conv.call_function(builder, callee, types.none, signature, values)
    builder.ret(status.code)
    return name


def _load(context, builder, words, at, type):
    if isinstance(type, types.BaseTuple):
        parts = []
        for inner in type:
            parts.append(_load(context, builder, words, at, inner))
            at += _size_of_type(inner)
        return context.make_tuple(builder, type, parts)
    model = context.data_model_manager[type]
    place = builder.bitcast(
        builder.gep(words, [ir.Constant(ir.IntType(64), at)]), model.get_data_type().as_pointer()
    )
    return model.load_from_data_pointer(builder, place)


def _size_of_type(type):
    if isinstance(type, types.Array):
        return 5 + 2 * type.ndim
    return sum(map(_size_of_type, type)) if isinstance(type, types.BaseTuple) else 1
