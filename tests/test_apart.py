"""Code of a user's own in a process of its own: whatever it does, there is one sentence and never "ok"."""

import numpy as np
import pytest

from tinyconv import apart, errors
from tinyconv.cli import main

LAYER = """
import numpy as np
class Square:
    def forward(self, x): self.x = x; return x * x
    def backward(self, dy): return 3 * self.x * dy
"""
ENDS = "ended its process with status 0 before its gradients were checked; leave out sys.exit"
LONG = "took more than 1 s and was ended"
BEHAVIOUR = {
    "import sys; sys.exit(0)": "SystemExit: 0 (mine.py, line 6)",
    "import os; os._exit(0)": ENDS,
    "while True: pass": LONG,
    "import itertools; sum(itertools.repeat(0))": LONG,
    "import ctypes; ctypes.string_at(0)": "its process crashed (SIGSEGV)",
    "many = np.ones(10**10)": "MemoryError: Unable to allocate 74.5 GiB",
    "raise KeyboardInterrupt": "KeyboardInterrupt",
    "raise ValueError('two\\nlines')": "ValueError: two lines (mine.py, line 6)",
    "def Square(: pass": "SyntaxError",
}


@pytest.fixture
def mine(tmp_path):
    def write(text):
        path = tmp_path / "mine.py"
        path.write_text(LAYER + text)
        return f"{path}:Square"

    return write


@pytest.mark.parametrize("text", BEHAVIOUR)
def test_a_file_that_does_something_else_is_one_line(text, mine, capfd):
    assert main(["gradcheck", mine(text), "--seconds", "1"]) == 1
    out, err = capfd.readouterr()
    assert BEHAVIOUR[text] in err and err.count("\n") == 1 and not out


@pytest.mark.parametrize("where", ["forward", "backward"])
def test_a_pass_that_ends_the_process(where, mine, capfd):
    text = f"class Ends(Square):\n    def {where}(self, *_):\n        import os; os._exit(0)\n"
    assert main(["gradcheck", mine(text).replace(":Square", ":Ends")]) == 1
    assert ENDS in capfd.readouterr().err


def test_a_pass_that_hides_its_exit(mine, capfd):
    text = """
class Hides(Square):
    def forward(self, x):
        try:
            raise SystemExit(0)
        except BaseException:
            pass
        return super().forward(x)
"""
    assert main(["gradcheck", mine(text).replace(":Square", ":Hides")]) == 1
    assert "WRONG" in capfd.readouterr().out


def test_a_file_that_changes_the_checker_changes_nothing(mine, capfd):
    text = """
import tinyconv.gradient_check as g
for part in (g.comparison.Comparison, g.report.Report, g.report.Row):
    for name in ("ok", "verdict"):
        setattr(part, name, property(lambda self: "ok"))
g.check._check = g.check_gradients = lambda *a, **k: None
"""
    assert main(["gradcheck", mine(text)]) == 1
    assert "WRONG" in capfd.readouterr().out


def test_values_go_there_and_back():
    rng = np.random.default_rng(0)
    value = {
        "a": rng.standard_normal((2, 0, 3)),
        "b": [np.float32(2), (np.arange(3), None, True), 1e-300],
        ("t", 1): {"c": 1j * rng.standard_normal(4), "d": np.array(True)},
    }
    back = apart.unpack(apart.pack(value))
    assert list(back) == list(value) and isinstance(back["b"][1], tuple) and back["b"][1][1:] == (None, True)
    for one, two in (
        (back["a"], value["a"]),
        (back["b"][0], value["b"][0]),
        (back["t", 1]["c"], value["t", 1]["c"]),
    ):
        assert one.dtype == two.dtype and one.shape == two.shape and np.array_equal(one, two)
    for wrong in (object(), np.array([object()]), {1: lambda: 0}):
        with pytest.raises(TypeError, match="expected"):
            apart.pack(wrong)


class Adds:
    """Served by a process in the test below."""

    def __init__(self, start):
        self.sum = start

    def add(self, number):
        if number is None:
            raise errors.DataError("nothing to add")
        self.sum += number
        return self.sum


def test_a_process_serves_calls_and_ends():
    with apart.Apart(Adds, 5, subject="adds") as process:
        assert process.call("add", 2) == 7 and process.call("add", 1.5) == 8.5
        with pytest.raises(apart.Raised, match="DataError: nothing to add"):
            process.call("add", None)
        with pytest.raises(apart.Raised, match="AttributeError"):
            process.call("subtract", 1)
        running = process.process
    assert not running.is_alive()
    with pytest.raises(apart.Ended, match="adds: "):
        process.call("add", 1)
