"""The command line as a user meets it: what it prints, its exit status, and no traceback for a mistake of
his.
"""

import csv
import json
import os
import re
import shutil
import signal
import subprocess
import sys
import time

import numpy as np
import pytest
from PIL import Image

from tinyconv.cli import COMMANDS, main
from tinyconv.cli.run_folder import FolderTaken, Run
from tinyconv.cli.train import _create
from tinyconv.errors import DataError

STATUS_OF_BAD_USAGE, STATUS_OF_FAILURE = 2, 1


@pytest.fixture(scope="module")
def digits(tmp_path_factory):
    """A folder of three classes that LeNet-5 learns at once: a bar, a ring and a cross, 40 images each."""
    folder, rng = tmp_path_factory.mktemp("digits"), np.random.default_rng(0)
    shapes = {"bar": np.zeros((28, 28)), "ring": np.zeros((28, 28)), "cross": np.zeros((28, 28))}
    shapes["bar"][4:24, 12:16] = shapes["cross"][12:16, 4:24] = shapes["cross"][4:24, 12:16] = shapes["ring"][
        6:22, 6:22
    ] = 255
    shapes["ring"][10:18, 10:18] = 0
    for name, shape in shapes.items():
        (folder / name).mkdir()
        for n in range(40):
            noisy = np.clip(
                np.roll(shape, rng.integers(-2, 3, 2), (0, 1)) + rng.normal(0, 10, shape.shape), 0, 255
            )
            Image.fromarray(noisy.astype(np.uint8)).save(folder / name / f"{n}.png")
    return folder


@pytest.fixture(scope="module")
def trained(digits, tmp_path_factory):
    run = tmp_path_factory.mktemp("runs") / "trained"
    options = ["--epochs", "12", "--batch-size", "8", "--lr", "0.01", "--clip", "10", "--seed", "1"]
    assert main(["train", "lenet5", "--data", str(digits), *options, "--out", str(run)]) == 0
    return run


def call(capsys, *arguments):
    """Exit status, stdout and stderr of one command line."""
    try:
        status = main([str(argument) for argument in arguments])
    except SystemExit as stop:  # how argparse ends
        status = stop.code
    out, err = capsys.readouterr()
    assert "Traceback" not in err
    return status, out, err


def test_every_command_has_help_with_an_example(capsys):
    names = [command.__name__.rpartition(".")[2] for command in COMMANDS]
    assert names == [
        "train",
        "eval",
        "predict",
        "similar",
        "summary",
        "gradcheck",
        "course",
        "data",
        "bench",
        "doctor",
    ]
    for name in names:
        status, out, _ = call(capsys, name, "--help")
        assert status == 0 and re.search(rf"example:\n  tinyconv {name}", out)


@pytest.mark.parametrize(
    "arguments",
    [
        [],
        ["fly"],
        ["train"],
        ["train", "lenet6"],
        ["train", "lenet5", "--epochs", "0"],
        ["train", "lenet5", "--lr", "-1"],
        ["train", "lenet5", "--lr", "nan"],
        ["train", "lenet5", "--loss", "hinge"],
        ["train", "lenet5", "--batch-size", "x"],
        ["predict", "run"],
        ["summary", "vgg"],
        ["gradcheck", "conv3d"],
        ["doctor", "more"],
    ],
    ids=" ".join,
)
def test_bad_usage_is_status_2(arguments, capsys):
    status, _, err = call(capsys, *arguments)
    assert status == STATUS_OF_BAD_USAGE and "usage: tinyconv" in err


def test_python_m_tinyconv():
    done = subprocess.run([sys.executable, "-m", "tinyconv", "--version"], capture_output=True, text=True)
    assert done.returncode == 0 and re.fullmatch(r"tinyconv \d+\.\d+\.\d+\n", done.stdout)


def test_summary_and_doctor(capsys):
    status, out, _ = call(capsys, "summary", "lenet5")
    assert status == 0 and "60,000" in out and "340,908" in out
    status, out, _ = call(capsys, "doctor")
    assert status == 0 and all(
        word in out
        for word in ("numba", "SIMD width", "threads", "threading layer", "cache", "GPU", "mnist5k")
    )


def test_gradcheck(capsys):
    status, out, _ = call(capsys, "gradcheck", "subsample2d")
    assert (
        status == 0
        and "dcoefficient" in out
        and "all ok" in out
        and "Subsample2d(channels=3, size=(2, 2)), x 2x3x6x4" in out
    )


def test_gradcheck_fails_where_a_gradient_is_wrong(capsys, monkeypatch):
    from tinyconv.layers import Subsample2d

    monkeypatch.setattr(Subsample2d, "_backward_input", lambda self, dy: self.cache)
    status, out, _ = call(capsys, "gradcheck", "subsample2d")
    assert status == STATUS_OF_FAILURE and "WRONG: subsample2d" in out


def test_train_leaves_a_run(trained, capsys):
    assert {"run.json", "checkpoint.npz", "metrics.csv"} <= {file.name for file in trained.iterdir()}
    rows = list(csv.DictReader(open(trained / "metrics.csv")))
    assert [int(row["epoch"]) for row in rows] == list(range(1, 13)) and float(rows[-1]["test_error"]) < 0.1
    settings = json.loads((trained / "run.json").read_text())
    assert (
        settings["class_names"] == ["bar", "cross", "ring"]
        and settings["seed"] == 1
        and settings["preparation"] == "fit"
    )


def test_the_last_line_is_the_test_error(digits, tmp_path, capsys):
    status, out, _ = call(capsys, "train", "mlp", "--data", digits, "--epochs", 1, "--out", tmp_path / "run")
    assert status == 0 and re.fullmatch(r"test error: \d+\.\d\d% \(\d+ of 24\)", out.splitlines()[-1])


def test_curves(trained):
    pytest.importorskip("matplotlib", reason="curves are drawn where matplotlib is installed")
    assert Image.open(trained / "curves.png").width > 400


def test_eval(trained, digits, capsys):
    status, out, _ = call(capsys, "eval", trained)
    assert (
        status == 0
        and re.fullmatch(r"test error: \d+\.\d\d% \(\d+ of 24\)", out.splitlines()[-1])
        and "confusion matrix" in out
    )
    wrong = int(re.search(r"\((\d+) of 24\)", out).group(1))
    assert (trained / "misclassified.png").exists() == (wrong > 0)


def test_eval_of_a_network_that_is_wrong_draws_its_mistakes(digits, tmp_path, capsys):
    assert (
        call(
            capsys,
            "train",
            "lenet5",
            "--data",
            digits,
            "--epochs",
            1,
            "--lr",
            "1e-9",
            "--out",
            tmp_path / "run",
        )[0]
        == 0
    )
    status, out, _ = call(capsys, "eval", tmp_path / "run")
    assert status == 0 and "misclassified images, label > answer" in out
    assert Image.open(tmp_path / "run" / "misclassified.png").size > (56, 56)


def test_predict(trained, digits, tmp_path, capsys):
    sheet = np.full((200, 300, 3), 0, np.uint8)  # another size, in colour
    sheet[30:170, 130:160] = (250, 255, 240)
    Image.fromarray(sheet).save(tmp_path / "bar.jpg")
    status, out, _ = call(capsys, "predict", trained, digits / "ring" / "3.png", digits / "cross" / "5.png")
    lines = out.splitlines()
    assert status == 0 and "3.png: ring   penalties ring:" in lines[0] and "5.png: cross" in lines[1]
    status, out, _ = call(capsys, "predict", trained, tmp_path / "bar.jpg")
    assert status == 0 and "bar.jpg: bar " in out


def test_a_run_of_before_is_tested_used_and_resumed(digits, tmp_path, capsys):
    """Runs had no inputs.npz, and fewer settings and columns."""
    run, old = tmp_path / "run", tmp_path / "old"
    options = "--data", digits, "--epochs", 3, "--seed", 1, "--threads", 2
    assert call(capsys, "train", "lenet5", *options, "--out", run)[0] == 0
    shutil.copytree(run, old)
    (old / "inputs.npz").unlink()
    settings = json.loads((run / "run.json").read_text())
    for name in ("options", "augment", "schedule", "patience", "lr_steps", "nesterov", "until_error"):
        del settings[name]
    (old / "run.json").write_text(json.dumps(settings))
    for command in (("eval",), ("predict", digits / "ring" / "3.png")):
        now, before = (
            call(capsys, command[0], folder, *command[1:])[1].replace(str(folder), "")
            for folder in (run, old)
        )
        assert now == before
    settings["epochs"] = 4
    (old / "run.json").write_text(json.dumps(settings))
    with np.load(old / "checkpoint.npz") as file:
        arrays = dict(file)
    header = json.loads(str(arrays["header"]))
    del header["progress"]["waited"]
    for row in header["progress"]["history"]:
        del row["waited"], row["lr"]
    np.savez(old / "checkpoint.npz", **arrays | {"header": np.array(json.dumps(header))})
    assert call(capsys, "train", "lenet5", "--resume", "--out", old)[0] == 0
    rows = list(csv.DictReader(open(old / "metrics.csv")))
    assert len(rows) == 4 and rows[0]["waited"] == "" != rows[3]["waited"]


def test_mistakes_are_one_sentence(trained, digits, tmp_path, capsys):
    (tmp_path / "empty").mkdir()
    (tmp_path / "text.png").write_text("no image")
    (tmp_path / "bad").mkdir()
    (tmp_path / "bad" / "run.json").write_text("{")
    settings = json.loads((trained / "run.json").read_text())
    for name, change in (("wrong", {"epochs": "x"}), ("other", {"loss": "hinge"})):
        (tmp_path / name).mkdir()
        (tmp_path / name / "run.json").write_text(json.dumps(settings | change))
    (tmp_path / "partial").mkdir()
    (tmp_path / "partial" / "run.json").write_text('{"model": "lenet5"}')
    for arguments, words in [
        (
            ("train", "lenet5", "--data", tmp_path / "nowhere", "--out", tmp_path / "x"),
            "no data set or folder",
        ),
        (("train", "lenet5", "--data", tmp_path / "empty", "--out", tmp_path / "x"), "holds no images"),
        (("train", "mlp", "--loss", "map"), "use --loss softmax"),
        (("train", "lenet5", "--data", digits, "--out", trained), "holds a run already"),
        (("train", "lenet5", "--resume"), "name the run with --out RUN"),
        (("train", "lenet5", "--resume", "--out", tmp_path / "none"), "no training run there"),
        (("train", "mlp", "--resume", "--out", trained), "started with MODEL lenet5, not mlp"),
        (("train", "lenet5", "--resume", "--out", trained, "--lr", "0.5"), "started with --lr 0.01, not 0.5"),
        (("eval", tmp_path / "none"), "no training run there"),
        (("eval", tmp_path / "bad"), "damaged"),
        (("eval", tmp_path / "partial"), "damaged (without batch_size"),
        (("train", "lenet5", "--resume", "--out", tmp_path / "wrong"), "damaged (epochs: 'x')"),
        (("eval", tmp_path / "other"), "damaged (no lenet5 with the loss hinge)"),
        (("eval", trained, "--data", "nothing"), "no data set or folder"),
        (("predict", trained, tmp_path / "text.png"), "text.png"),
        (("predict", trained, digits / "ring" / "3.png", tmp_path / "missing.png"), "no such file: "),
    ]:
        status, _, err = call(capsys, *arguments)
        assert (
            status == STATUS_OF_FAILURE and words in err and err.startswith(f"tinyconv {arguments[0]}: ")
        ), (arguments, err)
    assert not (tmp_path / "x").exists()


def test_a_folder_of_a_data_sets_name_is_not_taken_for_it(tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "mnist5k").mkdir()
    monkeypatch.setattr(
        "tinyconv.data.mnist5k.load", lambda: (_ for _ in ()).throw(DataError("the named one"))
    )
    assert "the named one" in call(capsys, "train", "lenet5")[2]
    assert "mnist5k holds no images" in call(capsys, "train", "lenet5", "--data", "./mnist5k")[2]


def test_more_classes_than_codes(tmp_path, capsys):
    for n in range(11):
        (tmp_path / "data" / f"class{n}").mkdir(parents=True)
        for k in range(2):
            Image.new("L", (28, 28), 20 * n).save(tmp_path / "data" / f"class{n}" / f"{k}.png")
    status, _, err = call(capsys, "train", "lenet5", "--data", tmp_path / "data", "--out", tmp_path / "run")
    assert status == STATUS_OF_FAILURE and "has 11 classes" in err and "use --loss softmax" in err
    assert (
        call(
            capsys,
            "train",
            "lenet5",
            "--data",
            tmp_path / "data",
            "--loss",
            "softmax",
            "--epochs",
            1,
            "--out",
            tmp_path / "run",
        )[0]
        == 0
    )


def test_a_corrupt_checkpoint(digits, tmp_path, capsys):
    run = tmp_path / "run"
    assert call(capsys, "train", "lenet5", "--data", digits, "--epochs", 1, "--out", run)[0] == 0
    path = run / "checkpoint.npz"
    path.write_bytes(path.read_bytes()[:5000])
    for arguments in (("eval", run), ("train", "lenet5", "--resume", "--out", run)):
        status, _, err = call(capsys, *arguments)
        assert status == STATUS_OF_FAILURE and "checkpoint.npz: damaged" in err
    path.unlink()
    assert "no such checkpoint" in call(capsys, "predict", run, digits / "bar" / "0.png")[2]


def test_other_images_under_the_same_name_are_noticed(digits, tmp_path, capsys):
    shutil.copytree(digits, tmp_path / "data")
    assert (
        call(
            capsys, "train", "lenet5", "--data", tmp_path / "data", "--epochs", 1, "--out", tmp_path / "run"
        )[0]
        == 0
    )
    Image.new("L", (28, 28), 9).save(tmp_path / "data" / "bar" / "1.png")
    status, _, err = call(capsys, "train", "lenet5", "--resume", "--out", tmp_path / "run")
    assert status == STATUS_OF_FAILURE and "not the images that" in err


def test_a_rate_that_diverges(digits, tmp_path, capsys):
    status, _, err = call(
        capsys, "train", "lenet5", "--data", digits, "--lr", "1e4", "--out", tmp_path / "run"
    )
    assert status == STATUS_OF_FAILURE and "training diverged" in err and "smaller learning rate" in err


def test_ctrl_c_leaves_a_run_that_resumes_to_the_same_bits(digits, tmp_path, capsys):
    options = [
        "train",
        "lenet5",
        "--data",
        str(digits),
        "--epochs",
        "30",
        "--batch-size",
        "8",
        "--seed",
        "2",
        "--threads",
        "2",
        "--out",
    ]
    command = [sys.executable, "-m", "tinyconv", *options, str(tmp_path / "stopped")]
    process = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
    checkpoint = tmp_path / "stopped" / "checkpoint.npz"
    deadline = time.monotonic() + 120
    while not checkpoint.exists() and time.monotonic() < deadline:
        time.sleep(0.01)
    process.send_signal(signal.SIGINT)
    out, err = process.communicate(timeout=60)
    assert process.returncode == 130 and "Traceback" not in err
    assert f"interrupted; continue with: tinyconv train lenet5 --resume --out {tmp_path / 'stopped'}" in out
    stopped_at = len(list(csv.DictReader(open(tmp_path / "stopped" / "metrics.csv"))))
    assert 0 < stopped_at < 30
    assert call(capsys, "train", "lenet5", "--resume", "--out", tmp_path / "stopped")[0] == 0
    assert call(capsys, *options, tmp_path / "whole")[0] == 0
    one, two = (np.load(tmp_path / name / "checkpoint.npz") for name in ("stopped", "whole"))
    for name in one.files:
        assert name == "header" or one[name].tobytes() == two[name].tobytes(), name


def test_a_full_disk_is_one_sentence(capsys, monkeypatch, digits, tmp_path):
    """The disk is full from the second checkpoint on: the first one stays, and the run goes on from it once
    there is room.
    """
    from tinyconv import files

    real, calls = os.fsync, []

    def full_later(descriptor):
        calls.append(descriptor)
        if len(calls) > 4:  # run.json, inputs.npz, the first checkpoint and its metrics.csv
            raise OSError(28, "No space left on device")
        real(descriptor)

    monkeypatch.setattr(files.os, "fsync", full_later)
    status, _, err = call(
        capsys, "train", "lenet5", "--data", digits, "--epochs", 3, "--out", tmp_path / "run"
    )
    assert (
        status == STATUS_OF_FAILURE
        and "checkpoint.npz: No space left on device; the checkpoint before is whole" in err
    )
    monkeypatch.undo()
    status, out, _ = call(capsys, "train", "lenet5", "--resume", "--out", tmp_path / "run")
    assert status == 0 and len(list(csv.DictReader(open(tmp_path / "run" / "metrics.csv")))) == 3
    monkeypatch.setattr(files.os, "fsync", lambda descriptor: full_later(descriptor))
    status, _, err = call(
        capsys, "train", "lenet5", "--data", digits, "--epochs", 1, "--out", tmp_path / "other"
    )
    assert status == STATUS_OF_FAILURE and "run.json: No space left on device" in err


def test_a_run_that_never_got_to_a_checkpoint_is_not_overwritten(digits, tmp_path, capsys):
    (tmp_path / "run").mkdir()
    (tmp_path / "run" / "run.json").write_text("{}")
    status, _, err = call(capsys, "train", "mlp", "--data", digits, "--out", tmp_path / "run")
    assert (
        status == STATUS_OF_FAILURE
        and "holds a run without a checkpoint" in err
        and "name another with --out" in err
    )
    assert (tmp_path / "run" / "run.json").read_text() == "{}"


def test_runs_that_start_at_once_have_folders_of_their_own(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    settings = {"model": "mlp", "data": "mnist5k"}
    assert [str(_create(None, settings).folder) for _ in range(3)] == [
        os.path.join("runs", f"mlp-mnist5k{n}") for n in ("", "-2", "-3")
    ]
    real = Run.check_free
    monkeypatch.setattr(
        Run, "check_free", lambda self: monkeypatch.setattr(Run, "check_free", real)
    )  # the other run comes after the first look
    with pytest.raises(FolderTaken, match="without a checkpoint"):
        Run.create(tmp_path / "runs" / "mlp-mnist5k", settings)
