"""ONNX models of the contract, built node by node without torch."""

from functools import cache
from pathlib import Path

import numpy as np
import onnx
from numpy.testing import assert_array_equal
from onnx import TensorProto, helper, numpy_helper

from sparsepix_ops import FixedPoint
from sparsepix_ops.fixed_points import FixedPoints
from sparsepix_ops.op import DOMAIN, IR_VERSION, OPSET, QUANT_DOMAIN
from sparsepix_ops.ops.quant import OP as QUANT
from sparsepix_ops.ops.quant import parameters
from sparsepix_ops.ops.sparse_avg_pool2d import reciprocal
from sparsepix_ops.registry import CUSTOM_OPS

IMAGE = FixedPoint(8, 2, signed=False)
WEIGHT = FixedPoint(6, 2)
ACTIVATION = FixedPoint(7, 3, signed=False)


class ModelBuilder:
    """A graph that grows layer by layer; ``features``, ``coords`` or ``vector`` name its current values."""

    def __init__(self, channels=1, height=8, width=8, batch="batch", element=TensorProto.FLOAT, seed=0):
        self.rng = np.random.default_rng(seed)
        self.nodes, self.initializers = [], []
        self.element = element
        self.shape = (channels, height, width)
        self.spatial = (height, width)
        self.value, self.coords = "image", None
        self.channels = channels
        self.inputs = [helper.make_tensor_value_info("image", element, [batch, *self.shape])]

    def constant(self, name, array, dtype=None):
        dtype = helper.tensor_dtype_to_np_dtype(self.element) if dtype is None else dtype
        self.initializers.append(numpy_helper.from_array(np.asarray(array, dtype=dtype), name))
        return name

    def node(self, op_type, inputs, outputs, name=None, domain="", **attributes):
        name = name if name is not None else f"{outputs[0].split('.')[0]}/{op_type}"
        self.nodes.append(helper.make_node(op_type, inputs, outputs, name=name, domain=domain, **attributes))
        return outputs[0]

    def quant(self, value, fmt, output, name=None, scale=None, zeropt=0.0, narrow=0):
        parameters = [
            self.constant(f"{output}_scale", fmt.scale if scale is None else scale),
            self.constant(f"{output}_zeropt", zeropt),
            self.constant(f"{output}_bitwidth", float(fmt.width)),
        ]
        return self.node(
            "Quant", [value, *parameters], [output], name, QUANT_DOMAIN,
            signed=int(fmt.signed), narrow=narrow, rounding_mode=fmt.rounding,
        )  # fmt: skip

    def weight(self, name, array, fmt=WEIGHT):
        """A constant after a quantizer, or a bare one if there is no format."""
        self.constant(name, array)
        return name if fmt is None else self.quant(name, fmt, f"{name}_quant")

    def random(self, shape, fmt=WEIGHT):
        fmt = WEIGHT if fmt is None else fmt
        return self.rng.integers(fmt.raw_min, fmt.raw_max + 1, size=shape) * fmt.scale

    def image(self, fmt=IMAGE):
        self.value = self.quant(self.value, fmt, "image_quant", name="image/Quant")
        return self

    def reduce(self, max_pixels=5, **attributes):
        outputs = ["reduce.features", "reduce.coords"]
        self.node("InputReduce", [self.value], outputs, domain=DOMAIN, max_pixels=max_pixels, **attributes)
        self.value, self.coords = outputs
        return self

    def conv(self, name="conv1", out_channels=2, kernel=(3, 3), fmt=WEIGHT, bias_fmt=WEIGHT, weight=None, bias=None,
             bias_on="active", group=1):  # fmt: skip
        shape = (out_channels, self.channels // group, *kernel)
        weight = self.random(shape, fmt) if weight is None else weight
        bias = self.random(out_channels, bias_fmt) if bias is None else bias
        inputs = [self.value, self.coords]
        inputs += [self.weight(f"{name}.weight", weight, fmt), self.weight(f"{name}.bias", bias, bias_fmt)]
        attributes = {"bias_on": bias_on, "group": group}
        self.value = self.node("SparseConv2d", inputs, [f"{name}.features"], domain=DOMAIN, **attributes)
        self.channels = out_channels
        return self

    def strided_conv(self, name="conv1", out_channels=2, kernel=(3, 3), strides=(2, 2), **attributes):
        weight = self.random((out_channels, self.channels, *kernel))
        inputs = [self.value, self.coords]
        inputs += [self.weight(f"{name}.weight", weight), self.weight(f"{name}.bias", self.random(out_channels))]
        outputs = [f"{name}.features", f"{name}.coords"]
        attributes = {"strides": strides, "spatial_shape": self.spatial} | attributes
        self.node("SparseStridedConv2d", inputs, outputs, domain=DOMAIN, **attributes)
        self.value, self.coords = outputs
        self.spatial = tuple(-(-size // max(step, 1)) for size, step in zip(self.spatial, strides, strict=True))
        self.channels = out_channels
        return self

    def relu(self, name="act1"):
        self.value = self.node("Relu", [self.value], [f"{name}.relu"])
        return self

    def activation(self, name="act1", fmt=ACTIVATION, **settings):
        self.value = self.quant(self.value, fmt, f"{name}.features", name=f"{name}/Quant", **settings)
        return self

    def along(self, name, formats):
        """A quantizer of ours: a format, or one for each place of the last axis."""
        ends = zip(("scale", "low", "high"), parameters(formats), strict=True)
        inputs = [self.value, *(self.constant(f"{name}_{role}", end) for role, end in ends)]
        modes = {"rounding_mode": formats.rounding, "overflow": formats.overflow}
        self.value = self.node("FixedPointQuant", inputs, [f"{name}.features"], domain=DOMAIN, **modes)
        return self

    def pool(self, name="pool1", kernel=(2, 2), kind="avg", bits=8, **attributes):
        outputs = [f"{name}.features", f"{name}.coords"]
        attributes = {"kernel_shape": kernel, "spatial_shape": self.spatial} | attributes
        if kind == "avg":
            attributes.setdefault("reciprocal", float(reciprocal(kernel[0] * kernel[1], bits).real))
        op = "SparseAvgPool2d" if kind == "avg" else "SparseMaxPool2d"
        self.node(op, [self.value, self.coords], outputs, domain=DOMAIN, **attributes)
        self.value, self.coords = outputs
        self.spatial = (self.spatial[0] // kernel[0], self.spatial[1] // kernel[1])
        return self

    def global_pool(self, name="pool1", kind="avg", bits=8, **attributes):
        attributes = {"spatial_shape": self.spatial} | attributes
        if kind == "avg":
            attributes.setdefault("reciprocal", float(reciprocal(self.spatial[0] * self.spatial[1], bits).real))
        op = "SparseGlobalAvgPool2d" if kind == "avg" else "SparseGlobalMaxPool2d"
        self.value = self.node(op, [self.value, self.coords], [f"{name}.output"], domain=DOMAIN, **attributes)
        return self

    def flatten(self, name="flatten"):
        self.value = self.node(
            "SparseFlatten", [self.value, self.coords], [f"{name}.output"], domain=DOMAIN, spatial_shape=self.spatial
        )
        self.channels *= self.spatial[0] * self.spatial[1]
        return self

    def dense(self, name="dense1", out_features=3, form="gemm", fmt=WEIGHT, bias=None):
        weight = self.random((self.channels, out_features), fmt)
        bias = self.random(out_features, fmt) if bias is None else bias
        if form == "gemm_transposed":
            weight = weight.T
        w, b = self.weight(f"{name}.weight", weight, fmt), self.weight(f"{name}.bias", bias, fmt)
        if form == "matmul":
            self.value = self.node("MatMul", [self.value, w], [f"{name}.output"])
        elif form.startswith("matmul_add"):
            product = self.node("MatMul", [self.value, w], [f"{name}.product"])
            order = [b, product] if form.endswith("swapped") else [product, b]
            self.value = self.node("Add", order, [f"{name}.output"])
        else:
            self.value = self.node(
                "Gemm", [self.value, w, b], [f"{name}.output"], transB=int(form == "gemm_transposed")
            )
        self.channels = out_features
        return self

    def head(self, kind="Sigmoid"):
        self.value = self.node(kind, [self.value], ["head.output"])
        return self

    def cast(self, to, output):
        self.value = self.node("Cast", [self.value], [output], to=to)
        return self

    @property
    def on_pixels(self):
        return not any(n.op_type == "SparseFlatten" for n in self.nodes)

    def model(self, output_element=None):
        element = self.element if output_element is None else output_element
        outputs = [helper.make_tensor_value_info(self.value, element, [None] * (3 if self.on_pixels else 2))]
        graph = helper.make_graph(self.nodes, "model", self.inputs, outputs, self.initializers)
        used = {(n.domain, n.op_type) for n in self.nodes}
        functions = [op.function() for op in (*CUSTOM_OPS, QUANT) if (op.domain, op.name) in used]
        opsets = [helper.make_opsetid("", OPSET), helper.make_opsetid(DOMAIN, 1), helper.make_opsetid(QUANT_DOMAIN, 1)]
        return helper.make_model(graph, opset_imports=opsets, functions=functions, ir_version=IR_VERSION)

    def save(self, path: Path, **settings) -> Path:
        onnx.save(self.model(**settings), path)
        return path


def whole_model(**settings) -> ModelBuilder:
    """Every kind of layer but the head."""
    builder = ModelBuilder(**settings).image().reduce()
    builder.conv("conv1").relu("act1").activation("act1")
    builder.pool("pool1", (2, 2)).activation("pool1_out")
    builder.conv("conv2", 1, (3, 1)).relu("act2").activation("act2")
    return (
        builder.pool("pool2", (2, 2), "max")
        .flatten()
        .dense("dense1", 4)
        .relu("act3")
        .activation("act3")
        .dense("dense2", 2)
    )


def layers_with_options():
    """A small network with a layer of each kind that has options."""
    return ModelBuilder(height=4, width=4).image().reduce(2).conv().activation().flatten().dense()


def _base(kind: int) -> ModelBuilder:
    builder = ModelBuilder(channels=1 + kind % 2, height=6, width=6, seed=kind).image().reduce(3)
    if kind == 0:
        wraps = FixedPoint(6, 3, True, "HALF_UP", "WRAP")
        builder.conv().relu().along("act1", FixedPoints((wraps, FixedPoint(4, 1, False, "HALF_UP", "WRAP"))))
        builder.pool().activation("pooled").flatten().dense().relu("act2").activation("act2").dense("dense2")
        return builder.along("last", FixedPoints((None, *(FixedPoint(n, 5, overflow="SAT_SYM") for n in (7, 9)))))
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
    import onnxruntime  # takes a while

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
