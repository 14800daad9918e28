"""The intermediate representation: what a model is once every quantizer has become a type.

ONNX value = IR tensor = C++ array, one to one. Every name is a C++ identifier, unique in its graph.
Shapes are those of one event: there is no batch axis.
"""

from dataclasses import dataclass

import numpy as np

from sparsepix_ops.fixed_point import FixedPoint
from sparsepix_ops.ops.sparse_strided_conv2d import grid_of


@dataclass(frozen=True)
class Tensor:
    """An array of the firmware.

    Args:
        name: C++ identifier of the array; its type is called ``<name>_t``.
        shape: (channels, height, width) for the image, (max_pixels, channels) for features,
            (max_pixels, 2) for coords, (features,) behind the flatten.
        type: format of the elements; an integer type (``width == integer``) for coords.
    """

    name: str
    shape: tuple[int, ...]
    type: FixedPoint


@dataclass(frozen=True, eq=False)
class Constant:
    """Weights: raw integers [...] and the format that gives them their values."""

    name: str
    raw: np.ndarray
    type: FixedPoint


@dataclass(frozen=True)
class InputReduce:
    """Image to the list of its active pixels: active means ``score > threshold``.

    ``threshold_raw`` is on the grid of the image's type: ``raw > threshold_raw`` is exact.
    """

    name: str
    image: Tensor
    features: Tensor
    coords: Tensor
    max_pixels: int
    threshold_raw: int
    activity: str
    selection: str


@dataclass(frozen=True)
class SparseConv2d:
    """Sparsity-preserving convolution; weight is [kh, kw, in_channels / groups, out_channels], bias [out_channels]."""

    name: str
    features: Tensor
    coords: Tensor
    output: Tensor
    kernel_size: tuple[int, int]
    weight: Constant
    bias: Constant | None
    bias_on: str
    groups: int = 1


@dataclass(frozen=True)
class Activation:
    """Optional ReLU, then rounding and clipping to the output's type, elementwise.

    Args:
        name: of the layer.
        input: what comes in.
        output: what goes out.
        relu: negative values become 0.
        slope_shift: k of a leaky ReLU, which multiplies negative values by 2**-k; 0 where there is none.
    """

    name: str
    input: Tensor
    output: Tensor
    relu: bool
    slope_shift: int = 0


@dataclass(frozen=True)
class Merging:
    """What layers have that merge the pixels of a cell into the first of their slots."""

    name: str
    features: Tensor
    coords: Tensor
    output_features: Tensor
    output_coords: Tensor
    kernel_size: tuple[int, int]
    spatial_shape: tuple[int, int]

    @property
    def cell(self) -> tuple[int, int]:
        """Rows and columns of a cell."""
        return self.kernel_size

    @property
    def grid(self) -> tuple[int, int]:
        """Rows and columns of the cells that count."""
        return self.spatial_shape[0] // self.cell[0], self.spatial_shape[1] // self.cell[1]


@dataclass(frozen=True)
class SparsePool2d(Merging):
    """What both kinds of pooling have: cells of ``kernel_size`` on an image of ``spatial_shape``."""


@dataclass(frozen=True)
class SparseAvgPool2d(SparsePool2d):
    """Average over pooling cells: the sum times ``reciprocal`` (a scalar constant [])."""

    reciprocal: Constant


@dataclass(frozen=True)
class SparseMaxPool2d(SparsePool2d):
    """Maximum over pooling cells: of the active pixels (``over='active'``), or with the inactive ones as 0."""

    over: str


@dataclass(frozen=True)
class SparseStridedConv2d(Merging):
    """Convolution onto the grid of cells of ``strides``; weight and bias as those of ``SparseConv2d``."""

    strides: tuple[int, int]
    weight: Constant
    bias: Constant | None
    groups: int = 1

    @property
    def cell(self) -> tuple[int, int]:
        """Rows and columns of a cell."""
        return self.strides

    @property
    def grid(self) -> tuple[int, int]:
        """Rows and columns of the cells: those that cover the image."""
        return grid_of(self.spatial_shape, self.strides)

    @property
    def output(self) -> Tensor:
        """The features that it makes, under the name that they have in ``SparseConv2d``."""
        return self.output_features

    @property
    def bias_on(self) -> str:
        """Where the bias goes: to every cell that holds a pixel."""
        return "active"


@dataclass(frozen=True)
class SparseGlobalAvgPool2d:
    """Average over the whole image: the sum of all slots times ``reciprocal`` (a scalar constant []).

    It reads no coordinates, since an empty slot holds zeros.
    """

    name: str
    features: Tensor
    output: Tensor
    spatial_shape: tuple[int, int]
    reciprocal: Constant


@dataclass(frozen=True)
class SparseGlobalMaxPool2d:
    """Maximum over the whole image, see ``SparseMaxPool2d``; 0 where no pixel is active."""

    name: str
    features: Tensor
    coords: Tensor
    output: Tensor
    spatial_shape: tuple[int, int]
    over: str


@dataclass(frozen=True)
class SparseFlatten:
    """Scatter to a dense vector: row, column, channel."""

    name: str
    features: Tensor
    coords: Tensor
    output: Tensor
    spatial_shape: tuple[int, int]


@dataclass(frozen=True)
class Dense:
    """``output = bias + input @ weight``; weight is [in_features, out_features]."""

    name: str
    input: Tensor
    output: Tensor
    weight: Constant
    bias: Constant | None


@dataclass(frozen=True)
class SparseFlattenDense:
    """A flatten and the dense layer behind it in one; weight is [height * width, channels, out_features].

    No model has it: a design puts it in the place of the two, see ``design``.
    """

    name: str
    features: Tensor
    coords: Tensor
    output: Tensor
    spatial_shape: tuple[int, int]
    weight: Constant
    bias: Constant | None


@dataclass(frozen=True)
class Add:
    """``output = first + second``, elementwise: features on the same pixels, or vectors. The output holds every sum."""

    name: str
    first: Tensor
    second: Tensor
    output: Tensor


@dataclass(frozen=True)
class Concat:
    """The channels of ``parts`` side by side: features on the same pixels, or vectors. The output holds all of them."""

    name: str
    parts: tuple[Tensor, ...]
    output: Tensor


@dataclass(frozen=True)
class Head:
    """A Sigmoid or Softmax at the end, as exact tables (see ``sparsepix_ops.ops.head``).

    ``thresholds`` [K] is sorted: the table's value at x is the number of thresholds <= x. For a
    Sigmoid x is the logit; for a Softmax the logit minus the largest logit.
    """

    name: str
    kind: str
    input: Tensor
    output: Tensor
    thresholds: Constant


Layer = (
    InputReduce
    | SparseConv2d
    | SparseStridedConv2d
    | Activation
    | SparseAvgPool2d
    | SparseMaxPool2d
    | SparseGlobalAvgPool2d
    | SparseGlobalMaxPool2d
    | SparseFlatten
    | SparseFlattenDense
    | Dense
    | Add
    | Concat
    | Head
)


@dataclass(frozen=True)
class Graph:
    """A whole model, its layers in order of execution.

    Args:
        name: C++ identifier of the top function.
        input: the image.
        outputs: the results, one or more; no layer reads them.
        layers: in topological order.
        dropped_head: 'Sigmoid' or 'Softmax' if one stood at the end and was left out, both if several did, else None.
        output_names: what the model calls its results, where that may differ from the names of the arrays.
    """

    name: str
    input: Tensor
    outputs: tuple[Tensor, ...]
    layers: tuple[Layer, ...]
    dropped_head: str | None = None
    output_names: tuple[str, ...] = ()

    @property
    def output(self) -> Tensor:
        """The result of a model that has one; the first of several."""
        return self.outputs[0]

    @property
    def results(self) -> dict[str, Tensor]:
        """The results by the names that the model gives them."""
        return dict(zip(self.output_names or [tensor.name for tensor in self.outputs], self.outputs, strict=True))


def inputs(layer: Layer) -> tuple[Tensor, ...]:
    """The arrays that a layer reads, features before coords."""
    if isinstance(layer, InputReduce):
        return (layer.image,)
    if isinstance(layer, Activation | Dense | Head):
        return (layer.input,)
    if isinstance(layer, SparseGlobalAvgPool2d):
        return (layer.features,)
    if isinstance(layer, Add):
        return tuple(dict.fromkeys((layer.first, layer.second)))
    if isinstance(layer, Concat):
        return tuple(dict.fromkeys(layer.parts))
    return (layer.features, layer.coords)


def outputs(layer: Layer) -> tuple[Tensor, ...]:
    """The arrays that a layer makes, features before coords."""
    if isinstance(layer, InputReduce):
        return (layer.features, layer.coords)
    if isinstance(layer, Merging):
        return (layer.output_features, layer.output_coords)
    return (layer.output,)


def input_reduce(graph: Graph) -> InputReduce:
    """The first layer of a model."""
    return next(layer for layer in graph.layers if isinstance(layer, InputReduce))
