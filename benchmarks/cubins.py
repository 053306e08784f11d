"""Every kernel of the cuda backend as machine code, without a GPU: how many registers, how much memory, and
that nothing is float64 unasked.

    python -m tinyconv.benchmarks.cubins [--arch sm_80,sm_90] [--update]

What training launches is noted, not made: all layers and losses of gradient_cases.py in float32 and float64,
every operation of LeNet-5 and AlexNet, their whole training steps, in float32 and in tf32, and the rungs of
the ladder. Each kernel is then compiled for each kind of argument it was given, and held to
tests/cubins.json, in a checkout of the repository:

    registers  no more than in the table       shared memory  as in the table       stack  no more than in the table
    spills     none: registers that do not suffice go through memory, in the innermost loop
    float64    no instruction where all arrays are of float32 or integers: a GPU computes them at 1/2 to 1/64
               of the speed

Another version of the compiler may take other registers: then they are held to what the launch allows,
threads times registers <= 65,536.
--update writes the table anew.
"""  # noqa: E501

import argparse
import contextlib
import json
import multiprocessing
import re
import sys
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path

import numba
import numpy as np
from tqdm import tqdm

from ..execution import available_threads
from ..execution.fusing import fused
from ..execution.one_block import one_block
from ..files import write_atomically
from ..gradient_cases import CASES
from ..kernels import load
from ..kernels._cuda import gpu, package
from ..kernels._cuda.launch import PRECISIONS, computing_in, machine_code, noted
from ..kernels._cuda.native import CudaNative, cast
from . import ladder, machine, workloads
from .backends import ACTIVATIONS

TABLE = Path(__file__).resolve().parents[1] / "tests" / "cubins.json"
ARCHITECTURES = {"sm_80": (8, 0), "sm_90": (9, 0)}  # the oldest that is supported, and that of H100 and H200
RESERVED = {
    "sm_80": 0,
    "sm_90": 1024,
}  # bytes of shared memory that the report adds where a kernel uses any: the driver's
COMPILERS = "numba", "numba-cuda", "nvidia-nvvm", "nvidia-nvjitlink"
STEPS = {"lenet5": 64, "alexnet": 128}  # images in a training step
REGISTERS = 65_536  # of a multiprocessor, which one block can take at most; 255 a thread


@dataclass
class Launch:
    """A kernel with one kind of arguments. threads: the most that a block of it had."""

    kernel: object
    arguments: tuple
    threads: int = 0
    found: dict = field(default_factory=dict)  # architecture -> Resources

    @property
    def single(self):
        """Whether it sees no float64 array, so that it must not compute in float64."""
        return not any(
            isinstance(argument, np.ndarray) and argument.dtype == np.float64 for argument in self.arguments
        )


@dataclass(frozen=True)
class Resources:
    """registers a thread, bytes of stack a thread, bytes of shared memory a block, bytes spilled a thread;
    float64: how many instructions.
    """

    registers: int
    stack: int
    shared: int
    spilled: int = 0
    float64: int = 0


def launches():
    """{name: Launch} of all that the backend launches in training and testing."""
    found = {}
    for work in _work():
        with noted() as calls:
            work()
        for kernel, _, block, arguments in calls:
            launch = found.setdefault(name(kernel, arguments), Launch(kernel, arguments))
            if launch.kernel is not kernel:
                raise ValueError(
                    f"two kernels are called {name(kernel, arguments)}: give each another made_with"
                )
            launch.threads = max(launch.threads, int(np.prod(block)))
    return found


def _work():
    for dtype in (np.float32, np.float64):
        for case in (case for cases in CASES.values() for case in cases):
            yield partial(_case, case, dtype)
    for model, images in STEPS.items():
        for precision in PRECISIONS:
            for workload in workloads.of_model(model):
                yield partial(_workload, workload, images, precision)
            yield partial(_training_step, model, images, precision)
    yield partial(_one_block, "lenet5", STEPS["lenet5"])
    for rung in ladder.rungs("cuda"):
        if rung.module is not load("conv2d", "cuda"):
            for workload in workloads.ladder_shapes("cuda"):
                yield partial(_rung, rung, workload)


def _case(case, dtype):
    """Forward and backward of a case of gradient_cases.py."""
    obj, x, options = case.build(seed=0)
    obj, x = obj.to("cuda"), x.astype(dtype)
    if "labels" in options:
        obj.forward(x, options["labels"])
        return obj.backward()
    y = obj.forward(x, training=options.get("training", False))
    return obj.backward(np.ones_like(y))


def _workload(workload, images, precision):
    """One operation in one direction, on arrays that nobody fills."""
    given = workload._different(1, np.float32)
    if not workload.updates:
        given |= {
            name: np.empty((images, *given[name].shape[1:]), given[name].dtype)
            for name in workloads.PER_IMAGE & given.keys()
        }
        given["x_shape"] = images, *workload.x_shape
    arguments = [
        CudaNative.empty(value.shape, value.dtype)
        if parameter in ACTIVATIONS and np.ndim(value) > 1
        else value
        for parameter in workload.parameters
        for value in [given[parameter]]
    ]
    with computing_in(precision):
        getattr(load(workload.operation, "cuda"), workload.direction)(*arguments)


def _rung(rung, workload):
    """A rung of the ladder on one image."""
    given = workload.arrays(1, np.float32)
    (arrays,) = rung.form.parts(given, 1)
    with computing_in(rung.precision):
        getattr(rung.module, workload.direction)(*(arrays[name] for name in workload.parameters))


def _training_step(model, images, precision):
    net, loss = workloads.MODELS[model]()
    net, loss = (
        fused(net.to("cuda", precision=precision).replica(frees_cache=True), (images, *net.input_shape)),
        loss.to("cuda"),
    )
    loss.forward(
        net.forward(CudaNative.empty((images, *net.input_shape), np.float32), training=True),
        np.zeros(images, np.int64),
    )
    net.backward(loss.backward(), need_dx=False)
    # what a captured step launches besides (tinyconv/execution/cuda.py)
    options, losses, labels = (
        np.empty(5, np.float32),
        np.empty(images, np.float32),
        np.empty(images, np.int64),
    )
    for array in (options, losses, labels):
        cast[array.size](array, array)
    params, sgd, adam = list(net.params.values()), load("sgd", "cuda"), load("adam", "cuda")
    for clip in (None, 1.0):
        guarded = sgd.guarded_options(options, losses, params, clip)
        sgd.change([(param, param, param) for param in params], guarded)
    # all parameters at once, and one as from Python
    for some in (params, params[:1]):
        adam.change([(param, param, param, param) for param in some], np.empty(10, np.float32))


def _one_block(model, images):
    """A training step and a prediction by one block an image (tinyconv/execution/one_block.py)."""
    net, loss = workloads.MODELS[model]()
    net, loss, shape = net.to("cuda"), loss.to("cuda"), (images, *net.input_shape)
    x, scores = np.empty((*shape[1:], images), np.float32), np.empty(net.output_shape(shape), np.float32)
    labels, numbers = np.empty(images, np.int64), np.empty(images, np.float32)
    one_block(net, shape, np.float32, loss)[0].forward_backward(x, labels, numbers, scores, numbers)
    one_block(net, shape, np.float32)[0].forward(x, scores)


def name(kernel, arguments):
    """conv2d._forward(float32[:,:], int64), and in brackets what tells it from others that the same function
    has made.
    """
    module = re.sub(r"^tinyconv\.kernels\.|\.cuda$", "", kernel.__module__)
    return f"{module}.{kernel.__name__}{f'[{kernel.made_with}]' if kernel.made_with else ''}({', '.join(map(_type, arguments))})"  # noqa: E501


def _type(argument):
    if not isinstance(argument, np.ndarray):
        return str(numba.typeof(argument))
    layout = numba.typeof(argument).layout  # C where rows lie one behind the other, A for any
    return f"{argument.dtype}[{','.join(':' * argument.ndim)}]" + (f" {layout}" if layout != "C" else "")


def resources(launch, architectures):
    """{architecture: the Resources that the compiler reports}"""
    made, found = (
        machine_code(launch.kernel, launch.arguments, [ARCHITECTURES[name] for name in architectures]),
        {},
    )
    for architecture, (ptx, report) in zip(architectures, made):
        spilled = sum(map(int, re.findall(r"(\d+) bytes spill", report)))
        registers, stack, shared = map(
            int, re.findall(r"used (\d+) registers.*?, (\d+) stack, (\d+) bytes smem", report)[-1]
        )
        found[architecture] = Resources(
            registers,
            stack,
            max(0, shared - RESERVED[architecture]),
            spilled,
            len(re.findall(r"\.f64\b", ptx)),
        )
    return found


def compile_all(found, architectures):
    """Fill in `found` of each launch: in as many processes as there are processors, where they can
    be forked.
    """
    global _found
    _found, jobs = (
        found,
        [(title, architectures) for title in found],
    )  # kernels cannot be sent to another process, but a fork has them
    with contextlib.ExitStack() as stack:
        workers = min(available_threads(), 8)
        several = workers > 1 and "fork" in multiprocessing.get_all_start_methods()
        done = (
            stack.enter_context(multiprocessing.get_context("fork").Pool(workers)).imap(_compile, jobs)
            if several
            else map(_compile, jobs)
        )
        for (title, _), resources_of in zip(
            jobs, tqdm(done, desc="compiling", unit="kernel", total=len(jobs), leave=False)
        ):
            found[title].found = resources_of


def _compile(job):
    title, architectures = job
    return resources(_found[title], architectures)


def faults(found, table, architectures):
    """What is wrong, as sentences."""
    same = table["compiler"] == compiler()
    for title in table["kernels"].keys() - found.keys():
        yield f"{title}: in the table, and nothing launches it: --update writes the table anew"
    for title, launch in found.items():
        rows = table["kernels"].get(title)
        if rows is None:
            yield f"{title}: not in the table: --update writes it anew"
        for architecture in architectures:
            now = launch.found[architecture]
            if now.spilled:
                yield f"{title}, {architecture}: {now.spilled} bytes of registers are spilled"
            if now.float64 and launch.single:
                yield (
                    f"{title}, {architecture}: {now.float64} instructions on float64, and it was "
                    "given no float64 array"
                )
            if now.registers * launch.threads > REGISTERS:
                yield (
                    f"{title}, {architecture}: {now.registers} registers for each of "
                    f"{launch.threads} threads: it would not start"
                )
            if rows is not None:
                yield from (
                    f"{title}, {architecture}: {fault}"
                    for fault in _differences(now, Resources(*rows[architecture]), same)
                )


def _differences(now, allowed, same_compiler):
    if now.shared != allowed.shared:
        yield f"{now.shared} bytes of shared memory, expected {allowed.shared}"
    for what in ("registers", "stack") if same_compiler else ():
        if getattr(now, what) > getattr(allowed, what):
            yield (
                f"{getattr(now, what)} {'bytes of ' * (what == 'stack')}{what}, expected "
                f"{getattr(allowed, what)} at most"
            )


def compiler():
    """The versions of all that has a part in it."""
    return ", ".join(f"{package} {machine.installed(package)}" for package in COMPILERS)


def as_text(found, architectures):
    """A line for each kernel."""
    width = min(120, max(map(len, found)))
    yield f"{'kernel':{width}} threads" + "".join(
        f"  {architecture + ': registers':>16} stack shared" for architecture in architectures
    )
    for title, launch in sorted(found.items()):
        cells = (
            f"  {one.registers:16} {one.stack:5} {one.shared:6}"
            for one in map(launch.found.get, architectures)
        )
        yield f"{title:{width}} {launch.threads:7}" + "".join(cells)


def write(found):
    """The table, a line for each kernel. Raises OSError."""
    rows = [
        f"{json.dumps(title)}: "
        + json.dumps(
            {
                architecture: [one.registers, one.stack, one.shared]
                for architecture, one in launch.found.items()
            }
        )
        for title, launch in sorted(found.items())
    ]
    text = (
        f'{{"compiler": {json.dumps(compiler())},\n"columns": ["registers", "stack", "shared"],\n"kernels": {{\n'  # noqa: E501
        + ",\n".join(rows)
        + "\n}}\n"
    )
    write_atomically(TABLE, lambda file: file.write(text.encode()))


def main(arguments=None):
    parser = argparse.ArgumentParser(
        prog="python -m tinyconv.benchmarks.cubins", description=__doc__.splitlines()[0]
    )
    parser.add_argument(
        "--arch", metavar="SM,...", default=",".join(ARCHITECTURES), help="default: %(default)s"
    )
    parser.add_argument("--update", action="store_true", help="write the table anew")
    args = parser.parse_args(arguments)
    architectures = args.arch.split(",")
    if unknown := set(architectures) - ARCHITECTURES.keys():
        parser.error(f"--arch: expected some of {', '.join(ARCHITECTURES)}, got {', '.join(sorted(unknown))}")
    if args.update and len(architectures) < len(ARCHITECTURES):
        parser.error("--update: the table is for all architectures; leave --arch out")
    if not package.INSTALLED or package.SIMULATOR:
        sys.exit(
            "cubins: the simulator compiles nothing; unset NUMBA_ENABLE_CUDASIM"
            if package.SIMULATOR
            else f"cubins: {gpu.missing()}"
        )
    if not TABLE.parent.is_dir():
        sys.exit(f"{TABLE.parent}: no such folder; run this in a checkout of the repository")

    found = launches()
    compile_all(found, architectures)
    print("\n".join(as_text(found, architectures)))
    if args.update:
        write(found)
    wrong = list(faults(found, json.loads(TABLE.read_text()), architectures))
    print("\n".join(wrong) or f"{len(found)} kernels for {', '.join(architectures)}: as in {TABLE.name}")
    return 1 if wrong else 0


if __name__ == "__main__":
    sys.exit(main())
