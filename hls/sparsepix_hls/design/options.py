"""How a model is laid out in hardware. Every design of a model computes the same bits; latency and area differ."""

from collections.abc import Mapping
from dataclasses import dataclass

from sparsepix_hls.design.user_options import (
    AUTO,
    CONVS,
    DENSES,
    FLATTENS,
    IO,
    LARGEST_NUMBER,
    REDUCTIONS,
    STRIDED_CONVS,
    LayerOptions,
    Options,
)
from sparsepix_hls.ir import graph as ir

__all__ = [
    "AUTO",
    "CONVS",
    "DENSES",
    "FLATTENS",
    "IO",
    "LARGEST_NUMBER",
    "REDUCTIONS",
    "STRIDED_CONVS",
    "Design",
    "LayerDesign",
    "LayerOptions",
    "Options",
    "layer_design",
    "work",
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
    """

    graph: ir.Graph
    reduce: str
    io: str
    pixels_per_cycle: int
    layers: Mapping[str, LayerDesign]
    scan_pixels: int = 1

    @property
    def input_reduce(self) -> ir.InputReduce:
        """The first layer."""
        return ir.input_reduce(self.graph)

    @property
    def streams_in(self) -> bool:
        """Whether the image passes through the reduction or through its port a few pixels a clock."""
        return "stream" in (self.reduce, self.io)

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
