"""The module that an architecture describes."""

from collections import Counter, OrderedDict
from typing import Any

import torch
from torch import Tensor, nn

from sparsepix.models.architecture import Architecture, Layer
from sparsepix.nn.activations import QuantIdentity, QuantReLU, SparseIdentity, SparseReLU
from sparsepix.nn.quant_conv2d import QuantConv2d
from sparsepix.nn.quant_linear import QuantLinear
from sparsepix.nn.sparse_avg_pool2d import SparseAvgPool2d
from sparsepix.nn.sparse_conv2d import SparseConv2d
from sparsepix.nn.sparse_flatten import SparseFlatten
from sparsepix.nn.sparse_input_reduce import SparseInputReduce
from sparsepix.nn.sparse_max_pool2d import SparseMaxPool2d
from sparsepix.quant.formats import Format, has_places
from sparsepix.quant.quantizers import Quantizer
from sparsepix_ops.errors import SparsePixError
from sparsepix_ops.fixed_point import FixedPoint


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
        if layer.kind == "dense" and not features:
            model.add_module("flatten", SparseFlatten() if a.sparse else _ChannelsLastFlatten())
            features = height * width * channels
        on_pixels = a.sparse and layer.kind != "dense"
        quant, relu = (SparseIdentity, SparseReLU) if on_pixels else (QuantIdentity, QuantReLU)
        common = {"conv": a.activation_format, "avg_pool": a.pool_format}.get(layer.kind)
        values = (layer.input_format, layer.activation_format or common)
        if not a.sparse and layer.kind != "dense" and any(map(has_places, values)):
            raise SparsePixError(
                f"{a.name}: layer {i + 1} ({layer.kind}): a format for each channel is for pixels and vectors; the "
                "whole image of a standard CNN has one format"
            )
        if layer.input_format is not None:
            add("quant", quant(layer.input_format, features or channels))
        formats = {"weight_format": layer.weight_format or a.weight_format, "bias_format": layer.bias_format}
        if layer.kind == "conv":
            conv = SparseConv2d if a.sparse else QuantConv2d
            options: dict[str, Any] = {"batch_norm": a.batch_norm, "stride": layer.stride}
            options |= {"bias_on": a.bias_on} if a.sparse else {}
            module = conv(channels, layer.out_channels, layer.size, layer.bias, **formats, **options)
            _start_alive(module)
            add("conv", module)
            channels = layer.out_channels
            height, width = layer.grid_of(height, width)
        elif layer.kind in ("avg_pool", "max_pool"):
            add("pool", _pool(layer, a, channels))
            if layer.kind == "max_pool" and layer.activation_format is not None:
                add("quant", quant(layer.activation_format, channels))
            height, width = layer.grid_of(height, width)
            continue
        else:
            add("dense", QuantLinear(features, layer.size, layer.bias, **formats))
            features = layer.size
        if layer.activation == "relu" or (layer.activation is None and i < last_dense):
            add("relu", relu(layer.activation_format or a.activation_format, features or channels))
        elif layer.activation_format is not None:
            add("quant", quant(layer.activation_format, features or channels))
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
    if conv.bias is not None:
        conv.bias.abs_()


def _pool(layer: Layer, a: Architecture, channels: int) -> nn.Module:
    if layer.kind == "max_pool":
        return SparseMaxPool2d(layer.size, layer.over) if a.sparse else nn.MaxPool2d(layer.size)
    format = layer.activation_format or a.pool_format
    if a.sparse:
        return SparseAvgPool2d(layer.size, a.reciprocal_bits, format, channels)
    return _QuantAvgPool2d(layer.size, format)
