"""AlexNet. Krizhevsky, Sutskever, Hinton: ImageNet Classification with Deep Convolutional Neural Networks,
NIPS 2012, sections 3 to 5.

Several networks go by this name. They are one table of layers here (`alexnet`), and PRESETS holds the facts
in which they differ.
"""

from dataclasses import dataclass, replace
from functools import partial

import numpy as np

from tinyconv import Sequential
from tinyconv.annotation import Rng
from tinyconv.initializers import constant, gaussian, root_fan_in_uniform
from tinyconv.layers import Conv2d, Dense, Dropout, Flatten, LocalResponseNorm, MaxPool2d, ReLU

LAYERS = ("conv1", "conv2", "conv3", "conv4", "conv5", "fc6", "fc7", "fc8")


@dataclass(frozen=True)
class Preset:
    """What tells one AlexNet from another, from the image to the first weights."""

    image_side: int  # in pixels
    conv1_padding: int
    conv1_ceil: bool  # whether the size of its maps is rounded up; all other windows fit
    maps: tuple  # of conv1 to conv5
    dense: tuple  # inputs of fc6, outputs of fc6 and of fc7
    groups: int  # of conv2, conv4 and conv5; in conv3 every map sees all
    after_conv1: tuple  # "relu", "norm" and "pool" in their order
    after_conv2: tuple
    norm_k: float  # the other constants are the same everywhere: size 5, alpha 1e-4, beta 0.75
    norm_alpha_over_size: bool
    dropout_of: str  # the "outputs" of fc6 and fc7, or their "inputs"
    dropout_scale: str  # when the factor 1/2 is made up for: "training" or "test"
    first_weights: str  # "gaussian"; or "uniform" in +-1/sqrt(fan-in), the biases too
    first_deviations: tuple  # of Gaussian weights, one for each of LAYERS
    first_biases: tuple  # likewise


PAPER = Preset(
    image_side=224,
    conv1_padding=2,
    conv1_ceil=False,
    maps=(96, 256, 384, 384, 256),
    dense=(9216, 4096, 4096),
    groups=2,
    after_conv1=("relu", "norm", "pool"),
    after_conv2=("relu", "norm", "pool"),
    norm_k=2.0,
    norm_alpha_over_size=False,
    dropout_of="outputs",
    dropout_scale="test",
    first_weights="gaussian",
    first_deviations=(0.01,) * 8,
    first_biases=(0, 1, 0, 1, 1, 1, 1, 0),
)
CAFFE = replace(
    PAPER,
    image_side=227,
    conv1_padding=0,
    norm_k=1.0,
    norm_alpha_over_size=True,
    dropout_scale="training",
    first_deviations=(0.01,) * 5 + (0.005, 0.005, 0.01),
    first_biases=(0, 0.1, 0, 0.1, 0.1, 0.1, 0.1, 0),
)
PRESETS = {
    # As the paper says; padding 2 makes its 55x55 maps from its 224x224 images.
    "paper": PAPER,
    # The authors' own program: network 145 of the source code published by the Computer History Museum in
    # 2025, whose recorded errors on ILSVRC-2010 are the paper's 37.5 % and 17.0 %. It also normalises within
    # each half of the maps apart, and those of conv2 once more over 5x5 pixels: that is left out here, since
    # the paper has neither.
    "cuda-convnet": replace(
        PAPER,
        conv1_padding=0,
        conv1_ceil=True,
        after_conv1=("norm", "pool", "relu"),
        norm_alpha_over_size=True,
        first_deviations=(0.01, 0.01, 0.03, 0.03, 0.03, 0.01, 0.01, 0.01),
    ),
    # BVLC's Caffe, models/bvlc_alexnet and models/bvlc_reference_caffenet, train_val.prototxt (k = 1 is the
    # default of Caffe's LRN).
    "caffe": CAFFE,
    "caffenet": replace(
        CAFFE,
        after_conv1=("relu", "pool", "norm"),
        after_conv2=("relu", "pool", "norm"),
        first_biases=PAPER.first_biases,
    ),
    # torchvision.models.alexnet after Krizhevsky 2014 (One weird trick for parallelizing convolutional neural
    # networks), with PyTorch's usual first weights. Its adaptive pool does nothing to 6x6 maps.
    "torchvision": replace(
        PAPER,
        maps=(64, 192, 384, 256, 256),
        groups=1,
        after_conv1=("relu", "pool"),
        after_conv2=("relu", "pool"),
        dropout_of="inputs",
        dropout_scale="training",
        first_weights="uniform",
        first_deviations=(),
        first_biases=(),
    ),
}
SIZES = {
    "conv1": 55,
    "pool1": 27,
    "conv2": 27,
    "pool2": 13,
    "conv3": 13,
    "conv4": 13,
    "conv5": 13,
    "pool5": 6,
}
CONVOLUTIONS = {
    (PAPER.maps, 2): (2_334_080, 665_784_864),
    (PAPER.maps, 1): (3_747_200, 1_076_634_144),  # parameters, multiply-adds
    (PRESETS["torchvision"].maps, 1): (2_469_696, 655_566_528),
}
HIDDEN = 54_534_144, 54_525_952  # of fc6 and fc7 together


def alexnet(
    groups: int | None = None, classes: int = 1000, rng: Rng = None, *, preset: str = "paper"
) -> Sequential:
    """60,965,224 parameters, 724,406,816 multiply-adds. x (N, 3, 224, 224), mean subtracted; y (N, classes)
    for SoftmaxCrossEntropy.

    groups   None: those of the preset. 2 in the paper, where each of two GPUs held half of the maps; 1: every
             map sees all, 62,378,344 parameters
    rng      numpy Generator or seed; the paper's weights are Gaussian with deviation 0.01, its biases 1 in
             conv2, conv4, conv5, fc6 and fc7, else 0
    preset   a name in PRESETS; `tinyconv summary alexnet --diff paper,caffe` prints what differs

    Raises ValueError for another preset, groups that it does not have, or less than one class.
    """
    if preset not in PRESETS:
        raise ValueError(f"alexnet: expected the preset {', '.join(map(repr, PRESETS))}, got {preset!r}")
    facts = PRESETS[preset] if groups is None else replace(PRESETS[preset], groups=groups)
    if (facts.maps, facts.groups) not in CONVOLUTIONS:
        known = [str(known) for maps, known in CONVOLUTIONS if maps == facts.maps]
        raise ValueError(
            f"alexnet: expected groups={' or '.join(known)} with the preset {preset!r}, got {groups!r}"
        )
    if classes < 1:
        raise ValueError(f"alexnet: expected classes of 1 or more, got {classes!r}")
    net = network(facts, classes, rng)
    _assert_the_counts(net, facts, classes)
    return net


def network(facts: Preset, classes: int, rng: Rng = None) -> Sequential:
    """The network of a Preset, be it one of PRESETS or another; the sizes of maps stand for those of the
    paper.
    """
    rng, (M1, M2, M3, M4, M5), (D5, D6, D7), g = (
        np.random.default_rng(rng),
        facts.maps,
        facts.dense,
        facts.groups,
    )

    def start(name):
        """How the parameters of a layer start."""
        if facts.first_weights == "uniform":
            return {"rng": rng, "initial_weight": root_fan_in_uniform, "initial_bias": root_fan_in_uniform}
        deviation, bias = (
            values[LAYERS.index(name)] for values in (facts.first_deviations, facts.first_biases)
        )
        return {
            "rng": rng,
            "initial_weight": partial(gaussian, deviation=deviation),
            "initial_bias": partial(constant, value=bias),
        }

    def stage(number, order):
        """What follows a convolution, by name."""
        layers = {
            "relu": ReLU,
            "norm": lambda: LocalResponseNorm(
                5, facts.norm_k, 1e-4, 0.75, alpha_over_size=facts.norm_alpha_over_size
            ),
            "pool": lambda: MaxPool2d(3, stride=2),
        }
        return {f"{name}{number}": layers[name]() for name in order}

    def dropout(name, of):
        return {name: Dropout(0.5, scale=facts.dropout_scale, rng=rng)} if of == facts.dropout_of else {}

    # fmt: off
    # 3x224x224
    return Sequential(
        # ->    96x55x55
        conv1=Conv2d(3, M1, 11, stride=4, padding=facts.conv1_padding, ceil=facts.conv1_ceil, **start("conv1")),  # noqa: E501
        # ->    96x27x27
        **stage(1, facts.after_conv1),
        # ->   256x27x27
        conv2=Conv2d(M1, M2, 5, padding=2, groups=g, **start("conv2")),
        # ->   256x13x13
        **stage(2, facts.after_conv2),
        # ->   384x13x13
        conv3=Conv2d(M2, M3, 3, padding=1, **start("conv3")), relu3=ReLU(),
        # ->   384x13x13
        conv4=Conv2d(M3, M4, 3, padding=1, groups=g, **start("conv4")), relu4=ReLU(),
        # ->   256x6x6
        conv5=Conv2d(M4, M5, 3, padding=1, groups=g, **start("conv5")), **stage(5, ("relu", "pool")),
        # ->  9216
        flat=Flatten(), **dropout("drop6", "inputs"),
        # ->  4096
        fc6=Dense(D5, D6, **start("fc6")), relu6=ReLU(), **dropout("drop6", "outputs"),
        **dropout("drop7", "inputs"),
        # ->  4096
        fc7=Dense(D6, D7, **start("fc7")), relu7=ReLU(), **dropout("drop7", "outputs"),
        # ->  1000
        fc8=Dense(D7, classes, **start("fc8")),
        input_shape=(3, facts.image_side, facts.image_side),
    )
    # fmt: on


def _assert_the_counts(net, facts, classes):
    summary = net.summary()
    shapes = {name: shape for name, _, shape, *_ in summary.rows}
    assert all(shapes[name] == (facts.maps[int(name[-1]) - 1], size, size) for name, size in SIZES.items()), (
        shapes
    )
    convolutions = [row for row in summary.rows if row[0].startswith("conv")]
    counts = sum(row[3] for row in convolutions), sum(row[5] for row in convolutions)
    assert counts == CONVOLUTIONS[facts.maps, facts.groups], (
        f"convolutions: {counts} parameters and multiply-adds"
    )
    assert summary.parameters == counts[0] + HIDDEN[0] + 4097 * classes, f"{summary.parameters} parameters"
    assert summary.multiply_adds == counts[1] + HIDDEN[1] + 4096 * classes, (
        f"{summary.multiply_adds} multiply-adds"
    )
