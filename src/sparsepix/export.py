"""Export of a torch module to ONNX."""

from pathlib import Path

import onnx
import torch
from torch import nn

from sparsepix.modes import evaluating
from sparsepix.onnx_graph import contract_model
from sparsepix.recording import BLANK_BATCH, Recorder
from sparsepix.sparse_avg_pool2d import SparseAvgPool2d
from sparsepix.sparse_global_avg_pool2d import SparseGlobalAvgPool2d
from sparsepix_ops.errors import SparsePixError
from sparsepix_ops.files import atomic_write


def export_onnx(model: nn.Module, path: str | Path, input_shape: tuple[int, int, int] | None = None) -> onnx.ModelProto:
    """Write a quantized model as an ONNX file that stock onnxruntime runs.

    Sums are exact in the file's floating-point type: float32 where the range analysis proves it,
    else the graph casts to double behind its input and returns double.

    Args:
        model: a module made of the layers of this library; any dtype, training or not. It returns a tensor (the output
            is called 'output'), or several: a tuple ('output_0', ...) or a dict (by its keys).
        path: of the file to write.
        input_shape: (channels, height, width) of the image; taken from ``model.input_shape`` if left out.

    Returns:
        The model that was written.

    Raises:
        SparsePixError: all reasons why firmware could not carry the model, each naming its module.
    """
    shape = input_shape or getattr(model, "input_shape", None)
    if shape is None or len(shape) != 3:
        raise SparsePixError(
            f"export needs input_shape = (channels, height, width), found {shape}: pass it to export_onnx, "
            "or set model.input_shape"
        )
    recorder, outputs = record(model, tuple(shape))
    exported = contract_model(
        recorder.nodes, recorder.constants, outputs, tuple(shape), Path(path).stem, _module_problems(model)
    )
    with atomic_write(path) as temporary:
        onnx.save(exported, temporary)
    return exported


def _module_problems(model: nn.Module) -> list[str]:
    """What can be told from the modules alone."""
    problems = []
    for name, module in model.named_modules():
        if isinstance(module, SparseAvgPool2d | SparseGlobalAvgPool2d) and module.reciprocal_bits is None:
            problems.append(
                f"{name}: reciprocal_bits = None divides truly, which firmware does not; set reciprocal_bits"
            )
    return problems


def record(model: nn.Module, input_shape: tuple[int, int, int]) -> tuple[Recorder, dict[str, str]]:
    """Run a module once on a blank image, in evaluation mode.

    Returns:
        What it did, and the values that it returns, by the names of its outputs.

    Raises:
        SparsePixError: its forward does something that the contract has no op for, or does not run.
    """
    # The module itself, not what torch.compile has wrapped around it.
    model = getattr(model, "_orig_mod", model)
    parameter = next(model.parameters(), None)
    image = torch.zeros((BLANK_BATCH, *input_shape))
    if parameter is not None:
        image = image.to(parameter)
    recorder = Recorder(model)
    try:
        with evaluating(model):
            return recorder, recorder.run(image)
    except (RuntimeError, TypeError, ValueError) as error:
        if isinstance(error, SparsePixError):
            raise
        message = str(error).strip().splitlines() or [type(error).__name__]
        raise SparsePixError(f"the model does not run on an image of shape {input_shape}: {message[0]}") from error
