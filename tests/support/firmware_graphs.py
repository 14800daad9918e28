"""Graphs built by hand, and a plain numpy oracle of every layer in Python integers.

The oracle is written from the definitions of the ops, pixel by pixel, and shares no code with the
package: neither with the integer reference of ``sparsepix_ops`` nor with the C++ kernels.
"""

import ctypes
from dataclasses import dataclass
from fractions import Fraction

import numpy as np

from sparsepix_hls.design.options import Options
from sparsepix_hls.design.select import make_design
from sparsepix_hls.ir.graph import Graph
from sparsepix_hls.ir.tensors import Constant, Tensor
from sparsepix_hls.layers.activation import Activation
from sparsepix_hls.layers.dense import Dense
from sparsepix_hls.layers.head import Head
from sparsepix_hls.layers.input_reduce import InputReduce
from sparsepix_hls.layers.joins import Add, Concat
from sparsepix_hls.layers.sparse_avg_pool2d import SparseAvgPool2d
from sparsepix_hls.layers.sparse_conv2d import SparseConv2d
from sparsepix_hls.layers.sparse_flatten import SparseFlatten
from sparsepix_hls.layers.sparse_global_avg_pool2d import SparseGlobalAvgPool2d
from sparsepix_hls.layers.sparse_global_max_pool2d import SparseGlobalMaxPool2d
from sparsepix_hls.layers.sparse_max_pool2d import SparseMaxPool2d
from sparsepix_hls.layers.sparse_strided_conv2d import SparseStridedConv2d
from sparsepix_ops.fixed_point import FixedPoint


def coord_type(height, width):
    return FixedPoint(max(height, width).bit_length() + 1, max(height, width).bit_length() + 1)


class Builder:
    """Chains layers; every identifier begins with the name of the graph, so that graphs can share a file."""

    def __init__(self, name, shape, image, seed=0):
        self.name, self.rng, self.layers = name, np.random.default_rng(seed), []
        self.image = self.x = Tensor(f"{name}_image", shape, image)
        self.coords = None
        self.marked = []
        self.spatial = shape[1:]

    def tensor(self, suffix, shape, type_):
        return Tensor(f"{self.name}_{len(self.layers)}_{suffix}", shape, type_)

    def constant(self, suffix, shape, type_):
        raw = self.rng.integers(type_.raw_min, type_.raw_max + 1, shape)
        return Constant(f"{self.name}_{len(self.layers)}_{suffix}", raw, type_)

    def add(self, layer, x, coords=None):
        self.layers.append(layer)
        self.x, self.coords = x, coords or self.coords
        return self

    def layer_name(self):
        return f"{self.name}_layer{len(self.layers)}"

    def reduce(self, max_pixels, threshold_raw=0, activity="first", selection="raster"):
        features = self.tensor("features", (max_pixels, self.image.shape[0]), self.image.type)
        coords = self.tensor("coords", (max_pixels, 2), coord_type(*self.spatial))
        layer = InputReduce(
            self.layer_name(), self.image, features, coords, max_pixels, threshold_raw, activity, selection
        )
        return self.add(layer, features, coords)

    def conv(self, out, kernel, weight, output, bias=None, bias_on="active", groups=1):
        size, channels = self.x.shape
        w = self.constant("weight", (*kernel, channels // groups, out), weight)
        b = self.constant("bias", (out,), bias) if bias else None
        y = self.tensor("conv", (size, out), output)
        return self.add(SparseConv2d(self.layer_name(), self.x, self.coords, y, kernel, w, b, bias_on, groups), y)

    def strided(self, out, kernel, strides, weight, output, bias=None, groups=1):
        size, channels = self.x.shape
        w = self.constant("weight", (*kernel, channels // groups, out), weight)
        b = self.constant("bias", (out,), bias) if bias else None
        y = self.tensor("conv", (size, out), output)
        grid = tuple(-(-s // step) for s, step in zip(self.spatial, strides, strict=True))
        coords = self.tensor("cells", self.coords.shape, coord_type(*grid))
        places = (self.layer_name(), self.x, self.coords, y, coords, kernel, self.spatial, strides)
        self.spatial = grid
        return self.add(SparseStridedConv2d(*places, w, b, groups), y, coords)

    def act(self, type_, relu=True, slope_shift=0):
        y = self.tensor("act", self.x.shape, type_)
        return self.add(Activation(self.layer_name(), self.x, y, relu, slope_shift), y)

    def pool(self, kernel, output, reciprocal=None, over="active"):
        y = self.tensor("pooled", self.x.shape, output)
        coords = self.tensor("cells", self.coords.shape, self.coords.type)
        args = (self.layer_name(), self.x, self.coords, y, coords, kernel, self.spatial)
        if reciprocal:
            layer = SparseAvgPool2d(*args, Constant(f"{y.name}_r", np.array(reciprocal[0]), reciprocal[1]))
        else:
            layer = SparseMaxPool2d(*args, over)
        self.spatial = (self.spatial[0] // kernel[0], self.spatial[1] // kernel[1])
        return self.add(layer, y, coords)

    def global_pool(self, output, reciprocal=None, over="active"):
        y = self.tensor("pooled", self.x.shape[1:], output)
        if reciprocal:
            factor = Constant(f"{y.name}_r", np.array(reciprocal[0]), reciprocal[1])
            return self.add(SparseGlobalAvgPool2d(self.layer_name(), self.x, y, self.spatial, factor), y)
        return self.add(SparseGlobalMaxPool2d(self.layer_name(), self.x, self.coords, y, self.spatial, over), y)

    def flatten(self):
        y = self.tensor("flat", (self.spatial[0] * self.spatial[1] * self.x.shape[1],), self.x.type)
        return self.add(SparseFlatten(self.layer_name(), self.x, self.coords, y, self.spatial), y)

    def dense(self, out, weight, output, bias=None):
        w = self.constant("weight", (self.x.shape[0], out), weight)
        b = self.constant("bias", (out,), bias) if bias else None
        y = self.tensor("dense", (out,), output)
        return self.add(Dense(self.layer_name(), self.x, y, w, b), y)

    def mark(self):
        """Where a branch begins, or one of its ends."""
        self.marked.append(self.x)
        return self

    def plus(self, output, branch=-1):
        """Add the end of a branch."""
        y = self.tensor("sum", self.x.shape, output)
        return self.add(Add(self.layer_name(), self.marked[branch], self.x, y), y)

    def concat(self, output):
        """The marked branches and this one side by side."""
        parts = (*self.marked, self.x)
        y = self.tensor("all", (*self.x.shape[:-1], sum(part.shape[-1] for part in parts)), output)
        return self.add(Concat(self.layer_name(), parts, y), y)

    def head(self, kind, thresholds):
        y = self.tensor("head", self.x.shape, FixedPoint(10, 0, signed=False, rounding="FLOOR", overflow="WRAP"))
        return self.add(Head(self.layer_name(), kind, self.x, y, thresholds), y)

    def graph(self, *outputs):
        return Graph(self.name, self.image, outputs or (self.x,), tuple(self.layers))


def exact(low, high, exponent):
    """A format without rounding or clipping for raw values low ... high."""
    signed = low < 0
    width = max(int(high).bit_length(), int(-low - 1).bit_length() if signed else 0, 1) + signed
    return FixedPoint(width, width + exponent, signed, "FLOOR", "WRAP")


def accumulator(bits, exponent, signed=True):
    return FixedPoint(bits, bits + exponent, signed, "FLOOR", "WRAP")


@dataclass
class Pixels:
    coords: list  # (row, column) or None for an empty slot
    values: list  # [channel] of Fraction


def value(raw, type_):
    return Fraction(int(raw)) * Fraction(2) ** (type_.integer - type_.width)


def to_format(number, type_):
    """Round, then clip or wrap a Fraction; gives a Fraction."""
    lsb = Fraction(2) ** (type_.integer - type_.width)
    raw = round(number / lsb) if type_.rounding == "ROUND" else (number / lsb).__floor__()
    low = -(2 ** (type_.width - 1)) if type_.signed else 0
    high = low + 2**type_.width - 1
    clipped = min(max(raw, low), high)
    wrapped = (raw - low) % 2**type_.width + low
    return (clipped if type_.overflow == "SAT" else wrapped) * lsb


def fits(number, type_):
    assert to_format(number, type_) == number, f"the test's own accumulator {type_} is too narrow for {number}"
    return number


def values(constant):
    flat = [value(raw, constant.type) for raw in constant.raw.ravel()]
    return np.array(flat, dtype=object).reshape(constant.raw.shape)


def run_reduce(layer, image):
    channels, height, width = image.shape
    threshold = value(layer.threshold_raw, layer.image.type)
    found = []
    for row in range(height):
        for column in range(width):
            pixel = [image[channel, row, column] for channel in range(channels)]
            score = {"first": pixel[0], "any": max(pixel), "sum": sum(pixel)}[layer.activity]
            if score > threshold:
                found.append((score, (row, column), pixel))
    if layer.selection == "magnitude":
        found = sorted(found, key=lambda f: (-f[0], f[1]))[: layer.max_pixels]
        found = sorted(found, key=lambda f: f[1])
    found = found[: layer.max_pixels]
    empty = layer.max_pixels - len(found)
    return Pixels([f[1] for f in found] + [None] * empty, [f[2] for f in found] + [[Fraction(0)] * channels] * empty)


def run_conv(layer, pixels):
    """A convolution around the pixels themselves, or around the first places of their cells."""
    weight = values(layer.weight)
    kh, kw, group, filters = weight.shape
    first = [f // (filters // layer.groups) * group for f in range(filters)]  # channel that a filter reads
    bias = values(layer.bias) if layer.bias else [Fraction(0)] * filters
    out, cells = [], pixels.coords
    if isinstance(layer, SparseStridedConv2d):
        every = [c and (c[0] // layer.strides[0], c[1] // layer.strides[1]) for c in pixels.coords]
        cells = [c if c is not None and every.index(c) == i else None for i, c in enumerate(every)]
    steps = getattr(layer, "strides", (1, 1))
    for cell in cells:
        here = cell and (cell[0] * steps[0], cell[1] * steps[1])
        if here is None:
            out.append([Fraction(0)] * filters)
            continue
        sums = [Fraction(0)] * filters
        for there, features in zip(pixels.coords, pixels.values, strict=True):
            if there is None:
                continue
            row, column = there[0] - here[0] + kh // 2, there[1] - here[1] + kw // 2
            if 0 <= row < kh and 0 <= column < kw:
                for f in range(filters):
                    sums[f] += sum(weight[row, column, c, f] * features[first[f] + c] for c in range(group))
        out.append([s + b if layer.bias_on == "active" or s != 0 else s for s, b in zip(sums, bias, strict=True)])
    return Pixels(cells, [[fits(v, layer.outputs[0].type) for v in o] for o in out])


def run_pool(layer, pixels):
    kh, kw = layer.kernel_size
    grid = (layer.spatial_shape[0] // kh, layer.spatial_shape[1] // kw)
    channels = layer.features.shape[1]
    cells = {}
    for slot, coords in enumerate(pixels.coords):
        if coords is not None:
            cell = (coords[0] // kh, coords[1] // kw)
            if cell[0] < grid[0] and cell[1] < grid[1]:
                cells.setdefault(cell, []).append(slot)
    new = Pixels([None] * len(pixels.coords), [[Fraction(0)] * channels for _ in pixels.coords])
    for cell, slots in cells.items():
        new.coords[slots[0]] = cell
        for c in range(channels):
            there = [pixels.values[slot][c] for slot in slots]
            if isinstance(layer, SparseAvgPool2d):
                result = sum(there) * value(layer.reciprocal.raw, layer.reciprocal.type)
            elif layer.over == "cell" and len(slots) < kh * kw:
                result = max([*there, Fraction(0)])
            else:
                result = max(there)
            new.values[slots[0]][c] = fits(result, layer.output_features.type)
    return new


def run_head(layer, logits):
    steps = [value(raw, layer.thresholds.type) for raw in layer.thresholds.raw]
    if layer.kind == "Sigmoid":
        return [Fraction(sum(step <= x for step in steps), 1024) for x in logits]
    grown = [sum(step <= x - max(logits) for step in steps) for x in logits]
    total = sum(grown)
    return [Fraction(min((e * 1024 + total // 2) // total, 1023), 1024) for e in grown]


def run_layer(layer, state):
    match layer:
        case InputReduce():
            pixels = run_reduce(layer, state[layer.image.name])
            state[layer.features.name], state[layer.coords.name] = pixels.values, pixels.coords
        case SparseConv2d():
            pixels = Pixels(state[layer.coords.name], state[layer.features.name])
            state[layer.output.name] = run_conv(layer, pixels).values
        case SparseStridedConv2d():
            pixels = run_conv(layer, Pixels(state[layer.coords.name], state[layer.features.name]))
            state[layer.output_features.name], state[layer.output_coords.name] = pixels.values, pixels.coords
        case Activation():
            array = np.array(state[layer.input.name], dtype=object)
            slope = 0 if layer.relu else Fraction(1, 2**layer.slope_shift)
            flat = [to_format(v * slope if v < 0 else v, layer.output.type) for v in array.ravel()]
            state[layer.output.name] = np.array(flat, dtype=object).reshape(array.shape).tolist()
        case SparseAvgPool2d() | SparseMaxPool2d():
            pixels = run_pool(layer, Pixels(state[layer.coords.name], state[layer.features.name]))
            state[layer.output_features.name], state[layer.output_coords.name] = pixels.values, pixels.coords
        case SparseGlobalAvgPool2d():
            factor = value(layer.reciprocal.raw, layer.reciprocal.type)
            columns = zip(*state[layer.features.name], strict=True)
            state[layer.output.name] = [fits(sum(column) * factor, layer.output.type) for column in columns]
        case SparseGlobalMaxPool2d():
            coords, features = state[layer.coords.name], state[layer.features.name]
            there = [f for place, f in zip(coords, features, strict=True) if place is not None]
            if not there or (layer.over == "cell" and len(there) < layer.spatial_shape[0] * layer.spatial_shape[1]):
                there.append([Fraction(0)] * layer.output.shape[0])
            state[layer.output.name] = [fits(max(column), layer.output.type) for column in zip(*there, strict=True)]
        case SparseFlatten():
            height, width = layer.spatial_shape
            channels = layer.features.shape[1]
            flat = [Fraction(0)] * (height * width * channels)
            for coords, features in zip(state[layer.coords.name], state[layer.features.name], strict=True):
                if coords is not None:
                    at = (coords[0] * width + coords[1]) * channels
                    flat[at : at + channels] = features
            state[layer.output.name] = flat
        case Dense():
            weight = values(layer.weight)
            x = state[layer.input.name]
            bias = values(layer.bias) if layer.bias else [Fraction(0)] * weight.shape[1]
            sums = [sum((w * v for w, v in zip(weight[:, o], x, strict=True)), bias[o]) for o in range(weight.shape[1])]
            state[layer.output.name] = [fits(s, layer.output.type) for s in sums]
        case Add():
            first, second = (np.array(state[t.name], dtype=object) for t in (layer.first, layer.second))
            flat = [fits(v, layer.output.type) for v in (first + second).ravel()]
            state[layer.output.name] = np.array(flat, dtype=object).reshape(first.shape).tolist()
        case Concat():
            parts = [np.array(state[part.name], dtype=object) for part in layer.parts]
            joined = np.concatenate(parts, axis=-1)
            flat = [fits(v, layer.output.type) for v in joined.ravel()]
            state[layer.output.name] = np.array(flat, dtype=object).reshape(joined.shape).tolist()
        case Head():
            state[layer.output.name] = run_head(layer, state[layer.input.name])


def oracle(graph, raw):
    """Raw results int64 [events, *output shape] of raw images [events, C, H, W]."""
    results = []
    lsb = Fraction(2) ** (graph.output.type.integer - graph.output.type.width)
    is_coords = any(
        graph.output in (getattr(s, "coords", None), getattr(s, "output_coords", None)) for s in graph.layers
    )
    for image in raw:
        flat = [value(r, graph.input.type) for r in image.ravel()]
        state = {graph.input.name: np.array(flat, dtype=object).reshape(image.shape)}
        for layer in graph.layers:
            run_layer(layer, state)
        result = state[graph.output.name]
        if is_coords:
            result = [c or (-1, -1) for c in result]
        results.append([int(v / lsb) for v in np.array(result, dtype=object).ravel()])
    return np.array(results, dtype=np.int64).reshape(len(raw), *graph.output.shape)


def sparse_images(rng, count, shape, type_, density=0.1, low=None):
    """Raw images with about ``density`` non-zero pixels; the first one is empty, the second is full."""
    low = type_.raw_min if low is None else low
    raw = rng.integers(low, type_.raw_max + 1, (count, *shape))
    raw *= rng.random((count, 1, *shape[1:])) < density
    raw[0] = 0
    if count > 1:
        raw[1] = rng.integers(low, type_.raw_max + 1, shape)
    return raw


def design_of(graph, **options):
    """A layout of the graph; fully parallel unless the options say otherwise."""
    return make_design(graph, Options(**({"conv": "pairs", "flatten": "scatter"} | options)))[0]


def run_library(library, name, images, like):
    """Raw results of the graph ``name`` in a compiled library, an array like ``like``."""
    found = np.full_like(like, -99)
    images = np.ascontiguousarray(images, dtype=np.int64)
    arrays = (array.ctypes.data_as(ctypes.c_void_p) for array in (images, found))
    assert library[f"{name}_run"](*arrays, ctypes.c_longlong(len(images)), ctypes.c_int(1)) == 0
    return found
