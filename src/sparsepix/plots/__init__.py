"""Pictures of data, models, training and decisions; each function returns its figure and saves nothing.

A figure is a ``matplotlib.figure.Figure``: a notebook shows it as the last line of a cell, ``figure.savefig(path)``
writes it to a file.
"""

from sparsepix.plots.decisions import auc, confusion, roc
from sparsepix.plots.layers import layer_features
from sparsepix.plots.pixels import DROPPED, KEPT, active_counts, active_pixels, kept_pixels, pixels_needed
from sparsepix.plots.training import against_max_pixels, training_curve, training_history
from sparsepix.plots.widths import bit_width_table, bit_widths

__all__ = [
    "DROPPED",
    "KEPT",
    "active_counts",
    "active_pixels",
    "against_max_pixels",
    "auc",
    "bit_width_table",
    "bit_widths",
    "confusion",
    "kept_pixels",
    "layer_features",
    "pixels_needed",
    "roc",
    "training_curve",
    "training_history",
]
