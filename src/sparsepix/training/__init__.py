"""Training: the loop, its data, runs on disk, search. Names are loaded on first use: options need no torch."""

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from sparsepix.training.augmentation import Augment, random_shifts
    from sparsepix.training.evaluation import accuracy, decisions, predict
    from sparsepix.training.history import History
    from sparsepix.training.loop import fit, loss_of

__all__ = ["Augment", "History", "accuracy", "decisions", "fit", "loss_of", "predict", "random_shifts"]

_HOMES = {
    "Augment": "augmentation",
    "History": "history",
    "accuracy": "evaluation",
    "decisions": "evaluation",
    "fit": "loop",
    "loss_of": "loop",
    "predict": "evaluation",
    "random_shifts": "augmentation",
}


def __getattr__(name: str) -> Any:
    if name not in _HOMES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    from sparsepix.util.extras import needed_for

    with needed_for("sparsepix.training"):
        module = import_module(f"sparsepix.training.{_HOMES[name]}")
    return getattr(module, name)


def __dir__() -> list[str]:
    return __all__
