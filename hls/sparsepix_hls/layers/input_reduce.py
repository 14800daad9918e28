"""InputReduce: the image to the list of its active pixels, by scan, stream or tree."""

import math
from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from sparsepix_hls.cost.costs import depth_cycles, interval, layer_estimate
from sparsepix_hls.cost.primitives import (
    Cost,
    adder,
    adder_tree,
    constant_multiplier,
    gate,
    index_bits,
    less_than,
    less_than_constant,
    logic,
    lowest_only,
    maximum_tree,
    mux,
    one_hot_mux,
    popcount,
    priority_encoder,
    register,
    tree_levels,
)
from sparsepix_hls.cost.streams import memory
from sparsepix_hls.ir.estimate import Estimate
from sparsepix_hls.ir.graph import Graph, Layer, Setting
from sparsepix_hls.ir.kernel import Kernel, sum_type
from sparsepix_hls.ir.tensors import Constant, Tensor
from sparsepix_ops.fixed_point import FixedRange
from sparsepix_ops.ops.input_reduce import threshold_raw


@dataclass(frozen=True)
class InputReduce(Layer):
    """Image to the list of its active pixels: active means ``score > threshold``.

    ``threshold_raw`` is on the grid of the image's type: ``raw > threshold_raw`` is exact.
    """

    name: str
    image: Tensor
    features: Tensor
    coords: Tensor
    max_pixels: int
    threshold_raw: int
    activity: str
    selection: str

    op_types = ("InputReduce",)

    @property
    def inputs(self) -> tuple[Tensor, ...]:
        """The image."""
        return (self.image,)

    @property
    def outputs(self) -> tuple[Tensor, ...]:
        """Features and coords of the list."""
        return self.features, self.coords

    @property
    def grids(self) -> Mapping[str, tuple[int, int]]:
        """That of the image."""
        _, height, width = self.image.shape
        return {self.coords.name: (height, width)}

    @property
    def scores(self) -> tuple[int, int]:
        """Smallest and largest score of a pixel, as raw values of the image's type."""
        terms = self.image.shape[0] if self.activity == "sum" else 1
        return self.image.type.raw_min * terms, self.image.type.raw_max * terms

    @classmethod
    def from_onnx(cls, node: Any, name: str, attributes: Mapping[str, Any], builder: Any) -> "InputReduce":
        """See ``Layer.from_onnx``."""
        image, features, coords = (builder.tensor(value) for value in (node.input[0], *node.output))
        threshold = threshold_raw(attributes["threshold"], image.type.exponent)
        layer = cls(
            name, image, features, coords, attributes["max_pixels"], 0, attributes["activity"], attributes["selection"]
        )
        low, high = layer.scores
        # A threshold beyond all scores says the same as one just beyond them.
        return replace(layer, threshold_raw=min(max(threshold, low - 1), high))

    def kernel(self, setting: Setting) -> Kernel:
        """See ``Layer.kernel``."""
        channels, height, width = self.image.shape
        threshold_type = FixedRange(self.image.type.exponent, self.threshold_raw, self.threshold_raw).format()
        threshold = Constant(f"{self.name}_threshold", np.array(self.threshold_raw), threshold_type)
        config = {
            "channels": channels,
            "height": height,
            "width": width,
            "max_pixels": self.max_pixels,
            "pixels_per_cycle": setting.pixels_per_cycle,
            "activity": f"Activity::{self.activity}",
            "selection": f"Selection::{self.selection}",
            "score_t": sum_type(self.image.type, channels if self.activity == "sum" else 1),
        }
        title = f"InputReduce by {setting.reduce}, {self.selection} selection, {self.activity} activity"
        kernel = f"reduce_{setting.reduce}"
        header = "reduce_scan_two" if setting.reduce == "scan" and setting.scan_pixels == 2 else kernel
        return Kernel(self.name, title, header, kernel, config, self.inputs, self.outputs, ((threshold, ()),))

    def operations(self, parallel: int) -> int:
        """Those of the list; the image is text of a module, not traced."""
        del parallel
        return self.max_pixels + int(np.prod(self.image.shape)) // 4


def input_reduce(graph: Graph) -> InputReduce:
    """The first layer of a model."""
    return next(layer for layer in graph.layers if isinstance(layer, InputReduce))


def score_bits(layer: InputReduce) -> int:
    """Bits of the number that decides whether a pixel is active, and which pixels are the largest."""
    extra = tree_levels(layer.image.shape[0]) if layer.activity == "sum" else 0
    return layer.image.type.width + extra


def _thresholds(layer: InputReduce, pixels: int) -> Cost:
    """The flags of the active ones of some pixels."""
    channels, bits = layer.image.shape[0], layer.image.type.width
    joined = {
        "first": Cost(),
        "any": maximum_tree(channels, bits),
        "sum": adder_tree(channels, bits),
    }[layer.activity]
    return pixels * (joined + less_than_constant(score_bits(layer)))


def _slot_bits(layer: InputReduce) -> int:
    return layer.image.shape[0] * layer.image.type.width + 2 * layer.coords.type.width


def _merge_tree(pixels: int, slots: int, bits: int) -> Cost:
    """Merges of neighbouring lists, until one holds the first ``slots`` of the pixels."""
    total, size = Cost(), 1
    while size < pixels:
        held, place = min(size, slots), index_bits(2 * size)
        nodes = pixels / (2 * size)
        node = adder(index_bits(held + 1))
        for k in range(min(2 * size, slots)):
            node = node | mux(min(k + 1, held) + 1, bits + place)
        total = total + nodes * node
        size *= 2
    return total


def _largest_stream_cost(layer: InputReduce, lanes: int, logic_ns: float) -> Estimate:
    """A list in order for each pixel of a beat, a tournament of their first ones, and a list by place."""
    channels, height, width = layer.image.shape
    slots, beats = layer.max_pixels, -(-height * width // lanes)
    held = score_bits(layer) + index_bits(beats) + (channels - 1) * layer.image.type.width
    listed = _slot_bits(layer)
    place = less_than(score_bits(layer)) | mux(3, held) | register(held)
    lane = min(slots, beats) * (place + (mux(2, held) | register(held)))
    winner = less_than(score_bits(layer) + index_bits(beats)) | mux(2, held) | register(held)
    in_order = slots * (less_than(index_bits(height * width)) | mux(3, listed) | register(listed))
    cost = _thresholds(layer, lanes) + lanes * lane + (lanes - 1) * winner + in_order
    found = layer_estimate(cost, logic_ns, max(beats, slots), lanes * held)
    return replace(found, latency_cycles=found.latency_cycles + slots + tree_levels(lanes))


def reduce_cost(
    layer: InputReduce, reduce: str, pixels_per_cycle: int, logic_ns: float, scan_pixels: int = 1
) -> Estimate:
    """Estimated cost of an input reduction.

    Args:
        layer: the reduction.
        reduce: 'scan', 'stream' or 'tree'.
        pixels_per_cycle: of a stream.
        logic_ns: what a clock has for logic: its period without the uncertainty.
        scan_pixels: active pixels that a scan lists a clock.
    """
    channels, height, width = layer.image.shape
    pixels, slots, data = height * width, layer.max_pixels, channels * layer.image.type.width
    slot = _slot_bits(layer)
    listed = slots * register(slot)
    if reduce == "tree":
        places = slots * constant_multiplier(index_bits(pixels), 2 * width + 1)
        cost = _thresholds(layer, pixels) + _merge_tree(pixels, slots, data) + places
        return layer_estimate(cost | listed, logic_ns, 1, slots * slot * 2)
    if reduce == "stream" and layer.selection == "magnitude":
        return _largest_stream_cost(layer, pixels_per_cycle, logic_ns)
    if reduce == "stream":
        lanes = pixels_per_cycle
        append = Cost()
        for k in range(slots):
            append = append | mux(min(lanes, slots, k + 1) + 1, slot)
        places = min(lanes, slots) * (adder(index_bits(width + lanes)) + less_than_constant(index_bits(width + lanes)))
        cost = _thresholds(layer, lanes) + _merge_tree(lanes, slots, data) + places + append
        beats = -(-pixels // lanes)
        return layer_estimate(cost | listed, logic_ns, beats, min(lanes, slots) * slot)
    cost, turns = _scan_cost(layer, scan_pixels), -(-slots // scan_pixels)
    if layer.selection == "raster":
        # The first row is known some clocks after the image has come, and so is every row after it.
        first = _thresholds(layer, pixels) + logic(width) + lowest_only(height)
        ranks = 1 + depth_cycles(first, logic_ns)
        return layer_estimate(cost | held_image(layer, ranks), logic_ns, turns, scan_pixels * width * data)
    scan = layer_estimate(cost | held_image(layer, 1), logic_ns, turns, scan_pixels * width * data)
    # Before the scan the largest are found, digit by digit; the loops follow each other.
    digit = _largest_cost(layer)
    before = key_digits(layer) * depth_cycles(digit, logic_ns) + depth_cycles(_thresholds(layer, pixels), logic_ns)
    latency = scan.latency_cycles + before
    return replace(
        scan,
        latency_cycles=latency,
        interval_cycles=latency,
        lut=scan.lut + round(digit.lut),
        ff=scan.ff + round(digit.ff),
    )


def key_digits(layer: InputReduce) -> int:
    """Digits of two bits by which the largest pixels are found: score, row, column (see ``largest.h``)."""
    _, height, width = layer.image.shape
    return sum(-(-bits // 2) for bits in (score_bits(layer), (height - 1).bit_length(), (width - 1).bit_length()))


def _scan_cost(layer: InputReduce, lanes: int) -> Cost:
    """The flags, the first rows and pixels among them, and the multiplexers that read a pixel."""
    channels, height, width = layer.image.shape
    pixels, slots, data = height * width, layer.max_pixels, channels * layer.image.type.width
    found = _thresholds(layer, pixels) + height * logic(width)
    flags = one_hot_mux(height, width)
    # The first rows are picked, with their flags, when the scan begins; then one more row each clock. Of two pixels a
    # clock (``reduce_scan_two.h``) there are two of everything, and each row comes without its first flags too.
    pick = lowest_only(height) + flags + priority_encoder(width)
    ahead = lanes * (3 * lowest_only(height) | 2 * flags | 4 * gate(height) | 2 * gate(width))
    read = lanes * (priority_encoder(height) + mux(height, width * data))
    chosen = (pick | read) + lanes * mux(width, data) | ahead
    state = register(pixels + slots * _slot_bits(layer))
    state = state | register(4 * height + 2 * width if lanes == 1 else 8 * height + 11 * width)
    return found + chosen | lanes * slots * logic(index_bits(slots)) | state


def held_image(layer: InputReduce, ranks: int) -> Cost:
    """The image in registers, from the clock in which it is there until its last pixel is listed.

    Vitis HLS reads the arguments of a process in its first clock. A rewound loop keeps them in a rank for each clock
    that they are needed later, and in one of the event before (``..._phi_reg``, ``..._rewind_reg``), and chooses
    between the two and the port; other loops need one rank and no choice.
    """
    bits = math.prod(layer.image.shape) * layer.image.type.width
    return replace(gate(bits) if ranks > 1 else Cost(), levels=0) | register(ranks * bits)


def _largest_cost(layer: InputReduce) -> Cost:
    """One digit of the search for the largest pixels: candidates counted three times over, and the limit."""
    _, height, width = layer.image.shape
    pixels, count = height * width, index_bits(height * width + 1)
    # The digit is selected ahead of the turn that needs it: area, but no part of the turn.
    selected = replace(pixels * 2 * one_hot_mux(key_digits(layer), 1), levels=0)
    counts = 3 * (height * popcount(width) + adder_tree(height, index_bits(width + 1)))
    limit = 3 * less_than(count) + mux(4, count)
    return pixels * gate(3) + counts + limit + 2 * pixels * mux(2, 1) | selected | register(3 * pixels)


def read_beats_cost(layer: InputReduce, pixels_per_cycle: int) -> Cost:
    """Beats read from an image that is there as a whole: a multiplexer over the beats for each lane."""
    channels, height, width = layer.image.shape
    beats = -(-height * width // pixels_per_cycle)
    return pixels_per_cycle * mux(beats, channels * layer.image.type.width) | held_image(layer, 2)


def receive_cost(layer: InputReduce, beats: int) -> Estimate:
    """An image collected from its stream, in registers."""
    channels, height, width = layer.image.shape
    bits = channels * height * width * layer.image.type.width
    return Estimate(beats + 1, interval(beats), beats, bits)


def pixel_stream_cost(layer: InputReduce, pixels_per_cycle: int, logic_ns: float) -> Estimate:
    """The active pixels of beats, one a clock: beats that have one wait, and are taken apart."""
    channels, height, width = layer.image.shape
    beats, data = -(-height * width // pixels_per_cycle), channels * layer.image.type.width
    word = pixels_per_cycle * (data + 1) + index_bits(height) + index_bits(width)
    one = priority_encoder(pixels_per_cycle) + mux(pixels_per_cycle, data)
    cost = _thresholds(layer, pixels_per_cycle) | memory(min(beats, layer.max_pixels), word) | one | register(2 * word)
    busy = max(beats, layer.max_pixels) + 2
    depth = depth_cycles(cost, logic_ns)
    return Estimate(beats + layer.max_pixels + depth, busy, round(cost.lut), round(cost.ff), bram=round(cost.bram))
