"""What a base install lacks, reported with the command that installs it."""

from collections.abc import Iterator
from contextlib import contextmanager

from sparsepix_ops.errors import SparsePixError

# The packages of the extra 'train' in pyproject.toml, by the names that are imported.
_TRAIN = frozenset({"torch", "brevitas", "onnxruntime", "sklearn", "h5py", "optuna"})


class MissingPackageError(SparsePixError, ModuleNotFoundError):
    """A package of an extra is not installed; also a ``ModuleNotFoundError``."""


@contextmanager
def needed_for(what: str) -> Iterator[None]:
    """Names the extra to install where an import in the block finds no package of it.

    Args:
        what: needs the import, for the message.

    Raises:
        MissingPackageError: a package of the extra is not installed.
    """
    try:
        yield
    except ModuleNotFoundError as error:
        package = (error.name or "").partition(".")[0]
        if package not in _TRAIN or isinstance(error, MissingPackageError):
            raise
        missing = MissingPackageError(
            f"{what} needs {package}, which is not installed: pip install 'sparsepix[train]' (from a checkout: pip "
            "install '.[train]')"
        )
        missing.name = package
        raise missing from None
