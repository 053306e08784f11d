"""tinyconv summary: how large a network is, layer by layer."""
from ..models import MODELS
from . import options


def add_parser(commands):
    command = options.parser(commands, "summary", "print the layers of a network with their sizes", "tinyconv summary lenet5")
    command.add_argument("model", choices=sorted(MODELS))
    return command


def run(args):
    print(MODELS[args.model]().summary())
    return 0
