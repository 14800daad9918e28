"""What a search chooses from; loads neither torch nor optuna."""

from collections.abc import Mapping, Sequence
from typing import Any, Literal

from sparsepix.models.preset_names import SELECTIONS
from sparsepix_ops.errors import SparsePixError

Metric = Literal["accuracy", "auc"]
Space = Mapping[str, Sequence[Any]]

# What is chosen for a trial; 'channels' for each convolution by itself.
SPACE: dict[str, tuple[Any, ...]] = {
    "max_pixels": (8, 12, 16, 20, 24, 32),
    "bits": (4, 5, 6, 8),
    "selection": SELECTIONS,
    "channels": (1, 2, 3, 4),
}
# Those that are options of a run, one value a trial.
SINGLE = tuple(name for name in SPACE if name != "channels")


def parse_space(given: Sequence[tuple[str, Sequence[str]]]) -> dict[str, tuple[Any, ...]]:
    """The search space with what the user gave in place of the default.

    Args:
        given: names and their values as text.

    Raises:
        SparsePixError: every name and value that is none of ours.
    """
    space, problems = dict(SPACE), []
    for name, values in given:
        if name not in SPACE:
            problems.append(f"{name}: expected one of {', '.join(SPACE)}")
        elif name == "selection":
            expected = " or ".join(SELECTIONS)
            problems += [f"selection: expected {expected}, found {v}" for v in values if v not in SELECTIONS]
            space[name] = tuple(values)
        else:
            problems += [f"{name}: expected numbers of at least 1, found {v}" for v in values if not _is_count(v)]
            space[name] = tuple(int(v) for v in values if _is_count(v))
    if problems:
        raise SparsePixError(problems, "--space")
    return space


def _is_count(text: str) -> bool:
    return text.isdecimal() and int(text) > 0
