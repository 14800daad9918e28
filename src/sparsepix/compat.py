"""Models of other tools: the public names of ``sparsepix.models.keras``."""

from sparsepix.models.keras import load_keras, read_keras_file

__all__ = ["load_keras", "read_keras_file"]
