"""softmax_cross_entropy: the loss of a classifier, the mean over the batch of minus the log probability of
the right class.

    x       (N, K), the scores of K classes          labels  (N,) int, the right class of each image
    result  one number

forward         p[n,k] = e^x[n,k] / sum_k' e^x[n,k']                 (softmax)
                loss   = 1/N sum_n -log p[n, labels[n]]

Derivation. This is the end of the network: E is the loss itself, so there is no dy, and dx = dE/dx. First
take the logarithm apart:

    -log p[n, label] = log(sum_k e^x[n,k]) - x[n, label]

Then differentiate by x[n,k]:

    of the first term:   d log(S)/dx[n,k] = 1/S . dS/dx[n,k] = ...,   S = sum_k e^x[n,k]
    of the second term:  1 where k = labels[n], and 0 elsewhere

Go on: what is the first, in terms of p? What does the mean do to the gradient? (The largest score is
subtracted from all before e^x, so that nothing overflows: p stays the same, and so does its derivative.)
"""
import numpy as np


def softmax(x):
    """p (N, K)."""
    exponentials = np.exp(x - x.real.max(axis=1, keepdims=True))
    return exponentials / exponentials.sum(axis=1, keepdims=True)


def forward(x, labels):
    return -np.log(softmax(x)[np.arange(len(x)), labels]).mean()


def backward_input(x, labels):
    """dx (N, K)."""
    dx = softmax(x)                                          # reverses: log sum_k e^x
    dx[np.arange(len(x)), labels] -= 1                       # reverses: - x[label]
    return dx / len(x)                                       # reverses: the mean
