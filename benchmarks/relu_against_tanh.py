"""ReLU against tanh: how many epochs, and seconds, cifar_net takes to 25 % training error on CIFAR-10.

    python benchmarks/relu_against_tanh.py --out FOLDER

Krizhevsky et al. 2012, section 3.1 and figure 1: a four-layer network got there six times faster with ReLU.
As there, nothing regularises (no weight decay, augmentation or normalisation), the rate is constant, and each
activation has the rate that is fastest for it: --relu-lr was chosen of 0.01, 0.02, 0.04 and 0.08, --tanh-lr
of 0.005, 0.02 and 0.05, by the training error after up to three epochs. Every run is one of `tinyconv train`
in a folder of its own: stopped, the script goes on where it was. It writes relu_against_tanh.json and .png
(where matplotlib is there) to FOLDER and prints the table.
"""

import argparse
import csv
import json
from pathlib import Path
from statistics import mean

from tinyconv.benchmarks import machine
from tinyconv.cli import main as tinyconv

COLOURS = {"relu": "tab:blue", "tanh": "tab:orange"}


def train(folder, activation, lr, seed, args):
    """The rows of metrics.csv of one run, made or finished first where it is not there yet."""
    if not (folder / "metrics.csv").exists() or float(rows_of(folder)[-1]["error"]) > args.error / 100:
        resume = (
            ["--resume"]
            if (folder / "checkpoint.npz").exists()
            else [
                "--activation",
                activation,
                "--lr",
                str(lr),
                "--seed",
                str(seed),
                "--until-error",
                str(args.error),
                "--epochs",
                str(args.epochs),
                "--schedule",
                "constant",
                "--weight-decay",
                "0",
                "--no-augment",
                "--no-norm",
            ]
        )
        status = tinyconv(["train", "cifar_net", "--data", args.data, "--out", str(folder), *resume])
        if status:
            raise SystemExit(status)
    return rows_of(folder)


def rows_of(folder):
    with open(folder / "metrics.csv", newline="") as file:
        return list(csv.DictReader(file))


def draw(runs, error, path):
    from matplotlib.figure import Figure

    figure = Figure(figsize=(6, 4), layout="constrained")
    axes = figure.add_subplot(
        xlabel="epoch",
        ylabel="training error (%)",
        title="CIFAR-10, four layers: ReLU against tanh, three seeds",
    )
    for run in runs:
        label = run["activation"] if run["seed"] == min(r["seed"] for r in runs) else None
        axes.plot(
            range(1, len(run["errors"]) + 1),
            [100 * e for e in run["errors"]],
            color=COLOURS[run["activation"]],
            linestyle="-" if run["activation"] == "relu" else "--",
            label=label,
        )
    axes.axhline(error, color="grey", linewidth=0.8)
    axes.xaxis.get_major_locator().set_params(integer=True)
    axes.legend()
    figure.savefig(path, dpi=120)


def run(args):
    runs = []
    for activation, lr in (("relu", args.relu_lr), ("tanh", args.tanh_lr)):
        for seed in args.seeds:
            rows = train(args.out / f"{activation}-{seed}", activation, lr, seed, args)
            errors, seconds = ([float(row[column]) for row in rows] for column in ("error", "seconds"))
            runs.append(
                {
                    "activation": activation,
                    "lr": lr,
                    "seed": seed,
                    "reached": errors[-1] <= args.error / 100,
                    "epochs": len(rows),
                    "seconds": sum(seconds),
                    "errors": errors,
                }
            )
    print(f"{'':6}{'seed':>6}{'rate':>8}{'epochs':>8}{'seconds':>9}   to {args.error:g} % training error")
    for r in runs:
        print(
            f"{r['activation']:6}{r['seed']:>6}{r['lr']:>8g}{r['epochs']:>8}{r['seconds']:>9.0f}{'' if r['reached'] else '   not reached'}"  # noqa: E501
        )
    means = {
        name: {key: mean(r[key] for r in runs if r["activation"] == name) for key in ("epochs", "seconds")}
        for name in COLOURS
    }
    ratios = {key: means["tanh"][key] / means["relu"][key] for key in ("epochs", "seconds")}
    least = "" if all(r["reached"] for r in runs) else "at least "
    print(
        f"tanh takes {least}{ratios['epochs']:.1f} times as many epochs and {ratios['seconds']:.1f} times "
        "as long; the paper: about six"
    )
    result = {
        "error": args.error,
        "machine": machine.describe(),
        "versions": machine.versions(),
        "runs": runs,
        "ratios": ratios,
    }
    (args.out / "relu_against_tanh.json").write_text(json.dumps(result, indent=1) + "\n")
    try:
        draw(runs, args.error, args.out / "relu_against_tanh.png")
    except ImportError:
        print("no picture: matplotlib is not installed (pip install 'tinyconv[demo]')")


if __name__ == "__main__":
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--out", type=Path, required=True, help="folder for the runs and the results")
    parser.add_argument("--data", default="cifar10", help="cifar10, or a folder of images (default: cifar10)")
    parser.add_argument(
        "--error",
        type=float,
        default=25.0,
        metavar="P",
        help="per cent of training error to reach (default: 25)",
    )
    parser.add_argument(
        "--epochs", type=int, default=60, metavar="N", help="give up after so many (default: 60)"
    )
    parser.add_argument("--seeds", type=int, nargs="+", default=[0, 1, 2], metavar="S", help="default: 0 1 2")
    parser.add_argument("--relu-lr", type=float, default=0.01, help="default: 0.01")
    parser.add_argument("--tanh-lr", type=float, default=0.02, help="default: 0.02")
    run(parser.parse_args())
