"""What a data set is: images and labels in three parts."""

from dataclasses import dataclass

import numpy as np


@dataclass(frozen=True, eq=False)
class Split:
    """Images and labels of one part of a data set.

    Args:
        images: float32 [E, C, H, W], in memory or memory-mapped.
        labels: int64 [E].
    """

    images: np.ndarray
    labels: np.ndarray

    def __len__(self) -> int:
        return len(self.labels)


@dataclass(frozen=True, eq=False)
class Dataset:
    """A data set in three disjoint parts.

    Args:
        name: of the data set.
        classes: names of the classes, by label.
        train: to fit the weights on.
        validation: to choose an epoch on.
        test: to report on.
    """

    name: str
    classes: tuple[str, ...]
    train: Split
    validation: Split
    test: Split


def cut_in_three(total: int, shares: tuple[int, int, int]) -> tuple[int, int, int]:
    """Sizes of train, validation and test for ``total`` events in the ratio of ``shares``; the rest goes to train.

    Of three events or more, each part gets one at least.
    """
    validation, test = (max(1, total * share // sum(shares)) for share in shares[1:])
    return total - validation - test, validation, test
