"""The maps of the rooms lead somewhere: every path that they name exists; the student's path is short."""

import re
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent
# a virtual environment or a build in the checkout is not ours
ALIEN = {"site-packages", "build", ".pytest_cache"}
READMES = [path for path in ROOT.rglob("README.md") if not ALIEN & set(path.relative_to(ROOT).parts)]
READMES = sorted({path.resolve() for path in [*READMES, ROOT / ".github" / "CONTRIBUTING.md"]})


@pytest.mark.parametrize("readme", READMES, ids=lambda path: str(path.relative_to(ROOT)))
def test_links_lead_somewhere(readme):
    text = readme.read_text()
    for link in re.findall(r"\]\((?!https?:)([^)#]+)\)", text):
        assert (readme.parent / link).exists(), link


@pytest.mark.parametrize("room", ["kernels", "tinyconv"])
def test_the_maps_name_what_is_there(room):
    names = re.findall(r"`([\w./]+(?:\.py|/))`", (ROOT / room / "README.md").read_text())
    known = {"/" + str(path.relative_to(ROOT)) for path in ROOT.rglob("*") if ".git" not in path.parts}
    assert len(names) > 20
    for name in names:
        assert any(path.endswith("/" + name.rstrip("/")) for path in known), name


def test_the_students_path_is_short():
    text = (ROOT / "tinyconv" / "README.md").read_text().partition("## The student's path")[2]
    files = re.findall(r"`([\w/]+\.py)`", text)
    assert len(re.findall(r"(?m)^\d+\. ", text)) == 12 and len(files) == len(set(files))
    assert sum(len((ROOT / file).read_text().splitlines()) for file in files) < 1500


def test_readme_is_short():
    assert len((ROOT / "README.md").read_text().splitlines()) <= 200
