"""The presets: those of the paper, one for whole LArTPC windows, one for digits that need no file, one for muons.

The presets are those of SparsePixels (arXiv 2512.06208), with its widths of weights and activations. Their binary
points are calibrated in training; those of the paper, from which they start, clip too much to train well
(docs/results/training.md). What the paper leaves unquantized (image, pooled average) firmware cannot; the formats for
these are ours, chosen so that no published model changes a decision. Whole windows, digits and muons are ours.
"""

from dataclasses import dataclass, replace
from typing import Literal, TypedDict, Unpack

from sparsepix.models.architecture import Architecture, Layer
from sparsepix.models.preset_names import BITS_PER, FORMATS
from sparsepix.models.sparse_cnn import SparseCNN
from sparsepix.quant.formats import MAX_WIDTH, MIN_WIDTH, CalibratedFixedPoint, Format, LearnedFixedPoint, Per
from sparsepix.util.checks import check_flag
from sparsepix_ops.errors import SparsePixError
from sparsepix_ops.fixed_point import FixedPoint
from sparsepix_ops.whole import whole_number


@dataclass(frozen=True)
class _Formats:
    """The formats of a preset at one width."""

    weight: FixedPoint
    activation: FixedPoint
    input: FixedPoint
    pool: FixedPoint
    reciprocal_bits: int


def _unsigned(width: int, integer: int) -> FixedPoint:
    return FixedPoint(width, integer, signed=False)


# The published models were trained without rounding the image and the pooled averages. With these formats none of the
# 24 changes a decision on its published events (benchmarks/published_decisions.py). Images are scaled to 0 ... 1; a
# format without integer bits holds 1 as its largest value, just below 1, and the rest in half the steps.

# 16-bit models share their formats.
_WIDE = _Formats(FixedPoint(16, 7), _unsigned(16, 6), _unsigned(16, 1), _unsigned(16, 6), 16)
# Neutrino: a 12-bit image, and 11 bits of reciprocal for the sum of a whole 7x7 cell, keep every sum within the 24 bits
# of float32. The average stays below 2, since 24 pixels of less than 4 would have to lie in one cell.
# Jets: their activations have steps of 1/16 and their weights reach 16, so that an activation rounded the other way
# moves a logit by up to a half. 15 bits of image are the fewest with which no decision changes. For some weights the
# worst sum is then longer than 24 bits, and export takes double.
# MNIST: pools of 4x4 and 2x2 shift, and 12 bits hold the averages of the 8-bit model exactly; with a 12-bit image no
# decision changes on the 10,000 test images either. In 16 bits their averages stay below 4.2: 3 integer bits are enough
# and leave 13 for the fraction, where the 10 of 6 integer bits changed two decisions.
_FORMATS: dict[str, dict[int, _Formats]] = {
    "neutrino": {
        8: _Formats(FixedPoint(8, 3), _unsigned(8, 2), _unsigned(12, 1), _unsigned(11, 1), 11),
        16: _WIDE,
    },
    # Pixels have 91 values, 0.1 ... 1 in steps of 1/100. The pool's cells have 16 places: its division is a shift.
    "neutrino_large": {
        8: _Formats(FixedPoint(8, 3), _unsigned(8, 2), _unsigned(8, 1), _unsigned(11, 2), 11),
        16: _WIDE,
    },
    "jet": {
        8: _Formats(FixedPoint(8, 5), _unsigned(8, 4), _unsigned(15, 0), _unsigned(12, 4), 11),
        16: _WIDE,
    },
    "mnist": {
        8: _Formats(FixedPoint(8, 1), _unsigned(8, 0), _unsigned(12, 0), _unsigned(12, 0), 11),
        16: replace(_WIDE, pool=_unsigned(16, 3)),
    },
    "digits": {
        8: _Formats(FixedPoint(8, 2), _unsigned(8, 3), _unsigned(8, 1), _unsigned(10, 3), 11),
        16: _WIDE,
    },
    "muon": {
        8: _Formats(FixedPoint(8, 3), _unsigned(8, 3), _unsigned(8, 1), _unsigned(12, 3), 11),
        16: _WIDE,
    },
}


_LAYERS: dict[str, tuple[Layer, ...]] = {
    "neutrino": (
        Layer("conv", 7, 1),
        Layer("conv", 7, 3),
        Layer("avg_pool", 7),
        Layer("dense", 16),
        Layer("dense", 1),
    ),
    "jet": (
        Layer("conv", 9, 3),
        Layer("conv", 9, 1),
        Layer("avg_pool", 4),
        Layer("dense", 20),
        Layer("dense", 5),
    ),
    "mnist": (
        Layer("conv", 7, 1),
        Layer("avg_pool", 4),
        Layer("conv", 5, 3),
        Layer("avg_pool", 2),
        Layer("dense", 36),
        Layer("dense", 10),
    ),
}
# At the default inflation the digits' pixels lie 3 apart: the 7x7 kernel meets the direct neighbours, and the
# pool brings the pixels back on a dense grid without merging any.
_LAYERS["digits"] = (
    Layer("conv", 7, 3),
    Layer("max_pool", 3),
    Layer("dense", 24),
    Layer("dense", 10),
)
# Lists of hundreds of pixels are for streams of pixels, whose area grows with kernels and channels: small kernels, and
# four strides in place of one large pool.
_LAYERS["neutrino_large"] = (
    Layer("conv", 3, 4, stride=2),
    Layer("conv", 3, 6, stride=2),
    Layer("conv", 3, 8, stride=2),
    Layer("conv", 3, 8, stride=2),
    Layer("conv", 3, 8),
    Layer("avg_pool", 4),
    Layer("dense", 16),
    Layer("dense", 1),
)
# The kernel spans a station of four layers and its neighbours', the pool one station.
_LAYERS["muon"] = (
    Layer("conv", 7, 3),
    Layer("avg_pool", 4),
    Layer("dense", 20),
    Layer("dense", 3),
)
_INPUT_SHAPES = {
    "neutrino": (1, 63, 63),
    "neutrino_large": (1, 256, 512),
    "jet": (1, 56, 56),
    "mnist": (1, 48, 48),
    "digits": (1, 48, 48),
    "muon": (1, 16, 64),
}


class PresetOptions(TypedDict, total=False):
    """What every preset takes besides ``max_pixels`` and ``bits``.

    Attributes:
        sparse: False gives the standard CNN of the same architecture.
        head: append the paper's Sigmoid (neutrino) or Softmax.
        threshold: a pixel is active above it; 0 if left out.
        selection: 'raster' (if left out) or 'magnitude' (see ``SparseInputReduce``).
        bias_on: 'active' (if left out), or 'nonzero' for models trained with the published Keras layers.
        input_format: of the image; None leaves it unquantized, as the published training did.
        pool_format: of pooled averages; None leaves them unquantized.
        formats: 'calibrated' (if left out): ``calibrate``, which ``training.fit`` calls, moves the binary points of
            weights, activations and pooled averages, each tensor's for itself; 'paper': they stay where they start.
        reciprocal_bits: of the pools' reciprocals; None divides truly. Models with one of these
            three set to None are for torch only: export refuses them.
        batch_norm: whether the convolutions normalize their outputs; False if left out.
        learn_max_pixels: learn the budget, from 1 to ``max_pixels``.
        learn_threshold: learn the threshold.
        learn_bits: learn scale and width of these formats, from 2 bits to those of the preset.
        bits_per: what has a width of its own then: each 'tensor' (if left out); each output 'channel' of weights, each
            channel of features and each element of vectors, from 0 bits on; the same with each 'weight'.
    """

    sparse: bool
    head: bool
    threshold: float
    selection: Literal["raster", "magnitude"]
    bias_on: Literal["active", "nonzero"]
    input_format: Format
    pool_format: Format
    formats: Literal["calibrated", "paper"]
    reciprocal_bits: int | None
    batch_norm: bool
    learn_max_pixels: bool
    learn_threshold: bool
    learn_bits: bool
    bits_per: Literal["tensor", "channel", "weight"]


def neutrino(max_pixels: int = 20, bits: int | None = 8, **options: Unpack[PresetOptions]) -> SparseCNN:
    """Neutrino against cosmic background in LArTPC windows [B, 1, 63, 63]: one logit.

    Args:
        max_pixels: N, the slots of the list of active pixels.
        bits: width of weights and activations, 2 ... 16 (8 and 16 are the paper's), or None for float everywhere.
        options: see ``PresetOptions``.

    Raises:
        SparsePixError: an argument is none of these.
    """
    return _preset("neutrino", max_pixels, bits, options)


def neutrino_large(max_pixels: int = 512, bits: int | None = 8, **options: Unpack[PresetOptions]) -> SparseCNN:
    """Neutrino against cosmic background in whole LArTPC windows [B, 1, 256, 512]: one logit.

    Five convolutions, four of them with a stride, for firmware that is a stream of pixels. Arguments as for
    ``neutrino``.
    """
    return _preset("neutrino_large", max_pixels, bits, options)


def jet(max_pixels: int = 20, bits: int | None = 8, **options: Unpack[PresetOptions]) -> SparseCNN:
    """Five classes of LHC jets in images [B, 1, 56, 56]: five logits. Arguments as for ``neutrino``."""
    return _preset("jet", max_pixels, bits, options)


def mnist(max_pixels: int = 20, bits: int | None = 8, **options: Unpack[PresetOptions]) -> SparseCNN:
    """Sparsified MNIST [B, 1, 48, 48]: ten logits. Arguments as for ``neutrino``."""
    return _preset("mnist", max_pixels, bits, options)


def digits(max_pixels: int = 20, bits: int | None = 8, **options: Unpack[PresetOptions]) -> SparseCNN:
    """Sparsified digits of scikit-learn [B, 1, 48, 48]: ten logits. Arguments as for ``neutrino``."""
    return _preset("digits", max_pixels, bits, options)


def muon(max_pixels: int = 20, bits: int | None = 8, **options: Unpack[PresetOptions]) -> SparseCNN:
    """Background, negative or positive muon in layers of chambers [B, 1, 16, 64] (see ``datasets.synthetic_muons``).

    Three logits. Arguments as for ``neutrino``.
    """
    return _preset("muon", max_pixels, bits, options)


def _adapting(format: Format, learned: bool, per: Per) -> Format:
    """A fixed format as the start of a calibrated or learned one; others as they are."""
    if not isinstance(format, FixedPoint):
        return format
    if learned:
        least = MIN_WIDTH if per == "tensor" else 0
        start = (format.width, format.signed, format.rounding, format.integer)
        return LearnedFixedPoint(*start, learn_width=True, min_width=least, per=per)
    return CalibratedFixedPoint(format.width, format.signed, format.rounding, format.integer)


def _formats_of(name: str, bits: int) -> dict[str, Format | int]:
    """The formats of a preset as options of an architecture.

    At another width than the paper's, those of the next wider one with fewer fraction bits.
    """
    formats = _FORMATS[name][8 if bits <= 8 else 16]
    return {
        "weight_format": replace(formats.weight, width=bits),
        "activation_format": replace(formats.activation, width=bits),
        "input_format": formats.input,
        "pool_format": formats.pool,
        "reciprocal_bits": formats.reciprocal_bits,
    }


def _preset(name: str, max_pixels: int, bits: int | None, options: PresetOptions) -> SparseCNN:
    unknown = sorted(set(options) - set(PresetOptions.__annotations__))
    if unknown:
        raise SparsePixError(
            f"{name}: unknown option {unknown[0]!r}; the options are {sorted(PresetOptions.__annotations__)}"
        )
    width = whole_number(bits)
    if bits is not None and (width is None or not MIN_WIDTH <= width <= MAX_WIDTH):
        raise SparsePixError(f"{name}: bits must be {MIN_WIDTH} ... {MAX_WIDTH} or None (float), found {bits!r}")
    given = dict(options)
    head, learn_bits = (check_flag(name, option, given.pop(option, False)) for option in ("head", "learn_bits"))
    formats = given.pop("formats", "calibrated")
    if not isinstance(formats, str) or formats not in FORMATS:
        raise SparsePixError(f"{name}: formats must be one of {', '.join(FORMATS)}, found {formats!r}")
    if learn_bits and bits is None:
        raise SparsePixError(f"{name}: learn_bits needs widths to start from, found bits=None; take bits=8 or bits=16")
    if width is not None:
        given = _formats_of(name, width) | given
    per = given.pop("bits_per", "tensor")
    if not isinstance(per, str) or per not in BITS_PER:
        raise SparsePixError(f"{name}: bits_per must be one of {', '.join(BITS_PER)}, found {per!r}")
    if per != "tensor" and not learn_bits:
        raise SparsePixError(
            f"{name}: bits_per={per!r} is for widths that are learned; take learn_bits=True or --learn bits"
        )
    if learn_bits or formats == "calibrated":
        for field in ("weight_format", "activation_format", "pool_format"):
            if field not in options:
                of_values = "channel" if per == "weight" else per
                given[field] = _adapting(given.get(field), learn_bits, per if field == "weight_format" else of_values)
    if head:
        given["head"] = "sigmoid" if name in ("neutrino", "neutrino_large") else "softmax"
    return SparseCNN(Architecture(name, _INPUT_SHAPES[name], _LAYERS[name], max_pixels, **given))
