"""The longest logic path of a mapped netlist, in levels of LUTs.

A LUT with the net after it counts 1. Carry chains are dedicated wires: entering a chain counts 0.5, each further
block of 4 bits 0.1, leaving it 0.25; the multiplexers after LUTs (MUXF7 ... F9) count 0.25. These are about the
ratios of the data sheet's switching characteristics (AMD DS923: a LUT 0.05 to 0.15 ns and a net of 0.3 to 0.4 ns
after it, a carry block 0.02 to 0.05 ns with no net), so that 10 levels are 4 to 5 ns on a -2 part.
Paths begin and end at flip-flops, memories and ports. A DSP slice without registers counts 5 (DSP_LEVELS).
"""

import json
from collections import Counter
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from sparsepix_hls.rtl.lower.function import DSP_LEVELS

_MUX = {"MUXF7": 0.25, "MUXF8": 0.25, "MUXF9": 0.25}
_FREE = {"INV", "GND", "VCC", "BUFG", "IBUF", "OBUF"}  # an inverter merges into the LUT after it
_ENTER, _PASS, _LEAVE = 0.5, 0.1, 0.25


@dataclass(frozen=True)
class LongestPath:
    """A longest path.

    Args:
        levels: of LUTs.
        end: what it ends at: a register or port, by the name of its net.
    """

    levels: float
    end: str


def read_netlist(netlist: Path, module: str) -> tuple[Counter[str], LongestPath]:
    """The cells of a flat module, by type, and its longest path.

    Args:
        netlist: JSON of Yosys (``write_json``) after mapping to an AMD family.
        module: its name.
    """
    content = json.loads(netlist.read_text(encoding="utf-8"))["modules"][module]
    return Counter(cell["type"] for cell in content["cells"].values()), _longest_path(content)


def _longest_path(content: dict[str, Any]) -> LongestPath:
    names = _net_names(content)
    cells = content["cells"].values()
    drivers: dict[int, tuple[dict[str, Any], str]] = {}
    for cell in cells:
        if _is_logic(cell["type"]):
            for port, bits in cell["connections"].items():
                if cell["port_directions"][port] == "output":
                    drivers.update((bit, (cell, port)) for bit in bits)
    arrival: dict[int, float] = {}

    def settle(target: int) -> float:
        """Arrival at a net; a stack of its own, since chains are longer than Python's."""
        stack = [target]
        while stack:
            bit = stack[-1]
            if bit in arrival:
                stack.pop()
                continue
            if bit not in drivers:
                arrival[bit] = 0.0
                continue
            cell, port = drivers[bit]
            inputs = _arcs(cell, port, bit)
            missing = [source for source, _ in inputs if source not in arrival]
            if missing:
                stack += missing
                continue
            arrival[bit] = max((arrival[source] + delay for source, delay in inputs), default=0.0)
            stack.pop()
        return arrival[target]

    worst = LongestPath(0.0, "")
    for bit in _ends(content):
        levels = settle(bit)
        if levels > worst.levels:
            worst = LongestPath(round(levels, 2), names.get(bit, ""))
    return worst


def _is_logic(kind: str) -> bool:
    return kind.startswith(("LUT", "CARRY", "DSP")) or kind in _MUX or kind in _FREE


def _net_names(content: dict[str, Any]) -> dict[int, str]:
    names: dict[int, str] = {}
    for name, net in sorted(content["netnames"].items(), key=lambda item: (item[1].get("hide_name", 0), len(item[0]))):
        for bit in net["bits"]:
            if isinstance(bit, int):
                names.setdefault(bit, name)
    return names


def _arcs(cell: dict[str, Any], port: str, bit: int) -> list[tuple[int, float]]:
    """Inputs that an output depends on, each with the levels between them."""
    kind, wires = cell["type"], cell["connections"]
    found = []
    if kind.startswith("CARRY"):
        position, leaving = wires[port].index(bit), _LEAVE if port == "O" else 0.0
        for name in ("DI", "S"):
            found += [(source, _ENTER + leaving) for source in wires[name][: position + 1]]
        for name in ("CI", "CYINIT", "CI_TOP"):
            found += [(source, _PASS + leaving) for source in wires.get(name, [])]
    else:
        cost = 0.0 if kind in _FREE else DSP_LEVELS if kind.startswith("DSP") else _MUX.get(kind, 1.0)
        for name, sources in wires.items():
            if cell["port_directions"][name] == "input":
                found += [(source, cost) for source in sources]
    return [(source, delay) for source, delay in found if isinstance(source, int)]


def _ends(content: dict[str, Any]) -> list[int]:
    """Nets that paths end at: inputs of everything that is not logic, and output ports."""
    ends = []
    for cell in content["cells"].values():
        if not _is_logic(cell["type"]):
            for port, bits in cell["connections"].items():
                if cell["port_directions"][port] == "input":
                    ends += [bit for bit in bits if isinstance(bit, int)]
    for port in content["ports"].values():
        if port["direction"] == "output":
            ends += [bit for bit in port["bits"] if isinstance(bit, int)]
    return ends
