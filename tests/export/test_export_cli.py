"""The command sparsepix-export, as a user calls it."""

import re
import subprocess
import sys
from pathlib import Path

import onnx
import pytest
import torch
from torch import nn

import sparsepix as sp
from sparsepix.cli.export import main

FACTORY = """
import sparsepix as sp
from torch import nn

def build():
    return nn.Sequential(
        sp.QuantIdentity(sp.FixedPoint(8, 1)), sp.SparseInputReduce(5), sp.SparseFlatten(),
        sp.QuantLinear(36, 2, weight_format=sp.FixedPoint(8, 3)),
    )

class Holder:
    pass

number = 3
"""


@pytest.fixture
def folder(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    return tmp_path


@pytest.fixture
def own_model(folder, request):
    """A module of a user's own, in a package of its own name, with its state_dict saved."""
    name = f"own_{abs(hash(request.node.name))}"
    (folder / f"{name}.py").write_text(FACTORY)
    sys.path.insert(0, str(folder))
    module = __import__(name)
    sys.path.pop(0)
    yield name, module
    del sys.modules[name]


def failure(capsys, *arguments):
    assert main([str(a) for a in arguments]) == 2
    captured = capsys.readouterr()
    assert captured.err.count("error: ") == 1
    assert "Traceback" not in captured.err
    return captured.err


def test_writes_beside_the_input(folder, capsys):
    sp.save(sp.models.digits(), folder / "model.pt")
    assert main(["model.pt"]) == 0
    assert "exact in float32" in capsys.readouterr().out
    onnx.checker.check_model(folder / "model.onnx")
    assert sorted(p.name for p in folder.iterdir()) == ["model.onnx", "model.pt"]
    assert main(["model.pt", "-o", "other.onnx"]) == 0
    assert (folder / "other.onnx").read_bytes()[:50]


def test_pickled_module_is_refused_with_the_two_ways_out(folder, capsys, own_model):
    _, module = own_model
    torch.save(module.build(), folder / "model.pt")
    message = failure(capsys, "model.pt", "--input-shape", 1, 6, 6)
    assert "--model package.module:factory" in message
    assert "--allow-pickle" in message
    assert not (folder / "model.onnx").exists()
    assert main(["model.pt", "--allow-pickle", "--input-shape", "1", "6", "6"]) == 0
    assert (folder / "model.onnx").is_file()


def test_factory(folder, capsys, own_model):
    name, module = own_model
    torch.save(module.build().state_dict(), folder / "weights.pt")
    assert main(["weights.pt", "--model", f"{name}:build", "--input-shape", "1", "6", "6"]) == 0
    assert (folder / "weights.onnx").is_file()
    assert "export needs input_shape" in failure(capsys, "weights.pt", "--model", f"{name}:build")
    assert "expected package.module:factory" in failure(capsys, "weights.pt", "--model", name)
    assert "no_such" in failure(capsys, "weights.pt", "--model", "no_such_module:build")
    assert "has no attribute" in failure(capsys, "weights.pt", "--model", f"{name}:nothing")
    assert "expected a function or class" in failure(capsys, "weights.pt", "--model", f"{name}:number")
    assert "expected a torch module, it made a Holder" in failure(capsys, "weights.pt", "--model", f"{name}:Holder")
    torch.save(nn.Linear(3, 3).state_dict(), folder / "other.pt")
    assert "do not fit the model" in failure(capsys, "other.pt", "--model", f"{name}:build")


def test_wrong_files(folder, capsys):
    assert "there is no such file" in failure(capsys, "none.pt")
    (folder / "text.pt").write_text("hello")
    assert "expected a model file" in failure(capsys, "text.pt")
    torch.save({"a": torch.zeros(3)}, folder / "state.pt")
    assert "no description of an architecture" in failure(capsys, "state.pt")
    sp.save(sp.models.digits(bits=None), folder / "float.pt")
    message = failure(capsys, "float.pt")
    assert message.count("has no quantizer") >= 5
    sp.save(sp.models.digits(), folder / "model.pt")
    assert "does not exist" in failure(capsys, "model.pt", "-o", "no/such/folder.onnx")
    assert not list(folder.glob("*.onnx"))


def test_help_loads_no_torch():
    code = (
        "import sys; from sparsepix.cli.export import main\n"
        "try: main(['--help'])\n"
        "except SystemExit as e: assert e.code == 0\n"
        "assert 'torch' not in sys.modules and 'rich' not in sys.modules"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert "example:" in done.stdout
    command = Path(sys.executable).with_name("sparsepix-export")
    version = subprocess.run([command, "--version"], capture_output=True, text=True, check=True)
    assert sp.__version__ in version.stdout


FAULTS = """
import sys
import sparsepix as sp
from torch import nn

def needs(size): pass

def raises():
    return {}["key"]

def wrong():
    return sp.SparseConv2d(0, 1, 3)

def ends(): sys.exit(3)

def gives_class(): return nn.Identity
"""


@pytest.mark.parametrize(
    ("factory", "message"),
    [
        ("faults:needs", r"the function raised TypeError: needs\(\) missing 1 required positional argument"),
        ("faults:raises", r"the function raised KeyError: 'key' \(.*faults\.py, line 9\)"),
        ("faults:wrong", r"the function \(.*faults\.py, line 12\): SparseConv2d: in_channels"),
        ("faults:ends", r"the function ended the program with sys\.exit\(3\) \(.*faults\.py, line 14\)"),
        ("faults:gives_class", "it made the class Identity; call it there"),
        ("faults.py:raises", "a module goes by its name, not by its path: faults:raises"),
        ("./faults:raises", "a module goes by its name, not by its path: faults:raises"),
        ("faults", "expected package.module:factory, found 'faults'"),
        ("a..b:c", "expected package.module:factory"),
        ("syntax:build", r"the module raised SyntaxError: .*syntax\.py, line 1"),
        (
            "imports:build",
            r"raised ModuleNotFoundError: No module named 'no_such' \(.*imports\.py, line 1\)",
        ),
        ("exits:build", r"the module ended the program with sys\.exit\(4\)"),
        ("no_such_package.module:build", "there is no module no_such_package"),
    ],
)
def test_faults_in_the_code_of_the_user(folder, capsys, monkeypatch, factory, message):
    (folder / "faults.py").write_text(FAULTS)
    (folder / "syntax.py").write_text("def f(:\n")
    (folder / "imports.py").write_text("import no_such\n")
    (folder / "exits.py").write_text("import sys; sys.exit(4)\n")
    torch.save({"weight": torch.zeros(1)}, folder / "weights.pt")
    path = list(sys.path)
    try:
        errors = failure(capsys, "weights.pt", "--model", factory, "--input-shape", 1, 6, 6)
    finally:
        sys.modules.pop("faults", None)
    assert re.search(message, errors)
    assert sys.path == path
    assert not (folder / "weights.onnx").exists()


def test_arguments_that_cannot_be_are_all_told_before_torch_is_loaded(folder, capsys):
    errors = failure(capsys, "weights.pt", "--model", "a/b", "--input-shape", 1, -6, 6)
    assert "--input-shape: expected channels, height and width of at least 1, found [1, -6, 6]" in errors
    assert "--model: expected package.module:factory, found 'a/b'" in errors
    errors = failure(capsys, "weights.pt", "--input-shape", 1, 10**6, 10**6)
    assert "an image of [1, 1000000, 1000000] takes 3,725 GiB" in errors
