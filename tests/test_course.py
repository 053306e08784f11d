"""The course: what is blank fails, what is right passes, and what is wrong in a known way gets the hint that
belongs to it.
"""

import time
from pathlib import Path

import pytest

from tinyconv.cli import main
from tinyconv.course import EXERCISES, blank, grade_file, hints, write
from tinyconv.course.exercises import BY_NAME
from tinyconv.gradient_check import check_gradients
from tinyconv.gradient_check.diagnosis.hypotheses import HYPOTHESES
from tinyconv.gradient_check.self_test.mutants import MUTANTS

# (exercise, array, a line of the solution, what a student wrote in its place, the names of the hints that
# help)
WRONG = [
    ("tanh", "dx", "dy * (1 - y * y)", "-dy * (1 - y * y)", "sign"),
    ("tanh", "dx", "dy * (1 - y * y)", "1 - y * y", "dy ignored"),
    ("tanh", "dx", "dy * (1 - y * y)", "dy * (1 - y)", "derivative misused"),
    ("tanh", "dx", "dy * (1 - y * y)", "dy * (1 - np.tanh(y) ** 2)", "wrong argument"),
    ("tanh", "dx", "dy * (1 - y * y)", "dy", "passed through"),
    ("tanh", "dx", "dy * (1 - y * y)", "dy * (1 - y * y) / len(dy)", "batch factor"),
    ("tanh", "dx", "dy * (1 - y * y)", "(dy * (1 - y * y)).astype('float32')", "rounded"),
    ("dense", "dx", "dy @ weight ", "dy @ weight.T ", "parameter transposed"),
    ("dense", "dweight", "dy.T @ x ", "x.T @ dy ", "transposed"),
    ("dense", "dweight", "dy.T @ x ", "dy.T @ x / len(x) ", "batch factor"),
    ("dense", "dweight", "dy.T @ x ", "dy[-1:].T @ x[-1:] ", "dy overwritten"),
    ("dense", "dweight", "dy.T @ x ", "np.zeros((dy.shape[1], x.shape[1])) ", "zero"),
    ("dense", "dbias", "dy.sum(axis=0)", "dy", "not summed"),
    ("dense", "dbias", "dy.sum(axis=0)", "dy.mean(axis=0)", "batch factor"),
    ("dense", "dbias", "dy.sum(axis=0)", "dy.sum(axis=0, keepdims=True)", "reshaped"),
    ("dense", "dbias", "dy.sum(axis=0)", "dy.sum() + 0 * dy[0]", "wrong axes"),
    ("softmax_cross_entropy", "dx", "return dx / len(x)", "return dx", "batch factor"),
    ("softmax_cross_entropy", "dx", "return dx / len(x)", "return dx / x.size", "factor|known factor"),
    ("softmax_cross_entropy", "dx", "return dx / len(x)", "return -dx / len(x)", "sign"),
    ("softmax_cross_entropy", "dx", "dx[np.arange(len(x)), labels] -= 1", "pass", "label term"),
    ("softmax_cross_entropy", "dx", "labels] -= 1", "labels] += 1", "label term"),
    ("sequential", "dx", "in reversed(layers)", "in layers", hints.OF_ONE["sequential"][0][2]),
    (
        "sequential",
        "dx",
        "        dy = layer.backward(dy)",
        "        dx = layer.backward(dy)\n    dy = dx #",
        hints.OF_ONE["sequential"][1][2],
    ),
    ("sequential", "dx", "in reversed(layers)", "in reversed(layers[1:])", hints.OF_ONE["sequential"][2][2]),
    ("sequential", "dx", "in reversed(layers)", "in reversed(layers[:-1])", hints.OF_ONE["sequential"][3][2]),
    ("max_pool2d", "dx", "j * SW + v] += dy", "j * SW + v] = dy", "overwritten"),
    ("max_pool2d", "dx", "window.argmax()", "window.argmin()", "wrong argument"),
    (
        "max_pool2d",
        "dx",
        "dx[n, c, i * SH + u, j * SW + v] += ",
        "dx[n, c, i * SH:i * SH + KH, j * SW:j * SW + KW] += ",
        "whole window",
    ),
    (
        "max_pool2d",
        "dx",
        "in np.ndindex(*dy.shape)",
        "in np.ndindex(*dy.shape[:3], dy.shape[3] - 1)",
        "dy border lost|border lost|left out",
    ),
    ("max_pool2d", "dx", "+= dy[n, c, i, j]", "+= 1", "dy ignored"),
    (
        "subsample2d",
        "dx",
        "coefficient[:, None, None] * dy  ",
        "dy  ",
        "parameter missing|factor per channel",
    ),
    (
        "subsample2d",
        "dx",
        "coefficient[:, None, None] * dy  ",
        "coefficient[:, None, None] * dy / (size[0] * size[1])  ",
        "known factor|factor",
    ),
    (
        "subsample2d",
        "dx",
        "coefficient[:, None, None] * dy  ",
        "np.roll(coefficient, 1)[:, None, None] * dy  ",
        "parameter permuted",
    ),
    (
        "subsample2d",
        "dcoefficient",
        "window_sums(x, size))",
        "window_sums(x, size) / (size[0] * size[1]))",
        "known factor|factor",
    ),
    ("subsample2d", "dcoefficient", "(dy * window_sums(x, size)).sum", "dy.sum", "exchanged"),
    (
        "subsample2d",
        "dbias",
        "return dy.sum(axis=(0, 2, 3))",
        "return dy.sum(axis=0)",
        "not summed|wrong axes",
    ),
    ("conv2d", "dx", 'ncij", weight[:, :, u, v]', 'ncij", weight[:, :, -1 - u, -1 - v]', "not rotated"),
    ("conv2d", "dx", "] += np.einsum", "] = np.einsum", "overwritten|dy overwritten|"),
    (
        "conv2d",
        "dx",
        "dpadded[:, :, PH:PH + H, PW:PW + W]",
        "dpadded[:, :, :H, :W]",
        "shifted|option|dy shifted",
    ),
    ("conv2d", "dx", "u:u + SH * OH:SH, v:v + SW * OW:SW] +=", "u:u + OH, v:v + OW] +=", "option"),
    (
        "conv2d",
        "dx",
        'oc,noij->ncij", weight[:, :, u, v]',
        'oc,noij->ncij", 0 * weight[:, :, u, v] + weight.mean(axis=(2, 3))',
        "",
    ),
    ("conv2d", "dweight", "dweight[:, :, u, v] =", "dweight[:, :, -1 - u, -1 - v] =", "not rotated|flipped"),
    (
        "conv2d",
        "dweight",
        "padded = np.pad(x, ((0, 0), (0, 0), (PH, PH), (PW, PW)))\n    dweight",
        "padded = np.pad(x, ((0, 0), (0, 0), (0, 2 * PH), (0, 2 * PW)))\n    dweight",
        "x shifted|shifted|option",
    ),
    ("conv2d", "dbias", "axis=(0, 2, 3)", "axis=0", "not summed|wrong axes"),
    ("conv2d", "dbias", "axis=(0, 2, 3)", "axis=(1, 2, 3)", "wrong axes"),
    ("conv2d", "dbias", "dy.sum(axis=(0, 2, 3))", "dy.sum(axis=0).mean(axis=(1, 2))", "known factor|factor"),
    (
        "table_conv2d",
        "dx",
        "weight[k, u, v] * dy[:, o]",
        "weight[k, -1 - u, -1 - v] * dy[:, o]",
        "not rotated",
    ),
    (
        "table_conv2d",
        "dx",
        "weight[k, u, v] * dy[:, o]",
        "weight[-1 - k, u, v] * dy[:, o]",
        "flipped|parameter permuted",
    ),
    ("table_conv2d", "dweight", "dweight[k, u, v] =", "dweight[k - 1, u, v] =", "permuted"),
    ("table_conv2d", "dbias", "dy.sum(", "2 * dy.sum(", "known factor|factor"),
    ("rbf", "dx", "2 * (dy", "(dy", "known factor|factor"),
    (
        "rbf",
        "dx",
        "2 * (dy[:, :, None] * (x[:, None] - centers)).sum(axis=1)",
        "2 * x * dy.sum(axis=1, keepdims=True)",
        "parameter missing",
    ),
    ("rbf", "dcenters", "-2 * (dy", "2 * (dy", "sign"),
    (
        "local_response_norm",
        "dx",
        "return direct + 2 * alpha * x * neighbour_sums(dd, size)",
        "return direct",
        "constant denominator",
    ),
    (
        "local_response_norm",
        "dx",
        "return direct + 2 * alpha",
        "return direct + alpha",
        "constant denominator",
    ),
    ("local_response_norm", "dx", "neighbour_sums(dd, size)", "dd", "neighbours left out"),
    ("local_response_norm", "dx", "(-beta - 1)", "(-beta)", hints.OF_ONE["local_response_norm"][0][2]),
    ("diagonal_second_derivative", "ddx", "@ weight ** 2", "@ weight", hints.NOT_SQUARED),
    ("diagonal_second_derivative", "ddx", "(1 - y * y) ** 2) @", "(1 - y * y)) @", hints.NOT_SQUARED),
    ("diagonal_second_derivative", "ddweight", ".T @ x ** 2", ".T @ x", hints.NOT_SQUARED),
    ("diagonal_second_derivative", "ddbias", "** 2).sum(axis=0)", ").sum(axis=0)", hints.NOT_SQUARED),
    ("diagonal_second_derivative", "ddbias", ".sum(axis=0)", ".mean(axis=0)", "batch factor"),
]


@pytest.mark.parametrize(
    "name, array, right, wrong, names",
    WRONG,
    ids=[f"{case[0]} {case[1]} {place}" for place, case in enumerate(WRONG)],
)
def test_a_known_mistake_gets_its_hint(tmp_path, name, array, right, wrong, names):
    text = blank.source(name)
    before, found, after = text.partition(right)
    assert found, "the solution has changed: adapt the table"
    grade = grade_text(tmp_path, name, before + wrong + after)
    assert [credit.name for credit in grade.credits if not credit.ok] == [array] and grade.score == len(
        grade.credits
    ) - 1
    (sentence,) = (credit.sentence for credit in grade.credits if not credit.ok)
    expected = [hints.HINTS.get(each, each) for each in names.split("|")]
    assert any(sentence.startswith(each) for each in expected), sentence
    assert grade.problem == ""


def grade_text(folder, name, text, **options):
    (folder / f"{name}.py").write_text(text)
    return grade_file(BY_NAME[name], folder / f"{name}.py", **options)


@pytest.fixture(scope="module")
def stubs(tmp_path_factory):
    folder = tmp_path_factory.mktemp("course") / "exercises"
    assert main(["course", "new", str(folder)]) == 0
    return folder


@pytest.fixture
def solved(tmp_path):
    for exercise in EXERCISES:
        (tmp_path / f"{exercise.name}.py").write_text(blank.source(exercise.name))
    return tmp_path


def test_untouched_stubs_fail(stubs, capsys):
    assert main(["course", "check", str(stubs)]) == 1
    out = capsys.readouterr().out
    assert out.endswith("0 of 19 gradients are right, and 0 of 3 extra\n") and out.count(
        "not written yet"
    ) == len(EXERCISES)
    assert "None" not in out and "Traceback" not in out


def test_stubs_hold_the_forward_and_not_the_answer(stubs):
    assert sorted(path.name for path in stubs.iterdir()) == sorted(
        ["README.md", *(f"{exercise.name}.py" for exercise in EXERCISES)]
    )
    for exercise in EXERCISES:
        text, solution = (stubs / f"{exercise.name}.py").read_text(), blank.source(exercise.name)
        assert "reverses" not in text and "squared\n" not in text.partition("def forward")[2]
        assert "def forward" in text and "Derivation" in text and "Go on" in text
        assert (
            text.count("raise NotImplementedError")
            == len(exercise.functions)
            == solution.count("def backward_")
        )
        assert text.partition("def backward_")[0] == solution.partition("def backward_")[0]
        assert text.count('"""') == solution.count('"""')


def test_our_solutions_pass_in_time(solved, capsys):
    begin = time.perf_counter()
    assert main(["course", "check", str(solved)]) == 0
    assert time.perf_counter() - begin < 30
    assert capsys.readouterr().out.endswith("19 of 19 gradients are right, and 3 of 3 extra\n")


def test_everything_wrong_is_graded_in_time(tmp_path, capsys):
    texts = {}
    for name, _, right, wrong, _ in reversed(
        WRONG
    ):  # several in each function, from the last line of the table
        text = texts.get(name, blank.source(name))
        texts[name] = text.replace(right, wrong, 1)
    for name, text in texts.items():
        (tmp_path / f"{name}.py").write_text(text)
    begin = time.perf_counter()
    assert main(["course", "check", str(tmp_path)]) == 1
    assert time.perf_counter() - begin < 30
    assert capsys.readouterr().out.endswith("0 of 19 gradients are right, and 0 of 3 extra\n")


def test_extras_do_not_count(solved, capsys):
    (solved / "diagonal_second_derivative.py").unlink()
    assert main(["course", "check", str(solved)]) == 0
    out = capsys.readouterr().out
    assert "the file is missing" in out and out.endswith("19 of 19 gradients are right, and 0 of 3 extra\n")


def test_one_bad_file_does_not_stop_the_others(solved, capsys):
    (solved / "dense.py").write_text("def forward(x:\n")
    (solved / "tanh.py").write_text("import nothing_of_that_name\n")
    (solved / "rbf.py").write_bytes(b"\xff\xfe\x00")
    assert main(["course", "check", str(solved)]) == 1
    out = capsys.readouterr().out
    assert (
        "is no Python" in out
        and "ModuleNotFoundError in line 1: No module named 'nothing_of_that_name'" in out
    )
    assert out.endswith("13 of 19 gradients are right, and 3 of 3 extra\n") and "Traceback" not in out


@pytest.mark.parametrize(
    "body, sentence",
    {
        "    dy.x": "backward_bias stops with AttributeError in line",
        "    pass": "backward_bias gives None: does it end with return?",
        "    return 'dy'": "backward_bias gives str, and not one array of real numbers",
        "    return [dy, dy[0]]": "backward_bias gives list, and not one array of real numbers",
        "    dy *= 2\n    return dy.sum(axis=0) / 2": "backward_bias changes dy, which it was given",
        "    raise SystemExit(3)": "backward_bias stops with SystemExit",
        "    return np.random.default_rng().normal(size=dy.shape[1])": "differs from call to call",
        "    return dy.sum(axis=0) / np.zeros(dy.shape[1])": hints.HINTS["not finite"],
        "    return dy.sum(axis=0) ** 2": "",
        "    return dy.sum(axis=1)": "expected a gradient of shape",
    }.items(),
    ids=str,
)
def test_what_else_can_be_wrong_is_a_sentence(tmp_path, body, sentence):
    text = blank.source("dense")
    grade = grade_text(tmp_path, "dense", text[: text.index('    """dbias')] + body + "\n")
    dx, dweight, dbias = grade.credits
    assert dx.ok and dweight.ok and not dbias.ok and sentence in dbias.sentence, dbias


def test_a_function_that_is_gone_is_named(tmp_path):
    grade = grade_text(tmp_path, "dense", blank.source("dense").replace("def backward_bias", "def bias"))
    assert [credit.sentence for credit in grade.credits] == ["", "", "backward_bias is missing"]


def test_a_loop_without_an_end_is_stopped(tmp_path):
    text = blank.source("tanh")
    text = text.replace(
        "    return dy",
        "    while True:\n        try:\n            dy\n        except Exception:\n            pass\n    "
        "return dy",
    )
    begin = time.perf_counter()
    grade = grade_text(tmp_path, "tanh", text, seconds=0.5)
    assert grade.score == 0 and "takes more than 0.5 s" in grade.problem and time.perf_counter() - begin < 5


@pytest.mark.parametrize("forward", ["np.tanh(x) + 1", "1 / 0", "x[:1]"])
def test_a_changed_forward_is_noticed(tmp_path, forward):
    grade = grade_text(
        tmp_path, "tanh", blank.source("tanh").replace("return np.tanh(x)", f"return {forward}")
    )
    assert "its forward was changed" in grade.problem and grade.score == 1


def test_nothing_is_overwritten(stubs, capsys):
    (stubs / "mine.txt").write_text("mine")
    assert main(["course", "new", str(stubs)]) == 1
    err = capsys.readouterr().err
    assert err.count("\n") == 1 and "is not empty" in err and (stubs / "mine.txt").read_text() == "mine"
    assert main(["course", "new", str(stubs / "mine.txt")]) == 1
    assert "is a file" in capsys.readouterr().err


def test_an_empty_folder_will_do(tmp_path):
    assert len(write(tmp_path)) == len(EXERCISES)


def test_a_wrong_folder_is_one_sentence(tmp_path, capsys):
    for path, words in (
        (tmp_path / "nowhere", "no such folder"),
        (tmp_path, "none of the exercises"),
        (tmp_path / "mine.py", "is no exercise"),
    ):
        assert main(["course", "check", str(path)]) == 1
        err = capsys.readouterr().err
        assert words in err and err.count("\n") == 1


def test_one_file_alone_shows_what_it_prints(solved, capsys):
    with open(solved / "tanh.py", "a") as file:
        file.write("\n\nprint('mine')\n")
    assert main(["course", "check", str(solved)]) == 0 and "mine" not in capsys.readouterr().out
    assert main(["course", "check", str(solved / "tanh.py")]) == 0
    out = capsys.readouterr().out
    assert "mine" in out and out.endswith("1 of 1 gradients are right\n")
    assert not (solved / "__pycache__").exists()


def test_readme_shows_what_it_prints(solved, capsys):
    path = solved / "rbf.py"
    path.write_text(path.read_text().replace("-2 * (dy", "2 * (dy"))
    assert main(["course", "check", str(path)]) == 1
    lines = capsys.readouterr().out.splitlines()[:2]
    assert (
        "".join(f"    {line}\n" for line in lines) in (Path(__file__).parent.parent / "README.md").read_text()
    )


def test_each_hypothesis_has_its_hint():
    assert {hypothesis.name for hypothesis in HYPOTHESES} <= set(hints.HINTS)


def test_hints_do_not_give_the_answer_away():
    for sentence in hints.HINTS.values():
        assert (
            "{" not in sentence
            and "+=" not in sentence
            and "dy *" not in sentence
            and sentence.endswith((".", "?"))
        )


def test_the_checkers_mutants_get_their_hints():
    named, mutants = 0, [mutant for mutant in MUTANTS if mutant.operation in BY_NAME]
    for mutant in mutants:
        obj, x, options = mutant.build(0)
        report = check_gradients(obj, x, quiet=True, **options)
        assert not report.ok
        found = {each.name for each in (*report.diagnoses, *report.refusals)}
        named += any(hints.hint(name) != hints.HINTS[""] for name in found & set(mutant.names))
    assert len(mutants) >= 40 and named >= 0.9 * len(mutants), (named, len(mutants))
