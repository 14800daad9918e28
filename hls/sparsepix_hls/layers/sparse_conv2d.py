"""SparseConv2d: sparsity-preserving convolution."""

import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from sparsepix_hls.cost.costs import layer_estimate, scaled
from sparsepix_hls.cost.matrices import MERGED, constant_matrix
from sparsepix_hls.cost.primitives import (
    Cost,
    adder,
    adder_tree,
    equal,
    index_bits,
    logic,
    multiplier,
    mux,
    one_hot_mux,
    register,
    rom,
)
from sparsepix_hls.cost.streams import gathering, streamed_estimate
from sparsepix_hls.ir.estimate import Estimate
from sparsepix_hls.ir.graph import Layer, Setting
from sparsepix_hls.ir.kernel import Config, Kernel, bias_or_zeros
from sparsepix_hls.ir.streams import WINDOW, Streamed, Window, centres
from sparsepix_hls.ir.tensors import Array, Constant, KernelMap, LayerDesign, Tensor


class Convolution(Layer):
    """What both kinds of convolution have.

    weight is [kh, kw, in_channels / groups, out_channels], bias [out_channels].
    """

    features: Tensor
    coords: Tensor
    kernel_size: tuple[int, int]
    weight: Constant
    bias: Constant | None
    groups: int
    bias_on: str

    option = "conv"
    by_pixel = True

    @property
    def inputs(self) -> tuple[Tensor, ...]:
        """Features and coords."""
        return self.features, self.coords

    @property
    def work(self) -> int:
        """The slots."""
        return self.features.shape[0]

    @property
    def outs(self) -> int:
        """The filters."""
        return self.outputs[0].shape[1]

    def operations(self, parallel: int) -> int:
        """Each output pixel meets each pixel."""
        return self.features.shape[0] * parallel * (math.prod(self.weight.raw.shape[2:]) + 1) // 2

    def window_config(self, raster_order: bool, how: LayerDesign) -> Config:
        """Members of the parameter struct that both kinds have; an overlapped convolution sums as the pixels come."""
        max_pixels, in_channels = self.features.shape
        return {
            "max_pixels": max_pixels,
            "in_channels": in_channels,
            "out_channels": self.outputs[0].shape[1],
            "groups": self.groups,
            "kernel_height": self.kernel_size[0],
            "kernel_width": self.kernel_size[1],
            "bias_on": f"BiasOn::{self.bias_on}",
            "raster_order": raster_order,
            **({} if how.implementation == "overlap" else {"sum_by": f"SumBy::{how.implementation}"}),
            "reuse_factor": how.reuse_factor,
            "parallel": how.parallel,
        }

    def stream_kernel(self, window: Window, grid: tuple[int, int]) -> Kernel:
        """The kernel for pixels that come one by one, on an image of ``grid``."""
        max_pixels, in_channels = self.features.shape
        cells = window.grid or grid
        config: Config = {
            "in_channels": in_channels,
            "out_channels": self.outputs[0].shape[1],
            "groups": self.groups,
            "kernel_height": self.kernel_size[0],
            "kernel_width": self.kernel_size[1],
            "bias_on": f"BiasOn::{self.bias_on}",
            "height": grid[0],
            "width": grid[1],
            "stride_height": window.strides[0],
            "stride_width": window.strides[1],
            "grid_height": cells[0],
            "grid_width": cells[1],
            "centres": centres(window, max_pixels, grid),
        }
        title = f"{type(self).__name__} {self.kernel_size[0]}x{self.kernel_size[1]} pixel by pixel"
        arrays = self.inputs, self.outputs, self.constants
        return Kernel(self.name, title, "stream_window", "convolve_window", config, *arrays)

    @property
    def constants(self) -> tuple[tuple[Constant, tuple[int, ...]], ...]:
        """Weight and bias with their shapes in C++."""
        height, width, channels, filters = self.weight.raw.shape
        weight = (self.weight, (height * width, channels, filters))
        return weight, bias_or_zeros(self.bias, self.name, self.outputs[0])

    def stream_cost(self, window: Window, grid: tuple[int, int], logic_ns: float) -> Estimate:
        """Estimated cost for pixels that come one by one."""
        shape, c_out = self.features.shape, self.outputs[0].shape[1]
        b, w, area = self.features.type.width, self.weight.type.width, math.prod(self.kernel_size)
        gathered = gathering(window, shape[1] * b, 0, grid)
        terms = area * shape[1] // self.groups
        matrix = constant_matrix(self.weight.raw.reshape(terms, c_out), b, w)
        live = area * shape[1] * b + c_out * self.outputs[0].type.width
        products = int(np.count_nonzero(self.weight.raw))
        return streamed_estimate(window, shape, grid, gathered, matrix, logic_ns, live, products)

    def sums_cost(self, how: LayerDesign, logic_ns: float) -> Estimate:
        """Estimated cost of the sums of some output pixels by pairs or by gather."""
        slots, c_in = self.features.shape
        c_group = c_in // self.groups  # channels that a filter reads
        output = self.outputs[0]
        c_out, area = self.round_outs(how), math.prod(self.kernel_size)
        b, w = self.features.type.width, self.weight.type.width
        position, out_bits = index_bits(area + 1), output.type.width
        pixels = how.parallel
        window = pixels * (mux(how.item_rounds, c_in * b) | slots * mux(how.item_rounds, position))
        # A filter of a round reads another group of channels in each fold.
        channels = c_out * c_group * mux(min(how.folds, self.groups), b)
        bias = Cost() if self.bias is None else pixels * c_out * (logic(out_bits) + adder(out_bits))
        if how.implementation == "pairs":
            products = pixels * slots * c_group * c_out
            tree = pixels * c_out * adder_tree(slots * c_group, b + w)
            product = rom(how.folds * (area + 1), w) + multiplier(b, w)
            cost = window + slots * channels + scaled(products * product + tree, MERGED) + bias
            live = products * (b + w) + slots * c_in * b
            return layer_estimate(cost, logic_ns, how.reuse_factor, live / 2, products)
        # Gather: the pixel at each position, then constant products.
        select = area * (slots * equal(position) + one_hot_mux(slots, c_in * b))
        if how.folds > 1:  # other constants in each fold
            terms = area * c_group
            tree = c_out * adder_tree(terms, b + w)
            product = rom(how.folds, w) + multiplier(b, w)
            cost = window + select + area * channels + scaled(terms * c_out * product + tree, MERGED) + bias
            return layer_estimate(cost, logic_ns, how.reuse_factor, terms * c_out * (b + w) / 2, terms * c_out)
        matrix = constant_matrix(self.weight.raw.reshape(area * c_group, c_out), b, w)
        cost = window + pixels * (select + matrix) + bias
        live = pixels * (area * c_in * b + c_out * out_bits)
        return layer_estimate(cost, logic_ns, how.reuse_factor, live, pixels * int(np.count_nonzero(self.weight.raw)))


@dataclass(frozen=True)
class SparseConv2d(Convolution):
    """Convolution whose results are at the pixels that come in; see ``Convolution``."""

    name: str
    features: Tensor
    coords: Tensor
    output: Tensor
    kernel_size: tuple[int, int]
    weight: Constant
    bias: Constant | None
    bias_on: str
    groups: int = 1

    op_types = ("SparseConv2d",)

    @property
    def kernel_map(self) -> KernelMap:
        """The kernel map that it reads, unless it is overlapped with a scan."""
        return KernelMap(self.coords, self.kernel_size)

    def reads(self, implementation: str) -> tuple[Array, ...]:
        """See ``Layer.reads``."""
        return self.inputs if implementation == "overlap" else (*self.inputs, self.kernel_map)

    @classmethod
    def from_onnx(cls, node: Any, name: str, attributes: Mapping[str, Any], builder: Any) -> "SparseConv2d":
        """See ``Layer.from_onnx``."""
        weight = builder.weight(node.input[2], name, (2, 3, 1, 0))
        features, coords, output = (builder.tensor(value) for value in (*node.input[:2], node.output[0]))
        bias = builder.bias(node.input[3], name, weight.raw.shape[3])
        size, group = weight.raw.shape[:2], attributes["group"]
        return cls(name, features, coords, output, size, weight, bias, attributes["bias_on"], group)

    def kernel(self, setting: Setting) -> Kernel:
        """See ``Layer.kernel``."""
        how, raster_order = setting.how, self.coords == setting.listed
        if how.implementation == "stream" and setting.grid is not None:
            return self.stream_kernel(Window(self.kernel_size), setting.grid)
        overlap = how.implementation == "overlap"
        shares = replace(how, reuse_factor=1, parallel=self.work) if overlap else how
        size = "{}x{}".format(*self.kernel_size)
        return Kernel(
            self.name,
            f"SparseConv2d {size} by {how.implementation}, bias on {self.bias_on} pixels",
            "sparse_conv2d",
            "sparse_conv2d_arrival" if overlap else "sparse_conv2d",
            self.window_config(raster_order, shares),
            self.inputs,
            self.outputs,
            self.constants,
            None if overlap else self.kernel_map,
            in_rounds=True,
        )

    def cost(self, how: LayerDesign, logic_ns: float) -> Estimate:
        """See ``Layer.cost``."""
        if how.implementation == "stream":
            side = self.coords.type.raw_max + 1
            return self.stream_cost(Window(self.kernel_size), (side, side), logic_ns)
        if how.implementation != "overlap":
            return self.sums_cost(how, logic_ns)
        slots, c_in = self.features.shape
        c_group, c_out = c_in // self.groups, self.output.shape[1]
        b, w, out_bits = self.features.type.width, self.weight.type.width, self.output.type.width
        product = rom(math.prod(self.kernel_size) + 1, w) + multiplier(b, w)
        products = 2 * slots * c_group * c_out
        sums = slots * c_out * (adder_tree(c_group + 1, b + w) | adder(out_bits)) | c_out * adder_tree(
            slots * c_group + 1, b + w
        )
        taken = how.parallel * scaled(products * product + sums, MERGED)
        # Of two pixels that come together the second one meets the first one and its sums.
        cost = taken + Cost(levels=how.parallel - 1) | register(slots * c_out * out_bits)
        live = how.parallel * products * (b + w)
        return layer_estimate(cost, logic_ns, how.reuse_factor, live / 2, how.parallel * products, owns_loop=False)

    def lower(self, values: Mapping[str, np.ndarray], how: LayerDesign, ports: Any) -> dict[str, np.ndarray]:
        """See ``Layer.lower``."""
        from sparsepix_hls.rtl.lower.arithmetic import inverse, negative
        from sparsepix_hls.rtl.lower.convolution import convolve
        from sparsepix_hls.rtl.lower.folds import Fold
        from sparsepix_hls.rtl.lower.pairs import pair_index

        code, pairs, size = ports.code(self.kernel_map), values[self.kernel_map.name], self.work
        codes = np.full((size, size), code.center, dtype=object)
        turned = np.zeros((size, size), dtype=object)
        for later in range(size):
            for earlier in range(later):
                codes[earlier, later] = codes[later, earlier] = pairs[pair_index(earlier, later)]
                turned[later, earlier] = 1
        active = np.array([inverse(negative(row)) for row in values[self.coords.name][:, 0]], dtype=object)
        features = values[self.features.name]
        return {self.output.name: convolve(self, how.implementation, code, features, codes, turned, active, Fold())}

    def lower_round(self, how: LayerDesign, reader: Any) -> Callable[..., dict[str, np.ndarray]]:
        """See ``Layer.lower_round``."""
        from sparsepix_hls.rtl.lower.convolution import convolve
        from sparsepix_hls.rtl.lower.folds import fold_of

        reader.whole(self.features)
        code = reader.pairs("codes", self.kernel_map)
        reader.after("turned", self.work)
        reader.active("active", self.coords)

        def convolution(**v: np.ndarray) -> dict[str, np.ndarray]:
            given = v[self.features.name], v["codes"], v["turned"], v["active"], fold_of(v, how)
            return {self.output.name: convolve(self, how.implementation, code, *given)}

        return convolution

    def streamed(self) -> Streamed:
        """See ``Layer.streamed``."""

        def body(values: Mapping[str, np.ndarray], ports: Any) -> dict[str, np.ndarray]:
            from sparsepix_hls.rtl.lower.convolution import convolve_window

            del ports
            return {self.output.name: convolve_window(self, values[WINDOW])}

        return Streamed(Window(self.kernel_size), body)
