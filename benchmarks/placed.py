"""Designs placed and routed on an FPGA by open tools: the clock, the cells, the longest path, and how long it took.

    python benchmarks/placed.py                     # all of them: half an hour of one core
    python benchmarks/placed.py --only small
    python benchmarks/placed.py --part gw5ast-138   # another chip
    python benchmarks/placed.py --output FOLDER     # and placed.json there

'small': 24x24 pixels, N = 8, convolution 3x3 to 3 channels, max pool 4, dense 8, dense 2. 'neutrino_8': the neutrino
preset (63x63) with N = 8. Both take one row of the image a clock. 'digits': the demo's model (48x48, the 20 largest
pixels), eight pixels a clock. Weights are random and of 8 bits. Every output of 32
events is compared with the integer reference in simulation, before the design is placed.
"""

import argparse
import tempfile
from pathlib import Path

import torch
from results import add_output, write_results
from rich.console import Console
from rich.table import Table
from torch import nn

import sparsepix as sp
import sparsepix_hls
from sparsepix_hls.design.options import Options
from sparsepix_hls.rtl.tools.measurement import Measurement
from sparsepix_hls.rtl.tools.place import Placed


def small() -> nn.Module:
    """The model of the smallest design."""
    weights, features = sp.FixedPoint(8, 2), sp.FixedPoint(8, 2, signed=False)
    return nn.Sequential(
        sp.QuantIdentity(sp.FixedPoint(8, 1, signed=False)),
        sp.SparseInputReduce(8, 0.0),
        sp.SparseConv2d(1, 3, 3, weight_format=weights),
        sp.SparseReLU(features),
        sp.SparseMaxPool2d(4),
        sp.SparseFlatten(),
        sp.QuantLinear(3 * 36, 8, weight_format=weights),
        sp.QuantReLU(features),
        sp.QuantLinear(8, 2, weight_format=weights),
    )


# Model, shape of the image, clock period in ns, pixels a clock and the interval that is asked for.
MODELS = {
    "small": (small, (1, 24, 24), 8.0, 24, 25),
    "neutrino_8": (lambda: sp.models.neutrino(8), (1, 63, 63), 12.0, 63, 64),
    "digits": (lambda: sp.models.digits(20, selection="magnitude"), (1, 48, 48), 12.0, 8, 600),
}


def place(name: str, part: str, folder: Path, console: Console) -> tuple[Measurement, Placed]:
    """Translate, simulate, place."""
    make, shape, clock, pixels, target = MODELS[name]
    torch.manual_seed(0)
    sp.export_onnx(make().eval(), folder / f"{name}.onnx", shape)
    options = Options(reduce="stream", io="stream", pixels_per_cycle=pixels, target_interval=target)
    project = sparsepix_hls.translate(
        folder / f"{name}.onnx", folder / name, part, clock, options=options, backend="rtl"
    )
    project.compile()
    assert project.simulate().mismatches == 0
    return project.measure(), project.place(clock, console=console)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--part", default="lfe5u-85f", help="FPGA (default: %(default)s)")
    parser.add_argument("--only", nargs="*", choices=MODELS, default=list(MODELS), help="some of the models")
    add_output(parser, "placed.json")
    arguments = parser.parse_args()
    console, figures = Console(), {}
    table = Table(title=f"placed and routed on {arguments.part}")
    for heading in (
        "model",
        "MHz",
        "asked for",
        "LUT",
        "FF",
        "cycles",
        "after the last row",
        "every",
        "longest path",
        "s",
    ):
        table.add_column(heading, justify="left" if heading in ("model", "longest path") else "right")
    with tempfile.TemporaryDirectory() as folder:
        for name in arguments.only:
            clocks, found = place(name, arguments.part, Path(folder), console)
            (lut, luts), (ff, _) = found.cells["lut"], found.cells["ff"]
            path = f"{found.path.ns:.1f} ns in {found.path.stage or 'the shell'}"
            cells = (f"{found.fmax_mhz:.1f}", f"{found.asked_mhz:.1f}", f"{lut:,} ({lut / luts:.0%})", f"{ff:,}")
            cycles = (clocks.latency_cycles, clocks.tail_cycles, clocks.interval_cycles)
            figures[name] = {
                "mhz": found.fmax_mhz,
                "asked_mhz": found.asked_mhz,
                "latency_cycles": clocks.latency_cycles,
                "tail_cycles": clocks.tail_cycles,
                "interval_cycles": clocks.interval_cycles,
                "place_seconds": found.seconds,
                "longest_path_ns": found.path.ns,
            }
            for resource, (used, available) in found.cells.items():
                figures[name] |= {resource: used, f"{resource}_of": available}
            table.add_row(name, *cells, *map(str, cycles), path, f"{found.seconds:.0f}")
    console.print(table)
    if arguments.output:
        write_results(arguments.output, "placed", figures, tools=("verilator", "yosys"))


if __name__ == "__main__":
    main()
