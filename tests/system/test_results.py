"""The files in docs/results: what each must say, and that its command is one that can be given."""

import ast
import json
import math
import shlex
from datetime import date
from pathlib import Path

import pytest

from sparsepix_hls.cli.arguments import parse

ROOT = Path(__file__).resolve().parents[2]
RESULTS = ROOT / "docs/results"
FIELDS = {"name", "command", "date", "commit", "version", "machine", "seconds", "figures"}
MAY_BE = {"from", "transcribed", "commands"}


def strings(path):
    """The strings in a program: its options are among them."""
    return {node.value for node in ast.walk(ast.parse(path.read_text())) if isinstance(node, ast.Constant)}


def check_command(command):
    program, *words = shlex.split(command)
    if program != "python":
        assert f"\n{program} = " in (ROOT / "pyproject.toml").read_text()  # [project.scripts]
        if program == "sparsepix-hls":
            parse(words)
    elif words[:2] == ["-m", "pytest"]:
        assert (ROOT / words[2]).is_file()
    else:
        script, *given = words
        known = strings(ROOT / script) | strings(ROOT / "benchmarks/results.py")
        assert {word for word in given if word.startswith("--")} <= known


@pytest.mark.parametrize("path", sorted(RESULTS.glob("*.json")), ids=lambda path: path.stem)
def test_a_file(path):
    found = json.loads(path.read_text(encoding="utf-8"))
    assert FIELDS <= set(found) <= FIELDS | MAY_BE
    assert found["name"] == path.stem
    assert date.fromisoformat(found["date"]) <= date.today()
    commands = [found["command"], *found.get("commands", {}).values()]
    if found.get("transcribed") and found["command"] == "none":  # read in reports of others
        commands = commands[1:]
    for command in commands:
        check_command(command)
    if "from" in found:  # a table or a text from before there were such files: nobody knows the machine
        assert found["machine"] is None
    else:
        assert {"processor", "cores", "python"} <= set(found["machine"])
        assert found["seconds"] > 0
    figures = found["figures"]
    assert figures
    numbers = [n for value in figures.values() for n in (value.values() if isinstance(value, dict) else (value,))]
    assert all(type(number) in (int, float) and math.isfinite(number) for number in numbers)


def test_a_command_with_an_option_that_is_none_is_found():
    with pytest.raises(AssertionError):
        check_command("python benchmarks/epoch.py --epoch 3")


def test_each_table_has_its_figures():
    assert {path.stem for path in RESULTS.glob("*.csv")} <= {path.stem for path in RESULTS.glob("*.json")}
