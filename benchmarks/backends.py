"""A workload on a backend of tinyconv: arrays in its native form, the batch shared among threads."""

import numpy as np

from .. import device
from ..errors import TinyconvError
from ..execution.cpu import PARTS
from ..kernels import load
from ..kernels._arena import Arena, taking_from
from ..kernels._cpu.native import Native
from ..kernels._cpu.tape import SharedTape, Tape, recording
from ..kernels._cpu.threads import play
from .timing import Contender, team
from .workloads import IN_PLACE

ACTIVATIONS = {"x", "y", "dy", "penalties", "scores"}


class NotMeasured(TinyconvError):
    """Something that cannot be measured here; the message says why."""


class Reference:
    """NumPy arrays, the whole batch in one call. NumPy decides by itself how many threads its matrix products
    take.
    """

    def parts(self, arrays, threads):
        return [arrays]

    def copies(self, given, result):
        """Seconds in which `given` gets to the device and `result` back; None where they are there
        already.
        """
        return None

    leave = staticmethod(np.asarray)


class Cpu(Reference):
    """Images innermost. Each thread takes whole blocks of images, as in training: the threads meet once a
    sample, not once a call.
    """

    def parts(self, arrays, threads):
        arrays = {
            name: Native.pack(value) if name in ACTIVATIONS and np.ndim(value) > 1 else value
            for name, value in arrays.items()
        }
        native = next((value for value in arrays.values() if isinstance(value, Native)), None)
        if native is None:
            return [arrays]
        blocks, lanes, images = len(native.data), native.data.shape[-1], native.shape[0]
        threads = min(threads, blocks)
        cuts = [blocks * t // threads for t in range(threads + 1)]
        return [
            {name: _part(name, value, first, last, lanes, images) for name, value in arrays.items()}
            for first, last in zip(cuts, cuts[1:])
        ]

    leave = staticmethod(
        lambda result: device.unpack(result) if isinstance(result, Native) else np.asarray(result)
    )


class Cuda(Reference):
    """Arrays on the GPU, images innermost. Calls are timed by the GPU, as one graph: no Python in between."""

    def parts(self, arrays, threads):
        return [{name: self._there(name, value) for name, value in arrays.items()}]

    def _there(self, name, value):
        if name in ACTIVATIONS and np.ndim(value) > 1:
            return device.pack(value, "cuda", self)
        return (
            device.move(value, "cuda") if isinstance(value, np.ndarray) and name != "connections" else value
        )  # that is a table for Python

    leave = staticmethod(
        lambda result: (
            device.unpack(result) if device.is_native(result) else np.asarray(device.to_host(result))
        )
    )

    def copies(self, given, result):
        from .gpu.graphs import crossed

        return sum(crossed(array.nbytes, to_gpu=True) for array in given) + crossed(
            result.nbytes, to_gpu=False
        )

    def contender(self, name, function, arguments, result):
        """`function` on arrays that lie on the GPU: its first call, which compiles, then a graph of calls."""
        from .gpu.graphs import Calls

        return Calls(name, lambda: function(*arguments), result)


class CudaPlain(Cuda):
    """The same, activations as they lie in NumPy: (N, C, H, W)."""

    def _there(self, name, value):
        return device.move(value, "cuda") if isinstance(value, np.ndarray) else value


def _part(name, value, first, last, lanes, images):
    """What blocks first to last - 1 see of the argument `value`."""
    begin, end = first * lanes, min(last * lanes, images)
    if isinstance(value, Native):
        return value.part(first, last)
    if name == "x_shape":
        return (end - begin, *value[1:])
    return value[begin:end] if name in ("labels", "dy") else value


def _recorded(function, arguments):
    """A tape of one call of `function`, and what the call made."""
    with recording() as calls:
        made = function(*arguments)
    assert calls, f"{function} calls no kernel: an empty tape would take no time"
    return Tape(calls), made


def _shared(function, arguments, threads):
    """The same as a tape whose calls several threads share, in memory that is planned once: as training plays
    it where layers are large.
    """
    arena = Arena()
    tape = SharedTape(PARTS * threads, arena)
    with taking_from(arena), recording(tape):
        made = function(*arguments)
    tape.finish()
    return tape, made


BACKENDS = {"reference": Reference(), "cpu": Cpu(), "cuda": Cuda()}
PLAIN = CudaPlain()


def kernel_contender(backend, workload, batch, dtype, threads):
    """The kernel of `backend` as a Contender. Raises DeviceError where there is no GPU for it."""
    device.check_device(backend)
    function = getattr(load(workload.operation, backend), workload.direction)
    return contender(backend, function, BACKENDS[backend], workload, batch, dtype, threads)


def contender(name, function, form, workload, batch, dtype, threads):
    """`function` on the arrays of `workload` in the native form `form`. What adds up over images is added up,
    and that is timed too.

    One thread calls it from Python, as it calls PyTorch. Several threads play a kernel of tinyconv from
    tapes, as a training step does: called from Python they would wait for each other's turn with the
    interpreter. (Weights are packed once a sample then, in training once a step.) Where training shares each
    call among its threads, they do so here.
    """
    arrays, ours = (
        workload.arrays(batch, dtype),
        isinstance(form, Cpu) and function.__module__.startswith("tinyconv.kernels."),
    )
    together = workload.shared and ours  # others have no Kernels to record
    parts = form.parts(arrays, threads if workload.splits and not together else 1)
    jobs = [[part[parameter] for parameter in workload.parameters] for part in parts]
    last, tapes = [], []
    played = ours and len(jobs) > 1

    def repeat(arguments, n):
        for _ in range(n):
            result = function(*arguments)
        return result

    def call_together(n):
        if not tapes:
            tapes.append(_shared(function, jobs[0], threads))
            n -= 1  # recording was the first call
        ((tape, made),) = tapes
        for _ in range(n):
            tape.play(threads)
        last[:] = [made]

    def call(n):
        if played:
            if not tapes:
                tapes.extend(_recorded(function, arguments) for arguments in jobs)
            play([tape.task(0, n, 1) for tape, _ in tapes])
            results = [made for _, made in tapes]
        else:
            results = team([lambda arguments=arguments: repeat(arguments, n) for arguments in jobs])
        if workload.sums_over_images and len(results) > 1:
            for _ in range(n):
                total = sum(results[1:], results[0])
            results = [total]
        last[:] = results

    def result(made=last):
        if workload.direction in IN_PLACE:
            return np.asarray(device.to_host(parts[0][IN_PLACE[workload.direction][0]]))
        found = [form.leave(part) for part in made]
        return found[0] if len(found) == 1 else np.concatenate(found)

    if isinstance(form, Cuda):
        return form.contender(name, function, jobs[0], lambda made: result([made]))
    return (
        Contender(name, threads, call_together, result)
        if together
        else Contender(name, len(jobs), call, result)
    )
