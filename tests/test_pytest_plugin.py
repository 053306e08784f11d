"""The pytest plugin, in a project of its own that knows of tinyconv only that it is installed."""

import os
import re
import subprocess
import sys

import pytest

PROJECT = """
import numpy as np


class Scale:
    def __init__(self):
        self.params, self.grads = {"factor": np.array([2.0, 3.0, 4.0])}, {}

    def forward(self, x):
        self.x = x
        return self.params["factor"] * x

    def backward(self, dy):
        self.grads["factor"] = (dy * self.x).sum(axis=0)
        return self.params["factor"] * dy


class Averaged(Scale):
    def backward(self, dy):
        self.grads["factor"] = (dy * self.x).mean(axis=0)
        return self.params["factor"] * dy


class Stops(Scale):
    def backward(self, dy):
        raise ValueError("the user's own")


class Endless(Scale):
    def forward(self, x):
        return self.forward(x)


X = np.random.default_rng(0).standard_normal((5, 3))


def test_right(gradcheck):
    assert gradcheck(Scale(), X).ok


def test_options(gradcheck):
    assert gradcheck(Scale(), X, sample=2).rows[0].checked == 2


def test_without_x(gradcheck):
    gradcheck(Scale())


def test_wrong(gradcheck):
    gradcheck(Averaged(), X)


def test_stops(gradcheck):
    gradcheck(Stops(), X)


def test_endless(gradcheck):
    gradcheck(Endless(), X)


def test_nothing_to_check(gradcheck):
    gradcheck(3, X)
"""


def run(folder, *arguments):
    """A pytest of its own in `folder`."""
    environment = {
        name: value
        for name, value in os.environ.items()
        if not name.startswith("PYTEST") and name != "PYTHONPATH"
    }
    done = subprocess.run(
        [sys.executable, "-m", "pytest", "-p", "no:cacheprovider", "--rootdir", folder, *arguments],
        cwd=folder,
        env=environment,
        capture_output=True,
        text=True,
    )
    return done.returncode, done.stdout + done.stderr


@pytest.fixture(scope="module")
def outcome(tmp_path_factory):
    """{test: its part of the failures}, and all that pytest printed."""
    folder = tmp_path_factory.mktemp("project")
    (folder / "test_scale.py").write_text(PROJECT)
    status, printed = run(folder, "-v")
    if "fixture 'gradcheck' not found" in printed:
        pytest.fail(
            "pytest does not know the plugin: an installation from before it was there; install again (pip "
            "install -e .)"
        )
    assert status == 1, printed
    parts = re.split(r"(?m)^_{3,} (test_\w+) _{3,}$", printed)
    return dict(zip(parts[1::2], parts[2::2])), printed


def test_right_layers_pass(outcome):
    _, printed = outcome
    for name in ("test_right", "test_options", "test_without_x"):
        assert re.search(rf"::{name} PASSED", printed), printed


def test_a_wrong_one_shows_table_and_diagnosis(outcome):
    text = outcome[0]["test_wrong"]
    assert (
        "wrong gradients" in text
        and re.search(r"dfactor +complex +3 of 3 .* WRONG", text)
        and re.search(r"dx +complex +15 of 15 .* ok", text)
    )
    assert "divided by 5, the number of images" in text
    assert "gradcheck(Averaged(), X)" in text  # the line of the test


def test_no_traceback_leads_into_tinyconv(outcome):
    failures, printed = outcome
    assert set(failures) == {"test_wrong", "test_stops", "test_endless", "test_nothing_to_check"}
    for text in failures.values():
        places = re.findall(r"(?m)^(\S+\.py):\d+:", text)
        assert places and set(places) == {"test_scale.py"}, text


def test_an_error_of_the_users_own_is_shown_where_it_is(outcome):
    text = outcome[0]["test_stops"]
    assert 'raise ValueError("the user\'s own")' in text and "def backward(self, dy):" in text


def test_it_costs_nothing_until_it_is_used(tmp_path):
    (tmp_path / "test_other.py").write_text(
        "import sys\n\n\ndef test_nothing_is_imported():\n"
        "    assert 'tinyconv.pytest_plugin' in sys.modules\n"
        "    assert not {'numpy', 'numba', 'PIL', 'tinyconv.gradient_check'} & set(sys.modules)\n"
    )
    status, printed = run(tmp_path)
    assert status == 0, printed


def test_pytest_lists_the_fixture(tmp_path):
    (tmp_path / "test_other.py").write_text("def test_nothing():\n    pass\n")
    _, printed = run(tmp_path, "--fixtures")
    assert re.search(r"gradcheck \[session scope\].*\n.*the test fails with the table", printed), printed
