"""The intermediate representation: what a model is once every quantizer has become a type.

ONNX value = IR tensor = C++ array, one to one. Every name is a C++ identifier, unique in its graph.
Shapes are those of one event: there is no batch axis. The kinds of layers are in ``sparsepix_hls.layers``.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, ClassVar

import numpy as np

from sparsepix_hls.ir.choices import CHOICES
from sparsepix_hls.ir.estimate import Estimate
from sparsepix_hls.ir.kernel import Kernel
from sparsepix_hls.ir.streams import Streamed
from sparsepix_hls.ir.tensors import Array, LayerDesign, Tensor


@dataclass(frozen=True)
class Setting:
    """What a layer needs to know of the design that it is in.

    Args:
        how: the layer is computed.
        reduce: of ``REDUCTIONS``.
        pixels_per_cycle: of a streaming reduction or port; 1 where there is none.
        scan_pixels: active pixels that a scan lists a clock.
        listed: coords of the input reduction, the only list that is in raster order.
        grid: rows and columns of the image that its pixels lie on, if it reads a list.
    """

    how: LayerDesign
    reduce: str
    pixels_per_cycle: int
    scan_pixels: int
    listed: Tensor
    grid: tuple[int, int] | None = None


class Layer:
    """What every layer says of itself; each kind is a frozen dataclass in a file of ``sparsepix_hls.layers``.

    Attributes:
        name: C++ identifier.
        output: what most layers make.
        op_types: ONNX ops that become this layer.
        option: the option of a design that chooses its implementation, of ``CHOICES``; '' where there is no choice.
        by_pixel: its rounds share out the pixels, so that each round has results of its own.
        sums: its rounds add to the same results.
        joins: it shares the loop of the layer before it, and has no work of its own.
    """

    name: str
    output: Tensor
    op_types: ClassVar[tuple[str, ...]] = ()
    option: ClassVar[str] = ""
    by_pixel: ClassVar[bool] = False
    sums: ClassVar[bool] = False
    joins: ClassVar[bool] = False

    @property
    def inputs(self) -> tuple[Tensor, ...]:
        """The arrays that it reads, each once, features before coords."""
        raise NotImplementedError

    @property
    def outputs(self) -> tuple[Array, ...]:
        """The arrays that it makes, features before coords; layers with more than one, or another name, say so."""
        return (self.output,)

    @property
    def title(self) -> str:
        """What it is, for a comment."""
        return f"{self.name} ({type(self).__name__})"

    @property
    def choices(self) -> tuple[str, ...]:
        """Implementations that a user may ask for."""
        return CHOICES.get(self.option, ())

    @property
    def work(self) -> int:
        """Iterations of its outer loop, which rounds share out: pixels, or inputs of a dense layer."""
        return 1

    @property
    def outs(self) -> int:
        """Outputs of an item that folds can share out: filters, or features of a dense layer; 1 where they cannot."""
        return 1

    def round_outs(self, how: LayerDesign) -> int:
        """Outputs of an item that a round computes; in the last fold some of them may be too many."""
        return -(-self.outs // how.folds)

    def reads(self, implementation: str) -> tuple[Array, ...]:
        """The arrays that it reads by some implementation: its inputs, and what a design makes for it."""
        del implementation
        return self.inputs

    @property
    def grids(self) -> Mapping[str, tuple[int, int]]:
        """Rows and columns of the grid of each list of coordinates that it makes, by its name."""
        return {}

    @classmethod
    def from_onnx(cls, node: Any, name: str, attributes: Mapping[str, Any], builder: Any) -> "Layer":
        """The layer of a checked ONNX node.

        Args:
            node: the node, an ``onnx.NodeProto``.
            name: of the layer.
            attributes: of the node, defaults filled in.
            builder: makes tensors and constants, see ``frontend.reader``.
        """
        raise NotImplementedError

    def kernel(self, setting: Setting) -> Kernel:
        """The C++ kernel that computes it, with its parameters."""
        raise NotImplementedError

    def cost(self, how: LayerDesign, logic_ns: float) -> Estimate:
        """Estimated cost of its kernel."""
        raise NotImplementedError

    def operations(self, parallel: int) -> int:
        """Operations that it has at least as RTL, ``parallel`` of its items at once."""
        del parallel
        return sum(int(np.prod(tensor.shape)) for tensor in self.outputs if isinstance(tensor, Tensor))

    def lower(self, values: Mapping[str, np.ndarray], how: LayerDesign, ports: Any) -> dict[str, np.ndarray]:
        """Compute it fully parallel, on variables of da4ml's tracer.

        Args:
            values: raw integers of its inputs, by the names of the arrays.
            how: its implementation.
            ports: of the design, a ``rtl.lower.ports.PortTypes``.

        Returns:
            Its outputs, by the names of the arrays.
        """
        raise TypeError(f"no RTL for {type(self).__name__}")

    def lower_round(self, how: LayerDesign, reader: Any) -> Callable[..., dict[str, np.ndarray]]:
        """Compute one round of it, see ``lower``.

        Args:
            how: its implementation, reuse_factor and parallel.
            reader: says what a round reads, a ``rtl.stages.rounds.Reader``.

        Returns:
            A function of what was asked of the reader, by its names, that gives the outputs of the round.
        """
        raise TypeError(f"no RTL in rounds for {type(self).__name__}")

    def streamed(self) -> Streamed | None:
        """What it does with pixels that come one by one; None: it cannot."""
        return None

    @property
    def start(self) -> list[int]:
        """Of a layer whose rounds add to sums: raw values that these begin with."""
        return [0] * int(np.prod(self.outputs[0].shape))


@dataclass(frozen=True)
class Graph:
    """A whole model, its layers in order of execution.

    Args:
        name: C++ identifier of the top function.
        input: the image.
        outputs: the results, one or more; no layer reads them.
        layers: in topological order, the input reduction first.
        dropped_head: 'Sigmoid' or 'Softmax' if one was at the end and was left out, both if several did, else None.
        output_names: what the model calls its results, where that may differ from the names of the arrays.
    """

    name: str
    input: Tensor
    outputs: tuple[Tensor, ...]
    layers: tuple[Layer, ...]
    dropped_head: str | None = None
    output_names: tuple[str, ...] = ()

    @property
    def on_lists(self) -> tuple[Layer, ...]:
        """The layers that read lists of pixels."""
        return tuple(layer for layer in self.layers if len(layer.inputs[0].shape) == 2)

    @property
    def output(self) -> Tensor:
        """The result of a model that has one; the first of several."""
        return self.outputs[0]

    @property
    def results(self) -> dict[str, Tensor]:
        """The results by the names that the model gives them."""
        return dict(zip(self.output_names or [tensor.name for tensor in self.outputs], self.outputs, strict=True))
