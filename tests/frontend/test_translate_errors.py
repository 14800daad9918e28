"""Every fault of a model gives one clear message, exit status 2, and nothing is written."""

import numpy as np
import onnx
import pytest
from onnx import TensorProto, helper

from onnx_models import WEIGHT, ModelBuilder, whole_model
from output_checks import run
from sparsepix_hls.frontend.reader import read_model
from sparsepix_ops import FixedPoint, SparsePixError
from sparsepix_ops.op import DOMAIN


def image(**settings):
    return ModelBuilder(**settings).image().reduce()


def vector():
    return ModelBuilder(height=2, width=2).image().reduce(3).flatten()


def node(builder, op_type, inputs, outputs, **attributes):
    builder.value = builder.node(op_type, inputs, outputs, **attributes)
    return builder


def with_nan(value):
    builder = image().conv()
    for i, initializer in enumerate(builder.initializers):
        if initializer.name == "conv1.weight":
            array = onnx.numpy_helper.to_array(initializer).copy()
            array.ravel()[3] = value
            builder.initializers[i] = onnx.numpy_helper.from_array(array, "conv1.weight")
    return builder


def two_inputs():
    builder = image().conv()
    builder.inputs.append(helper.make_tensor_value_info("other", TensorProto.FLOAT, [1]))
    return builder


def dynamic_size():
    builder = ModelBuilder()
    builder.inputs = [helper.make_tensor_value_info("image", TensorProto.FLOAT, ["batch", 1, "height", "width"])]
    return builder.image().reduce().conv()


def integer_image():
    builder = ModelBuilder()
    builder.inputs = [helper.make_tensor_value_info("image", TensorProto.UINT8, ["batch", 1, 8, 8])]
    return builder.cast(TensorProto.FLOAT, "image_float").image().reduce().conv()


def no_hw_padding_pool():
    return image().pool(spatial_shape=(7, 8))


def mixed_lists():
    builder = image().conv("conv1").activation("act1")
    features = builder.value
    builder.pool("pool1", kind="max")
    builder.value = features
    return builder.conv("conv2")


def wide_sums():
    wide = FixedPoint(26, 13)
    return ModelBuilder().image(FixedPoint(26, 13, signed=False)).reduce().conv(fmt=wide, bias_fmt=wide)


def channel_mismatch():
    return image().conv("conv1", weight=np.ones((2, 3, 3, 3)))


def computed_weight():
    builder = vector()
    builder.value = builder.node("MatMul", [builder.value, builder.value], ["product"])
    return builder


FAULTS = {
    # how the model is built: what the message must say
    "dense convolution": (
        lambda: node(image(), "Conv", ["reduce.features", "reduce.features"], ["conv_out"]),
        ["conv_out/Conv (Conv)", "SparseConv2d"],
    ),
    "dense pooling": (
        lambda: node(image(), "AveragePool", ["reduce.features"], ["p"], kernel_shape=[2]),
        ["p/AveragePool", "SparseAvgPool2d"],
    ),
    "batch normalization": (
        lambda: node(image(), "BatchNormalization", ["reduce.features"] * 5, ["bn"]),
        ["bn/BatchNormalization", "fold it into the weights"],
    ),
    "weight scale": (
        lambda: bad_scale("weight"),
        ["conv1/Quant", "power of two", "0.3"],
    ),
    "activation scale": (lambda: bad_scale("activation"), ["act1/Quant", "power of two", "0.3"]),
    "image scale": (lambda: bad_scale("image"), ["image_quant", "power of two", "0.3"]),
    "zero point": (lambda: image().conv().activation(zeropt=3.0), ["act1/Quant", "zero point", "3.0"]),
    "scale per channel": (lambda: image().conv().activation(scale=[0.5, 0.25]), ["act1/Quant", "per-tensor"]),
    "narrow activation": (lambda: image().conv().activation(narrow=1), ["act1/Quant", "narrow"]),
    "unknown signedness": (lambda: signedness(92), ["act1/Quant", "signed", "92"]),
    "too many bits": (lambda: bits(63.0), ["act1/Quant", "1 ... 62", "63"]),
    "no bits": (lambda: bits(0.0), ["act1/Quant", "1 ... 62", "0"]),
    "half a bit": (lambda: bits(7.5), ["act1/Quant", "integer", "7.5"]),
    "image without quantizer": (lambda: ModelBuilder().reduce().conv(), ["reduce/InputReduce", "image", "quantizer"]),
    "two quantizers on the image": (
        lambda: twice_quantized(),
        ["second/Quant", "one quantizer"],
    ),
    "weight without quantizer": (lambda: image().conv(fmt=None), ["conv1/SparseConv2d", "weight has no quantizer"]),
    "bias without quantizer": (lambda: image().conv(bias_fmt=None), ["conv1/SparseConv2d", "bias has no quantizer"]),
    "float weight without quantizer": (
        lambda: image().conv(fmt=None, weight=np.random.default_rng(0).normal(size=(2, 1, 3, 3))),
        ["conv1/SparseConv2d", "weight has no quantizer"],
    ),
    "dense weight without quantizer": (
        lambda: vector().dense(fmt=None, bias=np.zeros(3)),
        ["dense1/Gemm", "weight has no quantizer"],
    ),
    "computed weight": (computed_weight, ["product/MatMul", "constant"]),
    "even kernel": (lambda: image().conv(kernel=(3, 4)), ["conv1/SparseConv2d", "odd", "(3, 4)"]),
    "wrong channel count": (channel_mismatch, ["conv1/SparseConv2d", "in_channels = 3", "1"]),
    "groups that do not divide": (
        lambda: image().conv(group=2, weight=np.ones((3, 1, 3, 3)), bias=np.ones(3)),
        ["conv1/SparseConv2d", "groups must be 1 or more and divide", "groups = 2", "out_channels = 3"],
    ),
    "stride of 0": (lambda: image().strided_conv(strides=(2, 0)), ["conv1/SparseStridedConv2d", "strides", "(2, 0)"]),
    "wrong grid of a strided convolution": (
        lambda: image().strided_conv(spatial_shape=(9, 8)).flatten(),
        ["conv1/SparseStridedConv2d", "its spatial_shape is (9, 8)", "(8, 8)"],
    ),
    "pixels of a strided convolution's input": (
        lambda: node(
            image().strided_conv(),
            "SparseFlatten",
            ["conv1.features", "reduce.coords"],
            ["flat"],
            domain=DOMAIN,
            spatial_shape=(8, 8),
        ),
        ["flat/SparseFlatten", "do not belong together"],
    ),
    "a slope that is no shift": (
        lambda: node(image().conv(), "LeakyRelu", ["conv1.features"], ["leaky"], alpha=0.01),
        ["leaky/LeakyRelu", "power of two", "0.0078125"],
    ),
    "wrong number of features": (lambda: wrong_features(), ["dense1/Gemm", "5", "4"]),
    "NaN": (lambda: with_nan(np.nan), ["conv1.weight", "NaN"]),
    "infinity": (lambda: with_nan(np.inf), ["conv1.weight", "infinity"]),
    "no pixels": (lambda: ModelBuilder().image().reduce(0).conv(), ["reduce/InputReduce", "max_pixels", "1 ... 64"]),
    "too many pixels": (lambda: ModelBuilder().image().reduce(65).conv(), ["reduce/InputReduce", "max_pixels", "65"]),
    "NaN threshold": (
        lambda: ModelBuilder().image().reduce(threshold=float("nan")).conv(),
        ["reduce/InputReduce", "threshold"],
    ),
    "unknown activity": (
        lambda: ModelBuilder().image().reduce(activity="last").conv(),
        ["reduce/InputReduce", "activity", "last"],
    ),
    "dynamic size": (dynamic_size, ["reduce/InputReduce", "fixed", "batch"]),
    "integer image": (integer_image, ["image", "UINT8"]),
    "two inputs": (two_inputs, ["one input", "other"]),
    "cast to integers": (
        lambda: image().conv().cast(TensorProto.INT32, "integers"),
        ["integers/Cast", "INT32"],
    ),
    "sigmoid inside": (
        lambda: node(vector().dense().head(), "Relu", ["head.output"], ["r"]),
        ["head/Sigmoid", "very end"],
    ),
    "sigmoid on pixels": (lambda: image().conv().head(), ["head/Sigmoid", "at the end"]),
    "addition across a pool": (
        lambda: node(image().pool(), "Add", ["reduce.features", "pool1.features"], ["sum"]),
        ["sum/Add", "different pixels", "same SparseInputReduce or pool"],
    ),
    "global pool of another grid": (
        lambda: node(
            image(),
            "SparseGlobalMaxPool2d",
            ["reduce.features", "reduce.coords"],
            ["all"],
            domain=DOMAIN,
            spatial_shape=(4, 4),
        ),
        ["all/SparseGlobalMaxPool2d", "(4, 4)", "(8, 8)"],
    ),
    "concat across a pool": (
        lambda: node(image().pool(), "Concat", ["reduce.features", "pool1.features"], ["all"], axis=2),
        ["all/Concat", "different pixels", "same SparseInputReduce or pool"],
    ),
    "concat of slots": (
        lambda: node(image(), "Concat", ["reduce.features", "reduce.features"], ["all"], axis=1),
        ["all/Concat", "axis must be the last one", "found 1"],
    ),
    "addition of other shapes": (
        lambda: node(vector().dense(), "Add", ["flatten.output", "dense1.output"], ["sum"]),
        ["sum/Add", "one shape", "(None, 4)", "(None, 3)"],
    ),
    "addition of a constant": (
        lambda: constant_sum(),
        ["sum/Add", "bias after a MatMul"],
    ),
    "relu on the image": (lambda: relu_image(), ["r/Relu", "image"]),
    "wrong grid": (no_hw_padding_pool, ["pool1/SparseAvgPool2d", "(7, 8)", "(8, 8)"]),
    "window larger than the image": (lambda: image().pool(kernel=(9, 2)), ["pool1/SparseAvgPool2d", "fit"]),
    "negative reciprocal": (lambda: image().pool(reciprocal=-0.25), ["pool1/SparseAvgPool2d", "positive"]),
    "features and coords of two layers": (mixed_lists, ["conv2/SparseConv2d", "belong together"]),
    "coordinates as features": (
        lambda: node(image(), "Relu", ["reduce.coords"], ["r"]),
        ["r/Relu", "coordinates"],
    ),
    "sums beyond float64": (wide_sums, ["conv1/SparseConv2d", "53", "fewer bits"]),
    "missing attribute": (
        lambda: node(ModelBuilder().image(), "InputReduce", ["image_quant"], ["f", "c"], domain=DOMAIN),
        ["InputReduce", "max_pixels"],
    ),
    "no sparse layer": (lambda: ModelBuilder().image(), ["SparseInputReduce"]),
}


def constant_sum():
    builder = vector()
    builder.weight("shift", np.ones(4))
    return node(builder, "Add", ["flatten.output", "shift_quant"], ["sum"])


def bad_scale(where):
    builder = ModelBuilder()
    builder.value = builder.quant("image", WEIGHT, "image_quant", scale=0.3 if where == "image" else None)
    builder.reduce()
    if where == "weight":
        builder.constant("conv1.weight", np.ones((1, 1, 3, 3)))
        weight = builder.quant("conv1.weight", WEIGHT, "conv1.weight_quant", scale=0.3)
        bias = builder.weight("conv1.bias", [0.5])
        builder.value = builder.node(
            "SparseConv2d", [builder.value, builder.coords, weight, bias], ["conv1.features"], domain=DOMAIN
        )
        return builder
    return builder.conv().activation(scale=0.3 if where == "activation" else None)


def bits(width):
    builder = image().conv().activation()
    for i, initializer in enumerate(builder.initializers):
        if initializer.name == "act1.features_bitwidth":
            builder.initializers[i] = onnx.numpy_helper.from_array(np.float32(width), initializer.name)
    return builder


def signedness(value):
    builder = image().conv().activation()
    attributes = {a.name: a for a in builder.nodes[-1].attribute}
    attributes["signed"].i = value
    return builder


def twice_quantized():
    builder = ModelBuilder()
    builder.value = builder.quant(builder.quant("image", WEIGHT, "first"), WEIGHT, "second")
    return builder.reduce().conv()


def wrong_features():
    builder = vector()
    builder.channels = 5
    return builder.dense()


def relu_image():
    builder = ModelBuilder().image()
    builder.value = builder.node("Relu", [builder.value], ["r"])
    return builder.reduce().conv()


@pytest.mark.parametrize("fault", FAULTS)
def test_fault_of_a_model(tmp_path, capsys, fault):
    build, words = FAULTS[fault]
    path = tmp_path / "net.onnx"
    builder = build()
    model = builder.model()
    if builder.value == "image_quant":
        model.graph.output[0].CopyFrom(helper.make_tensor_value_info("image_quant", TensorProto.FLOAT, [None] * 4))
    onnx.save(model, path)
    status, message = run(capsys, path, "-o", tmp_path / "out")
    assert status == 2
    assert message.startswith("error: ")
    assert message.count("error: ") == 1
    assert "Traceback" not in message
    for word in ["net.onnx", *words]:
        assert word in message, message
    # one fault, one message: nothing that follows from it is reported again
    assert "\n  - " not in message, message
    assert sorted(p.name for p in tmp_path.iterdir()) == ["net.onnx"]


def test_all_problems_at_once(tmp_path):
    builder = ModelBuilder().reduce(500)  # 1, 2: the image without quantizer is after too many pixels
    builder.conv("conv1", kernel=(2, 3))
    builder.activation("act1", scale=0.3)
    builder.conv("conv2", fmt=None)
    builder.node("Tanh", [builder.value], ["tanh"])
    builder.value = "tanh"
    builder.pool("pool", kernel=(20, 20)).flatten().dense(fmt=None)
    with pytest.raises(SparsePixError) as error:
        read_model(builder.save(tmp_path / "net.onnx"))
    problems = error.value.problems
    expected = [
        ("reduce/InputReduce", "max_pixels"),
        ("conv1/SparseConv2d", "odd"),
        ("act1/Quant", "power of two"),
        ("conv2/SparseConv2d", "weight has no quantizer"),
        ("tanh/Tanh", "not supported"),
        ("pool/SparseAvgPool2d", "fit"),
        ("dense1/Gemm", "weight has no quantizer"),
        ("dense1/Gemm", "bias has no quantizer"),
    ]
    assert len(problems) == len(expected), problems
    for problem, words in zip(problems, expected, strict=True):
        assert all(word in problem for word in words), problem
    assert "net.onnx" in str(error.value)


def test_wrong_outputs(tmp_path):
    """Coordinates and the image beside features; no output at all."""
    model = image().conv().model()
    model.graph.output.append(helper.make_tensor_value_info("reduce.coords", TensorProto.INT64, [None] * 3))
    model.graph.output.append(helper.make_tensor_value_info("image_quant", TensorProto.FLOAT, [None] * 4))
    onnx.save(model, tmp_path / "net.onnx")
    with pytest.raises(SparsePixError) as error:
        read_model(tmp_path / "net.onnx")
    for name in ("reduce.coords", "image_quant"):
        assert f"{name}: expected features or a vector as an output" in str(error.value)


def test_truncated_anywhere(tmp_path):
    whole = whole_model().save(tmp_path / "net.onnx").read_bytes()
    for size in [*range(1, 60), *range(60, len(whole), max(len(whole) // 40, 1)), len(whole) - 1]:
        (tmp_path / "cut.onnx").write_bytes(whole[:size])
        with pytest.raises(SparsePixError, match=r"cut\.onnx"):
            read_model(tmp_path / "cut.onnx")
