"""tinyconv summary: how large a network is, layer by layer; and in what its variants differ."""

from dataclasses import asdict

from ..errors import TinyconvError
from ..models import MODELS, PRESETS
from ..summary import difference
from . import options


def add_parser(commands):
    command = options.parser(
        commands,
        "summary",
        "print the layers of a network with their sizes",
        "tinyconv summary alexnet --diff paper,caffe",
    )
    command.add_argument("model", choices=sorted(MODELS))
    variants = command.add_mutually_exclusive_group()
    variants.add_argument("--preset", metavar="P", help="a variant of the network: " + _known())
    variants.add_argument(
        "--diff", metavar="P,P", help="print only in what two or more of its variants differ"
    )
    return command


def run(args):
    presets = (
        args.diff.split(",") if args.diff is not None else [args.preset] if args.preset is not None else []
    )
    _check(args.model, presets)
    if args.diff is not None:
        if len(set(presets)) < 2:
            raise TinyconvError(
                f"--diff: expected two presets or more, as in --diff paper,caffe; got {args.diff!r}"
            )
        print(difference({preset: _facts(args.model, preset) for preset in presets}))
    else:
        print(MODELS[args.model](**({"preset": args.preset} if presets else {})).summary())
    return 0


def _check(model, presets):
    for preset in presets:
        if preset not in PRESETS.get(model, ()):
            raise TinyconvError(
                f"expected presets of {_known(model)}, got {preset!r}"
                if model in PRESETS
                else f"{model} has no presets; those that have: {_known()}"
            )


def _known(*models):
    return "; ".join(f"{model}: {', '.join(PRESETS[model])}" for model in models or PRESETS)


def _facts(model, preset):
    """{what: text}: the facts of the preset, then what comes of them."""
    found = asdict(PRESETS[model][preset])
    if "norm" not in (*found["after_conv1"], *found["after_conv2"]):
        found |= {name: () for name in found if name.startswith("norm_")}  # the constants of no layer
    facts = {name.replace("_", " "): _text(value) for name, value in found.items()}
    return facts | MODELS[model](preset=preset).summary().facts()


def _text(value):
    if isinstance(value, bool):
        return "yes" if value else "no"
    return " ".join(map(str, value)) or "-" if isinstance(value, tuple) else str(value)
