"""Pairs of pixels or a stream of them: which one is built where a user leaves it open, and which designs fit a part.

What is compared are the formulas of ``cpp/estimate.py``, for both backends: they take milliseconds, where tracing the
circuit of all pairs of 50 pixels takes minutes.
"""

from collections.abc import Iterator
from dataclasses import dataclass, replace

from sparsepix_hls.cpp.estimate import estimate_design
from sparsepix_hls.cpp.writer import MOST_BITS
from sparsepix_hls.design.layout import Design
from sparsepix_hls.design.options import AUTO, LayerOptions, Options
from sparsepix_hls.flow.backends import Backend, backend_design
from sparsepix_hls.flow.report import needs_of, too_large, utilization
from sparsepix_hls.ir.estimate import Estimate
from sparsepix_hls.ir.graph import Graph
from sparsepix_hls.layers.input_reduce import input_reduce
from sparsepix_hls.project.parts import RESOURCES, Part
from sparsepix_ops.errors import SparsePixError
from sparsepix_ops.system.options import as_words

FILLED = 0.8  # of a part, at most, by a design that nobody asked for: a fuller one is hard to place and route
_TRACED = 1.4  # times the LUTs of the formulas that all pairs take as RTL, at most (0.7 to 1.4 measured)
_MOST_PAIRS = 100  # pixels of which all pairs are traced in seconds, if it is in many rounds
_LUTS_A_DSP, _LUTS_A_BLOCK = 100, 250  # what others count when two designs are compared, about as an FPGA has them


@dataclass(frozen=True)
class _Way:
    """One of the designs that are compared."""

    options: Options
    total: Estimate
    most: Estimate  # of it
    share: float  # of the part, whatever there is least of
    area: int


def chosen_options(
    graph: Graph, options: Options, clock_ns: float, way: Backend, part: Part
) -> tuple[Options, tuple[str, ...]]:
    """Ports and convolutions where the user leaves both open.

    Without a target interval they are pairs of pixels, all layers parallel, where these fill at most ``FILLED`` of the
    part; else the quickest design that does. With one, the smallest that meets it.

    Args:
        graph: the model.
        options: what the user asks for.
        clock_ns: clock period.
        way: the backend.
        part: the FPGA.

    Returns:
        The options with ``io`` and ``conv`` decided, and what the user should know of it.
    """
    if not _open(graph, options):
        return options, ()
    asked = _estimated(graph, options, clock_ns, way, part)
    if options.target_interval is not None:
        return _smallest(graph, options, asked, clock_ns, way, part)
    if asked is None or asked.share <= FILLED:
        return options, ()
    found = [
        one
        for other in _others(graph, options, way)
        if (one := _estimated(graph, other, clock_ns, way, part)) is not None
    ]
    fitting = [one for one in found if one.share <= FILLED] or [one for one in found if one.share <= 1]
    if not fitting:
        return options, ()
    best = min(fitting, key=lambda one: (one.total.latency_cycles, one.area))
    return best.options, (
        f"all layers parallel, by pairs of pixels, would need up to {needs_of(asked.most, part, FILLED)} of "
        f"{part.name}: built as {' '.join(as_words(best.options))}; --conv pairs keeps to pairs",
    )


def _smallest(
    graph: Graph, options: Options, asked: _Way | None, clock_ns: float, way: Backend, part: Part
) -> tuple[Options, tuple[str, ...]]:
    """Pairs or a stream for a target interval."""
    target = options.target_interval
    stream = _estimated(graph, as_stream(graph, options), clock_ns, way, part)
    if target is None or stream is None or stream.total.interval_cycles > target:
        return options, ()
    if asked is not None and asked.area <= stream.area:
        return options, ()
    by_pairs = "" if asked is None else f", {asked.total.lut:,} by pairs"
    return stream.options, (
        f"pixels go one by one (--io stream --conv stream): {stream.total.lut:,} LUT by a formula{by_pairs}; the time "
        "of an event depends on its pixels; --conv pairs keeps to pairs",
    )


def _open(graph: Graph, options: Options) -> bool:
    """Whether these options leave it open how pixels come and meet each other."""
    plain = {LayerOptions(implementation=AUTO), LayerOptions()}
    on_lists = {layer.name for layer in graph.on_lists}
    return (
        options.conv == AUTO
        and options.io != "parallel"
        and options.reduce == AUTO
        and options.reuse_factor is None
        and options.scan_pixels is None
        and not any(own not in plain for name, own in options.layers.items() if name in on_lists)
    )


def as_stream(graph: Graph, options: Options) -> Options:
    """The same with pixels that go one by one, a row in a beat or as much of it as a port may be wide.

    A target stays that of the layers behind the stream.

    Args:
        graph: the model.
        options: what else is asked for.
    """
    channels, _, width = graph.input.shape
    most, pixels = MOST_BITS // (channels * graph.input.type.width), options.pixels_per_cycle
    if pixels is None and width > most:
        pixels = max(most, 1)
    return replace(options, conv="stream", io="stream", reduce=AUTO, scan_pixels=None, pixels_per_cycle=pixels)


def _others(graph: Graph, options: Options, way: Backend) -> Iterator[Options]:
    """What fits where all pairs in parallel do not: a stream, or pairs in rounds."""
    yield as_stream(graph, options)
    slots = input_reduce(graph).max_pixels
    if slots <= _MOST_PAIRS:
        for rounds in (slots, 4 * slots) if way.loops.folds else (slots,):
            yield replace(options, target_interval=rounds + way.loops.restart)


def _estimated(graph: Graph, options: Options, clock_ns: float, way: Backend, part: Part) -> _Way | None:
    """A design by the formulas; None if there is none."""
    try:
        design, _ = backend_design(graph, options, clock_ns, way)
    except SparsePixError:
        return None
    total = estimate_design(design, clock_ns).total
    area = total.lut + _LUTS_A_DSP * total.dsp + _LUTS_A_BLOCK * total.bram
    most = at_most(total, design, way)
    return _Way(options, total, most, share_of(most, part), area)


def at_most(total: Estimate, design: Design, way: Backend) -> Estimate:
    """The most that a design needs, whose circuit was not traced.

    Args:
        total: by the formulas for C++.
        design: the model and its layout.
        way: the backend.
    """
    if way.name != "rtl" or design.streams:
        return total
    # Its products are LUTs, but for those that 'dsp' allows.
    return replace(total, lut=round(_TRACED * (total.lut + _LUTS_A_DSP * total.dsp)), dsp=design.dsp)


def share_of(total: Estimate, part: Part) -> float:
    """How much of a part a design needs, of what there is least of; 0 for a part that is not known."""
    shares = utilization(total, part) or {}
    return max((shares[name] for name in RESOURCES if name in shares), default=0.0)


def that_fit(graph: Graph, options: Options, clock_ns: float, way: Backend, part: Part) -> tuple[str, ...]:
    """Designs that fit by estimate: options as arguments, each with its figures, the quickest first.

    Args:
        graph: the model.
        options: of the design that does not fit; ports, selection and DSP slices stay the same where they can.
        clock_ns: clock period.
        way: the backend.
        part: the FPGA.
    """
    found: list[tuple[Estimate, str]] = []
    for one in _others(graph, replace(options, reuse_factor=None, target_interval=None, layers={}), way):
        try:
            design, _ = backend_design(graph, one, clock_ns, way)
        except SparsePixError:
            continue
        total = way.lower(design, clock_ns, part).estimate().total
        if not too_large(total, part):
            found.append((total, " ".join(as_words(one))))
    found.sort(key=lambda one: one[0].latency_cycles)
    return tuple(
        f"{words} ({total.lut:,} LUT, {total.latency_cycles:,} cycles, every {total.interval_cycles:,})"
        for total, words in found
    )
