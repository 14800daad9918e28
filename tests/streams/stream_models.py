"""Models whose pixels can go one by one from layer to layer, and images that are hard for them."""

import numpy as np

from onnx_models import ModelBuilder
from sparsepix_ops import FixedPoint
from sparsepix_ops.op import DOMAIN

SIGNED = FixedPoint(7, 3)


def two_convs():
    """Two windows and a row of cells that the last rows do not fill; looked-up weights at the end."""
    b = ModelBuilder(1, 11, 9).image().reduce(24).conv("conv1", 2).activation("act1", SIGNED).conv("conv2", 3)
    return b.activation("act2").pool("pool", (4, 2), "max").flatten().dense("dense", 3)


def kernels():
    """Kernels that are wide, high, larger than the image and of one pixel; two channels; a bias where a sum is."""
    b = ModelBuilder(2, 5, 13).image().reduce(65).conv("conv1", 3, (7, 1)).conv("conv2", 2, (1, 5), bias_on="nonzero")
    return b.conv("conv3", 2, (1, 1)).activation("act").conv("conv4", 2, (7, 3)).flatten()


def strides():
    """Cells with windows around their first place, one after the other, and negative maxima."""
    b = ModelBuilder(1, 13, 12).image().reduce(40).strided_conv("conv1", 2, (3, 5), (2, 3)).activation("act", SIGNED)
    return b.strided_conv("conv2", 3, (3, 3), (3, 1)).pool("pool", (2, 2), "max", over="cell").flatten().dense("d", 2)


def average():
    """Cells at once, then a convolution of them, and another average of it."""
    b = ModelBuilder(2, 12, 8).image().reduce(30, activity="any").pool("pool", (3, 2), "avg").conv("conv", 2)
    return b.pool("pool2", (2, 4), "avg").flatten().dense("dense", 2)


def joined(b, op_type, parts, name, **attributes):
    """The sum of some lists, or their channels side by side."""
    b.value = b.node(op_type, parts, [name], **attributes)
    return b


def residual(pixels=20):
    """The list skips two convolutions and the first of them the second; sums of full width and of both signs."""
    b = ModelBuilder(2, 9, 7).image(SIGNED).reduce(pixels, activity="any")
    x = b.value
    y = b.conv("conv1", 2, (5, 3)).activation("act1").value
    b.conv("conv2", 2).activation("act2", SIGNED)
    joined(b, "Add", [b.value, y], "inner")
    return joined(b, "Add", [x, b.value], "outer").activation("act3", SIGNED).conv("conv3", 1).flatten().dense("d", 2)


def crossed():
    """Side by side a sum, what it is made of and cells unpooled; a stride; vectors of cells and of two lists."""
    b = ModelBuilder(1, 8, 10).image().reduce(30)
    x, coords = b.value, b.coords
    cells = b.pool("pool", (3, 4), "max").conv("conv0", 1).activation("act0", SIGNED).value
    unpooled = {"domain": DOMAIN, "kernel_shape": (3, 4), "spatial_shape": (8, 10)}
    up = b.node("SparseUnpool2d", [cells, b.coords, coords], ["up.features"], **unpooled)
    vectors = [b.global_pool("most", "max").value]
    b.value, b.coords, b.channels, b.spatial = x, coords, 1, (8, 10)
    a = b.conv("conv1", 1, (3, 5)).value
    b.value, b.channels = x, 1
    c = b.conv("conv2", 1).value
    d = b.relu("relu").activation("act", SIGNED).value
    both = joined(b, "Add", [a, d], "sum").value
    joined(b, "Concat", [both, c, up, a, x], "side", axis=-1).channels = 5
    y = b.strided_conv("conv3", 2, (3, 3), (2, 1)).activation("act2", SIGNED).value
    vectors.append(b.global_pool("more", "max").value)
    b.value = y
    joined(b.conv("conv4", 2), "Add", [b.value, y], "last")
    vectors.append(b.global_pool("mean", "avg").value)
    joined(b, "Concat", vectors, "vectors", axis=-1).channels = 5
    return b.dense("dense", 3)


MODELS = {f.__name__: f for f in (two_convs, kernels, strides, average, residual, crossed)}
BEATS = {"two_convs": 9, "kernels": 65, "strides": 7, "average": 24}  # a row, all, some across its end, three rows
BEATS |= {"residual": 7, "crossed": 30}


def images_of(graph, count=280, seed=0):
    """Images of every density, full rows far apart and one after the other; more than there are generations."""
    rng, kind = np.random.default_rng(seed), graph.input.type
    channels, height, width = graph.input.shape
    density = rng.choice([0.0, 0.02, 0.1, 0.3, 0.7, 1.0], (count, 1, 1, 1))
    active = rng.random((count, 1, height, width)) < density
    for image in range(0, count, 7):
        active[image] = rng.random((height, 1)) < 0.3
    raw = rng.integers(kind.raw_min, kind.raw_max + 1, (count, channels, height, width)) * active
    return np.ldexp(raw.astype(np.float64), kind.exponent)
