"""Export of a torch module to ONNX."""

from collections.abc import Sequence
from pathlib import Path

import numpy as np
import onnx
from torch import nn

from sparsepix.export.brevitas_layers import without_brevitas
from sparsepix.export.checks import images_to_try, inadmissible, problems_of_modules, prove, run_hooks
from sparsepix.export.module_copy import evaluation_copy, unwrapped
from sparsepix.export.onnx_graph import contract_model
from sparsepix.export.recorder import Recorder
from sparsepix_ops.errors import SparsePixError
from sparsepix_ops.system.files import atomic_write
from sparsepix_ops.whole import whole_number


def export_onnx(model: nn.Module, path: str | Path, input_shape: tuple[int, int, int] | None = None) -> onnx.ModelProto:
    """Write a quantized model as an ONNX file that stock onnxruntime runs.

    Sums are exact in the file's floating-point type: float32 where the range analysis proves it,
    else the graph casts to double after its input and returns double.

    Args:
        model: a module made of the layers of this library; float32 or float64, training or not; it stays as it is. It
            returns a tensor (the output is called 'output'), or several: a tuple ('output_0', ...) or a dict (by its
            keys). Its hooks run once, on a few made-up images, and must change neither inputs nor outputs.
        path: of the file to write.
        input_shape: (channels, height, width) of the image; taken from ``model.input_shape`` if left out.

    Returns:
        The model that was written.

    Raises:
        SparsePixError: all reasons why firmware could not carry the model, each naming its module.
    """
    shape = getattr(model, "input_shape", None) if input_shape is None else input_shape
    sizes = [whole_number(size) for size in shape] if isinstance(shape, Sequence | np.ndarray) else []
    if len(sizes) != 3 or any(size is None or size < 1 for size in sizes):
        raise SparsePixError(
            f"export needs input_shape = (channels, height, width), three numbers of at least 1, found {shape!r}: pass "
            "it to export_onnx, or set model.input_shape"
        )
    if not isinstance(model, nn.Module):
        raise SparsePixError(f"export needs a module of torch, found {type(model).__name__}")
    exported = _exported(model, tuple(sizes), Path(path).stem)
    with atomic_write(path) as temporary:
        onnx.save(exported, temporary)
    return exported


def _exported(model: nn.Module, input_shape: tuple[int, int, int], name: str) -> onnx.ModelProto:
    """The file of a model, which is run as a copy: it stays as it is, also while other threads use it."""
    images = images_to_try(input_shape)
    model, foreign = without_brevitas(unwrapped(model), images)
    problems = [f"{name}: {text}" if name else text for name, texts in foreign.items() for text in texts]
    if problems := problems + inadmissible(model, tuple(foreign)):
        raise SparsePixError(problems, "the model cannot be exported")
    copy, _ = evaluation_copy(model)
    like = images.to(next(copy.parameters(), images))
    recorder = Recorder(copy)
    try:
        run_hooks(copy, like)
        outputs = recorder.record_model(input_shape, like)
        exported, analysis = contract_model(
            recorder.nodes, recorder.constants, outputs, input_shape, name, problems_of_modules(copy)
        )
        prove(copy, exported, analysis, images)
    except SparsePixError:
        raise
    except Exception as error:
        where = f"{recorder.failed}: " if recorder.failed else ""
        message = str(error).strip().splitlines() or [""]
        raise SparsePixError(
            f"{where}the model does not run on an image of shape {input_shape}: {type(error).__name__}: {message[0]}"
        ) from error
    return exported
