"""Export: a user's own modules, exactness in float32 or double, and everything that is refused."""

import numpy as np
import onnx
import onnxruntime as ort
import pytest
import torch
from numpy.testing import assert_array_equal
from torch import nn
from torch.nn import functional as F

import sparsepix as sp
from random_networks import hard_images
from sparsepix_ops import reference

WEIGHTS = sp.FixedPoint(8, 3)
ACTIVATIONS = sp.FixedPoint(8, 2, signed=False)
IMAGE = sp.FixedPoint(8, 1)


class OwnModule(nn.Module):
    """What a user might write: nested modules, functional calls, a plain nn.ReLU, two convs on one list."""

    def __init__(self, pool_format=ACTIVATIONS, weight_format=WEIGHTS, image_format=IMAGE):
        super().__init__()
        self.image = sp.QuantIdentity(image_format)
        self.reduce = sp.SparseInputReduce(9, selection="magnitude")
        self.block = nn.Sequential(sp.SparseConv2d(2, 3, 3, weight_format=weight_format), sp.SparseReLU(ACTIVATIONS))
        self.conv = sp.SparseConv2d(3, 2, (3, 5), bias=False, weight_format=weight_format)
        self.pool = sp.SparseAvgPool2d((2, 3), reciprocal_bits=8, format=pool_format)
        self.flatten = sp.SparseFlatten()
        self.dense = sp.QuantLinear(2 * 3 * 5, 4, weight_format=weight_format)
        self.relu = nn.ReLU(inplace=True)
        self.requant = sp.QuantIdentity(ACTIVATIONS)
        self.last = sp.QuantLinear(4, 3, weight_format=weight_format)
        self.dropout = nn.Dropout(0.5)

    def forward(self, x):
        pixels = self.reduce(self.image(x))
        pixels = self.conv(self.block(pixels))
        x = self.flatten(self.pool(pixels)).flatten(1)
        x = self.requant(self.relu(self.dense(x.contiguous().to(self.last.weight.dtype)))).clone()
        return self.last(self.dropout(x))


def run_everywhere(model, path, images):
    """Outputs of torch (float64), ONNX Runtime and the integer reference, which must agree."""
    exported = sp.export_onnx(model, path, images.shape[1:])
    in_integers = reference.run(exported, images).real
    assert_array_equal(ort.InferenceSession(path).run(None, {"image": images})[0], in_integers)
    model = model.double().eval()
    with torch.no_grad():
        assert_array_equal(model(torch.from_numpy(images).double()).numpy(), in_integers)
    return exported, in_integers


@pytest.fixture
def images():
    return hard_images(np.random.default_rng(0), (2, 7, 15))


def test_own_module(tmp_path, images):
    torch.manual_seed(1)
    model = OwnModule()
    with torch.no_grad():
        for parameter in model.parameters():
            parameter *= 4
    exported, found = run_everywhere(model, tmp_path / "own.onnx", images)
    assert len(np.unique(found)) > 20
    names = [node.name for node in exported.graph.node]
    assert "block.0/SparseConv2d" in names
    assert "dense/Gemm" in names
    assert exported.graph.name == "own"


def test_file_is_self_contained_and_checked(tmp_path, images):
    exported = sp.export_onnx(OwnModule(), tmp_path / "own.onnx", (2, 7, 15))
    onnx.checker.check_model(tmp_path / "own.onnx", full_check=True)
    assert exported.ir_version == 10
    bodies = {(f.domain, f.name) for f in exported.functions}
    custom = {(n.domain, n.op_type) for n in exported.graph.node if n.domain}
    assert custom == bodies
    shapes = {v.name: v.type.tensor_type.shape for v in [*exported.graph.value_info, *exported.graph.output]}
    for node in exported.graph.node:
        for output in node.output:
            assert all(d.HasField("dim_value") or d.dim_param == "batch" for d in shapes[output].dim), output
    for batch in (1, 5):
        session = ort.InferenceSession(tmp_path / "own.onnx")
        assert session.run(None, {"image": images[:batch]})[0].shape == (batch, 3)


def test_weights_in_the_file_are_quantized(tmp_path):
    model = OwnModule()
    exported = sp.export_onnx(model, tmp_path / "own.onnx", (2, 7, 15))
    weights = {i.name: onnx.numpy_helper.to_array(i) for i in exported.graph.initializer}
    expected = WEIGHTS.quantize(model.dense.weight.detach().numpy()).real
    assert_array_equal(weights["dense.weight"], expected)


@pytest.mark.parametrize("bits", [8, 16])
def test_double_only_where_float32_would_round(bits, tmp_path):
    exported = sp.export_onnx(sp.models.neutrino(bits=bits), tmp_path / "model.onnx")
    first = exported.graph.node[0]
    element = exported.graph.output[0].type.tensor_type.elem_type
    if bits == 8:
        assert first.op_type == "Quant"
        assert element == onnx.TensorProto.FLOAT
    else:
        assert (first.op_type, first.attribute[0].i) == ("Cast", onnx.TensorProto.DOUBLE)
        assert element == onnx.TensorProto.DOUBLE
    assert exported.graph.input[0].type.tensor_type.elem_type == onnx.TensorProto.FLOAT


def test_the_bound_is_of_the_weights_at_hand(tmp_path):
    """A single large weight more, and float32 no longer suffices."""
    model = nn.Sequential(
        sp.QuantIdentity(sp.FixedPoint(16, 1)), sp.SparseInputReduce(4), sp.SparseFlatten(),
        sp.QuantLinear(9, 1, bias=False, weight_format=sp.FixedPoint(12, 12)),
    )  # fmt: skip
    with torch.no_grad():
        # 4 pixels at most take part: 4 * 2**15 * 128 = 2**24, the last integer that float32 reaches step by step
        model[3].weight.fill_(127.0)
    assert sp.export_onnx(model, tmp_path / "a.onnx", (1, 3, 3)).graph.node[0].op_type == "Quant"
    with torch.no_grad():
        model[3].weight[0, 4] = 200.0
    assert sp.export_onnx(model, tmp_path / "b.onnx", (1, 3, 3)).graph.node[0].op_type == "Cast"


def test_learned_scales(tmp_path, images):
    torch.manual_seed(0)
    learned = sp.LearnedFixedPoint(6, initial_integer=2)
    model = nn.Sequential(
        sp.QuantIdentity(IMAGE), sp.SparseInputReduce(9), sp.SparseConv2d(2, 3, 3, weight_format=learned),
        sp.SparseReLU(sp.LearnedFixedPoint(7, signed=False, initial_integer=3)), sp.SparseFlatten(),
        sp.QuantLinear(7 * 15 * 3, 4, weight_format=learned),
    )  # fmt: skip
    before = model[3].quantizer.fixed_point
    optimizer = torch.optim.Adam(model.parameters(), lr=0.3)
    for _ in range(15):
        optimizer.zero_grad()
        (model(torch.from_numpy(images)) - 30).square().mean().backward()
        optimizer.step()
    assert model[3].quantizer.fixed_point != before or model[5].weight_quantizer.fixed_point.integer != 2
    run_everywhere(model, tmp_path / "learned.onnx", images)


def test_learned_widths(tmp_path, images):
    torch.manual_seed(0)
    learned = sp.LearnedFixedPoint(8, initial_integer=2, learn_width=True)
    model = nn.Sequential(
        sp.QuantIdentity(IMAGE), sp.SparseInputReduce(9), sp.SparseConv2d(2, 3, 3, weight_format=learned),
        sp.SparseReLU(sp.LearnedFixedPoint(9, signed=False, initial_integer=3, learn_width=True)), sp.SparseFlatten(),
        sp.QuantLinear(7 * 15 * 3, 4, weight_format=learned),
    )  # fmt: skip
    optimizer = torch.optim.Adam(model.parameters(), lr=0.05)
    for _ in range(10):
        optimizer.zero_grad()
        loss = (model(torch.from_numpy(images)) - torch.tensor([3.0, -3.0, 1.0, 9.0])).square().mean()
        (loss + 1e-5 * sp.penalties(model)["ebops"]).backward()
        optimizer.step()
    widths = [q.fixed_point.width for q in model.modules() if isinstance(q, sp.Quantizer) and q.learned is not None]
    assert min(widths) < 8
    exported, found = run_everywhere(model, tmp_path / "learned.onnx", images)
    assert len(np.unique(found)) > 10
    constants = {i.name: onnx.numpy_helper.to_array(i) for i in exported.graph.initializer}
    quants = {node.name: node for node in exported.graph.node if node.op_type == "Quant"}
    for layer, quantizer in (("2", model[2].weight_quantizer), ("5", model[5].weight_quantizer)):
        node = next(n for n in quants.values() if n.input[0] == f"{layer}.weight")
        assert constants[node.input[3]] == quantizer.fixed_point.width


def test_state_of_the_model_is_kept(tmp_path):
    model = OwnModule().train()
    model.dropout.eval()
    state = {k: v.clone() for k, v in model.state_dict().items()}
    sp.export_onnx(model, tmp_path / "own.onnx", (2, 7, 15))
    assert model.training
    assert not model.dropout.training
    assert not model.block[0]._forward_hooks
    for name, value in model.state_dict().items():
        assert_array_equal(value.numpy(), state[name].numpy())


def test_compiled_model_exports_as_itself(tmp_path, images):
    model = OwnModule()
    plain = sp.export_onnx(model, tmp_path / "own.onnx", (2, 7, 15))
    compiled = sp.export_onnx(torch.compile(model, backend="eager"), tmp_path / "own2.onnx", (2, 7, 15))
    assert [n.name for n in plain.graph.node] == [n.name for n in compiled.graph.node]


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"input_format": None}, "image has no quantizer"),
        ({"pool_format": None}, "pool1.*average has no quantizer"),
        ({"reciprocal_bits": None}, "pool1.*divides truly"),
    ],
)
def test_what_is_for_torch_only_is_refused(options, message, tmp_path):
    with pytest.raises(sp.SparsePixError, match=message):
        sp.export_onnx(sp.models.neutrino(**options), tmp_path / "model.onnx")
    assert list(tmp_path.iterdir()) == []


def test_all_problems_at_once(tmp_path):
    model = sp.models.neutrino(input_format=None, pool_format=None, reciprocal_bits=None)
    model.dense1.weight_quantizer = sp.Quantizer(None)
    with torch.no_grad():
        model.dense2.bias[0] = torch.nan
    with pytest.raises(sp.SparsePixError) as error:
        sp.export_onnx(model, tmp_path / "model.onnx")
    message = str(error.value)
    for part in ("pool1: reciprocal_bits", "reduce/InputReduce: the image", "dense1/Gemm: its weight", "dense2.bias: "):
        assert part in message, message
    assert list(tmp_path.iterdir()) == []


def test_float_model_is_refused_layer_by_layer(tmp_path):
    with pytest.raises(sp.SparsePixError) as error:
        sp.export_onnx(sp.models.mnist(bits=None), tmp_path / "model.onnx")
    for layer in ("conv1", "conv2", "dense1", "dense2"):
        assert f"{layer}/" in str(error.value)


def test_too_wide_for_double(tmp_path):
    wide = sp.FixedPoint(16, 16)
    model = nn.Sequential(
        sp.QuantIdentity(wide), sp.SparseInputReduce(9), sp.SparseConv2d(1, 1, 3, weight_format=wide),
        sp.SparseConv2d(1, 1, 3, weight_format=wide), sp.SparseConv2d(1, 1, 3, weight_format=wide),
        sp.SparseFlatten(), sp.QuantLinear(9, 1, weight_format=wide),
    )  # fmt: skip
    with torch.no_grad():
        for parameter in model.parameters():
            parameter.fill_(32767.0)
    with pytest.raises(sp.SparsePixError, match="bits, more than"):
        sp.export_onnx(model, tmp_path / "model.onnx", (1, 3, 3))


class Scaled(OwnModule):
    def forward(self, x):
        return super().forward(x) * 2.0


class Branching(OwnModule):
    def forward(self, x):
        y = super().forward(x)
        return -y if y.sum() > 0 else y


class Summed(OwnModule):
    def forward(self, x):
        y = super().forward(x)
        return y + 1.0


class Weighted(OwnModule):
    def forward(self, x):
        y = super().forward(x)
        return torch.add(y, y, alpha=2)


class Reshaped(OwnModule):
    def forward(self, x):
        return super().forward(x).reshape(-1, 3, 1)


class Halved(OwnModule):
    def forward(self, x):
        return super().forward(x.half())


class Several(OwnModule):
    def forward(self, x):
        y = super().forward(x)
        return y, "y"


class Unnamed(OwnModule):
    def forward(self, x):
        return {1: super().forward(x)}


class Hidden(OwnModule):
    def forward(self, x):
        y = super().forward(x)
        return {"dense.weight": y}


class Constant(OwnModule):
    def forward(self, x):
        return self.last.weight


@pytest.mark.parametrize(
    ("kind", "message"),
    [
        (Scaled, "Scaled: .*mul.* has no firmware"),
        (Branching, "Branching: .*sum.* has no firmware"),
        (Summed, "Summed: .*add.* has no firmware"),
        (Weighted, "Weighted: .*add.* has no firmware"),
        (Reshaped, "Reshaped: .*reshape.* has no firmware"),
        (Halved, "Halved: .*half.* has no firmware"),
        (Several, "a tensor that depends on the image.* found str as 'output_1'"),
        (Unnamed, "expected names of outputs as its keys, found 1"),
        (Hidden, "the output 'dense.weight' has the name of another value.*another key"),
        (Constant, "a tensor that depends on the image.* found Parameter"),
    ],
)
def test_what_has_no_firmware_is_named(kind, message, tmp_path):
    with pytest.raises(sp.SparsePixError, match=message):
        sp.export_onnx(kind(), tmp_path / "model.onnx", (2, 7, 15))


def test_sum_in_place(tmp_path, images):
    class InPlace(OwnModule):
        def forward(self, x):
            y = super().forward(x)
            z = y.clone()
            z += y
            return torch.cat((z, y), dim=1)

    _, found = run_everywhere(InPlace(), tmp_path / "model.onnx", images)
    assert_array_equal(found[:, :3], 2 * found[:, 3:])


def test_dense_convolution_is_refused(tmp_path):
    with pytest.raises(sp.SparsePixError, match=r"conv1: .*conv2d.*use the layers of sparsepix"):
        sp.export_onnx(sp.models.neutrino(sparse=False), tmp_path / "model.onnx")


def test_wrong_shapes(tmp_path):
    with pytest.raises(sp.SparsePixError, match="export needs input_shape"):
        sp.export_onnx(OwnModule(), tmp_path / "model.onnx")
    with pytest.raises(sp.SparsePixError, match="expected an input of 2 channels, found 1"):
        sp.export_onnx(OwnModule(), tmp_path / "model.onnx", (1, 7, 15))
    with pytest.raises(sp.SparsePixError, match="max_pixels must not exceed"):
        sp.export_onnx(OwnModule(), tmp_path / "model.onnx", (2, 2, 2))
    with pytest.raises(sp.SparsePixError, match=r"its folder .* does not exist"):
        sp.export_onnx(OwnModule(), tmp_path / "no" / "model.onnx", (2, 7, 15))


@pytest.mark.parametrize("inplace", [False, True])
def test_leaky_relu_of_torch(inplace, tmp_path, images):
    class Leaky(OwnModule):
        def __init__(self):
            super().__init__()
            self.relu = nn.LeakyReLU(0.25, inplace=inplace)
            self.requant = sp.QuantIdentity(sp.FixedPoint(8, 3))

    torch.manual_seed(2)
    exported, _ = run_everywhere(Leaky(), tmp_path / "model.onnx", images)
    assert [n.attribute[0].f for n in exported.graph.node if n.op_type == "LeakyRelu"] == [0.25]
    model = Leaky()
    model.relu = nn.LeakyReLU()
    with pytest.raises(sp.SparsePixError, match=r"relu: negative_slope must be a power of two.*found 0.01"):
        sp.export_onnx(model, tmp_path / "model.onnx", (2, 7, 15))


def test_functional_head(tmp_path):
    class WithHead(OwnModule):
        def forward(self, x):
            return F.softmax(super().forward(x), dim=1)

    exported = sp.export_onnx(WithHead(), tmp_path / "model.onnx", (2, 7, 15))
    assert exported.graph.node[-1].op_type == "Softmax"
