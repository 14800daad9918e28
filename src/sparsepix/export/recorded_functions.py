"""The functions of torch that a recording knows: those with an op, those that change nothing, those of shapes alone."""

from collections.abc import Callable, Mapping, Sequence
from typing import TYPE_CHECKING, Any

import torch
from torch import Tensor
from torch.utils import _pytree as pytree

from sparsepix.recording.blank import Blank
from sparsepix_ops.errors import SparsePixError
from sparsepix_ops.ops.leaky_relu import slope_shift

if TYPE_CHECKING:
    from sparsepix.export.recorder import Recorder

# Looked up by name, since a function of torch, a method of Tensor and a function of torch.nn.functional are three
# objects.
_Recorded = Callable[["Recorder", Callable, Sequence[Any], Mapping[str, Any]], Tensor | None]


def _is_value(x: Any) -> bool:
    return isinstance(x, Blank) and x.dtype.is_floating_point


def _result(function: Callable, args: Sequence[Any], kwargs: Mapping[str, Any]) -> Tensor:
    """What torch itself makes of the shapes and dtypes; it raises where they do not fit together."""
    meta = pytree.tree_map_only(Tensor, _meta, (tuple(args), dict(kwargs)))
    return function(*meta[0], **meta[1])


def _meta(x: Tensor) -> Tensor:
    return torch.empty(x.shape, dtype=x.dtype, device="meta")


def _recorded(
    recorder: "Recorder", op: str, inputs: Sequence[Tensor], attributes: Mapping[str, Any], like: Tensor
) -> Tensor | None:
    first = inputs[0]
    if like.dtype != first.dtype:
        return None
    return recorder.record(op, inputs, attributes, [(like.shape, like.dtype)])[0]


def _in_place(x: Blank, result: Tensor | None) -> Tensor | None:
    if result is not None:
        x.value = result.value
        return x
    return None


def _relu(recorder: "Recorder", function: Callable, args: Sequence[Any], kwargs: Mapping[str, Any]) -> Tensor | None:
    def bind(input: Tensor, inplace: bool = False) -> tuple[Tensor, bool]:
        return input, inplace

    x, inplace = bind(*args, **kwargs)
    if not _is_value(x):
        return None
    result = _recorded(recorder, "Relu", [x], {}, _result(function, args, kwargs))
    return _in_place(x, result) if inplace or function.__name__ == "relu_" else result


def _leaky_relu(
    recorder: "Recorder", function: Callable, args: Sequence[Any], kwargs: Mapping[str, Any]
) -> Tensor | None:
    def bind(input: Tensor, negative_slope: float = 0.01, inplace: bool = False) -> tuple[Tensor, float, bool]:
        return input, negative_slope, inplace

    x, slope, inplace = bind(*args, **kwargs)
    if not _is_value(x):
        return None
    try:
        slope_shift(slope)
    except SparsePixError as error:
        raise SparsePixError(f"{recorder.scope or 'leaky_relu'}: {error}") from None
    result = _recorded(recorder, "LeakyRelu", [x], {"alpha": float(slope)}, _result(function, args, kwargs))
    return _in_place(x, result) if inplace or function.__name__ == "leaky_relu_" else result


def _linear(recorder: "Recorder", function: Callable, args: Sequence[Any], kwargs: Mapping[str, Any]) -> Tensor | None:
    def bind(input: Tensor, weight: Tensor, bias: Tensor | None = None) -> tuple[Tensor, Tensor, Tensor | None]:
        return input, weight, bias

    x, weight, bias = bind(*args, **kwargs)
    if not _is_value(x) or x.dim() != 2 or isinstance(weight, Blank) or weight.dim() != 2 or isinstance(bias, Blank):
        return None
    if bias is not None and bias.dim() != 1:
        return None
    inputs = [x, weight] if bias is None else [x, weight, bias]
    return _recorded(recorder, "Gemm", inputs, {"transB": 1}, _result(function, args, kwargs))


def _matmul(recorder: "Recorder", function: Callable, args: Sequence[Any], kwargs: Mapping[str, Any]) -> Tensor | None:
    if len(args) != 2 or kwargs:
        return None
    x, weight = args
    if not _is_value(x) or x.dim() != 2 or isinstance(weight, Blank) or weight.dim() != 2:
        return None
    return _recorded(recorder, "MatMul", [x, weight], {}, _result(function, args, kwargs))


def _add(recorder: "Recorder", function: Callable, args: Sequence[Any], kwargs: Mapping[str, Any]) -> Tensor | None:
    if len(args) != 2 or dict(kwargs) not in ({}, {"alpha": 1}):
        return None
    x, other = args
    if not _is_value(x) or not isinstance(other, Tensor) or not other.dtype.is_floating_point:
        return None
    if isinstance(other, Blank):
        if x.shape != other.shape:
            return None
    elif other.dim() == 0 or (other.dim() == x.dim() and other.shape[0] != 1):  # made for one number of images
        return None
    like = _result(function, args, kwargs)
    if like.shape != x.shape:
        return None
    result = _recorded(recorder, "Add", [x, other], {}, like)
    return _in_place(x, result) if function.__name__ in ("add_", "__iadd__") else result


def _concat(recorder: "Recorder", function: Callable, args: Sequence[Any], kwargs: Mapping[str, Any]) -> Tensor | None:
    def bind(tensors: Sequence[Tensor], dim: int = 0, axis: int | None = None) -> tuple[Sequence[Tensor], int]:
        return tensors, dim if axis is None else axis

    if kwargs.get("out") is not None:
        return None
    tensors, dim = bind(*args, **kwargs)
    if not all(_is_value(x) for x in tensors) or any(x.dtype != tensors[0].dtype for x in tensors):
        return None
    axes = tensors[0].dim()
    if axes < 2 or dim not in (-1, axes - 1):
        return None
    return _recorded(recorder, "Concat", list(tensors), {"axis": -1}, _result(function, args, kwargs))


def _sigmoid(recorder: "Recorder", function: Callable, args: Sequence[Any], kwargs: Mapping[str, Any]) -> Tensor | None:
    if len(args) != 1 or kwargs or not _is_value(args[0]):
        return None
    return _recorded(recorder, "Sigmoid", args, {}, _result(function, args, kwargs))


def _softmax(recorder: "Recorder", function: Callable, args: Sequence[Any], kwargs: Mapping[str, Any]) -> Tensor | None:
    def bind(
        input: Tensor, dim: int | None = None, _stacklevel: int = 3, dtype: torch.dtype | None = None
    ) -> tuple[Tensor, int | None, torch.dtype | None]:
        return input, dim, _stacklevel if isinstance(_stacklevel, torch.dtype) else dtype

    x, dim, dtype = bind(*args, **kwargs)
    if not _is_value(x) or x.dim() != 2 or dim not in (-1, 1) or dtype not in (None, x.dtype):
        return None
    return _recorded(recorder, "Softmax", [x], {"axis": dim}, _result(function, args, kwargs))


RECORDED: dict[str, _Recorded] = {
    "relu": _relu,
    "relu_": _relu,
    "leaky_relu": _leaky_relu,
    "leaky_relu_": _leaky_relu,
    "linear": _linear,
    "matmul": _matmul,
    "mm": _matmul,
    "__matmul__": _matmul,
    "add": _add,
    "__add__": _add,
    "add_": _add,
    "__iadd__": _add,
    "cat": _concat,
    "concat": _concat,
    "concatenate": _concat,
    "sigmoid": _sigmoid,
    "softmax": _softmax,
}


def _words(text: str) -> frozenset[str]:
    return frozenset(text.split())


# Functions that may leave a value as it is; running them on zeros shows whether they do.
_ARRANGING = _words(
    "view view_as reshape reshape_as flatten unflatten ravel squeeze unsqueeze expand expand_as permute "
    "transpose swapaxes swapdims movedim moveaxis contiguous detach clone to type type_as float double "
    "cpu cuda alias"
)
# Likewise after a dropout in evaluation.
_DROPOUTS = _words("dropout dropout1d dropout2d dropout3d feature_dropout alpha_dropout feature_alpha_dropout")
# Likewise with this number as the other operand.
_NEUTRAL = {"add": 0, "__add__": 0, "__radd__": 0, "sub": 0, "__sub__": 0}
_NEUTRAL |= {"mul": 1, "__mul__": 1, "__rmul__": 1, "div": 1, "__truediv__": 1, "true_divide": 1}


def same_value(function: Callable, args: Sequence[Any], kwargs: Mapping[str, Any]) -> Tensor | None:
    """What a function that changes nothing gives: its argument, or a copy of it; None if it changes something."""
    name = getattr(function, "__name__", "")
    if not args or not isinstance(args[0], Blank) or kwargs.get("out") is not None:
        return None
    if name in _NEUTRAL:
        number = args[1] if len(args) == 2 and not kwargs else None
        if not isinstance(number, int | float) or isinstance(number, bool) or number != _NEUTRAL[name]:
            return None
    elif name in _DROPOUTS:
        if _trains(name, args, kwargs):
            return None
    elif name not in _ARRANGING and function != Tensor.data.__get__:
        return None
    zeros = pytree.tree_map_only(
        Blank, lambda x: torch.zeros(x.shape, dtype=x.dtype, device=x.device), (tuple(args), dict(kwargs))
    )
    before, after = zeros[0][0], function(*zeros[0], **zeros[1])
    same_layout = isinstance(after, Tensor) and after.shape == before.shape and after.is_contiguous()
    if not same_layout or after.dtype.is_floating_point != before.dtype.is_floating_point:
        return None
    if after.element_size() < before.element_size():
        return None
    x = args[0]
    if after.untyped_storage().data_ptr() == before.untyped_storage().data_ptr():
        return x  # the same memory: what is done to one in place is done to the other
    return Blank(after.shape, after.dtype, after.device, x.value)


def _trains(name: str, args: Sequence[Any], kwargs: Mapping[str, Any]) -> bool:
    """Whether a call of a dropout drops anything."""
    default = args[2] if len(args) > 2 else "alpha" not in name
    return bool(kwargs.get("training", kwargs.get("train", default)))


_FILLED = _words("zeros_like ones_like full_like new_zeros new_ones new_full new_tensor")


def like_another(function: Callable, args: Sequence[Any], kwargs: Mapping[str, Any]) -> Tensor | None:
    """A constant that takes nothing but shape and dtype from a value of the image, as ``zeros_like``; else None."""
    name = getattr(function, "__name__", "")
    others = pytree.tree_leaves((args[1:], {k: v for k, v in kwargs.items() if k not in ("input", "self")}))
    if name not in _FILLED or any(isinstance(x, Blank) for x in others):
        return None
    zeros = pytree.tree_map_only(
        Blank, lambda x: torch.zeros(x.shape, dtype=x.dtype, device=x.device), (tuple(args), dict(kwargs))
    )
    return function(*zeros[0], **zeros[1])


_RANDOM = _words(
    "rand randn randint randperm rand_like randn_like randint_like normal bernoulli multinomial poisson "
    "binomial rrelu rrelu_ gumbel_softmax normal_ uniform_ random_ bernoulli_ exponential_ geometric_ "
    "cauchy_ log_normal_"
)


def draws_random_numbers(function: Callable, args: Sequence[Any], kwargs: Mapping[str, Any]) -> bool:
    """Whether a call of torch gives something else each time."""
    name = getattr(function, "__name__", "")
    return name in _RANDOM or (name.rstrip("_") in _DROPOUTS and _trains(name, args, kwargs))


# Properties of a tensor that do not depend on its numbers.
METADATA = frozenset(
    {
        Tensor.shape.__get__,
        Tensor.dtype.__get__,
        Tensor.device.__get__,
        Tensor.ndim.__get__,
        Tensor.layout.__get__,
        Tensor.is_cuda.__get__,
        Tensor.is_sparse.__get__,
        Tensor.is_quantized.__get__,
        Tensor.is_meta.__get__,
        Tensor.is_leaf.__get__,
        Tensor.requires_grad.__get__,
        Tensor.grad_fn.__get__,
        Tensor.itemsize.__get__,
        Tensor.nbytes.__get__,
        Tensor.size,
        Tensor.dim,
        Tensor.ndimension,
        Tensor.numel,
        Tensor.nelement,
        Tensor.element_size,
        Tensor.stride,
        Tensor.is_contiguous,
        Tensor.is_floating_point,
        Tensor.is_complex,
        Tensor.get_device,
        torch.is_floating_point,
        torch.is_complex,
        torch.numel,
        Tensor.__len__,
        Tensor.__hash__,
        Tensor.__repr__,
        Tensor.__format__,
    }
)
