"""From what a user asks for to a design: defaults, choices by estimated cost, and what cannot be built."""

import difflib
import numbers
import reprlib
from collections.abc import Callable

from sparsepix_hls.cost.costs import RESTART, interval
from sparsepix_hls.design.layout import Design, layer_design, usable_ns
from sparsepix_hls.design.options import (
    AUTO,
    CLOCK_UNCERTAINTY,
    CONVS,
    DENSES,
    FLATTENS,
    IO,
    REDUCTIONS,
    LayerOptions,
    Options,
)
from sparsepix_hls.design.rewrites import lookup_partner, with_activations_next, with_lookups
from sparsepix_hls.ir.estimate import Estimate
from sparsepix_hls.ir.graph import Graph, Layer
from sparsepix_hls.ir.tensors import LayerDesign
from sparsepix_hls.layers.input_reduce import InputReduce, input_reduce, reduce_cost
from sparsepix_hls.layers.sparse_conv2d import SparseConv2d
from sparsepix_hls.layers.sparse_flatten import SparseFlatten, SparseFlattenDense
from sparsepix_ops.errors import SparsePixError

FASTEST_NS, SLOWEST_NS = 0.5, 10_000.0
MOST_UNCERTAINTY = 90  # percent
_DSP_IN_LUTS = 100  # what a DSP slice counts when two implementations are compared


def make_design(
    graph: Graph,
    options: Options | None = None,
    clock_ns: float = 5.0,
    reductions: tuple[str, ...] = REDUCTIONS,
    of_largest: tuple[str, ...] = ("scan",),
) -> tuple[Design, tuple[str, ...]]:
    """Choose an implementation and a reuse for every layer.

    Args:
        graph: the model.
        options: what the user asks for; None: the defaults.
        clock_ns: clock period, for the estimates that choices are made by.
        reductions: what 'auto' may choose from, of ``REDUCTIONS``.
        of_largest: those that can list the largest pixels of an image, and not only the first.

    Returns:
        The design, and what the user should know of it, one line each.

    Raises:
        SparsePixError: everything that was asked for and cannot be built, with the layer and the fix.
    """
    options = options if options is not None else Options()
    uncertainty = CLOCK_UNCERTAINTY if options.clock_uncertainty is None else options.clock_uncertainty
    time = usable_ns(check_clock(clock_ns), uncertainty)
    if input_reduce(graph).selection != "raster":
        reductions = tuple(how for how in reductions if how in of_largest)
    problems = _option_problems(graph, options, time, reductions, of_largest)
    if problems:
        raise SparsePixError(problems, f"model {graph.name} cannot be built this way")
    graph = with_activations_next(graph)
    reduce = _reduction(graph, options, time, reductions)
    pixels = _pixels_per_cycle(graph, options, reduce)
    notices: list[str] = []
    chosen: dict[str, LayerDesign] = {}
    flattens = {}
    for layer in graph.layers:
        if isinstance(layer, SparseFlatten):
            flattens[layer.name] = _flatten(graph, layer, options, time)
    graph = with_lookups(graph, [name for name, how in flattens.items() if how == "lookup"])
    overlapped = _overlapped(graph, options, reduce)
    for layer in graph.layers:
        if isinstance(layer, InputReduce) or layer.joins:
            continue
        candidates = [overlapped[layer.name]] if layer.name in overlapped else _candidates(layer, options)
        reuses = _reuses(layer, options)
        designs = [layer_design(layer, how, reuse) for how in candidates for reuse in reuses]
        chosen[layer.name] = min(designs, key=_area_of(layer, time))
        notices += _reuse_notices(layer, options, chosen[layer.name])
    _follow_up(graph, chosen)
    design = Design(graph, reduce, options.io, pixels, chosen, options.scan_pixels or 1, uncertainty, options.dsp or 0)
    return design, tuple(notices)


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


def _area_of(layer: Layer, logic_ns: float) -> Callable[[LayerDesign], tuple]:
    def area(how: LayerDesign) -> tuple:
        if how.implementation == "overlap":
            return (0,)  # at no extra latency, on the smallest hardware
        cost = layer.cost(how, logic_ns)
        return (1, cost.lut + _DSP_IN_LUTS * cost.dsp, how.reuse_factor)

    return area


def _follow_up(graph: Graph, chosen: dict[str, LayerDesign]) -> None:
    """Give each activation the rounds of the layer whose loop it joins."""
    makers = {}
    for layer in graph.layers:
        if layer.joins:
            source = layer.inputs[0]
            before = makers.get(source.name)
            how = chosen.get(before.name) if before is not None else None
            items = source.shape[0] if len(source.shape) == 2 else 1
            parallel = LayerDesign("", 1, items)
            shares = how is not None and before.by_pixel and how.reuse_factor > 1 and how.implementation != "overlap"
            chosen[layer.name] = (
                LayerDesign("", how.reuse_factor, how.parallel) if shares and how is not None else parallel
            )
        for tensor in layer.outputs:
            makers[tensor.name] = layer


def _reduction(graph: Graph, options: Options, logic_ns: float, reductions: tuple[str, ...]) -> str:
    reduce = input_reduce(graph)
    if options.reduce != AUTO:
        return options.reduce
    if options.scan_pixels == 2:
        return "scan"
    if options.io == "stream" and "stream" in reductions:
        return "stream"  # it works while the image arrives
    wanted = options.target_interval
    if wanted is None:
        return "scan"
    pixels = _pixels_per_cycle(graph, options, "stream")
    costs: dict[str, Estimate] = {how: reduce_cost(reduce, how, pixels, logic_ns) for how in reductions}
    fast = {how: cost for how, cost in costs.items() if cost.interval_cycles <= wanted}
    return min(fast, key=lambda how: fast[how].lut) if fast else min(costs, key=lambda h: costs[h].interval_cycles)


def _pixels_per_cycle(graph: Graph, options: Options, reduce: str) -> int:
    if reduce != "stream" and options.io != "stream":
        return 1
    return options.pixels_per_cycle or graph.input.shape[2]


def _asked(layer: Layer, options: Options) -> LayerOptions:
    return options.layers.get(layer.name, LayerOptions())


def _flatten(graph: Graph, layer: SparseFlatten, options: Options, logic_ns: float) -> str:
    """'scatter' or 'lookup' for one flatten."""
    wanted = _asked(layer, options).implementation or options.flatten
    if wanted != AUTO:
        return wanted
    dense = lookup_partner(graph, layer)
    if dense is None:
        return "scatter"
    joined = next(
        found
        for found in with_lookups(graph, [layer.name]).layers
        if isinstance(found, SparseFlattenDense) and found.name == dense.name
    )

    def cheapest(parts: list[Layer]) -> float:
        total = 0.0
        for part in parts:
            designs = [layer_design(part, how, r) for how in _candidates(part, options) for r in _reuses(part, options)]
            total += min(_area_of(part, logic_ns)(how)[1] for how in designs)
        return total

    return "lookup" if cheapest([joined]) < cheapest([layer, dense]) else "scatter"


def _candidates(layer: Layer, options: Options) -> list[str]:
    """Implementations that a layer may have; 'overlap' is decided elsewhere."""
    wanted = _asked(layer, options).implementation
    if isinstance(layer, SparseFlattenDense):
        return ["lookup"]
    if not layer.option or isinstance(layer, SparseFlatten):
        return [""]
    choices = [choice for choice in layer.choices if choice != "overlap"]
    wanted = wanted or getattr(options, layer.option)
    return [wanted] if wanted in choices else choices


def _overlapped(graph: Graph, options: Options, reduce: str) -> dict[str, str]:
    """The convolution that works while the scan lists the pixels, if one can and nothing else was asked of it."""
    first = overlap_candidate(graph)
    if first is None or reduce != "scan":
        return {}
    own = _asked(first, options)
    wanted = own.implementation or options.conv
    return {first.name: "overlap"} if wanted in (AUTO, "overlap") and own.reuse_factor is None else {}


def overlap_candidate(graph: Graph) -> SparseConv2d | None:
    """The first convolution that reads the listed pixels as they are."""
    reduce = input_reduce(graph)
    convs = (layer for layer in graph.layers if isinstance(layer, SparseConv2d))
    return next((conv for conv in convs if conv.features == reduce.features), None)


def _reuses(layer: Layer, options: Options) -> list[int]:
    """Reuse factors to choose from."""
    own = _asked(layer, options).reuse_factor
    if layer.work == 1:
        return [1]
    if own is not None:
        return [own]
    if options.target_interval is not None:
        return list(range(1, max(min(options.target_interval - RESTART, layer.work), 1) + 1))
    return [options.reuse_factor or 1]


def _reuse_notices(layer: Layer, options: Options, how: LayerDesign) -> list[str]:
    own = _asked(layer, options).reuse_factor
    if own is not None and own > layer.work:
        return [
            f"{layer.name}: a reuse factor of {own} is more than its {layer.work} items of work: {how.reuse_factor}"
        ]
    if how.implementation == "adders" and (own or options.reuse_factor or 1) > 1:
        return [f"{layer.name}: an adder graph takes an event every clock, so its reuse factor stays 1"]
    return []


def _option_problems(
    graph: Graph, options: Options, logic_ns: float, reductions: tuple[str, ...], of_largest: tuple[str, ...]
) -> list[str]:
    """Everything that was asked for and cannot be built."""
    problems = []
    _, height, width = graph.input.shape
    for what, found, legal in (
        ("reduce", options.reduce, (*REDUCTIONS, AUTO)),
        ("io", options.io, IO),
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
    problems += _lookup_problems(graph, options)
    problems += _target_problems(graph, options, logic_ns, reductions)
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


def _lookup_problems(graph: Graph, options: Options) -> list[str]:
    problems = []
    for layer in graph.layers:
        if isinstance(layer, SparseFlatten):
            wanted = _asked(layer, options).implementation or options.flatten
            if wanted == "lookup" and lookup_partner(graph, layer) is None:
                problems.append(
                    f"{layer.name}: 'lookup' needs a dense layer directly after the flatten, and no other reader; use "
                    "'scatter'"
                )
    return problems


def _target_problems(graph: Graph, options: Options, logic_ns: float, reductions: tuple[str, ...]) -> list[str]:
    target = options.target_interval
    if target is None:
        return []
    problems = []
    _, height, width = graph.input.shape
    reduce = input_reduce(graph)
    pixels = options.pixels_per_cycle or width
    beats = -(-height * width // pixels)
    if options.io == "stream" and interval(beats) > target:
        enough = -(-height * width // max(target - RESTART, 1))
        problems.append(
            f"target_interval: an image of {height}x{width} takes {interval(beats)} cycles at {pixels} pixels a cycle, "
            f"found a target of {target}: give {enough} pixels_per_cycle or more"
        )
    known = {
        "scan": interval(-(-reduce.max_pixels // (options.scan_pixels or 1))),
        "stream": interval(beats),
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
        if own.reuse_factor is not None and interval(own.reuse_factor) > target:
            problems.append(
                f"{name}: a reuse_factor of {own.reuse_factor} takes {interval(own.reuse_factor)} cycles, more than "
                f"the target_interval of {target}"
            )
    return problems
