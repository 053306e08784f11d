"""Scores of the checkers: wrong backward passes found and named, and right ones called wrong."""

from collections import Counter
from dataclasses import dataclass, field

import numpy as np
from tqdm import tqdm

from ... import layers, losses
from ..check import check_gradients
from ..subjects import subject as as_subject
from .mutants import MUTANTS, TABLE
from .other_checkers import OTHERS

OURS = "tinyconv check_gradients"

# Right layers, small, and with an x that is drawn as a user draws it: nobody keeps it away from kinks.
RIGHT = {
    "conv2d": (lambda rng: layers.Conv2d(2, 2, (2, 3), stride=(1, 2), padding=1, rng=rng), (2, 2, 4, 5), {}),
    "grouped conv2d": (lambda rng: layers.Conv2d(2, 4, 2, stride=3, groups=2, rng=rng), (1, 2, 5, 4), {}),
    "table_conv2d": (lambda rng: layers.TableConv2d(TABLE, 2, rng=rng), (2, 3, 3, 4), {}),
    "subsample2d": (lambda rng: layers.Subsample2d(2, rng=rng), (2, 2, 4, 5), {}),
    "max_pool2d": (lambda rng: layers.MaxPool2d(3, stride=2, padding=1), (2, 2, 5, 6), {}),
    "avg_pool2d": (lambda rng: layers.AvgPool2d(3, stride=2, padding=1), (2, 2, 5, 4), {}),
    "dense": (lambda rng: layers.Dense(5, 4, rng=rng), (3, 5), {}),
    "rbf": (lambda rng: layers.RBF(rng.choice([-1, 1], (4, 6))), (3, 6), {}),
    "scaled_tanh": (lambda rng: layers.ScaledTanh(), (3, 4), {}),
    "tanh": (lambda rng: layers.Tanh(), (3, 4), {}),
    "sigmoid": (lambda rng: layers.Sigmoid(), (3, 4), {}),
    "relu": (lambda rng: layers.ReLU(), (3, 4, 2), {}),
    "local_response_norm": (lambda rng: layers.LocalResponseNorm(size=3, alpha=0.5), (2, 4, 2, 1), {}),
    "dropout": (lambda rng: layers.Dropout(0.3, rng=rng), (3, 4), {"training": True}),
    "flatten": (lambda rng: layers.Flatten(), (2, 2, 2, 1), {}),
    "softmax_cross_entropy": (lambda rng: losses.SoftmaxCrossEntropy(), (3, 5), {"labels": 5}),
    "rbf_loss": (lambda rng: losses.RBFLoss("map", j=1.0), (3, 5), {"labels": 5}),
}


@dataclass
class Scores:
    """What the self-test counts; str(scores) is its table."""

    seeds: int
    mutants: int = 0
    points: int = 0  # right layers at random points
    killed: Counter = field(default_factory=Counter)  # checker -> wrong backward passes that it does not pass
    alarms: Counter = field(default_factory=Counter)  # checker -> right ones that it does
    named: int = 0
    survivors: list = field(
        default_factory=list
    )  # titles of mutants that ours passes, and of right layers that it calls wrong
    unnamed: list = field(default_factory=list)  # (title, what was said instead)

    @property
    def ok(self):
        return (
            self.killed[OURS] == self.mutants and self.named >= 0.9 * self.mutants and self.alarms[OURS] == 0
        )

    def __str__(self):
        table = [("checker", "wrong passes found", "mistake named", "false alarms")]
        for checker in (OURS, *OTHERS):
            table.append(
                (
                    checker,
                    f"{self.killed[checker]} of {self.mutants} "
                    f"({self.killed[checker] / max(self.mutants, 1):.1%})",
                    f"{self.named} of {self.mutants} ({self.named / max(self.mutants, 1):.1%})"
                    if checker == OURS
                    else "-",
                    f"{self.alarms[checker]:,} of {self.points:,} "
                    f"({self.alarms[checker] / max(self.points, 1):.2%})",
                )
            )
        widths = [max(map(len, column)) for column in zip(*table)]
        lines = ["  ".join(cell.ljust(width) for cell, width in zip(line, widths)).rstrip() for line in table]
        lines += [f"WRONG: {title}" for title in self.survivors]
        return "\n".join(
            lines
            + [
                f"not named: {title}" + (f" (said: {', '.join(said)})" if any(said) else "")
                for title, said in self.unnamed
            ]
        )


def run(seeds=20, progress=False, others=True):
    """Scores of ours and, with others=True, of the criteria of other checkers, on all mutants and on all
    right layers at `seeds` random points each.
    """
    scores = Scores(seeds)
    with np.errstate(all="ignore"):
        for mutant in tqdm(MUTANTS, desc="wrong passes", unit="mutant", leave=False, disable=not progress):
            _judge_mutant(mutant, scores, others)
        for seed in tqdm(range(seeds), desc="right layers", unit="seed", leave=False, disable=not progress):
            for name, (make, x_shape, options) in RIGHT.items():
                _judge_right(name, make, x_shape, dict(options), seed, scores, others)
    return scores


def _judge_mutant(mutant, scores, others):
    obj, x, options = mutant.build(seed=0)
    report = check_gradients(obj, x, quiet=True, **options)
    said = [found.name for found in (*report.diagnoses, *report.refusals)]
    scores.mutants += 1
    scores.killed[OURS] += not report.ok
    scores.named += any(name in mutant.names for name in said)
    scores.survivors += [mutant.title] if report.ok else []
    scores.unnamed += [] if any(name in mutant.names for name in said) else [(mutant.title, said)]
    for checker, passes in OTHERS.items() if others else ():
        scores.killed[checker] += not _passes(passes, obj, x, options, 0)


def _judge_right(name, make, x_shape, options, seed, scores, others):
    rng = np.random.default_rng(seed)
    obj, x = make(rng).to("reference"), rng.standard_normal(x_shape)
    if "labels" in options:
        options["labels"] = rng.integers(options["labels"], size=len(x))
    report = check_gradients(obj, x, seed=seed, quiet=True, diagnose=False, **options)
    scores.points += 1
    scores.alarms[OURS] += not report.ok
    scores.survivors += (
        [] if report.ok else [f"{name}, seed {seed}, is right but: {report.verdict}\n{report}"]
    )
    for checker, passes in OTHERS.items() if others else ():
        scores.alarms[checker] += not _passes(passes, obj, x, options, seed)


def _passes(passes, obj, x, options, seed):
    """Each gets the object as ours does, with a call behind it, though most would be handed a new one and see
    nothing of what it keeps.
    """
    return passes(
        as_subject(obj, x, options.get("labels"), options.get("training", False)), np.random.default_rng(seed)
    )
