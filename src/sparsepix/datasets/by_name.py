"""Data sets by name, for a command line."""

from collections.abc import Callable, Sequence
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

from sparsepix.datasets import idx_files, lartpc, lhc_jets
from sparsepix.datasets.generate_jets import synthetic_jets
from sparsepix.datasets.generate_muons import synthetic_muons
from sparsepix.datasets.generate_neutrinos import synthetic_neutrino
from sparsepix.datasets.parts import Dataset
from sparsepix.datasets.shipped import digits
from sparsepix.datasets.sources import find_files
from sparsepix_ops.errors import SparsePixError

if TYPE_CHECKING:
    from rich.console import Console

SYNTHETIC: dict[str, Callable[..., Dataset]] = {
    "neutrino": synthetic_neutrino,
    "neutrino_large": partial(synthetic_neutrino, whole=True),
    "jet": synthetic_jets,
    "muon": synthetic_muons,
}
_WHERE = {
    "neutrino": lartpc.WHERE,
    "neutrino_large": lartpc.WHERE,
    "jet": lhc_jets.WHERE,
    "mnist": idx_files.WHERE,
}
NAMES = ("digits", "jet", "mnist", "muon", "neutrino", "neutrino_large")
_EVENTS = 20_000


def load(
    name: str,
    files: str | Path | Sequence[str | Path] | None = None,
    events: int | None = None,
    seed: int = 0,
    cache: str | Path | None = None,
    console: "Console | None" = None,
) -> Dataset:
    """The data set that fits a preset of ``sparsepix.models``, from the user's files or synthetic.

    Args:
        name: 'neutrino', 'neutrino_large' (its windows whole), 'jet', 'mnist', 'digits' or 'muon'.
        files: the user's files and folders, or None or 'synthetic'. Of 'neutrino' and 'neutrino_large', files whose
            names begin with 'nue' give signal, and those with 'bnb' background. For 'jet' and 'mnist' see ``jets``
            and ``mnist``. 'digits' needs none, 'muon' has none.
        events: of a synthetic data set, in all three parts; None: 20,000.
        seed: of a synthetic data set, or of the split.
        cache: folder of prepared files; None: the user's folder for caches.
        console: shows progress.

    Raises:
        SparsePixError: a name that is not known; files or events where there are none; what the
            data set itself refuses.
    """
    if name not in NAMES:
        raise SparsePixError(f"{name}: there is no such data set; expected one of {', '.join(NAMES)}")
    given = [files] if isinstance(files, str | Path) else list(files or [])
    if [str(file) for file in given] in ([], ["synthetic"]):
        return _without_files(name, bool(given), events, seed, console)
    problems = []
    if name not in _WHERE:
        problems.append(f"{name}: this data set reads no files, found {', '.join(map(str, given))}; leave them out")
    if events is not None:
        problems.append(f"{name}: a number of events ({events}) is for synthetic data; leave it out with files")
    if problems:
        raise SparsePixError(problems)
    if name == "jet":
        return lhc_jets.jets(given, cache=cache, seed=seed, console=console)
    if name == "mnist":
        return idx_files.mnist(given[0] if len(given) == 1 else given, cache=cache, seed=seed, console=console)
    paths = find_files(given, "*.h5", lartpc.WHERE)
    signal, background = ([path for path in paths if path.name.startswith(start)] for start in ("nue", "bnb"))
    problems = [
        f"{path}: expected a name that begins with nue (signal) or bnb (background); "
        "datasets.microboone takes files of any name"
        for path in paths
        if path not in signal and path not in background
    ]
    for role, start, of_role in (("signal", "nue", signal), ("background", "bnb", background)):
        if not of_role:
            problems.append(f"expected at least one file {start}*.h5 for {role}, found none; {lartpc.WHERE}")
    if problems:
        raise SparsePixError(problems)
    return lartpc.microboone(signal, background, cache, seed, console, whole=name == "neutrino_large")


def _without_files(name: str, synthetic: bool, events: int | None, seed: int, console: "Console | None") -> Dataset:
    if name in SYNTHETIC:
        return SYNTHETIC[name](_EVENTS if events is None else events, seed, console)
    problems = []
    if events is not None:
        problems.append(f"{name}: this data set has a fixed size, found events {events}; leave it out")
    if name == "mnist":
        problems.append(f"mnist: it is not made synthetically; give the folder of its files: {_WHERE[name]}")
    elif synthetic:
        problems.append(f"{name}: these are real images that need no files; leave 'synthetic' out")
    if problems:
        raise SparsePixError(problems)
    return digits(seed=seed)
