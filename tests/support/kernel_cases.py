"""A graph for every kernel and every hard case of it, with images."""

import numpy as np

from firmware_graphs import Builder, accumulator, sparse_images
from sparsepix_hls.ir.tensors import Constant
from sparsepix_ops.fixed_point import FixedPoint

U2, U4 = FixedPoint(2, 2, signed=False), FixedPoint(4, 2, signed=False)
S2, S3, S5 = FixedPoint(2, 0), FixedPoint(3, 1), FixedPoint(5, 2)
S16 = FixedPoint(16, 11, rounding="FLOOR", overflow="WRAP")
ALL = -10_000  # a threshold below every value: all pixels are active


def reductions():
    """Name, image shape, image type, arguments of the reduction."""
    return [
        ("first", (1, 5, 7), U4, {"max_pixels": 5}),
        ("any", (3, 4, 6), S5, {"max_pixels": 6, "threshold_raw": -2, "activity": "any"}),
        ("sum", (2, 3, 4), S5, {"max_pixels": 12, "threshold_raw": 3, "activity": "sum"}),
        ("second_channel", (2, 4, 4), U4, {"max_pixels": 7, "threshold_raw": 6}),
        ("largest", (1, 5, 7), U2, {"max_pixels": 6, "selection": "magnitude"}),
        (
            "largest_any",
            (2, 4, 5),
            S3,
            {"max_pixels": 4, "threshold_raw": -3, "activity": "any", "selection": "magnitude"},
        ),
        ("largest_sum", (3, 3, 3), S3, {"max_pixels": 9, "activity": "sum", "selection": "magnitude"}),
        ("all_negative", (1, 3, 5), S5, {"max_pixels": 4, "threshold_raw": ALL, "selection": "magnitude"}),
        ("wide", (1, 2, 70), U4, {"max_pixels": 3}),
        ("tall", (1, 70, 2), U4, {"max_pixels": 3, "selection": "magnitude"}),
        ("one", (1, 1, 1), U4, {"max_pixels": 1}),
        ("sixteen_bits", (1, 4, 4), FixedPoint(16, 7), {"max_pixels": 3, "selection": "magnitude"}),
        ("nothing", (1, 3, 3), U4, {"max_pixels": 2, "threshold_raw": 15}),
    ]


def activations():
    """Output types, each tried on all 1024 values of a 10-bit format, with ReLU, leaky ReLU (a slope) or neither."""
    return [
        ("round_sat", FixedPoint(6, 3), False),
        ("round_wrap", FixedPoint(5, 2, True, "ROUND", "WRAP"), False),
        ("floor_sat", FixedPoint(6, 3, True, "FLOOR", "SAT"), False),
        ("floor_wrap", FixedPoint(4, 1, True, "FLOOR", "WRAP"), False),
        ("unsigned_sat", FixedPoint(6, 3, False), False),
        ("unsigned_wrap", FixedPoint(6, 3, False, "ROUND", "WRAP"), False),
        ("relu", FixedPoint(6, 3, False), True),
        ("relu_floor", FixedPoint(6, 2, False, "FLOOR", "SAT"), True),
        ("two_bits", FixedPoint(2, 5), False),
        ("finer", FixedPoint(16, 6), False),
        ("more_dropped_than_there_is", FixedPoint(2, 10), False),
        ("leaky", FixedPoint(6, 3), 3),
        ("leaky_half", FixedPoint(7, 4, True, "FLOOR", "SAT"), 1),
        ("leaky_exact", FixedPoint(14, 4, True, "FLOOR", "WRAP"), 4),
        ("leaky_small", FixedPoint(6, 2), 16),
        ("leaky_unsigned", FixedPoint(5, 3, False), 2),
    ]


def thresholds(name, count, low, high, type_, seed):
    raw = np.sort(np.random.default_rng(seed).integers(low, high + 1, count))
    raw[-1] = high  # so that a Softmax has at least one step at 0
    return Constant(f"{name}_thresholds", raw, type_)


def branches():
    """Sums of branches: of operands with other units, of a list with itself, after a pool, of vectors."""
    half = (2, FixedPoint(3, -1, False))
    skip = Builder("add_skip", (2, 5, 6), S5).reduce(7, activity="any").mark()
    skip.conv(2, (3, 3), S3, accumulator(16, -6), S5).plus(accumulator(17, -6)).act(S5)
    twice = Builder("add_twice", (1, 5, 6), S5).reduce(7, ALL).mark().plus(FixedPoint(6, 3)).flatten()
    pooled = Builder("add_after_pool", (1, 6, 7), U4).reduce(12)
    pooled.pool((2, 3), accumulator(12, -5, signed=False), half).act(FixedPoint(5, 3, signed=False)).mark()
    pooled.conv(1, (3, 3), S3, accumulator(14, -4), S3).act(S3, relu=False).plus(accumulator(8, -2))
    vectors = Builder("add_vectors", (1, 3, 4), U4).reduce(6).flatten()
    vectors.dense(5, S3, accumulator(16, -4)).act(S3).mark().dense(5, S5, accumulator(16, -5), S3)
    vectors.plus(accumulator(17, -5))
    three = Builder("concat_three", (2, 4, 5), S5).reduce(6, activity="any").mark()
    three.conv(1, (3, 3), S3, accumulator(16, -6), S5).act(FixedPoint(6, 2, signed=False)).mark()
    three.conv(3, (1, 3), S3, accumulator(16, -6)).act(S3, relu=False).concat(accumulator(7, -4))
    three.conv(2, (3, 3), S3, accumulator(18, -6))
    twice_beside = Builder("concat_twice", (1, 4, 5), U4).reduce(6).mark().concat(U4).flatten()
    ends = Builder("concat_vectors", (1, 3, 4), U4).reduce(6).flatten().dense(2, S3, accumulator(16, -4)).mark()
    ends.act(S3).concat(accumulator(16, -4))
    return [skip, twice, pooled, vectors, three, twice_beside, ends]


def global_pools():
    """Over the listed pixels and after a pool; the whole image active, or one pixel; negative values."""
    twelfth = (171, FixedPoint(8, -3, False))  # 171 / 2048
    average = Builder("global_avg", (2, 3, 4), S5).reduce(12, activity="any").global_pool(accumulator(17, -14), twelfth)
    active = Builder("global_max", (2, 3, 4), S5).reduce(12, activity="any").conv(3, (1, 3), S3, accumulator(16, -5))
    whole = Builder("global_max_cell", (2, 3, 4), S5).reduce(12, ALL).global_pool(S5, over="cell").dense(2, S3, S16)
    fewer = Builder("global_max_fewer", (2, 3, 4), S5).reduce(5, activity="any").global_pool(S5, over="cell")
    pooled = Builder("global_after_pool", (1, 7, 8), S5).reduce(9, ALL).pool((2, 3), S5)
    lone = Builder("global_one_pixel", (1, 1, 1), S5).reduce(1, ALL).global_pool(accumulator(13, -14), twelfth)
    return [average, active.global_pool(accumulator(16, -5)), whole, fewer, pooled.global_pool(S5), lone]


def networks():
    half = (2, FixedPoint(3, -1, False))  # 2 / 16
    sixth = (171, FixedPoint(8, -2, False))  # 171 / 1024
    start = {"max_pixels": 8, "activity": "any"}
    s16 = FixedPoint(16, 7)
    flat = Builder("dense", (2, 3, 5), S5).reduce(6, activity="any").flatten()
    flat.dense(4, S5, accumulator(18, -6), S3).act(S5, False, 2).dense(3, S3, accumulator(16, -5))
    graphs = [
        flat,
        Builder("conv_1x1", (2, 5, 5), S3).reduce(**start).conv(2, (1, 1), S3, accumulator(14, -5), S5),
        Builder("conv_3x3", (1, 5, 6), S5).reduce(8).conv(1, (3, 3), S5, accumulator(18, -6), S5),
        Builder("conv_3x5_nonzero", (2, 5, 6), S2)
        .reduce(**start)
        .conv(3, (3, 5), S2, accumulator(12, -4), S3, bias_on="nonzero"),
        Builder("conv_5x1_wide", (1, 6, 5), s16).reduce(8, ALL).conv(2, (5, 1), s16, accumulator(40, -18)),
        Builder("conv_one_pixel", (1, 4, 4), S5).reduce(1).conv(2, (3, 3), S5, accumulator(16, -6), S5),
        Builder("conv_two_sizes", (1, 6, 6), U4)
        .reduce(7)
        .conv(2, (3, 3), S3, accumulator(14, -4), S3)
        .act(U4)
        .conv(1, (5, 7), S3, accumulator(14, -4), S3, bias_on="nonzero")
        .act(S5, relu=False)
        .conv(2, (3, 3), S3, accumulator(16, -5), S3)
        .flatten(),
        Builder("conv_grouped", (4, 5, 5), S2)
        .reduce(**start)
        .conv(6, (3, 3), S2, accumulator(12, -4), S3, "nonzero", groups=2)
        .act(U4)
        .conv(12, (3, 1), S2, accumulator(14, -4), S3, groups=6)
        .act(S3, relu=False)
        .conv(12, (1, 3), S3, accumulator(14, -4), groups=12),
        Builder("strided", (2, 5, 7), S3)
        .reduce(12, activity="any")
        .strided(3, (3, 3), (2, 2), S3, accumulator(16, -5), S5),
        Builder("strided_wide", (1, 9, 8), U4)
        .reduce(16)
        .pool((1, 2), U4)
        .strided(2, (5, 1), (4, 1), S3, accumulator(14, -4))
        .act(U4)
        .strided(4, (1, 3), (2, 3), S3, accumulator(14, -4), S3, groups=2)
        .flatten(),
        Builder("avg", (2, 5, 7), S5).reduce(12, activity="any").pool((2, 2), accumulator(16, -7), half),
        Builder("avg_rectangle", (1, 7, 8), S5).reduce(20).pool((3, 2), accumulator(22, -13), sixth).flatten(),
        Builder("max_active", (2, 5, 7), S5).reduce(12, activity="any").pool((2, 2), S5),
        Builder("max_cell", (2, 5, 7), S5).reduce(35, activity="any").pool((2, 2), S5, over="cell"),
        Builder("max_whole", (1, 4, 5), S5).reduce(6, ALL).pool((4, 4), S5, over="cell").flatten(),
        Builder("pool_conv_pool", (1, 9, 9), U4)
        .reduce(16)
        .pool((2, 2), accumulator(12, -5, signed=False), half)
        .act(U4)
        .conv(2, (3, 3), S3, accumulator(14, -4), S3)
        .act(S5, relu=False)
        .pool((2, 2), S5)
        .flatten(),
    ]
    graphs += branches() + global_pools()
    avg_cells = Builder("avg_cells", (1, 7, 8), S5).reduce(20).pool((3, 2), accumulator(22, -13), sixth)
    max_cells = Builder("max_cells", (1, 5, 7), S5).reduce(20).pool((2, 3), S5)
    strided_cells = (
        Builder("strided_cells", (1, 7, 8), S5).reduce(20).strided(1, (1, 3), (3, 2), S5, accumulator(16, -6))
    )
    sigmoid = Builder("sigmoid", (1, 2, 3), S5).reduce(6, ALL).flatten()
    sigmoid.head("Sigmoid", thresholds("sigmoid", 1023, -12, 12, S5, 1))
    softmax = Builder("softmax", (1, 2, 3), S5).reduce(6, ALL).flatten()
    softmax.head("Softmax", thresholds("softmax", 1024, -31, 0, FixedPoint(6, 3), 2))
    one = Builder("softmax_one", (1, 1, 1), S5).reduce(1, ALL).flatten()
    one.head("Softmax", thresholds("softmax_one", 3, -4, 0, FixedPoint(6, 3), 3))
    graphs += [sigmoid, softmax, one]
    return [b.graph() for b in graphs] + [b.graph(b.coords) for b in (avg_cells, max_cells, strided_cells)]


def cases():
    """Graphs and raw images for each."""
    rng = np.random.default_rng(7)
    found = []
    for name, shape, type_, arguments in reductions():
        for end in ("features", "coords"):
            builder = Builder(f"{name}_{end}", shape, type_).reduce(**arguments)
            graph = builder.graph(builder.x if end == "features" else builder.coords)
            found.append((graph, np.concatenate([sparse_images(rng, 12, shape, type_, d) for d in (0.1, 0.4)])))
    every = FixedPoint(10, 4)
    for name, type_, how in activations():
        kind = {"relu": how} if isinstance(how, bool) else {"relu": False, "slope_shift": how}
        builder = Builder(f"act_{name}", (1, 32, 32), every).reduce(1024, ALL).act(type_, **kind)
        found.append((builder.graph(), np.arange(-512, 512).reshape(1, 1, 32, 32)))
    for graph in networks():
        shape, type_ = graph.input.shape, graph.input.type
        images = np.concatenate([sparse_images(rng, 10, shape, type_, d) for d in (0.05, 0.2, 0.5)])
        corners = np.zeros((1, *shape), np.int64)
        corners[:, :, [0, 0, -1, -1], [0, -1, 0, -1]] = type_.raw_max
        found.append((graph, np.concatenate([images, corners])))
    return found


CASES = {graph.name: (graph, images) for graph, images in cases()}
