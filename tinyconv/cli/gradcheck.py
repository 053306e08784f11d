"""tinyconv gradcheck: every gradient against finite differences and complex steps."""
from dataclasses import replace

from tqdm import tqdm

from ..device import check_device
from ..gradient_cases import CASES
from ..gradient_check import check_gradients
from ..kernels import BACKENDS
from . import options


def add_parser(commands):
    command = options.parser(commands, "gradcheck", "check gradients against central differences and complex steps, in float64",
                             "tinyconv gradcheck subsample2d")
    command.add_argument("what", metavar="MODEL|LAYER|all", choices=["all", *CASES], nargs="?", default="all",
                         help=f"all (the default), or one of {', '.join(CASES)}")
    command.add_argument("--device", choices=BACKENDS, default="cpu", help="whose backward pass is checked (default: cpu)")
    command.add_argument("--sample", type=options.positive_int, metavar="K", help="check only K elements of each array, drawn by the seed")
    command.add_argument("--seed", type=options.natural_int, default=0, help="of x, dy and the weights (default: 0)")
    return command


def run(args):
    check_device(args.device)
    chosen = CASES if args.what == "all" else {args.what: CASES[args.what]}
    reports, failed = [], []
    for name, cases in tqdm(chosen.items(), desc="gradcheck", unit="operation", leave=False, disable=len(chosen) == 1):
        for case in cases:
            obj, x, given = case.build(args.seed)
            given |= {} if args.sample is None else {"sample": min(args.sample, given.get("sample", args.sample))}
            report = check_gradients(obj.to(args.device), x, seed=args.seed, quiet=True, progress=True, **given)
            report = replace(report, subject=case.title)        # which says what is checked of a large network
            tqdm.write(f"{'ok   ' if report.ok else 'WRONG'}  {name:<22} {case.title}" if len(chosen) > 1 and report.ok else str(report))
            reports.append(report)
            failed += [] if report.ok else [f"{name} ({case.title})"]
    arrays = sum(len(report.rows) for report in reports)
    for oracle, words in (("central", "central differences"), ("complex", "complex step")):
        print(f"largest relative error by {words}: {max(report.largest_error(oracle) for report in reports):.1e}")
    print(f"{arrays} comparisons, all ok" if not failed else f"WRONG: {', '.join(failed)}")
    return 1 if failed else 0
