"""Changes of training images, drawn anew in each step."""

from collections.abc import Callable

import torch
from torch import Tensor
from torch.nn import functional as F

from sparsepix.util.numbers_given import checked_whole
from sparsepix_ops.errors import SparsePixError
from sparsepix_ops.whole import real_number

Augment = Callable[[Tensor, torch.Generator], Tensor]


def random_shifts(step: int, probability: float = 0.5) -> Augment:
    """An augmentation for ``fit``: moves images [B, C, H, W]; what leaves an image is lost, zeros come in.

    Args:
        step: a moved image goes by -step, 0 or step rows, and as many columns, each with a third of the chance.
        probability: with which an image is moved at all.

    Raises:
        SparsePixError: a step below 1, or one that leaves nothing of an image; a probability outside 0 ... 1.
    """
    problems: list[str] = []
    step = checked_whole("step", step, problems, 1)
    if real_number(probability) is None or not 0 <= probability <= 1:
        problems.append(f"probability: expected 0 ... 1, found {probability!r}")
    if problems:
        raise SparsePixError(problems, "random_shifts")

    def shift(images: Tensor, generator: torch.Generator) -> Tensor:
        batch, _, height, width = images.shape
        if step >= max(height, width):
            raise SparsePixError(f"random_shifts: a shift by {step} leaves nothing of images of {height}x{width}")
        by = torch.randint(-1, 2, (batch, 2), generator=generator) * step
        by *= torch.rand(batch, 1, generator=generator) < probability
        rows = torch.arange(height) + step - by[:, :1]
        columns = torch.arange(width) + step - by[:, 1:]
        padded = F.pad(images, (step, step, step, step))
        # Two index arrays around a slice put the channel axis last.
        return padded[torch.arange(batch)[:, None, None], :, rows[:, :, None], columns[:, None, :]].permute(0, 3, 1, 2)

    return shift
