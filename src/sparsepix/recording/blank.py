"""The values of the image while a model is recorded for its export."""

from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor

from sparsepix_ops.errors import SparsePixError


class Blank(Tensor):
    """A value of the image: its shape, dtype and device, and the name that it has in the recording, but no numbers.

    Without numbers nothing can be computed from it unseen: what the recorder does not know ends in an error instead
    of a constant in the file.

    Args:
        shape: of the value.
        dtype: of the value.
        device: where the model is.
        value: its name in the recording.
    """

    value: str

    def __new__(cls, shape: Sequence[int], dtype: torch.dtype, device: torch.device, value: str) -> "Blank":
        """Without memory for its numbers."""
        blank = Tensor._make_wrapper_subclass(cls, tuple(shape), dtype=dtype, device=device)
        blank.value = value
        return blank

    # The recorder catches the functions of torch; this one is left with what has slipped past it.
    __torch_function__ = torch._C._disabled_torch_function_impl

    @classmethod
    def __torch_dispatch__(
        cls: type["Blank"], function: Any, types: Any, args: Sequence[Any] = (), kwargs: Any = None
    ) -> Any:
        """Refuse what has not been recorded."""
        raise SparsePixError(
            f"{function} on a value of the image, which has no numbers while a model is exported; use the layers of "
            "sparsepix"
        )

    def __repr__(self, *, tensor_contents: Any = None) -> str:
        return f"Blank({self.value!r}, shape={tuple(self.shape)}, dtype={self.dtype})"


def is_blank(value: Any) -> bool:
    """Whether a value belongs to a model that is recorded: a layer then emits its op instead of computing."""
    return isinstance(value, Blank)
