"""How much memory there is: what control groups say, and what is said where nothing can be told."""

import numpy as np

from tinyconv import Sequential
from tinyconv.execution import memory
from tinyconv.kernels import _machine_memory
from tinyconv.layers import Dense


def test_limits_of_a_control_group(tmp_path):
    names = "memory.max", "memory.current", "inactive_file "
    write = lambda **files: [
        (tmp_path / name.replace("_", ".")).write_text(text) for name, text in files.items()
    ]
    write(memory_max="1000\n", memory_current="700\n", memory_stat="anon 500\ninactive_file 150\n")
    assert _machine_memory._left(tmp_path, *names) == 450
    write(memory_current="2000\n", memory_stat="anon 500\n")
    assert _machine_memory._left(tmp_path, *names) == 0
    write(memory_max="max\n")
    assert _machine_memory._left(tmp_path, *names) is None
    assert _machine_memory._left(tmp_path / "none", *names) is None


def test_the_smallest_of_what_is_told_counts(monkeypatch):
    monkeypatch.setattr(_machine_memory, "_free_of_the_machine", lambda: 500)
    monkeypatch.setattr(_machine_memory, "_free_of_the_groups", lambda: iter([None, 300, 400]))
    assert memory.available() == 300
    monkeypatch.setattr(_machine_memory, "_free_of_the_groups", lambda: iter([]))
    assert memory.available() == 500
    monkeypatch.setattr(_machine_memory, "_free_of_the_machine", lambda: None)
    assert memory.available() is None


def test_need_grows_with_the_batch():
    net = Sequential(F=Dense(100, 50, rng=0))
    small, large = memory.needed(net, (8, 100)), memory.needed(net, (80, 100))
    assert 4 * (8 * 150 + 5050) < small < large and large < 10 * small


def test_words():
    assert [memory.say(amount) for amount in (1, 2e6, 4.99e8, 1.54e9)] == ["1 MB", "2 MB", "499 MB", "1.5 GB"]
    assert np.isfinite(memory.available() or 0)
