"""The criteria of other gradient checkers, as their documentation gives them, for `tinyconv gradcheck
--self-test` to compare with.

Each function says whether a subject (../subjects.py) passes. All get what ours gets: the object, the point,
float64 throughout. Where they leave dy or the direction to chance it is drawn from rng. Kinks, and what a
call leaves behind, are as each of them treats them.
"""

import numpy as np


def torch_gradcheck(subject, rng):
    """torch.autograd.gradcheck: the whole Jacobian, eps 1e-6, |a - n| <= 1e-5 + 1e-3 |n|; a backward called
    twice must give the same bits.

    Source: docs.pytorch.org, torch.autograd.gradcheck.gradcheck (fast_mode=False).
    """
    rows = [subject.backward(dy) for dy in _one_hots(subject.y)]
    again = subject.backward(_one_hots(subject.y)[0])
    for name, value in subject.values.items():
        if not _fits(rows[0][name], value) or not np.array_equal(rows[0][name], again[name], equal_nan=True):
            return False
        numerical = _jacobian(subject, name, 1e-6)
        analytical = np.stack([row[name].reshape(-1) for row in rows], axis=1)
        if not np.allclose(analytical, numerical, rtol=1e-3, atol=1e-5):
            return False
    return True


def jax_check_grads(subject, rng):
    """jax.test_util.check_grads, mode "rev": one random direction through all arrays, a random dy, eps 1e-4,
    atol = rtol = 1e-5 (float64).

    Source: docs.jax.dev, jax.test_util.check_grads.
    """
    return _along_one_direction(subject, rng, 1e-4, 1e-5, 1e-5)


def chainer_check_backward(subject, rng):
    """chainer.gradient_check.check_backward: one random direction of length 1 through all arrays, eps 1e-3,
    atol 1e-5, rtol 1e-4.

    Source: docs.chainer.org, chainer.gradient_check.check_backward.
    """
    return _along_one_direction(subject, rng, 1e-3, 1e-5, 1e-4, unit=True)


def cs231n_strict(subject, rng):
    """cs231n: each element, h 1e-5, a random dy; |a - n| / max(1e-8, |a| + |n|) below 1e-7, "you should be
    happy".

    Source: cs231n.github.io, neural-networks-3, "Gradient checks".
    """
    return _cs231n(subject, rng, 1e-7)


def cs231n_kinks(subject, rng):
    """The same, below 1e-4: "okay for objectives with kinks"."""
    return _cs231n(subject, rng, 1e-4)


def caffe_gradient_checker(subject, rng):
    """Caffe's GradientChecker: the gradient of 2 y[e] for each output e, every element, step 1e-2, |a - n| <=
    1e-2 max(|a|, |n|, 1).

    Source: Caffe, test_gradient_check_util.hpp. Its tests place kinks by hand, where an author thinks of
    them; here nobody does.
    """
    rows = [subject.backward(2 * dy) for dy in _one_hots(subject.y)]
    for name, value in subject.values.items():
        if not _fits(rows[0][name], value):
            return False
        numerical, analytical = (
            2 * _jacobian(subject, name, 1e-2),
            np.stack([row[name].reshape(-1) for row in rows], axis=1),
        )
        if not np.all(
            np.abs(analytical - numerical)
            <= 1e-2 * np.maximum(1, np.maximum(np.abs(analytical), np.abs(numerical)))
        ):
            return False
    return True


def tiny_dnn(subject, rng):
    """tiny-dnn's layer tests: dy = 1, one random element of each array, step 1e-2, |a - n| <= 1e-2.

    Source: tiny-dnn, test/testhelper and the layers' gradient_check tests.
    """
    dy = np.ones(subject.y.shape)
    found = subject.backward(dy)
    for name, value in subject.values.items():
        if not _fits(found[name], value):
            return False
        index = tuple(rng.integers(size) for size in value.shape)
        numerical = np.sum(dy * _column(subject, name, index, 1e-2))
        if not abs(found[name][index] - numerical) <= 1e-2:
            return False
    return True


OTHERS = {
    "torch.autograd.gradcheck": torch_gradcheck,
    "jax.test_util.check_grads": jax_check_grads,
    "chainer check_backward": chainer_check_backward,
    "cs231n, below 1e-7": cs231n_strict,
    "cs231n, below 1e-4": cs231n_kinks,
    "Caffe GradientChecker": caffe_gradient_checker,
    "tiny-dnn, dy = 1": tiny_dnn,
}


def _fits(gradient, value):
    return gradient is not None and np.shape(gradient) == value.shape


def _one_hots(y):
    return np.eye(y.size).reshape(y.size, *y.shape)


def _column(subject, name, index, h):
    moved = []
    for step in (h, -h):
        value = subject.values[name].copy()
        value[index] += step
        moved.append(subject.forward({name: value}))
    return (moved[0] - moved[1]) / (2 * h)


def _jacobian(subject, name, h):
    """(elements of the array, elements of y), by central differences."""
    return np.stack(
        [_column(subject, name, index, h).reshape(-1) for index in np.ndindex(subject.values[name].shape)]
    )


def _along_one_direction(subject, rng, eps, atol, rtol, unit=False):
    direction = {name: rng.standard_normal(value.shape) for name, value in subject.values.items()}
    if unit:
        length = np.sqrt(sum(np.sum(d**2) for d in direction.values()))
        direction = {name: d / length for name, d in direction.items()}
    dy = rng.standard_normal(subject.y.shape)
    found = subject.backward(dy)
    if not all(_fits(found[name], value) for name, value in subject.values.items()):
        return False
    plus, minus = (
        subject.forward({name: value + step * direction[name] for name, value in subject.values.items()})
        for step in (eps, -eps)
    )
    numerical = np.sum(dy * (plus - minus)) / (2 * eps)
    analytical = sum(np.sum(found[name] * direction[name]) for name in found)
    return bool(np.allclose(analytical, numerical, rtol=rtol, atol=atol))


def _cs231n(subject, rng, threshold):
    dy = rng.standard_normal(subject.y.shape)
    found = subject.backward(dy)
    for name, value in subject.values.items():
        if not _fits(found[name], value):
            return False
        numerical = (_jacobian(subject, name, 1e-5) @ dy.reshape(-1)).reshape(value.shape)
        error = np.abs(found[name] - numerical) / np.maximum(1e-8, np.abs(found[name]) + np.abs(numerical))
        if not error.max() <= threshold:
            return False
    return True
