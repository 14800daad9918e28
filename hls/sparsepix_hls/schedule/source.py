"""The generated C++ as LLVM's IR: each number has exactly its bits, each pipelined loop is still a loop."""

import re
import shutil
import sys
from pathlib import Path

from sparsepix_hls.project import toolchain
from sparsepix_ops.errors import SparsePixError
from sparsepix_ops.system import processes, tools

TYPES = Path(__file__).parents[1] / "kernels" / "include" / "schedule_types"
_TARGET = "x86_64-linux-gnu"  # any: nothing is ever run
_FLAGS = "-std=c++17 -w -S -emit-llvm -g0 -fno-exceptions -fno-sanitize=all -O1 -Xclang -disable-llvm-passes"
_INLINE = "#pragma clang attribute push(__attribute__((always_inline)), apply_to = function)\n"
_TRIPS = 'extern "C" __attribute__((const)) int sparsepix_trips(int);\n'
_PIPELINED = re.compile(r"^( *for \(int (\w+) = 0; \2 < )(.*)(; \2\+\+\) \{\n#pragma HLS PIPELINE)", re.MULTILINE)
_STAGE = re.compile(r"^static void (\w+)\(", re.MULTILINE)


def find_clang() -> list[str]:
    """The command of clang, which comes with the package ziglang.

    Raises:
        SparsePixError: this or llvmlite is not installed.
    """
    tools.require("--schedule", "ziglang", "llvmlite")
    return [sys.executable, "-m", "ziglang", "c++", "-target", _TARGET]


def stage_functions(directory: Path, top: str) -> tuple[str, ...]:
    """The functions of a project that are scheduled one by one: its stages, or the whole if it has none."""
    text = (directory / "firmware" / f"{top}.cpp").read_text(encoding="utf-8")
    return tuple(_STAGE.findall(text)) or (top,)


def compile_to_ir(directory: Path, top: str, folder: Path) -> Path:
    """Compile the firmware of a project.

    The trip count of a pipelined loop goes through a function that nobody knows, so that the loop stays one; all
    kernels are inlined.

    Args:
        directory: the project.
        top: its top function.
        folder: where the changed sources and the IR go.

    Returns:
        The file of the IR.

    Raises:
        SparsePixError: no clang, or it refuses the sources.
    """
    find_clang()
    sources = folder / "sources"
    shutil.copytree(directory / "firmware", sources)
    for path in (*sources.rglob("*.h"), *sources.rglob("*.cpp")):
        path.write_text(_PIPELINED.sub(r"\1sparsepix_trips(\3)\4", path.read_text(encoding="utf-8")), encoding="utf-8")
    source = sources / f"{top}.cpp"
    text = _STAGE.sub(r"__attribute__((noinline)) void \1(", source.read_text(encoding="utf-8"))
    last = '#include "parameters.h"\n'
    text = text.replace(last, f"{last}#pragma clang attribute pop\n", 1)
    source.write_text(f"{_TRIPS}{_INLINE}{text}", encoding="utf-8")
    return _to_ir(source, folder / f"{top}.ll", directory)


def compile_source(text: str, function: str, folder: Path) -> Path:
    """Compile C++ that is not of a project: its loops of ``sparsepix_trips`` stay loops.

    Args:
        text: of one file.
        function: the only one that is not inlined.
        folder: where it and the IR go.

    Raises:
        SparsePixError: no clang, or it refuses the text.
    """
    source = folder / "source.cpp"
    marked = re.sub(
        rf"^ *void {function}\(",
        "\n#pragma clang attribute pop\n__attribute__((noinline)) \\g<0>",
        text,
        flags=re.MULTILINE,
    )
    source.write_text(f"{_TRIPS}{_INLINE}{marked}", encoding="utf-8")
    return _to_ir(source, folder / "source.ll", source)


def _to_ir(source: Path, target: Path, what: Path) -> Path:
    """Run clang."""
    command = [*find_clang(), *_FLAGS.split(), "-D__SYNTHESIS__", "-I", str(TYPES), str(source), "-o", str(target)]
    done = processes.run(command, target.parent)
    if done.returncode:
        raise SparsePixError(f"{what}: clang refuses the firmware\n{toolchain.first_lines(done.stderr)}")
    return target
