"""Trainings with everything that belongs to one in a folder: the public names of ``sparsepix.training.runs``."""

from sparsepix.training.run_options import RunOptions
from sparsepix.training.runs import Summary, area_under_roc, build_model, evaluate, fit_arguments, train

__all__ = ["RunOptions", "Summary", "area_under_roc", "build_model", "evaluate", "fit_arguments", "train"]
