"""Layers of Brevitas with power-of-two scales, inside a model of ours."""

import brevitas.nn as qnn
import numpy as np
import onnxruntime as ort
import pytest
import torch
from brevitas.quant import (
    Int8ActPerTensorFixedPoint,
    Int8BiasPerTensorFixedPointInternalScaling,
    Int8WeightPerTensorFixedPoint,
    Int16Bias,
    Uint8ActPerTensorFixedPoint,
)
from brevitas.quant.binary import SignedBinaryActPerTensorConst
from brevitas.quant.float import Fp8e4m3ActPerTensorFloat
from numpy.testing import assert_array_equal
from torch import nn

import sparsepix as sp
import sparsepix_hls
from random_networks import hard_images

SHAPE = (1, 8, 8)


class PerChannel(Int8WeightPerTensorFixedPoint):
    """A scale for each output."""

    scaling_per_output_channel = True


def body():
    return [
        sp.QuantIdentity(sp.FixedPoint(8, 1)),
        sp.SparseInputReduce(6),
        sp.SparseConv2d(1, 2, 3, weight_format=sp.FixedPoint(6, 1)),
        sp.SparseReLU(sp.FixedPoint(6, 2, signed=False)),
        sp.SparseMaxPool2d(2),
        sp.SparseFlatten(),
    ]


def relu(**options):
    return qnn.QuantReLU(act_quant=Uint8ActPerTensorFixedPoint, **options)


def linear(inputs, outputs, bias=Int8BiasPerTensorFixedPointInternalScaling, **options):
    options = {"weight_quant": Int8WeightPerTensorFixedPoint, "bias_quant": bias} | options
    return qnn.QuantLinear(inputs, outputs, bias=bias is not None, **options)


MODELS = {
    "linear and relu": lambda: [linear(32, 6), relu(), linear(6, 3)],
    "per channel, narrow": lambda: [linear(32, 6, weight_quant=PerChannel), relu(bit_width=5),
                                    linear(6, 3, None, weight_bit_width=4)],
    "bias scaled by the input": lambda: [
        qnn.QuantIdentity(act_quant=Int8ActPerTensorFixedPoint, return_quant_tensor=True), linear(32, 6, Int16Bias),
        relu(return_quant_tensor=True), linear(6, 3, Int16Bias)],
    "input and output quantizers": lambda: [
        linear(32, 6, input_quant=Int8ActPerTensorFixedPoint, output_quant=Int8ActPerTensorFixedPoint), relu(),
        linear(6, 3)],
    "identity": lambda: [qnn.QuantIdentity(act_quant=Int8ActPerTensorFixedPoint, bit_width=6), linear(32, 3)],
    "beside ours": lambda: [sp.QuantLinear(32, 6, weight_format=sp.FixedPoint(5, 1)), relu(), linear(6, 4),
                            sp.QuantReLU(sp.FixedPoint(8, 4)), sp.QuantLinear(4, 2, weight_format=sp.FixedPoint(4, 1))],
}  # fmt: skip


@pytest.mark.gxx
@pytest.mark.parametrize("name", MODELS)
def test_everything_computes_what_brevitas_does(name, tmp_path):
    torch.manual_seed(len(name))
    model = nn.Sequential(*body(), *MODELS[name]())
    rng = np.random.default_rng(0)
    for _ in range(40):  # the scales of activations are those of what comes
        model(torch.from_numpy((rng.random((16, *SHAPE)) * (rng.random((16, *SHAPE)) < 0.2)).astype(np.float32)))
    model.eval()
    before = {key: value.clone() for key, value in model.state_dict().items()}
    sp.export_onnx(model, tmp_path / "model.onnx", SHAPE)
    assert all(torch.equal(value, before[key]) for key, value in model.state_dict().items())
    images = hard_images(rng, SHAPE).astype(np.float32)
    with torch.no_grad():
        expected = model(torch.from_numpy(images)).numpy()
    session = ort.InferenceSession(tmp_path / "model.onnx")
    found = session.run(None, {"image": images})[0]
    assert_array_equal(found, expected)
    project = sparsepix_hls.translate(tmp_path / "model.onnx", tmp_path / "firmware")
    project.compile()
    assert_array_equal(project.predict(images), expected)


@pytest.mark.parametrize(
    ("layers", "messages"),
    [
        ([qnn.QuantLinear(32, 3, bias=False)], ["6: QuantLinear: its weight: expected a power-of-two scale"]),
        ([linear(32, 3, None, weight_quant=None)], ["6: QuantLinear: its weight has no quantizer"]),
        ([qnn.QuantLinear(32, 3, bias=True, weight_quant=Int8WeightPerTensorFixedPoint)],
         ["6: QuantLinear: its bias has no quantizer; give it a bias_quant such as"]),
        ([qnn.QuantIdentity(act_quant=Int8ActPerTensorFixedPoint, bit_width=28)], ["its act_quant: .*found 28"]),
        ([qnn.QuantIdentity(act_quant=SignedBinaryActPerTensorConst)], ["its act_quant: it does something else"]),
        ([qnn.QuantIdentity(act_quant=Fp8e4m3ActPerTensorFloat)], ["6: QuantIdentity: its act_quant: no quantizer to"]),
        ([linear(32, 4), nn.Linear(4, 3)], ["7/Gemm: its weight has no quantizer"]),
        ([qnn.QuantReLU(), qnn.QuantLinear(32, 3, bias=False), qnn.QuantTanh()],
         ["6: QuantReLU: its act_quant", "7: QuantLinear: its weight", "8: QuantTanh is a layer of Brevitas"]),
    ],
)  # fmt: skip
def test_what_is_not_carried(layers, messages, tmp_path):
    torch.manual_seed(2)  # with some seeds no feature is above 0
    model = nn.Sequential(*body(), *layers)
    model(torch.rand(4, *SHAPE))
    with pytest.raises(sp.SparsePixError) as error:
        sp.export_onnx(model, tmp_path / "model.onnx", SHAPE)
    for message in messages:
        error.match(message)
    assert not list(tmp_path.iterdir())
