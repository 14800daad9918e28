"""What Vitis HLS wrote into a project's folder: the synthesis reports, co-simulation and Vivado, where they exist."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from xml.etree import ElementTree

from sparsepix_ops.errors import SparsePixError

_SOLUTION = Path("vitis/solution")
_RESOURCES = {"lut": "LUT", "ff": "FF", "dsp": "DSP", "bram": "BRAM_18K", "uram": "URAM"}
Figures = Mapping[str, int | None]


@dataclass(frozen=True)
class VitisReport:
    """Figures of Vitis HLS.

    Args:
        modules: by name of the stage, '' for the whole design: latency_cycles (worst case), interval_cycles, lut, ff,
            dsp, bram (18 kbit blocks), uram; None where the tool gave no number.
        clock_ns: clock period that synthesis expects to reach.
        cosim_latency: smallest and largest latency in co-simulation, in cycles.
        vivado: resources after Vivado, if the design was exported with it.
    """

    modules: Mapping[str, Figures]
    clock_ns: float | None
    cosim_latency: tuple[int, int] | None
    vivado: Figures | None


def read_vitis(directory: Path, top: str) -> VitisReport | None:
    """Read the reports of a project; None if C synthesis has not run.

    Args:
        directory: the project.
        top: its top function.

    Raises:
        SparsePixError: a report that is there and cannot be read.
    """
    folder = directory / _SOLUTION / "syn" / "report"
    whole = folder / f"{top}_csynth.xml"
    if not whole.is_file():
        return None
    root = _parse(whole)
    modules = {"": _figures(root)}
    for path in sorted(folder.glob(f"{top}_*_csynth.xml")):
        name = path.name.removesuffix("_csynth.xml").removeprefix(f"{top}_")
        modules[name] = _figures(_parse(path))
    clock = _text(root, "PerformanceEstimates/SummaryOfTimingAnalysis/EstimatedClockPeriod")
    return VitisReport(modules, float(clock) if clock else None, _cosim(directory, top), _vivado(directory, top))


def _parse(path: Path) -> ElementTree.Element:
    try:
        return ElementTree.parse(path).getroot()
    except (ElementTree.ParseError, OSError) as error:
        raise SparsePixError(f"{path}: expected a report of Vitis HLS, found no XML ({error}): run it again") from error


def _text(root: ElementTree.Element, path: str) -> str | None:
    found = root.findtext(path)
    return found.strip() if found and found.strip() else None


def _number(text: str | None) -> int | None:
    """A whole number; 'undef' and the like are None."""
    return int(text) if text is not None and text.isdigit() else None


def _figures(root: ElementTree.Element) -> Figures:
    latency = "PerformanceEstimates/SummaryOfOverallLatency"
    area = "AreaEstimates/Resources"
    interval = _number(_text(root, f"{latency}/Interval-max"))
    return {
        "latency_cycles": _number(_text(root, f"{latency}/Worst-caseLatency")),
        # Where the interval differs from event to event the smaller one is the pipelined one.
        "interval_cycles": interval if interval is not None else _number(_text(root, f"{latency}/Interval-min")),
        **{key: _number(_text(root, f"{area}/{name}")) for key, name in _RESOURCES.items()},
    }


def _cosim(directory: Path, top: str) -> tuple[int, int] | None:
    """Smallest and largest latency from the table of the co-simulation."""
    path = directory / _SOLUTION / "sim" / "report" / f"{top}_cosim.rpt"
    if not path.is_file():
        return None
    for line in path.read_text(encoding="utf-8", errors="replace").splitlines():
        cells = [cell.strip() for cell in line.strip().strip("|").split("|")]
        if len(cells) >= 5 and cells[0] in ("Verilog", "VHDL") and cells[1].lower() == "pass":
            low, high = _number(cells[2]), _number(cells[4])
            if low is not None and high is not None:
                return low, high
    return None


def _vivado(directory: Path, top: str) -> Figures | None:
    """Resources after Vivado, from whichever export report there is."""
    for path in _exports(directory, top):
        root = _parse(path)
        area = root.find("AreaReport/Resources")
        if area is not None:
            return {
                key: _number((area.findtext(name) or "").strip())
                for key, name in (("lut", "LUT"), ("ff", "FF"), ("dsp", "DSP"), ("bram", "BRAM"))
            }
    return None


def _exports(directory: Path, top: str) -> Iterator[Path]:
    for language in ("verilog", "vhdl"):
        for name in (f"{top}_export.xml", "export_impl.xml", "export_syn.xml"):
            path = directory / _SOLUTION / "impl" / "report" / language / name
            if path.is_file():
                yield path
