"""Training: the loop, its data, runs on disk, search. Names are loaded on first use: options need no torch."""

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from sparsepix.training.augmentation import Augment, random_shifts
    from sparsepix.training.calibration import calibrate
    from sparsepix.training.evaluation import accuracy, decisions, loss_of, predict
    from sparsepix.training.loop import fit
    from sparsepix.util.history import History

__all__ = ["Augment", "History", "accuracy", "calibrate", "decisions", "fit", "loss_of", "predict", "random_shifts"]

_HOMES = {
    "Augment": "sparsepix.training.augmentation",
    "History": "sparsepix.util.history",
    "accuracy": "sparsepix.training.evaluation",
    "calibrate": "sparsepix.training.calibration",
    "decisions": "sparsepix.training.evaluation",
    "fit": "sparsepix.training.loop",
    "loss_of": "sparsepix.training.evaluation",
    "predict": "sparsepix.training.evaluation",
    "random_shifts": "sparsepix.training.augmentation",
}


def __getattr__(name: str) -> Any:
    if name not in _HOMES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    from sparsepix_ops.system.tools import needed_for

    with needed_for("sparsepix.training"):
        module = import_module(_HOMES[name])
    return getattr(module, name)


def __dir__() -> list[str]:
    return __all__
