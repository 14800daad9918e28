"""Area and logic depth of an RTL project, mapped by Yosys, module by module."""

import shutil
import sys
from collections import Counter
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from rich.console import Console

from sparsepix_hls.project import toolchain
from sparsepix_hls.project.jobs import for_each
from sparsepix_hls.project.parts import RESOURCES, Part, known_family
from sparsepix_hls.rtl.tools.netlist import LongestPath, read_netlist
from sparsepix_ops.errors import SparsePixError
from sparsepix_ops.system import tools
from sparsepix_ops.system.processes import ProcessGroup
from sparsepix_ops.system.signals import temporary_folder

METHOD = (
    "Yosys synth_xilinx, each stage for itself and a column of the image once for all columns: nothing is shared or "
    "optimized across them, and nothing is placed"
)
OPTIONS = "-noiopad -abc9 -flatten"  # nothing but 'multiplier' multiplies, which shall be a DSP slice
# Multiplexers of 5 values and more use MUXF7 and MUXF8. Without it a row of an image takes twice the LUTs; with it the
# tables of weights take more.
WIDE = "-widemux 5"
# Modules that are used many times are mapped once: columns of an image (63 x 63 pixels take half a minute; as part of
# their stage eleven), what finds the largest pixels in each, products, and tables of weights, whose levels abc would
# give away where it sees no need for them.
REPEATED = ("image_column", "largest_column", "tree_node", "sorted_list", "product", "adder", "multiplier")
TABLES = "*_logic_table* *_arrival_table*"
# LUTs of a memory made of them, as AMD's libraries guide (UG974) draws it.
_MEMORIES = {
    1: ("RAM32X1S", "RAM64X1S"),
    2: ("RAM32X1D", "RAM64X1D", "RAM128X1S"),
    4: ("RAM128X1D", "RAM256X1S", "RAM32M", "RAM64M"),
    8: ("RAM256X1D", "RAM512X1S", "RAM32M16", "RAM64M8", "RAM64X8SW", "RAM32X16DR8"),
}


@dataclass(frozen=True)
class Area:
    """What a module takes.

    Args:
        lut, ff, dsp, bram: look-up tables (those used as memory too), flip-flops, DSP slices, memory blocks of 18 kbit.
        path: its longest logic path.
    """

    lut: int
    ff: int
    dsp: int
    bram: int
    path: LongestPath


@dataclass(frozen=True)
class Synthesis:
    """What Yosys found.

    Args:
        family: that it mapped to.
        modules: area of each module.
    """

    family: str
    modules: dict[str, Area]

    def total(self, resource: str) -> int:
        """Sum over the modules of a resource, of ``RESOURCES``."""
        return sum(getattr(area, resource) for area in self.modules.values())

    @property
    def deepest(self) -> tuple[str, LongestPath]:
        """The module with the longest path, and the path."""
        return max(((name, area.path) for name, area in self.modules.items()), key=lambda item: item[1].levels)


def yosys_command(script: list[str]) -> list[str] | None:
    """A command that runs a script of Yosys; None if this machine has no Yosys.

    The package pyosys comes first: it is newer than what distributions have, and took half the time.
    """
    if tools.installed("pyosys"):
        return [sys.executable, "-c", _PYOSYS, *script]
    path = shutil.which("yosys")
    return [path, "-q", "-p", "; ".join(script)] if path else None


def find_yosys(asked: str) -> None:
    """Look for Yosys.

    Args:
        asked: what needs it.

    Raises:
        SparsePixError: this machine has none; says how to install it.
    """
    if yosys_command([]) is None:
        raise tools.missing(asked, "yosys")


_PYOSYS = """
import sys
from pyosys import libyosys
design = libyosys.Design()
for line in sys.argv[1:]:
    libyosys.run_pass(line, design)
"""


def synthesize(
    directory: Path, modules: tuple[str, ...], top: str, part: Part, console: Console | None = None
) -> Synthesis:
    """Map every module of a project.

    Args:
        directory: of the project.
        modules: names of its modules.
        top: name of the top module, whose file is not needed.
        part: the FPGA.
        console: where progress is shown.

    Raises:
        SparsePixError: Yosys has no such family, or refuses a module.
    """
    family = known_family(part)
    generated = {*(f"{name}.sv" for name in modules), f"{top}.sv"}
    shared = sorted(path.name for path in (directory / "rtl").glob("*.sv") if path.name not in generated)
    build = directory / "build"
    build.mkdir(exist_ok=True)

    def area(name: str, tools: ProcessGroup) -> Area:
        sources = " ".join(f"rtl/{file}" for file in (*shared, f"{name}.sv"))
        wide = WIDE if "reduce_scan" in (directory / "rtl" / f"{name}.sv").read_text(encoding="utf-8") else ""
        files = f"build/{folder.name}/{name}"
        parts = " ".join([*(f"{top}_{part} $paramod*{top}_{part}*" for part in REPEATED), TABLES])
        synth = f"synth_xilinx -family {family} -top {name} {OPTIONS} {wide}"
        script = [
            f"read_verilog -sv {sources}",
            f"hierarchy -top {name}",
            f"setattr -mod -set keep_hierarchy 1 {parts}",
            f"{synth} -run begin:map_luts",
            # The mapper goes through all that Yosys holds for each module. So the repeated ones, many and small, are
            # mapped without the rest, and the rest without what is in them.
            "select *",
            f"write_rtlil -selected {files}.whole.il",
            "select -clear",
            f"select -set parts {parts}",
            "select -set rest * @parts %d",
            "delete @rest",
            f"{synth} -run map_luts:check",
            f"select {parts}",
            f"write_rtlil -selected {files}.parts.il",
            "select -clear",
            "design -reset",
            "read_verilog -lib -specify +/xilinx/cells_sim.v",
            "read_verilog -lib +/xilinx/cells_xtra.v",
            f"read_rtlil {files}.whole.il",
            f"blackbox {parts}",
            f"{synth} -run map_luts:check",
            "blackbox =A:whitebox",
            f"read_rtlil -overwrite {files}.parts.il",
            f"setattr -mod -unset keep_hierarchy {parts}",
            "flatten",
            f"write_json {files}.json",
        ]
        done = tools.run(yosys_command(script), directory)
        if done.returncode < 0:
            raise SparsePixError(
                f"{directory}: Yosys was ended by signal {-done.returncode} at the module {name}: is memory short? "
                "More reuse makes smaller modules"
            )
        if done.returncode:
            raise SparsePixError(
                f"{directory}: Yosys refuses the module {name}\n{toolchain.first_lines(done.stderr or done.stdout)}"
            )
        cells, path = read_netlist(folder / f"{name}.json", name)
        return area_of(cells, path)

    with temporary_folder("yosys.", build) as folder:
        done = f"{len(modules)} modules mapped with Yosys"
        return Synthesis(family, for_each(modules, area, "mapping with Yosys", done, "modules", console))


def area_of(cells: Counter[str], path: LongestPath) -> Area:
    """The area of a module.

    Args:
        cells: of each type, as Yosys names them.
        path: its longest logic path.
    """

    def count(*prefixes: str) -> int:
        return sum(number for kind, number in cells.items() if kind.startswith(prefixes))

    memories = sum(
        luts * cells[kind + edge] for luts, kinds in _MEMORIES.items() for kind in kinds for edge in ("", "_1")
    )
    return Area(
        lut=count("LUT", "SRL") + memories,
        ff=count("FD", "LD"),
        dsp=count("DSP"),
        bram=count("RAMB18") + 2 * count("RAMB36"),
        path=path,
    )


def synthesis_json(found: Synthesis, part: Part) -> dict[str, Any]:
    """What the synthesis found, as plain data for ``report.json``."""
    total = {resource: found.total(resource) for resource in RESOURCES}
    module, path = found.deepest
    shares = {"lut": part.luts, "ff": part.ffs, "dsp": part.dsps, "bram": 2 * part.bram36}
    return {
        "method": METHOD,
        "family": found.family,
        "modules": {
            name: {**{resource: getattr(area, resource) for resource in RESOURCES}, **asdict(area.path)}
            for name, area in found.modules.items()
        },
        "total": total,
        "utilization": {resource: total[resource] / shares[resource] for resource in RESOURCES},
        "deepest": {"module": module, **asdict(path)},
    }
