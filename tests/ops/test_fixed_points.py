"""Formats along the last axis, wrapping, symmetric clipping, ties up: one meaning in numpy, torch, ONNX, integers."""

import numpy as np
import onnx
import onnxruntime as ort
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.testing import assert_array_equal
from onnx import TensorProto, helper

from sparsepix.quant.quantizers import Quantizer
from sparsepix_ops.errors import SparsePixError
from sparsepix_ops.fixed_point import FixedArray, FixedPoint
from sparsepix_ops.fixed_points import FixedPoints
from sparsepix_ops.op import Value
from sparsepix_ops.ops.quant import FIXED_POINT, formats_of, parameters

ROUNDINGS, OVERFLOWS = ("ROUND", "FLOOR", "HALF_UP"), ("SAT", "SAT_SYM", "WRAP")


@st.composite
def formats(draw):
    """A special format, or one for each of four places."""
    modes = draw(st.sampled_from(ROUNDINGS)), draw(st.sampled_from(OVERFLOWS))

    def one():
        signed = draw(st.booleans())
        least = 2 if modes[1] != "WRAP" else 1
        return FixedPoint(draw(st.integers(least, 12)), draw(st.integers(-4, 8)), signed, *modes)

    if draw(st.booleans()):
        return one()
    places = [one() if draw(st.integers(0, 5)) else None for _ in range(4)]
    return FixedPoints((one(), *places[1:]))


def definition(element, x):
    """By the words of UG1399, in Python's own integers and fractions of two."""
    if element is None:
        return 0.0
    steps = x / element.scale
    down = int(np.floor(steps))
    rest = steps - down
    up = {"FLOOR": False, "HALF_UP": rest >= 0.5, "ROUND": rest > 0.5 or (rest == 0.5 and down % 2 == 1)}
    raw, top = down + up[element.rounding], 1 << (element.width - element.signed)
    low = -top if element.signed else 0
    if element.overflow == "WRAP":
        return ((raw - low) % (top - low) + low) * element.scale
    return min(max(raw, low + (element.overflow == "SAT_SYM" and element.signed)), top - 1) * element.scale


@settings(deadline=None, max_examples=150)
@given(formats(), st.lists(st.integers(-(2**20), 2**20), min_size=4, max_size=24), st.integers(-10, 2))
def test_one_meaning_everywhere(format, numbers, exponent):
    raw = np.array(numbers[: len(numbers) // 4 * 4], dtype=np.int64).reshape(-1, 4)
    x = np.ldexp(raw.astype(np.float64), exponent)
    elements = [format] * 4 if isinstance(format, FixedPoint) else format.elements
    expected = np.array([[definition(e, v) for e, v in zip(elements, row, strict=True)] for row in x])
    assert_array_equal(format.quantize(x).real, expected)
    exact = FixedArray(raw, exponent)
    single = isinstance(format, FixedPoint)
    assert_array_equal((format.requantize(exact) if single else format.quantize(exact)).real, expected)
    assert_array_equal(Quantizer(format, "x").double()(torch.from_numpy(x)).numpy(), expected)
    assert_array_equal(Quantizer(format, "x")(torch.from_numpy(x).float()).numpy(), expected.astype(np.float32))
    attributes = {"rounding_mode": format.rounding, "overflow": format.overflow}
    ends = parameters(format)
    assert_array_equal(FIXED_POINT.compute([x, *ends], attributes)[0], expected)
    values = [Value(), *(Value(constant=FixedArray.from_real(end)) for end in ends)]
    assert formats_of(values, attributes) == format
    value = FIXED_POINT.bound([Value((None, 4)), *values[1:]], attributes)[0]
    assert value.range.at(-60).low <= expected.min() * 2.0**60
    assert value.range.at(-60).high >= expected.max() * 2.0**60


@pytest.mark.parametrize("overflow", OVERFLOWS)
def test_values_far_outside(overflow):
    """What leaves on the left takes nothing along, in float32 too."""
    format = FixedPoint(4, 1, True, "FLOOR", overflow)
    for value in (2.0**24 + 2, -(2.0**24) - 2, 2.0**60, -(2.0**60), 3.0 * 2.0**30):
        expected = definition(format, value)
        assert format.quantize(value).real == expected
        assert Quantizer(format, "x")(torch.tensor([value], dtype=torch.float32)).item() == expected
        assert (
            FIXED_POINT.compute(
                [np.float32([value]), *parameters(format)], {"rounding_mode": "FLOOR", "overflow": overflow}
            )[0]
            == expected
        )
        found = ort.InferenceSession(node_model(format, np.float32).SerializeToString()).run(
            None, {"x": np.full((1, 6), value, np.float32)}
        )[0]
        assert_array_equal(found, np.full((1, 6), expected, np.float32))
    fine = FixedPoint(16, -40, True, "ROUND", overflow)
    for raw in (1 << 20, -(1 << 20)):
        assert fine.requantize(FixedArray(np.array([raw]), -10)).real == definition(fine, raw * 2.0**-10)


def test_other_precisions_on_the_way_change_nothing():
    format = FixedPoint(12, 3, overflow="SAT_SYM")
    x = torch.tensor([10.0, -10.0, 1.2345])
    expected = Quantizer(format, "x")(x)
    for there in (torch.bfloat16, torch.float16, torch.float64):
        assert_array_equal(Quantizer(format, "x").to(there).float()(x), expected)


def test_an_image_has_one_format():
    with pytest.raises(SparsePixError, match="an image has one format"):
        Quantizer(FixedPoints((FixedPoint(4, 2), FixedPoint(2, 1))), "x")(torch.zeros(1, 2, 1, 2))
    far = FixedPoints((FixedPoint(8, 60), FixedPoint(8, -60)))
    with pytest.raises(SparsePixError, match="x: expected formats that lie closer together"):
        Quantizer(far, "x")


@pytest.mark.parametrize("overflow", OVERFLOWS)
@pytest.mark.parametrize("rounding", ROUNDINGS)
@pytest.mark.parametrize("kind", [np.float32, np.float64])
def test_onnxruntime_runs_the_body(rounding, overflow, kind):
    rng = np.random.default_rng(3)
    elements = [FixedPoint(int(w), int(i), bool(s), rounding, overflow) for w, i, s in
                zip(rng.integers(2, 9, 6), rng.integers(-2, 5, 6), rng.integers(0, 2, 6), strict=True)]  # fmt: skip
    x = (rng.integers(-900, 900, (500, 6)) / 32).astype(kind)
    for format in (elements[0], FixedPoints((*elements[:5], None))):
        model = node_model(format, kind)
        found = ort.InferenceSession(model.SerializeToString()).run(None, {"x": x})[0]
        assert_array_equal(found, format.quantize(x).real.astype(kind))


def node_model(format, kind):
    element = TensorProto.FLOAT if kind is np.float32 else TensorProto.DOUBLE
    modes = {"rounding_mode": format.rounding, "overflow": format.overflow}
    node = helper.make_node(FIXED_POINT.name, ["x", "s", "l", "h"], ["y"], domain=FIXED_POINT.domain, **modes)
    ends = [onnx.numpy_helper.from_array(np.asarray(end, dtype=kind), name)
            for name, end in zip("slh", parameters(format), strict=True)]  # fmt: skip
    x, y = (helper.make_tensor_value_info(name, element, [None, 6]) for name in "xy")
    opsets = [helper.make_opsetid("", 20), helper.make_opsetid(FIXED_POINT.domain, 1)]
    graph = helper.make_graph([node], "g", [x], [y], ends)
    return helper.make_model(graph, opset_imports=opsets, ir_version=10, functions=[FIXED_POINT.function()])


def test_gradients_stop_where_a_value_is_clipped_and_go_through_where_it_wraps():
    x = torch.tensor([[-9.0, 0.3, 9.0, 1.0]], dtype=torch.float64, requires_grad=True)
    clips = FixedPoints((FixedPoint(4, 3, overflow="SAT_SYM"),) * 3 + (None,))
    Quantizer(clips, "x").double()(x).sum().backward()
    assert_array_equal(x.grad, [[0, 1, 0, 0]])
    x.grad = None
    wraps = FixedPoints((FixedPoint(4, 3, overflow="WRAP"),) * 3 + (None,))
    Quantizer(wraps, "x").double()(x).sum().backward()
    assert_array_equal(x.grad, [[1, 1, 1, 0]])


@pytest.mark.parametrize(
    ("elements", "message"),
    [
        ((None, None), "one rounding"),
        ((), "one rounding"),
        ((FixedPoint(4, 2), FixedPoint(4, 2, rounding="FLOOR")), "one rounding"),
        ((FixedPoint(4, 2), 3), "expected formats, found"),
    ],
)
def test_formats_that_are_none(elements, message):
    with pytest.raises(SparsePixError, match=message):
        FixedPoints(elements)


@pytest.mark.parametrize(
    ("ends", "message"),
    [
        ((0.3, -8, 7), "its scale must be a power of two"),
        ((0.5, -8, 6), "ends -8 and 6 are those of no format"),
        ((0.5, 0, 0), "always 0"),
        ((np.array([0.5, 0.5]), np.array([-8.0] * 3), 7), "the same size"),
        ((np.full((2, 2), 0.5), -8, 7), "one number or one for each place"),
    ],
)
def test_parameters_that_are_no_format(ends, message):
    constants = [Value(constant=None if np.any(np.asarray(e) == 0.3) else FixedArray.from_real(np.asarray(e, float)))
                 for e in ends]  # fmt: skip
    if message.startswith("its scale must be a"):
        constants[0] = Value(constant=FixedArray.from_real(np.float64(0.75)))
    with pytest.raises(SparsePixError, match=message):
        formats_of([Value(), *constants], {"rounding_mode": "ROUND", "overflow": "SAT"})


def test_as_many_places_as_formats():
    with pytest.raises(SparsePixError, match=r"expected 2 places along the last axis.*\(3, 5\)"):
        Quantizer(FixedPoints((FixedPoint(4, 2), FixedPoint(4, 1))), "x")(torch.zeros(3, 5))
