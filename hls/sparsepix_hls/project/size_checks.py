"""Memory that a model would take, counted before any of it is allocated."""

import math
import os
import resource

from sparsepix_hls.design.layout import Design
from sparsepix_hls.ir.graph import Graph
from sparsepix_hls.layers.input_reduce import input_reduce
from sparsepix_hls.project.testbench_data import EVENTS
from sparsepix_ops.errors import SparsePixError

_COPIES = 6  # of the images: raw, real, quantized, and as text
_PAIR_BYTES = 64  # of two pixels in the integer reference: their distance, in a few arrays
# Of an operation that da4ml traces: measured on models of 1,000 to 100,000 operations.
_OPERATION_BYTES = 3000


def available_bytes() -> int:
    """Memory that this process may take: that of the machine, or less if its address space is limited."""
    machine = os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE")
    limit, _ = resource.getrlimit(resource.RLIMIT_AS)
    return machine if limit == resource.RLIM_INFINITY else min(machine, limit)


def check_memory(graph: Graph, events: int = EVENTS) -> None:
    """Refuse a model whose testbench cannot be computed here.

    Args:
        graph: the model.
        events: images of the testbench.

    Raises:
        SparsePixError: what would take more memory than there is, and how much.
    """
    reduce = input_reduce(graph)
    image = math.prod(graph.input.shape)
    widest = max((math.prod(t.shape) for layer in graph.layers for t in layer.outputs), default=0)
    _check(
        [
            (
                f"{reduce.name}: {events} images of {'x'.join(map(str, graph.input.shape))} for the testbench",
                events * image * 8 * _COPIES,
                "use a smaller image",
            ),
            (
                f"{reduce.name}: the pairs of {reduce.max_pixels:,} pixels (max_pixels)",
                reduce.max_pixels**2 * _PAIR_BYTES,
                "use fewer max_pixels",
            ),
            (
                f"{events} results of the largest layer, {widest:,} numbers each",
                events * widest * 8 * 2,
                "use a smaller layer",
            ),
        ],
        f"model {graph.name} does not fit into memory",
    )


def check_rtl_memory(design: Design) -> None:
    """Refuse a design whose operations cannot be traced here.

    Raises:
        SparsePixError: each layer whose operations would take more memory than there is, and how much.
    """
    needs = []
    for layer in design.graph.layers:
        how = design.how(layer)
        count = layer.operations(how.parallel) // how.folds
        needs.append(
            (
                f"{layer.name}: about {count:,} operations of RTL",
                count * _OPERATION_BYTES,
                "give it a larger reuse_factor, use fewer max_pixels or channels, or --backend hls",
            )
        )
    _check(needs, f"model {design.graph.name} is too large to be written as RTL")


def _check(needs: list[tuple[str, int, str]], heading: str) -> None:
    there = available_bytes()
    problems = [
        f"{what} would take about {size_text(size)} of memory, found {size_text(there)}: {fix}"
        for what, size, fix in needs
        if size > there
    ]
    if problems:
        raise SparsePixError(problems, heading)


def size_text(count: int) -> str:
    """A number of bytes for a person: '7.3 TiB'."""
    units = ("bytes", "KiB", "MiB", "GiB", "TiB", "PiB", "EiB")
    step = min(max(count.bit_length() - 1, 0) // 10, len(units) - 1)
    return f"{count / 1024**step:,.1f} {units[step]}" if step else f"{count} bytes"
