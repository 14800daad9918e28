"""Quantizers against the integer definition of ``FixedPoint`` and against Brevitas itself."""

import copy

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from sparsepix.nn.quant_linear import QuantLinear
from sparsepix.quant.formats import CalibratedFixedPoint, LearnedFixedPoint, bias_format_of
from sparsepix.quant.quantizers import Quantizer, rescaling_int_quant
from sparsepix_ops.errors import SparsePixError
from sparsepix_ops.fixed_point import FixedPoint
from sparsepix_ops.fixed_points import FixedPoints

DTYPES = [torch.float32, torch.float64]
ROUNDINGS = ["ROUND", "FLOOR"]


def hard_values(format: FixedPoint) -> np.ndarray:
    """Ties, values beside them, both ends of the range and far beyond, in units that float32 holds exactly."""
    ends = np.array([format.raw_min, format.raw_max])
    near = (ends[:, None] + np.arange(-3, 4)).ravel()
    raw = np.unique(np.concatenate((near, np.arange(-9, 10))))
    parts = np.array([0.0, 0.25, 0.5, 0.75])
    return np.append((raw[:, None] + parts).ravel(), [-(2.0**30), 2.0**30]) * format.scale


def same(found: torch.Tensor, expected: np.ndarray) -> None:
    np.testing.assert_array_equal(found.detach().double().numpy(), expected)


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("rounding", ROUNDINGS)
@pytest.mark.parametrize("signed", [True, False])
def test_fixed_formats_equal_the_definition(signed, rounding, dtype):
    for width in range(2, 17):
        for integer in (-5, 0, 1, 3, width, width + 4):
            format = FixedPoint(width, integer, signed, rounding)
            values = hard_values(format)
            quantizer = Quantizer(format).to(dtype)
            x = torch.tensor(values, dtype=dtype)
            same(x, values)  # the test data themselves are exact
            assert quantizer(x).dtype == dtype
            same(quantizer(x), format.quantize(values).real)
            assert quantizer.fixed_point == format


@given(
    width=st.integers(2, 16),
    integer=st.integers(-10, 20),
    signed=st.booleans(),
    rounding=st.sampled_from(ROUNDINGS),
    values=st.lists(st.floats(-(2.0**20), 2.0**20, width=32, allow_subnormal=False), min_size=1, max_size=30),
)
@settings(max_examples=100, deadline=None)
def test_fixed_formats_equal_the_definition_for_any_value(width, integer, signed, rounding, values):
    format = FixedPoint(width, integer, signed, rounding)
    expected = format.quantize(np.array(values)).real
    for dtype in DTYPES:
        same(Quantizer(format)(torch.tensor(values, dtype=dtype)), expected)


@pytest.mark.parametrize("rounding", ROUNDINGS)
@pytest.mark.parametrize("signed", [True, False])
def test_the_fused_quantizer_is_that_of_brevitas(signed, rounding):
    for width, integer in ((2, 1), (8, 3), (16, -2)):
        format = FixedPoint(width, integer, signed, rounding)
        ours = torch.tensor(hard_values(format), requires_grad=True)
        theirs = ours.detach().clone().requires_grad_()
        incoming = torch.arange(1.0, ours.numel() + 1, dtype=torch.float64)
        y, z = Quantizer(format).double()(ours), rescaling_int_quant(format).double()(theirs)[0]
        y.backward(incoming)
        z.backward(incoming)
        same(y, z.detach().numpy())
        same(ours.grad, theirs.grad.numpy())
        # Straight through inside of the range, blocked outside: both occur.
        assert 0 < int((ours.grad == 0).sum()) < ours.numel()
        same(ours.grad[ours.grad != 0], incoming[ours.grad != 0].numpy())


@pytest.mark.parametrize("learn_width", [True, False])
@pytest.mark.parametrize("rounding", ROUNDINGS)
@pytest.mark.parametrize("signed", [True, False])
def test_the_fused_learned_quantizer_is_that_of_brevitas(signed, rounding, learn_width):
    for largest, share, exponent in ((8, 1.0, 1.0), (8, 0.55, -2.3), (16, 0.4, 3.5), (3, 0.9, 0.0)):
        quantizer = Quantizer(LearnedFixedPoint(largest, signed, rounding, learn_width=learn_width)).double()
        with torch.no_grad():
            quantizer.learned.scaling_impl.value.fill_(exponent)
            if learn_width:
                quantizer.learned.msb_clamp_bit_width_impl.share.fill_(share)
        values = hard_values(quantizer.fixed_point)[:-2]
        found = []
        for f in (quantizer, lambda x, quantizer=quantizer: quantizer.learned(x)[0]):
            quantizer.zero_grad()
            x = torch.tensor(values, requires_grad=True)
            y = f(x)
            # At the ends of a learned share the gradient outwards is dropped, so both signs.
            for sign in (1, -1):
                (sign * y).backward(torch.arange(1.0, x.numel() + 1, dtype=torch.float64), retain_graph=True)
                found.append([y.detach(), x.grad.clone(), *(p.grad.clone() for p in quantizer.parameters())])
        for ours, theirs in zip(found[:2], found[2:], strict=True):
            assert len(ours) == 3 + learn_width
            same(ours[0], theirs[0].numpy())
            same(ours[1], theirs[1].numpy())
            for one, other in zip(ours[2:], theirs[2:], strict=True):
                torch.testing.assert_close(one, other)


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("rounding", ROUNDINGS)
@pytest.mark.parametrize("signed", [True, False])
def test_learned_formats_are_exact_wherever_the_scale_stands(signed, rounding, dtype):
    for width in (2, 5, 8, 16):
        quantizer = Quantizer(LearnedFixedPoint(width, signed, rounding, initial_integer=2)).to(dtype)
        (parameter,) = quantizer.parameters()
        assert quantizer.fixed_point == FixedPoint(width, 2, signed, rounding)
        for exponent in (-20.0, -0.5, 0.49, 0.5, 1.5, 2.51, 20.0):
            with torch.no_grad():
                parameter.fill_(exponent)
            format = quantizer.fixed_point
            assert format.integer == round(exponent) + int(signed)
            values = hard_values(format)
            for training in (True, False):
                same(quantizer.train(training)(torch.tensor(values, dtype=dtype)), format.quantize(values).real)


def test_a_learned_scale_finds_the_range_of_its_data():
    torch.manual_seed(0)
    x = torch.randn(512) * 6
    quantizer = Quantizer(LearnedFixedPoint(6, initial_integer=1))
    optimizer = torch.optim.Adam(quantizer.parameters(), lr=0.05)
    first = (quantizer(x) - x).square().mean().item()
    for _ in range(150):
        optimizer.zero_grad()
        loss = (quantizer(x) - x).square().mean()
        loss.backward()
        optimizer.step()
    assert quantizer.fixed_point.integer in (5, 6)
    assert loss.item() < first / 100


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("rounding", ROUNDINGS)
@pytest.mark.parametrize("signed", [True, False])
def test_learned_widths_are_exact_wherever_they_stand(signed, rounding, dtype):
    for largest in (2, 7, 12, 16):
        format = LearnedFixedPoint(largest, signed, rounding, initial_integer=2, learn_width=True)
        quantizer = Quantizer(format).to(dtype)
        scale, share = quantizer.learned.scaling_impl.value, quantizer.learned.msb_clamp_bit_width_impl.share
        assert quantizer.fixed_point == FixedPoint(largest, 2, signed, rounding)
        for width in (*range(2, largest + 1), 2.5, largest - 0.5, -3.0, 40.0):
            with torch.no_grad():
                share.fill_(width / largest)
                scale.fill_(1.5)
            found = quantizer.fixed_point
            # Of the share as float32 holds it.
            expected = min(max(round(float(share.detach()) * largest), 2), largest)
            assert found == FixedPoint(expected, 2 + int(signed), signed, rounding)
            assert abs(expected - min(max(width, 2), largest)) <= 0.5
            assert quantizer.bit_width == found.width
            values = hard_values(found)
            for training in (True, False):
                same(quantizer.train(training)(torch.tensor(values, dtype=dtype)), found.quantize(values).real)


def test_float_and_double_have_the_same_width():
    for largest in range(2, 17):
        for width in np.arange(2.5, largest):
            quantizer = Quantizer(LearnedFixedPoint(largest, learn_width=True))
            with torch.no_grad():
                quantizer.learned.msb_clamp_bit_width_impl.share.fill_(width / largest)
            found = quantizer.fixed_point
            assert quantizer.double().fixed_point == found


def test_a_learned_width_falls_as_far_as_its_price_and_comes_back():
    torch.manual_seed(0)
    x = torch.rand(512) * 2 - 1
    quantizer = Quantizer(LearnedFixedPoint(12, initial_integer=1, learn_width=True, min_width=3))
    optimizer = torch.optim.Adam(quantizer.parameters(), lr=0.02)

    def train(price):
        for _ in range(150):
            optimizer.zero_grad()
            (512 * (quantizer(x) - x).square().mean() + price * quantizer.bit_width).backward()
            optimizer.step()
        return quantizer.fixed_point.width

    # The error of w bits is 512 * 4**-w / 3, so a price is paid until w = 6.9, 4.3 bits.
    for price, expected in ((0.016, (6, 7, 8)), (0.6, (4, 5)), (50.0, (3,)), (0.016, (6, 7, 8))):
        assert train(price) in expected


def test_a_bias_keeps_its_width():
    for format in (FixedPoint(8, 3), LearnedFixedPoint(8), None):
        assert bias_format_of(format) == format
    layer = QuantLinear(3, 2, weight_format=LearnedFixedPoint(8, learn_width=True, initial_integer=2))
    assert layer.bias_quantizer.format == LearnedFixedPoint(8, initial_integer=2)
    assert set(layer.state_dict()) == {
        "weight", "bias", "bias_quantizer.learned.scaling_impl.value", "weight_quantizer.learned.scaling_impl.value",
        "weight_quantizer.learned.msb_clamp_bit_width_impl.share",
    }  # fmt: skip


def test_no_format_changes_nothing():
    x = torch.randn(3)
    assert Quantizer(None)(x) is x
    assert Quantizer(None).fixed_point is None


@pytest.mark.parametrize(
    ("format", "message"),
    [
        (FixedPoint(1, 1), "2 ... 24 bits, found 1"),
        (FixedPoint(25, 1), "2 ... 24 bits, found 25"),
        (LearnedFixedPoint(17), "2 ... 16 bits, found 17"),
        (LearnedFixedPoint(8, learn_width=True, min_width=9), "min_width must be 2 ... width = 8 bits, found 9"),
        (LearnedFixedPoint(8, learn_width=True, min_width=1), "found 1"),
        (FixedPoint(25, 3, overflow="WRAP"), "1 ... 24 bits, found 25"),
        (FixedPoints((FixedPoint(8, 3), None)), "expected one format, found 2 formats of 0 ... 8 bits"),
        (CalibratedFixedPoint(8, rounding="HALF_UP"), "'HALF_UP' is for fixed formats"),
        (FixedPoint(8, 65), "-64 ... 64, found 65"),
        (LearnedFixedPoint(8, rounding="CEIL"), "found 'CEIL'"),
        ("ap_fixed<8, 3>", "FixedPoint.parse"),
    ],
)
def test_wrong_formats_are_refused(format, message):
    with pytest.raises(SparsePixError, match=f"dense1 weight: .*{message}"):
        Quantizer(format, "dense1 weight")


def test_a_learned_scale_that_ran_away_is_reported():
    quantizer = Quantizer(LearnedFixedPoint(8), "conv1 weight")
    with torch.no_grad():
        next(quantizer.parameters()).fill_(float("nan"))
    with pytest.raises(SparsePixError, match="conv1 weight: the learned scale"):
        _ = quantizer.fixed_point


def test_a_learned_width_that_is_no_number_is_reported():
    quantizer = Quantizer(LearnedFixedPoint(8, learn_width=True), "conv1 weight")
    with torch.no_grad():
        quantizer.learned.msb_clamp_bit_width_impl.share.fill_(float("nan"))
    with pytest.raises(SparsePixError, match="conv1 weight: the learned width is not finite"):
        _ = quantizer.fixed_point


def test_states_and_copies():
    layer = QuantLinear(3, 2, weight_format=LearnedFixedPoint(8), bias_format=FixedPoint(8, 2))
    assert set(layer.state_dict()) == {"weight", "bias", "weight_quantizer.learned.scaling_impl.value"}
    with torch.no_grad():
        layer.weight_quantizer.learned.scaling_impl.value.fill_(3.0)
    other = QuantLinear(3, 2, weight_format=LearnedFixedPoint(8), bias_format=FixedPoint(8, 2))
    other.load_state_dict(layer.state_dict())
    for same_layer in (other, copy.deepcopy(layer)):
        assert same_layer.weight_quantizer.fixed_point == FixedPoint(8, 4)
        x = torch.randn(5, 3)
        same(same_layer(x), layer(x).detach().double().numpy())


@pytest.mark.parametrize(
    "format",
    [FixedPoint(8, 3), FixedPoint(8, 2, False, "FLOOR"), LearnedFixedPoint(8), LearnedFixedPoint(8, learn_width=True)],
)
def test_compiled_quantizers_give_the_same(format):
    quantizer = Quantizer(format)
    compiled = torch.compile(quantizer, backend="aot_eager", fullgraph=True)
    values = torch.linspace(-9, 9, 301)
    results = []
    for f in (quantizer, compiled):
        quantizer.zero_grad()
        x = values.clone().requires_grad_()
        y = f(x)
        y.square().sum().backward()
        results.append([y.detach(), x.grad, *[p.grad.clone() for p in quantizer.parameters()]])
    for eager, traced in zip(*results, strict=True):
        np.testing.assert_array_equal(eager.numpy(), traced.numpy())
