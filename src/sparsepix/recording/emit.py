"""What layers and quantizers need for an export: to know that a model is recorded, and to record their op."""

import threading
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import Any, Protocol

import torch
from torch import Tensor

from sparsepix.recording.blank import Blank
from sparsepix_ops.errors import SparsePixError


class Recording(Protocol):
    """What is recorded into (see ``recorder.Recorder``)."""

    def record(
        self,
        op_type: str,
        inputs: Sequence[Tensor],
        attributes: Mapping[str, Any],
        outputs: Sequence[tuple[Sequence[int], torch.dtype]],
    ) -> list[Blank]:
        """Add a node; returns blank tensors in place of its outputs."""

    def name_constant(self, tensor: Tensor, parameter: Tensor | None, role: str) -> None:
        """Give a computed constant the name of a parameter, or of its role in the module that runs."""

    def note_quantized(
        self, op: str, x: Tensor, result: Tensor, constants: Sequence[Tensor], attributes: Mapping[str, Any]
    ) -> None:
        """Add the quantizer of a constant, whose result has been computed."""


# Other threads go on computing while this one records.
_thread = threading.local()


@contextmanager
def recording_into(recording: Recording) -> Iterator[None]:
    """Inside the block the layers of this thread record instead of computing."""
    outer, _thread.recording = _found(), recording
    try:
        yield
    finally:
        _thread.recording = outer


def _found() -> Recording | None:
    return getattr(_thread, "recording", None)


def _current() -> Recording:
    recording = _found()
    if recording is None:
        raise SparsePixError(
            "a value of an export is used outside of it: the forward of the exported model has kept it, or handed it "
            "to another thread"
        )
    return recording


def exporting() -> bool:
    """True while this thread records a model."""
    # A constant in compiled code, so that torch.compile does not look at the thread.
    return not torch.compiler.is_dynamo_compiling() and _found() is not None


def emit(op: str, inputs: Sequence[Tensor], attributes: Mapping[str, Any], shape: Sequence[int]) -> Tensor:
    """Record a node with one output of ``shape``, in the dtype of its first input; ``op`` is a type of the contract."""
    return _current().record(op, inputs, attributes, [(shape, inputs[0].dtype)])[0]


def emit_sparse(
    op: str, inputs: Sequence[Tensor], attributes: Mapping[str, Any], slots: int, channels: int
) -> tuple[Tensor, Tensor]:
    """Record a node with the outputs features [B, slots, channels] and coords [B, slots, 2]."""
    batch = inputs[0].shape[0]
    shapes = [((batch, slots, channels), inputs[0].dtype), ((batch, slots, 2), torch.int64)]
    features, coords = _current().record(op, inputs, attributes, shapes)
    return features, coords


def name_constant(tensor: Tensor, parameter: Tensor | None, role: str) -> None:
    """Call a computed constant what the parameter that it is made from is called; without one '<module>.<role>'."""
    _current().name_constant(tensor, parameter, role)


def note_quantized(
    op: str, x: Tensor, result: Tensor, constants: Sequence[Tensor], attributes: Mapping[str, Any]
) -> None:
    """Record that a constant is another one after a quantizer of a type of the contract, with its parameters."""
    _current().note_quantized(op, x, result, constants, attributes)
