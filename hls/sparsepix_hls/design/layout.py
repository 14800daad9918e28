"""How a model is laid out in hardware. Every design of a model computes the same bits; latency and area differ."""

from collections.abc import Mapping
from dataclasses import dataclass, replace
from functools import cached_property
from typing import TYPE_CHECKING

from sparsepix_hls.cost.costs import RESTART, interval
from sparsepix_hls.design.options import CLOCK_UNCERTAINTY
from sparsepix_hls.ir.graph import Graph, Layer, Setting
from sparsepix_hls.ir.tensors import LayerDesign
from sparsepix_hls.layers.input_reduce import InputReduce, input_reduce

if TYPE_CHECKING:
    from sparsepix_hls.design.schedule import Stage


@dataclass(frozen=True)
class Loops:
    """What loops over time can do in a backend; as they stand those of Vitis HLS.

    Args:
        folds: whether rounds can share out the outputs of an item too, and not only whole items.
        restart: clocks that a loop loses between two events.
    """

    folds: bool = False
    restart: int = RESTART

    def interval(self, rounds: int) -> int:
        """Clocks between two events of a stage with this number of rounds."""
        return interval(rounds, self.restart)

    def most_rounds(self, layer: Layer) -> int:
        """The largest reuse factor of a layer."""
        return layer.work * layer.outs if self.folds and layer.work > 1 else layer.work


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
        clock_uncertainty: percent of the clock that are kept free.
        dsp: products that DSP slices may compute, in RTL.
        sums_apart: an activation after sums that grow from round to round is a stage of its own: it has work to do in
            the last round only. The backend says so, see ``Backend`` in ``flow``.
    """

    graph: Graph
    reduce: str
    io: str
    pixels_per_cycle: int
    layers: Mapping[str, LayerDesign]
    scan_pixels: int = 1
    clock_uncertainty: int = CLOCK_UNCERTAINTY
    dsp: int = 0
    sums_apart: bool = False

    @cached_property
    def stages(self) -> tuple["Stage", ...]:
        """The processes, in order: planned once, when they are first asked for."""
        from sparsepix_hls.design.schedule import plan  # which itself reads designs

        return plan(self)

    @property
    def streams(self) -> bool:
        """Whether pixels go one by one from layer to layer."""
        return any(how.implementation == "stream" for how in self.layers.values())

    @property
    def input_reduce(self) -> InputReduce:
        """The first layer."""
        return input_reduce(self.graph)

    def logic_ns(self, clock_ns: float) -> float:
        """What a clock of this period has for logic."""
        return usable_ns(clock_ns, self.clock_uncertainty)

    @property
    def beats(self) -> int:
        """Clocks in which an image passes, ``pixels_per_cycle`` pixels each."""
        _, height, width = self.graph.input.shape
        return -(-height * width // self.pixels_per_cycle)

    def implementation(self, layer: Layer) -> str:
        """The implementation of a layer; '' where there is no choice."""
        return self.how(layer).implementation

    def how(self, layer: Layer) -> LayerDesign:
        """How a layer is computed; fully parallel where nothing was chosen."""
        found = self.layers.get(layer.name) or LayerDesign("", 1, 1)
        one_by_one = self.streams and layer.joins and len(layer.inputs[0].shape) == 2
        return replace(found, parallel=1) if one_by_one else found

    def setting(self, layer: Layer) -> Setting:
        """What a layer needs to know to find its kernel."""
        grid = next((self._grids[array.name] for array in layer.inputs if array.name in self._grids), None)
        listed = self.input_reduce.coords
        return Setting(self.how(layer), self.reduce, self.pixels_per_cycle, self.scan_pixels, listed, grid)

    @cached_property
    def _grids(self) -> dict[str, tuple[int, int]]:
        """Rows and columns of the image of each list, by the name of its coords."""
        reduce = self.input_reduce
        found = {reduce.coords.name: reduce.image.shape[1:]}
        for layer in self.graph.layers:
            found |= layer.grids
        return found


def usable_ns(clock_ns: float, clock_uncertainty: int) -> float:
    """What a clock has for logic: its period less the percentage that is kept free."""
    return clock_ns * (100 - clock_uncertainty) / 100


def layer_design(layer: Layer, implementation: str, reuse_factor: int, loops: Loops | None = None) -> LayerDesign:
    """A layer on ``1 / reuse_factor`` of its hardware.

    Where the factor is no divisor the last round has less to do, and there may be fewer rounds than asked for: 20
    pixels with a factor of 6 take 5 rounds of 4. Beyond one item a round, each item takes several rounds if the loops
    can do that: 20 pixels of 3 filters with a factor of 50 take 40 rounds of 2 filters, the last of each pixel of 1.

    Args:
        layer: the layer.
        implementation: of the layer.
        reuse_factor: asked for.
        loops: of the backend; None: each round takes whole items.
    """
    items = layer.work
    if implementation == "overlap":
        return LayerDesign(implementation, items, 1)
    if implementation == "stream":
        return LayerDesign(implementation, 1, 1)
    if implementation == "adders":
        return LayerDesign(implementation, 1, items)
    rounds = min(reuse_factor, (loops or Loops()).most_rounds(layer))
    if rounds > items:
        together = -(-layer.outs // (rounds // items))
        folds = -(-layer.outs // together)
        return LayerDesign(implementation, items * folds, 1, folds)
    parallel = -(-items // rounds)
    return LayerDesign(implementation, -(-items // parallel), parallel)
