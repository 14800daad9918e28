"""Whether images and labels are as a training expects them: checked once, in blocks, before it starts."""

from typing import Any

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn.parameter import is_lazy

from sparsepix.datasets import Split
from sparsepix.export.module_copy import evaluation_copy
from sparsepix_ops.errors import SparsePixError

_BLOCK = 4096  # images whose values are looked at together: no copy of a large array


def checked_images(given: Any, where: str, problems: list[str]) -> np.ndarray | None:
    """Images [E, C, H, W] as an array; None if they are not even that.

    Args:
        given: an array, or a tensor.
        where: what they are, for the messages.
        problems: gets a message for each thing that is wrong.
    """
    images = _array(given)
    if images is None or images.ndim != 4:
        problems.append(f"{where}: expected an array [E, C, H, W], found {_found(given)}")
        return None
    if images.dtype.kind != "f":
        problems.append(
            f"{where}: expected float32, found {images.dtype}; convert with images.astype(np.float32), and scale "
            "them to the range that the model expects, as / 255"
        )
        return None
    if len(images) and not images.size:
        problems.append(f"{where}: expected pixels, found the shape {images.shape}")
    elif (wrong := _first_not_finite(images)) is not None:
        problems.append(
            f"{where}: expected finite values, found NaN or infinity, first in image {wrong}; an inactive pixel is 0"
        )
    return images


def checked_split(split: Split, name: str, problems: list[str]) -> Split:
    """The part of a data set with labels as int64, native and side by side; images as they are.

    Args:
        split: of a data set.
        name: of it, for the messages.
        problems: gets a message for each thing that is wrong.
    """
    images, labels = checked_images(split.images, f"{name} images", problems), _array(split.labels)
    if problem := _label_problem(split.labels, labels):
        problems.append(f"{name} labels: {problem}")
        labels = None
    if images is None or labels is None:
        return split
    if len(images) != len(labels):
        problems.append(f"{name}: expected as many labels as images, found {len(labels)} and {len(images)}")
    elif not len(labels):
        problems.append(f"{name}: expected images to {_USE.get(name, 'use')}, found none")
    elif labels.min() < 0:
        problems.append(f"{name} labels: expected 0 or more, found {labels.min()} (label {int(labels.argmin())})")
    return Split(images, np.ascontiguousarray(labels, dtype=np.int64))


_USE = {"train": "train on", "validation": "validate with", "test": "test with"}


def _array(given: Any) -> np.ndarray | None:
    if isinstance(given, Tensor):
        given = given.detach().cpu().numpy()
    return given if isinstance(given, np.ndarray) else None


def _found(given: Any) -> str:
    shape = getattr(given, "shape", None)
    return type(given).__name__ if shape is None else f"the shape {tuple(shape)}"


def _label_problem(given: Any, labels: np.ndarray | None) -> str:
    if labels is None:
        return f"expected an array [E], found {_found(given)}"
    if labels.ndim == 2:
        return f"expected class numbers [E], found the shape {labels.shape}; of one-hot labels take labels.argmax(1)"
    if labels.ndim != 1:
        return f"expected class numbers [E], found the shape {labels.shape}"
    if labels.dtype.kind in "iub":
        return ""
    how = "labels.astype(np.int64)" if labels.dtype.kind == "f" else "np.unique(labels, return_inverse=True)[1]"
    return f"expected class numbers (int64), found {labels.dtype}; convert with {how}"


def _first_not_finite(images: np.ndarray) -> int | None:
    for start in range(0, len(images), _BLOCK):
        block = images[start : start + _BLOCK]
        # A sum is as fast as memory can be read, and NaN and infinity stay in it.
        with np.errstate(all="ignore"):
            total = block.sum(dtype=np.promote_types(block.dtype, np.float32))
        if not np.isfinite(total):
            wrong = ~np.isfinite(block).reshape(len(block), -1).all(1)
            if wrong.any():  # else the values are finite, and only their sum is not
                return start + int(wrong.argmax())
    return None


def model_problems(model: nn.Module, splits: dict[str, Split]) -> list[str]:
    """What does not fit together of a model and checked parts of a data set; the model runs on a blank image for it.

    Args:
        model: returns logits.
        splits: by name, not empty.
    """
    shapes = {name: split.images.shape[1:] for name, split in splits.items()}
    shape = next(iter(shapes.values()))
    problems = [
        f"{name} images: expected {shape} as the others, found {other}"
        for name, other in shapes.items()
        if other != shape
    ]
    expected = getattr(model, "input_shape", None)
    if expected is not None and tuple(expected) != shape:
        problems.append(f"the model expects images {tuple(expected)}, the data set has {shape}")
    if problems:
        return problems
    try:
        outputs = _outputs(model, shape)
    except SparsePixError as error:
        return list(error.problems)
    last = max(outputs - 1, 1)
    return [
        f"{name} labels: expected 0 ... {last} for {outputs} output{'s' if outputs > 1 else ''} of the model, found "
        f"{split.labels.max()}"
        for name, split in splits.items()
        if split.labels.max() > last
    ]


def memory_problems(model: nn.Module) -> list[str]:
    """Parameters that cannot be trained, or not be set again, for how they lie in memory; buffers that cannot be set.

    torch's fused Adam takes every array for one without gaps. On a CPU it looks at no strides, and so it changes what
    lies after the place that several values share (the heap, and the process dies) and what lies in a gap.

    Args:
        model: that is to be trained.
    """
    tensors = model.state_dict(keep_vars=True) | dict(model.named_parameters())
    return [
        f"{name}: expected an array of its own, found a view with gaps or shared places (shape {tuple(tensor.shape)}, "
        f"strides {tensor.stride()}); make it one with .detach().clone()"
        for name, tensor in tensors.items()
        if isinstance(tensor, Tensor) and not is_lazy(tensor) and tensor.layout == torch.strided and _is_view(tensor)
    ]


def _is_view(tensor: Tensor) -> bool:
    shared = any(size > 1 and not stride for size, stride in zip(tensor.shape, tensor.stride(), strict=True))
    # torch keeps the strides in a new array just where there are neither gaps nor shared places.
    return shared or (tensor.requires_grad and torch.empty_like(tensor, device="meta").stride() != tensor.stride())


def _outputs(model: nn.Module, shape: tuple[int, ...]) -> int:
    """How many logits a model gives for an image of that shape."""
    copy, _ = evaluation_copy(model, own_tensors=False)
    like = next(copy.parameters())
    image = torch.zeros((1, *shape), dtype=like.dtype, device=like.device)
    try:
        with torch.no_grad():
            output = copy(image)
    except SparsePixError as error:
        raise SparsePixError(error.problems, f"the model does not run on images {shape}") from None
    except (RuntimeError, TypeError, ValueError, IndexError) as error:
        message = (str(error).strip().splitlines() or [type(error).__name__])[0]
        raise SparsePixError(f"the model does not run on images {shape}: {message}") from error
    if not isinstance(output, Tensor) or output.dim() != 2 or not output.shape[1] or not output.is_floating_point():
        raise SparsePixError(f"the model: expected logits [B, outputs], found {_found(output)}")
    return output.shape[1]
