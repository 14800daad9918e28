"""EBOPS: what the multiplications of a model cost, in bits times bits, counted over the pixels that are there.

The measure is that of HGQ (Sun et al., arXiv 2405.00645), as SparsePixels corrects it for sparsity: each
multiplication of a convolution or dense layer counts (bits of the weight) x (bits of the activation), and only those
of kept pixels count. Where formats differ within a tensor, each weight and each channel or element counts its own bits.
"""

from dataclasses import dataclass

import numpy as np
import torch
from rich.table import Table
from torch import Tensor, nn

from sparsepix.cost.input_quantizers import Use, layer_uses
from sparsepix.export.module_copy import evaluation_copy
from sparsepix.nn.quant_linear import QuantLinear
from sparsepix.nn.sparse_input_reduce import SparseInputReduce
from sparsepix_ops.errors import SparsePixError


@dataclass(frozen=True)
class LayerOperations:
    """The multiplications of one layer.

    Args:
        name: of the layer in the model.
        products: multiplications an image, mean over the batch.
        weight_bits: width of the weights, the mean where it differs.
        activation_bits: width of the layer's input, likewise.
        ebops: the product of the three, or where widths differ the sum over the multiplications.
    """

    name: str
    products: float
    weight_bits: float
    activation_bits: float
    ebops: float


@dataclass(frozen=True, eq=False)
class BitOperations:
    """The multiplications of a model.

    Args:
        layers: one row a layer, in the order of their calls.
        total: sum of their EBOPS, a scalar with a gradient to learned widths, and to a learned selection where
            the pixels come from a training step.
    """

    layers: tuple[LayerOperations, ...]
    total: Tensor

    def table(self) -> Table:
        """For ``rich.print``."""
        table = Table(title="bit operations an image")
        table.add_column("layer")
        for heading in ("products", "weight bits", "activation bits", "EBOPS"):
            table.add_column(heading, justify="right")
        for row in self.layers:
            table.add_row(
                row.name,
                f"{row.products:,.0f}",
                *(f"{round(bits, 1):g}" for bits in (row.weight_bits, row.activation_bits)),
                f"{row.ebops:,.0f}",
            )
        table.add_section()
        table.add_row("total", f"{sum(row.products for row in self.layers):,.0f}", "", "", f"{float(self.total):,.0f}")
        return table


def ebops(model: nn.Module, images: Tensor | np.ndarray | None = None) -> BitOperations:
    """Count the bit operations of a quantized model, layer by layer.

    A sparse convolution multiplies once for each pair of kept pixels in the window and each pair of channels, a dense
    layer after ``SparseFlatten`` once for each feature of a kept pixel and each output; empty slots and empty places
    count nothing. Biases, and the constant factor of a pool, are not counted. A dense convolution counts all pixels.

    Args:
        model: any module made of the layers of this library.
        images: [B, C, H, W] to count on, in evaluation mode; None: the images of the model's last forward.

    Raises:
        SparsePixError: a layer whose weights or input have no format; no images, and the model has not run.
    """
    model = getattr(model, "_orig_mod", model)  # what torch.compile has wrapped
    if images is None:
        return _rows(_uses(model))
    like = next(model.parameters())
    images = torch.as_tensor(images).to(like)
    if len(images) == 0:
        raise SparsePixError("ebops: expected one image or more to count on, found none")
    # A copy that shares the parameters: the last forward of the model stays what it was.
    copy, _ = evaluation_copy(model, own_tensors=False)
    with torch.no_grad():
        copy(images)
    return _rows(layer_uses(copy, tuple(images.shape[1:])))


def total_ebops(model: nn.Module) -> Tensor | None:
    """The total of ``ebops`` for the last forward alone, without the rows; None if some layer has no format."""
    uses = _uses(model)
    if not uses or _missing_formats(uses):
        return None
    return sum(map(_bit_operations, uses))


def _uses(model: nn.Module) -> list[Use]:
    shape = getattr(model, "input_shape", None)
    for module in model.modules():
        if shape is None and isinstance(module, SparseInputReduce):
            shape = getattr(module.last_forward, "image_shape", None)
    if shape is None:
        raise SparsePixError(
            "ebops: the shape of the image is not known; run the model on a batch, or set model.input_shape = "
            "(channels, height, width)"
        )
    return layer_uses(model, tuple(shape))


def _missing_formats(uses: list[Use]) -> list[str]:
    problems = []
    for use in uses:
        if use.layer.weight_quantizer.bit_width is None:
            problems.append(f"{use.name}: its weights have no format; give the layer a weight_format")
        if use.source.quantizer is None:
            problems.append(
                f"{use.name}: its input has no format; put a quantizer (QuantIdentity, SparseReLU, ...) in front of it"
            )
    return problems


def _rows(uses: list[Use]) -> BitOperations:
    if problems := _missing_formats(uses):
        raise SparsePixError(problems, "bit operations need a format for all weights and inputs")
    if not uses:
        raise SparsePixError("ebops: the model has no convolution and no dense layer")
    rows, totals = [], []
    for use in uses:
        totals.append(_bit_operations(use))
        widths = use.layer.weight_quantizer.bit_width, use.source.quantizer.bit_width
        numbers = [float(torch.as_tensor(x).detach()) for x in (_products(use), *widths, totals[-1])]
        rows.append(LayerOperations(use.name, *numbers))
    return BitOperations(tuple(rows), sum(totals))


def _bit_operations(use: Use) -> Tensor:
    """EBOPS of one call of a layer."""
    weight_bits, input_bits = use.layer.weight_quantizer.place_bits, use.source.quantizer.place_bits
    by_weight, by_input = (isinstance(bits, Tensor) and bits.dim() > 0 for bits in (weight_bits, input_bits))
    if not by_weight and not by_input:
        return _products(use) * weight_bits * input_bits
    weight = use.layer.weight
    if by_input:
        input_bits = _bits_at_weights(input_bits, use)
    return (_products_of_weights(use) * weight_bits * input_bits).expand(weight.shape).sum()


def _bits_at_weights(bits: Tensor, use: Use) -> Tensor:
    """Bits of the inputs that each weight meets, broadcast against the weights, from those of each place."""
    layer = use.layer
    if isinstance(layer, QuantLinear):
        cells = layer.in_features // len(bits)  # one, but for the pixels of a flattened image
        return bits.repeat(cells) if cells * len(bits) == layer.in_features else bits.mean()
    if len(bits) != layer.in_channels:
        return bits.mean()  # joined from several sources
    groups = getattr(layer, "groups", 1)
    by_group = bits.view(groups, 1, -1).expand(groups, layer.out_channels // groups, -1)
    return by_group.reshape(layer.out_channels, -1, 1, 1)


def _check_seen(use: Use) -> None:
    counter = use.source.flatten if isinstance(use.layer, QuantLinear) else use.layer
    if counter is not None and not vars(counter.last_forward):
        raise SparsePixError(f"ebops: {use.name} has seen no images yet; run the model on a batch, or pass images")


def _products(use: Use) -> Tensor:
    layer, flatten = use.layer, use.source.flatten
    _check_seen(use)
    if not isinstance(layer, QuantLinear):
        return layer.products()
    if flatten is None:
        return layer.weight.new_tensor(float(layer.in_features * layer.out_features))
    return flatten.kept_features() * layer.out_features


def _products_of_weights(use: Use) -> Tensor:
    """Multiplications with each weight, an image; broadcasts against the weights."""
    layer, flatten = use.layer, use.source.flatten
    _check_seen(use)
    if not isinstance(layer, QuantLinear):
        return layer.products_of_taps().to(layer.weight.dtype)
    if flatten is None:
        return layer.weight.new_ones(1)
    return flatten.kept_places().repeat_interleave(flatten.last_forward.channels)
