"""README tells the truth: its Python runs, its commands and files exist."""
import re
from pathlib import Path

from tinyconv.cli import main, parser

ROOT = Path(__file__).parent.parent
README = (ROOT / "README.md").read_text()


def test_its_python_runs(capsys):
    blocks = re.findall(r"```python\n(.*?)```", README, re.DOTALL)
    assert len(blocks) >= 3
    names = {}
    for block in blocks:
        exec(compile(block, "README.md", "exec"), names)
    out = capsys.readouterr().out
    assert "dcoefficient" in out and "WRONG" in out and "multiply-adds" in out


def test_its_files_exist():
    links = re.findall(r"\]\(([\w/.]+)\)", README)
    assert links and all((ROOT / link).exists() for link in links)


def test_its_commands_parse(capsys):
    lines = re.findall(r"(?m)(?:^|&& |`)tinyconv ([^#`\n]+)", README)
    assert {line.split()[0] for line in lines} >= {"train", "eval", "predict", "gradcheck", "summary", "doctor"}
    for line in lines:
        parser().parse_args(line.split())                    # SystemExit where an option does not exist
    assert main(["summary", "lenet5"]) == 0 and "340,908" in capsys.readouterr().out
