"""A recorded training step computes what the layers compute one after the other, for any batch, any threads,
again and again.
"""

import copy
import gc
import threading
import tracemalloc
import weakref

import numpy as np
import pytest

import tinyconv as tc
from tinyconv import execution
from tinyconv.kernels._cpu.kernel import kernel
from tinyconv.kernels._cpu.tape import Tape, recording
from tinyconv.kernels._cpu.threads import run
from tinyconv.layers import RBF, Conv2d, Dense, Dropout, Flatten, ScaledTanh, TableConv2d, Tanh
from tinyconv.losses import RBFLoss, SoftmaxCrossEntropy
from tinyconv.models import lenet5
from tinyconv.optimizers import SGD


@kernel
def scale(x, factor, shape, flag, y):
    for e in range(len(x)):
        y[e] = x[e] * factor + shape[1] if flag else x[e]


def step_by_step(net, x, labels, loss):
    """forward, loss and backward through the layers, without a plan: value, scores, grads."""
    net = copy.deepcopy(net)
    scores = net.forward(x, training=True)
    value = loss.forward(scores, labels)
    net.backward(loss.backward(), need_dx=False)
    return value, scores, net.grads


def batch(rng, N, dtype=np.float64, size=32):
    return rng.standard_normal((N, 1, size, size)).astype(dtype), rng.integers(10, size=N)


def small_net(dtype=np.float64):
    return tc.Sequential(
        Conv2d(1, 3, 3, stride=2, padding=1, rng=0), Tanh(), Flatten(), Dense(48, 10, rng=1)
    ).astype(dtype)


@pytest.mark.parametrize("threads", [1, 2, 3])
@pytest.mark.parametrize("N", [1, 3, 7, 8, 17, 40, 65])
@pytest.mark.parametrize("head, loss", [("rbf", RBFLoss("map")), ("dense", SoftmaxCrossEntropy())])
def test_plan_is_the_layers_one_after_the_other(N, threads, head, loss, rng):
    net = lenet5(head, rng=2).astype(np.float64)
    for value in net.params.values():
        value *= 3  # at the paper's initial weights the gradients are near 0
    for _ in range(2):  # the second step plays what the first one recorded, on another batch
        x, labels = batch(rng, N)
        assert execution.strategy(net, x, loss)[0] == "images"
        value, scores = execution.forward_backward(net, x, labels, loss, threads)
        expected_value, expected_scores, expected_grads = step_by_step(net, x, labels, loss)
        assert value == pytest.approx(expected_value, rel=1e-12)
        np.testing.assert_allclose(
            scores, expected_scores, rtol=0, atol=1e-12 * np.abs(expected_scores).max()
        )
        np.testing.assert_allclose(
            execution.forward(net, x, threads),
            expected_scores,
            rtol=0,
            atol=1e-12 * np.abs(expected_scores).max(),
        )
        assert net.grads.keys() == expected_grads.keys()
        for name, grad in expected_grads.items():
            np.testing.assert_allclose(
                net.grads[name], grad, rtol=0, atol=1e-11 * np.abs(grad).max(), err_msg=name
            )


@pytest.mark.parametrize("threads", [1, 2])
def test_same_threads_same_bits(threads, rng):
    x, labels = batch(rng, 100, np.float32)
    weights = []
    for _ in range(2):
        net, loss = lenet5(rng=3), RBFLoss("map")
        optimizer = SGD(net, lr=0.01, momentum=0.9, nesterov=True)
        for first in (0, 33, 50):
            net.train_step(x[first : first + 50], labels[first : first + 50], loss, optimizer, threads)
        weights.append({name: value.tobytes() for name, value in net.params.items()})
    assert weights[0] == weights[1]


def test_steps_allocate_nothing_large(rng):
    net, loss = lenet5(rng=3), RBFLoss("map")
    optimizer, (x, labels) = SGD(net, lr=0.01, momentum=0.9), batch(rng, 64, np.float32)
    net.train_step(x, labels, loss, optimizer)
    tracemalloc.start()
    for _ in range(3):
        net.train_step(x, labels, loss, optimizer)
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert peak < 50_000, f"{peak} bytes; one map of C1 alone takes {64 * 784 * 4}"


def test_other_parameters_other_results(rng):
    net, (x, _) = small_net(), batch(rng, 20, size=8)
    before = execution.forward(net, x)
    net.layers[0].params["weight"] = net.layers[0].params["weight"] + 1
    after = execution.forward(net, x)
    np.testing.assert_allclose(after, net.forward(x), rtol=1e-12)
    assert not np.allclose(before, after)
    net.layers[3].params["weight"][:] = 0  # in place: the same array
    np.testing.assert_allclose(execution.forward(net, x), net.forward(x), rtol=1e-12)


def test_results_are_not_overwritten_by_the_next_call(rng):
    net, (x, _) = small_net(), batch(rng, 20, size=8)
    first = execution.forward(net, x)
    kept = first.copy()
    execution.forward(net, 2 * x)
    np.testing.assert_array_equal(first, kept)


def test_what_cannot_be_recorded_goes_layer_by_layer(rng):
    class Doubled(Tanh):
        def _forward(self, x, training):
            y = super()._forward(x, training)
            y.data[...] *= 2  # in Python: a tape would leave it out
            return y

    x, labels = batch(rng, 20, size=8)
    for layer, expected in ((Doubled(), "calls"), (Dropout(0.5, rng=0), "layers")):
        net = tc.Sequential(Flatten(), layer, Dense(64, 10, rng=0)).astype(np.float64)
        way, why = execution.strategy(net, x)
        assert way == expected and type(layer).__name__ in why
        np.testing.assert_allclose(execution.forward(net, x), net.forward(x), rtol=1e-12)
    large = tc.Sequential(
        Conv2d(1, 64, 3, padding=1, rng=0), Conv2d(64, 8, 3, rng=0), Flatten(), Dense(8 * 62 * 62, 10, rng=0)
    )
    way, why = execution.strategy(large, np.zeros((1, 1, 64, 64), np.float32))
    assert way == "layers" and "MiB" in why


@pytest.mark.parametrize("threads", [2, 3])
def test_threads_share_large_layers(threads, rng):
    net = tc.Sequential(
        Conv2d(1, 24, 5, padding=2, rng=0),
        Tanh(),
        TableConv2d(np.eye(24, dtype=bool), 3, rng=0),
        Conv2d(24, 32, 3, stride=2, rng=0),
        Flatten(),
        Dense(32 * 30 * 30, 10, rng=0),
    ).astype(np.float64)
    x, labels = batch(rng, 16, size=64)
    assert execution.strategy(net, x)[0] == "layers"
    loss = SoftmaxCrossEntropy()
    value, _ = execution.forward_backward(net, x, labels, loss, threads)
    expected, _, grads = step_by_step(net, x, labels, loss)
    assert value == expected  # shares are cut between sums, never within one: the same bits
    for name, grad in grads.items():
        np.testing.assert_array_equal(net.grads[name], grad, err_msg=name)


def test_two_python_threads_two_networks(rng):
    batches = [batch(rng, 48, np.float32) for _ in range(2)]

    def train(place, weights):
        net, loss = lenet5(rng=place), RBFLoss("map")
        optimizer = SGD(net, lr=0.01, momentum=0.9)
        for _ in range(5):
            net.train_step(*batches[place], loss, optimizer, threads=2)
        weights[place] = net.params

    alone, together = {}, {}
    for place in range(2):
        train(place, alone)
    threads = [threading.Thread(target=train, args=(place, together)) for place in range(2)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    for place in range(2):
        for name, value in alone[place].items():
            np.testing.assert_array_equal(together[place][name], value, err_msg=name)


def test_tape_repeats_calls_on_new_arrays():
    x, y, z = np.arange(5.0), np.empty(5), np.empty(5)
    with recording() as calls:
        scale(x, 2.0, (1, 3), True, y)
        scale(y, 0.5, (0, 1), True, z)
    tape = Tape(calls)
    slot = tape.slot(x)
    y[:] = z[:] = np.nan
    tape.play()
    np.testing.assert_array_equal(z, np.arange(5.0) + 2.5)
    slot.put(np.arange(3.0) + 10)  # shorter: only as much is written
    z[:] = np.nan
    tape.play()
    np.testing.assert_array_equal(z, [12.5, 13.5, 14.5, 5.5, 6.5])
    for wrong in (np.arange(5), np.ones((5, 1)), np.arange(10.0)[::2]):
        with pytest.raises(ValueError, match="a tape made for float64 of rank 1"):
            slot.put(wrong)


def test_recording_within_a_recording_is_an_error():
    with recording(), pytest.raises(RuntimeError, match="already"), recording():
        pass
    with recording() as calls:  # and the error left nothing behind
        scale(np.ones(2), 1.0, (1, 2), False, np.ones(2))
    assert len(calls) == 1


def test_a_kernel_takes_no_strings():
    with recording() as calls:
        scale(np.ones(2), 1.0, (1, 2), False, np.ones(2))
    with pytest.raises((TypeError, KeyError)):
        Tape([(calls[0][0], ("x",))])


def test_what_changes_in_a_network_is_seen(rng):
    """Each change makes what the plan has recorded wrong; the next call must notice."""
    x, _ = batch(rng, 20, size=8)

    def other_dict(net):
        net.layers[0].params = {name: value + 1 for name, value in net.layers[0].params.items()}

    def other_layer(net):
        net.named_layers["1_Tanh"] = ScaledTanh()

    def other_option(net):
        net.layers[0].padding, net.layers[0].stride = (2, 2), (3, 3)

    for change in (other_dict, other_layer, other_option):
        net = small_net()
        before = execution.forward(net, x)
        change(net)
        after = execution.forward(net, x)
        np.testing.assert_allclose(after, net.forward(x), rtol=1e-12)
        assert not np.allclose(before, after), change

    net = tc.Sequential(RBF(np.ones((4, 64))), input_shape=(64,)).astype(
        np.float64
    )  # centers in float32, x in float64
    features = x.reshape(20, 64)
    execution.forward(net, features)
    net.layers[0].state["centers"][:] = 2
    np.testing.assert_allclose(execution.forward(net, features), net.forward(features), rtol=1e-12)


def test_layers_that_change_how_parameters_are_read_are_not_recorded(rng):
    class Clipped(Dense):
        def _parameter(self, name, like):
            return np.clip(super()._parameter(name, like), -0.1, 0.1)

    patched = Dense(64, 10, rng=0)
    patched.forward = lambda x, training=False: x
    for layer in (Clipped(64, 10, rng=0), patched):
        assert execution.strategy(tc.Sequential(layer), np.zeros((20, 64), np.float32))[0] == "calls"


@pytest.mark.parametrize("threads", [1, 2, 3])
@pytest.mark.parametrize("N", [1, 17, 40])
@pytest.mark.parametrize("scale", ["training", "test"])
def test_threads_share_layers_with_dropout(N, threads, scale, rng):
    """Each step draws masks of its own, the same as without a plan; predicting, and making plans,
    draws none.
    """

    def network():
        return tc.Sequential(
            Conv2d(1, 9, 3, padding=1, rng=0),
            Tanh(),
            Dropout(0.5, scale=scale, rng=1),
            Flatten(),
            Dense(576, 40, rng=2),
            Tanh(),
            Dropout(0.3, scale=scale, rng=3),
            Dense(40, 10, rng=4),
        ).astype(np.float64)

    net, plain, loss = network(), network().to("reference"), SoftmaxCrossEntropy()
    for _ in range(3):
        x, labels = batch(rng, N, size=8)
        assert execution.strategy(net, x, loss)[0] == "layers"
        value, scores = execution.forward_backward(net, x, labels, loss, threads)
        np.testing.assert_allclose(execution.forward(net, x, threads), plain.forward(x), rtol=0, atol=1e-12)
        expected_scores = plain.forward(x, training=True)
        plain_loss = SoftmaxCrossEntropy().to("reference")
        assert value == pytest.approx(plain_loss.forward(expected_scores, labels), rel=1e-12)
        plain.backward(plain_loss.backward())
        np.testing.assert_allclose(scores, expected_scores, rtol=0, atol=1e-12)
        for name, grad in plain.grads.items():
            np.testing.assert_allclose(net.grads[name], grad, rtol=0, atol=1e-12, err_msg=name)


def test_strided_arrays(rng):
    net, loss = small_net(), SoftmaxCrossEntropy()
    x, labels = batch(rng, 40, size=8)
    value, _ = execution.forward_backward(net, x[::2], labels[::2], loss)
    assert value == pytest.approx(
        execution.forward_backward(net, x[::2].copy(), labels[::2].copy(), loss)[0], rel=1e-14
    )
    table = rng.standard_normal((3, 2))
    net.layers[0].params["bias"] = table[:, 0]
    np.testing.assert_allclose(
        execution.forward(net, x), copy.deepcopy(net).to("reference").forward(x), rtol=1e-10
    )


def test_networks_and_optimizers_can_be_copied_and_let_go(rng):
    x, labels = batch(rng, 20, size=8)
    net, loss = small_net(), SoftmaxCrossEntropy()
    optimizer = SGD(net, lr=0.1, momentum=0.9)
    net.train_step(x, labels, loss, optimizer)
    twin, twins_optimizer = copy.deepcopy((net, optimizer))
    before = {name: value.copy() for name, value in net.params.items()}
    twin.train_step(x, labels, loss, twins_optimizer)
    for name, value in before.items():
        np.testing.assert_array_equal(net.params[name], value)
        assert not np.array_equal(twin.params[name], value)
    for make in (small_net, lambda: Dense(64, 10, rng=0).astype(np.float64)):
        net = make()
        execution.forward(net, x if isinstance(net, tc.Sequential) else x.reshape(20, 64))
        gone = weakref.ref(net)
        del net
        gc.collect()
        assert gone() is None, "a plan keeps its network alive"


def test_one_network_asked_by_two_threads(rng):
    net, results = small_net(), {}
    batches = [batch(rng, 30, size=8)[0] for _ in range(2)]
    expected = [net.forward(x) for x in batches]

    def ask(place):
        results[place] = [execution.forward(net, batches[place], 2) for _ in range(200)]

    threads = [threading.Thread(target=ask, args=(place,)) for place in range(2)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    for place, answers in results.items():
        for answer in answers:
            np.testing.assert_allclose(answer, expected[place], rtol=1e-12)


def test_errors_in_shares_are_raised_and_leave_the_threads_usable():
    def work(job):
        if job == 2:
            raise KeyError("two")
        return job

    for _ in range(3):
        with pytest.raises(KeyError, match="two"):
            run(work, [1, 2, 3])
        assert run(work, [1, 3, 4]) == [1, 3, 4]


@pytest.mark.parametrize(
    "change", ["another layer", "a bias where there was none", "a patched forward", "another order"]
)
def test_whatever_is_added_or_moved_is_noticed(change, rng):
    layers = {"F": Flatten(), "D": Dense(64, 10, bias=False, rng=0), "T": Tanh(), "E": Dense(10, 10, rng=1)}
    net, (x, _) = tc.Sequential(**layers).astype(np.float64), batch(rng, 20, size=8)
    before = execution.forward(net, x)
    if change == "another layer":
        net.named_layers["extra"] = ScaledTanh()
    elif change == "a bias where there was none":
        net.named_layers["D"].params["bias"] = np.linspace(-1, 1, 10)
    elif change == "a patched forward":
        net.named_layers["T"].forward = lambda x, training=False: x
    else:
        net.named_layers["E"] = net.named_layers.pop("E")  # last already
        net.named_layers["T"] = net.named_layers.pop("T")
    after = execution.forward(net, x)
    np.testing.assert_allclose(after, net.forward(x), rtol=1e-12)
    assert not np.allclose(before, after)


def test_one_thread_predicts_while_another_meets_new_sizes_of_batch(rng):
    """A plan is recorded in the memory that the others of its network play in: not while they do."""
    net = tc.Sequential(
        Conv2d(3, 32, 5, padding=2, rng=0),
        Tanh(),
        Conv2d(32, 32, 5, padding=2, rng=1),
        Flatten(),
        Dropout(0.1, rng=2),
        Dense(32 * 1024, 10, rng=3),
    )
    x = rng.standard_normal((64, 3, 32, 32)).astype(np.float32)
    expected, wrong, done = execution.forward(net, x[:32], 1), [], threading.Event()

    def ask():
        while not done.is_set():
            wrong.append((execution.forward(net, x[:32], 1) != expected).any())

    asking = threading.Thread(target=ask)
    asking.start()
    for N in range(33, 41):
        execution.forward(net, x[:N], 1)
    done.set()
    asking.join()
    assert wrong and not any(wrong)


def test_a_failed_rehearsal_draws_nothing(rng, monkeypatch):
    net, (x, labels) = (
        tc.Sequential(Flatten(), Dropout(0.5, rng=0), Dense(64, 10, rng=1)).astype(np.float64),
        batch(rng, 20, size=8),
    )
    monkeypatch.setattr(
        Dense, "_backward_parameters", lambda self, dy: (_ for _ in ()).throw(MemoryError("full"))
    )
    with pytest.raises(MemoryError):
        execution.forward_backward(net, x, labels, SoftmaxCrossEntropy())
    assert net.layers[1].state["draws"] == 0
