"""Training: the loop, its data, runs on disk, search."""

from sparsepix.training.augmentation import Augment, random_shifts
from sparsepix.training.evaluation import accuracy, decisions, predict
from sparsepix.training.history import History
from sparsepix.training.loop import fit, loss_of

__all__ = ["Augment", "History", "accuracy", "decisions", "fit", "loss_of", "predict", "random_shifts"]
