"""Data sets: real ones from files that the user has, prepared as the paper prepares its own, and synthetic ones."""

from sparsepix.datasets.by_name import load
from sparsepix.datasets.generate_jets import synthetic_jets
from sparsepix.datasets.generate_muons import synthetic_muons
from sparsepix.datasets.generate_neutrinos import synthetic_neutrino
from sparsepix.datasets.idx_files import mnist
from sparsepix.datasets.lartpc import microboone
from sparsepix.datasets.lhc_jets import jets
from sparsepix.datasets.parts import Dataset, Split
from sparsepix.datasets.preparation import inflate, place_centred, sparsify, sum_pool
from sparsepix.datasets.shipped import digits

__all__ = [
    "Dataset",
    "Split",
    "digits",
    "inflate",
    "jets",
    "load",
    "microboone",
    "mnist",
    "place_centred",
    "sparsify",
    "sum_pool",
    "synthetic_jets",
    "synthetic_muons",
    "synthetic_neutrino",
]
