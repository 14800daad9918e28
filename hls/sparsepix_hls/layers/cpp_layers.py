"""Layers as C++: the parameters, the call and the arrays of each."""

import math
from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np

from sparsepix_hls.design.options import Design, LayerDesign
from sparsepix_hls.design.schedule import PairMap, pair_map
from sparsepix_hls.ir import graph as ir
from sparsepix_hls.ir.dims import dims
from sparsepix_hls.kernels.constants import COLUMNS, definition, fill
from sparsepix_ops.fixed_point import FixedPoint, FixedRange


@dataclass(frozen=True)
class Layer:
    """One layer as C++.

    Args:
        name: identifier of the layer.
        title: what it is, for comments.
        header: kernel header it needs.
        kernel: function of the kernel header; of the generated file itself, where ``generated`` holds it.
        config: members of its parameter struct: name to integer, bool, enumerator or format.
        inputs: tensors it reads.
        outputs: tensors it writes.
        constants: its weights, each with the shape it has in C++.
        pairs: the pair map it reads, if any.
        in_rounds: whether its kernel takes the number of the round.
        generated: source of a kernel that is made for this layer alone.
        parts: template arguments for each input, of a kernel that is called once for each of them; else empty.
    """

    name: str
    title: str
    header: str
    kernel: str
    config: Mapping[str, int | bool | str | FixedPoint]
    inputs: tuple[ir.Tensor, ...]
    outputs: tuple[ir.Tensor, ...]
    constants: tuple[tuple[ir.Constant, tuple[int, ...]], ...] = ()
    pairs: PairMap | None = None
    in_rounds: bool = False
    generated: str | None = None
    parts: tuple[tuple[int, ...], ...] = ()

    def call(self, round_: str = "0", rename: Mapping[str, str] | None = None, indent: str = "  ") -> str:
        """The statement that runs the layer.

        Args:
            round_: the round, as C++.
            rename: arrays that have another name here, by name of their tensors.
            indent: of the statement.
        """
        reads, writes = (
            [(rename or {}).get(tensor.name, tensor.name) for tensor in side] for side in (self.inputs, self.outputs)
        )
        if self.parts:
            functions = [f"sparsepix::{self.kernel}<{', '.join(map(str, part))}>" for part in self.parts]
            calls = zip(functions, reads, strict=True)
            return "\n".join(call(function, [read, *writes], indent) for function, read in calls)
        if self.generated is not None:
            return call(self.kernel, [*reads, *writes], indent)
        first = [round_] if self.in_rounds else []
        pairs = [self.pairs.name] if self.pairs else []
        arguments = [*first, *reads, *pairs, *(c.name for c, _ in self.constants), *writes]
        return call(f"sparsepix::{self.kernel}<{self.name}_config>", arguments, indent)

    @property
    def comment(self) -> str:
        """Name, kind and shapes."""
        sides = [", ".join(f"{t.name} {dims(t.shape)}" for t in side) for side in (self.inputs, self.outputs)]
        return f"{self.name}: {self.title}: {sides[0]} -> {sides[1]}"


def comment(text: str, indent: str = "") -> str:
    """A comment of as many lines as it takes."""
    lines, line = [], f"{indent}//"
    for word in text.split(" "):
        if len(line) + 1 + len(word) > COLUMNS:
            lines.append(line)
            line = f"{indent}//  "
        line += f" {word}"
    return "\n".join([*lines, line])


def call(function: str, arguments: list[str], indent: str = "  ") -> str:
    """A call statement in a function body."""
    return fill(f"{indent}{function}", arguments, ";")


def _bias(bias: ir.Constant | None, layer: str, size: int, output: ir.Tensor) -> ir.Constant:
    """The bias of a layer, or zeros: they cost nothing in hardware."""
    return bias or ir.Constant(f"{layer}_bias", np.zeros(size, np.int64), output.type)


def _multiple(type_: FixedPoint, count: int) -> FixedPoint:
    """Narrowest format of a sum of up to ``count`` values."""
    values = type_.range.with_zero()
    return FixedRange(values.exponent, values.low * count, values.high * count).format()


def _times(size: tuple[int, int]) -> str:
    return f"{size[0]}x{size[1]}"


def translate(layer: ir.Layer, design: Design) -> Layer:
    """Find the kernel of a layer and its parameters."""
    how = design.layers.get(layer.name, LayerDesign("", 1, 1))
    reuse = {"rounds": how.rounds, "copies": how.copies}
    match layer:
        case ir.InputReduce():
            channels, height, width = layer.image.shape
            threshold_type = FixedRange(layer.image.type.exponent, layer.threshold_raw, layer.threshold_raw).format()
            threshold = ir.Constant(f"{layer.name}_threshold", np.array(layer.threshold_raw), threshold_type)
            config = {
                "channels": channels,
                "height": height,
                "width": width,
                "max_pixels": layer.max_pixels,
                "pixels_per_cycle": design.pixels_per_cycle,
                "activity": f"Activity::{layer.activity}",
                "selection": f"Selection::{layer.selection}",
                "score_t": _multiple(layer.image.type, channels if layer.activity == "sum" else 1),
            }
            title = f"InputReduce by {design.reduce}, {layer.selection} selection, {layer.activity} activity"
            outputs = (layer.features, layer.coords)
            kernel = f"reduce_{design.reduce}"
            return Layer(layer.name, title, kernel, kernel, config, (layer.image,), outputs, ((threshold, ()),))
        case ir.SparseConv2d():
            max_pixels, in_channels = layer.features.shape
            out_channels = layer.output.shape[1]
            height, width = layer.kernel_size
            overlap = how.implementation == "overlap"
            config = {
                "max_pixels": max_pixels,
                "in_channels": in_channels,
                "out_channels": out_channels,
                "groups": layer.groups,
                "kernel_height": height,
                "kernel_width": width,
                "bias_on": f"BiasOn::{layer.bias_on}",
                "raster_order": layer.coords == design.input_reduce.coords,
                **({"rounds": 1, "copies": max_pixels} if overlap else reuse),
            }
            bias = _bias(layer.bias, layer.name, out_channels, layer.output)
            title = f"SparseConv2d {_times(layer.kernel_size)} by {how.implementation}, bias on {layer.bias_on} pixels"
            return Layer(
                layer.name,
                title,
                "sparse_conv2d_gather" if how.implementation == "gather" else "sparse_conv2d",
                f"sparse_conv2d_{'arrival' if overlap else how.implementation}",
                config,
                (layer.features, layer.coords),
                (layer.output,),
                ((layer.weight, (height * width, in_channels // layer.groups, out_channels)), (bias, (out_channels,))),
                None if overlap else pair_map(layer),
                in_rounds=True,
            )
        case ir.SparseStridedConv2d():
            return _strided(layer, how)
        case ir.Activation():
            sparse = len(layer.input.shape) == 2
            config = {"max_pixels": how.copies} if sparse else {}
            config |= {"size": layer.input.shape[-1]}
            if layer.slope_shift:
                return _leaky(layer, config)
            config |= {"relu": layer.relu}
            kernel = "sparse_activation" if sparse else "activation"
            title = "ReLU and quantization" if layer.relu else "quantization"
            return Layer(layer.name, title, "activation", kernel, config, (layer.input,), (layer.output,))
        case ir.SparsePool2d():
            average = isinstance(layer, ir.SparseAvgPool2d)
            max_pixels, channels = layer.features.shape
            config = {
                "max_pixels": max_pixels,
                "channels": channels,
                "height": layer.spatial_shape[0],
                "width": layer.spatial_shape[1],
                "cell_height": layer.kernel_size[0],
                "cell_width": layer.kernel_size[1],
                **reuse,
            }
            if isinstance(layer, ir.SparseAvgPool2d):
                config["sum_t"] = _multiple(layer.features.type, min(max_pixels, math.prod(layer.kernel_size)))
                constants: tuple = ((layer.reciprocal, ()),)
            else:
                config["over"] = f"MaxOver::{layer.over}"
                constants = ()
            kind = "avg" if average else "max"
            return Layer(
                layer.name,
                f"Sparse{kind.capitalize()}Pool2d {_times(layer.kernel_size)} of {_times(layer.spatial_shape)}",
                f"sparse_{kind}_pool2d",
                f"sparse_{kind}_pool2d",
                config,
                (layer.features, layer.coords),
                (layer.output_features, layer.output_coords),
                constants,
                in_rounds=True,
            )
        case ir.SparseGlobalAvgPool2d():
            max_pixels, channels = layer.features.shape
            sum_t = _multiple(layer.features.type, min(max_pixels, math.prod(layer.spatial_shape)))
            return Layer(
                layer.name,
                f"SparseGlobalAvgPool2d of {_times(layer.spatial_shape)}",
                "sparse_global_avg_pool2d",
                "sparse_global_avg_pool2d",
                {"max_pixels": max_pixels, "channels": channels, "sum_t": sum_t},
                (layer.features,),
                (layer.output,),
                ((layer.reciprocal, ()),),
            )
        case ir.SparseGlobalMaxPool2d():
            return Layer(
                layer.name,
                f"SparseGlobalMaxPool2d of {_times(layer.spatial_shape)}",
                "sparse_global_max_pool2d",
                "sparse_global_max_pool2d",
                _grid(layer) | {"over": f"MaxOver::{layer.over}"},
                (layer.features, layer.coords),
                (layer.output,),
            )
        case ir.SparseFlatten():
            config = _grid(layer) | reuse
            inputs = (layer.features, layer.coords)
            kernel = "sparse_flatten"
            return Layer(layer.name, "SparseFlatten", kernel, kernel, config, inputs, (layer.output,), in_rounds=True)
        case ir.SparseFlattenDense():
            out_features = layer.output.shape[0]
            bias = _bias(layer.bias, layer.name, out_features, layer.output)
            constants = ((layer.weight, layer.weight.raw.shape), (bias, (out_features,)))
            return Layer(
                layer.name,
                "SparseFlatten and Dense, weights looked up by position",
                "sparse_flatten_dense",
                "sparse_flatten_dense",
                _grid(layer) | {"out_features": out_features} | reuse,
                (layer.features, layer.coords),
                (layer.output,),
                constants,
                in_rounds=True,
            )
        case ir.Dense():
            in_features, out_features = layer.weight.raw.shape
            bias = _bias(layer.bias, layer.name, out_features, layer.output)
            if how.implementation == "adders":
                return _adders(layer, bias)
            config = {"in_features": in_features, "out_features": out_features, **reuse}
            constants = ((layer.weight, (in_features, out_features)), (bias, (out_features,)))
            return Layer(
                layer.name,
                "Dense",
                "dense",
                "dense",
                config,
                (layer.input,),
                (layer.output,),
                constants,
                in_rounds=True,
            )
        case ir.Add():
            sparse = len(layer.output.shape) == 2
            config = {"max_pixels": layer.output.shape[0]} if sparse else {}
            config |= {"size": layer.output.shape[-1]}
            operands = (layer.first, layer.second)  # both, even where they are one array
            kernel = "sparse_add" if sparse else "add"
            return Layer(layer.name, "Add", "add", kernel, config, operands, (layer.output,))
        case ir.Concat():
            sizes = [part.shape[-1] for part in layer.parts]
            slots, total = layer.output.shape[:-1], sum(sizes)
            parts = tuple((*slots, size, total, sum(sizes[:i])) for i, size in enumerate(sizes))
            kernel = "sparse_concat" if slots else "concat"
            return Layer(layer.name, "Concat", "concat", kernel, {}, layer.parts, (layer.output,), parts=parts)
        case ir.Head():
            steps = layer.thresholds.raw.size
            config = {"size": layer.input.shape[0], "steps": steps}
            constants = ((layer.thresholds, (steps,)),)
            return Layer(
                layer.name,
                layer.kind,
                "head",
                layer.kind.lower(),
                config,
                (layer.input,),
                (layer.output,),
                constants,
            )
    raise TypeError(f"no kernel for {type(layer).__name__}")


def _strided(layer: ir.SparseStridedConv2d, how: LayerDesign) -> Layer:
    """A strided convolution. Its image is as large as its cells, so that a partial last one is one."""
    max_pixels, in_channels = layer.features.shape
    out_channels = layer.output_features.shape[1]
    height, width = layer.kernel_size
    config = {
        "max_pixels": max_pixels,
        "channels": in_channels,
        "in_channels": in_channels,
        "out_channels": out_channels,
        "groups": layer.groups,
        "kernel_height": height,
        "kernel_width": width,
        "height": layer.grid[0] * layer.strides[0],
        "width": layer.grid[1] * layer.strides[1],
        "cell_height": layer.strides[0],
        "cell_width": layer.strides[1],
        "bias_on": "BiasOn::active",
        "raster_order": False,
        "rounds": how.rounds,
        "copies": how.copies,
    }
    weight_shape = (height * width, in_channels // layer.groups, out_channels)
    bias = _bias(layer.bias, layer.name, out_channels, layer.output_features)
    return Layer(
        layer.name,
        f"SparseConv2d {_times(layer.kernel_size)}, stride {_times(layer.strides)}, by {how.implementation}",
        "sparse_strided_conv2d",
        f"sparse_strided_conv2d_{how.implementation}",
        config,
        (layer.features, layer.coords),
        (layer.output_features, layer.output_coords),
        ((layer.weight, weight_shape), (bias, (out_channels,))),
        in_rounds=True,
    )


def _leaky(layer: ir.Activation, config: dict[str, int | bool | str | FixedPoint]) -> Layer:
    """A leaky ReLU: negative values have the same bits, worth 2**-k as much."""
    type_, shift = layer.input.type, layer.slope_shift
    scaled = FixedPoint(type_.width, type_.integer - shift, type_.signed, "FLOOR", "WRAP")
    exact = FixedPoint(type_.width + shift, type_.integer, type_.signed, "FLOOR", "WRAP")
    config |= {"scaled_t": scaled, "exact_t": exact}
    kernel = "sparse_leaky_activation" if "max_pixels" in config else "leaky_activation"
    title = f"leaky ReLU of slope 2^-{shift} and quantization"
    return Layer(layer.name, title, "leaky_activation", kernel, config, (layer.input,), (layer.output,))


def _grid(layer: ir.SparseFlatten | ir.SparseFlattenDense | ir.SparseGlobalMaxPool2d) -> dict[str, int]:
    """Parameters of a list of pixels on a grid."""
    max_pixels, channels = layer.features.shape
    height, width = layer.spatial_shape
    return {"max_pixels": max_pixels, "channels": channels, "height": height, "width": width}


def _adders(layer: ir.Dense, bias: ir.Constant) -> Layer:
    from sparsepix_hls.kernels.adder_graph import adder_graph, adder_graph_source

    graph = adder_graph(layer)
    return Layer(
        layer.name,
        f"Dense as {graph.adders} adders",
        "adders",
        f"{layer.name}_adders",
        {},
        (layer.input,),
        (layer.output,),
        ((bias, (layer.output.shape[0],)),),
        generated=adder_graph_source(layer, graph, bias.name),
    )


def config_struct(layer: Layer) -> str:
    """The parameter struct of a layer."""
    lines = []
    for name, value in layer.config.items():
        if isinstance(value, FixedPoint):
            lines.append(f"  typedef {value} {name};")
        elif isinstance(value, bool):
            lines.append(f"  static constexpr bool {name} = {str(value).lower()};")
        elif isinstance(value, int):
            lines.append(f"  static constexpr int {name} = {value};")
        else:
            lines.append(f"  static constexpr sparsepix::{value.split('::')[0]} {name} = sparsepix::{value};")
    body = "\n".join(lines)
    return f"{comment(f'{layer.name}: {layer.title}')}\nstruct {layer.name}_config {{\n{body}\n}};\n"


def weight_comments(layer: Layer, shape: tuple[int, ...]) -> tuple[str, ...]:
    """A comment for each kernel position of a convolution's weights; none for other constants."""
    width = layer.config.get("kernel_width", layer.config.get("width"))
    if len(shape) != 3 or not isinstance(width, int):
        return ()
    return tuple(f"row {i // width}, column {i % width}" for i in range(shape[0]))


def weight_text(layer: Layer, constant: ir.Constant, shape: tuple[int, ...]) -> str:
    """Comment and definition of a layer's constant array."""
    if len(shape) == 3:
        axes = "[position][input channel][output channel]"
    else:
        axes = "[input][output]" if len(shape) == 2 else "[element]"
    head = comment(f"{constant.name}{axes} of {layer.name} ({layer.title})")
    return f"{head}\n{definition(constant, shape, weight_comments(layer, shape))}"
