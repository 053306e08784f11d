"""A layer of one's own, with parameters: checked by `tinyconv gradcheck "layer_norm.py:LayerNorm(5)"`."""

import numpy as np


class LayerNorm:
    """y = weight (x - mean) / std + bias, with mean and std over the features of each image. x, y (N,
    features).
    """

    def __init__(self, features, epsilon=1e-5):
        self.epsilon, self.grads = epsilon, {}
        self.params = {"weight": np.linspace(0.5, 1.5, features), "bias": np.zeros(features)}

    def forward(self, x):
        centered = x - x.mean(axis=1, keepdims=True)
        self.std = np.sqrt((centered**2).mean(axis=1, keepdims=True) + self.epsilon)
        self.normal = centered / self.std
        return self.params["weight"] * self.normal + self.params["bias"]

    def backward(self, dy):
        self.grads = {"weight": (dy * self.normal).sum(axis=0), "bias": dy.sum(axis=0)}
        dnormal = dy * self.params["weight"]
        through_std = self.normal * (dnormal * self.normal).mean(axis=1, keepdims=True)
        return (dnormal - dnormal.mean(axis=1, keepdims=True) - through_std) / self.std
