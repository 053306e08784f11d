"""The layers of tests/examples, as README has them: one command checks each, and names what is wrong with the
last.
"""

from pathlib import Path

import pytest

from tinyconv.cli import main

EXAMPLES = Path(__file__).parent / "examples"


@pytest.mark.parametrize(
    "layer, status, words",
    [
        ("leaky_relu.py:LeakyReLU", 0, "all ok"),
        ("layer_norm.py:LayerNorm(5)", 0, "all ok"),
        ("upsample2d.py:Upsample2d", 1, "dx is the true gradient times 0.25, 1 / size^2"),
    ],
)
def test_one_command_checks_it(capsys, layer, status, words):
    assert main(["gradcheck", str(EXAMPLES / layer)]) == status
    assert words in capsys.readouterr().out


def test_the_bug_is_one_word(tmp_path, capsys):
    text = (EXAMPLES / "upsample2d.py").read_text().replace("squares.mean(", "squares.sum(")
    (tmp_path / "upsample2d.py").write_text(text)
    assert main(["gradcheck", f"{tmp_path / 'upsample2d.py'}:Upsample2d"]) == 0
    assert "all ok" in capsys.readouterr().out


def test_they_are_short():
    assert len(list(EXAMPLES.glob("*.py"))) == 3
    for path in EXAMPLES.glob("*.py"):
        code = [line for line in path.read_text().splitlines() if line.strip()]
        assert len(code) <= 22 and "tinyconv" not in "".join(code[1:])  # plain NumPy
