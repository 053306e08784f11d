"""AlexNet's recipe: that of section 5 of the paper (models/alexnet.py names it)."""

from tinyconv import Sequential
from tinyconv.layers import Dropout
from tinyconv.losses import SoftmaxCrossEntropy
from tinyconv.recipe import Bench, Model, Recipe, photographs
from tinyconv.setting import Setting, choice, off_switch

from .alexnet import PRESETS, alexnet


def _network(classes, rng, preset, groups, dropout):
    net = alexnet(groups, classes, rng, preset=preset)
    return net if dropout else without_dropout(net)


def without_dropout(net):
    """Return a network of the same layers, less those of dropout."""
    kept = {name: layer for name, layer in net.named_layers.items() if not isinstance(layer, Dropout)}
    return Sequential(**kept, input_shape=net.input_shape)


def _inputs(train, net, settings):
    """Bytes less their mean, as in 2012; torchvision's first weights are made for numbers around 1."""
    scale = 1 / 64 if settings["options"]["preset"] == "torchvision" else 1.0
    return photographs(scale, mirror=True, colour=0.1, crops=10)(train, net, settings)


# There is no default data set.
ALEXNET = Model(
    alexnet,
    recipes={
        "softmax": Recipe(
            _network,
            SoftmaxCrossEntropy,
            _inputs,
            preparation="photo 256",
            training={
                "data": None,
                "augment": True,
                "lr": 1e-2,
                "schedule": "plateau",
                "nesterov": False,
                "weight_decay": 5e-4,
                "batch_size": 128,
                "epochs": 90,
            },
        )
    },
    options=(
        Setting("preset", choice(*PRESETS), "the variant", default="paper"),
        Setting(
            "groups", choice(1, 2), "groups of the convolutions", default=None, said="as the preset has it"
        ),
        Setting("dropout", off_switch, "without dropout", default=True),
    ),
    presets=PRESETS,
    bench=Bench(
        SoftmaxCrossEntropy,
        {"lr": 0.01, "momentum": 0.9, "weight_decay": 5e-4},
        predictions=(1, 64),
        alone=True,
    ),
)
