"""From what a user asks for to a design: defaults, choices by estimated cost, and what cannot be built."""

from collections.abc import Callable

from sparsepix_hls.design.checks import (
    asked_of,
    asks_for_streams,
    check_clock,
    option_problems,
    stream_interval,
    with_ports,
)
from sparsepix_hls.design.layout import Design, Loops, layer_design, usable_ns
from sparsepix_hls.design.options import (
    AUTO,
    CLOCK_UNCERTAINTY,
    REDUCTIONS,
    LayerOptions,
    Options,
)
from sparsepix_hls.design.rewrites import lookup_partner, overlap_candidate, with_activations_next, with_lookups
from sparsepix_hls.ir.estimate import Estimate
from sparsepix_hls.ir.graph import Graph, Layer
from sparsepix_hls.ir.tensors import LayerDesign
from sparsepix_hls.layers.input_reduce import InputReduce, input_reduce, reduce_cost
from sparsepix_hls.layers.sparse_flatten import SparseFlatten, SparseFlattenDense
from sparsepix_ops.errors import SparsePixError

_DSP_IN_LUTS = 100  # what a DSP slice counts when two implementations are compared


def make_design(
    graph: Graph,
    options: Options | None = None,
    clock_ns: float = 5.0,
    reductions: tuple[str, ...] = REDUCTIONS,
    of_largest: tuple[str, ...] = ("scan",),
    loops: Loops | None = None,
) -> tuple[Design, tuple[str, ...]]:
    """Choose an implementation and a reuse for every layer.

    Args:
        graph: the model.
        options: what the user asks for; None: the defaults.
        clock_ns: clock period, for the estimates that choices are made by.
        reductions: what 'auto' may choose from, of ``REDUCTIONS``.
        of_largest: those that can list the largest pixels of an image, and not only the first.
        loops: what loops over time can do; None: what those of Vitis HLS can.

    Returns:
        The design, and what the user should know of it, one line each.

    Raises:
        SparsePixError: everything that was asked for and cannot be built, with the layer and the fix.
    """
    options, loops = with_ports(graph, options if options is not None else Options()), loops or Loops()
    uncertainty = CLOCK_UNCERTAINTY if options.clock_uncertainty is None else options.clock_uncertainty
    time = usable_ns(check_clock(clock_ns), uncertainty)
    if input_reduce(graph).selection != "raster":
        reductions = tuple(how for how in reductions if how in of_largest)
    problems = option_problems(graph, options, time, reductions, of_largest, loops)
    if problems:
        raise SparsePixError(problems, f"model {graph.name} cannot be built this way")
    graph = with_activations_next(graph)
    reduce = _reduction(graph, options, time, reductions, loops)
    pixels = _pixels_per_cycle(graph, options, reduce)
    notices: list[str] = []
    chosen: dict[str, LayerDesign] = {}
    flattens, streams = {}, asks_for_streams(graph, options)
    for layer in graph.layers:
        if isinstance(layer, SparseFlatten):
            flattens[layer.name] = _flatten(graph, layer, options, time, loops, streams)
    graph = with_lookups(graph, [name for name, how in flattens.items() if how == "lookup"])
    overlapped = _overlapped(graph, options, reduce)
    one_by_one = {layer.name for layer in graph.on_lists} if streams else set()
    for layer in graph.layers:
        if isinstance(layer, InputReduce) or layer.joins:
            continue
        if layer.name in one_by_one:
            chosen[layer.name] = layer_design(layer, "stream", 1)
            continue
        candidates = [overlapped[layer.name]] if layer.name in overlapped else _candidates(layer, options)
        chosen[layer.name] = min(_designs(layer, candidates, options, loops), key=_area_of(layer, time))
        notices += _reuse_notices(layer, options, chosen[layer.name], loops)
    _follow_up(graph, chosen)
    design = Design(graph, reduce, options.io, pixels, chosen, options.scan_pixels or 1, uncertainty, options.dsp or 0)
    return design, tuple(notices)


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
            one_by_one = how is not None and how.implementation == "stream" and items > 1
            parallel = LayerDesign("", 1, 1 if one_by_one else items)
            shares = how is not None and before.by_pixel and how.reuse_factor > 1 and how.implementation != "overlap"
            chosen[layer.name] = (
                LayerDesign("", how.reuse_factor, how.parallel, how.folds) if shares and how is not None else parallel
            )
        for tensor in layer.outputs:
            makers[tensor.name] = layer


def _reduction(graph: Graph, options: Options, logic_ns: float, reductions: tuple[str, ...], loops: Loops) -> str:
    reduce = input_reduce(graph)
    if options.reduce != AUTO:
        return options.reduce
    if options.scan_pixels == 2:
        return "scan"
    if asks_for_streams(graph, options):
        return "stream"
    if options.io == "stream" and "stream" in reductions:
        return "stream"  # it works while the image arrives
    wanted = options.target_interval
    if wanted is None:
        return "scan"
    pixels = _pixels_per_cycle(graph, options, "stream")
    costs: dict[str, Estimate] = {how: reduce_cost(reduce, how, pixels, logic_ns) for how in reductions}
    cycles = {how: cost.interval_cycles for how, cost in costs.items()}
    if "stream" in cycles:
        _, height, width = graph.input.shape
        cycles["stream"] = stream_interval(reduce, -(-height * width // pixels), loops)
    fast = [how for how in costs if cycles[how] <= wanted]
    return min(fast, key=lambda how: costs[how].lut) if fast else min(costs, key=lambda how: cycles[how])


def _pixels_per_cycle(graph: Graph, options: Options, reduce: str) -> int:
    if reduce != "stream" and options.io != "stream":
        return 1
    return options.pixels_per_cycle or graph.input.shape[2]


def _flatten(graph: Graph, layer: SparseFlatten, options: Options, logic_ns: float, loops: Loops, streams: bool) -> str:
    """'scatter' or 'lookup' for one flatten; a pixel a clock needs no more than the weights of its place."""
    wanted = asked_of(layer, options).implementation or options.flatten
    if wanted != AUTO:
        return wanted
    dense = lookup_partner(graph, layer)
    if dense is None:
        return "scatter"
    if streams:  # joined to the flatten, a dense layer has neither rounds nor implementations
        return "lookup" if asked_of(dense, options) == LayerOptions() else "scatter"
    joined = next(
        found
        for found in with_lookups(graph, [layer.name]).layers
        if isinstance(found, SparseFlattenDense) and found.name == dense.name
    )

    def cheapest(parts: list[Layer]) -> float:
        total = 0.0
        for part in parts:
            designs = _designs(part, _candidates(part, options), options, loops)
            total += min(_area_of(part, logic_ns)(how)[1] for how in designs)
        return total

    return "lookup" if cheapest([joined]) < cheapest([layer, dense]) else "scatter"


def _candidates(layer: Layer, options: Options) -> list[str]:
    """Implementations that a layer may have; 'overlap' is decided elsewhere."""
    wanted = asked_of(layer, options).implementation
    if isinstance(layer, SparseFlattenDense):
        return ["lookup"]
    if not layer.option or isinstance(layer, SparseFlatten):
        return [""]
    choices = [choice for choice in layer.choices if choice not in ("overlap", "stream")]
    wanted = wanted or getattr(options, layer.option)
    return [wanted] if wanted in choices else choices


def _overlapped(graph: Graph, options: Options, reduce: str) -> dict[str, str]:
    """The convolution that works while the scan lists the pixels, if one can and nothing else was asked of it."""
    first = overlap_candidate(graph)
    if first is None or reduce != "scan":
        return {}
    own = asked_of(first, options)
    wanted = own.implementation or options.conv
    return {first.name: "overlap"} if wanted in (AUTO, "overlap") and own.reuse_factor is None else {}


def _designs(layer: Layer, candidates: list[str], options: Options, loops: Loops) -> list[LayerDesign]:
    """A layer in each of some implementations with each reuse factor that there is to choose from."""
    reuses = _reuses(layer, options, loops)
    return [layer_design(layer, how, reuse, loops) for how in candidates for reuse in reuses]


def _reuses(layer: Layer, options: Options, loops: Loops) -> list[int]:
    """Reuse factors to choose from."""
    own = asked_of(layer, options).reuse_factor
    if layer.work == 1:
        return [1]
    if own is not None:
        return [own]
    if options.target_interval is not None:
        most = max(min(options.target_interval - loops.restart, loops.most_rounds(layer)), 1)
        # Of folds only those that differ: 5 outputs in 3 rounds are 2, 2 and 1, in 4 rounds no fewer.
        folds = {-(-layer.outs // together) for together in range(1, layer.outs + 1)} - {1}
        return [*range(1, min(most, layer.work) + 1), *(n * layer.work for n in folds if n * layer.work <= most)]
    return [options.reuse_factor or 1]


def _reuse_notices(layer: Layer, options: Options, how: LayerDesign, loops: Loops) -> list[str]:
    own = asked_of(layer, options).reuse_factor
    if own is not None and own > loops.most_rounds(layer):
        outs = f" of {layer.outs} outputs" if loops.folds and layer.outs > 1 else ""
        return [
            f"{layer.name}: a reuse factor of {own} is more than its {layer.work} items of work{outs}: "
            f"{how.reuse_factor}"
        ]
    if how.implementation == "adders" and (own or options.reuse_factor or 1) > 1:
        return [f"{layer.name}: an adder graph takes an event every clock, so its reuse factor stays 1"]
    return []
