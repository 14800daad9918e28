"""How a model is laid out in hardware. Every design of a model computes the same bits; latency and area differ."""

import numbers
import reprlib
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from functools import cached_property
from typing import TYPE_CHECKING, Any

from sparsepix_hls.ir import graph as ir
from sparsepix_ops.errors import SparsePixError

if TYPE_CHECKING:
    from sparsepix_hls.design.schedule import Stage

LARGEST_NUMBER = 2**31 - 1

REDUCTIONS = ("scan", "stream", "tree")
IO = ("parallel", "stream")
# What one can choose for a kind of layer, beside 'auto'.
CONVS = ("pairs", "gather", "overlap")
STRIDED_CONVS = ("pairs", "gather")
FLATTENS = ("scatter", "lookup")
DENSES = ("multiply", "adders")
AUTO = "auto"


@dataclass(frozen=True)
class LayerOptions:
    """What a user asks of one layer; None leaves it to the options of the model.

    Args:
        implementation: of ``CONVS``, ``FLATTENS`` or ``DENSES``, whichever the layer is, or 'auto'.
        reuse_factor: rounds in which the layer is computed, on as small a part of its hardware.

    Raises:
        SparsePixError: a value of another kind.
    """

    implementation: str | None = None
    reuse_factor: int | None = None

    def __post_init__(self) -> None:
        problems = [*_whole_numbers(self, ("reuse_factor",)), *_words(self, ("implementation",), optional=True)]
        if problems:
            raise SparsePixError(problems, "options of a layer")


@dataclass(frozen=True)
class Options:
    """What a user asks of a design.

    Args:
        reduce: of ``REDUCTIONS``, or 'auto'.
        pixels_per_cycle: pixels that a streaming reduction or a streaming port takes a clock; None: one row.
        scan_pixels: active pixels that a scan lists a clock, 1 or 2; None: 1. Two are for RTL only.
        io: of ``IO``: all pixels at once, or AXI4-Stream.
        conv: dataflow of the convolutions, of ``CONVS``, or 'auto': the smaller by estimate.
        flatten: of ``FLATTENS``, or 'auto'.
        dense: of ``DENSES``, or 'auto'.
        reuse_factor: of all layers; None: 1.
        target_interval: cycles between two events that every stage must reach; the reuse of each layer is
            then the one with the smallest area.
        layers: options of single layers, by name; they come first.

    Raises:
        SparsePixError: a value of another kind; whether it can be built is said when a design is made.
    """

    reduce: str = AUTO
    pixels_per_cycle: int | None = None
    scan_pixels: int | None = None
    io: str = "parallel"
    conv: str = AUTO
    flatten: str = AUTO
    dense: str = "multiply"
    reuse_factor: int | None = None
    target_interval: int | None = None
    layers: Mapping[str, LayerOptions] = field(default_factory=dict)

    def __post_init__(self) -> None:
        problems = _words(self, ("reduce", "io", "conv", "flatten", "dense"))
        problems += _whole_numbers(self, ("pixels_per_cycle", "scan_pixels", "reuse_factor", "target_interval"))
        if not isinstance(self.layers, Mapping):
            problems.append(f"layers: expected LayerOptions by the names of layers, found {reprlib.repr(self.layers)}")
        else:
            problems += [
                f"layers: {reprlib.repr(name)}: expected a layer's name and LayerOptions, found {reprlib.repr(own)}"
                for name, own in self.layers.items()
                if not isinstance(name, str) or not isinstance(own, LayerOptions)
            ]
        if problems:
            raise SparsePixError(problems, "options")


def _whole_numbers(options: Any, names: Iterable[str]) -> list[str]:
    """Make the numbers of some options ints, those of numpy too; a message for each that is no whole number."""
    problems = []
    for name in names:
        value = getattr(options, name)
        if value is None:
            continue
        if isinstance(value, bool) or not isinstance(value, numbers.Integral):
            problems.append(f"{name}: expected a whole number, found {reprlib.repr(value)}")
        elif value > LARGEST_NUMBER:
            problems.append(f"{name}: expected at most {LARGEST_NUMBER:,}, the largest int of C++, found {value:.3g}")
        else:
            object.__setattr__(options, name, int(value))
    return problems


def _words(options: Any, names: Iterable[str], optional: bool = False) -> list[str]:
    """A message for each of some options that is no word."""
    found = {name: getattr(options, name) for name in names}
    return [
        f"{name}: expected a word, found {reprlib.repr(value)}"
        for name, value in found.items()
        if not (isinstance(value, str) or (optional and value is None))
    ]


@dataclass(frozen=True)
class LayerDesign:
    """How one layer is computed.

    Args:
        implementation: one of the choices of its kind; '' where there is no choice.
        rounds: rounds of the loop over time; 1: fully parallel.
        copies: how much of the layer's outer loop is computed in a round, ceil(work / rounds) or more.
    """

    implementation: str
    rounds: int
    copies: int


@dataclass(frozen=True)
class Design:
    """The layout of a model in hardware.

    Args:
        graph: the model; a flatten with looked-up weights and its dense layer are one ``SparseFlattenDense``.
        reduce: of ``REDUCTIONS``.
        io: of ``IO``.
        pixels_per_cycle: pixels a clock of a streaming reduction or port; 1 where there is none.
        layers: by name, for each layer but the input reduction.
        scan_pixels: active pixels that a scan lists a clock.
        sums_apart: an activation after sums that grow from round to round is a stage of its own: it has work to do in
            the last round only. The backend says so, see ``Backend`` in ``flow``.
    """

    graph: ir.Graph
    reduce: str
    io: str
    pixels_per_cycle: int
    layers: Mapping[str, LayerDesign]
    scan_pixels: int = 1
    sums_apart: bool = False

    @cached_property
    def stages(self) -> tuple["Stage", ...]:
        """The processes, in order: planned once, when they are first asked for."""
        from sparsepix_hls.design.schedule import plan  # which itself reads designs

        return plan(self)

    @property
    def input_reduce(self) -> ir.InputReduce:
        """The first layer."""
        return ir.input_reduce(self.graph)

    @property
    def beats(self) -> int:
        """Clocks in which an image passes, ``pixels_per_cycle`` pixels each."""
        _, height, width = self.graph.input.shape
        return -(-height * width // self.pixels_per_cycle)

    def implementation(self, layer: ir.Layer) -> str:
        """The implementation of a layer; '' where there is no choice."""
        return self.layers[layer.name].implementation if layer.name in self.layers else ""


def work(layer: ir.Layer) -> int:
    """Iterations of the outer loop of a layer, which ``rounds`` share out: pixels, or inputs of a dense layer."""
    if isinstance(layer, ir.Dense):
        return layer.input.shape[0]
    if isinstance(layer, ir.SparseConv2d | ir.Merging | ir.SparseFlatten | ir.SparseFlattenDense):
        return layer.features.shape[0]
    return 1


def layer_design(layer: ir.Layer, implementation: str, reuse_factor: int) -> LayerDesign:
    """A layer on ``1 / reuse_factor`` of its hardware.

    Where the factor is no divisor the last round has less to do, and there may be fewer rounds than asked for: 20
    pixels with a factor of 6 take 5 rounds of 4.
    """
    items = work(layer)
    if isinstance(layer, ir.SparseConv2d) and implementation == "overlap":
        return LayerDesign(implementation, items, 1)
    if implementation == "adders":
        return LayerDesign(implementation, 1, items)
    copies = -(-items // min(reuse_factor, items))
    return LayerDesign(implementation, -(-items // copies), copies)
