"""SparseUnpool2d: coarse features go back to the pixels that a pool or a strided convolution has merged."""

from collections.abc import Sequence
from typing import Any

import numpy as np

from sparsepix_ops.fixed_point import FixedArray
from sparsepix_ops.op import DOMAIN, Attribute, Attributes, Op, Value
from sparsepix_ops.ops.pooling import check_window

BODY = """
    axis1 = Constant <value_ints = [1]> ()
    axis2 = Constant <value_ints = [2]> ()
    last = Constant <value_ints = [-1]> ()
    zero = Constant <value_int = 0> ()
    kernel = Constant <value_ints: ints = @kernel_shape> ()
    is_pixel = GreaterOrEqual (fine_coords, zero)
    cell_of_pixel = Div (fine_coords, kernel)
    cell = Where (is_pixel, cell_of_pixel, last)
    cell_4d = Unsqueeze (cell, axis2)
    coarse_4d = Unsqueeze (coords, axis1)
    same_axis = Equal (cell_4d, coarse_4d)
    same_axis_int = Cast <to = 7> (same_axis)
    same_int = ReduceMin <keepdims = 0> (same_axis_int, last)
    selector = CastLike (same_int, features)
    output_features = MatMul (selector, features)
"""


def _compute(inputs: Sequence[np.ndarray], attributes: Attributes) -> list[np.ndarray]:
    """Features [B, M, C], coords [B, M, 2], fine_coords [B, N, 2] -> [B, N, C]."""
    features, coords, fine = inputs
    cell = np.where(fine >= 0, fine // np.array(attributes["kernel_shape"]), -2)  # an empty slot matches none
    same = (cell[:, :, None] == coords[:, None]).all(axis=-1)
    return [np.where(same.any(axis=2)[..., None], np.take_along_axis(features, same.argmax(axis=2)[..., None], 1), 0)]


def _reference(inputs: Sequence[Any], attributes: Attributes) -> list[FixedArray]:
    features, coords, fine = inputs
    return [FixedArray(_compute([features.raw, coords, fine], attributes)[0], features.exponent)]


def _bound(values: Sequence[Value], attributes: Attributes) -> list[Value]:
    features, _, fine = values
    check_window(attributes["kernel_shape"], attributes["spatial_shape"])
    shape = (*fine.shape[:2], features.shape[2])
    if features.range is None:
        return [Value(shape)]
    return [Value(shape, features.range.with_zero(), features.format)]


OP = Op(
    name="SparseUnpool2d",
    domain=DOMAIN,
    inputs=("features", "coords", "fine_coords"),
    outputs=("output_features",),
    attributes={"kernel_shape": Attribute(kind="ints"), "spatial_shape": Attribute(kind="ints")},
    compute=_compute,
    reference=_reference,
    bound=_bound,
    body=BODY,
    pixels="fine_coords",
    stands_in=dict.fromkeys(("ConvTranspose", "MaxUnpool", "Resize", "Upsample"), "use SparseUnpool2d"),
)
