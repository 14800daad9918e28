"""Learned widths, and learned formats that differ within a tensor."""

import math

import torch
from torch import Tensor, nn

from sparsepix.quant.bounded import bounded
from sparsepix.quant.formats import MAX_INTEGER, LearnedFixedPoint
from sparsepix.quant.functions import LearnedQuantize, round_straight
from sparsepix.util.last_forward import LastForward
from sparsepix_ops.errors import SparsePixError
from sparsepix_ops.fixed_point import FixedPoint
from sparsepix_ops.fixed_points import FixedPoints


def check_places(owner: str, places: int, x: Tensor) -> None:
    """Check that values have so many places along the last axis, as formats of each have.

    Raises:
        SparsePixError: another number; an image.
    """
    if x.shape[-1:] != (places,) or x.dim() == 4:
        image = "; an image has one format" if x.dim() == 4 else ""
        raise SparsePixError(
            f"{owner}: expected {places} places along the last axis, one for each format, found the shape "
            f"{tuple(x.shape)}{image}"
        )


def check_learned(owner: str, exponents: Tensor, widths: Tensor) -> None:
    """Check that learned scales and widths are some that a format can have.

    Raises:
        SparsePixError: one is not finite, or a scale has run away.
    """
    wrong = exponents[~(exponents.abs() <= MAX_INTEGER)].flatten()
    if len(wrong):
        raise SparsePixError(
            f"{owner}: the learned scale must stay within 2**-{MAX_INTEGER} ... 2**{MAX_INTEGER}, found "
            f"2**{float(wrong[0])}; lower the learning rate or give a fixed format"
        )
    if not widths.isfinite().all():
        raise SparsePixError(f"{owner}: the learned width is not finite; lower the learning rate")


class LearnedWidth(nn.Module):
    """Widths that are learned, as whole numbers; one is the bit width that Brevitas's quantizer asks for.

    Brevitas's own ``BitWidthParameter`` runs away above an upper bound and turns around below the lower one; this one
    stops at both and can leave them again. The parameter ``share`` is the width as a share of its start, so
    that learning rates made for weights suit it.

    Args:
        smallest: the smallest width.
        largest: the width to start from, and the largest.
        shape: () for one width. The parameter is a vector whatever it is: weight decay is for matrices.
    """

    def __init__(self, smallest: int, largest: int, shape: tuple[int, ...] = ()) -> None:
        super().__init__()
        self.smallest, self.largest, self.shape = smallest, largest, shape
        self.share = nn.Parameter(torch.ones(math.prod(shape)) if shape else torch.tensor(1.0))

    def forward(self) -> Tensor:
        """The widths, in their shape; gradients go straight through the rounding."""
        # In float64, so that a float and a double model round to the same width.
        width = bounded(self.share.double(), self.smallest / self.largest, 1.0) * self.largest
        return round_straight(width).to(self.share.dtype).view(self.shape)


class LearnedPlaces(nn.Module):
    """Range and width of each place of a tensor.

    Args:
        format: with ``per`` other than 'tensor'.
        owner: what is quantized, for messages.
        shape: of the weights; of activations the number of places of their last axis alone.

    Raises:
        SparsePixError: the number of places is not given.
    """

    def __init__(self, format: LearnedFixedPoint, owner: str, shape: tuple[int, ...] | int | None) -> None:
        super().__init__()
        if shape is None:
            raise SparsePixError(
                f"{owner}: per={format.per!r} needs the number of places; give num_features=, the channels of the "
                "pixels or the elements of the vector"
            )
        self.format, self.owner = format, owner
        self.of_weights = isinstance(shape, tuple)
        places = (shape[0], *[1] * (len(shape) - 1)) if self.of_weights else (shape,)
        # A range for each weight would be its value's own: it is the width alone that differs.
        self.range_shape = () if format.per == "weight" else places
        self.width_shape = shape if format.per == "weight" else places
        start = float(format.initial_integer - int(format.signed))
        self.exponent = nn.Parameter(torch.full((math.prod(self.range_shape),), start))
        width = (format.min_width, format.width, self.width_shape)
        self.width = LearnedWidth(*width) if format.learn_width else None
        self.last_forward = LastForward()

    def widths(self) -> Tensor:
        """Bits of each place, whole numbers with a gradient, in the shape that broadcasts against the values."""
        if self.width is None:
            return self.exponent.new_full(self.width_shape, float(self.format.width))
        return self.width()

    def quantize(self, x: Tensor) -> Tensor:
        """Round and clip each place to its format.

        Raises:
            SparsePixError: another number of places; an image.
        """
        if not self.of_weights:
            check_places(self.owner, *self.width_shape, x)
        widths, exponent = self.widths(), self.exponent.view(self.range_shape)
        out = LearnedQuantize.apply(x, exponent, widths, self.format.signed, self.format.rounding == "FLOOR")
        if self.format.per == "weight":
            self.last_forward.values = out.detach()
        return out

    def bits(self) -> Tensor:
        """Bits that products with each place take, with a gradient to the widths; broadcasts against the values.

        A weight of its own format needs those between its first and its last one alone, and its sign; 0 needs none.

        Raises:
            SparsePixError: the weights have not been quantized yet.
        """
        widths = self.widths()
        if self.format.per != "weight":
            return widths
        if not vars(self.last_forward):
            raise SparsePixError(f"{self.owner}: has seen no images yet; run the model on a batch, or pass images")
        sign = int(self.format.signed)
        step = 2.0 ** (self.exponent.detach().round() - (widths.detach() - sign))
        steps = (self.last_forward.values / step).abs()
        needed = (torch.frexp(steps)[1] + sign).to(widths)
        return (needed + (widths - widths.detach())) * (steps > 0)

    def formats(self) -> list[FixedPoint | None]:
        """The present format of each place, in order; None where it has no bits.

        Raises:
            SparsePixError: a scale or width is not finite, or a scale has run away.
        """
        exponents, widths = self.exponent.detach(), self.widths().detach().flatten()
        check_learned(self.owner, exponents, widths)
        signed, rounding = self.format.signed, self.format.rounding
        integers = (exponents.round() + int(signed)).expand(len(widths)).tolist()
        return [
            FixedPoint(int(width), int(integer), signed, rounding) if width else None
            for width, integer in zip(widths.tolist(), integers, strict=True)
        ]

    def present(self) -> FixedPoints:
        """The present formats of activations.

        Raises:
            SparsePixError: see ``formats``; no bits are left, or too many for one grid.
        """
        found = self.formats()
        if not any(found):
            raise SparsePixError(
                f"{self.owner}: no place has any bits left; lower the weight of the penalty 'ebops', or raise min_width"
            )
        return FixedPoints(tuple(found))

    @torch.no_grad()
    def set_integers(self, integers: Tensor) -> None:
        """Move the binary points.

        Args:
            integers: bits left of it for each range, the sign bit included: [places], or one for all of them.
        """
        self.exponent.copy_((integers - int(self.format.signed)).expand_as(self.exponent))

    def by_place(self, x: Tensor) -> Tensor:
        """Values as [any, places] of the ranges."""
        if len(self.exponent) == 1:
            return x.reshape(-1, 1)
        return x.flatten(1).t() if self.of_weights else x.reshape(-1, len(self.exponent))
