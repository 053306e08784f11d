"""The command line with photographs: training in colour with augmentation, ten crops, the best five answers,
similar images.

AlexNet's and cifar_net's places in the table of recipes are taken by a tiny network, so that a run takes a
second.
"""

import csv
import dataclasses
import json
import re
import shutil

import numpy as np
import pytest
from PIL import Image

from tinyconv import Sequential, execution
from tinyconv.cli import main
from tinyconv.data import Inputs, prepare_image
from tinyconv.execution import memory
from tinyconv.layers import Conv2d, Dense, Dropout, Flatten, MaxPool2d, ReLU
from tinyconv.models import MODELS, alexnet_recipe
from tinyconv.recipe import photographs

CLASSES, IMAGES = 12, 4  # of each class; one is for testing


def tiny(classes, rng, preset="paper", groups=None, dropout=True, **of_cifar_net):
    rng = np.random.default_rng(rng)
    drop = {"drop": Dropout(0.5, rng=rng)} if dropout else {}
    return Sequential(
        conv1=Conv2d(3, 8, 5, stride=2, rng=rng),
        relu1=ReLU(),
        pool1=MaxPool2d(2),
        flat=Flatten(),
        fc2=Dense(200, 16, rng=rng),
        relu2=ReLU(),
        **drop,
        output=Dense(16, classes, rng=rng),
        input_shape=(3, 24, 24),
    )


@pytest.fixture(scope="module", autouse=True)
def tiny_networks():
    with pytest.MonkeyPatch.context() as patch:
        for model in ("alexnet", "cifar_net"):
            recipe = MODELS[model].recipes["softmax"]
            small = dataclasses.replace(
                recipe,
                network=tiny,
                preparation="photo 32",
                inputs=photographs(0.02, mirror=True, colour=0.1, crops=10),
                training=recipe.training | {"batch_size": 8, "epochs": 3, "lr": 0.001},
            )
            patch.setitem(MODELS[model].recipes, "softmax", small)
        yield


@pytest.fixture(scope="module")
def photos(tmp_path_factory):
    """Twelve classes, each of a colour of its own, in pictures of 48x40."""
    folder, rng = tmp_path_factory.mktemp("photos"), np.random.default_rng(0)
    for k in range(CLASSES):
        (folder / f"class{k:02d}").mkdir()
        colour = 255 * np.array([k % 2, k // 2 % 3 / 2, k // 6])
        for n in range(IMAGES):
            picture = np.clip(colour + rng.normal(0, 40, (40, 48, 3)), 0, 255).astype(np.uint8)
            Image.fromarray(picture).save(folder / f"class{k:02d}" / f"{n}.png")
    return folder


@pytest.fixture(scope="module")
def trained(photos, tmp_path_factory):
    run = tmp_path_factory.mktemp("runs") / "trained"
    assert (
        main(
            [
                "train",
                "alexnet",
                "--data",
                str(photos),
                "--epochs",
                "4",
                "--seed",
                "1",
                "--threads",
                "2",
                "--out",
                str(run),
            ]
        )
        == 0
    )
    return run


def call(capsys, *arguments):
    """Exit status, stdout and stderr of one command line."""
    capsys.readouterr()
    try:
        status = main([str(argument) for argument in arguments])
    except SystemExit as stop:
        status = stop.code
    out, err = capsys.readouterr()
    assert "Traceback" not in err
    return status, out, err


def arrays(run):
    file = np.load(run / "checkpoint.npz")
    return {name: file[name].tobytes() for name in file.files if name != "header"}


def test_a_run_holds_all_of_its_recipe(trained):
    settings = json.loads((trained / "run.json").read_text())
    assert (
        settings["options"] == {"preset": "paper", "groups": None, "dropout": True}
        and settings["augment"] is True
    )
    assert (settings["schedule"], settings["nesterov"], settings["weight_decay"]) == ("plateau", False, 5e-4)
    assert settings["preparation"] == "photo 32" and len(settings["class_names"]) == CLASSES
    inputs = Inputs.load(trained / "inputs.npz")
    assert (
        inputs.shape == (3, 24, 24)
        and inputs.crops == 10
        and inputs.mirror
        and inputs.mean.shape == (3, 32, 32)
    )
    rows = list(csv.DictReader(open(trained / "metrics.csv")))
    assert (
        len(rows) == 4
        and {"error", "test_error", "test_top5_error", "lr", "seconds", "waited"} <= rows[0].keys()
    )


def test_training_says_what_memory_it_takes_and_draws_filters(photos, tmp_path, capsys):
    status, out, _ = call(
        capsys, "train", "alexnet", "--data", photos, "--epochs", 1, "--out", tmp_path / "run"
    )
    assert status == 0 and re.search(r"^memory: about \d+ MB( of [\d.]+ GB available)?$", out, re.MULTILINE)
    assert "8 of 5x5x3" in out and "tinyconv eval" in out
    assert re.fullmatch(
        r"test error: \d+\.\d\d% \(\d+ of 12\), top-5 error: \d+\.\d\d%", out.splitlines()[-1]
    )
    filters = Image.open(tmp_path / "run" / "filters.png")
    assert (
        filters.mode == "RGB" and filters.width > 4 * 40 and np.ptp(np.asarray(filters), axis=2).max() > 100
    )


def test_too_little_memory_is_refused(photos, tmp_path, capsys, monkeypatch):
    monkeypatch.setattr(memory, "available", lambda device: 1000)
    status, _, err = call(capsys, "train", "alexnet", "--data", photos, "--out", tmp_path / "run")
    assert status == 1 and re.search(
        r"batches of 8 needs about \d+ MB of memory and 1 MB is available; use a smaller --batch-size", err
    )
    assert not (tmp_path / "run").exists()


def test_eval_averages_ten_crops_and_lists_the_worst_classes(trained, photos, capsys, monkeypatch):
    monkeypatch.setattr("tinyconv.cli.eval.FITTING", 10)
    status, out, _ = call(capsys, "eval", trained)
    assert status == 0 and re.fullmatch(
        r"test error: \d+\.\d\d% \(\d+ of 12\), top-5 error: .*", out.splitlines()[-1]
    )
    assert "confusion matrix" not in out
    wrong = int(re.search(r"\((\d+) of 12\)", out).group(1))
    assert wrong == 0 or re.search(r"class\d+: 100% \(1 of 1\), most often taken for class\d+", out)
    assert (trained / "misclassified.png").exists() == (wrong > 0)
    assert wrong == 0 or Image.open(trained / "misclassified.png").mode == "RGB"


def test_predict_repeats_the_runs_inputs(trained, tmp_path, capsys):
    picture = tmp_path / "halves.png"  # what a crop shows depends on where it lies
    Image.fromarray(
        np.repeat(
            np.repeat([[[255, 0, 0], [0, 0, 255]], [[0, 255, 0], [255, 255, 255]]], 16, 0), 16, 1
        ).astype(np.uint8)
    ).save(picture)
    status, out, _ = call(capsys, "predict", trained, picture)
    assert status == 0
    net = tiny(CLASSES, None).load(trained / "checkpoint.npz")
    scores = net.forward(
        Inputs.load(trained / "inputs.npz").testing(prepare_image(picture, "photo 32")[None])
    ).astype(float)
    of_crops = np.exp(scores) / np.exp(scores).sum(axis=1, keepdims=True)
    probabilities = of_crops.mean(axis=0)
    assert not np.allclose(of_crops[0], probabilities, rtol=5e-3)
    best = np.argsort(-probabilities)[:5]
    said = re.findall(r"(class\d+) ([\d.]+) %", out)
    assert len(scores) == 10 and [name for name, _ in said] == [f"class{k:02d}" for k in best]
    np.testing.assert_allclose([float(value) for _, value in said], 100 * probabilities[best], atol=0.06)
    assert out.count("\n") == 1


@pytest.mark.parametrize("killed_at", [3, 7, 12])
def test_a_killed_run_resumes_to_the_same_bits(killed_at, trained, photos, tmp_path, capsys, monkeypatch):
    submit, steps = execution.submit, []

    def until_killed(*arguments):
        if len(steps) == killed_at:
            raise KeyboardInterrupt  # none that the run could notice: nothing is saved on the way out
        steps.append(1)
        return submit(*arguments)

    monkeypatch.setattr(execution, "submit", until_killed)
    run = tmp_path / "run"
    options = ["--epochs", 4, "--seed", 1, "--threads", 2, "--out", run]
    assert (
        call(capsys, "train", "alexnet", "--data", photos, *options, "--checkpoint-minutes", 1e-9)[0] == 130
    )
    monkeypatch.undo()
    (run / ".checkpoint.npz.123.partial").write_text("half a checkpoint")
    assert call(capsys, "train", "alexnet", "--resume", "--out", run)[0] == 0
    assert arrays(run) == arrays(trained) and not list(run.glob(".*"))


def test_training_without_augmentation_and_dropout(photos, tmp_path, capsys):
    run = tmp_path / "run"
    status, _, _ = call(
        capsys,
        "train",
        "alexnet",
        "--data",
        photos,
        "--no-augment",
        "--no-dropout",
        "--lr-steps",
        "1,2",
        "--out",
        run,
    )
    settings = json.loads((run / "run.json").read_text())
    assert (
        status == 0
        and settings["augment"] is settings["options"]["dropout"] is False
        and settings["schedule"] == "steps"
    )
    assert Inputs.load(run / "inputs.npz").crops == 1
    assert [float(row["lr"]) for row in csv.DictReader(open(run / "metrics.csv"))] == pytest.approx(
        [1e-3, 1e-4, 1e-5]
    )
    assert not any("drop" in name for name in np.load(run / "checkpoint.npz").files)


def test_dropout_goes_from_alexnet(monkeypatch):
    monkeypatch.setattr(alexnet_recipe, "alexnet", lambda groups, classes, rng, preset: tiny(classes, rng))
    names = [
        list(alexnet_recipe._network(CLASSES, 0, "paper", None, dropout).named_layers)
        for dropout in (True, False)
    ]
    assert names[0] == ["conv1", "relu1", "pool1", "flat", "fc2", "relu2", "drop", "output"] and names[1] == [
        *names[0][:6],
        "output",
    ]


def test_one_image_a_class(photos, tmp_path, capsys):
    for k in range(CLASSES):
        (tmp_path / "data" / f"class{k:02d}").mkdir(parents=True)
        shutil.copy(photos / f"class{k:02d}" / "0.png", tmp_path / "data" / f"class{k:02d}")
    status, out, _ = call(
        capsys,
        "train",
        "alexnet",
        "--data",
        tmp_path / "data",
        "--no-augment",
        "--no-dropout",
        "--schedule",
        "constant",
        "--until-error",
        10,
        "--epochs",
        200,
        "--out",
        tmp_path / "run",
    )
    assert (
        status == 0
        and "no held-out images: tests are on the training images" in out
        and re.search(r"training error: \d+\.\d\d% in epoch \d+", out)
    )
    last = list(csv.DictReader(open(tmp_path / "run" / "metrics.csv")))[-1]
    assert float(last["error"]) <= 0.1 and int(last["epoch"]) < 200


def test_shards_of_a_folder(photos, tmp_path, capsys):
    assert call(capsys, "data", "prepare", photos, "--out", tmp_path / "shards", "--size", 32)[0] == 0
    status, out, _ = call(
        capsys, "train", "alexnet", "--data", tmp_path / "shards", "--epochs", 1, "--out", tmp_path / "run"
    )
    assert status == 0 and "36 training and 12 test images" in out
    assert call(capsys, "eval", tmp_path / "run", "--data", photos)[0] == 0  # prepared in the same way
    status, out, _ = call(capsys, "similar", tmp_path / "run", photos / "class05" / "1.png", "--count", 1)
    assert status == 0 and "  class05  class05/1.png" in out
    assert call(capsys, "data", "prepare", photos, "--out", tmp_path / "large", "--size", 64)[0] == 0
    status, _, err = call(
        capsys, "train", "cifar_net", "--data", tmp_path / "large", "--out", tmp_path / "other"
    )
    assert (
        status == 1
        and "far larger than the 24x24 that cifar_net sees; make smaller ones with: tinyconv data prepare"
        in err
    )


def test_similar(trained, photos, tmp_path, capsys, monkeypatch):
    query = photos / "class05" / "1.png"
    status, out, _ = call(capsys, "similar", trained, query, photos / "class02" / "2.png", "--count", 3)
    found = re.findall(r"^ +([\d.e-]+)  (class\d+)  (.*)$", out, re.MULTILINE)
    assert (
        status == 0
        and len(found) == 6
        and found[0][1:] == ("class05", str(query))
        and found[3][1:] == ("class02", str(photos / "class02" / "2.png"))
    )
    distances = [float(distance) for distance, _, _ in found]
    assert distances[:3] == sorted(distances[:3]) and distances[0] < 1e-5 < distances[1]
    assert Image.open(trained / "similar.png").width > 4 * 32
    assert len(list(trained.glob("features-*.npy"))) == 1

    monkeypatch.setattr(
        "tinyconv.cli.similar.forward_all", lambda *_: pytest.fail("features are computed a second time")
    )
    assert call(capsys, "similar", trained, query)[0] == 0


def test_features_of_other_weights_are_computed_again(photos, tmp_path, capsys):
    run, other = tmp_path / "run", tmp_path / "other"
    assert call(capsys, "train", "alexnet", "--data", photos, "--epochs", 1, "--out", run)[0] == 0
    assert call(capsys, "similar", run, photos / "class01" / "1.png", "--among", photos)[0] == 0
    first = list(run.glob("features-*.npy"))
    assert (
        call(capsys, "train", "alexnet", "--data", photos, "--epochs", 1, "--seed", 9, "--out", other)[0] == 0
    )
    shutil.copy(other / "checkpoint.npz", run)
    assert call(capsys, "similar", run, photos / "class01" / "1.png")[0] == 0
    second = list(run.glob("features-*.npy"))
    assert len(first) == len(second) == 1 and first != second


def test_mistakes_are_one_sentence(trained, photos, tmp_path, capsys):
    (tmp_path / "grey" / "a").mkdir(parents=True)
    for n in range(2):
        Image.new("L", (28, 28), 9).save(tmp_path / "grey" / "a" / f"{n}.png")
    train = "train", "alexnet", "--data", photos
    for arguments, words in [
        (("train", "alexnet"), "name its images with --data DIR"),
        ((*train, "--activation", "tanh"), "alexnet has no option --activation"),
        (("train", "lenet5", "--no-dropout"), "lenet5 has no option --no-dropout"),
        (("train", "cifar_net", "--groups", "1"), "cifar_net has no option --groups"),
        ((*train, "--loss", "map"), "alexnet has no rbf output units"),
        (
            (*train, "--schedule", "constant", "--patience", "3"),
            "--patience: goes with --schedule plateau, not constant",
        ),
        (("train", "lenet5", "--no-augment"), "lenet5 has no option --no-augment"),
        ((*train, "--schedule", "steps"), "name the epochs with --lr-steps"),
        ((*train, "--schedule", "cosine", "--lr-steps", "3"), "goes with --schedule steps"),
        (
            ("train", "alexnet", "--data", "mnist5k", "--out", tmp_path / "x"),
            "images of 28x28 grey and alexnet takes 24x24 colour",
        ),
        (
            ("train", "alexnet", "--resume", "--out", trained, "--groups", "1"),
            "was started without --groups; leave",
        ),
        (
            ("train", "alexnet", "--resume", "--out", trained, "--no-augment"),
            "was started without --no-augment",
        ),
        (("eval", trained, "--data", tmp_path / "grey"), "has the classes a; "),
        (("eval", trained, "--data", "mnist5k"), "has the classes 0, 1, 2"),
        (
            ("similar", trained, photos / "class01" / "0.png", "--among", "mnist5k"),
            "has images of 28x28 grey and",
        ),
        (("similar", trained, tmp_path / "none.png"), "none.png"),
    ]:
        status, _, err = call(capsys, *arguments)
        assert (
            status == 1
            and words in err
            and err.startswith(f"tinyconv {arguments[0]}: ")
            and err.count("\n") == 1
        ), (arguments, err)
    for option in (
        ("--lr-steps", "3,2"),
        ("--lr-steps", "a"),
        ("--until-error", "101"),
        ("--momentum", "1"),
        ("--groups", "3"),
    ):
        assert call(capsys, *train, *option)[0] == 2


def test_a_run_without_its_inputs(trained, photos, tmp_path, capsys):
    shutil.copytree(trained, tmp_path / "run")
    (tmp_path / "run" / "inputs.npz").write_bytes(b"PK no such thing")
    assert "inputs.npz: damaged" in call(capsys, "eval", tmp_path / "run")[2]
    (tmp_path / "run" / "inputs.npz").unlink()
    assert (
        "inputs.npz: no such file"
        in call(capsys, "predict", tmp_path / "run", photos / "class01" / "0.png")[2]
    )
