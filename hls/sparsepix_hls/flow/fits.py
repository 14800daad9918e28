"""Designs that fit a part, for a user whose design does not."""

from dataclasses import replace

from sparsepix_hls.design.options import AUTO, Options
from sparsepix_hls.flow.backends import Backend, backend_design
from sparsepix_hls.flow.explore import command
from sparsepix_hls.flow.report import too_large
from sparsepix_hls.ir.estimate import Estimate
from sparsepix_hls.ir.graph import Graph
from sparsepix_hls.layers.input_reduce import input_reduce
from sparsepix_hls.project.parts import Part
from sparsepix_ops.errors import SparsePixError

_MOST_PAIRS = 100  # pixels of which all pairs are traced in seconds


def that_fit(graph: Graph, options: Options, clock_ns: float, way: Backend, part: Part) -> tuple[str, ...]:
    """Designs that fit by estimate: options as arguments, each with its figures, the quickest first.

    Args:
        graph: the model.
        options: of the design that does not fit; ports, selection and DSP slices stay the same where they can.
        clock_ns: clock period.
        way: the backend.
        part: the FPGA.
    """
    slots = input_reduce(graph).max_pixels
    plain = replace(options, reuse_factor=None, layers={})
    tried = [replace(plain, conv="stream", io="stream", reduce=AUTO, scan_pixels=None, target_interval=None)]
    if slots <= _MOST_PAIRS:
        rounds = (slots, 4 * slots) if way.loops.folds else (slots,)
        tried += [replace(plain, target_interval=number + way.loops.restart) for number in rounds]
    found: list[tuple[Estimate, str]] = []
    for one in tried:
        try:
            design, _ = backend_design(graph, one, clock_ns, way)
        except SparsePixError:
            continue
        total = way.lower(design, clock_ns, part).estimate().total
        if not too_large(total, part):
            found.append((total, command(one)))
    found.sort(key=lambda one: one[0].latency_cycles)
    return tuple(
        f"{words} ({total.lut:,} LUT, {total.latency_cycles:,} cycles, every {total.interval_cycles:,})"
        for total, words in found
    )
