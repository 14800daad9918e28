"""What an export checks: that the modules are of a kind that can be recorded, and that the file computes the model."""

from collections.abc import Callable, Iterator
from typing import Any

import numpy as np
import onnx
import torch
from torch import Tensor, nn
from torch.nn.modules import module as torch_module
from torch.utils import _pytree as pytree

from sparsepix.export.module_copy import without_hooks
from sparsepix.export.recorder import NoRandomNumbers, named_outputs
from sparsepix.quant.quantizers import Quantizer
from sparsepix_ops import reference
from sparsepix_ops.errors import SparsePixError
from sparsepix_ops.op import Kind
from sparsepix_ops.range_analysis import Analysis
from sparsepix_ops.registry import find_op

_BATCH = 3


def inadmissible(model: nn.Module, known: tuple[str, ...] = ()) -> list[str]:
    """Why a model cannot be run for a recording at all: modules of other kinds, tensors without plain numbers.

    Args:
        model: the model.
        known: names of modules whose problems are known.
    """
    problems = []
    reported = tuple(f"{name}." if name else "" for name in known)
    for name, module in model.named_modules():
        label = name or type(module).__name__
        if reported and name.startswith(reported):
            continue
        if name in known:
            continue
        if isinstance(module, Quantizer):
            reported += (f"{name}." if name else "",)  # parts of Brevitas in it are as they should be
            continue
        problem = _foreign(module)
        if problem is None:
            problems += [f"{name}.{role}".lstrip(".") + f": {why}" for role, why in _unusable(module)]
        else:
            problems.append(f"{label}: {problem}")
            reported += (f"{name}." if name else "",)
    return problems


def _foreign(module: nn.Module) -> str | None:
    """Why no recording can look into a module."""
    if isinstance(module, torch.jit.ScriptModule):
        return "a module of torch.jit cannot be recorded; use the module that it was made of"
    if any(base.__module__.split(".")[0] == "brevitas" for base in type(module).__mro__):
        kind = next(b.__name__ for b in type(module).__mro__ if b.__module__.split(".")[0] == "brevitas")
        instead = "sparsepix.SparseConv2d" if kind == "QuantConv2d" else "the layers of sparsepix"
        return (
            f"{kind} is a layer of Brevitas, which cannot be exported (QuantLinear, QuantReLU and QuantIdentity can); "
            f"use {instead} (a format such as FixedPoint(8, 3) takes the place of Brevitas's quantizer "
            "classes)"
        )
    return None


def _unusable(module: nn.Module) -> Iterator[tuple[str, str]]:
    """Tensors of a module that hold no plain numbers, and why."""
    own = [*module.named_parameters(recurse=False), *module.named_buffers(recurse=False)]
    for role, tensor in own:
        if isinstance(tensor, nn.parameter.UninitializedTensorMixin):
            yield role, f"{type(module).__name__} has no weights yet; run the model on an image first"
        elif tensor.is_meta:
            yield (
                role,
                "it is on the device 'meta' and holds no numbers; load the weights first (to_empty, load_state_dict)",
            )
        elif tensor.layout != torch.strided or tensor.is_quantized:
            yield (
                role,
                f"expected a dense tensor of floats, found {tensor.layout}, {tensor.dtype}; use tensor.to_dense()",
            )
        elif tensor.is_complex() or tensor.dtype in (torch.float16, torch.bfloat16):
            yield role, f"expected float32 or float64, found {tensor.dtype}; use model.float()"


def problems_of_modules(model: nn.Module) -> list[str]:
    """The problems that modules report themselves, in a method ``export_problems`` that takes no arguments."""
    return [
        f"{name}: {problem}"
        for name, module in model.named_modules()
        for problem in getattr(module, "export_problems", tuple)()
    ]


def run_hooks(model: nn.Module, images: Tensor) -> None:
    """Run the hooks of a model once, check that they change nothing, and remove them.

    What hooks do to weights, as those of weight norm and pruning do, is part of the model; they may look at anything.

    Args:
        model: a copy.
        images: [B, C, H, W].

    Raises:
        SparsePixError: the modules whose hooks change what goes in or comes out.
    """
    modules = dict(model.named_modules())
    own = [hooks for m in modules.values() for hooks in (m._forward_pre_hooks, m._forward_hooks)]
    everywhere = torch_module._global_forward_pre_hooks or torch_module._global_forward_hooks
    if any(own) or everywhere:
        changing: dict[str, None] = {}
        for name, module in modules.items():
            for hooks, ahead in ((module._forward_pre_hooks, True), (module._forward_hooks, False)):
                for key, hook in hooks.items():
                    hooks[key] = _watched(hook, name or type(module).__name__, changing, ahead=ahead)
        hooked = _run(model, images)
        if changing:
            raise SparsePixError(
                [
                    f"{name}: its forward hook changes what goes in or comes out, and the file would not be the model; "
                    "remove the hook, or do the same in a module"
                    for name in changing
                ],
                "the model cannot be exported",
            )
    for hooks in (*own, *(m._backward_hooks for m in modules.values())):
        hooks.clear()
    if everywhere:
        with without_hooks(model):
            plain = _run(model, images)
        if not _equal(hooked, plain):
            raise SparsePixError(
                "a hook on all modules (torch.nn.modules.module.register_module_forward_hook) changes what they give, "
                "and the file would not be the model; remove it"
            )


def _watched(hook: Callable[..., Any], name: str, changing: dict[str, None], *, ahead: bool) -> Callable[..., Any]:
    """The hook, which then enters ``name`` where it changes what it is given or returns something else instead."""

    def watched(module: nn.Module, *arguments: Any) -> Any:
        before = _snapshot(arguments)
        result = hook(module, *arguments)
        if ahead:  # it may return one input, all, or all and the keywords
            given = arguments if len(arguments) == 2 else arguments[0]
            returned = result if isinstance(result, tuple) else (result,)
        else:
            given, returned = arguments[-1], result
        if (result is not None and not _equal(returned, given)) or not _equal(before, arguments):
            changing[name] = None
        return result

    return watched


def _snapshot(value: Any) -> list[Any]:
    return [leaf.clone() if isinstance(leaf, Tensor) else leaf for leaf in pytree.tree_leaves(value)]


def _equal(first: Any, second: Any) -> bool:
    one, other = pytree.tree_leaves(first), pytree.tree_leaves(second)
    return len(one) == len(other) and all(map(_same, one, other))


def _same(one: Any, other: Any) -> bool:
    if not isinstance(one, Tensor) or not isinstance(other, Tensor):
        return one is other or type(one) is type(other)
    same_kind = one.shape == other.shape and one.dtype == other.dtype
    return same_kind and bool(((one == other) | (one.isnan() & other.isnan())).all())


def _run(model: nn.Module, images: Tensor) -> Any:
    with torch.no_grad(), NoRandomNumbers():
        return model(images)


def images_to_try(input_shape: tuple[int, int, int]) -> Tensor:
    """A few sparse images [B, C, H, W] of numbers of both signs, the first of them empty."""
    generator = np.random.default_rng(11)
    shape = (_BATCH, *input_shape)
    images = generator.normal(scale=2.0, size=shape) * (generator.random((_BATCH, 1, *input_shape[1:])) < 0.2)
    images[0] = 0
    return torch.from_numpy(images.astype(np.float32))


def prove(model: nn.Module, exported: onnx.ModelProto, analysis: Analysis, images: Tensor) -> None:
    """Check that a file gives for a few images what the model gives, bit for bit.

    This finds what a recording cannot see: a forward that depends on the number of images, on what it did before, or on
    numbers from outside.

    Args:
        model: a copy, without hooks.
        exported: its file.
        analysis: of the file.
        images: float32 [B, C, H, W].

    Raises:
        SparsePixError: outputs differ.
    """
    values = reference.run_all(exported, images.numpy(), analysis=analysis)
    wide = exported.graph.output[0].type.tensor_type.elem_type == onnx.TensorProto.DOUBLE
    tolerance = 0.0
    with without_hooks(model):
        try:
            found = named_outputs(_run(model.double() if wide else model, _like(images, model)))
        except RuntimeError:
            if not wide:
                raise
            # A forward that insists on float32 rounds where the file does not.
            found, tolerance = named_outputs(_run(model.float(), images)), 1e-4
    makers = {output: node for node in exported.graph.node for output in node.output}
    for name, result in found.items():
        expected = values[name].real
        node = makers[name]
        while (op := find_op(node)).kind is Kind.COPY:
            node = makers[node.input[0]]
        allowed = tolerance
        if op.kind is Kind.HEAD:  # which torch computes in floating point
            (expected,) = op.compute([expected], {})
            allowed = 1e-4
        result = result.detach().cpu().double().numpy()
        if result.shape != expected.shape or (np.abs(result - expected) > allowed * np.abs(expected).max()).any():
            raise SparsePixError(
                f"the file would not be the model: for {len(images)} test images the output {name!r} of the model is "
                "not what was recorded. Its forward depends on something that no file can hold: the number of images, "
                "what it did in an earlier call, or numbers that change between two calls"
            )


def _like(images: Tensor, model: nn.Module) -> Tensor:
    return images.to(next(model.parameters(), images))
