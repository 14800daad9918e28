"""Sparse CNNs as data: an architecture, and the module that it describes."""

import math
from collections import Counter, OrderedDict
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, fields
from typing import Any, Literal

import numpy as np
import torch
from torch import Tensor, nn

from sparsepix.nn.activations import QuantIdentity, QuantReLU, SparseReLU
from sparsepix.nn.quant_conv2d import QuantConv2d
from sparsepix.nn.quant_linear import QuantLinear
from sparsepix.nn.sparse_avg_pool2d import SparseAvgPool2d
from sparsepix.nn.sparse_conv2d import SparseConv2d
from sparsepix.nn.sparse_flatten import SparseFlatten
from sparsepix.nn.sparse_input_reduce import SparseInputReduce
from sparsepix.nn.sparse_max_pool2d import SparseMaxPool2d
from sparsepix.quant.formats import CalibratedFixedPoint, Format, LearnedFixedPoint, check_format
from sparsepix.quant.quantizers import Quantizer
from sparsepix.util.numbers_given import require_plain, shown
from sparsepix_ops.errors import SparsePixError
from sparsepix_ops.fixed_point import FixedPoint
from sparsepix_ops.whole import real_number, truth, whole_number

_KINDS = ("conv", "avg_pool", "max_pool", "dense")
_CHOICES = {
    "activity": ("first", "any", "sum"),
    "selection": ("raster", "magnitude"),
    "bias_on": ("active", "nonzero"),
    "head": ("sigmoid", "softmax", None),
}
_ADAPTING = {"calibrated": CalibratedFixedPoint, "learned": LearnedFixedPoint}  # by their name in a file
_FORMATS = ("weight_format", "activation_format", "input_format", "pool_format")


@dataclass(frozen=True)
class Layer:
    """One layer of an architecture.

    Args:
        kind: 'conv', 'avg_pool', 'max_pool' or 'dense'. A conv or dense layer is followed by a
            ReLU, except the last of all.
        size: kernel_size of a conv or pool (one side), out_features of a dense layer.
        out_channels: of a conv.
    """

    kind: Literal["conv", "avg_pool", "max_pool", "dense"]
    size: int
    out_channels: int = 0

    def __post_init__(self) -> None:
        problems = []
        if not isinstance(self.kind, str) or self.kind not in _KINDS:
            problems.append(f"the unknown kind {shown(self.kind)}; expected one of {', '.join(_KINDS)}")
        for name, least in (("size", 1), ("out_channels", int(not problems and self.kind == "conv"))):
            _set_whole(self, name, least, problems)
        if problems:
            raise SparsePixError(problems, f"Layer {shown(self.kind)}")


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
        for name in _FORMATS:
            try:
                check_format(getattr(self, name), name)
            except SparsePixError as error:
                problems += error.problems
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
                count += (channels * layer.size**2 + 1) * layer.out_channels
                channels = layer.out_channels
            elif layer.kind == "dense":
                features = features or channels * height * width
                count += (features + 1) * layer.size
                features = layer.size
            else:
                height, width = height // layer.size, width // layer.size
        return count

    def to_dict(self) -> dict[str, Any]:
        """As plain data (numbers, strings, lists, dicts), for a file."""
        plain = asdict(self)
        for field in fields(self):
            value = getattr(self, field.name)
            if isinstance(value, FixedPoint):
                plain[field.name] = str(value)
            for name, kind in _ADAPTING.items():
                if isinstance(value, kind):
                    plain[field.name] = {name: asdict(value)}
        return plain | {"input_shape": list(self.input_shape), "layers": [asdict(layer) for layer in self.layers]}

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
            values["layers"] = tuple(Layer(**layer) for layer in values["layers"])
            for name in _FORMATS:
                if isinstance(values[name], str):
                    values[name] = FixedPoint.parse(values[name])
                elif isinstance(values[name], dict):
                    kinds = list(values[name])
                    if len(kinds) != 1:
                        raise KeyError(f"{name}: expected one of {', '.join(_ADAPTING)}, found {kinds}")
                    values[name] = _ADAPTING[kinds[0]](**values[name][kinds[0]])
            return cls(**values)
        except (KeyError, TypeError) as error:
            raise SparsePixError(f"the description of the architecture is not complete or not known: {error}") from None


def _set_whole(data: Layer | Architecture, name: str, least: int, problems: list[str]) -> None:
    """Hold the field as an int, or add what is wrong with it."""
    value = whole_number(getattr(data, name))
    if value is not None and value >= 1 << 62:
        problems.append(f"{name} must be an int below 2**62, found {shown(value)}")
    elif value is None or value < least:
        problems.append(f"{name} must be an int >= {least}, found {shown(getattr(data, name))}")
    else:
        object.__setattr__(data, name, value)


class _ChannelsLastFlatten(nn.Module):
    """Images [B, C, H, W] to vectors [B, H * W * C] in the order of ``SparseFlatten``."""

    def forward(self, image: Tensor) -> Tensor:
        return image.permute(0, 2, 3, 1).flatten(1)


class _QuantAvgPool2d(nn.AvgPool2d):
    """What ``SparseAvgPool2d`` is on images [B, C, H, W], its true division apart; its scale has the same name."""

    def __init__(self, kernel_size: int, format: Format) -> None:
        super().__init__(kernel_size)
        self.quantizer = Quantizer(format, "AvgPool2d")

    def forward(self, image: Tensor) -> Tensor:
        return self.quantizer(super().forward(image))


class SparseCNN(nn.Sequential):
    """The module that an architecture describes.

    Its layers are called ``reduce``, ``conv1``, ``relu1``, ``pool1``, ``flatten``, ``dense1``, ... in
    order; ``architecture`` and ``input_shape`` are attributes. Input is a batch of images
    [B, C, H, W], output logits [B, out_features] (probabilities with a head).

    Raises:
        SparsePixError: the layers do not fit together.
    """

    def __init__(self, architecture: Architecture) -> None:
        super().__init__()
        self.architecture = architecture
        self.input_shape = architecture.input_shape
        _build(self, architecture)

    def __getitem__(self, index: int | slice) -> nn.Module:
        """One layer, or a slice of them as a plain ``nn.Sequential``."""
        if isinstance(index, slice):
            return nn.Sequential(OrderedDict(list(self.named_children())[index]))
        return super().__getitem__(index)


def _build(model: nn.Sequential, a: Architecture) -> None:
    channels, height, width = a.input_shape
    last_dense = len(a.layers) - 1
    if a.layers[last_dense].kind != "dense":
        raise SparsePixError(f"{a.name}: the last layer must be dense, found {[layer.kind for layer in a.layers]}")
    if a.max_pixels > height * width:
        raise SparsePixError(
            f"{a.name}: max_pixels must not exceed the {height * width} pixels of the image, found {a.max_pixels}"
        )
    model.add_module("input_quant", QuantIdentity(a.input_format))
    if a.sparse:
        # The grid of an input format that adapts moves, so no threshold can be snapped to it.
        grid = a.input_format if isinstance(a.input_format, FixedPoint) else None
        learned = (a.learn_max_pixels, a.learn_threshold)
        reduce = SparseInputReduce(a.max_pixels, a.threshold, a.activity, a.selection, *learned, input_format=grid)
        model.add_module("reduce", reduce)
    count: Counter[str] = Counter()
    features = 0

    def add(kind: str, module: nn.Module) -> None:
        count[kind] += 1
        model.add_module(f"{kind}{count[kind]}", module)

    for i, layer in enumerate(a.layers):
        if layer.kind != "dense" and features:
            raise SparsePixError(f"{a.name}: layer {i + 1} ({layer.kind}) comes after a dense layer")
        if layer.kind == "conv":
            conv = SparseConv2d if a.sparse else QuantConv2d
            options: dict[str, Any] = {"batch_norm": a.batch_norm} | ({"bias_on": a.bias_on} if a.sparse else {})
            module = conv(channels, layer.out_channels, layer.size, weight_format=a.weight_format, **options)
            _start_alive(module)
            add("conv", module)
            add("relu", (SparseReLU if a.sparse else QuantReLU)(a.activation_format))
            channels = layer.out_channels
        elif layer.kind in ("avg_pool", "max_pool"):
            add("pool", _pool(layer, a))
            height, width = height // layer.size, width // layer.size
        else:
            if not features:
                model.add_module("flatten", SparseFlatten() if a.sparse else _ChannelsLastFlatten())
                features = height * width * channels
            add("dense", QuantLinear(features, layer.size, weight_format=a.weight_format))
            features = layer.size
            if i < last_dense:
                add("relu", QuantReLU(a.activation_format))
    if a.head == "sigmoid":
        model.add_module("head", nn.Sigmoid())
    elif a.head == "softmax":
        model.add_module("head", nn.Softmax(dim=-1))


@torch.no_grad()
def _start_alive(conv: SparseConv2d | QuantConv2d) -> None:
    """Turn the sign of each filter whose random weights sum to less than zero, and of its bias likewise.

    Images and rectified features are not negative, so such a filter gives zero for most pixels after its ReLU. With one
    filter a layer, one model in nine would start so and never learn.
    """
    sums = conv.weight.sum((1, 2, 3), keepdim=True)
    conv.weight.mul_(torch.where(sums < 0, -1.0, 1.0))
    conv.bias.abs_()


def _pool(layer: Layer, a: Architecture) -> nn.Module:
    if layer.kind == "max_pool":
        return SparseMaxPool2d(layer.size) if a.sparse else nn.MaxPool2d(layer.size)
    if a.sparse:
        return SparseAvgPool2d(layer.size, a.reciprocal_bits, a.pool_format)
    return _QuantAvgPool2d(layer.size, a.pool_format)
