"""How each model is trained where the command line is silent: one table, which `train` writes into run.json and all other commands read back."""
from dataclasses import dataclass, field
from typing import Callable

from .. import Sequential, losses, optimizers
from ..data import Inputs
from ..errors import TinyconvError
from ..layers import Dropout
from ..models import alexnet, cifar_net, lenet5, mlp

SCHEDULES = {"constant": "the same all the time", "cosine": "falls to 0 along a cosine", "plateau": "divided by 10 when the test error stops improving",
             "steps": "divided by 10 at the epochs of --lr-steps"}


@dataclass(frozen=True)
class Recipe:
    """The network, its loss, what it sees of an image, and how it is trained.

    network      (classes, rng, **options) -> the network, untrained        options: what can be chosen of it, with the defaults
    data         the data set; None: there is no default                    preparation: of images from a folder (data.load)
    inputs       (train, net, settings) -> Inputs                           augment: whether there is augmentation, unless it is switched off
    """

    network: Callable
    loss: Callable
    inputs: Callable
    lr: float
    options: dict = field(default_factory=dict)
    data: str | None = "mnist5k"
    preparation: str = "fit"
    augment: bool = False
    schedule: str = "cosine"
    patience: int = 5
    momentum: float = 0.9
    nesterov: bool = True
    weight_decay: float = 0.0
    clip: float | None = None
    batch_size: int = 64
    epochs: int = 20

    def settings(self):
        """What a run uses where the command line is silent."""
        names = ("augment", "lr", "schedule", "patience", "momentum", "nesterov", "weight_decay", "clip", "batch_size", "epochs")
        return {name: getattr(self, name) for name in names} | {"options": dict(self.options), "lr_steps": None, "until_error": None}


def _digits(train, net, settings):
    """As in 1998: background -0.1 and ink 1.175, padded to the size that the network takes."""
    return Inputs.digits(train.shape, net.input_shape)


def photographs(scale=1.0, **augmentation):
    """The mean image subtracted, with `augmentation` where it is not switched off."""
    def inputs(train, net, settings):
        return Inputs.measured(train, crop=net.input_shape[1], scale=scale, **(augmentation if settings["augment"] else {}))
    return inputs


def _lenet5(head):
    return lambda classes, rng: lenet5(head, rng, classes=classes)


def _alexnet(classes, rng, groups, preset, dropout):
    net = alexnet(groups, classes, rng, preset=preset)
    return net if dropout else without_dropout(net)


def _alexnet_inputs(train, net, settings):
    """As in 2012 bytes less their mean; only the first weights of torchvision's are made for numbers around 1."""
    scale = 1 / 64 if settings["options"]["preset"] == "torchvision" else 1.0
    return photographs(scale, mirror=True, colour=0.1, crops=10)(train, net, settings)


def without_dropout(net):
    """The same layers, less those of dropout."""
    return Sequential(**{name: layer for name, layer in net.named_layers.items() if not isinstance(layer, Dropout)}, input_shape=net.input_shape)


# LeNet-5's first was chosen on a held-out tenth of MNIST's training images, five seeds a recipe. AlexNet's is the paper's, section 5.
RECIPES = {
    ("lenet5", "map"): Recipe(_lenet5("rbf"), lambda: losses.RBFLoss("map"), _digits, 1e-2, clip=10.0, weight_decay=5e-3),
    ("lenet5", "mse"): Recipe(_lenet5("rbf"), lambda: losses.RBFLoss("mse"), _digits, 3e-3),
    ("lenet5", "softmax"): Recipe(_lenet5("dense"), losses.SoftmaxCrossEntropy, _digits, 1e-2),
    ("mlp", "softmax"): Recipe(lambda classes, rng: mlp(classes=classes, rng=rng), losses.SoftmaxCrossEntropy, _digits, 2e-2),
    ("alexnet", "softmax"): Recipe(
        _alexnet, losses.SoftmaxCrossEntropy, _alexnet_inputs, 1e-2, augment=True, data=None,
        preparation="photo 256", options={"preset": "paper", "groups": None, "dropout": True}, schedule="plateau", nesterov=False,
        weight_decay=5e-4, batch_size=128, epochs=90),
    ("cifar_net", "softmax"): Recipe(
        lambda classes, rng, **options: cifar_net(**options, classes=classes, rng=rng), losses.SoftmaxCrossEntropy,
        photographs(1 / 64, mirror=True, shift=4, crops=10), 2e-2, augment=True, data="cifar10", preparation="photo 32",
        options={"activation": "relu", "norm": True}, nesterov=False, weight_decay=5e-4, batch_size=128, epochs=30),
}
MODELS = tuple(dict.fromkeys(model for model, _ in RECIPES))
EPOCHS = {"mnist5k": 40}                                     # a twelfth of the images: more passes. Other data: the recipe's


def default_loss(model):
    return next(loss for of, loss in RECIPES if of == model)


def recipe(model, loss):
    """The recipe of a model with a loss. Raises TinyconvError where they do not go together."""
    if (model, loss) not in RECIPES:
        raise TinyconvError(f"{model} has no rbf output units for --loss {loss}: use --loss softmax")
    return RECIPES[model, loss]


def build(settings, rng=None):
    """The network, untrained, and the loss of a run's settings."""
    chosen = recipe(settings["model"], settings["loss"])
    try:
        return chosen.network(len(settings["class_names"]), rng, **settings["options"]), chosen.loss()
    except ValueError as error:                 # options that do not go together, such as a preset and its groups
        raise TinyconvError(str(error)) from None


def sgd(settings, net, steps_per_epoch, errors):
    """The optimiser of a run's settings; errors() gives the test errors of the epochs so far."""
    lr, steps = settings["lr"], settings["epochs"] * steps_per_epoch
    rate = {"constant": lambda: optimizers.constant(lr), "cosine": lambda: optimizers.cosine(lr, steps),
            "plateau": lambda: optimizers.plateau(lr, errors, settings["patience"]),
            "steps": lambda: optimizers.lowered_at(lr, [epoch * steps_per_epoch for epoch in settings["lr_steps"]])}[settings["schedule"]]()
    nesterov = settings["nesterov"] and settings["momentum"] > 0
    return optimizers.SGD(net, rate, settings["momentum"], settings["weight_decay"], nesterov=nesterov, clip=settings["clip"] or None)
