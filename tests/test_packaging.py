"""What is installed is what is in the repository: a wheel is built and installed, and every module is
imported from it.
"""

import configparser
import importlib
import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

import tinyconv

ROOT = Path(__file__).parent.parent
FOLDERS = {
    "tinyconv": "tinyconv",
    "kernels": "tinyconv.kernels",
    "models": "tinyconv.models",
    "benchmarks": "tinyconv.benchmarks",
}


def modules_in_the_repository():
    for folder, package in FOLDERS.items():
        for path in sorted((ROOT / folder).rglob("*.py")):
            parts = path.relative_to(ROOT / folder).with_suffix("").parts
            yield ".".join((package, *parts)).removesuffix(".__init__")


def setup_cfg():
    config = configparser.ConfigParser()
    config.read(ROOT / "setup.cfg")
    return config


@pytest.mark.parametrize("room", [folder for folder in FOLDERS if folder != "tinyconv"])
def test_a_room_has_one_name(room, tmp_path):
    """One file is one module: the bare name says which one is meant, and the link leads to the folder."""
    done = subprocess.run([sys.executable, "-c", f"import {room}"], cwd=tmp_path, env=os.environ | {"PYTHONPATH": str(ROOT)},  # noqa: E501
                          capture_output=True, text=True)  # fmt: skip
    assert done.returncode == 1 and f"write `import tinyconv.{room}`" in done.stderr
    assert (ROOT / "tinyconv" / room).samefile(ROOT / room)


def test_tinyconv_is_not_inside_itself():
    with pytest.raises(ImportError, match="write `import tinyconv`, or `import tinyconv.X`"):
        importlib.import_module("tinyconv.tinyconv.layer")


def test_names_are_public_and_found():
    assert set(tinyconv.__all__) <= set(dir(tinyconv))
    assert not [name for name in dir(tinyconv) if name.startswith("_") and not name.endswith("__")]
    assert all(getattr(tinyconv, name) for name in tinyconv.__all__)


@pytest.mark.parametrize("code, expected", [
    ("tc.Seq", "Sequential"),
    ("tc.layers.Conv2", "Conv2d"),
    ("tc.kernels.conv", "conv2d"),
    ("tc.models.lenet5().train_s", "train_step"),
])  # fmt: skip
def test_an_editor_completes(code, expected):
    jedi = pytest.importorskip("jedi", reason="completion is tested with jedi (pip install 'tinyconv[test]')")
    script = jedi.Script(f"import tinyconv as tc\n{code}", project=jedi.Project(ROOT))
    assert expected in {completion.name for completion in script.complete()}


def test_links_that_are_text_files_are_named(tmp_path):
    """So Git makes them on Windows, where links are not allowed."""
    package = tmp_path / "tinyconv"
    package.mkdir()
    for name in ("__init__.py", "version.py"):
        (package / name).write_bytes((ROOT / "tinyconv" / name).read_bytes())
    (package / "kernels").write_text("../kernels")
    done = subprocess.run(
        [sys.executable, "-c", "import tinyconv"], cwd=tmp_path, capture_output=True, text=True
    )
    assert done.returncode == 1 and "expected a link to the folder kernels" in done.stderr


def test_requirements():
    options = setup_cfg()["options"]
    names = {re.match(r"[\w-]+", line).group() for line in options["install_requires"].split("\n") if line}
    assert names == {"numpy", "numba", "pillow", "tqdm"} and options["python_requires"] == ">=3.11"
    assert {"demo", "test", "all"} <= set(setup_cfg()["options.extras_require"])


@pytest.fixture(scope="module")
def installed(tmp_path_factory):
    """The folder into which a wheel of the repository was installed, without a network."""
    pytest.importorskip(
        "setuptools",
        minversion="64",
        reason="building a wheel needs setuptools (pip install 'tinyconv[test]')",
    )
    wheels, target = tmp_path_factory.mktemp("wheels"), tmp_path_factory.mktemp("installed")
    source = tmp_path_factory.mktemp("source") / "tinyconv"
    tracked = [
        *ROOT.glob("*.cfg"),
        *ROOT.glob("*.toml"),
        ROOT / "README.md",
        *(p for folder in FOLDERS for p in (ROOT / folder).rglob("*.py")),
    ]
    tracked.append(ROOT / "tinyconv" / "py.typed")
    for path in tracked:  # a copy, so that no build/ is left in the repository
        copy = source / path.relative_to(ROOT)
        copy.parent.mkdir(parents=True, exist_ok=True)
        copy.write_bytes(path.read_bytes())
    for room in FOLDERS.keys() - {"tinyconv"}:
        (source / "tinyconv" / room).symlink_to(Path("..", room))
    pip = [sys.executable, "-m", "pip", "--quiet", "--disable-pip-version-check"]
    subprocess.run(
        [*pip, "wheel", "--no-deps", "--no-build-isolation", "--no-index", "--wheel-dir", wheels, source],
        check=True,
    )
    (wheel,) = wheels.glob("tinyconv-*.whl")
    subprocess.run([*pip, "install", "--no-deps", "--no-index", "--target", target, wheel], check=True)
    assert (target / "tinyconv" / "py.typed").exists()
    return target


def test_every_module_imports_from_the_wheel(installed):
    modules = [
        name for name in modules_in_the_repository() if not name.endswith(("__main__", "tinyconv.tinyconv"))
    ]
    program = (
        "import importlib, sys\n"
        f"for name in {modules}:\n"
        "    module = importlib.import_module(name)\n"
        f"    assert module.__file__.startswith({str(installed)!r}), module.__file__\n"
        "print(len(sys.modules))"
    )
    done = subprocess.run(
        [sys.executable, "-c", program],
        cwd=installed,
        env={"PYTHONPATH": str(installed), "PATH": ""},
        capture_output=True,
        text=True,
    )
    assert done.returncode == 0, done.stderr
    assert len(modules) > 80
    assert (
        {path.name for path in installed.iterdir()} >= {"tinyconv"}
        and not (installed / "kernels").exists()
        and not (installed / "models").exists()
    )


def test_the_command_runs_from_the_wheel(installed):
    done = subprocess.run(
        [sys.executable, "-m", "tinyconv", "summary", "lenet5"],
        cwd=installed,
        env={"PYTHONPATH": str(installed), "PATH": ""},
        capture_output=True,
        text=True,
    )
    assert done.returncode == 0 and "60,000" in done.stdout, done.stderr
