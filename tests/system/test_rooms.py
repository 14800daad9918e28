"""The rooms: which folder may import which, how many modules a folder has, how long a file is."""

import ast
import importlib.util
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
PACKAGES = {"sparsepix": ROOT / "src", "sparsepix_ops": ROOT / "onnx_ops", "sparsepix_hls": ROOT / "hls"}
# From low to high: a room imports itself and what comes before it. A room is a folder, or a module at the top of the
# package, by its path without '.py'; '.' is the package itself.
ROOMS = {
    "sparsepix": [
        "util", "recording", "quant", "pixels", "export", "nn", "models", "cost", "datasets", "plots", "training",
        "compat", "runs", "search", ".", "cli",
    ],
    "sparsepix_ops": [
        "version", "errors", "whole", "images", "fixed_point", "fixed_points", "op", "ops", "registry",
        "range_analysis", "shapes", "rules", "bodies", "reference", "qonnx", ".", "system",
    ],
    "sparsepix_hls": [
        "ir", "cost", "kernels", "rtl/lower", "layers", "frontend", "design", "reference", "project", "cpp", "schedule",
        "rtl/stages", "rtl/emit", "rtl/tools", "rtl", "html", "flow", "hls4ml", ".", "cli",
    ],
}  # fmt: skip
# The package that each package may import.
BELOW = {"sparsepix": {"sparsepix_ops"}, "sparsepix_ops": set(), "sparsepix_hls": {"sparsepix_ops"}}
# What goes against the grain today: (importing module, imported module). One that is gone has to go here too.
EXCEPTIONS: set[tuple[str, str]] = set()


def modules(package):
    """Dotted name to file, of all modules of a package."""
    base = PACKAGES[package]
    paths = sorted((base / package).rglob("*.py"))
    return {".".join(p.relative_to(base).with_suffix("").parts).removesuffix(".__init__"): p for p in paths}


MODULES = {name: path for package in PACKAGES for name, path in modules(package).items()}


def imported(module, path=None, text=None):
    """The modules of our packages that a module imports, also inside functions."""
    path = path or MODULES[module]
    package = module if path.name == "__init__.py" else module.rpartition(".")[0]
    found = set()
    for node in ast.walk(ast.parse(text or path.read_text())):
        if isinstance(node, ast.Import):
            names = [alias.name for alias in node.names]
        elif isinstance(node, ast.ImportFrom):
            origin = importlib.util.resolve_name("." * node.level + (node.module or ""), package)
            names = [f"{origin}.{alias.name}" for alias in node.names]
        else:
            continue
        for name in names:
            while name and name not in MODULES:  # what is imported from a module is no module
                name = name.rpartition(".")[0]
            found |= {name} - {""}
    return found


def room(module):
    package, _, rest = module.partition(".")
    folder = MODULES[module].parent.relative_to(PACKAGES[package] / package).as_posix()
    return folder if folder != "." else rest or "."


def against_the_grain(module, found):
    """Those of the imported modules that the module may not import."""
    package = module.partition(".")[0]
    order = ROOMS[package]
    for other in sorted(found):
        theirs = other.partition(".")[0]
        allowed = (
            theirs in BELOW[package] if theirs != package else order.index(room(other)) <= order.index(room(module))
        )
        if not allowed:
            yield module, other


@pytest.mark.parametrize("package", PACKAGES)
def test_every_room_has_its_place(package):
    assert {room(module) for module in modules(package)} == set(ROOMS[package])


def test_rooms_import_only_lower_ones():
    wrong = {pair for module in MODULES for pair in against_the_grain(module, imported(module))}
    assert sorted(wrong - EXCEPTIONS) == []
    assert sorted(EXCEPTIONS - wrong) == [], "no longer against the grain: take these out of EXCEPTIONS"


@pytest.mark.parametrize(
    ("module", "text", "wrong"),
    [
        ("sparsepix_hls.ir.graph", "from sparsepix_hls.cpp.writer import write_project", ["sparsepix_hls.cpp.writer"]),
        ("sparsepix_hls.ir.graph", "def f():\n    from ..flow import report", ["sparsepix_hls.flow.report"]),
        ("sparsepix_hls.ir.graph", "import sparsepix_hls.flow.report as r", ["sparsepix_hls.flow.report"]),
        ("sparsepix_hls.ir", "from ..cli import main", ["sparsepix_hls.cli.main"]),
        ("sparsepix_hls.cpp.writer", "from sparsepix_hls.ir import graph\nimport numpy, sparsepix_ops.op", []),
        ("sparsepix_hls.cpp.writer", "import sparsepix", ["sparsepix"]),
        ("sparsepix_ops.op", "from sparsepix_hls import translate", ["sparsepix_hls"]),
        ("sparsepix.nn.joins", "from sparsepix.training import fit", ["sparsepix.training"]),
    ],
)
def test_imports_against_the_grain_are_found(module, text, wrong):
    assert [other for _, other in against_the_grain(module, imported(module, text=text))] == wrong


def test_folders_and_files_are_small():
    """15 modules in a folder, 400 lines in a file."""
    folders = {path.parent for base in (*PACKAGES.values(), ROOT / "tests") for path in base.rglob("*.py")}
    crowded = {f: n for f in folders if (n := sum(p.name != "__init__.py" for p in f.glob("*.py"))) > 15}
    assert crowded == {}
    files = [p for base in PACKAGES.values() for p in base.rglob("*") if p.suffix in {".py", ".h", ".cpp", ".sv"}]
    assert len(files) > 150
    long = {str(p.relative_to(ROOT)): n for p in files if (n := len(p.read_text().splitlines())) > 400}
    assert long == {}
