"""What is installed is what is in the repository: a wheel is built and installed, and every module is
imported from it.
"""

import configparser
import importlib
import os
import re
import subprocess
import sys
import tarfile
import zipfile
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


PIP = [sys.executable, "-m", "pip", "--quiet", "--disable-pip-version-check"]


def build_wheel(source, folder):
    """Return the wheel of the folder `source`, built without a network."""
    offline = ["--no-deps", "--no-build-isolation", "--no-index"]
    subprocess.run([*PIP, "wheel", *offline, "--wheel-dir", folder, source], check=True)
    (wheel,) = folder.glob("tinyconv-*.whl")
    return wheel


def contents(wheel):
    """Return {name: bytes} of a wheel, without what describes the wheel itself."""
    with zipfile.ZipFile(wheel) as file:
        return {name: file.read(name) for name in file.namelist() if ".dist-info/" not in name}


@pytest.fixture(scope="module")
def source(tmp_path_factory):
    """A copy of the repository, so that no build/ is left in it."""
    pytest.importorskip(
        "setuptools",
        minversion="64",
        reason="building a wheel needs setuptools (pip install 'tinyconv[test]')",
    )
    source = tmp_path_factory.mktemp("source") / "tinyconv"
    tracked = [
        *ROOT.glob("*.cfg"),
        *ROOT.glob("*.toml"),
        ROOT / "README.md",
        *(p for folder in FOLDERS for p in (ROOT / folder).rglob("*.py")),
    ]
    tracked.append(ROOT / "tinyconv" / "py.typed")
    for path in tracked:
        copy = source / path.relative_to(ROOT)
        copy.parent.mkdir(parents=True, exist_ok=True)
        copy.write_bytes(path.read_bytes())
    for room in FOLDERS.keys() - {"tinyconv"}:
        (source / "tinyconv" / room).symlink_to(Path("..", room))
    return source


@pytest.fixture(scope="module")
def wheel(source, tmp_path_factory):
    return build_wheel(source, tmp_path_factory.mktemp("wheels"))


@pytest.fixture(scope="module")
def installed(wheel, tmp_path_factory):
    """The folder into which a wheel of the repository was installed, without a network."""
    target = tmp_path_factory.mktemp("installed")
    subprocess.run([*PIP, "install", "--no-deps", "--no-index", "--target", target, wheel], check=True)
    assert (target / "tinyconv" / "py.typed").exists()
    return target


def test_the_wheel_holds_the_modules_of_the_folders_and_no_more(wheel):
    modules = {
        name.removesuffix(".py").replace("/", ".").removesuffix(".__init__")
        for name in contents(wheel)
        if name.endswith(".py")
    }
    assert modules == set(modules_in_the_repository())


def test_the_sdist_builds_the_same_wheel(source, wheel, tmp_path):
    program = f"from setuptools.build_meta import build_sdist; build_sdist({str(tmp_path)!r})"
    subprocess.run([sys.executable, "-c", program], cwd=source, check=True, capture_output=True)
    (sdist,) = tmp_path.glob("tinyconv-*.tar.gz")
    with tarfile.open(sdist) as file:
        file.extractall(tmp_path / "unpacked", filter="data")
    (unpacked,) = (tmp_path / "unpacked").iterdir()
    assert contents(build_wheel(unpacked, tmp_path)) == contents(wheel)


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
