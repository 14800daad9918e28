"""Sparse CNNs as data; ``sparse_cnn`` has the module that an architecture describes."""

import math
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, fields
from typing import Any, Literal

import numpy as np

from sparsepix.models.preset_names import SELECTIONS
from sparsepix.quant.formats import CalibratedFixedPoint, Format, LearnedFixedPoint, check_format, has_places
from sparsepix.util.numbers_given import require_plain, shown
from sparsepix_ops.errors import SparsePixError
from sparsepix_ops.fixed_point import FixedPoint
from sparsepix_ops.fixed_points import FixedPoints
from sparsepix_ops.ops.sparse_strided_conv2d import grid_of as strided_grid
from sparsepix_ops.whole import real_number, truth, whole_number

_KINDS = ("conv", "avg_pool", "max_pool", "dense")
_CHOICES = {
    "activity": ("first", "any", "sum"),
    "selection": SELECTIONS,
    "bias_on": ("active", "nonzero"),
    "head": ("sigmoid", "softmax", None),
}
_ADAPTING = {"calibrated": CalibratedFixedPoint, "learned": LearnedFixedPoint}  # by their name in a file
_FORMATS = ("weight_format", "activation_format", "input_format", "pool_format")
_LAYER_FORMATS = ("input_format", "weight_format", "bias_format", "activation_format")


@dataclass(frozen=True)
class Layer:
    """One layer of an architecture.

    Args:
        kind: 'conv', 'avg_pool', 'max_pool' or 'dense'.
        size: kernel_size of a conv or pool (one side, or (rows, columns)), out_features of a dense layer.
        out_channels: of a conv.
        bias: whether a conv or dense layer has one.
        activation: 'relu' or 'linear', of a conv or dense layer; None: a ReLU, but nothing after the last layer.
        over: of a max_pool, see ``SparseMaxPool2d``.
        input_format: of what comes in, quantized before the layer; None: as it comes.
        weight_format: of the weights, instead of the architecture's; None: that one.
        bias_format: of the bias; None: that of the weights.
        activation_format: of the result, after the activation; None: the architecture's, after a ReLU.
        stride: of a conv (one number, or (rows, columns)), see ``SparseConv2d``.
    """

    kind: Literal["conv", "avg_pool", "max_pool", "dense"]
    size: int | tuple[int, int]
    out_channels: int = 0
    bias: bool = True
    activation: Literal["relu", "linear"] | None = None
    over: Literal["active", "cell"] = "active"
    input_format: Format = None
    weight_format: Format = None
    bias_format: Format = None
    activation_format: Format = None
    stride: int | tuple[int, int] = 1

    def __post_init__(self) -> None:
        problems = []
        if not isinstance(self.kind, str) or self.kind not in _KINDS:
            problems.append(f"the unknown kind {shown(self.kind)}; expected one of {', '.join(_KINDS)}")
        _set_sides(self, "size", self.kind != "dense", problems)
        _set_sides(self, "stride", True, problems)
        if self.stride != 1 and self.kind != "conv":
            problems.append(f"stride is for a conv, found {shown(self.stride)}")
        _set_whole(self, "out_channels", int(not problems and self.kind == "conv"), problems)
        if truth(self.bias) is None:
            problems.append(f"bias must be True or False, found {shown(self.bias)}")
        for name, choices in (("activation", ("relu", "linear", None)), ("over", ("active", "cell"))):
            value = getattr(self, name)
            if not (value is None or isinstance(value, str)) or value not in choices:
                problems.append(f"{name} must be one of {choices}, found {shown(value)}")
        _check_formats(self, _LAYER_FORMATS, problems)
        if problems:
            raise SparsePixError(problems, f"Layer {shown(self.kind)}")

    @property
    def sides(self) -> tuple[int, int]:
        """Rows and columns of the kernel of a conv or pool."""
        return self.size if isinstance(self.size, tuple) else (self.size, self.size)

    def grid_of(self, height: int, width: int) -> tuple[int, int]:
        """Rows and columns of the image after a conv or pool, from those before it."""
        if self.kind == "conv":
            return strided_grid((height, width), self.stride if isinstance(self.stride, tuple) else (self.stride,) * 2)
        return height // self.sides[0], width // self.sides[1]


@dataclass(frozen=True)
class Architecture:
    """A CNN: convs and pools on pixels, then dense layers.

    Args:
        name: of the model.
        input_shape: (channels, height, width) of the image.
        layers: in order; at least one dense layer at the end.
        max_pixels: N, the slots of the list of active pixels.
        sparse: False gives the standard CNN of the same layers.
        threshold: a pixel is active above it.
        activity: which score is compared (see ``SparseInputReduce``).
        selection: which pixels are kept (see ``SparseInputReduce``).
        bias_on: see ``SparseConv2d``.
        weight_format: of all weights and biases; None: float.
        activation_format: after every ReLU; None: float.
        input_format: of the image; None: unquantized (torch only).
        pool_format: of pooled averages; None: unquantized (torch only).
        reciprocal_bits: see ``SparseAvgPool2d``; None divides truly (torch only).
        head: 'sigmoid' or 'softmax' at the end, or None for logits.
        batch_norm: whether the convolutions normalize their outputs, see ``SparseConv2d``.
        learn_max_pixels: learn the budget, with ``max_pixels`` as start and largest (see ``SparseInputReduce``).
        learn_threshold: learn the threshold, with ``threshold`` as start.

    Raises:
        SparsePixError: everything that is not of these types (whole numbers may be floats or of numpy, and become
            ints); more weights or pixels than an ONNX file can hold.
    """

    name: str
    input_shape: tuple[int, int, int]
    layers: tuple[Layer, ...]
    max_pixels: int
    sparse: bool = True
    threshold: float = 0.0
    activity: Literal["first", "any", "sum"] = "first"
    selection: Literal["raster", "magnitude"] = "raster"
    bias_on: Literal["active", "nonzero"] = "active"
    weight_format: Format = None
    activation_format: Format = None
    input_format: Format = None
    pool_format: Format = None
    reciprocal_bits: int | None = None
    head: Literal["sigmoid", "softmax"] | None = None
    batch_norm: bool = False
    learn_max_pixels: bool = False
    learn_threshold: bool = False

    def __post_init__(self) -> None:
        problems: list[str] = []
        if not isinstance(self.name, str) or not self.name:
            problems.append(f"name must be a text, found {shown(self.name)}")
        self._check_shape(problems)
        layers = self.layers
        if not isinstance(layers, Sequence) or not layers or not all(isinstance(layer, Layer) for layer in layers):
            problems.append(f"layers must be one Layer at least, found {shown(layers)}")
        else:
            object.__setattr__(self, "layers", tuple(layers))
        _set_whole(self, "max_pixels", 1, problems)
        if self.reciprocal_bits is not None:
            _set_whole(self, "reciprocal_bits", 1, problems)
        threshold = real_number(self.threshold)
        if threshold is None:
            problems.append(f"threshold must be a finite number, found {shown(self.threshold)}")
        object.__setattr__(self, "threshold", threshold)
        for name in ("sparse", "batch_norm", "learn_max_pixels", "learn_threshold"):
            value = truth(getattr(self, name))
            if value is None:
                problems.append(f"{name} must be True or False, found {shown(getattr(self, name))}")
            object.__setattr__(self, name, value)
        for name, choices in _CHOICES.items():
            value = getattr(self, name)
            if not (value is None or isinstance(value, str)) or value not in choices:
                problems.append(f"{name} must be one of {choices}, found {shown(getattr(self, name))}")
        _check_formats(self, _FORMATS, problems)
        if has_places(self.input_format):
            problems.append(f"input_format: an image has one format, found {self.input_format}")
        problems = problems or self._size_problems()
        if problems:
            raise SparsePixError(problems, str(self.name) or "Architecture")

    def _check_shape(self, problems: list[str]) -> None:
        shape = self.input_shape
        sizes = [whole_number(size) for size in shape] if isinstance(shape, Sequence | np.ndarray) else []
        if len(sizes) != 3 or any(size is None or not 1 <= size < 1 << 62 for size in sizes):
            problems.append(f"input_shape must be (channels, height, width), each at least 1, found {shown(shape)}")
        else:
            object.__setattr__(self, "input_shape", tuple(sizes))

    def _size_problems(self) -> list[str]:
        """Sizes that no ONNX file could hold, found before anything is allocated."""
        pixels = math.prod(self.input_shape)
        return [
            f"{what} of {count:,} {things} take {4 * count >> 30:,} GiB; an ONNX file holds 2 GiB"
            for what, count, things in (
                (f"an image {self.input_shape}", pixels, "values"),
                ("its layers", self.weights, "weights"),
            )
            if 4 * count >= 1 << 31
        ]

    @property
    def weights(self) -> int:
        """Weights and biases of all convolutions and dense layers, without those of batch norms."""
        channels, height, width = self.input_shape
        features = count = 0
        for layer in self.layers:
            if layer.kind == "conv":
                count += (channels * math.prod(layer.sides) + layer.bias) * layer.out_channels
                channels = layer.out_channels
                height, width = layer.grid_of(height, width)
            elif layer.kind == "dense":
                features = features or channels * height * width
                count += (features + layer.bias) * layer.size
                features = layer.size
            else:
                height, width = layer.grid_of(height, width)
        return count

    def to_dict(self) -> dict[str, Any]:
        """As plain data (numbers, strings, lists, dicts), for a file."""
        layers = [_plain(layer) for layer in self.layers]
        return _plain(self) | {"input_shape": list(self.input_shape), "layers": layers}

    @classmethod
    def from_dict(cls, plain: dict[str, Any]) -> "Architecture":
        """The inverse of ``to_dict``.

        Raises:
            SparsePixError: a field is missing or unknown, or holds something else.
        """
        if not isinstance(plain, Mapping):
            raise SparsePixError(f"expected the description of an architecture, found a {type(plain).__name__}")
        require_plain(plain, "the description of the architecture")
        known = {field.name for field in fields(cls)}
        if unknown := [name for name in plain if name not in known]:
            raise SparsePixError(
                f"the description of the architecture is not known: {', '.join(map(repr, unknown))} is no field of it"
            )
        try:
            values = dict(plain)
            values["input_shape"] = tuple(values["input_shape"])
            layers = [_with_formats(layer, _LAYER_FORMATS) for layer in values["layers"]]
            values["layers"] = tuple(Layer(**layer) for layer in layers)
            values = _with_formats(values, _FORMATS)
            return cls(**values)
        except (KeyError, TypeError) as error:
            raise SparsePixError(f"the description of the architecture is not complete or not known: {error}") from None


def _check_formats(data: Layer | Architecture, names: Sequence[str], problems: list[str]) -> None:
    for name in names:
        try:
            check_format(getattr(data, name), name)
        except SparsePixError as error:
            problems += error.problems


def _plain(data: Layer | Architecture) -> dict[str, Any]:
    """Fields as plain data; those that say nothing new of a layer are left out, so that older files are as before."""
    plain = {}
    for field in fields(data):
        value = getattr(data, field.name)
        if isinstance(data, Layer) and value == field.default and field.name != "out_channels":
            continue
        if isinstance(value, FixedPoint):
            value = str(value)
        if isinstance(value, FixedPoints):
            value = [str(element) if element else None for element in value.elements]
        for name, kind in _ADAPTING.items():
            if isinstance(value, kind):
                value = {name: asdict(value)}
        plain[field.name] = list(value) if field.name in ("size", "stride") and isinstance(value, tuple) else value
    return plain


def _with_formats(plain: Mapping[str, Any], names: Sequence[str]) -> dict[str, Any]:
    """Plain data, formats as such."""
    if not isinstance(plain, Mapping):
        raise TypeError(f"expected a layer, found {shown(plain)}")
    values = dict(plain)
    for name in names:
        if isinstance(values.get(name), str):
            values[name] = FixedPoint.parse(values[name])
        elif isinstance(values.get(name), list):
            values[name] = FixedPoints.parse(values[name])
        elif isinstance(values.get(name), dict):
            kinds = list(values[name])
            if len(kinds) != 1:
                raise KeyError(f"{name}: expected one of {', '.join(_ADAPTING)}, found {kinds}")
            values[name] = _ADAPTING[kinds[0]](**values[name][kinds[0]])
    return values


def _set_sides(data: Layer, name: str, may_differ: bool, problems: list[str]) -> None:
    """Hold a number or, if they ``may_differ``, a pair (rows, columns) as ints, or add what is wrong with them."""
    value = getattr(data, name)
    if not (may_differ and isinstance(value, tuple | list)):
        _set_whole(data, name, 1, problems)
        return
    sizes = [whole_number(size) for size in value]
    if len(sizes) != 2 or any(size is None or not 1 <= size < 1 << 62 for size in sizes):
        problems.append(f"{name} must be one or two ints >= 1, found {shown(value)}")
    else:
        object.__setattr__(data, name, sizes[0] if sizes[0] == sizes[1] else tuple(sizes))


def _set_whole(data: Layer | Architecture, name: str, least: int, problems: list[str]) -> None:
    """Hold the field as an int, or add what is wrong with it."""
    value = whole_number(getattr(data, name))
    if value is not None and value >= 1 << 62:
        problems.append(f"{name} must be an int below 2**62, found {shown(value)}")
    elif value is None or value < least:
        problems.append(f"{name} must be an int >= {least}, found {shown(getattr(data, name))}")
    else:
        object.__setattr__(data, name, value)
