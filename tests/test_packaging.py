"""What is installed is what is in the repository: a wheel is built and installed, and every module is imported from it."""

import configparser
import re
import subprocess
import sys
from pathlib import Path

import pytest

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


def test_every_package_is_listed():
    listed = set(setup_cfg()["options"]["packages"].split())
    found = {
        ".".join((package, *path.relative_to(ROOT / folder).parent.parts))
        for folder, package in FOLDERS.items()
        for path in (ROOT / folder).rglob("*.py")
    }
    assert listed == found


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
    for path in tracked:  # a copy, so that no build/ is left in the repository
        copy = source / path.relative_to(ROOT)
        copy.parent.mkdir(parents=True, exist_ok=True)
        copy.write_bytes(path.read_bytes())
    pip = [sys.executable, "-m", "pip", "--quiet", "--disable-pip-version-check"]
    subprocess.run(
        [*pip, "wheel", "--no-deps", "--no-build-isolation", "--no-index", "--wheel-dir", wheels, source],
        check=True,
    )
    (wheel,) = wheels.glob("tinyconv-*.whl")
    subprocess.run([*pip, "install", "--no-deps", "--no-index", "--target", target, wheel], check=True)
    return target


def test_every_module_imports_from_the_wheel(installed):
    modules = [name for name in modules_in_the_repository() if not name.endswith("__main__")]
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
