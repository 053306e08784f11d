"""Checkpoints: old files load, also after a layer got a new argument; others are refused in one sentence."""

import json
import re
import shutil

import numpy as np
import pytest
from saved import make

import tinyconv as tc
from tinyconv.cli import main
from tinyconv.errors import CheckpointError
from tinyconv.layer import Layer
from tinyconv.layers import Conv2d, Dense, Flatten, MaxPool2d, ReLU


def small(*more, features=3):
    return tc.Sequential(
        F1=Dense(4, features, rng=0), A1=ReLU(), **{f"more{k}": layer for k, layer in enumerate(more)}
    )


def rewrite(path, change):
    """Change a saved file: change(header, arrays) works on both in place."""
    with np.load(path) as file:
        arrays = dict(file)
    header = json.loads(str(arrays.pop("header")))
    change(header, arrays)
    np.savez(path, header=np.array(json.dumps(header)), **arrays)


def refused(path, net, *optimizer):
    """The sentence with which tinyconv refuses a file. Asserts that nothing was changed by it."""

    def arrays():
        slots = {
            f"{slot} {name}": value
            for owner in optimizer
            for slot, values in getattr(owner, "slots", {}).items()
            for name, value in values.items()
        }
        return {name: value.tobytes() for name, value in (net.params | net.state | slots).items()}

    before = arrays()
    with pytest.raises(CheckpointError) as caught:
        tc.checkpoint.read(path, net, *optimizer)
    assert arrays() == before and "\n" not in str(caught.value)
    return str(caught.value)


# Files of format 1


def test_a_network_of_format_1_loads():
    net = make.network(2).load(make.FOLDER / "network.npz")
    np.testing.assert_allclose(net.forward(make.images()), np.load(make.FOLDER / "network_y.npy"), rtol=1e-9)
    assert net.state["drop.draws"] == 1 and net.params["own.shift"].tolist() == [0.5, -0.5, 1.0]


@pytest.mark.parametrize(
    "name, other",
    [
        ("P1", MaxPool2d(3, 2)),
        ("C1", Conv2d(2, 4, 3, padding=1, groups=2, ceil=True)),
        ("own", ReLU()),
        ("block", tc.Sequential(C=Conv2d(3, 3, 1, bias=False, ceil=True), A=tc.layers.Tanh())),
    ],
)
def test_another_network_than_that_of_format_1_is_refused(name, other):
    net = make.network(2)
    net._layers[name] = other
    message = refused(make.FOLDER / "network.npz", net)
    assert "saved from another network" in message and f"{name} = " in message


@pytest.fixture
def run_of_before(tmp_path):
    shutil.copytree(make.FOLDER / "run", tmp_path / "run")
    make.write_digits(tmp_path / "digits")
    settings = json.loads((tmp_path / "run" / "run.json").read_text())
    settings["data"] = str(tmp_path / "digits")
    (tmp_path / "run" / "run.json").write_text(json.dumps(settings))
    return tmp_path / "run"


def test_a_run_of_format_1_goes_on_as_it_did_then(run_of_before, capsys):
    assert make.train("--resume", "--out", run_of_before) == 0
    with np.load(make.FOLDER / "run_ended.npz") as then, np.load(run_of_before / "checkpoint.npz") as now:
        old, header = json.loads(str(then["header"])), json.loads(str(now["header"]))
        for name in then.files[1:]:
            saved = now[name.replace("velocity/", "slots/velocity/")]
            np.testing.assert_allclose(saved, then[name], rtol=1e-4, atol=1e-6, err_msg=name)
        assert len(now.files) == len(then.files)
    assert (header["version"], header["optimizer"]) == (
        2,
        {"class": "SGD", "slots": ["velocity"], "steps": old["steps"]},
    )
    assert len(header["progress"]["history"]) == make.EPOCHS


def test_a_run_of_format_1_is_evaluated_and_predicts(run_of_before, capsys):
    with make.tiny_recipe():
        assert main(["eval", str(run_of_before)]) == 0
        assert "33.33" in capsys.readouterr().out
        assert (
            main(["predict", str(run_of_before), str(run_of_before.parent / "digits" / "ring" / "3.bmp")])
            == 0
        )
        assert "ring" in capsys.readouterr().out


# Networks are compared by settings


class Wide(Layer):
    """A layer before and after it got an argument."""

    settings = ("size",)

    def __init__(self, size, dilation=1, fast=False):
        super().__init__()
        self.size, self.dilation, self.fast = size, (dilation, dilation), fast


def test_a_new_argument_with_its_default_leaves_saved_files_valid(tmp_path, monkeypatch):
    small(Wide(2)).save(tmp_path / "net.npz")
    monkeypatch.setattr(Wide, "settings", ("size", "dilation", "fast"))
    small(Wide(2)).load(tmp_path / "net.npz")
    for other in (Wide(3), Wide(2, dilation=2), Wide(2, fast=True)):
        assert "layer 2 is more0 = Wide(size=2) in the file and more0 = Wide(size=" in refused(
            tmp_path / "net.npz", small(other)
        )


def test_a_setting_that_the_layer_does_not_know_is_named(tmp_path, monkeypatch):
    monkeypatch.setattr(Wide, "settings", ("size", "fast"))
    small(Wide(2)).save(tmp_path / "net.npz")
    monkeypatch.setattr(Wide, "settings", ("size",))
    assert "layer more0 has the setting fast=False in the file, which Wide does not know here" in refused(
        tmp_path / "net.npz", small(Wide(2))
    )


def test_a_layer_deep_inside_is_compared_too(tmp_path):
    def nested(stride):
        return tc.Sequential(block=tc.Sequential(inner=tc.Sequential(P=MaxPool2d(2, stride))), F=Flatten())

    nested(2).save(tmp_path / "net.npz")
    nested(2).load(tmp_path / "net.npz")
    message = refused(tmp_path / "net.npz", nested(1))
    assert "layer 2 is block.inner.P = MaxPool2d(size=(2, 2), stride=(2, 2)" in message


def test_repr_leaves_out_switches_that_are_off():
    assert repr(tc.layers.Subsample2d(3)) == "Subsample2d(channels=3, size=(2, 2))"
    assert repr(Conv2d(1, 2, 3)) == (
        "Conv2d(in_channels=1, out_channels=2, kernel_size=(3, 3), stride=(1, 1), padding=(0, 0), "
        "groups=1, bias=True)"
    )
    assert repr(Conv2d(1, 2, 3, bias=False, ceil=True)).endswith("bias=False, ceil=True)")
    assert repr(MaxPool2d(2)) == "MaxPool2d(size=(2, 2), stride=(2, 2), padding=(0, 0))"


def test_settings_that_json_has_not_are_refused(tmp_path, monkeypatch):
    with pytest.raises(CheckpointError, match="the settings of more0, .* cannot be saved: expected numbers"):
        small(Wide(len)).save(tmp_path / "net.npz")
    small(Wide(np.int64(2))).save(tmp_path / "net.npz")
    small(Wide(2)).load(tmp_path / "net.npz")


# What the file holds


def test_a_file_of_a_newer_version(tmp_path):
    small().save(tmp_path / "net.npz")
    rewrite(tmp_path / "net.npz", lambda header, arrays: header.update(version=3))
    assert (
        "written by a newer tinyconv (version 3 of the file, and this one reads up to 2); update"
        in refused(tmp_path / "net.npz", small())
    )


@pytest.mark.parametrize(
    "change, message",
    [
        (
            lambda h, a: a.update({"params/F1.weight": a["params/F1.weight"] + 0j}),
            "expected params/F1.weight of dtype float",
        ),
        (
            lambda h, a: a.update({"params/F1.bias": np.zeros(3, int)}),
            "expected params/F1.bias of dtype float.*found int64",
        ),
        (
            lambda h, a: a.update({"params/F1.bias": np.zeros(4)}),
            r"expected params/F1.bias of shape \(3,\), found shape \(4,\)",
        ),
        (
            lambda h, a: a.update({"params/F1.bias": np.array([None] * 3)}),
            "damaged, or no tinyconv checkpoint",
        ),
        (
            lambda h, a: a.update({"params/F9.bias": np.zeros(3)}),
            "holds params/F9.bias, which belongs to nothing",
        ),
        (lambda h, a: a.pop("params/F1.bias"), "expected params/F1.bias of shape .*, found nothing"),
        (lambda h, a: h.update(layers=[["F1"]]), "damaged"),
        (lambda h, a: h.update(version="x"), "damaged"),
        (lambda h, a: h.pop("version"), "damaged"),
    ],
)
def test_arrays_that_do_not_fit_are_refused(change, message, tmp_path):
    small().save(tmp_path / "net.npz")
    rewrite(tmp_path / "net.npz", change)
    assert re.search(message, refused(tmp_path / "net.npz", small()))


class RunningMean:
    """A stranger's layer with a state, which it makes anew in every forward."""

    def __init__(self, mean=0.0):
        self.params, self.grads, self.state = {}, {}, {"mean": np.full(4, mean)}

    def forward(self, x, training=False):
        if training:
            self.state = {"mean": 0.9 * self.state["mean"] + 0.1 * x.mean(axis=0)}
        return x - self.state["mean"]

    def backward(self, dy):
        return dy


def test_the_state_of_a_strangers_layer_is_saved(tmp_path, rng):
    net, other, x = tc.Sequential(RunningMean()), tc.Sequential(RunningMean(3.0)), rng.standard_normal((8, 4))
    net.forward(x, training=True)
    net.save(tmp_path / "net.npz")
    other.load(tmp_path / "net.npz")
    np.testing.assert_array_equal(other.forward(x), net.forward(x))
    net.layers[0].inner.state["mean"] = "no array"
    with pytest.raises(
        CheckpointError,
        match="state/0_RunningMean.mean cannot be saved: expected a NumPy array of numbers, got str",
    ):
        net.save(tmp_path / "net.npz")


def test_a_state_that_cannot_be_written_is_found_before_anything_changes(tmp_path):
    net = tc.Sequential(F=Dense(4, 4, rng=0), own=RunningMean())
    net.save(tmp_path / "net.npz")
    net.params["F.weight"][:] = 1
    net.layers[1].inner.state["mean"].flags.writeable = False
    assert "state/own.mean cannot be loaded: expected a writable NumPy array" in refused(
        tmp_path / "net.npz", net
    )


# Optimizers


class Strangers:
    """An optimizer of a user's own; with lazy=True it makes its arrays at its first step."""

    def __init__(self, net, names=("first", "second"), lazy=False):
        self.net, self.steps = net, 0
        self.slots = {name: {} if lazy else self.zeros() for name in names}

    def zeros(self):
        return {name: np.zeros(value.shape) for name, value in self.net.params.items()}

    def step(self):
        self.steps += 1
        for number, values in enumerate(self.slots.values(), 1):
            for name in self.net.params:
                values[name] = values.get(name, 0) + np.full(self.net.params[name].shape, float(number))


class Stateless:
    """An optimizer without slots and without steps."""

    def __init__(self, net):
        self.net = net


@pytest.mark.parametrize("lazy", [False, True])
def test_a_strangers_optimizer_is_saved(lazy, tmp_path):
    net, other = small(), small()
    optimizer, second = Strangers(net, lazy=lazy), Strangers(other, lazy=lazy)
    optimizer.step()
    optimizer.step()
    tc.checkpoint.write(tmp_path / "run.npz", net, optimizer, epoch=4)
    assert tc.checkpoint.read(tmp_path / "run.npz", other, second) == {"epoch": 4}
    assert second.steps == 2 and second.slots["second"]["F1.bias"].tolist() == [4.0, 4.0, 4.0]
    assert small().load(tmp_path / "run.npz") is not None  # a network loads from a run's file


def test_another_optimizer_is_refused_by_name(tmp_path):
    net = small()
    tc.checkpoint.write(tmp_path / "run.npz", net, Strangers(net), epoch=1)
    assert (
        "Strangers, which keeps first, second for each parameter, and SGD came, which keeps velocity"
        in refused(tmp_path / "run.npz", net, tc.SGD(net))
    )
    assert "and Stateless came, which keeps nothing" in refused(tmp_path / "run.npz", net, Stateless(net))
    rewrite(tmp_path / "run.npz", lambda header, arrays: header["optimizer"].update(steps=None))
    assert "which does not count its steps, and Strangers came, which counts its steps" in refused(
        tmp_path / "run.npz", net, Strangers(net)
    )


def test_an_optimizer_without_state(tmp_path):
    net = small()
    tc.checkpoint.write(tmp_path / "run.npz", net, Stateless(net))
    assert tc.checkpoint.read(tmp_path / "run.npz", net, Stateless(net)) == {}
    forgetful = Stateless(net)
    forgetful.averages = {"F1.weight": np.zeros((3, 4))}
    with pytest.raises(
        CheckpointError,
        match="Stateless keeps arrays in 'averages', which would not be saved; give it",
    ):
        tc.checkpoint.write(tmp_path / "run.npz", net, forgetful)


def test_progress_of_another_training_changes_nothing(tmp_path):
    net = small()
    tc.checkpoint.write(tmp_path / "run.npz", net, tc.SGD(net), epoch=1)
    net.params["F1.bias"][:] = 7
    with pytest.raises(CheckpointError, match=r"progress of another kind of training, \['epoch'\]"):
        tc.checkpoint.read(tmp_path / "run.npz", net, tc.SGD(net), lambda steps: steps)
    assert (net.params["F1.bias"] == 7).all()
