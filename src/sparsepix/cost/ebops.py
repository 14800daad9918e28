"""EBOPS: what the multiplications of a model cost, in bits times bits, counted over the pixels that are there.

The measure is that of HGQ (Sun et al., arXiv 2405.00645), as SparsePixels corrects it for sparsity: each
multiplication of a convolution or dense layer counts (bits of the weight) x (bits of the activation), and only those
of kept pixels count.
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
        weight_bits: width of the weights.
        activation_bits: width of the layer's input.
        ebops: their product.
    """

    name: str
    products: float
    weight_bits: int
    activation_bits: int
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
                row.name, f"{row.products:,.0f}", f"{row.weight_bits}", f"{row.activation_bits}", f"{row.ebops:,.0f}"
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
    return sum(product * weight_bits * activation_bits for product, weight_bits, activation_bits in map(_factors, uses))


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
        products, weight_bits, activation_bits = _factors(use)
        totals.append(products * weight_bits * activation_bits)
        numbers = [float(torch.as_tensor(x).detach()) for x in (products, weight_bits, activation_bits, totals[-1])]
        rows.append(LayerOperations(use.name, numbers[0], int(numbers[1]), int(numbers[2]), numbers[3]))
    return BitOperations(tuple(rows), sum(totals))


def _factors(use: Use) -> tuple[Tensor, Tensor | float, Tensor | float]:
    """Products an image, bits of the weights, bits of the activations."""
    return _products(use), use.layer.weight_quantizer.bit_width, use.source.quantizer.bit_width


def _products(use: Use) -> Tensor:
    layer, flatten = use.layer, use.source.flatten
    if isinstance(layer, QuantLinear) and flatten is None:
        return layer.weight.new_tensor(float(layer.in_features * layer.out_features))
    counter = flatten if isinstance(layer, QuantLinear) else layer
    if not vars(counter.last_forward):
        raise SparsePixError(f"ebops: {use.name} has seen no images yet; run the model on a batch, or pass images")
    return flatten.kept_features() * layer.out_features if isinstance(layer, QuantLinear) else layer.products()
