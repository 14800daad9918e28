"""Hardware primitives: known small cases, sanity over many sizes, and how costs add up."""

import math
from dataclasses import astuple, replace
from itertools import pairwise

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from sparsepix_hls.cost import primitives as hw
from sparsepix_hls.cost.primitives import Cost
from sparsepix_hls.reference import published
from sparsepix_hls.reference.published import Calibration, PublishedLayer

BITS = st.integers(1, 32)
COUNTS = st.integers(1, 3000)

ONE_SIZE = {
    "register": hw.register,
    "gate": hw.gate,
    "logic": hw.logic,
    "equal": hw.equal,
    "less_than": hw.less_than,
    "less_than_constant": hw.less_than_constant,
    "adder": hw.adder,
    "popcount": hw.popcount,
    "priority_encoder": hw.priority_encoder,
    "maximum": hw.maximum,
}
TWO_SIZES = {
    "mux": hw.mux,
    "one_hot_mux": hw.one_hot_mux,
    "rom": hw.rom,
    "adder_tree": hw.adder_tree,
    "maximum_tree": hw.maximum_tree,
}
MULTIPLIERS = {"lut": hw.lut_multiplier, "dsp": hw.dsp_multiplier}


def resources(cost):
    return np.array(astuple(cost)[:4])


# Known cases


@pytest.mark.parametrize(
    ("cost", "expected"),
    [
        (hw.logic(1), Cost()),
        (hw.logic(6), Cost(lut=1, levels=1)),
        (hw.logic(7), Cost(lut=2, levels=2)),
        (hw.logic(36), Cost(lut=7, levels=2)),
        (hw.equal(3), Cost(lut=1, levels=1)),
        (hw.equal(12), Cost(lut=5, levels=2)),
        (hw.mux(1, 8), Cost()),
        (hw.mux(2, 8), Cost(lut=4, levels=1)),
        (hw.mux(4, 8), Cost(lut=8, levels=1)),
        (hw.mux(16, 8), Cost(lut=32, levels=1)),
        (hw.mux(64, 1), Cost(lut=17, levels=2)),
        (hw.one_hot_mux(3, 8), Cost(lut=8, levels=1)),
        (hw.rom(32, 8), Cost(lut=4, levels=1)),
        (hw.rom(64, 8), Cost(lut=8, levels=1)),
        (hw.rom(256, 8), Cost(lut=32, levels=1)),
        (hw.adder_tree(1, 8), Cost()),
        (hw.adder_tree(4, 8), Cost(lut=2 * 9 + 10, levels=2)),
        (hw.adder_tree(5, 8), Cost(lut=2 * 9 + 10 + 11, levels=3)),
        (hw.lut_multiplier(8, 1), Cost(lut=4, levels=1)),
        (hw.lut_multiplier(8, 2), Cost(lut=10, levels=1)),
        (hw.dsp_multiplier(27, 18), Cost(dsp=1, levels=hw.DSP_LEVELS)),
        (hw.dsp_multiplier(18, 28), Cost(dsp=2, levels=2 * hw.DSP_LEVELS)),
        (hw.dsp_multiplier(35, 35), Cost(dsp=4, levels=4 * hw.DSP_LEVELS)),
        (hw.maximum_tree(3, 8), Cost(lut=2 * (4 + 4), levels=4)),
        (hw.constant_multiplier(8, 0), Cost()),
        (hw.constant_multiplier(8, -64), Cost()),
        (hw.register(12), Cost(ff=12)),
    ],
)
def test_known_case(cost, expected):
    assert cost == expected


@pytest.mark.parametrize(
    ("value", "digits"), [(0, 0), (1, 1), (2, 1), (3, 2), (7, 2), (-7, 2), (5, 2), (45, 4), (85, 4)]
)
def test_signed_digits(value, digits):
    assert hw.signed_digits(value) == digits


@given(st.integers(-(2**20), 2**20))
def test_signed_digits_are_the_shortest(value):
    # Written out digit by digit, by the usual rule: an odd remainder takes the digit that leaves a multiple of four.
    digits, rest = 0, abs(value)
    while rest:
        if rest % 2:
            rest -= 2 - rest % 4
            digits += 1
        rest //= 2
    assert hw.signed_digits(value) == digits
    assert digits <= abs(value).bit_count()


def test_product_of_narrow_factors_is_in_luts_and_of_wide_ones_in_a_slice():
    assert hw.multiplier(10, 16) == hw.lut_multiplier(10, 16)
    assert hw.multiplier(16, 16) == hw.dsp_multiplier(16, 16)
    assert hw.multiplier(8, 8, dsp_above=7) == hw.dsp_multiplier(8, 8)


# Sanity over sizes


@pytest.mark.parametrize("name", ONE_SIZE)
def test_more_bits_never_cost_less(name):
    costs = [ONE_SIZE[name](size) for size in range(1, 200)]
    for smaller, larger in pairwise(costs):
        assert (resources(larger) >= resources(smaller)).all()
        assert larger.levels >= smaller.levels


@pytest.mark.parametrize("name", TWO_SIZES)
@given(count=COUNTS, bits=BITS)
@settings(max_examples=60, deadline=None)
def test_more_words_or_bits_never_cost_less(name, count, bits):
    function = TWO_SIZES[name]
    cost = resources(function(count, bits))
    assert (cost >= 0).all()
    assert (resources(function(count, bits + 1)) >= cost).all()
    assert (resources(function(count + 1, bits)) >= cost - 1e-9).all()


@pytest.mark.parametrize("name", MULTIPLIERS)
@given(a=BITS, b=BITS)
def test_multiplier_is_symmetric_and_grows(name, a, b):
    function = MULTIPLIERS[name]
    assert function(a, b) == function(b, a)
    assert (resources(function(a + 1, b)) >= resources(function(a, b))).all()


@given(a=st.integers(2, 24), b=st.integers(2, 24))
def test_lut_multiplier_is_near_the_array_of_its_bits(a, b):
    assert a * b / 2 <= hw.lut_multiplier(a, b).lut <= 2 * (a + 2) * (b + 2)


@given(bits=st.integers(2, 16), constant=st.integers(-(2**11), 2**11))
def test_constant_product_is_below_a_general_one(bits, constant):
    general = hw.lut_multiplier(bits, max(abs(constant).bit_length(), 1) + 1)
    assert hw.constant_multiplier(bits, constant).lut <= general.lut


@given(terms=st.integers(2, 500), bits=BITS)
def test_adder_tree_has_an_adder_a_term_but_one(terms, bits):
    tree = hw.adder_tree(terms, bits)
    assert tree.levels == hw.tree_levels(terms)
    assert (terms - 1) * (bits + 1) <= tree.lut <= (terms - 1) * (bits + tree.levels)


@given(choices=st.integers(2, 5000), bits=BITS)
def test_mux_takes_at_least_a_lut_for_four_choices(choices, bits):
    cost = hw.mux(choices, bits)
    assert bits * (choices - 1) / 4 <= cost.lut <= bits * choices / 2
    assert cost.levels == max(math.ceil(math.log(choices, hw.MUX_CHOICES) - 1e-9), 1)


# Arithmetic of costs

COSTS = st.builds(Cost, *[st.integers(0, 1000).map(float)] * 5)


@given(a=COSTS, b=COSTS, n=st.integers(0, 50))
def test_costs_add_and_scale(a, b, n):
    np.testing.assert_array_equal(resources(a + b), resources(a) + resources(b))
    np.testing.assert_array_equal(resources(a | b), resources(a + b))
    np.testing.assert_array_equal(resources(n * a), n * resources(a))
    assert (a + b).levels == a.levels + b.levels
    assert (a | b).levels == max(a.levels, b.levels)
    assert (n * a).levels == a.levels
    assert n * a == a * n
    assert n * (a + b) == n * a + n * b


def test_sharing_by_reuse_is_a_ceiling_division_of_copies():
    unit = hw.multiplier(8, 8)
    areas = [(-(-400 // reuse) * unit).lut for reuse in range(1, 25)]
    assert all(later <= earlier for earlier, later in pairwise(areas))


def test_cycles_of_a_depth():
    assert hw.cycles(Cost(levels=0), 5, 2) == 1
    assert hw.cycles(Cost(levels=5), 5, 2) == 3
    assert hw.cycles(Cost(levels=5), 1, 2) == 5
    with pytest.raises(ValueError, match="logic_ns"):
        hw.cycles(Cost(levels=1), 0, 2)
    with pytest.raises(ValueError, match="copies"):
        _ = -1 * Cost(lut=1)


# The published kernels, composed of the primitives

SMALL = {
    "reduce": PublishedLayer("reduce", "study", 8, 10, 10, 10),
    "conv": PublishedLayer("conv", "study", 8, 10, 10, 10, in_channels=2, out_channels=3, kernel=3),
    "pool": PublishedLayer("pool", "study", 8, 10, 10, 10, in_channels=2, kernel=2),
    "flatten": PublishedLayer("flatten", "study", 8, 10, 10, 10),
}

# Published (Vivado) LUTs, DSPs and latency of the neutrino model, 8 bit, 20 slots.
NEUTRINO = [
    (PublishedLayer("reduce", "release", 8, 20, 63, 63), 98305, 0, 83),
    (PublishedLayer("conv", "release", 8, 20, 63, 63, kernel=7), 40174, 0, 9),
    (PublishedLayer("conv", "release", 8, 20, 63, 63, out_channels=3, kernel=7), 117429, 0, 9),
    (PublishedLayer("pool", "release", 8, 20, 63, 63, in_channels=3, kernel=7), 12782, 60, 9),
    (PublishedLayer("flatten", "release", 8, 20, 9, 9, in_channels=3, divisor_bits=2 * math.log2(7)), 3969, 0, 7),
]


@pytest.mark.parametrize(("layer", "lut", "dsp", "latency"), NEUTRINO, ids=lambda v: getattr(v, "kind", None))
def test_published_neutrino_layer(layer, lut, dsp, latency):
    cost, cycles = published.predict(layer)
    assert cost.lut == pytest.approx(lut, rel=0.15)
    assert cost.dsp == dsp
    assert abs(cycles - latency) <= 1


@pytest.mark.parametrize("kind", SMALL)
def test_prediction_is_the_sum_of_calibrated_blocks(kind):
    parts = published.blocks(SMALL[kind])
    uncalibrated, _ = published.predict(SMALL[kind], Calibration())
    assert uncalibrated.lut == pytest.approx(sum(part.lut for part in parts.values()))
    assert uncalibrated.ff == pytest.approx(sum(part.ff for part in parts.values()))
    doubled, cycles = published.predict(
        SMALL[kind], Calibration(lut=dict.fromkeys(parts, 2.0), ff=dict.fromkeys(parts, 3.0), start={"study": 5.0})
    )
    assert doubled.lut == pytest.approx(2 * uncalibrated.lut)
    assert doubled.ff == pytest.approx(3 * uncalibrated.ff)
    assert doubled.dsp == uncalibrated.dsp
    assert cycles == math.floor(published.structural_cycles(SMALL[kind]) + 5.5)


@pytest.mark.parametrize("kind", SMALL)
@pytest.mark.parametrize("version", ["early", "study", "release"])
def test_every_block_of_luts_or_registers_has_a_factor(kind, version):
    known = published.CALIBRATION[kind]
    for bits in {"early": (10,), "study": (8, 16), "release": (8, 16)}[version]:
        for slots in (8, 30):
            for kernel in (3, 5, 7):
                layer = replace(SMALL[kind], version=version, bits=bits, slots=slots, kernel=kernel)
                for name, part in published.blocks(layer).items():
                    assert not part.lut or name in known.lut
                    assert not part.ff or name in known.ff


@pytest.mark.parametrize("kind", SMALL)
@given(slots=st.integers(2, 30), bits=st.sampled_from([8, 16]), side=st.integers(6, 64))
@settings(max_examples=50, deadline=None)
def test_published_layer_grows_with_its_sizes(kind, slots, bits, side):
    layer = replace(SMALL[kind], version="release", slots=slots, bits=bits, height=side, width=side)
    cost, cycles = published.predict(layer)
    assert cost.lut > 0
    assert cost.ff > 0
    if kind != "flatten":  # which shares its hardware best where four divide the slots
        more, later = published.predict(replace(layer, slots=slots + 1))
        assert more.lut >= cost.lut
        assert later >= cycles
    assert published.predict(replace(layer, height=2 * side))[0].lut >= cost.lut


def test_products_move_to_slices_with_their_width():
    conv = SMALL["conv"]
    assert published.predict(conv)[0].dsp == 10 * 10 * (2 - 1) * 3
    assert published.predict(replace(conv, bits=16))[0].dsp == 10 * 10 * 2 * 3
    assert published.predict(replace(conv, version="release"))[0].dsp == 0
