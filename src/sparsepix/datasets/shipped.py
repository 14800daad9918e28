"""The digits that scikit-learn ships: a real data set that needs no file."""

import numpy as np

from sparsepix.datasets.parts import Dataset, Split
from sparsepix.datasets.preparation import sparsify
from sparsepix_ops.system.tools import needed_for


def digits(size: int = 48, factor: float = 3.0, threshold: float = 0.4, seed: int = 0) -> Dataset:
    """The 1,797 handwritten digits (8x8) that scikit-learn ships, sparsified as the paper sparsifies MNIST.

    Args:
        size: side of the images.
        factor: by which the pixels are spread apart. At 3 direct neighbours come to lie 3 pixels
            apart, within the 7x7 kernel of the first convolution.
        threshold: values (of 1) below become 0.
        seed: of the split into 70 % train, 10 % validation, 20 % test, balanced over the classes.

    Returns:
        Images float32 [E, 1, size, size] with values 0 ... 1.
    """
    with needed_for("the data set digits"):
        from sklearn.datasets import load_digits
        from sklearn.model_selection import train_test_split

    raw = load_digits()
    images = sparsify(raw.images, size, factor, threshold)
    labels = raw.target.astype(np.int64)
    everything = np.arange(len(labels))
    rest, test = train_test_split(everything, test_size=0.2, random_state=seed, stratify=labels)
    train, validation = train_test_split(rest, test_size=1 / 8, random_state=seed, stratify=labels[rest])
    parts = (Split(images[part], labels[part]) for part in (train, validation, test))
    return Dataset("digits", tuple(str(d) for d in range(10)), *parts)
