"""Sparse CNNs as data: an architecture, and the module that it describes."""

from collections import Counter, OrderedDict
from collections.abc import Sequence
from dataclasses import asdict, dataclass, fields
from typing import Any, Literal

import numpy as np
import torch
from torch import Tensor, nn

from sparsepix.activations import QuantIdentity, QuantReLU, SparseReLU
from sparsepix.checks import check_flag, check_positive
from sparsepix.quant_conv2d import QuantConv2d
from sparsepix.quant_linear import QuantLinear
from sparsepix.quantizers import Format, LearnedFixedPoint, check_format
from sparsepix.sparse_avg_pool2d import SparseAvgPool2d
from sparsepix.sparse_conv2d import SparseConv2d
from sparsepix.sparse_flatten import SparseFlatten
from sparsepix.sparse_input_reduce import SparseInputReduce
from sparsepix.sparse_max_pool2d import SparseMaxPool2d
from sparsepix_ops.errors import SparsePixError
from sparsepix_ops.fixed_point import FixedPoint
from sparsepix_ops.whole import real_number, whole_number


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
        label = f"Layer {self.kind!r}"
        object.__setattr__(self, "size", check_positive(label, "size", self.size))
        channels = 0
        if self.kind == "conv" or whole_number(self.out_channels) != 0:
            channels = check_positive(label, "out_channels", self.out_channels)
        object.__setattr__(self, "out_channels", channels)


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
        activation_format: behind every ReLU; None: float.
        input_format: of the image; None: unquantized (torch only).
        pool_format: of pooled averages; None: unquantized (torch only).
        reciprocal_bits: see ``SparseAvgPool2d``; None divides truly (torch only).
        head: 'sigmoid' or 'softmax' at the end, or None for logits.
        batch_norm: whether the convolutions normalize their outputs, see ``SparseConv2d``.
        learn_max_pixels: learn the budget, with ``max_pixels`` as start and largest (see ``SparseInputReduce``).
        learn_threshold: learn the threshold, with ``threshold`` as start.

    Raises:
        SparsePixError: numbers that are none of these; whole ones may be floats or of numpy, and become ints.
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
        label, values = str(self.name), {}
        shape = self.input_shape
        whole = [whole_number(size) for size in shape] if isinstance(shape, Sequence | np.ndarray) else []
        if len(whole) != 3 or any(size is None or size < 1 for size in whole):
            raise SparsePixError(
                f"{label}: input_shape must be (channels, height, width), numbers of at least 1, found {shape!r}"
            )
        values["input_shape"] = tuple(whole)
        values["layers"] = tuple(self.layers)
        values["max_pixels"] = check_positive(label, "max_pixels", self.max_pixels)
        values["threshold"] = real_number(self.threshold)
        if values["threshold"] is None:
            raise SparsePixError(f"{label}: threshold must be a finite number, found {self.threshold!r}")
        for name in ("sparse", "batch_norm", "learn_max_pixels", "learn_threshold"):
            values[name] = check_flag(label, name, getattr(self, name))
        for name in ("weight_format", "activation_format", "input_format", "pool_format"):
            check_format(getattr(self, name), f"{label}: {name}")
        if self.reciprocal_bits is not None:
            values["reciprocal_bits"] = check_positive(label, "reciprocal_bits", self.reciprocal_bits)
        for name, value in values.items():
            object.__setattr__(self, name, value)

    def to_dict(self) -> dict[str, Any]:
        """As plain data (numbers, strings, lists, dicts), for a file."""
        plain = asdict(self)
        for field in fields(self):
            value = getattr(self, field.name)
            if isinstance(value, FixedPoint):
                plain[field.name] = str(value)
            elif isinstance(value, LearnedFixedPoint):
                plain[field.name] = {"learned": asdict(value)}
        return plain | {"input_shape": list(self.input_shape), "layers": [asdict(layer) for layer in self.layers]}

    @classmethod
    def from_dict(cls, plain: dict[str, Any]) -> "Architecture":
        """The inverse of ``to_dict``.

        Raises:
            SparsePixError: a field is missing or unknown.
        """
        try:
            values = dict(plain)
            values["input_shape"] = tuple(values["input_shape"])
            values["layers"] = tuple(Layer(**layer) for layer in values["layers"])
            for name in ("weight_format", "activation_format", "input_format", "pool_format"):
                if isinstance(values[name], str):
                    values[name] = FixedPoint.parse(values[name])
                elif isinstance(values[name], dict):
                    values[name] = LearnedFixedPoint(**values[name]["learned"])
            return cls(**values)
        except (KeyError, TypeError) as error:
            raise SparsePixError(f"the description of the architecture is not complete or not known: {error}") from None


class _ChannelsLastFlatten(nn.Module):
    """Images [B, C, H, W] to vectors [B, H * W * C] in the order of ``SparseFlatten``."""

    def forward(self, image: Tensor) -> Tensor:
        return image.permute(0, 2, 3, 1).flatten(1)


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
    if not a.layers or a.layers[last_dense].kind != "dense":
        raise SparsePixError(f"{a.name}: the last layer must be dense, found {[layer.kind for layer in a.layers]}")
    if a.max_pixels > height * width:
        raise SparsePixError(
            f"{a.name}: max_pixels must not exceed the {height * width} pixels of the image, found {a.max_pixels}"
        )
    model.add_module("input_quant", QuantIdentity(a.input_format))
    if a.sparse:
        # The grid of a learned input format moves, so no threshold can be snapped to it.
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
            raise SparsePixError(f"{a.name}: layer {i + 1} ({layer.kind}) stands behind a dense layer")
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
        elif layer.kind == "dense":
            if not features:
                model.add_module("flatten", SparseFlatten() if a.sparse else _ChannelsLastFlatten())
                features = height * width * channels
            add("dense", QuantLinear(features, layer.size, weight_format=a.weight_format))
            features = layer.size
            if i < last_dense:
                add("relu", QuantReLU(a.activation_format))
        else:
            raise SparsePixError(f"{a.name}: layer {i + 1} has the unknown kind {layer.kind!r}")
    if a.head == "sigmoid":
        model.add_module("head", nn.Sigmoid())
    elif a.head == "softmax":
        model.add_module("head", nn.Softmax(dim=-1))
    elif a.head is not None:
        raise SparsePixError(f"{a.name}: head must be 'sigmoid', 'softmax' or None, found {a.head!r}")


@torch.no_grad()
def _start_alive(conv: SparseConv2d | QuantConv2d) -> None:
    """Turn the sign of each filter whose random weights sum to less than zero, and of its bias likewise.

    Images and rectified features are not negative, so such a filter answers most pixels with zero behind its
    ReLU. With one filter a layer, one model in nine would start so and never learn.
    """
    sums = conv.weight.sum((1, 2, 3), keepdim=True)
    conv.weight.mul_(torch.where(sums < 0, -1.0, 1.0))
    conv.bias.abs_()


def _pool(layer: Layer, a: Architecture) -> nn.Module:
    if layer.kind == "max_pool":
        return SparseMaxPool2d(layer.size) if a.sparse else nn.MaxPool2d(layer.size)
    if a.sparse:
        return SparseAvgPool2d(layer.size, a.reciprocal_bits, a.pool_format)
    return nn.Sequential(nn.AvgPool2d(layer.size), QuantIdentity(a.pool_format))
