"""Numbers of numpy, of torch and whole floats are taken as arguments; what is no such number is refused."""

from decimal import Decimal
from fractions import Fraction

import numpy as np
import pytest
import torch
from torch import nn

import sparsepix as sp
from sparsepix.models.architecture import Architecture, Layer
from sparsepix_ops.whole import real_number, truth, whole_number

# The same number in every form that it comes in.
FORMS = [
    float, np.int64, np.int8, np.uint16, np.float32, np.float64, np.array, lambda n: np.array(float(n)), torch.tensor,
    lambda n: torch.tensor(float(n)), Fraction, Decimal,
]  # fmt: skip
NO_WHOLE_NUMBERS = [
    True, np.True_, torch.tensor(True), "8", b"8", 8.5, np.float32(7.5), float("nan"), float("inf"), 1j, None,
    [8], (8,), np.array([8]), torch.tensor([8]), {}, pytest.param(object(), id="object"), Fraction(1, 2),
]  # fmt: skip


@pytest.mark.parametrize("form", FORMS)
def test_whole_numbers(form):
    for number in (0, 1, 8, -3) if form is not np.uint16 else (0, 1, 8):
        found = whole_number(form(number))
        assert found == number
        assert type(found) is int
        assert type(real_number(form(number))) is float


@pytest.mark.parametrize("value", NO_WHOLE_NUMBERS, ids=repr)
def test_what_is_no_whole_number(value):
    assert whole_number(value) is None


def test_large_and_real_numbers():
    assert whole_number(10**30) == 10**30
    assert whole_number(2.0**70) == 2**70
    assert real_number(10**400) is None
    assert real_number(np.float64(0.3)) == 0.3
    assert real_number("0.3") is real_number(float("nan")) is real_number(np.inf) is real_number(True) is None
    assert truth(np.True_) is truth(1) is truth(True) is True
    assert truth(np.False_) is truth(0) is False
    assert truth("yes") is truth(2) is truth(None) is None


@pytest.mark.parametrize("form", FORMS)
def test_formats(form):
    for made, expected in (
        (sp.FixedPoint(form(8), form(3), np.True_), sp.FixedPoint(8, 3)),
        (sp.FixedPoint(8, 8 / 2), sp.FixedPoint(8, 4)),
        (
            sp.LearnedFixedPoint(form(8), True, "ROUND", form(2), np.False_, form(3)),
            sp.LearnedFixedPoint(8, True, "ROUND", 2, False, 3),
        ),
    ):
        assert made == expected
        assert repr(made) == repr(expected)
        assert hash(made) == hash(expected)
    assert sp.FixedPoint(form(8), form(3)).scale == 2.0**-5
    assert sp.FixedPoint.parse(str(sp.FixedPoint(form(8), form(3)))) == sp.FixedPoint(8, 3)


def described(form):
    """A preset and layers whose every number has a form."""
    torch.manual_seed(1)
    weights = sp.FixedPoint(form(8), form(3))
    own = nn.Sequential(
        sp.QuantIdentity(sp.FixedPoint(form(8), form(1))),
        sp.SparseInputReduce(form(5), form(0)),
        sp.SparseConv2d(form(1), form(2), (form(3), form(1)), weight_format=weights, groups=form(1), stride=form(2)),
        sp.SparseLeakyReLU(form(1) / form(2) if form is not Decimal else 0.5, sp.FixedPoint(form(6), form(3))),
        sp.SparseAvgPool2d(form(2), form(7), sp.FixedPoint(form(6), form(3))),
        sp.SparseFlatten(),
        sp.QuantLinear(form(8), form(3), np.True_, weight_format=weights),
    )
    learned = sp.LearnedFixedPoint(form(7), initial_integer=form(2))
    preset = sp.models.digits(form(12), form(8), threshold=form(0), pool_format=learned, reciprocal_bits=form(9))
    layers = (Layer("conv", form(3), form(2)), Layer("max_pool", form(2)), Layer("dense", form(3)))
    architecture = Architecture(
        "a", (form(1), form(8), form(8)), layers, form(6), threshold=form(0), weight_format=weights,
        activation_format=weights, input_format=weights, pool_format=weights, reciprocal_bits=form(8),
    )  # fmt: skip
    return own, preset, sp.SparseCNN(architecture)


@pytest.mark.parametrize("form", [np.int64, np.float32, float, np.array, torch.tensor])
def test_files_are_those_of_plain_numbers(form, tmp_path):
    for model, expected in zip(described(form), described(int), strict=True):
        assert repr(model) == repr(expected)
        exported = [
            sp.export_onnx(m, tmp_path / "model.onnx", form_of_shape).SerializeToString()
            for m, form_of_shape in (
                (model, getattr(model, "input_shape", tuple(form(size) for size in (1, 8, 8)))),
                (expected, getattr(expected, "input_shape", (1, 8, 8))),
            )
        ]
        assert exported[0] == exported[1]
        if isinstance(model, sp.SparseCNN):
            assert model.architecture == expected.architecture
            assert Architecture.from_dict(model.architecture.to_dict()) == model.architecture
            sp.save(model, tmp_path / "model.pt")
            assert repr(sp.load(tmp_path / "model.pt")) == repr(expected)


NAN, INF = float("nan"), float("inf")
REFUSED = [
    (lambda: sp.FixedPoint(8.5, 3), r"FixedPoint: width must be a whole number of bits, 1 \.\.\. 62, found 8.5"),
    (lambda: sp.FixedPoint(True, 3), "FixedPoint: width must be .*found True"),
    (lambda: sp.FixedPoint("8", 3), "FixedPoint: width must be .*found '8'"),
    (lambda: sp.FixedPoint(63, 3), "FixedPoint: width must be .*found 63"),
    (lambda: sp.FixedPoint(8, NAN), "FixedPoint: integer must be .*found nan"),
    (lambda: sp.FixedPoint(8, 10**9), "FixedPoint: integer must be .*found 1000000000"),
    (lambda: sp.FixedPoint(8, None), "FixedPoint: integer must be .*found None"),
    (lambda: sp.FixedPoint(8, 3, "yes"), "FixedPoint: signed must be True or False, found 'yes'"),
    (lambda: sp.FixedPoint(8, 3, True, ["ROUND"]), r"FixedPoint: rounding must be one of .*found \['ROUND'\]"),
    (lambda: sp.FixedPoint(8, 3, overflow=None), "FixedPoint: overflow must be one of .*found None"),
    (lambda: sp.LearnedFixedPoint(8.5), "LearnedFixedPoint: width must be a whole number of bits, found 8.5"),
    (lambda: sp.LearnedFixedPoint(8, initial_integer="1"), "LearnedFixedPoint: initial_integer must be .*found '1'"),
    (lambda: sp.LearnedFixedPoint(8, min_width=NAN), "LearnedFixedPoint: min_width must be .*found nan"),
    (lambda: sp.LearnedFixedPoint(8, learn_width=3), "LearnedFixedPoint: learn_width must be True or False, found 3"),
    (lambda: sp.QuantReLU(sp.LearnedFixedPoint(8, initial_integer=10**6)), "QuantReLU: the integer bits must be"),
    (lambda: sp.QuantReLU(sp.LearnedFixedPoint(63)), r"QuantReLU: width must be 2 \.\.\. 16 bits, found 63"),
    (lambda: sp.QuantReLU(8), "QuantReLU: a format must be FixedPoint"),
    (lambda: sp.SparseInputReduce(10**12), "SparseInputReduce: max_pixels must be an int of at most 16777216"),
    (lambda: sp.SparseInputReduce(-1), "SparseInputReduce: max_pixels must be an int >= 1, found -1"),
    (lambda: sp.SparseInputReduce(2.5), "SparseInputReduce: max_pixels must be an int >= 1, found 2.5"),
    (lambda: sp.SparseInputReduce(True), "SparseInputReduce: max_pixels must be an int >= 1, found True"),
    (lambda: sp.SparseInputReduce(2, "0.5"), "SparseInputReduce: threshold must be finite.*found '0.5'"),
    (lambda: sp.SparseInputReduce(2, None), "SparseInputReduce: threshold must be finite.*found None"),
    (lambda: sp.SparseInputReduce(2, INF), "SparseInputReduce: threshold must be finite.*found inf"),
    (lambda: sp.SparseInputReduce(2, np.zeros(2)), "SparseInputReduce: threshold must be finite.*a single number"),
    (lambda: sp.SparseInputReduce(2, activity=["sum"]), "SparseInputReduce: activity must be one of"),
    (lambda: sp.SparseInputReduce(2, learn_threshold="no"), "SparseInputReduce: learn_threshold must be True or False"),
    (lambda: sp.SparseConv2d(1.5, 1, 3), "SparseConv2d: in_channels must be an int >= 1, found 1.5"),
    (lambda: sp.SparseConv2d(1, "2", 3), "SparseConv2d: out_channels must be an int >= 1, found '2'"),
    (lambda: sp.SparseConv2d(1, 1, "33"), "SparseConv2d: kernel_size must be an int >= 1 or .*found '33'"),
    (lambda: sp.SparseConv2d(1, 1, (3, NAN)), "SparseConv2d: kernel_size must be .*nan"),
    (lambda: sp.SparseConv2d(1, 1, 10**9 + 1), "SparseConv2d: kernel_size must be"),
    (lambda: sp.SparseConv2d(10**6, 10**6, 3), r"SparseConv2d: its 1000000 x 1000000 x 3 x 3 weights .* GiB"),
    (lambda: sp.SparseConv2d(1, 1, 3, bias="no"), "SparseConv2d: bias must be True or False, found 'no'"),
    (lambda: sp.SparseConv2d(1, 1, 3, batch_norm=2), "SparseConv2d: batch_norm must be True or False, found 2"),
    (lambda: sp.SparseConv2d(2, 2, 3, groups=1.5), "SparseConv2d: groups must be an int >= 1, found 1.5"),
    (lambda: sp.SparseConv2d(1, 1, 3, stride=(1, -1)), "SparseConv2d: stride must be"),
    (lambda: sp.QuantConv2d(10**6, 10**6, 3), "QuantConv2d: its 1000000 x 1000000 x 3 x 3 weights"),
    (lambda: sp.QuantConv2d(1, True, 3), "QuantConv2d: out_channels must be an int >= 1, found True"),
    (lambda: sp.QuantLinear(10**7, 10**7), "QuantLinear: its 10000000 x 10000000 weights would take 372,529 GiB"),
    (lambda: sp.QuantLinear(3, NAN), "QuantLinear: out_features must be an int >= 1, found nan"),
    (lambda: sp.SparseAvgPool2d(2, 1e400), "SparseAvgPool2d: reciprocal_bits must be an int >= 1, found inf"),
    (lambda: sp.SparseAvgPool2d(2, "8"), "SparseAvgPool2d: reciprocal_bits must be an int >= 1, found '8'"),
    (lambda: sp.SparseAvgPool2d(np.zeros(2)), "SparseAvgPool2d: kernel_size must be an int >= 1"),
    (lambda: sp.SparseGlobalAvgPool2d(-8), "SparseGlobalAvgPool2d: reciprocal_bits must be an int >= 1, found -8"),
    (lambda: sp.SparseMaxPool2d(2.5), "SparseMaxPool2d: kernel_size must be an int >= 1 or a pair of them, found 2.5"),
    (lambda: sp.SparseMaxPool2d(2, over=1), "SparseMaxPool2d: over must be one of"),
    (lambda: sp.SparseLeakyReLU("0.5"), "SparseLeakyReLU: negative_slope must be a power of two.*found '0.5'"),
    (lambda: sp.SparseLeakyReLU(None), "SparseLeakyReLU: negative_slope must be a power of two.*found None"),
    (lambda: sp.QuantLeakyReLU(INF), "QuantLeakyReLU: negative_slope must be a power of two.*found inf"),
    (lambda: sp.SparseBatchNorm2d(2.5), "SparseBatchNorm2d: num_features must be an int >= 1, found 2.5"),
    (lambda: sp.SparseBatchNorm2d(2, NAN), "SparseBatchNorm2d: eps must be a number of at least 0, found nan"),
    (lambda: sp.SparseBatchNorm2d(2, momentum=2), "SparseBatchNorm2d: momentum must be None or 0 ... 1, found 2"),
    (lambda: sp.models.digits(-1), "digits: max_pixels must be an int >= 1, found -1"),
    (lambda: sp.models.digits(10**12), "digits: max_pixels must not exceed the 2304 pixels"),
    (lambda: sp.models.digits("20"), "digits: max_pixels must be an int >= 1, found '20'"),
    (lambda: sp.models.digits(bits="8"), "digits: bits must be 2 ... 16 or None"),
    (lambda: sp.models.digits(bits=[8]), "digits: bits must be 2 ... 16 or None"),
    (lambda: sp.models.digits(threshold=NAN), "digits: threshold must be a finite number, found nan"),
    (lambda: sp.models.digits(head="softmax"), "digits: head must be True or False, found 'softmax'"),
    (lambda: sp.models.digits(sparse="no"), "digits: sparse must be True or False, found 'no'"),
    (lambda: sp.models.digits(reciprocal_bits=NAN), "digits: reciprocal_bits must be an int >= 1, found nan"),
    (lambda: sp.models.digits(input_format=8), "digits: input_format: a format must be FixedPoint"),
    (lambda: Layer("conv", 0, 1), "Layer 'conv': size must be an int >= 1, found 0"),
    (lambda: Layer("conv", 3), "Layer 'conv': out_channels must be an int >= 1, found 0"),
    (lambda: Layer("dense", 2.5), "Layer 'dense': size must be an int >= 1, found 2.5"),
    (lambda: Architecture("a", (1, -8, 8), (Layer("dense", 1),), 3), "a: input_shape must be .*-8"),
    (lambda: Architecture("a", "188", (Layer("dense", 1),), 3), "a: input_shape must be .*'188'"),
]  # fmt: skip


@pytest.mark.parametrize(("build", "message"), REFUSED)
def test_other_numbers_are_refused_at_construction(build, message):
    with pytest.raises(sp.SparsePixError, match=message):
        build()


def test_all_problems_of_a_format_at_once():
    with pytest.raises(sp.SparsePixError) as error:
        sp.FixedPoint(8.5, "3", None, "NEAR", "CLIP")
    assert [line.split()[1] for line in error.value.problems] == ["width", "integer", "signed", "rounding", "overflow"]
