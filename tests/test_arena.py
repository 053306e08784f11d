"""The memory of a tape: pieces that do not overlap while somebody holds them, and come back when
nobody does.
"""

import gc

import numpy as np
import pytest

import tinyconv as tc
from tinyconv import execution
from tinyconv.execution.plans import _plans
from tinyconv.kernels._arena import LINE, Arena, arena_in_use, taking_from
from tinyconv.kernels._cpu.native import aligned_empty
from tinyconv.layers import Conv2d, Dense, Dropout, Flatten, ReLU


def free(arena):
    arena._collect()
    return sum(arena._free.values())


def test_pieces_do_not_overlap_and_come_back():
    arena, rng = Arena(), np.random.default_rng(0)
    held = []
    for step in range(300):
        if held and rng.random() < 0.45:
            array, value = held.pop(rng.integers(len(held)))
            assert (array == value).all()  # nobody else has written to it
            del array
        else:
            array = arena.take(int(rng.integers(1, 10**6)))
            assert array.ctypes.data % LINE == 0 and arena.owns(array)
            array[:] = step % 251
            held.append(
                (array[3:] if len(array) > 3 else array, step % 251)
            )  # a view keeps the piece as well
            del array
    held.clear()
    gc.collect()
    assert free(arena) == sum(slab.nbytes - LINE for slab in arena._slabs) and len(arena._free) == len(
        arena._slabs
    )
    assert not arena.owns(np.empty(3))


def test_the_same_calls_take_no_more_memory():
    arena = Arena()
    for _ in range(5):
        first, second = arena.take(2**26), arena.take(2**20)
        del first, second
        before = arena.nbytes
    assert arena.nbytes == before < 2**27


def test_only_within_the_context():
    arena = Arena()
    with pytest.raises(ZeroDivisionError), taking_from(arena):
        inside, lasting = aligned_empty((3, 5), np.float32), aligned_empty((3, 5), np.float32, lasting=True)
        1 / 0
    outside = aligned_empty((3, 5), np.float32)
    assert [arena.owns(array) for array in (inside, lasting, outside)] == [
        True,
        False,
        False,
    ] and arena_in_use() is None
    assert inside.shape == (3, 5) and inside.dtype == np.float32


def test_plans_of_a_network_share_one_memory(rng):
    """Training and predicting with several sizes of batch, in turns: every answer is that of a network on its
    own, and the memory is that of the largest, not of all."""

    def network():
        return tc.Sequential(
            Conv2d(3, 16, 3, padding=1, rng=0),
            ReLU(),
            Conv2d(16, 16, 3, padding=1, rng=1),
            ReLU(),
            Flatten(),
            Dense(16 * 64, 10, rng=2),
            Dropout(0.2, rng=4),
        ).astype(np.float64)

    net, loss, batches = (
        network(),
        tc.SoftmaxCrossEntropy(),
        [rng.standard_normal((N, 3, 8, 8)) for N in (64, 40, 7)],
    )
    labels = rng.integers(10, size=64)
    execution.forward_backward(net, batches[0], labels, loss, 2)
    _, plans, arena = _plans[net]
    alone, grads = arena.nbytes, {name: grad.copy() for name, grad in net.grads.items()}
    handed_out = net.grads
    for _ in range(2):
        for x in batches:
            np.testing.assert_allclose(
                execution.forward(net, x, 2), network().to("reference").forward(x), rtol=0, atol=1e-12
            )
    for name, grad in grads.items():
        np.testing.assert_array_equal(
            handed_out[name], grad, err_msg=name
        )  # predicting leaves the gradients alone
    for x in batches[1:]:
        execution.forward_backward(net, x, labels[: len(x)], loss, 2)
    assert len(plans) == 6 and arena.nbytes == alone
