"""adam: steps along a running mean of the gradient, divided by the root of the running mean of its square.

    weight, dweight, mean, square: any shape, all alike
    lr, beta1, beta2, eps, weight_decay, scale: floats    decoupled: bool    step: int, 1 at the first update

update          g      = scale dweight + weight_decay weight          only where decoupled is False
                g      = scale dweight                                where it is True
                mean   = beta1 mean + (1 - beta1) g                   m_t of the paper
                square = beta2 square + (1 - beta2) g^2               v_t
                weight = weight - lr weight_decay weight              only where decoupled is True
                weight = weight - lr (mean / (1 - beta1^step)) / (sqrt(square / (1 - beta2^step)) + eps)

Mean and square start at 0, and are too small in the first steps by just these factors 1 - beta^step: to
divide by them is the bias correction. With decoupled=True (AdamW) every weight shrinks by the same share, lr
weight_decay. With False the decay is part of the gradient, and is divided by the root of the square too:
weights with large gradients then hardly shrink. The 2019 paper writes eta_t lambda for lr weight_decay.

update writes into weight, mean and square, as kernels/sgd does: others hold on to the weights. The norm that
clips a gradient is the business of kernels/sgd (sum_of_squares), and in a captured step a scale that is NaN
leaves all three arrays as they are.

Source: Kingma, Ba 2015, algorithm 1; Loshchilov, Hutter 2019, algorithm 2 (decoupled weight decay).
"""

import math


def numbers(lr, beta1, beta2, eps, weight_decay, decoupled, step):
    """Return the numbers that the compiled update works with, in the order in which it reads them.

    They are computed here, in float64: in float32 the difference 1 - 0.999 has three digits less than 0.999.

        rate, root    of weight -= rate mean / (root sqrt(square) + eps):
                      lr / (1 - beta1^step) and 1 / sqrt(1 - beta2^step)
        keep, add     the shares of the old mean and of g, beta1 and 1 - beta1;
                      then those of the old square and of g^2, beta2 and 1 - beta2
        eps
        pull, shrink  weight_decay as a part of g, and as a share of the weight: one of the two is 0
    """
    rate = lr / (1 - beta1**step)
    root = 1 / math.sqrt(1 - beta2**step)
    pull = 0.0 if decoupled else weight_decay
    shrink = lr * weight_decay if decoupled else 0.0
    return rate, root, beta1, 1 - beta1, beta2, 1 - beta2, eps, pull, shrink
