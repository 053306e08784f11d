"""--device cuda and --precision on the command line, on a GPU or in numba-cuda's simulator."""

import json
from dataclasses import replace

import numpy as np
import pytest
from conftest import NEEDS
from PIL import Image
from test_cli import STATUS_OF_BAD_USAGE, STATUS_OF_FAILURE, call

from tinyconv.device import backend
from tinyconv.kernels._cuda import gpu
from tinyconv.models import MODELS, mlp

pytestmark = NEEDS["cuda"]


@pytest.fixture(scope="module")
def digits(tmp_path_factory):
    """Two classes of two images: a bar and a ring."""
    folder = tmp_path_factory.mktemp("digits")
    bar, ring = np.zeros((28, 28), np.uint8), np.zeros((28, 28), np.uint8)
    bar[4:24, 12:16] = ring[6:22, 6:22] = 255
    ring[10:18, 10:18] = 0
    for name, image in (("bar", bar), ("ring", ring)):
        (folder / name).mkdir()
        for n in range(2):
            Image.fromarray(np.roll(image, n, 1)).save(folder / name / f"{n}.png")
    return folder


def test_a_run_goes_from_device_to_device(digits, tmp_path, capsys, monkeypatch):
    """Trained on the GPU, tested there and on the cpu, resumed on the cpu: the same network. With two hidden
    units: the simulator is slow.
    """
    recipes = MODELS["mlp"].recipes
    monkeypatch.setitem(
        recipes, "softmax", replace(recipes["softmax"], network=lambda classes, rng: mlp(2, classes, rng))
    )
    run, start = tmp_path / "run", ("train", "mlp", "--data", digits, "--batch-size", "4")
    status, out, err = call(capsys, *start, "--epochs", "1", "--device", "cuda", "--out", run)
    assert status == 0 and f"{backend('cuda').device_name()} in float32" in out, err
    assert json.loads((run / "run.json").read_text())["device"] == "cuda"
    answers = [
        call(capsys, "predict", run, digits / "bar" / "1.png", "--device", device)[1]
        for device in ("cuda", "cpu")
    ]
    probabilities = [[float(word) for word in answer.split() if word[0].isdigit()] for answer in answers]
    assert answers[0].split(":")[1][:5] == answers[1].split(":")[1][:5] and np.allclose(
        *probabilities, atol=1e-3
    )
    settings = json.loads((run / "run.json").read_text()) | {"epochs": 2}
    (run / "run.json").write_text(json.dumps(settings))
    status, out, _ = call(capsys, "train", "mlp", "--resume", "--out", run, "--device", "cpu")
    assert (
        status == 0 and "resuming on cpu in float32 instead of cuda in float32: the result will differ" in out
    )
    assert json.loads((run / "run.json").read_text())["device"] == "cpu"


def test_gradcheck_on_the_gpu(capsys):
    status, out, err = call(capsys, "gradcheck", "relu", "--device", "cuda", "--sample", "3")
    assert status == 0 and "all ok" in out, err


@pytest.mark.parametrize(
    "command",
    [
        ["train", "lenet5", "--out", "RUN"],
        ["gradcheck", "dense"],
        ["bench", "dense"],
        ["eval", "RUN"],
        ["predict", "RUN", "x.png"],
    ],
    ids=lambda command: command[0],
)
def test_no_gpu_is_one_sentence(command, capsys, monkeypatch, tmp_path, digits):
    monkeypatch.setattr(gpu, "missing", lambda: 'the device "cuda" needs an NVIDIA GPU')
    run = tmp_path / "run"
    if command[0] in ("eval", "predict"):
        call(capsys, "train", "mlp", "--data", digits, "--epochs", "1", "--out", run)
        Image.new("L", (28, 28)).save(tmp_path / "x.png")
    arguments = [{"RUN": run, "x.png": tmp_path / "x.png"}.get(word, word) for word in command]
    status, _, err = call(capsys, *arguments, "--device", "cuda")
    assert (
        status == STATUS_OF_FAILURE
        and err.strip().splitlines()[-1] == f'tinyconv {command[0]}: the device "cuda" needs an NVIDIA GPU'
    )
    assert command[0] != "train" or not run.exists()


def test_precision_goes_with_the_gpu(capsys, tmp_path):
    status, _, err = call(capsys, "train", "mlp", "--precision", "tf32", "--out", tmp_path / "run")
    assert (
        status == STATUS_OF_FAILURE
        and "--precision tf32: goes with --device cuda; leave it out, or compute there" in err
    )
    assert call(capsys, "train", "mlp", "--device", "tpu")[0] == STATUS_OF_BAD_USAGE


def test_a_gpu_without_room_is_named_before_training(digits, capsys, monkeypatch, tmp_path):
    monkeypatch.setattr(gpu, "memory", lambda: (10**6, 10**9))
    status, _, err = call(
        capsys, "train", "mlp", "--data", digits, "--device", "cuda", "--out", tmp_path / "run"
    )
    assert (
        status == STATUS_OF_FAILURE
        and "of memory and 1 MB is available; use a smaller --batch-size" in err
        and not (tmp_path / "run").exists()
    )
