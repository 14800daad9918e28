"""Recording a forward pass as ONNX nodes.

The model runs once on a blank image. Layers of this library put their op into the recording instead
of computing; the few torch functions that firmware knows (ReLU, linear, Sigmoid, Softmax) are caught
and recorded too; whatever does not depend on the image is simply computed and becomes a constant.
Anything else that touches the image's values is refused, with the name of the module it stands in.

(torch.onnx's own exporter gives the same nodes in seconds instead of milliseconds, and turns what the
contract does not know into low-level ops that no message can name.)
"""

from collections.abc import Callable, Mapping, Sequence
from functools import partial
from typing import Any

import numpy as np
import onnx
import torch
from onnx import helper
from torch import Tensor, nn
from torch.overrides import TorchFunctionMode, resolve_name

from sparsepix.onnx_graph import INPUT_NAME
from sparsepix_ops.errors import SparsePixError
from sparsepix_ops.leaky_relu import slope_shift
from sparsepix_ops.op import DOMAIN, QUANT_DOMAIN
from sparsepix_ops.registry import OPS, RECTIFIERS

BLANK_BATCH = 2

# A list and not a context variable: torch.compile can trace a look at its length.
_recorders: list["Recorder"] = []


def exporting() -> bool:
    """True while a model is recorded: a layer then emits its op instead of computing."""
    return len(_recorders) > 0


def emit(op: str, inputs: Sequence[Tensor], attributes: Mapping[str, Any], shape: Sequence[int]) -> Tensor:
    """Record a node with one output of ``shape``, in the dtype of its first input; ``op`` is a type of the contract."""
    return _recorders[-1].record(op, inputs, attributes, [(shape, inputs[0].dtype)])[0]


def emit_sparse(
    op: str, inputs: Sequence[Tensor], attributes: Mapping[str, Any], slots: int, channels: int
) -> tuple[Tensor, Tensor]:
    """Record a node with the outputs features [B, slots, channels] and coords [B, slots, 2]."""
    batch = inputs[0].shape[0]
    shapes = [((batch, slots, channels), inputs[0].dtype), ((batch, slots, 2), torch.int64)]
    features, coords = _recorders[-1].record(op, inputs, attributes, shapes)
    return features, coords


def name_constant(tensor: Tensor, parameter: Tensor | None, role: str) -> None:
    """Call a computed constant what the parameter that it stands for is called; without one '<module>.<role>'."""
    _recorders[-1].name_constant(tensor, parameter, role)


class Recorder(TorchFunctionMode):
    """Collects the nodes and constants of one forward pass.

    Args:
        model: whose parameters give the constants their names.

    Attributes:
        nodes: in order, named '<module>/<op>', with values named '<module>.<what it is>'.
        constants: by name.
    """

    def __init__(self, model: nn.Module) -> None:
        super().__init__()
        self.nodes: list[onnx.NodeProto] = []
        self.constants: dict[str, np.ndarray] = {}
        self._model = model
        self._values: dict[int, str] = {}
        self._alive: list[Tensor] = []  # keeps the ids above from being given to other tensors
        self._weights: set[int] = set()  # quantized constants: recorded, but not of the image
        self._taken = {INPUT_NAME}
        self._scopes = [""]
        self._parameter_names = {id(p): name for name, p in [*model.named_parameters(), *model.named_buffers()]}

    def run(self, image: Tensor) -> dict[str, str]:
        """Run the model on a blank image [B, C, H, W].

        Returns:
            The values that the model returns, by the names of its outputs: 'output' for a tensor, 'output_0' ... for a
            tuple, the keys of a dict, the fields of a named tuple.

        Raises:
            SparsePixError: the forward does something with the image that the contract has no op for, or returns
                something else.
        """
        self._track(image, INPUT_NAME)
        hooks = []
        for name, module in self._model.named_modules():
            hooks.append(module.register_forward_pre_hook(partial(self._enter, name)))
            hooks.append(module.register_forward_hook(self._leave, always_call=True))
        _recorders.append(self)
        try:
            with torch.no_grad(), self:
                output = self._model(image)
        finally:
            _recorders.pop()
            for hook in hooks:
                hook.remove()
        outputs = _named(output)
        problems = [
            f"the model must return a tensor that depends on the image, or a tuple or dict of such tensors, found "
            f"{type(value).__name__}{f' as {name!r}' if len(outputs) > 1 else ''}"
            for name, value in outputs.items()
            if not isinstance(value, Tensor) or id(value) not in self._values
        ]
        if problems or not outputs:
            raise SparsePixError(problems or ["the model must return one tensor or more, found none"])
        return {name: self._values[id(value)] for name, value in outputs.items()}

    def _enter(self, name: str, *_: Any) -> None:
        self._scopes.append(name)

    def _leave(self, *_: Any) -> None:
        self._scopes.pop()

    @property
    def scope(self) -> str:
        """Path of the module that runs; a quantizer speaks for the layer that it belongs to."""
        return self._scopes[-1].removesuffix(".quantizer")

    def record(
        self,
        op_type: str,
        inputs: Sequence[Tensor],
        attributes: Mapping[str, Any],
        outputs: Sequence[tuple[Sequence[int], torch.dtype]],
    ) -> list[Tensor]:
        """Add a node; returns blank tensors that stand for its outputs."""
        domain = next(d for d in (DOMAIN, QUANT_DOMAIN, "") if (d, op_type) in OPS)
        op = OPS[domain, op_type]
        of_constant = op_type == "Quant" and self.is_weight(inputs[0])
        names = []
        for role, tensor in zip(op.inputs_of(len(inputs)), inputs, strict=False):
            if op_type == "Quant" and role != "x":
                role = f"{names[0]}_{role}" if of_constant else f"{self.scope}.{role}"
                names.append(self._constant(tensor, role))
            else:
                names.append(self._name_of(tensor, role))
        tensors, output_names = [], []
        for role, (shape, dtype) in zip(op.outputs, outputs, strict=True):
            tensor = torch.zeros(tuple(shape), dtype=dtype)
            if of_constant:
                name = f"{names[0]}_quant"
            else:
                name = f"{self.scope or op_type.lower()}.{self._role(op_type, role, shape)}"
            name = self._unique(name)
            self._track(tensor, name)
            if of_constant:
                self._weights.add(id(tensor))
            tensors.append(tensor)
            output_names.append(name)
        label = self._unique(f"{self.scope}/{op_type}".lstrip("/"))
        self.nodes.append(helper.make_node(op_type, names, output_names, name=label, domain=domain, **attributes))
        return tensors

    def __torch_function__(
        self, function: Callable, types: Any, args: Sequence[Any] = (), kwargs: Mapping[str, Any] | None = None
    ) -> Any:
        """Record, let through or refuse a call of torch."""
        kwargs = dict(kwargs or {})
        if not self._tracked([*args, *kwargs.values()]) or function in _METADATA:
            return function(*args, **kwargs)
        name = getattr(function, "__name__", str(function))
        result = None
        if name in _RECORDED:
            result = _RECORDED[name](self, *args, **kwargs)
        elif function in _SAME_VALUE or (name == "dropout" and not kwargs.get("training", True)):
            result = self._same_value(args[0], function(*args, **kwargs))
        if result is None:
            raise SparsePixError(
                f"{self.scope or type(self._model).__name__}: {resolve_name(function) or name} on values of the image "
                "has no firmware; use the layers of sparsepix"
            )
        return result

    def _same_value(self, x: Tensor, blank: Tensor) -> Tensor | None:
        """What a copy or a conversion to a type that loses nothing stands for: the value that it was made of."""
        same_kind = x.dtype.is_floating_point == blank.dtype.is_floating_point
        if not same_kind or blank.element_size() < x.element_size():
            return None
        blank = blank.clone()  # a method that has nothing to do returns its argument
        self._track(blank, self._values[id(x)])
        return blank

    def _role(self, op_type: str, role: str, shape: Sequence[int]) -> str:
        """What an output is called behind the name of its module."""
        role = role.removeprefix("pooled_").removeprefix("output_")
        if role == "coords":
            return role
        if op_type in RECTIFIERS:
            return "relu"
        if op_type in ("SparseAvgPool2d", "SparseGlobalAvgPool2d"):
            return "average"
        return "features" if len(shape) == 3 else "output"

    def _tracked(self, arguments: Sequence[Any]) -> bool:
        for argument in arguments:
            if isinstance(argument, Tensor) and id(argument) in self._values:
                return True
            if isinstance(argument, list | tuple) and self._tracked(argument):
                return True
        return False

    def is_weight(self, tensor: Tensor | None) -> bool:
        """Whether an argument is the same for every image."""
        return tensor is None or id(tensor) in self._weights or id(tensor) not in self._values

    def _track(self, tensor: Tensor, name: str) -> None:
        self._values[id(tensor)] = name
        self._alive.append(tensor)

    def name_constant(self, tensor: Tensor, parameter: Tensor | None, role: str) -> None:
        """Give a computed constant the name of a parameter, or of its role in the module that runs."""
        self._alive.append(tensor)
        self._parameter_names[id(tensor)] = self._parameter_names.get(id(parameter), f"{self.scope}.{role}")

    def _name_of(self, tensor: Tensor, role: str) -> str:
        if id(tensor) in self._values:
            return self._values[id(tensor)]
        return self._constant(tensor, self._parameter_names.get(id(tensor), f"{self.scope}.{role}"))

    def _constant(self, tensor: Tensor, name: str) -> str:
        array = tensor.detach().to("cpu", torch.float64).numpy()
        if name in self.constants and not np.array_equal(self.constants[name], array, equal_nan=True):
            name = self._unique(name)
        self._taken.add(name)
        self.constants[name] = array
        return name

    def _unique(self, name: str) -> str:
        candidate, count = name, 1
        while candidate in self._taken:
            count += 1
            candidate = f"{name}_{count}"
        self._taken.add(candidate)
        return candidate


def _named(output: Any) -> dict[str, Any]:
    """What a model returns, by the names of its outputs."""
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


def _relu(recorder: Recorder, x: Tensor, inplace: bool = False) -> Tensor:
    (result,) = recorder.record("Relu", [x], {}, [(x.shape, x.dtype)])
    if inplace:
        recorder._track(x, recorder._values[id(result)])
    return result


def _leaky_relu(recorder: Recorder, x: Tensor, negative_slope: float = 0.01, inplace: bool = False) -> Tensor:
    try:
        slope_shift(negative_slope)
    except SparsePixError as error:
        raise SparsePixError(f"{recorder.scope or 'leaky_relu'}: {error}") from None
    (result,) = recorder.record("LeakyRelu", [x], {"alpha": float(negative_slope)}, [(x.shape, x.dtype)])
    if inplace:
        recorder._track(x, recorder._values[id(result)])
    return result


def _linear(recorder: Recorder, x: Tensor, weight: Tensor, bias: Tensor | None = None) -> Tensor | None:
    if x.dim() != 2 or not (recorder.is_weight(weight) and recorder.is_weight(bias)):
        return None
    inputs = [x, weight] if bias is None else [x, weight, bias]
    return recorder.record("Gemm", inputs, {"transB": 1}, [((x.shape[0], weight.shape[0]), x.dtype)])[0]


def _matmul(recorder: Recorder, x: Tensor, weight: Tensor) -> Tensor | None:
    if x.dim() != 2 or weight.dim() != 2 or not recorder.is_weight(weight):
        return None
    return recorder.record("MatMul", [x, weight], {}, [((x.shape[0], weight.shape[1]), x.dtype)])[0]


def _add(recorder: Recorder, x: Tensor, other: Tensor, alpha: float = 1) -> Tensor | None:
    if not isinstance(x, Tensor) or not isinstance(other, Tensor) or recorder.is_weight(x) or alpha != 1:
        return None
    if not recorder.is_weight(other) and x.shape != other.shape:
        return None
    return recorder.record("Add", [x, other], {}, [(x.shape, x.dtype)])[0]


def _add_in_place(recorder: Recorder, x: Tensor, other: Tensor, alpha: float = 1) -> Tensor | None:
    result = _add(recorder, x, other, alpha)
    if result is not None:
        recorder._track(x, recorder._values[id(result)])
    return result


def _concat(recorder: Recorder, tensors: Sequence[Tensor], dim: int = 0) -> Tensor | None:
    first, *others = tensors
    axes = first.dim()
    if any(recorder.is_weight(x) for x in tensors) or any(x.shape[:-1] != first.shape[:-1] for x in others):
        return None
    if dim not in (-1, axes - 1):
        return None
    shape = (*first.shape[:-1], sum(x.shape[-1] for x in tensors))
    return recorder.record("Concat", list(tensors), {"axis": -1}, [(shape, first.dtype)])[0]


def _sigmoid(recorder: Recorder, x: Tensor) -> Tensor:
    return recorder.record("Sigmoid", [x], {}, [(x.shape, x.dtype)])[0]


def _softmax(recorder: Recorder, x: Tensor, dim: int | None = None, **_: Any) -> Tensor | None:
    if dim is None:
        return None
    return recorder.record("Softmax", [x], {"axis": dim}, [(x.shape, x.dtype)])[0]


def _flatten(_: Recorder, x: Tensor, start_dim: int = 0, end_dim: int = -1) -> Tensor | None:
    return x if torch.empty(x.shape).flatten(start_dim, end_dim).shape == x.shape else None


# By name, since a function of torch, a method of Tensor and a function of torch.nn.functional are three objects.
_RECORDED: dict[str, Callable[..., Tensor | None]] = {
    "relu": _relu,
    "leaky_relu": _leaky_relu,
    "linear": _linear,
    "matmul": _matmul,
    "mm": _matmul,
    "__matmul__": _matmul,
    "add": _add,
    "__add__": _add,
    "add_": _add_in_place,
    "__iadd__": _add_in_place,
    "cat": _concat,
    "concat": _concat,
    "concatenate": _concat,
    "sigmoid": _sigmoid,
    "softmax": _softmax,
    "flatten": _flatten,
}
_SAME_VALUE = frozenset(
    {Tensor.contiguous, Tensor.detach, Tensor.float, Tensor.double, Tensor.to, Tensor.clone, Tensor.type, Tensor.cpu}
)
_METADATA = frozenset(
    {
        Tensor.shape.__get__,
        Tensor.dtype.__get__,
        Tensor.device.__get__,
        Tensor.ndim.__get__,
        Tensor.layout.__get__,
        Tensor.is_cuda.__get__,
        Tensor.requires_grad.__get__,
        Tensor.size,
        Tensor.dim,
        Tensor.numel,
        Tensor.is_floating_point,
        torch.is_floating_point,
        Tensor.__len__,
        Tensor.__repr__,
        torch.zeros_like,
        torch.ones_like,
        Tensor.new_zeros,
    }
)
