"""Fake quantization to fixed-point formats: the only module that knows Brevitas.

Every scale is a power of two, so that in float32 and float64 scaling is exact and a quantized
value is the fixed-point number that the firmware holds.
"""

import contextlib
import math
import threading
from collections.abc import Iterator
from typing import Any

import torch
from brevitas.core.bit_width import BitWidthConst
from brevitas.core.function_wrapper import FloorSte, Identity, RoundSte
from brevitas.core.quant import IntQuant, RescalingIntQuant
from brevitas.core.restrict_val import PowerOfTwoRestrictValue
from brevitas.core.scaling import ConstScaling, ParameterScaling, PowerOfTwoIntScaling
from brevitas.core.zero_point import ZeroZeroPoint
from torch import Tensor, nn

from sparsepix.quant.formats import (
    MAX_INTEGER,
    MIN_WIDTH,
    CalibratedFixedPoint,
    Format,
    LearnedFixedPoint,
    check_format,
    exact_format,
    has_places,
    is_plain,
    start_of,
)
from sparsepix.quant.functions import AnyQuantize, FixedQuantize, LearnedQuantize
from sparsepix.quant.learned_places import LearnedPlaces, LearnedWidth, check_learned, check_places
from sparsepix.recording.blank import is_blank
from sparsepix.recording.emit import emit, exporting, note_quantized
from sparsepix.util.precision import in_full_precision
from sparsepix_ops.errors import SparsePixError
from sparsepix_ops.fixed_point import FixedArray, FixedPoint
from sparsepix_ops.fixed_points import FixedPoints
from sparsepix_ops.ops.quant import parameters


@torch.no_grad()
def start_above_rounding(layer: nn.Module, format: Format) -> None:
    """Scale up the random initial ``weight`` and ``bias`` of a layer where their format would round most of them to 0.

    torch draws them between -1 / sqrt(inputs) and 1 / sqrt(inputs). Where that is less than two steps of the format
    they are stretched to two: a layer of zeros passes no gradient back, and many a coarse model would stay so. A
    calibrated format goes to the weights instead.
    """
    if format is None or isinstance(format, CalibratedFixedPoint):
        return
    step = start_of(format).scale
    stretch = 2 * step * math.sqrt(layer.weight[0].numel())
    if stretch > 1:
        layer.weight.mul_(stretch)
        if layer.bias is not None:
            layer.bias.mul_(stretch)


def rescaling_int_quant(format: FixedPoint | LearnedFixedPoint) -> RescalingIntQuant:
    """Brevitas's quantizer of a format: scale and width are constants, or parameters where they are learned.

    Brevitas scales by threshold / 2**bits, so the threshold is the power of two above the largest value.
    """
    start = start_of(format)
    learns_width = isinstance(format, LearnedFixedPoint) and format.learn_width
    width = LearnedWidth(format.min_width, format.width) if learns_width else BitWidthConst(start.width)
    scaling = ParameterScaling if isinstance(format, LearnedFixedPoint) else ConstScaling
    return RescalingIntQuant(
        IntQuant(
            narrow_range=False,
            signed=start.signed,
            input_view_impl=Identity(),
            float_to_int_impl=RoundSte() if start.rounding == "ROUND" else FloorSte(),
        ),
        scaling(2.0 ** (start.integer - int(start.signed)), restrict_scaling_impl=PowerOfTwoRestrictValue()),
        PowerOfTwoIntScaling(signed=start.signed),
        ZeroZeroPoint(),
        width,
    )


_ENDS = ("_scale", "_low", "_high")


class Quantizer(nn.Module):
    """Rounds and clips a tensor to a format; gradients go straight through the rounding.

    Exact in float32 and float64. The parameters of a learned format and the scale of a calibrated one are in the
    state_dict; a fixed format adds nothing to it.

    Args:
        format: a fixed, calibrated or learned format, or fixed ones along the last axis (``FixedPoints``), of
            activations; None leaves the tensor as it is.
        owner: what is quantized, for messages, as 'SparseConv2d weight'.
        shape: of weights; of activations the number of places along the last axis, which a format for each of them
            that is learned needs.

    Raises:
        SparsePixError: a width outside 2 ... 16, or of a fixed format 2 ... 24 (from 1 where it wraps, clips to a
            symmetric range or rounds half up); a ``min_width`` above it, a binary point more than 64 bits away, formats
            along an axis of weights.
    """

    def __init__(self, format: Format, owner: str = "Quantizer", shape: tuple[int, ...] | int | None = None) -> None:
        super().__init__()
        check_format(format, owner)
        self.format = format
        self.plain = is_plain(format)  # asked at every call
        self.owner = owner
        self.bypassed = 0  # blocks of ``unquantized`` that hold now, in all threads
        self.learned = self.places = None
        if isinstance(format, LearnedFixedPoint) and has_places(format):
            self.places = LearnedPlaces(format, owner, shape)
        elif isinstance(format, LearnedFixedPoint):
            self.learned = rescaling_int_quant(format)
        # Tensors: torch takes longer to wrap a Python float than to multiply a small tensor by it.
        if not self.plain:
            for name, value in zip(_ENDS, parameters(format), strict=True):
                self.register_buffer(name, torch.tensor(value, dtype=torch.float32), persistent=False)
        elif isinstance(format, FixedPoint):
            self.register_buffer("_scale", torch.tensor(format.scale), persistent=False)
            self.register_buffer("_inverse", torch.tensor(1.0 / format.scale), persistent=False)
        elif isinstance(format, CalibratedFixedPoint):
            self.register_buffer("scale", torch.tensor(format.initial.scale))

    def _apply(self, fn: Any, recurse: bool = True) -> "Quantizer":
        super()._apply(fn, recurse)
        if not self.plain:  # whole numbers that a half precision on the way would have rounded
            for name, value in zip(_ENDS, parameters(self.format), strict=True):
                kept = getattr(self, name)
                dtype = kept.dtype if kept.dtype == torch.float64 else torch.float32
                self._buffers[name] = torch.tensor(value, dtype=dtype, device=kept.device)
        return self

    @property
    def fixed_point(self) -> FixedPoint | None:
        """The present format; of formats along the last axis the narrowest that holds all; None if there is none.

        Raises:
            SparsePixError: a learned scale or width is not finite, or the scale has run away; a calibrated scale is no
                power of two.
        """
        if isinstance(self.format, CalibratedFixedPoint):
            return self._calibrated()
        if isinstance(self.format, FixedPoints):
            return self.format.hull
        if self.places is not None:
            found = [format for format in self.places.formats() if format is not None]
            return FixedPoints(tuple(set(found))).hull if found else FixedPoint(MIN_WIDTH, 1)
        if self.learned is None:
            return self.format
        exponent, width = self.learned.scaling_impl.value.detach(), torch.as_tensor(self.bit_width).detach()
        check_learned(self.owner, exponent, width)
        # As RoundSte does: half to even.
        integer = round(float(exponent)) + int(self.format.signed)
        return FixedPoint(int(width), integer, self.format.signed, self.format.rounding)

    def _calibrated(self) -> FixedPoint:
        scale = float(self.scale)
        mantissa, exponent = math.frexp(scale)  # of a power of two: 0.5, and one more than its exponent
        integer = exponent - 1 + self.format.width
        if mantissa != 0.5 or abs(integer) > MAX_INTEGER:
            raise SparsePixError(
                f"{self.owner}: the calibrated scale must be a power of two that leaves -{MAX_INTEGER} ... "
                f"{MAX_INTEGER} integer bits, found {scale}; calibrate the model again"
            )
        return FixedPoint(self.format.width, integer, self.format.signed, self.format.rounding)

    @property
    def passes(self) -> bool:
        """Whether it passes on what it gets: without a format, or within ``unquantized``."""
        return self.format is None or self.bypassed > 0

    @property
    def adapts(self) -> bool:
        """Whether the binary point is set by a calibration or in training."""
        return isinstance(self.format, CalibratedFixedPoint | LearnedFixedPoint)

    @torch.no_grad()
    def set_integer(self, integer: int) -> None:
        """Move the binary point of a format that adapts; of formats for each place, that of all of them.

        Args:
            integer: bits left of it, the sign bit included.

        Raises:
            SparsePixError: the format is fixed, or there is none; a binary point more than 64 bits away.
        """
        if not self.adapts:
            raise SparsePixError(f"{self.owner}: only a calibrated or learned format can be moved, found {self.format}")
        if abs(integer) > MAX_INTEGER:
            raise SparsePixError(
                f"{self.owner}: the integer bits must be -{MAX_INTEGER} ... {MAX_INTEGER}, found {integer}"
            )
        if self.places is not None:
            self.places.set_integers(self.places.exponent.new_tensor(float(integer)))
        elif self.learned is None:
            self.scale.fill_(2.0 ** (integer - self.format.width))
        else:
            self.learned.scaling_impl.value.fill_(float(integer - int(self.format.signed)))

    @property
    def bit_width(self) -> Tensor | float | None:
        """The width: a scalar tensor with a gradient if it is learned; None if there is no format.

        Of formats for each place the mean; ``place_bits`` has each.
        """
        if self.format is None:
            return None
        if has_places(self.format):
            return self.place_bits.mean()
        learns_width = self.learned is not None and self.format.learn_width
        return self.learned.msb_clamp_bit_width_impl() if learns_width else float(self.format.width)

    @property
    def place_bits(self) -> Tensor | float | None:
        """Bits that products with the values take: ``bit_width``, or where formats differ within the tensor a tensor.

        The latter broadcasts against weights; of activations it is [places].
        """
        if self.places is not None:
            return self.places.bits()
        if isinstance(self.format, FixedPoints):
            return torch.tensor([float(e.width) if e else 0.0 for e in self.format.elements], device=self._scale.device)
        return self.bit_width

    def forward(self, x: Tensor) -> Tensor:
        """Quantize ``x`` [...]; the result has its shape and dtype."""
        if self.passes:
            return x
        x = in_full_precision(self.owner, x)
        if is_blank(x):
            op, constants, attributes = _node(self.present, x)
            return emit(op, (x, *constants), attributes, x.shape)
        result = self.quantize(x)
        if exporting():
            self._note(x, result)
        return result

    def quantize(self, x: Tensor) -> Tensor:
        """What ``forward`` does, at any time: in an export and within ``unquantized`` too."""
        format = self.format
        if self.places is not None:
            return self.places.quantize(x)
        if not self.plain:
            if isinstance(format, FixedPoints):
                check_places(self.owner, len(format.elements), x)
            ends = self._scale, self._low, self._high
            return AnyQuantize.apply(x, *ends, format.rounding, format.overflow == "WRAP")
        floor = format.rounding == "FLOOR"
        if self.learned is not None:
            exponent, width = self.learned.scaling_impl.value, self.learned.msb_clamp_bit_width_impl()
            return LearnedQuantize.apply(x, exponent, width, format.signed, floor)
        if isinstance(format, FixedPoint):
            scale, inverse = self._scale, self._inverse
        else:
            scale, inverse, format = self.scale, self.scale.reciprocal(), format.initial
        return FixedQuantize.apply(x, scale, inverse, format.raw_min, format.raw_max, floor)

    @property
    def present(self) -> FixedPoint | FixedPoints | None:
        """The format at this time: of formats for each channel or element each of them; see ``fixed_point``."""
        if isinstance(self.format, FixedPoints):
            return self.format
        return self.fixed_point if self.places is None or self.places.of_weights else self.places.present()

    def _note(self, x: Tensor, result: Tensor) -> None:
        """Record the quantizer of a constant."""
        if self.places is not None:  # the numbers themselves, on the grid that holds them
            x = result
            format = exact_format(FixedArray.from_real(result.detach().double().cpu().numpy()))
        else:
            format = self.present
        op, constants, attributes = _node(format, x)
        note_quantized(op, x, result, constants, attributes)

    def _load_from_state_dict(
        self, state_dict: dict[str, Any], prefix: str, metadata: Any, strict: bool, missing: list[str], *rest: list[str]
    ) -> None:
        super()._load_from_state_dict(state_dict, prefix, metadata, strict, missing, *rest)
        # Values of a float model, or of one with fixed formats, hold no scale: it stays, and can be calibrated.
        if f"{prefix}scale" in missing:
            missing.remove(f"{prefix}scale")

    def extra_repr(self) -> str:
        """The format, for ``print(model)``."""
        return f"calibrated, {self.fixed_point}" if isinstance(self.format, CalibratedFixedPoint) else str(self.format)


def _node(format: FixedPoint | FixedPoints, x: Tensor) -> tuple[str, tuple[Tensor, ...], dict[str, int | str]]:
    """Op, constants and attributes of the node that quantizes ``x``.

    The constants are scale, zero point and width of a ``Quant``, of a ``FixedPointQuant`` scale and ends.
    """
    if is_plain(format):
        constants = tuple(torch.tensor(v, dtype=x.dtype) for v in (format.scale, 0.0, float(format.width)))
        return "Quant", constants, {"signed": int(format.signed), "narrow": 0, "rounding_mode": format.rounding}
    constants = tuple(torch.tensor(value, dtype=x.dtype) for value in parameters(format))
    return "FixedPointQuant", constants, {"rounding_mode": format.rounding, "overflow": format.overflow}


_counting = threading.Lock()


@contextlib.contextmanager
def unquantized(model: nn.Module) -> Iterator[None]:
    """Within the block the quantizers of a model, in all threads, pass on what they get: the model computes in float.

    Args:
        model: with ``Quantizer`` modules at any depth.
    """
    found = [module for module in model.modules() if isinstance(module, Quantizer)]
    with _counting:
        for module in found:
            module.bypassed += 1
    try:
        yield
    finally:
        with _counting:
            for module in found:
                module.bypassed -= 1
