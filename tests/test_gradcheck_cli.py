"""tinyconv gradcheck: files of a user's own, networks of full size, the self-test."""

import pytest

from tinyconv.cli import main

FILE = """
import numpy as np

class Scale:
    def __init__(self):
        self.params, self.grads = {"weight": np.arange(1.0, 4.0)}, {}
    def forward(self, x):
        self.x = x
        return x * self.params["weight"]
    def backward(self, dy):
        self.grads["weight"] = (dy * self.x).sum(axis=0)
        return dy * self.params["weight"]

class Wrong(Scale):
    def backward(self, dy):
        return -super().backward(dy)

class Idle(Scale):
    def forward(self, x):
        return x * 1.0
    def backward(self, dy):
        self.grads["weight"] = np.zeros(3)
        return dy

class Typo(Scale):
    def backward(self, dy):
        return dy * self.xx

class NeedsAnArgument(Scale):
    def __init__(self, size):
        super().__init__()

def inverse(x): return x / (1 // 2 / 0)
def forward(x, weight): return x @ weight
def backward(dy, x, weight): return dy @ weight.T, x.T @ dy
"""


@pytest.fixture
def mine(tmp_path):
    path = tmp_path / "mine.py"
    path.write_text(FILE)
    return str(path)


def test_a_file(mine, capsys):
    assert main(["gradcheck", f"{mine}:Scale"]) == 0 and "all ok" in capsys.readouterr().out
    assert main(["gradcheck", f"{mine}:Scale()", "--x", "4x2x3"]) == 1  # dweight is summed over one axis only
    assert "got (2, 3)" in capsys.readouterr().out
    assert main(["gradcheck", f"{mine}:Wrong"]) == 1
    assert "dx has the wrong sign: it is minus the true gradient." in capsys.readouterr().out
    assert main(["gradcheck", f"{mine}:Idle"]) == 1
    assert "nothing is wrong, but it proves too little" in capsys.readouterr().out
    assert main(["gradcheck", f"{mine}:forward,backward", "--x", "4x3,3x2"]) == 0
    assert "dweight" in capsys.readouterr().out


def test_what_cannot_be_checked_is_one_line(mine, capsys):
    for what, more, words in (
        (f"{mine}:Nothing", [], "NameError: name 'Nothing' is not defined"),
        ("nowhere.py:Scale", [], "expected FILE.py:CLASS"),
        (
            f"{mine}:inverse,inverse",
            [],
            "found no x that inverse and inverse takes; it raises ZeroDivisionError",
        ),
        (
            f"{mine}:Typo",
            [],
            "it raises AttributeError: 'Typo' object has no attribute 'xx' (mine.py, line 27)",
        ),
        (f"{mine}:NeedsAnArgument", [], "TypeError"),
        ("conv2d", ["--full"], "--full: expected one of"),
    ):
        assert main(["gradcheck", what, *more]) == 1
        err = capsys.readouterr().err
        assert words in err and err.count("\n") == 1
    with pytest.raises(SystemExit):
        main(["gradcheck", f"{mine}:Scale", "--x", "3,a"])
    assert "expected shapes such as 2x3x8x8" in capsys.readouterr().err


def test_full_size(capsys):
    assert main(["gradcheck", "lenet5", "--full"]) == 0
    out = capsys.readouterr().out
    assert "C5.dweight" in out and "48000 of 48000" in out and "network" in out and "61024 of 61024" in out


def test_the_self_test(capsys, monkeypatch):
    from tinyconv.gradient_check import self_test

    monkeypatch.setattr(self_test.scoring, "MUTANTS", self_test.MUTANTS[:3])
    assert main(["gradcheck", "--self-test", "--seeds", "1"]) == 0
    out = capsys.readouterr().out
    assert (
        "3 of 3 (100.0%)" in out
        and "torch.autograd.gradcheck" in out
        and f"of {len(self_test.RIGHT)} (" in out
    )
