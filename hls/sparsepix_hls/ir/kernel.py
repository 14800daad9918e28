"""A layer as a call of a C++ kernel."""

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np

from sparsepix_hls.ir.tensors import Constant, KernelMap, Tensor
from sparsepix_ops.fixed_point import FixedPoint, FixedRange

Config = Mapping[str, int | bool | str | FixedPoint]


@dataclass(frozen=True)
class Kernel:
    """The kernel of one layer and its arguments; ``kernels.text`` writes them.

    Args:
        name: identifier of the layer.
        title: what it is, for comments.
        header: kernel header it needs.
        kernel: function of the kernel header; of the generated file itself, where ``generated`` holds it.
        config: members of its parameter struct: name to integer, bool, enumerator or format.
        inputs: tensors it reads.
        outputs: tensors it writes.
        constants: its weights, each with the shape it has in C++.
        kernel_map: the kernel map it reads, if any.
        in_rounds: whether its kernel takes the number of the round.
        generated: source of a kernel that is made for this layer alone.
        parts: template arguments for each input, of a kernel that is called once for each of them; else empty.
    """

    name: str
    title: str
    header: str
    kernel: str
    config: Config
    inputs: tuple[Tensor, ...]
    outputs: tuple[Tensor, ...]
    constants: tuple[tuple[Constant, tuple[int, ...]], ...] = ()
    kernel_map: KernelMap | None = None
    in_rounds: bool = False
    generated: str | None = None
    parts: tuple[tuple[int, ...], ...] = ()


def sum_type(type_: FixedPoint, count: int) -> FixedPoint:
    """Narrowest format of a sum of up to ``count`` values."""
    values = type_.range.with_zero()
    return FixedRange(values.exponent, values.low * count, values.high * count).format()


def bias_or_zeros(bias: Constant | None, layer: str, output: Tensor) -> tuple[Constant, tuple[int, ...]]:
    """The bias of a layer with its shape in C++; zeros where there is none, which cost nothing in hardware."""
    size = output.shape[-1]
    return bias or Constant(f"{layer}_bias", np.zeros(size, np.int64), output.type), (size,)


def bias_values(bias: Constant | None, output: Tensor) -> list[int]:
    """The biases of a layer as raw integers in units of its output, which holds every bit of them."""
    if bias is None:
        return [0] * output.shape[-1]
    finer = bias.type.exponent - output.type.exponent
    assert finer >= 0, f"a bias in units of 2**{bias.type.exponent}, an output in 2**{output.type.exponent}"
    return [int(raw) << finer for raw in bias.raw.ravel()]
