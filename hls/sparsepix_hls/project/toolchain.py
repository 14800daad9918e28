"""The compiler of the simulations and the open ap_fixed/ap_int headers it needs."""

import importlib.util
import os
import shutil
import subprocess
from collections.abc import Sequence
from pathlib import Path

from sparsepix_ops.errors import SparsePixError
from sparsepix_ops.system import processes, tools
from sparsepix_ops.system.signals import temporary_folder

STANDARD = "c++14"
# Measured on the neutrino model: -O1 compiles faster than -O2 (5.8 against 7.1 CPU seconds), and runs no slower.
OPTIMIZATION = "-O1"
# The library is loaded where it was built. Measured on the neutrino model: 1.3 times the events of plain -O3 a second.
NATIVE_OPTIMIZATION = ("-O3", "-march=native")
_COMMON = (f"-std={STANDARD}", "-iquotefirmware", "-Isimulation", "-Wno-unknown-pragmas", "-Wno-unused-label")
# Relative to a project's directory. The headers of ap_types/ are not ours: no warnings from there.
FLAGS = (*_COMMON, "-isystem", "ap_types")
# The folder's headers have the same names: the include path alone decides what ap_fixed is.
NATIVE_FLAGS = (*_COMMON, "-Inative_types")
# Two projects may hold functions of one name: hidden, each library calls its own, whatever else is loaded.
LIBRARY_FLAGS = ("-fPIC", "-shared", "-pthread", "-fvisibility=hidden")
_COMPILING = "compiling a project"
_SHOWN_LINES = 20  # of a compiler's output, in an error message


def ap_types_directory() -> Path:
    """Where the open ap_fixed/ap_int headers (Apache 2.0) are: in the wheel of da4ml, which is not imported.

    Raises:
        SparsePixError: da4ml is not installed or does not ship them.
    """
    tools.require("a project of C++, for the ap_fixed headers,", "da4ml")
    directory = (
        Path(importlib.util.find_spec("da4ml").origin).parent / "codegen" / "hls" / "source" / "ap_types" / "include"
    )
    if not (directory / "ap_fixed.h").is_file():
        raise SparsePixError(f"expected da4ml to ship ap_fixed.h in {directory}, found none: pip install 'da4ml>=0.6'")
    return directory


def find_compiler() -> list[str]:
    """The command of the C++ compiler: the environment variable CXX, or g++.

    Raises:
        SparsePixError: there is none on this machine.
    """
    command = os.environ.get("CXX", "").split() or ["g++"]
    if command == ["g++"]:
        tools.find_program(_COMPILING, "g++")
    elif shutil.which(command[0]) is None:
        raise SparsePixError(
            f"{_COMPILING} needs a C++ compiler, found no {command[0]!r}, to which CXX is set: set it to the name of "
            f"one, or leave it out for g++: {tools.how_to_install('g++')}"
        )
    return command


def find_make() -> str:
    """Path of make.

    Raises:
        SparsePixError: there is none on this machine.
    """
    return tools.find_program(_COMPILING, "make")


def build_library(directory: Path, sources: Sequence[str], library: Path, flags: Sequence[str]) -> None:
    """Compile sources of a project to a shared library.

    Args:
        directory: the project; sources and flags are relative to it.
        sources: C++ files.
        library: file to write.
        flags: options of the compiler, without those that ask for a shared library.

    Raises:
        SparsePixError: no compiler, or it refuses the sources.
    """
    command = [*find_compiler(), *flags, *LIBRARY_FLAGS, "-o", str(library), *sources]
    done = processes.run(command, directory)
    if done.returncode != 0:
        raise SparsePixError(
            f"{directory}: the C++ compiler failed (exit status {done.returncode}): {' '.join(command)}\n"
            f"{first_lines(done.stderr or done.stdout)}"
        )


def run_make(directory: Path, target: str) -> tuple[str, subprocess.CompletedProcess[str]]:
    """Run make in a project.

    Args:
        directory: the project.
        target: of its Makefile.

    Returns:
        The command, for messages, and what came of it.

    Raises:
        SparsePixError: there is no make or no compiler, or nothing can be written there.
    """
    compiler = find_compiler()
    command = [find_make(), target, f"CXX={' '.join(compiler)}"]
    build = directory / "build"
    try:
        build.mkdir(exist_ok=True)
        # Removed here: after a signal make leaves some of it, when the compilers that it started are still writing.
        with temporary_folder("make.", build) as work:
            return " ".join(command), processes.run([*command, f"WORK=build/{work.name}"], directory)
    except OSError as error:
        raise SparsePixError(f"{build}: cannot build there: {error.strerror or error}") from error


def first_lines(text: str) -> str:
    """The beginning of a tool's output, for an error message."""
    lines = text.strip().splitlines()
    rest = [f"... ({len(lines) - _SHOWN_LINES} more lines)"] if len(lines) > _SHOWN_LINES else []
    return "\n".join(lines[:_SHOWN_LINES] + rest)
