"""Two products in one DSP slice: the operations with and without pairs compute the same."""

import numpy as np
import pytest

from sparsepix_hls.rtl.emit.verilog import function_source
from sparsepix_hls.rtl.lower.arithmetic import table, total
from sparsepix_hls.rtl.lower.function import Field, Slices, trace, unsigned
from sparsepix_hls.rtl.lower.layers import Part
from sparsepix_hls.rtl.lower.operations import PRODUCT
from sparsepix_hls.rtl.lower.paired import WIDE, pairs_of
from sparsepix_ops.fixed_point import FixedPoint

RNG = np.random.default_rng(0)
SIGNED = FixedPoint(24, 24)


def logics(bits, signed, terms, outs, low, unit=1, slices=1000, steps=1):
    """The same weighted sums without slices and with so many; weights from ``low`` on, looked up by 3 bits.

    The weights are multiples of ``steps``, a number for all outputs or one for each.
    """
    weights = RNG.integers(low, 128, (terms, outs, 8))
    weights[0, 0, 0], weights[-1, -1, :2] = 127, (low, 0)
    weights = weights // np.array(steps)[..., None] * np.array(steps)[..., None]
    inputs = [
        unsigned("address", (terms,), 3),
        Field("x", (terms,), FixedPoint(bits, bits, signed=signed)),
    ]
    outputs = [Field("y", (outs,), SIGNED)]

    def body(arrays):
        address, x, sums = arrays["address"], arrays["x"], []
        for out in range(outs):
            rows = [table(address[k], weights[k, out].tolist()) for k in range(terms)]
            sums.append(total([row * (x[k] * unit) for k, row in enumerate(rows)]))
        return {"y": np.array(sums, dtype=object)}

    taken = (Slices(), Slices(slices, in_pairs=True))
    return [trace("f", "sums", inputs, outputs, [Part("y", "sums", body)], 20.0, slices=left) for left in taken]


@pytest.mark.parametrize(
    ("bits", "signed", "terms", "outs", "low"),
    [(8, False, 5, 2, -128), (8, True, 7, 3, -128), (3, True, 1, 4, -128), (4, False, 6, 5, 0), (1, False, 2, 2, -128)],
)
@pytest.mark.parametrize("unit", [1, 4])
@pytest.mark.parametrize("slices", [1000, 3])
def test_pairs_compute_the_same(bits, signed, terms, outs, low, unit, slices):
    apart, paired = logics(bits, signed, terms, outs, low, unit, slices)
    x = RNG.integers(-(2 ** (bits - 1)) if signed else 0, 2 ** (bits - 1) if signed else 2**bits, (500, terms))
    x[0], x[1], x[2] = 0, x.max(), x.min()
    events = np.concatenate([RNG.integers(0, 8, (500, terms)), x], axis=1).astype(np.float64)
    np.testing.assert_array_equal(paired.logic.predict(events), apart.logic.predict(events))
    possible = terms * (outs // 2)
    assert len(pairs_of(apart.logic)) == possible
    left = [op for op in paired.logic.ops if op.opcode == PRODUCT]
    assert len(left) == terms * outs - min(possible, slices)
    assert len(paired.in_dsp) == min(slices, len(left))


@pytest.mark.parametrize("steps", [2, (1, 2), (2, 1), (8, 1, 2, 4), (4, 4, 2, 1, 16)])
@pytest.mark.parametrize("low", [-128, 0])
def test_weights_that_are_all_even(steps, low):
    """A sum of even terms is even; what is borrowed below a term is a one."""
    outs = np.size(steps) if np.ndim(steps) else 4
    apart, paired = logics(8, True, 5, outs, low, steps=steps)
    events = np.concatenate([RNG.integers(0, 8, (500, 5)), RNG.integers(-128, 128, (500, 5))], axis=1).astype(float)
    np.testing.assert_array_equal(paired.logic.predict(events), apart.logic.predict(events))
    assert "module f" in function_source(paired, "f_layer_")  # in units of each value
    assert function_source(apart, "f_layer_")


def test_what_is_too_wide_stays_alone():
    """16 bits by 8 bits leave no place for a second product."""
    apart, paired = logics(16, True, 3, 2, -128)
    assert not pairs_of(apart.logic)
    assert len(paired.in_dsp) == 6
    assert WIDE == 25
