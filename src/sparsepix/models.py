"""Sparse CNNs as data: an architecture, the module that it describes, and the presets of the paper.

The presets are those of SparsePixels (arXiv 2512.06208), with its formats for weights and
activations. What the paper leaves unquantized (the input, the pooled average) firmware cannot; the
formats for these are ours, chosen so that 8-bit models stay exact in float32.
"""

from collections import Counter, OrderedDict
from dataclasses import asdict, dataclass, fields
from typing import Any, Literal, TypedDict, Unpack

import torch
from torch import Tensor, nn

from sparsepix.activations import QuantIdentity, QuantReLU, SparseReLU
from sparsepix.quant_conv2d import QuantConv2d
from sparsepix.quant_linear import QuantLinear
from sparsepix.quantizers import Format, LearnedFixedPoint
from sparsepix.sparse_avg_pool2d import SparseAvgPool2d
from sparsepix.sparse_conv2d import SparseConv2d
from sparsepix.sparse_flatten import SparseFlatten
from sparsepix.sparse_input_reduce import SparseInputReduce
from sparsepix.sparse_max_pool2d import SparseMaxPool2d
from sparsepix_ops.errors import SparsePixError
from sparsepix_ops.fixed_point import FixedPoint


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
        learn_max_pixels: learn the budget, with ``max_pixels`` as start and largest (see ``SparseInputReduce``).
        learn_threshold: learn the threshold, with ``threshold`` as start.
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
    learn_max_pixels: bool = False
    learn_threshold: bool = False

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
            options = {"bias_on": a.bias_on} if a.sparse else {}
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


@dataclass(frozen=True)
class _Formats:
    """The formats of a preset at one width."""

    weight: FixedPoint
    activation: FixedPoint
    input: FixedPoint
    pool: FixedPoint
    reciprocal_bits: int


def _unsigned(width: int, integer: int) -> FixedPoint:
    return FixedPoint(width, integer, signed=False)


# 16-bit models share their formats. Images are scaled to 0 ... 1, and 1 itself has to fit.
_WIDE = _Formats(FixedPoint(16, 7), _unsigned(16, 6), _unsigned(16, 1), _unsigned(16, 6), 16)
# The input and pooled formats of the 8-bit models keep every sum within the 24 bits of float32:
# a pool of 4x4 or 2x2 shifts, so 12 bits hold its average without rounding; the 7x7 pool does not,
# and 11 bits of reciprocal leave room for the sum of a whole cell. Its average stays below 2, since
# 24 pixels of less than 4 would have to lie in one cell. With a 12-bit input the published weights
# keep every decision on the published events; with 10 bits one of 400 changed.
_FORMATS: dict[str, dict[int, _Formats]] = {
    "neutrino": {
        8: _Formats(FixedPoint(8, 3), _unsigned(8, 2), _unsigned(12, 1), _unsigned(11, 1), 11),
        16: _WIDE,
    },
    "jet": {
        8: _Formats(FixedPoint(8, 5), _unsigned(8, 4), _unsigned(12, 1), _unsigned(12, 4), 11),
        16: _WIDE,
    },
    "mnist": {
        8: _Formats(FixedPoint(8, 1), _unsigned(8, 0), _unsigned(8, 1), _unsigned(12, 0), 11),
        16: _WIDE,
    },
    "digits": {
        8: _Formats(FixedPoint(8, 2), _unsigned(8, 3), _unsigned(8, 1), _unsigned(10, 3), 11),
        16: _WIDE,
    },
}


_LAYERS: dict[str, tuple[Layer, ...]] = {
    "neutrino": (
        Layer("conv", 7, 1),
        Layer("conv", 7, 3),
        Layer("avg_pool", 7),
        Layer("dense", 16),
        Layer("dense", 1),
    ),
    "jet": (
        Layer("conv", 9, 3),
        Layer("conv", 9, 1),
        Layer("avg_pool", 4),
        Layer("dense", 20),
        Layer("dense", 5),
    ),
    "mnist": (
        Layer("conv", 7, 1),
        Layer("avg_pool", 4),
        Layer("conv", 5, 3),
        Layer("avg_pool", 2),
        Layer("dense", 36),
        Layer("dense", 10),
    ),
}
# At the default inflation the digits' pixels lie 3 apart: the 7x7 kernel meets the direct neighbours, and the
# pool brings the pixels back on a dense grid without merging any.
_LAYERS["digits"] = (
    Layer("conv", 7, 3),
    Layer("max_pool", 3),
    Layer("dense", 24),
    Layer("dense", 10),
)
_INPUT_SHAPES = {"neutrino": (1, 63, 63), "jet": (1, 56, 56), "mnist": (1, 48, 48), "digits": (1, 48, 48)}


class PresetOptions(TypedDict, total=False):
    """What every preset takes besides ``max_pixels`` and ``bits``.

    Args:
        sparse: False gives the standard CNN of the same architecture.
        head: append the paper's Sigmoid (neutrino) or Softmax.
        threshold: a pixel is active above it; 0 if left out.
        selection: 'raster' (if left out) or 'magnitude' (see ``SparseInputReduce``).
        bias_on: 'active' (if left out), or 'nonzero' for models trained with the published Keras layers.
        input_format: of the image; None leaves it unquantized, as the published training did.
        pool_format: of pooled averages; None leaves them unquantized.
        reciprocal_bits: of the pools' reciprocals; None divides truly. Models with one of these
            three set to None are for torch only: export refuses them.
        learn_max_pixels: learn the budget, from 1 to ``max_pixels``.
        learn_threshold: learn the threshold.
        learn_bits: learn scale and width of the formats of weights, activations and pooled averages, each tensor
            for itself, from 2 bits to those of the preset.
    """

    sparse: bool
    head: bool
    threshold: float
    selection: Literal["raster", "magnitude"]
    bias_on: Literal["active", "nonzero"]
    input_format: Format
    pool_format: Format
    reciprocal_bits: int | None
    learn_max_pixels: bool
    learn_threshold: bool
    learn_bits: bool


def neutrino(max_pixels: int = 20, bits: int | None = 8, **options: Unpack[PresetOptions]) -> SparseCNN:
    """Neutrino against cosmic background in LArTPC windows [B, 1, 63, 63]: one logit.

    Args:
        max_pixels: N, the slots of the list of active pixels.
        bits: 8 or 16 (the paper's formats), or None for float everywhere.
        options: see ``PresetOptions``.

    Raises:
        SparsePixError: an argument is none of these.
    """
    return _preset("neutrino", max_pixels, bits, options)


def jet(max_pixels: int = 20, bits: int | None = 8, **options: Unpack[PresetOptions]) -> SparseCNN:
    """Five classes of LHC jets in images [B, 1, 56, 56]: five logits. Arguments as for ``neutrino``."""
    return _preset("jet", max_pixels, bits, options)


def mnist(max_pixels: int = 20, bits: int | None = 8, **options: Unpack[PresetOptions]) -> SparseCNN:
    """Sparsified MNIST [B, 1, 48, 48]: ten logits. Arguments as for ``neutrino``."""
    return _preset("mnist", max_pixels, bits, options)


def digits(max_pixels: int = 20, bits: int | None = 8, **options: Unpack[PresetOptions]) -> SparseCNN:
    """Sparsified digits of scikit-learn [B, 1, 48, 48]: ten logits. Arguments as for ``neutrino``."""
    return _preset("digits", max_pixels, bits, options)


def _learned(format: Format) -> Format:
    """A fixed format as the start of a learned one; others as they are."""
    if not isinstance(format, FixedPoint):
        return format
    return LearnedFixedPoint(format.width, format.signed, format.rounding, format.integer, learn_width=True)


def _preset(name: str, max_pixels: int, bits: int | None, options: PresetOptions) -> SparseCNN:
    unknown = sorted(set(options) - set(PresetOptions.__annotations__))
    if unknown:
        raise SparsePixError(
            f"{name}: unknown option {unknown[0]!r}; the options are {sorted(PresetOptions.__annotations__)}"
        )
    if bits is not None and bits not in _FORMATS[name]:
        raise SparsePixError(f"{name}: bits must be 8, 16 or None (float), found {bits}")
    given = dict(options)
    head, learn_bits = given.pop("head", False), given.pop("learn_bits", False)
    if learn_bits and bits is None:
        raise SparsePixError(f"{name}: learn_bits needs widths to start from, found bits=None; take bits=8 or bits=16")
    if bits is not None:
        formats = _FORMATS[name][bits]
        given = {
            "weight_format": formats.weight,
            "activation_format": formats.activation,
            "input_format": formats.input,
            "pool_format": formats.pool,
            "reciprocal_bits": formats.reciprocal_bits,
        } | given
    if learn_bits:
        for field in ("weight_format", "activation_format", "pool_format"):
            given[field] = _learned(given[field])
    if head:
        given["head"] = "sigmoid" if name == "neutrino" else "softmax"
    return SparseCNN(Architecture(name, _INPUT_SHAPES[name], _LAYERS[name], max_pixels, **given))
