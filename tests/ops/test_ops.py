"""Every custom op: function body in onnxruntime, integer reference, QONNX class and shape inference agree."""

import numpy as np
import onnx
import onnxruntime as ort
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.testing import assert_array_equal
from onnx import TensorProto, helper

from sparsepix_ops import FixedArray, FixedRange, SparsePixError
from sparsepix_ops.op import DOMAIN, IR_VERSION, OPSET, QUANT_DOMAIN, Value, shape_of_type
from sparsepix_ops.ops import head
from sparsepix_ops.ops.quant import OP as QUANT
from sparsepix_ops.ops.sparse_avg_pool2d import reciprocal
from sparsepix_ops.registry import CUSTOM_OPS
from sparsepix_ops.shapes import value_types

OPS = {op.name: op for op in (*CUSTOM_OPS, QUANT)}
LEAKY = OPS["LeakyRelu"]
EXAMPLES = settings(max_examples=60, deadline=None)


def node_model(name, arrays, attributes, element=TensorProto.FLOAT):
    """A model of one node that carries the function body of its op."""
    op = OPS[name]
    inputs, feed = [], {}
    for input_name, array in zip(op.inputs, arrays, strict=True):
        kind = TensorProto.INT64 if input_name == "coords" else element
        feed[input_name] = np.asarray(array, dtype=helper.tensor_dtype_to_np_dtype(kind))
        inputs.append(helper.make_tensor_value_info(input_name, kind, feed[input_name].shape))
    outputs = [
        helper.make_tensor_value_info(o, TensorProto.INT64 if o.endswith("coords") else element, None)
        for o in op.outputs
    ]
    node = helper.make_node(name, list(op.inputs), list(op.outputs), domain=op.domain, **attributes)
    graph = helper.make_graph([node], "one_node", inputs, outputs)
    opsets = [helper.make_opsetid("", OPSET), helper.make_opsetid(op.domain, 1)]
    model = helper.make_model(graph, opset_imports=opsets, functions=[op.function()], ir_version=IR_VERSION)
    return model, feed


def check(name, arrays, attributes, exponents):
    """Run raw integers [inputs] (coords as they are) through all implementations of an op."""
    op = OPS[name]
    fixed = [
        x if e is None else FixedArray(np.asarray(x, dtype=np.int64), e) for x, e in zip(arrays, exponents, strict=True)
    ]
    real = [x if isinstance(x, np.ndarray) else x.real for x in fixed]
    full = {k: a.default for k, a in op.attributes.items()} | attributes
    expected = [r.real if isinstance(r, FixedArray) else r for r in op.reference(fixed, full)]
    for element in (TensorProto.FLOAT, TensorProto.DOUBLE):
        model, feed = node_model(name, real, attributes, element)
        found = ort.InferenceSession(model.SerializeToString()).run(None, feed)
        for f, e in zip(found, expected, strict=True):
            assert_array_equal(f, e)
        types = value_types(model)
        for output, f in zip(model.graph.output, found, strict=True):
            assert shape_of_type(types[output.name]) == f.shape
            output.type.CopyFrom(types[output.name])
        onnx.checker.check_model(model, full_check=True)
    return expected


def random_pixels(rng, batch, n, height, width, fill):
    """coords [batch, n, 2] of distinct pixels in any order, and which slots are filled."""
    coords = np.full((batch, n, 2), -1, dtype=np.int64)
    for b in range(batch):
        count = min(int(rng.binomial(n, fill)), height * width)
        index = rng.choice(height * width, size=count, replace=False)
        slots = np.sort(rng.choice(n, size=count, replace=False))
        coords[b, slots] = np.stack([index // width, index % width], axis=1)
    return coords, coords[:, :, 0] >= 0


@EXAMPLES
@given(
    seed=st.integers(0, 2**32 - 1),
    channels=st.integers(1, 3),
    height=st.integers(1, 9),
    width=st.integers(1, 9),
    fill=st.sampled_from([0.0, 0.1, 0.5, 1.0]),
    activity=st.sampled_from(["first", "any", "sum"]),
    selection=st.sampled_from(["raster", "magnitude"]),
    threshold=st.sampled_from([0.0, 0.25, 0.3, -0.5]),
    data=st.data(),
)
def test_input_reduce(seed, channels, height, width, fill, activity, selection, threshold, data):
    rng = np.random.default_rng(seed)
    n = data.draw(st.integers(1, height * width))
    image = rng.integers(-4, 5, size=(3, channels, height, width)) * (rng.random((3, 1, height, width)) < fill)
    attributes = {"max_pixels": n, "threshold": threshold, "activity": activity, "selection": selection}
    features, coords = check("InputReduce", [image], attributes, [-3])
    threshold = np.float32(threshold)
    for b in range(3):
        planes = image[b].reshape(channels, -1) / 8
        score = {"first": planes[0], "any": planes.max(0), "sum": planes.sum(0)}[activity]
        active = [i for i in range(height * width) if score[i] > threshold]
        if selection == "magnitude":
            active = sorted(sorted(active, key=lambda i: (-score[i], i))[:n])
        active = active[:n]
        assert_array_equal(coords[b, : len(active)], [(i // width, i % width) for i in active] or np.empty((0, 2)))
        assert_array_equal(features[b, : len(active)], planes[:, active].T)
        assert (coords[b, len(active) :] == -1).all()
        assert (features[b, len(active) :] == 0).all()


def full_weight(weight, group):
    """Weights [Cout, Cin, kh, kw] of a grouped convolution, 0 where a filter does not read a channel."""
    filters, of_group = weight.shape[:2]
    full = np.zeros((filters, of_group * group, *weight.shape[2:]))
    for out in range(filters):
        first = out // (filters // group) * of_group
        full[out, first : first + of_group] = weight[out]
    return full


@EXAMPLES
@given(
    seed=st.integers(0, 2**32 - 1),
    n=st.integers(1, 9),
    size=st.tuples(st.integers(1, 7), st.integers(1, 7)),
    channels=st.tuples(st.integers(1, 3), st.integers(1, 3)),
    group=st.sampled_from([1, 1, 2, 3]),
    kernel=st.tuples(st.sampled_from([1, 3, 5, 7]), st.sampled_from([1, 3, 5])),
    bias_on=st.sampled_from(["active", "nonzero"]),
    bias_exponent=st.sampled_from([-9, -5, -2]),
)
def test_sparse_conv2d(seed, n, size, channels, group, kernel, bias_on, bias_exponent):
    rng = np.random.default_rng(seed)
    coords, active = random_pixels(rng, 3, n, *size, fill=0.8)
    channels = tuple(group * c for c in channels)
    features = rng.integers(-3, 4, size=(3, n, channels[0])) * active[..., None]
    weight = rng.integers(-4, 4, size=(channels[1], channels[0] // group, *kernel))
    bias = rng.integers(-4, 4, size=channels[1])
    attributes = {"bias_on": bias_on, "group": group}
    (output,) = check("SparseConv2d", [features, coords, weight, bias], attributes, [-2, None, -4, bias_exponent])
    weight = full_weight(weight, group)
    # The oracle: the dense convolution of the zero-filled image, read at the active pixels.
    kh, kw = kernel
    padded = np.zeros((3, channels[0], size[0] + kh - 1, size[1] + kw - 1))
    for b, i in zip(*np.nonzero(active), strict=True):
        r, c = coords[b, i]
        padded[b, :, r + kh // 2, c + kw // 2] = features[b, i]
    for b in range(3):
        for i in range(n):
            if not active[b, i]:
                assert (output[b, i] == 0).all()
                continue
            r, c = coords[b, i]
            total = (padded[b, :, r : r + kh, c : c + kw] * weight).sum(axis=(1, 2, 3)) / 64
            add = np.ldexp(bias.astype(float), bias_exponent) * ((total != 0) | (bias_on == "active"))
            assert_array_equal(output[b, i], total + add)


@EXAMPLES
@given(
    seed=st.integers(0, 2**32 - 1),
    n=st.integers(1, 9),
    size=st.tuples(st.integers(1, 7), st.integers(1, 7)),
    channels=st.tuples(st.integers(1, 3), st.integers(1, 3)),
    group=st.sampled_from([1, 2]),
    kernel=st.tuples(st.sampled_from([1, 3, 5]), st.sampled_from([1, 3, 5])),
    strides=st.tuples(st.integers(1, 4), st.integers(1, 4)),
    bias_exponent=st.sampled_from([-9, -5, -2]),
)
def test_sparse_strided_conv2d(seed, n, size, channels, group, kernel, strides, bias_exponent):
    rng = np.random.default_rng(seed)
    coords, active = random_pixels(rng, 3, n, *size, fill=0.8)
    c_in, c_out = (group * c for c in channels)
    features = rng.integers(-3, 4, size=(3, n, c_in)) * active[..., None]
    weight = rng.integers(-4, 4, size=(c_out, c_in // group, *kernel))
    bias = rng.integers(-4, 4, size=c_out)
    attributes = {"strides": list(strides), "spatial_shape": list(size), "group": group}
    exponents = [-2, None, -4, bias_exponent]
    output, output_at = check("SparseStridedConv2d", [features, coords, weight, bias], attributes, exponents)
    kh, kw = kernel
    padded = np.zeros((3, c_in, size[0] + 2 * kh, size[1] + 2 * kw))
    for b, i in zip(*np.nonzero(active), strict=True):
        r, c = coords[b, i]
        padded[b, :, r + kh // 2, c + kw // 2] = features[b, i]
    full = full_weight(weight, group)
    for b in range(3):
        cells = [tuple(coords[b, i] // strides) if active[b, i] else None for i in range(n)]
        for i, cell in enumerate(cells):
            if cell is None or cells.index(cell) != i:
                assert (output_at[b, i] == -1).all()
                assert (output[b, i] == 0).all()
                continue
            r, c = np.multiply(cell, strides)
            total = (padded[b, :, r : r + kh, c : c + kw] * full).sum(axis=(1, 2, 3)) / 64
            assert_array_equal(output[b, i], total + np.ldexp(bias.astype(float), bias_exponent))
            assert_array_equal(output_at[b, i], cell)


@EXAMPLES
@given(
    seed=st.integers(0, 2**32 - 1),
    n=st.integers(1, 9),
    size=st.tuples(st.integers(2, 8), st.integers(2, 8)),
    window=st.tuples(st.integers(1, 3), st.integers(1, 3)),
    kind=st.sampled_from(["average", "active", "cell"]),
)
def test_pools(seed, n, size, window, kind):
    rng = np.random.default_rng(seed)
    window = tuple(min(w, s) for w, s in zip(window, size, strict=True))
    coords, active = random_pixels(rng, 3, n, *size, fill=0.8)
    features = rng.integers(-3, 4, size=(3, n, 2)) * active[..., None]
    attributes = {"kernel_shape": list(window), "spatial_shape": list(size)}
    if kind == "average":
        factor = float(reciprocal(window[0] * window[1], 8).real)
        arrays = check("SparseAvgPool2d", [features, coords], attributes | {"reciprocal": factor}, [-3, None])
    else:
        arrays = check("SparseMaxPool2d", [features, coords], attributes | {"over": kind}, [-3, None])
    pooled, pooled_at = arrays
    for b in range(3):
        cells = {}
        for i in range(n):
            r, c = coords[b, i] // window
            if active[b, i] and r < size[0] // window[0] and c < size[1] // window[1]:
                cells.setdefault((r, c), []).append(i)
        first = {slots[0]: cell for cell, slots in cells.items()}
        for i in range(n):
            if i not in first:
                assert (pooled_at[b, i] == -1).all()
                assert (pooled[b, i] == 0).all()
                continue
            values = features[b, cells[first[i]]] / 8
            if kind == "cell" and len(values) < window[0] * window[1]:
                values = np.concatenate([values, np.zeros((1, 2))])
            expected = values.sum(0) * factor if kind == "average" else values.max(0)
            assert_array_equal(pooled[b, i], expected)
            assert_array_equal(pooled_at[b, i], first[i])


@EXAMPLES
@given(
    seed=st.integers(0, 2**32 - 1),
    n=st.integers(1, 9),
    size=st.tuples(st.integers(1, 4), st.integers(1, 4)),
    fill=st.sampled_from([0.0, 0.3, 1.0]),
    kind=st.sampled_from(["average", "active", "cell"]),
)
def test_global_pools(seed, n, size, fill, kind):
    rng = np.random.default_rng(seed)
    coords, active = random_pixels(rng, 3, n, *size, fill=fill)
    features = rng.integers(-3, 4, size=(3, n, 2)) * active[..., None]
    attributes = {"spatial_shape": list(size)}
    area = size[0] * size[1]
    if kind == "average":
        factor = float(reciprocal(area, 8).real)
        (found,) = check("SparseGlobalAvgPool2d", [features, coords], attributes | {"reciprocal": factor}, [-3, None])
    else:
        (found,) = check("SparseGlobalMaxPool2d", [features, coords], attributes | {"over": kind}, [-3, None])
    for b in range(3):
        values = features[b, active[b]] / 8
        if len(values) == 0 or (kind == "cell" and len(values) < area):
            values = np.concatenate([values, np.zeros((1, 2))])
        assert_array_equal(found[b], values.sum(0) * factor if kind == "average" else values.max(0))


@EXAMPLES
@given(seed=st.integers(0, 2**32 - 1), n=st.integers(1, 9), size=st.tuples(st.integers(1, 6), st.integers(1, 6)))
def test_sparse_flatten(seed, n, size):
    rng = np.random.default_rng(seed)
    coords, active = random_pixels(rng, 2, n, *size, fill=0.7)
    features = rng.integers(-3, 4, size=(2, n, 2)) * active[..., None]
    (dense,) = check("SparseFlatten", [features, coords], {"spatial_shape": list(size)}, [-1, None])
    expected = np.zeros((2, *size, 2))
    for b, i in zip(*np.nonzero(active), strict=True):
        expected[(b, *coords[b, i])] = features[b, i] / 2
    assert_array_equal(dense, expected.reshape(2, -1))


@pytest.mark.parametrize("rounding", ["ROUND", "FLOOR"])
@pytest.mark.parametrize("signed", [0, 1])
@pytest.mark.parametrize(("width", "integer"), [(2, 1), (8, 3), (8, 0), (16, 7), (4, 6)])
def test_quant(rounding, signed, width, integer):
    """Ties, saturation on both sides, and the same rounding in integers and in floats."""
    quarter = np.arange(-(2 ** (width + 3)), 2 ** (width + 3), max(1, 2 ** (width - 8)))
    exponent = integer - width
    fixed = FixedArray(quarter, exponent - 2)
    attributes = {"signed": signed, "narrow": 0, "rounding_mode": rounding}
    parameters = [FixedArray.from_real(np.float64(v)) for v in (2.0**exponent, 0.0, float(width))]
    (in_integers,) = QUANT.reference([fixed, *parameters], attributes)
    (from_floats,) = QUANT.reference([fixed.real, *parameters], attributes)
    assert_array_equal(in_integers.raw, from_floats.raw)
    for element in (TensorProto.FLOAT, TensorProto.DOUBLE):
        model, feed = node_model("Quant", [fixed.real, *(p.real for p in parameters)], attributes, element)
        (found,) = ort.InferenceSession(model.SerializeToString()).run(None, feed)
        assert_array_equal(found, in_integers.real)


@pytest.mark.parametrize("narrow", [0, 1])
@pytest.mark.parametrize("signed", [0, 1])
def test_quant_body_equals_qonnx(narrow, signed):
    from qonnx.custom_op.general.quant import quant

    x = np.linspace(-5, 5, 201, dtype=np.float32)
    attributes = {"signed": signed, "narrow": narrow, "rounding_mode": "ROUND"}
    parameters = [np.float32(0.25), np.float32(0), np.float32(4)]
    model, feed = node_model("Quant", [x, *parameters], attributes)
    (found,) = ort.InferenceSession(model.SerializeToString()).run(None, feed)
    expected = quant(x, *parameters, signed=bool(signed), narrow=bool(narrow), rounding_mode="ROUND")
    assert_array_equal(found, expected)


@pytest.mark.parametrize("shift", [1, 3, 16])
def test_leaky_relu(shift):
    raw = np.arange(-300, 301)
    attributes = {"alpha": 2.0**-shift}
    (found,) = check("LeakyRelu", [raw], attributes, [-4])
    assert_array_equal(found, np.where(raw < 0, raw / 16 * 2.0**-shift, raw / 16))
    (bound,) = LEAKY.bound([Value((601,), FixedRange(-4, -300, 300))], attributes)
    assert (bound.range, bound.partial) == (FixedRange(-4 - shift, -300, 300 << shift), 300)


@pytest.mark.parametrize("slope", [0.01, 0.0, 1.0, 2.0**-17, -0.5, np.inf])
def test_slopes_that_are_no_shift(slope):
    with pytest.raises(SparsePixError, match="negative_slope must be a power of two"):
        LEAKY.bound([Value((1,), FixedRange(0, -1, 1))], {"alpha": slope})


def test_a_leaky_relu_of_too_many_bits():
    with pytest.raises(SparsePixError, match="its result needs 67 bits, more than 62; quantize its input"):
        LEAKY.bound([Value((1,), FixedRange(0, 0, 2**50 - 1))], {"alpha": 2.0**-16})


@pytest.mark.parametrize("area", [1, 2, 3, 4, 6, 9, 16, 25, 49, 64, 100])
@pytest.mark.parametrize("bits", [2, 8, 11, 16, 24])
def test_reciprocal(area, bits):
    value = reciprocal(area, bits)
    assert int(value.raw).bit_length() <= bits
    assert abs(float(value.real) * area - 1) <= 2.0**-bits
    assert np.float32(value.real) == value.real


def test_op_attributes_are_checked():
    node = helper.make_node("InputReduce", ["x"], ["f", "c"], domain=DOMAIN, max_pixels=3, selection="best")
    with pytest.raises(SparsePixError, match=r"selection.*raster.*found 'best'"):
        OPS["InputReduce"].read_attributes(node)
    node = helper.make_node("InputReduce", ["x"], ["f", "c"], domain=DOMAIN)
    with pytest.raises(SparsePixError, match=r"max_pixels.*missing"):
        OPS["InputReduce"].read_attributes(node)
    node = helper.make_node("Quant", ["x"], ["y"], domain=QUANT_DOMAIN, rounding_mode="UP")
    with pytest.raises(SparsePixError, match="found 'UP'"):
        QUANT.read_attributes(node)


@pytest.mark.parametrize("exponent", [-12, -5, 0])
def test_sigmoid_table_is_the_rounded_sigmoid(exponent):
    raw = np.arange(-(2 ** (5 - exponent)), 2 ** (5 - exponent))
    (found,) = head.SIGMOID.reference([FixedArray(raw, exponent)], {})
    exact = 1 / (1 + np.exp(-np.ldexp(raw.astype(float), exponent)))
    assert_array_equal(found.raw, np.minimum(np.floor(exact * 1024 + 0.5), 1023))
    steps = head.sigmoid_thresholds(exponent)
    assert len(steps) == 1023
    assert (np.diff(steps) >= 0).all()


def test_softmax_table_keeps_the_order_and_adds_up():
    raw = np.random.default_rng(1).integers(-4000, 4000, size=(500, 5))
    (found,) = head.SOFTMAX.reference([FixedArray(raw, -8)], {})
    (exact,) = head.SOFTMAX.compute([raw / 256], {})
    assert np.abs(found.real - exact).max() < 3 / 1024
    order = np.argsort(raw, axis=1)
    assert (np.diff(np.take_along_axis(found.raw, order, axis=1), axis=1) >= 0).all()
