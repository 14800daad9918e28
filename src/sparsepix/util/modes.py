"""Running a model in evaluation mode for a while."""

import contextlib
import threading
from collections.abc import Iterator
from weakref import WeakKeyDictionary

from torch import nn

# How many blocks want a module in evaluation mode, in all threads, and the mode that it had before the first of them.
_wanted: WeakKeyDictionary[nn.Module, tuple[int, bool]] = WeakKeyDictionary()
_lock = threading.Lock()


@contextlib.contextmanager
def evaluating(model: nn.Module) -> Iterator[None]:
    """Evaluation mode inside the block; every module is as it was afterwards, frozen ones too.

    Several threads may evaluate one model: it is as it was when the last of them has finished.
    """
    modules = list(model.modules())
    with _lock:
        for module in modules:
            count, before = _wanted.get(module, (0, module.training))
            _wanted[module] = (count + 1, before)
        model.eval()
    try:
        yield
    finally:
        with _lock:
            for module in modules:
                count, before = _wanted.pop(module)
                if count > 1:
                    _wanted[module] = (count - 1, before)
                else:
                    module.training = before
