"""Small ONNX models that together have every kind of op, and what onnxruntime computes of a file."""

from functools import cache
from pathlib import Path

import numpy as np
import onnxruntime
from numpy.testing import assert_array_equal

from onnx_models import ModelBuilder
from sparsepix_ops.op import DOMAIN


def _base(kind: int) -> ModelBuilder:
    builder = ModelBuilder(channels=1 + kind % 2, height=6, width=6, seed=kind).image().reduce(3)
    if kind == 0:
        return builder.conv().relu().activation().pool().activation("pooled").flatten().dense().activation("last")
    if kind == 1:
        builder.strided_conv().activation()
        builder.value = builder.node("LeakyRelu", [builder.value], ["leaky.output"], domain=DOMAIN, alpha=0.25)
        return builder.activation("act2").pool("pool2", kind="max").flatten().dense(form="matmul_add")
    if kind == 2:
        first = builder.conv("conv1").activation("act1").value
        second = builder.conv("conv2", bias_on="nonzero").activation("act2").value
        builder.value = builder.node("Concat", [first, second], ["both"], axis=-1)
        builder.channels = 4
        outputs, shape = ["top.output"], builder.spatial
        builder.value = builder.node(
            "SparseGlobalMaxPool2d", [builder.value, builder.coords], outputs, domain=DOMAIN, spatial_shape=shape
        )
        return builder.dense().head()
    first = builder.conv("conv1", group=1).activation("act1").value
    second = builder.conv("conv2", bias_on="active").activation("act2").value
    builder.value = builder.node("Add", [first, second], ["sum"])
    return builder.activation("act3").flatten().dense(form="gemm_transposed").head("Softmax")


@cache
def bases() -> tuple[bytes, ...]:
    """Small models with every kind of op, node names unique as onnxruntime wants them."""
    found = []
    for kind in range(4):
        model = _base(kind).model()
        for i, node in enumerate(model.graph.node):
            node.name = f"{node.name}/{i}"
        found.append(model.SerializeToString())
    return tuple(found)


def compare(path: Path, images: np.ndarray, exact: dict[str, np.ndarray]) -> None:
    """Assert that onnxruntime, where it runs a file, computes the same."""
    onnxruntime.set_default_logger_severity(4)
    try:
        session = onnxruntime.InferenceSession(str(path), providers=["CPUExecutionProvider"])
        kind = np.float64 if "double" in session.get_inputs()[0].type else np.float32
        found = session.run(None, {session.get_inputs()[0].name: images.astype(kind)})
    except Exception:  # onnxruntime raises its own kinds, RuntimeError too
        return
    for output, values in zip(session.get_outputs(), found, strict=True):
        if output.name in exact:
            assert_array_equal(values, exact[output.name], err_msg=f"{output.name} in onnxruntime")
