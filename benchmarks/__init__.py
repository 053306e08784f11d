"""What `tinyconv bench` measures, and how. Installed as tinyconv.benchmarks; nothing in tinyconv needs it but
that command.

    workloads.py    which operation on which shapes, with how many multiply-adds and bytes: read off the
                    models themselves
    backends.py     one workload on one backend of tinyconv, on several threads
    pytorch.py      the same workload, or the same network, in PyTorch
    networks.py     a training step and a prediction of a whole network
    process.py      a network in a process of its own, that waits for its turn; contestant.py: what runs there
    parity.py       is the result right? Nothing is timed before that is known
    timing.py       first call, then interleaved repeats
    ceiling.py      what this machine can do at most: multiply-adds in registers, bytes copied
    machine.py      what this machine is
    compare.py      the same work by several contenders: checked, timed in turns, held against the ceiling
    session.py      one run of all that; report.py and plot.py show it, results/ keeps it, readme_table.py
                    writes README's tables from there
    gpu/            the benchmark of a machine with a GPU: python -m tinyconv.benchmarks.gpu
    ladder/         conv2d from textbook loops to the shipped kernel, one idea a file

To add a model: the `bench` of its Model (tinyconv/recipe.py). To add a backend: its class in
backends.BACKENDS. To compare another operation with PyTorch: its forward in pytorch.FORWARD.
"""

if __name__ != "tinyconv.benchmarks":
    # One file is one module under one name: a second one would have classes and caches of its own.
    raise ImportError(
        f"expected the name tinyconv.benchmarks, got {__name__}: write `import tinyconv.benchmarks`"
    )
