"""Area and logic depth of an RTL project, mapped by Yosys, module by module."""

import os
import subprocess
from collections import Counter
from concurrent.futures import ThreadPoolExecutor, as_completed
from dataclasses import dataclass
from pathlib import Path

from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn

from sparsepix_hls import toolchain
from sparsepix_hls.parts import Part
from sparsepix_hls.rtl.netlist import LongestPath, read_netlist
from sparsepix_ops.errors import SparsePixError

METHOD = (
    "Yosys synth_xilinx, each stage for itself: nothing is shared or optimized across stages, and nothing is placed"
)
_FAMILIES = (("UltraScale+", "xcup"), ("Alveo", "xcup"), ("Kria", "xcup"), ("UltraScale", "xcu"), ("7", "xc7"))
_LUT_RAM = ("RAM32", "RAM64", "RAM128", "RAM256", "SRL")


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
        """Sum over the modules of 'lut', 'ff', 'dsp' or 'bram'."""
        return sum(getattr(area, resource) for area in self.modules.values())

    @property
    def deepest(self) -> tuple[str, LongestPath]:
        """The module with the longest path, and the path."""
        return max(((name, area.path) for name, area in self.modules.items()), key=lambda item: item[1].levels)


def yosys_family(part: Part) -> str:
    """The family of a part as Yosys calls it.

    Raises:
        SparsePixError: Yosys has no such family.
    """
    for word, family in _FAMILIES:
        if word in part.family:
            return family
    found = part.family or "an unknown part"
    raise SparsePixError(f"{part.full_name}: Yosys maps to UltraScale+, UltraScale and 7 series, found {found}")


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
    family = yosys_family(part)
    generated = {*(f"{name}.sv" for name in modules), f"{top}.sv"}
    shared = sorted(path.name for path in (directory / "rtl").glob("*.sv") if path.name not in generated)
    folder = directory / "build" / "yosys"
    folder.mkdir(parents=True, exist_ok=True)

    def area(name: str) -> Area:
        sources = " ".join(f"rtl/{file}" for file in (*shared, f"{name}.sv"))
        script = (
            f"read_verilog -sv {sources}; synth_xilinx -family {family} -top {name} -noiopad -abc9 -nodsp -flatten; "
            f"write_json {folder.relative_to(directory)}/{name}.json"
        )
        done = subprocess.run(["yosys", "-q", "-p", script], cwd=directory, capture_output=True, text=True, check=False)
        if done.returncode:
            raise SparsePixError(
                f"{directory}: Yosys refuses the module {name}\n{toolchain.first_lines(done.stderr or done.stdout)}"
            )
        cells, path = read_netlist(folder / f"{name}.json", name)
        return _area(cells, path)

    found: dict[str, Area] = {}
    columns = (TextColumn("synthesizing"), BarColumn(), MofNCompleteColumn(), TimeElapsedColumn())
    with (
        ThreadPoolExecutor(max(os.cpu_count() or 1, 1)) as pool,
        Progress(*columns, console=console, disable=console is None, transient=True) as progress,
    ):
        task = progress.add_task("", total=len(modules))
        jobs = {pool.submit(area, name): name for name in modules}
        for job in as_completed(jobs):
            found[jobs[job]] = job.result()
            progress.advance(task)
    return Synthesis(family, {name: found[name] for name in modules})


def _area(cells: Counter[str], path: LongestPath) -> Area:
    def count(*prefixes: str) -> int:
        return sum(number for kind, number in cells.items() if kind.startswith(prefixes))

    return Area(
        lut=count("LUT", *_LUT_RAM),
        ff=count("FD", "LD"),
        dsp=count("DSP"),
        bram=count("RAMB18") + 2 * count("RAMB36"),
        path=path,
    )
