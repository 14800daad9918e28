"""What a user asks of a design: the arguments of ``sparsepix-hls``, the keys of its YAML file, ``hls.Options``.

Names, choices, defaults and help are said here, once. Nothing heavy is imported: ``--help`` has to answer at once.
"""

import numbers
import reprlib
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from sparsepix_hls.ir.choices import CHOICES
from sparsepix_ops.errors import SparsePixError
from sparsepix_ops.system.options import Option, option, options_of, with_help

LARGEST_NUMBER = 2**31 - 1
CLOCK_UNCERTAINTY = 27  # percent, the default of Vitis HLS

REDUCTIONS = ("scan", "stream", "tree")
IO = ("parallel", "stream")
CONVS, FLATTENS, DENSES = CHOICES["conv"], CHOICES["flatten"], CHOICES["dense"]
AUTO = "auto"


@with_help
@dataclass(frozen=True)
class LayerOptions:
    """What a user asks of one layer; None leaves it to the options of the model.

    Raises:
        SparsePixError: a value of another kind.
    """

    implementation: str | None = option(None, "of the options conv, flatten or dense, whichever the layer is, or auto")
    reuse_factor: int | None = option(None, "compute the layer in so many rounds, on as small a part of its hardware")

    def __post_init__(self) -> None:
        if problems := _made_plain(self):
            raise SparsePixError(problems, "options of a layer")


@with_help
@dataclass(frozen=True)
class Options:
    """What a user asks of a design; every choice computes the same bits.

    Besides its options there is ``layers``: options of single layers, by name; they come first. With 'auto' the
    smaller by estimate is taken. With a target interval, the reuse of each layer is the one with the smallest area.

    Raises:
        SparsePixError: a value of another kind; whether it can be built is said when a design is made.
    """

    reduce: str = option(
        AUTO,
        "input reduction: one active pixel a clock, P pixels a clock, or the whole image every clock "
        "(default: %(default)s)",
        choices=(*REDUCTIONS, AUTO),
    )
    pixels_per_cycle: int | None = option(
        None, "pixels a clock of a stream (default: one row of the image)", metavar="P"
    )
    scan_pixels: int | None = option(None, "active pixels that a scan lists a clock, 1 or 2 (default: 1)", metavar="P")
    io: str = option(
        AUTO,
        "ports: all pixels at once, or AXI4-Stream with P pixels a beat; auto: all at once, or a stream where pixels "
        "go one by one (default: %(default)s)",
        choices=(*IO, AUTO),
    )
    conv: str = option(
        AUTO,
        "convolutions: a looked-up weight for each pair of pixels, constant weights for each kernel position, the "
        "first one overlapped with the scan, or all sparse layers on pixels that come one by one; auto takes the last "
        "where the others fill more than 80 %% of the part, or are larger at the target interval (default: "
        "%(default)s)",
        choices=(*CONVS, AUTO),
    )
    flatten: str = option(
        AUTO,
        "flatten and dense: a vector, or looked-up weights (default: %(default)s)",
        choices=(*FLATTENS, AUTO),
    )
    dense: str = option(
        "multiply",
        "dense layers: products, or a graph of adders (da4ml) (default: %(default)s)",
        choices=(*DENSES, AUTO),
    )
    reuse_factor: int | None = option(None, "compute each layer in R rounds on 1/R of it (default: 1)", metavar="R")
    clock_uncertainty: int | None = option(
        None, "hls: part of the clock that is kept free for routing, in percent (default: 27)", metavar="PERCENT"
    )
    dsp: int | None = option(
        None, "rtl: products in DSP slices, at most so many; the others in LUTs (default: 0)", metavar="D"
    )
    target_interval: int | None = option(None, "choose each layer's reuse: no stage slower than C cycles", metavar="C")
    layers: Mapping[str, LayerOptions] = field(default_factory=dict)

    def __post_init__(self) -> None:
        problems = _made_plain(self)
        if not isinstance(self.layers, Mapping):
            problems.append(f"layers: expected LayerOptions by the names of layers, found {reprlib.repr(self.layers)}")
        else:
            problems += [
                f"layers: {reprlib.repr(name)}: expected a layer's name and LayerOptions, found {reprlib.repr(own)}"
                for name, own in self.layers.items()
                if not isinstance(name, str) or not isinstance(own, LayerOptions)
            ]
        if problems:
            raise SparsePixError(problems, "options")


def _made_plain(options: Any) -> list[str]:
    """Make the numbers of some options ints, those of numpy too; a message for each value of another kind."""
    problems = []
    for one in options_of(type(options)):
        value = getattr(options, one.name)
        if (problem := _problem(one, value)) is not None:
            problems.append(f"{one.name}: {problem}")
        elif one.kind is int and value is not None:
            object.__setattr__(options, one.name, int(value))
    return problems


def _problem(one: Option, value: Any) -> str | None:
    if value is None and one.optional:
        return None
    if one.kind is str:
        return None if isinstance(value, str) else f"expected a word, found {reprlib.repr(value)}"
    if isinstance(value, bool) or not isinstance(value, numbers.Integral):
        return f"expected a whole number, found {reprlib.repr(value)}"
    if value > LARGEST_NUMBER:
        return f"expected at most {LARGEST_NUMBER:,}, the largest int of C++, found {value:.3g}"
    return None
