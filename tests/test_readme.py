"""README tells the truth: its Python runs and prints what is shown, its commands, files and figures exist."""

import importlib.util
import math
import re
import shlex
import textwrap
from pathlib import Path

import pytest

import tinyconv as tc
from tinyconv.cli import main, parser
from tinyconv.course import EXERCISES, solutions

ROOT = Path(__file__).parent.parent
README = (ROOT / "README.md").read_text()
# those of the rooms, too
ALL = README + "".join(
    path.read_text() for path in sorted(ROOT.glob("*/**/README.md")) if "results" not in path.parts
)
PYTHON = re.findall(r"```python\n(.*?)```", README, re.DOTALL)
# indented text that is not fenced: outputs, equations and the layout of the folders
UNFENCED = re.sub(r"```.*?```", "", README, flags=re.DOTALL)
SHOWN = [
    textwrap.dedent(block).strip("\n") for block in re.findall(r"(?<=\n\n)(?: {4}.*\n|\n(?= {4}))+", UNFENCED)
]
NUMBER = r"-?\d[\d,]*(?:\.\d+)?(?:e[+-]?\d+)?"
ROW = re.compile(
    rf" +(\w+) +(\w+) +(\d+ of \d+) +({NUMBER}|inf|nan) +(\[[\d, ]*\]) +({NUMBER}) +({NUMBER}) +(\S.*)"
)
# a relative error below this is one of rounding, and differs by machine
ROUNDING = 1e-12


class Printed:
    """What README's Python prints, its names, and all gradients of its layers: (array, values)."""

    def __init__(self, capsys, patch):
        self.names, self.gradients = {}, []
        backward = tc.layers.Subsample2d.backward

        def remembered(layer, dy, need_dx=True):
            dx = backward(layer, dy, need_dx)
            self.gradients += [("dx", dx), *((f"d{name}", value) for name, value in layer.grads.items())]
            return dx

        patch.setattr(tc.layers.Subsample2d, "backward", remembered)
        for block in PYTHON:
            exec(compile(block, "README.md", "exec"), self.names)
        self.text = capsys.readouterr().out


@pytest.fixture
def printed(capsys, monkeypatch):
    return Printed(capsys, monkeypatch)


def hint(folder, capsys):
    """What the grader says of rbf with a wrong sign."""
    solution = (Path(solutions.__file__).parent / "rbf.py").read_text()
    assert "-2 * (dy" in solution
    (folder / "rbf.py").write_text(solution.replace("-2 * (dy", "2 * (dy"))
    main(["course", "check", str(folder / "rbf.py")])
    return capsys.readouterr().out


def differences(shown, real, gradients=()):
    """The shown lines that are not, in this order, among the real ones; "..." stands for any lines."""
    wrong, real, free = [], real.splitlines(), True
    for line in shown.splitlines():
        if line.strip() == "...":
            free = True
            continue
        places = [place for place, other in enumerate(real) if same_line(line, other, gradients)]
        if not places or (not free and places[0] > 0):
            wrong.append(line)
        real = real[places[0] + 1 :] if places else real
        free = False
    return wrong


def same_line(shown, real, gradients):
    """Compare two lines: rows of a gradient table as such; else the text, and numbers to 1e-6."""
    if ROW.fullmatch(shown) and ROW.fullmatch(real):
        return same_row(ROW.fullmatch(shown).groups(), ROW.fullmatch(real).groups(), gradients)
    numbers = [
        [float(number.replace(",", "")) for number in re.findall(NUMBER, line)] for line in (shown, real)
    ]
    return re.sub(NUMBER, "#", shown) == re.sub(NUMBER, "#", real) and all(
        math.isclose(*pair, rel_tol=1e-6) for pair in zip(*numbers, strict=True)
    )


def same_row(shown, real, gradients):
    """Compare two rows of a gradient table.

    The element with the largest error differs by machine where all errors are of rounding: so the shown
    element is looked up in the gradients that were computed.
    """
    if (*shown[:3], shown[7]) != (*real[:3], real[7]):
        return False
    errors = [float(row[3]) for row in (shown, real)]
    if max(errors) > ROUNDING and not 0.1 < errors[0] / max(errors[1], ROUNDING) < 10:
        return False
    backward, expected = float(shown[5]), float(shown[6])
    index = tuple(map(int, re.findall(r"\d+", shown[4])))
    known = any(
        name == shown[0]
        and len(index) == value.ndim
        and all(map(int.__lt__, index, value.shape))
        and math.isclose(value[index], backward, rel_tol=1e-6)
        for name, value in gradients
    )
    return known and (errors[0] > ROUNDING or math.isclose(backward, expected, rel_tol=1e-6))


def aligned(table):
    """Check that the columns of each row of a gradient table begin where the heads begin."""
    lines = [line for line in table.splitlines() if ROW.fullmatch(line)]
    heads = next((line for line in table.splitlines() if line.split()[:2] == ["array", "oracle"]), "")
    starts = [match.start() for match in re.finditer(r"\S+", heads)]
    return all(line[start - 1] == " " != line[start] for line in lines for start in starts)


def test_its_python_prints_and_its_commands_answer_as_shown(printed, tmp_path, capsys):
    real = {
        "Python": printed.text,
        "course": hint(tmp_path, capsys),
        "equations": textwrap.dedent((ROOT / "kernels/subsample2d/__init__.py").read_text()),
    }
    found = set()
    for block in SHOWN:
        if re.match(r"[\w/<>.]+/", block):
            for path in re.findall(r"(?m)^[\w/.]+/[\w.]*(?= )", block):
                assert (ROOT / path).exists(), path
            continue
        same = [name for name, text in real.items() if not differences(block, text, printed.gradients)]
        assert same and aligned(block), f"README shows what is not printed:\n{block}"
        found.update(same)
    assert found == set(real)


@pytest.mark.parametrize(
    "was, instead",
    [
        ("-7.184556026 ", "-7.184546026 "),
        ("[2]           -7", "[1]           -7"),
        ("3 of 3      3.7e-16", "4 of 4      3.7e-16"),
        ("3.7e-16", "3.7e-06"),
        ("complex  3 of 3      1.6", "central  3 of 3      1.6"),
        ("array         oracle", "array     oracle"),
        ("size=(2, 2)", "size=(3, 2)"),
        ("size=(2, 2))\n", "size=(2, 2))\n  more\n"),
        ("  dcoefficient  complex", "  dcoefficient   complex"),
    ],
)
def test_another_output_than_the_real_one_is_seen(was, instead, printed):
    table = next(block for block in SHOWN if block.startswith("Subsample2d("))
    changed = table.replace(was, instead)
    assert changed != table and not differences(table, printed.text, printed.gradients) and aligned(table)
    assert differences(changed, printed.text, printed.gradients) or not aligned(changed)


def test_its_comments_on_shapes_are_right(printed):
    layer_block, network_block = (
        next(block for block in PYTHON if word in block) for word in ("Subsample2d", "Sequential")
    )
    shapes = re.findall(r"(?m)^(\w+) = .*# \(((?:\d+, )+\d+)\)", layer_block)
    assert {name for name, _ in shapes} == {"y", "dx"}
    for name, shape in shapes:
        assert printed.names[name].shape == tuple(map(int, shape.split(", ")))
    outputs = {row.split()[2] for row in printed.text.splitlines() if len(row.split()) == 6} | {"1x12x12"}
    sizes = re.findall(r"#.*", network_block)
    sizes = [size for line in sizes if "->" in line for size in re.findall(r"\d+(?:x\d+)*", line)]
    assert len(sizes) >= 5 and set(sizes) <= outputs


def test_its_check_of_scale_is_right(printed):
    assert "dfactor is the true gradient divided by 5" in printed.text and "WRONG" in printed.text
    assert "averaged where the sum is meant" in " ".join(README.split())


def test_its_counts_are_those_of_summary(capsys):
    totals = {}
    for model in ("lenet5", "alexnet", "cifar_net", "mlp"):
        main(["summary", model])
        total = capsys.readouterr().out.splitlines()[-1].split()[1:]
        totals[model] = dict(zip(("parameters", "connections", "multiply-adds"), total, strict=True))
    counts = list(re.finditer(r"(\d[\d,]*) (parameters|connections|multiply-adds)", ALL))
    assert len(counts) >= 4
    for count in counts:
        named = re.findall(r"lenet-?5|alexnet|cifar_net|mlp", ALL[: count.start()].lower())[-1]
        assert totals[named.replace("-", "")][count[2]] == count[1], count[0]


def test_its_sentence_on_upsample2d_is_what_gradcheck_says(capsys):
    said = re.search(r"(tests/examples/upsample2d.py:Upsample2d) +# (.*)", README)
    assert main(["gradcheck", str(ROOT / said[1])]) == 1
    assert said[2] in capsys.readouterr().out


def test_it_counts_the_exercises():
    words = ("Nine", "Ten", "Eleven", "Twelve", "Thirteen", "Fourteen")
    assert f"{words[len(EXERCISES) - 9]} operations, from tanh" in README


def test_its_files_exist():
    links = re.findall(r"\]\(([\w/.]+)\)", README)
    assert links and all((ROOT / link).exists() for link in links)


def test_its_commands_parse():
    lines = re.findall(r"(?m)(?:^|&& |`)tinyconv ([^#`\n]+)", ALL)
    assert {line.split()[0] for line in lines} >= {
        "train",
        "eval",
        "predict",
        "gradcheck",
        "summary",
        "doctor",
    }
    for line in lines:
        try:
            parser().parse_args(shlex.split(line))
        except SystemExit:
            pytest.fail(f"README's command does not parse: tinyconv {line}")


def test_its_python_commands_exist():
    modules = re.findall(r"python -m ([\w.]+)", ALL)
    assert modules and all(importlib.util.find_spec(module) for module in modules)
    files = re.findall(r"python (\w[\w/]*\.py)", ALL)
    assert files and all((ROOT / file).exists() for file in files)
