"""One command for a machine with a GPU: checks everything, then measures it, within 5 minutes.

    python -m tinyconv.benchmarks.gpu [--json FILE] [--quick]
    python -m tinyconv.benchmarks.gpu --only alexnet-operations     one part, in a minute
    python -m tinyconv.benchmarks.gpu --sanitizer                   compute-sanitizer over every kernel

In a checkout: `pip install -e ".[cuda]"`. Without a network:
`pip install --no-deps --no-build-isolation --no-index -e .`. Where nothing may be installed:

    mkdir -p /tmp/t && cp -r tinyconv /tmp/t && rm -f /tmp/t/tinyconv/{kernels,models,benchmarks}
    cp -r kernels models benchmarks /tmp/t/tinyconv
    cd /tmp/t && python -m tinyconv.benchmarks.gpu

PyTorch is compared with where it is installed and sees the GPU. MNIST and CIFAR-10 are trained on where they
are found (TINYCONV_DATA). A run has parts (parts.py), each with a share of the time that no other takes. All
that is checked comes first, in several processes at once, which also compile all kernels into Numba's cache;
all that is timed comes after, in one process, with nobody beside it. The parts, and what measures them:

    environment          worker.py       the machine and its versions
    kernels              checks.py       cases of gradient_cases.py; small batches; <dy, Ax> = <A'dy, x>
    ceilings             ceilings.py     multiply-adds, copies, launches
    ...-operations       operations.py   each direction of each operation, in turns with PyTorch
    ...-steps            steps.py        training steps in turns with PyTorch, eager and as a CUDA graph;
                         step_checks.py  is a step right? Does a graph leave the bits of its calls?
    predictions          predictions.py  from a NumPy array to a NumPy array
    mnist, cifar10       training.py     MNIST to its test error; AlexNet at 224x224 on CIFAR-10 for a while
    compile              compile.py      training steps against torch.compile
    crossing             crossing.py     the batch from which the GPU is faster than the CPU

worker.py is the process that computes all of it, in one of the sizes of sizes.py. calls.py makes the calls
of one operation, clock.py takes their time. bench.py starts the processes, asks them, starts another where
one ends too early, stops one that does not answer, and writes the JSON, which grows with every row. report.py
prints the tables at the end, or the rows so far when the run is interrupted (Ctrl-C, SIGTERM); goals.py says
which goals are met. An error is a row, and the exit status is 1. __main__.py is the command line.
"""
