"""What cannot be built of a model with some options: everything at once, each with the fix."""

import difflib
import numbers
import reprlib
from dataclasses import replace

from sparsepix_hls.cost.costs import interval
from sparsepix_hls.design.layout import Loops
from sparsepix_hls.design.options import AUTO, CONVS, DENSES, FLATTENS, IO, REDUCTIONS, LayerOptions, Options
from sparsepix_hls.design.rewrites import lookup_partner, overlap_candidate
from sparsepix_hls.ir.graph import Graph, Layer
from sparsepix_hls.layers.input_reduce import InputReduce, input_reduce, reduce_cost
from sparsepix_hls.layers.sparse_flatten import SparseFlatten
from sparsepix_ops.errors import SparsePixError

FASTEST_NS, SLOWEST_NS = 0.5, 10_000.0
MOST_UNCERTAINTY = 90  # percent


def check_clock(clock_ns: float) -> float:
    """A clock period as a float.

    Raises:
        SparsePixError: no number of nanoseconds between those of 2 GHz and of 100 kHz.
    """
    number = isinstance(clock_ns, numbers.Real) and not isinstance(clock_ns, bool)
    if not number or not FASTEST_NS <= clock_ns <= SLOWEST_NS:
        raise SparsePixError(
            f"clock: expected a number of nanoseconds, {FASTEST_NS} ... {SLOWEST_NS:g} (2 GHz, which no FPGA reaches, "
            f"to 100 kHz), found {reprlib.repr(clock_ns)}"
        )
    return float(clock_ns)


def asked_of(layer: Layer, options: Options) -> LayerOptions:
    """What the options ask of one layer."""
    return options.layers.get(layer.name, LayerOptions())


def option_problems(
    graph: Graph,
    options: Options,
    logic_ns: float,
    reductions: tuple[str, ...],
    of_largest: tuple[str, ...],
    loops: Loops,
) -> list[str]:
    """Everything that was asked for and cannot be built; see ``select.make_design``."""
    problems = []
    _, height, width = graph.input.shape
    for what, found, legal in (
        ("reduce", options.reduce, (*REDUCTIONS, AUTO)),
        ("io", options.io, (*IO, AUTO)),
        ("conv", options.conv, (*CONVS, AUTO)),
        ("flatten", options.flatten, (*FLATTENS, AUTO)),
        ("dense", options.dense, (*DENSES, AUTO)),
    ):
        if found not in legal:
            problems.append(f"{what}: expected one of {', '.join(legal)}, found {found!r}")
    for what, number in (
        ("pixels_per_cycle", options.pixels_per_cycle),
        ("reuse_factor", options.reuse_factor),
        ("target_interval", options.target_interval),
    ):
        if number is not None and number < 1:
            problems.append(f"{what}: expected 1 or more, found {number}")
    if not 0 <= (options.clock_uncertainty or 0) <= MOST_UNCERTAINTY:
        problems.append(
            f"clock_uncertainty: expected 0 ... {MOST_UNCERTAINTY} percent of the clock, found "
            f"{options.clock_uncertainty}"
        )
    if options.reuse_factor is not None and options.target_interval is not None:
        problems.append("reuse_factor and target_interval: give one of them; a target chooses the reuse of every layer")
    if (options.pixels_per_cycle or 0) > height * width:
        problems.append(
            f"pixels_per_cycle: expected at most the {height * width} pixels of the image, found "
            f"{options.pixels_per_cycle}"
        )
    if options.pixels_per_cycle and options.io != "stream" and options.reduce not in ("stream", AUTO):
        problems.append(f"pixels_per_cycle: only a stream has it, found reduce {options.reduce!r} and parallel io")
    if options.scan_pixels not in (None, 1, 2):
        problems.append(f"scan_pixels: expected 1 or 2, found {options.scan_pixels}")
    if (options.dsp or 0) < 0:
        problems.append(f"dsp: expected 0 DSP slices or more, found {options.dsp}")
    if options.scan_pixels == 2 and options.reduce not in ("scan", AUTO):
        problems.append(f"scan_pixels: only a scan has it, found reduce {options.reduce!r}")
    for name, own in options.layers.items():
        problems += _layer_problems(graph, name, own)
    if problems:
        return problems
    reduce = input_reduce(graph)
    if reduce.selection != "raster" and options.reduce not in (*of_largest, AUTO):
        problems.append(
            f"{reduce.name}: selection {reduce.selection!r} needs the whole image before the first pixel is known, "
            f"and {options.reduce!r} here lists pixels as they come: use reduce {' or '.join(map(repr, of_largest))}, "
            "or train with selection 'raster'"
        )
    problems += _overlap_problems(graph, options)
    problems += stream_problems(graph, options)
    problems += _lookup_problems(graph, options)
    problems += _target_problems(graph, options, logic_ns, reductions, loops)
    return problems


def _layer_problems(graph: Graph, name: str, own: LayerOptions) -> list[str]:
    layers = {layer.name: layer for layer in graph.layers}
    if name not in layers:
        near = difflib.get_close_matches(name, layers, n=1)
        hint = f"did you mean {near[0]}?" if near else f"the model has {', '.join(layers)}"
        return [f"layers: the model has no layer {name!r}: {hint}"]
    layer, problems = layers[name], []
    legal = layer.choices
    if own.implementation not in (None, AUTO, *legal):
        expected = f"one of {', '.join((*legal, AUTO))}" if legal else f"none, a {type(layer).__name__} has no choice"
        problems.append(f"{name}: implementation: expected {expected}, found {own.implementation!r}")
    if own.reuse_factor is not None and own.reuse_factor < 1:
        problems.append(f"{name}: reuse_factor: expected 1 or more, found {own.reuse_factor}")
    if own.reuse_factor is not None and layer.work == 1:
        problems.append(
            f"{name}: reuse_factor: a {type(layer).__name__} has none: "
            + ("reduce decides its time" if isinstance(layer, InputReduce) else "it goes with the layer before it")
        )
    if own.implementation == "overlap" and own.reuse_factor is not None:
        problems.append(f"{name}: reuse_factor: an overlapped convolution has the time of the scan; leave it out")
    return problems


def _overlap_problems(graph: Graph, options: Options) -> list[str]:
    asked = [name for name, own in options.layers.items() if own.implementation == "overlap"]
    if options.conv != "overlap" and not asked:
        return []
    first = overlap_candidate(graph)
    where = ", ".join(asked) or "conv"
    if options.reduce not in ("scan", AUTO) or (options.io == "stream" and options.reduce == AUTO):
        return [f"{where}: 'overlap' works while a scan lists the pixels: use reduce 'scan'"]
    if first is None:
        return [
            f"{where}: 'overlap' needs a convolution that reads the input reduction itself; use 'pairs' or 'gather'"
        ]
    return [
        f"{name}: only {first.name}, which reads the input reduction itself, can be overlapped with it; use 'pairs' or "
        "'gather'"
        for name in asked
        if name != first.name
    ]


def with_ports(graph: Graph, options: Options) -> Options:
    """The options with the ports that 'auto' stands for: a stream of pixels needs its image in beats."""
    if options.io != AUTO:
        return options
    return replace(options, io="stream" if asks_for_streams(graph, options) else "parallel")


def asks_for_streams(graph: Graph, options: Options) -> bool:
    """Whether pixels are to go one by one through all layers on lists."""
    return any(
        (asked_of(layer, options).implementation or options.conv) == "stream"
        for layer in graph.on_lists
        if layer.option == "conv"
    )


def stream_problems(graph: Graph, options: Options) -> list[str]:
    """Why pixels cannot go one by one through the model."""
    if not asks_for_streams(graph, options):
        return []
    problems, reduce = [], input_reduce(graph)
    convs = [layer for layer in graph.on_lists if layer.option == "conv"]
    problems += [
        f"{layer.name}: all sparse layers are one stream of pixels, or none is: give conv 'stream' and no other "
        f"implementation, found {wanted!r} here"
        for layer in convs
        if (wanted := asked_of(layer, options).implementation or options.conv) != "stream"
    ]
    if options.io == "parallel":
        problems.append(f"conv: 'stream' takes the image in beats, found io {options.io!r}: use io 'stream'")
    if options.reduce not in ("stream", AUTO):
        problems.append(f"conv: 'stream' takes the pixels as they come, found reduce {options.reduce!r}: leave it out")
    if reduce.selection != "raster":
        problems.append(
            f"{reduce.name}: conv 'stream' takes the pixels as they come, found selection {reduce.selection!r}, which "
            "needs the whole image first: use 'pairs' or 'gather', or train with selection 'raster'"
        )
    for layer in graph.on_lists:
        own = asked_of(layer, options)
        if own.reuse_factor is not None:
            problems.append(f"{layer.name}: reuse_factor: a stream computes one pixel a clock; leave it out")
        if layer.streamed() is None:
            problems.append(
                f"{layer.name}: a {type(layer).__name__} cannot be part of a stream: use 'pairs' or 'gather'"
            )
    return problems + _branches(graph)


def _branches(graph: Graph) -> list[str]:
    """Lists that are results: their pixels would come in the order of the image, not in the slots of a list."""
    results = {tensor.name for tensor in graph.outputs}
    lists = [layer.outputs[0].name for layer in (input_reduce(graph), *graph.on_lists) if layer.outputs[0].shape[1:]]
    return [
        f"{name}: a stream of pixels ends in a vector, found a list that is a result: use 'pairs' or 'gather'"
        for name in lists
        if name in results
    ]


def _lookup_problems(graph: Graph, options: Options) -> list[str]:
    problems = []
    for layer in graph.layers:
        if isinstance(layer, SparseFlatten):
            wanted = asked_of(layer, options).implementation or options.flatten
            if wanted == "lookup" and lookup_partner(graph, layer) is None:
                problems.append(
                    f"{layer.name}: 'lookup' needs a dense layer directly after the flatten, and no other reader; use "
                    "'scatter'"
                )
    return problems


def stream_interval(reduce: InputReduce, beats: int, loops: Loops) -> int:
    """Clocks between two events of a streaming reduction; the largest pixels leave their lists one by one."""
    return max(loops.interval(beats), reduce.max_pixels if reduce.selection == "magnitude" else 1)


def _target_problems(
    graph: Graph, options: Options, logic_ns: float, reductions: tuple[str, ...], loops: Loops
) -> list[str]:
    target = options.target_interval
    if target is None:
        return []
    problems = []
    _, height, width = graph.input.shape
    reduce = input_reduce(graph)
    pixels = options.pixels_per_cycle or width
    beats = -(-height * width // pixels)
    if options.io == "stream" and loops.interval(beats) > target:
        enough = -(-height * width // max(target - loops.restart, 1))
        problems.append(
            f"target_interval: an image of {height}x{width} takes {loops.interval(beats)} cycles at {pixels} pixels a "
            f"cycle, found a target of {target}: give {enough} pixels_per_cycle or more"
        )
    known = {
        "scan": interval(-(-reduce.max_pixels // (options.scan_pixels or 1))),
        "stream": stream_interval(reduce, beats, loops),
        "tree": 1,
    }
    if reductions == ("scan",):  # of the largest pixels, by a kernel of HLS; that of RTL is looked at there
        known["scan"] = reduce_cost(reduce, "scan", 1, logic_ns, options.scan_pixels or 1).interval_cycles
    # With 'auto' the fastest that it can choose.
    kind = options.reduce if options.reduce != AUTO else min(reductions, key=lambda how: known[how])
    cycles = known[kind]
    if cycles > target:
        problems.append(
            f"target_interval: {reduce.name} takes {cycles} cycles by {kind!r}, found a target of {target}: "
            "use another reduce, more pixels_per_cycle, fewer max_pixels, or a larger target"
        )
    for name, own in options.layers.items():
        if own.reuse_factor is not None and loops.interval(own.reuse_factor) > target:
            problems.append(
                f"{name}: a reuse_factor of {own.reuse_factor} takes {loops.interval(own.reuse_factor)} cycles, more "
                f"than the target_interval of {target}"
            )
    return problems
