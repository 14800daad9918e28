"""Models of other tools: the public names of ``sparsepix.models.keras`` and ``sparsepix.models.from_keras``."""

from sparsepix.models.from_keras import from_keras
from sparsepix.models.keras import load_keras, read_keras_file

__all__ = ["from_keras", "load_keras", "read_keras_file"]
