"""From images to lists of active pixels."""

import math
from typing import Literal

import numpy as np
import torch
from torch import Tensor, nn

from sparsepix.checks import check_choice, check_image, check_positive
from sparsepix.recording import emit_sparse, exporting
from sparsepix.sparse_pixels import SparsePixels
from sparsepix_ops.errors import SparsePixError

Activity = Literal["first", "any", "sum"]
Selection = Literal["raster", "magnitude"]


class SparseInputReduce(nn.Module):
    """Keeps at most ``max_pixels`` active pixels of each image [B, C, H, W].

    Gradients flow to the kept pixels of the image.

    Args:
        max_pixels: N, the slots of the list.
        threshold: a pixel is active if its score is larger; held as the nearest float32.
        activity: the score is the 'first' channel, the largest channel ('any' channel above the
            threshold), or the 'sum' of the channels.
        selection: if more are active, 'raster' keeps the first N in row-major order, 'magnitude'
            the N largest scores (ties to the earlier pixel). Both list them in row-major order.

    Raises:
        SparsePixError: a wrong argument; ``max_pixels`` larger than the image.
    """

    def __init__(
        self,
        max_pixels: int,
        threshold: float = 0.0,
        activity: Activity = "first",
        selection: Selection = "raster",
    ) -> None:
        super().__init__()
        self.max_pixels = check_positive("SparseInputReduce", "max_pixels", max_pixels)
        # The comparison is made in float32 and in float64: the threshold must be the same number in both.
        with np.errstate(over="ignore"):
            self.threshold = float(np.float32(threshold))
        if not math.isfinite(self.threshold):
            raise SparsePixError(f"SparseInputReduce: threshold must be finite in float32, found {threshold}")
        self.activity = check_choice("SparseInputReduce", "activity", activity, ("first", "any", "sum"))
        self.selection = check_choice("SparseInputReduce", "selection", selection, ("raster", "magnitude"))

    def forward(self, image: Tensor) -> SparsePixels:
        """Reduce images [B, C, H, W] to their active pixels."""
        check_image("SparseInputReduce", image)
        height, width = image.shape[2:]
        if self.max_pixels > height * width:
            raise SparsePixError(
                f"SparseInputReduce: max_pixels must not exceed the {height * width} pixels of a {height}x{width} "
                f"image, found {self.max_pixels}"
            )
        if exporting():
            attributes = {
                "max_pixels": self.max_pixels,
                "threshold": self.threshold,
                "activity": self.activity,
                "selection": self.selection,
            }
            features, coords = emit_sparse("InputReduce", (image,), attributes, self.max_pixels, image.shape[1])
            return SparsePixels(features, coords, (height, width))

        score = activity_score(image.detach(), self.activity).flatten(1)
        chosen = score > self.threshold
        if self.selection == "magnitude":
            chosen = keep_largest(score, chosen, self.max_pixels)
        place = first_places(chosen, self.max_pixels)
        kept = (place < height * width)[..., None]
        coords = torch.stack((place // width, place % width), dim=-1)
        read = place.clamp(max=height * width - 1)[:, None].expand(-1, image.shape[1], -1)
        features = image.flatten(2).gather(2, read).transpose(1, 2)
        # masked_fill, not a product: 0 * inf would not be 0.
        features, coords = features.masked_fill(~kept, 0.0), coords.masked_fill(~kept, -1)
        return SparsePixels(features.contiguous(), coords, (height, width))

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


def first_places(chosen: Tensor, count: int) -> Tensor:
    """Places [B, count] of the first true elements of ``chosen`` [B, P], ascending; P where there are fewer."""
    running = chosen.cumsum(1, dtype=torch.int32)
    wanted = torch.arange(1, count + 1, dtype=torch.int32, device=chosen.device)
    return torch.searchsorted(running, wanted.expand(len(chosen), count).contiguous())


def keep_largest(score: Tensor, active: Tensor, count: int) -> Tensor:
    """Which [B, P] of the active elements are the ``count`` with the largest score, ties to the earlier one."""
    limit = score.masked_fill(~active, -math.inf).topk(count, dim=1).values[:, -1:]
    above = active & (score > limit)
    tied = active & (score == limit)
    # topk does not say which of several equal scores it took, so the ties are counted out here.
    left = count - above.sum(1, keepdim=True)
    return above | (tied & (tied.cumsum(1) <= left))
