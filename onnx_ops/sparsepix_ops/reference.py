"""The integer reference of a whole model: what every other implementation has to equal."""

import numpy as np
import onnx

from sparsepix_ops.errors import SparsePixError
from sparsepix_ops.fixed_point import FixedArray
from sparsepix_ops.op import Kind
from sparsepix_ops.range_analysis import Analysis, analyze, label
from sparsepix_ops.registry import find_op


def run(model: onnx.ModelProto, image: np.ndarray, keep_head: bool = False) -> FixedArray | dict[str, FixedArray]:
    """Run a quantized model on images [B, C, H, W], in integers alone.

    Args:
        model: an exported model.
        image: real numbers; the model's own input quantizer rounds them.
        keep_head: evaluate a final Sigmoid or Softmax by its table instead of returning the logits.

    Returns:
        The result; by the names of the outputs, if the model has several.

    Raises:
        SparsePixError: the model is not fully quantized, or has ops outside the contract, or the
            image holds NaN or infinity.
    """
    values = run_all(model, image, keep_head)
    results = {output.name: values[output.name] for output in model.graph.output}
    return results if len(results) > 1 else next(iter(results.values()))


def run_all(
    model: onnx.ModelProto, image: np.ndarray, keep_head: bool = False, analysis: Analysis | None = None
) -> dict[str, FixedArray | np.ndarray]:
    """As ``run``, but with every value of the graph, by name. Coordinates are plain int64 arrays.

    Args:
        model: as that of ``run``.
        image: as that of ``run``.
        keep_head: as that of ``run``.
        analysis: of this model, if the caller has it already.
    """
    analysis = analyze(model) if analysis is None else analysis
    if analysis.problems:
        raise SparsePixError(analysis.problems, "the model has no exact integer meaning")
    values: dict = {name: v.constant for name, v in analysis.values.items() if v.constant is not None}
    values[model.graph.input[0].name] = np.asarray(image, dtype=np.float64)
    for node in model.graph.node:
        if all(name in values for name in node.output):
            continue  # a quantized constant
        inputs = [values[name] for name in node.input if name]
        op = find_op(node)
        if op.kind is Kind.HEAD and not keep_head:
            values[node.output[0]] = inputs[0]
            continue
        plain = [x for x in inputs if isinstance(x, np.ndarray) and x.dtype == np.float64]
        if plain and op.kind not in (Kind.QUANTIZER, Kind.CAST, Kind.COPY):
            raise SparsePixError(f"{label(node)}: its input has no quantizer; add one in front of it")
        outputs = op.reference(inputs, op.read_attributes(node))
        values.update(zip(node.output, outputs, strict=True))
    return values
