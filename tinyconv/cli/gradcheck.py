"""tinyconv gradcheck: every gradient against the slope of its forward pass; a layer of a user's own too."""

import argparse
from dataclasses import replace

import numpy as np
from tqdm import tqdm

from ..apart import SECONDS, Raised
from ..device import check_device
from ..errors import DataError
from ..gradient_cases import CASES
from ..gradient_check import check_file, check_full_size, check_gradients, self_test
from ..kernels import BACKENDS
from ..models import MODELS
from ..setting import natural_int, positive_float, positive_int
from . import options

ORACLES = {
    "complex": "complex step",
    "linear": "steps along a line",
    "central": "central differences",
    "reference": "the reference",
}


def add_parser(commands):
    command = options.parser(
        commands,
        "gradcheck",
        "check gradients against the slope of forward, in float64, and say what is wrong",
        "tinyconv gradcheck subsample2d\n  tinyconv gradcheck mylayers.py:Scale --x 2x3x8x8",
    )
    command.add_argument(
        "what",
        metavar="MODEL|LAYER|FILE.py:CLASS|all",
        nargs="?",
        default="all",
        type=_subject,
        help=f"all (the default), one of {', '.join(CASES)}, or what is in a file of your own: "
        "FILE.py:CLASS, FILE.py:CLASS(ARGUMENTS), FILE.py:FORWARD,BACKWARD. The file is executed, in a "
        "process of its own",
    )
    command.add_argument(
        "--x",
        type=_shapes,
        metavar="SHAPE[,SHAPE...]",
        help="of a FILE.py: the shape of x, as 2x3x8x8, and of what else forward takes; "
        "without it shapes are looked for",
    )
    command.add_argument(
        "--full",
        action="store_true",
        help="of a MODEL: the network as it is used, by identities over all elements at once",
    )
    command.add_argument(
        "--self-test",
        action="store_true",
        help="check the checker: how many wrong backward passes it finds and names, how often it "
        "calls a right one wrong, and the same for the criteria of other checkers",
    )
    command.add_argument(
        "--seeds",
        type=positive_int,
        default=20,
        metavar="N",
        help="of --self-test: random points for each right layer (default: 20)",
    )
    command.add_argument(
        "--device", choices=BACKENDS, default="cpu", help="whose backward pass is checked (default: cpu)"
    )
    command.add_argument(
        "--sample",
        type=positive_int,
        metavar="K",
        help="check only K elements of each array, drawn by the seed",
    )
    command.add_argument(
        "--seconds",
        type=positive_float,
        default=SECONDS,
        metavar="S",
        help=f"of a FILE.py: what one pass may take before it is ended (default: {SECONDS:g})",
    )
    command.add_argument("--seed", type=natural_int, default=0, help="of x, dy and the weights (default: 0)")
    return command


def run(args):
    check_device(args.device)
    if args.self_test:
        scores = self_test.run(args.seeds, progress=True)
        print(scores)
        return 0 if scores.ok else 1
    if args.full:
        return _check_full_size(args)
    if ":" in args.what:
        return _check_file(args)
    return _check_cases(args, CASES if args.what == "all" else {args.what: CASES[args.what]})


def _check_cases(args, chosen):
    reports, failed = [], []
    for name, cases in tqdm(
        chosen.items(), desc="gradcheck", unit="operation", leave=False, disable=len(chosen) == 1
    ):
        for case in cases:
            obj, x, given = case.build(args.seed)
            given |= (
                {} if args.sample is None else {"sample": min(args.sample, given.get("sample", args.sample))}
            )
            report = check_gradients(
                obj.to(args.device), x, seed=args.seed, quiet=True, progress=True, **given
            )
            report = replace(report, subject=case.title)  # which says what is checked of a large network
            tqdm.write(
                f"{'ok   ' if report.ok else 'WRONG'}  {name:<22} {case.title}"
                if len(chosen) > 1 and report.ok
                else str(report)
            )
            reports.append(report)
            failed += [] if report.ok else [f"{name} ({case.title})"]
    for oracle, words in ORACLES.items():
        if any(row.oracle == oracle for report in reports for row in report.rows):
            print(
                f"largest relative error by {words}: "
                f"{max(report.largest_error(oracle) for report in reports):.1e}"
            )
    arrays = sum(len(report.rows) for report in reports)
    print(f"{arrays} comparisons, all ok" if not failed else f"WRONG: {', '.join(failed)}")
    return 1 if failed else 0


def _check_full_size(args):
    if args.what not in MODELS:
        raise DataError(f"--full: expected one of {', '.join(MODELS)}, got {args.what}")
    report = check_full_size(
        MODELS[args.what](rng=args.seed).to(args.device), seed=args.seed, quiet=True, progress=True
    )
    print(report)
    print("all ok" if report.ok else "WRONG")
    return 0 if report.ok else 1


def _check_file(args):
    rng = np.random.default_rng(args.seed)
    x = args.x and tuple(rng.standard_normal(shape) for shape in args.x)
    x = x[0] if x and len(x) == 1 else x
    try:
        report = check_file(
            args.what,
            x,
            sample=args.sample,
            seed=args.seed,
            progress=True,
            seconds=args.seconds,
            advice="--x 2x5x3",
        )
    except (TypeError, ValueError, Raised) as error:
        raise DataError(f"{args.what}: {error}") from error
    print(report)
    print(
        {"ok": "all ok", "wrong": "WRONG", "refused": "nothing is wrong, but it proves too little"}[
            report.verdict
        ]
    )
    return 0 if report.ok else 1


def _subject(text):
    if text != "all" and text not in CASES and ":" not in text:
        raise argparse.ArgumentTypeError(
            f"expected all, FILE.py:CLASS or one of {', '.join(CASES)}, got {text!r}"
        )
    return text


def _shapes(text):
    try:
        return [tuple(int(size) for size in shape.split("x")) for shape in text.split(",")]
    except ValueError:
        raise argparse.ArgumentTypeError(
            f"expected shapes such as 2x3x8x8 or 4x3,5x3,5; got {text!r}"
        ) from None
