"""The command line of the GPU benchmark: python -m tinyconv.benchmarks.gpu --help."""

import argparse
import signal
import sys
from pathlib import Path

from ...errors import TinyconvError
from ...kernels._cuda import package
from . import __doc__ as about, report
from .bench import RESULTS, Bench, Missing
from .parts import names
from .sanitizer import sanitize


def main(arguments=None):
    parser = argparse.ArgumentParser(
        prog="python -m tinyconv.benchmarks.gpu", description=about.splitlines()[0]
    )
    parser.add_argument(
        "--json",
        metavar="FILE",
        type=Path,
        default=RESULTS,
        help="default: benchmarks/results/<name of the GPU>.json",
    )
    parser.add_argument("--quick", action="store_true", help="less of everything, in two to three minutes")
    parser.add_argument(
        "--only",
        metavar="PART,...",
        help=f"checks (all of them, nothing is timed), or some of {', '.join(names())}",
    )
    parser.add_argument(
        "--processes",
        metavar="N",
        type=int,
        help="that check at once (default: half the processors, 8 at most)",
    )
    parser.add_argument(
        "--sanitizer",
        action="store_true",
        help="run compute-sanitizer over every kernel, in 90 seconds",
    )
    parser.add_argument(
        "--logs",
        metavar="FOLDER",
        type=Path,
        default=Path("sanitizer"),
        help="of what the sanitizer says (default: sanitizer)",
    )
    args = parser.parse_args(arguments)
    if args.sanitizer:
        return sanitize(args.logs)
    if package.SIMULATOR:
        parser.error("NUMBA_ENABLE_CUDASIM is set: unset it, a simulator is no GPU")
    if not args.json.is_dir() and not args.json.absolute().parent.is_dir():
        parser.error(f"{args.json}: there is no folder {args.json.parent}; make it first")
    try:
        bench = Bench("quick" if args.quick else "full", args.only, args.json, processes=args.processes)
    except TinyconvError as error:
        parser.error(str(error))
    signal.signal(signal.SIGTERM, signal.default_int_handler)
    try:
        bench.run()
    except Missing as missing:
        print(missing, file=sys.stderr)
        return 1
    except KeyboardInterrupt:
        bench.result["interrupted"] = True
        bench.write()
    print("\n".join(report.lines(bench.result)))
    print(f"\nwritten to {bench.file() or 'no file: the GPU did not say its name'}")
    if bench.result.get("interrupted"):
        return 130
    return 1 if report.wrong(bench.result) else 0


if __name__ == "__main__":
    sys.exit(main())
