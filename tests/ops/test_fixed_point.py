"""Formats and exact values against fractions of Python integers."""

from fractions import Fraction
from math import floor

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from numpy.testing import assert_array_equal

from sparsepix_ops import FixedArray, FixedPoint, FixedRange, SparsePixError

FORMATS = st.builds(
    FixedPoint,
    width=st.integers(1, 20),
    integer=st.integers(-8, 24),
    signed=st.booleans(),
    rounding=st.sampled_from(["ROUND", "FLOOR"]),
    overflow=st.sampled_from(["SAT", "WRAP"]),
)


def quantized(value: Fraction, fmt: FixedPoint) -> int:
    """The raw value by definition (Python's round is half to even)."""
    scaled = value / Fraction(2) ** fmt.exponent
    raw = round(scaled) if fmt.rounding == "ROUND" else floor(scaled)
    if fmt.overflow == "SAT":
        return max(fmt.raw_min, min(fmt.raw_max, raw))
    return (raw - fmt.raw_min) % 2**fmt.width + fmt.raw_min


@given(fmt=FORMATS, raw=st.lists(st.integers(-(2**30), 2**30), min_size=1, max_size=20), shift=st.integers(-6, 4))
def test_quantize_and_requantize(fmt, raw, shift):
    exact = FixedArray(np.array(raw, dtype=np.int64), fmt.exponent + shift)
    expected = [quantized(Fraction(r) * Fraction(2) ** exact.exponent, fmt) for r in raw]
    assert_array_equal(fmt.quantize(exact.real).raw, expected)
    assert_array_equal(fmt.requantize(exact).raw, expected)


@given(fmt=FORMATS, raw=st.integers(-(2**40), 2**40), shift=st.integers(-70, 70))
def test_requantize_over_any_distance(fmt, raw, shift):
    exact = FixedArray(np.array([raw], dtype=np.int64), fmt.exponent + shift)
    expected = quantized(Fraction(raw) * Fraction(2) ** exact.exponent, fmt)
    assert fmt.requantize(exact).raw[0] == expected


@given(st.lists(st.floats(-1e6, 1e6, width=32), max_size=6))
def test_from_real_is_exact_and_as_coarse_as_possible(values):
    try:
        exact = FixedArray.from_real(np.array(values))
    except SparsePixError:
        low = min(abs(v) for v in values if v)
        assert max(map(abs, values)) / low > 2**30
        return
    assert_array_equal(exact.real, values)
    if exact.raw.any():
        assert (exact.raw % 2 != 0).any()


@given(low=st.integers(-(2**40), 2**40), size=st.integers(0, 2**40), exponent=st.integers(-30, 30))
def test_the_format_of_a_range_is_the_narrowest(low, size, exponent):
    r = FixedRange(exponent, low, low + size)
    fmt = r.format()
    assert fmt.exponent == exponent
    assert fmt.raw_min <= r.low
    assert r.high <= fmt.raw_max
    if fmt.width > 1:
        narrower = FixedPoint(fmt.width - 1, fmt.integer - 1, fmt.signed)
        assert narrower.raw_min > r.low or narrower.raw_max < r.high


@given(FORMATS)
def test_text_of_a_format_reads_back(fmt):
    assert FixedPoint.parse(str(fmt)) == fmt


def test_parse_takes_the_modes_of_this_library_where_none_stand():
    assert FixedPoint.parse("ap_ufixed<8,2>") == FixedPoint(8, 2, signed=False)
    for text in ("ap_fixed<8>", "fixed<8,3>", "ap_fixed<8,3,AP_RND_INF>", "ap_fixed<8,3,AP_TRN,AP_WRAP_SM>", ""):
        with pytest.raises(SparsePixError, match="expected a type like"):
            FixedPoint.parse(text)


@pytest.mark.parametrize("options", [{"width": 0}, {"width": 63}, {"rounding": "UP"}, {"overflow": "CLIP"}])
def test_formats_that_do_not_exist(options):
    with pytest.raises(SparsePixError, match="FixedPoint: "):
        FixedPoint(**({"width": 8, "integer": 3} | options))


def test_values_that_are_no_numbers():
    for value in (np.nan, np.inf, -np.inf):
        with pytest.raises(SparsePixError, match="finite"):
            FixedPoint(8, 3).quantize([0.0, value])
        with pytest.raises(SparsePixError, match="finite"):
            FixedArray.from_real(np.array([0.0, value]))
    with pytest.raises(SparsePixError, match="no common fixed-point grid"):
        FixedArray.from_real(np.array([1.0, 2.0**-70]))
    with pytest.raises(SparsePixError, match="more than 62 bits"):
        FixedArray(np.array([2**40]), 0).at(-30)
