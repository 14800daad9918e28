"""From images to lists of active pixels."""

import math
from typing import Literal

import numpy as np
import torch
from torch import Tensor, nn

from sparsepix.nn.soft_selection import LearnedBudget, LearnedThreshold, presence, weighed
from sparsepix.pixels.sparse_pixels import SparsePixels, pixels_of
from sparsepix.recording.blank import is_blank
from sparsepix.recording.emit import emit_sparse
from sparsepix.util.checks import check_choice, check_flag, check_image, check_positive
from sparsepix.util.last_forward import LastForward
from sparsepix.util.precision import in_full_precision
from sparsepix.util.tracing import is_traced
from sparsepix_ops.errors import SparsePixError
from sparsepix_ops.fixed_point import FixedPoint
from sparsepix_ops.whole import real_number

Activity = Literal["first", "any", "sum"]
Selection = Literal["raster", "magnitude"]


class SparseInputReduce(nn.Module):
    """Keeps at most ``max_pixels`` active pixels of each image [B, C, H, W].

    Gradients flow to the kept pixels of the image. A learned budget or threshold selects in each step exactly as the
    hardware would with the values of that step; a surrogate shapes the gradient alone (see ``soft_selection``).
    While the budget learns, the list keeps its ``max_pixels`` slots, and those beyond the budget stay empty; in
    evaluation (outside of torch.compile) and in export it has as many slots as the budget says.

    Args:
        max_pixels: N, the slots of the list.
        threshold: a pixel is active if its score is larger; held as the nearest float32.
        activity: the score is the 'first' channel, the largest channel ('any' channel above the
            threshold), or the 'sum' of the channels.
        selection: if more are active, 'raster' keeps the first N in row-major order, 'magnitude'
            the N largest scores (ties to the earlier pixel). Both list them in row-major order.
        learn_max_pixels: learn the budget, from 1 to ``max_pixels``, where it starts.
        learn_threshold: learn the threshold, from where it starts; it stays at 0 or above.
        input_format: format of the image, on whose grid a learned threshold lies; None: any float32.

    The properties ``max_pixels`` and ``threshold`` give the present values.

    Raises:
        SparsePixError: a wrong argument; ``max_pixels`` larger than the image.
    """

    def __init__(
        self,
        max_pixels: int,
        threshold: float = 0.0,
        activity: Activity = "first",
        selection: Selection = "raster",
        learn_max_pixels: bool = False,
        learn_threshold: bool = False,
        input_format: FixedPoint | None = None,
    ) -> None:
        super().__init__()
        self.initial_max_pixels = check_positive("SparseInputReduce", "max_pixels", max_pixels)
        # The comparison is made in float32 and in float64: the threshold must be the same number in both.
        number = real_number(threshold)
        with np.errstate(over="ignore"):
            self.initial_threshold = math.nan if number is None else float(np.float32(number))
        if not math.isfinite(self.initial_threshold):
            raise SparsePixError(
                f"SparseInputReduce: threshold must be finite in float32, a single number, found {threshold!r}"
            )
        learn_max_pixels = check_flag("SparseInputReduce", "learn_max_pixels", learn_max_pixels)
        learn_threshold = check_flag("SparseInputReduce", "learn_threshold", learn_threshold)
        if input_format is not None and not isinstance(input_format, FixedPoint):
            raise SparsePixError(f"SparseInputReduce: input_format must be FixedPoint or None, found {input_format!r}")
        self.learned_max_pixels = LearnedBudget(self.initial_max_pixels) if learn_max_pixels else None
        self.learned_threshold = LearnedThreshold(self.initial_threshold, input_format) if learn_threshold else None
        self.last_forward = LastForward()
        self.activity = check_choice("SparseInputReduce", "activity", activity, ("first", "any", "sum"))
        self.selection = check_choice("SparseInputReduce", "selection", selection, ("raster", "magnitude"))

    @property
    def max_pixels(self) -> int:
        """N, the slots of the list; of a learned budget the present value.

        Raises:
            SparsePixError: it is not finite.
        """
        if self.learned_max_pixels is None:
            return self.initial_max_pixels
        pixels = int(self.learned_max_pixels.pixels())
        if not 1 <= pixels <= self.initial_max_pixels:
            raise SparsePixError("SparseInputReduce: the learned max_pixels is not finite; lower the learning rate")
        return pixels

    @property
    def threshold(self) -> float:
        """The threshold; of a learned one the present value, on the grid of ``input_format``.

        Raises:
            SparsePixError: it is not finite.
        """
        if self.learned_threshold is None:
            return self.initial_threshold
        threshold = float(self.learned_threshold.snapped())
        if not math.isfinite(threshold):
            raise SparsePixError(
                f"SparseInputReduce: the learned threshold must be finite, found {threshold}; lower the learning rate"
            )
        return threshold

    def forward(self, image: Tensor) -> SparsePixels:
        """Reduce images [B, C, H, W] to their active pixels."""
        image = in_full_precision("SparseInputReduce", check_image("SparseInputReduce", image))
        height, width = image.shape[2:]
        if self.initial_max_pixels > height * width:
            raise SparsePixError(
                f"SparseInputReduce: max_pixels must not exceed the {height * width} pixels of a {height}x{width} "
                f"image, found {self.initial_max_pixels}"
            )
        if is_blank(image):
            attributes = {
                "max_pixels": self.max_pixels,
                "threshold": self.threshold,
                "activity": self.activity,
                "selection": self.selection,
            }
            slots = attributes["max_pixels"]
            features, coords = emit_sparse("InputReduce", (image,), attributes, slots, image.shape[1])
            return pixels_of(features, coords, (height, width))

        self.last_forward.image_shape = tuple(image.shape[1:])
        score = activity_score(image.detach(), self.activity).flatten(1)
        learned_budget, learned_threshold = self.learned_max_pixels, self.learned_threshold
        share = None if learned_budget is None else learned_budget.bounded_share()
        soft_threshold = None if learned_threshold is None else learned_threshold.soft()
        slots, budget = self._slots(share)
        threshold = self.initial_threshold
        if learned_threshold is not None:
            threshold = learned_threshold.snapped(soft_threshold).to(score.dtype)
        if self.selection == "magnitude":
            place = first_places(keep_largest(score, score > threshold, slots, budget), 0.0, slots)
        else:
            place = first_places(score, threshold, slots)
        kept = place < height * width
        if budget is not None:
            kept = kept & (torch.arange(slots, device=kept.device) < budget)
        coords = torch.stack((place // width, place % width), dim=-1).masked_fill(~kept[..., None], -1)
        read = place.clamp(max=height * width - 1)
        features = image.flatten(2).gather(2, read[:, None].expand(-1, image.shape[1], -1)).transpose(1, 2)
        # masked_fill, not a product: 0 * inf would not be 0.
        features = features.masked_fill(~kept[..., None], 0.0).contiguous()
        factor = None
        if self.training and (share is not None or soft_threshold is not None):
            by_score = self.selection == "magnitude"
            soft_budget = None if share is None else share * learned_budget.largest
            factor = presence(kept, score.gather(1, read), soft_budget, soft_threshold, by_score)
            self.last_forward.image, self.last_forward.features = image.detach(), features.detach()
            self.last_forward.presence = factor
            features = weighed(features, factor)
        return pixels_of(features, coords, (height, width), factor)

    def _slots(self, share: Tensor | None) -> tuple[int, Tensor | None]:
        """The slots of the list, and how many of them may be filled if that is less and known as a tensor only."""
        # A compiled model keeps its shapes whatever the budget is, and is not compiled again for each.
        if self.learned_max_pixels is not None and (self.training or is_traced()):
            return self.initial_max_pixels, self.learned_max_pixels.pixels(share)
        return self.max_pixels, None

    def extra_repr(self) -> str:
        """The arguments, for ``print(model)``."""
        return (
            f"{self.max_pixels}, threshold={self.threshold}, activity={self.activity!r}, selection={self.selection!r}"
        )


def activity_score(image: Tensor, activity: Activity) -> Tensor:
    """The score [B, H, W] of each pixel of images [B, C, H, W]."""
    if activity == "first":
        return image[:, 0]
    return image.amax(1) if activity == "any" else image.sum(1)


def first_places(score: Tensor, threshold: float | Tensor, count: int) -> Tensor:
    """Places [B, count] of the first elements of ``score`` [B, P] above the threshold, ascending; P beyond the last."""
    # One array that counts in place: fresh pages of memory for a mask and for its sums would cost more than the work.
    # Floats count exactly that far, and comparing floats is quickest when the result is one.
    counting = torch.float32 if score.shape[1] < 2**24 else torch.float64
    running = torch.gt(score, threshold, out=torch.empty_like(score, dtype=counting)).cumsum_(1)
    wanted = torch.arange(1, count + 1, dtype=counting, device=score.device)
    return torch.searchsorted(running, wanted.expand(score.shape[0], count).contiguous())


def keep_largest(score: Tensor, active: Tensor, slots: int, count: Tensor | None = None) -> Tensor:
    """Which [B, P] of the active elements have the largest score, ties to the earlier one.

    Args:
        score: [B, P].
        active: [B, P] bool.
        slots: how many to keep.
        count: how many to keep if that is a number from 1 to ``slots`` in a tensor.
    """
    largest = score.masked_fill(~active, -math.inf).topk(slots, dim=1).values
    limit = largest[:, -1:] if count is None else largest.index_select(1, count.view(1) - 1)
    above = active & (score > limit)
    tied = active & (score == limit)
    # topk does not say which of several equal scores it took, so the ties are counted out here.
    left = (slots if count is None else count) - above.sum(1, keepdim=True)
    return above | (tied & (tied.cumsum(1) <= left))
