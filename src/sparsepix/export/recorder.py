"""Recording a forward pass as ONNX nodes.

The model runs once on a blank image. Layers of this library put their op into the recording instead
of computing; the few torch functions that firmware knows (ReLU, linear, Sigmoid, Softmax) are caught
and recorded too; whatever does not depend on the image is simply computed and becomes a constant.
Anything else that touches the image's values is refused, with the name of the module that it is in.

(torch.onnx's own exporter gives the same nodes in seconds instead of milliseconds, and turns what the
contract does not know into low-level ops that no message can name.)
"""

from collections.abc import Callable, Mapping, Sequence
from typing import Any

import numpy as np
import onnx
import torch
from onnx import helper
from torch import Tensor, nn
from torch.overrides import TorchFunctionMode, resolve_name

from sparsepix.export.onnx_graph import INPUT_NAME
from sparsepix.export.recorded_functions import METADATA, RECORDED, draws_random_numbers, like_another, same_value
from sparsepix.export.tracer import ModuleTracer
from sparsepix.recording.blank import Blank
from sparsepix.recording.emit import recording_into
from sparsepix_ops.errors import SparsePixError
from sparsepix_ops.op import Kind, Op, is_coords
from sparsepix_ops.registry import op_named

BLANK_BATCH = 13  # a size that few layers have, so that it is not mistaken for one of theirs


def refuse_random_numbers(function: Callable, args: Sequence[Any], kwargs: Mapping[str, Any], scope: str = "") -> None:
    """Raise SparsePixError for a call of torch that draws random numbers: what it gives cannot be in a file.

    Args:
        function: of torch.
        args: of the call.
        kwargs: of the call.
        scope: path of the module that runs.
    """
    if draws_random_numbers(function, args, kwargs):
        raise SparsePixError(
            f"{scope or 'the forward'}: {_name(function)} draws random numbers in evaluation too, which no file can "
            "hold; do so in training only (training=self.training)"
        )


class NoRandomNumbers(TorchFunctionMode):
    """Refuses functions of torch that draw random numbers."""

    def __torch_function__(
        self, function: Callable, types: Any, args: Sequence[Any] = (), kwargs: Mapping[str, Any] | None = None
    ) -> Any:
        """Refuse a call of torch or let it through."""
        refuse_random_numbers(function, args, kwargs or {})
        return function(*args, **(kwargs or {}))


class Recorder(ModuleTracer):
    """Collects the nodes and constants of one forward pass.

    Args:
        model: whose parameters give the constants their names; a copy that ``evaluation_copy`` has made.

    Attributes:
        nodes: in order, named '<module>/<op>', with values named '<module>.<what it is>'.
        constants: by name.
    """

    def __init__(self, model: nn.Module) -> None:
        super().__init__()
        self.nodes: list[onnx.NodeProto] = []
        self.constants: dict[str, np.ndarray] = {}
        self._model = model
        self._quantized: dict[int, tuple[str, Tensor]] = {}  # constants after a quantizer, and what they were
        self._taken = {INPUT_NAME}
        self._parameter_names = {id(p): name for name, p in [*model.named_parameters(), *model.named_buffers()]}

    def record_model(self, image_shape: tuple[int, int, int], like: Tensor) -> dict[str, str]:
        """Run the model on blank images [B, C, H, W].

        Args:
            image_shape: (C, H, W).
            like: the images get its dtype and device.

        Returns:
            The values that the model returns, by the names of its outputs: 'output' for a tensor, 'output_0' ... for a
            tuple, the keys of a dict, the fields of a named tuple.

        Raises:
            SparsePixError: the forward does something with the image that the contract has no op for, or returns
                something else.
        """
        image = Blank((BLANK_BATCH, *image_shape), like.dtype, like.device, INPUT_NAME)
        with recording_into(self):
            output = self.run(self._model, image)
        outputs = named_outputs(output)
        problems = [
            f"the model must return a tensor that depends on the image, or a tuple or dict of such tensors, found "
            f"{type(value).__name__}{f' as {name!r}' if len(outputs) > 1 else ''}"
            for name, value in outputs.items()
            if not isinstance(value, Blank)
        ]
        problems += [
            f"the model must return what it has computed, found the image itself as {name!r}"
            for name, value in outputs.items()
            if isinstance(value, Blank) and value.value == INPUT_NAME
        ]
        if problems or not outputs:
            raise SparsePixError(problems or ["the model must return one tensor or more, found none"])
        return {name: value.value for name, value in outputs.items()}

    def record(
        self,
        op_type: str,
        inputs: Sequence[Tensor],
        attributes: Mapping[str, Any],
        outputs: Sequence[tuple[Sequence[int], torch.dtype]],
    ) -> list[Blank]:
        """Add a node; returns blank tensors in place of its outputs."""
        op = op_named(op_type)
        names = []
        for role, tensor in zip(op.inputs_of(len(inputs)), inputs, strict=False):
            if op.kind is Kind.QUANTIZER and role != op.inputs[0]:
                names.append(self._constant(tensor, f"{self.scope}.{role}"))
            else:
                names.append(self._name_of(tensor, role))
        blanks = []
        for role, (shape, dtype) in zip(op.outputs, outputs, strict=True):
            name = self._unique(f"{self.scope or op_type.lower()}.{_result_role(op, role, shape)}")
            blanks.append(Blank(shape, dtype, inputs[0].device, name))
        self._add_node(op, names, [blank.value for blank in blanks], attributes)
        return blanks

    def note_quantized(
        self, op_type: str, x: Tensor, result: Tensor, constants: Sequence[Tensor], attributes: Mapping[str, Any]
    ) -> None:
        """Add the quantizer of a constant, whose result has been computed."""
        name = self._name_of(x, "x")
        op = op_named(op_type)
        parts = [self._constant(c, f"{name}_{role}") for role, c in zip(op.inputs[1:], constants, strict=True)]
        quantized = self._unique(f"{name}_quant")
        self._add_node(op, [name, *parts], [quantized], attributes)
        self._quantized[self.keep(result)] = (quantized, result.clone())

    def _add_node(self, op: Op, inputs: list[str], outputs: list[str], attributes: Mapping[str, Any]) -> None:
        label = self._unique(f"{self.scope}/{op.name}".lstrip("/"))
        self.nodes.append(helper.make_node(op.name, inputs, outputs, name=label, domain=op.domain, **attributes))

    def __torch_function__(
        self, function: Callable, types: Any, args: Sequence[Any] = (), kwargs: Mapping[str, Any] | None = None
    ) -> Any:
        """Record, let through or refuse a call of torch."""
        kwargs = dict(kwargs or {})
        if not _any_blank([*args, *kwargs.values()]) or function in METADATA:
            refuse_random_numbers(function, args, kwargs, self.scope)
            return function(*args, **kwargs)
        made = like_another(function, args, kwargs)
        if made is not None:
            return made
        name = getattr(function, "__name__", str(function))
        result = RECORDED[name](self, function, args, kwargs) if name in RECORDED else None
        result = same_value(function, args, kwargs) if result is None else result
        if result is None:
            raise SparsePixError(
                f"{self.scope or type(self._model).__name__}: {_name(function)} on values of the image has no "
                "firmware; use the layers of sparsepix"
            )
        return result

    def name_constant(self, tensor: Tensor, parameter: Tensor | None, role: str) -> None:
        """Give a computed constant the name of a parameter, or of its role in the module that runs."""
        self._parameter_names[self.keep(tensor)] = self._parameter_names.get(id(parameter), f"{self.scope}.{role}")

    def _name_of(self, tensor: Tensor, role: str) -> str:
        if isinstance(tensor, Blank):
            return tensor.value
        name, quantized = self._quantized.get(id(tensor), ("", None))
        if quantized is not None and torch.equal(quantized, tensor):  # not changed in place since
            return name
        return self._constant(tensor, self._parameter_names.get(id(tensor), f"{self.scope}.{role}"))

    def _constant(self, tensor: Tensor, name: str) -> str:
        array = tensor.detach().to("cpu", torch.float64).numpy()
        if name in self.constants and not np.array_equal(self.constants[name], array, equal_nan=True):
            name = self._unique(name)
        self._taken.add(name)
        self.constants[name] = array.copy()
        return name

    def _unique(self, name: str) -> str:
        candidate, count = name, 1
        while candidate in self._taken:
            count += 1
            candidate = f"{name}_{count}"
        self._taken.add(candidate)
        return candidate


def _result_role(op: Op, output: str, shape: Sequence[int]) -> str:
    """What an output is called after the name of its module."""
    if is_coords(output):
        return "coords"
    return op.role or ("features" if len(shape) == 3 else "output")


def _name(function: Callable) -> str:
    return resolve_name(function) or getattr(function, "__name__", str(function))


def _any_blank(arguments: Sequence[Any]) -> bool:
    for argument in arguments:
        if isinstance(argument, Blank):
            return True
        if isinstance(argument, Mapping):
            argument = list(argument.values())
        if isinstance(argument, list | tuple) and _any_blank(argument):
            return True
    return False


def named_outputs(output: Any) -> dict[str, Any]:
    """What a model returns, by the names of its outputs.

    Raises:
        SparsePixError: a dict whose keys are no names.
    """
    if isinstance(output, Mapping):
        wrong = [name for name in output if not isinstance(name, str) or not name]
        if wrong:
            raise SparsePixError(f"the model returns a dict: expected names of outputs as its keys, found {wrong[0]!r}")
        return dict(output)
    if hasattr(output, "_asdict"):
        return output._asdict()
    if isinstance(output, list | tuple):
        return {f"output_{i}": value for i, value in enumerate(output)}
    return {"output": output}
