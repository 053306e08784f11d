"""One command for a machine with a GPU: checks everything, then measures it, within 8 minutes.

    python -m tinyconv.benchmarks.gpu [--json FILE] [--quick]
    python -m tinyconv.benchmarks.gpu --sanitizer    compute-sanitizer over the small tests

In a checkout: `pip install -e ".[cuda]"`. Without a network:
`pip install --no-deps --no-build-isolation --no-index -e .`. Where nothing may be installed:

    mkdir -p /tmp/t && cp -r tinyconv /tmp/t && cp -r kernels models benchmarks /tmp/t/tinyconv
    cd /tmp/t && python -m tinyconv.benchmarks.gpu

PyTorch is compared with where it is installed and sees the GPU. MNIST and CIFAR-10 are trained on where they
are found (TINYCONV_DATA). The sections of a run, each with the file that measures it:

    environment  worker.py      the machine and its versions
    checks       checks.py      cases of gradient_cases.py; operations at full size; <dy, Ax> = <A'dy, x>;
                                tf32 within its bound; the same bits twice and by a graph
    ceilings     ceilings.py    multiply-adds, copies, launches
    operations   operations.py  each direction of each operation: checked, then timed in turns with PyTorch
    networks     networks.py    training steps and predictions against PyTorch and against the CPU
    training     training.py    MNIST to its test error; AlexNet at 224x224 on CIFAR-10 while there is time

worker.py is the process that computes all of it, in one of the sizes of sizes.py. calls.py makes the calls
of one operation, clock.py takes their time. bench.py starts the process, starts it again where it ends too
early, stops it where it does not answer, and writes the JSON, which grows with every row. report.py prints
the table at the end, or the rows so far when the run is interrupted (Ctrl-C, SIGTERM). An error is a row,
and the exit status is 1. __main__.py is the command line.
"""
