"""Batch norm: as torch's on the active pixels, folded in front of the quantizers, exact in the firmware."""

import copy

import numpy as np
import pytest
import torch
from numpy.testing import assert_array_equal
from torch import nn

import sparsepix as sp
import sparsepix_hls
from random_networks import exported_and_checked
from sparse_layers import MASKS, random_pixels

WEIGHTS, ACTIVATIONS = sp.FixedPoint(8, 3), sp.FixedPoint(8, 3, signed=False)


def with_random_state(module, rng):
    """Statistics, scales and shifts as training leaves them."""
    for part in module.modules():
        if isinstance(part, nn.modules.batchnorm._BatchNorm):
            size = part.num_features
            part.running_mean.copy_(torch.tensor(rng.normal(size=size)))
            part.running_var.copy_(torch.tensor(rng.uniform(0.2, 3, size)))
            with torch.no_grad():
                part.weight.copy_(torch.tensor(rng.normal(size=size)))
                part.bias.copy_(torch.tensor(rng.normal(size=size)))
    return module


def close(found, expected):
    """Divisions and roots in another order: equal to the last bits of a float64."""
    torch.testing.assert_close(found, expected, rtol=1e-11, atol=1e-11)


def assert_same_state(found, expected):
    for name in ("running_mean", "running_var", "num_batches_tracked"):
        close(getattr(found, name), getattr(expected, name))


@pytest.mark.parametrize("momentum", [0.1, None])
@pytest.mark.parametrize("name", ["full", "border", "sparse", "crowded"])
def test_as_torch_on_the_rows_of_active_pixels(name, momentum):
    rng = np.random.default_rng(1)
    ours = with_random_state(sp.SparseBatchNorm2d(3, momentum=momentum).double(), rng)
    theirs = nn.BatchNorm1d(3, momentum=momentum).double()
    theirs.load_state_dict(ours.state_dict())
    for training in (True, True, False):
        ours.train(training)
        theirs.train(training)
        image, _, pixels = random_pixels(MASKS[name], 3, rng)
        found = ours(pixels)
        assert not found.features[~pixels.active].any()
        rows = theirs(pixels.features[pixels.active])
        close(found.features[pixels.active], rows)
        incoming = torch.tensor(rng.normal(size=rows.shape))
        for a, b in zip(
            torch.autograd.grad(
                found.features[pixels.active], [image, ours.weight, ours.bias], incoming, retain_graph=True
            ),
            torch.autograd.grad(rows, [image, theirs.weight, theirs.bias], incoming, retain_graph=True),
            strict=True,
        ):
            close(a, b)
        assert_same_state(ours, theirs)


@pytest.mark.parametrize("count", [0, 1])
def test_a_batch_without_two_active_pixels_takes_the_running_statistics(count):
    norm = with_random_state(sp.SparseBatchNorm2d(1), np.random.default_rng(2))
    before = copy.deepcopy(norm.state_dict())
    image = torch.zeros(2, 1, 3, 3)
    image.view(-1)[:count] = 1.0
    pixels = sp.SparseInputReduce(4)(image)
    found = norm(pixels).features
    assert_array_equal(found.detach().numpy(), norm.eval()(pixels).features.detach().numpy())
    assert all(torch.equal(before[key], value) for key, value in norm.state_dict().items())


def layers_with_norms(bias):
    """Each kind of layer, its batch norm as a module of its own, and its input."""
    yield sp.SparseConv2d(2, 3, 3, bias=bias), sp.SparseBatchNorm2d(3), True
    yield sp.QuantConv2d(2, 3, (1, 3), bias=bias), nn.BatchNorm2d(3), False
    yield nn.Sequential(nn.Flatten(), sp.QuantLinear(60, 3, bias=bias)), nn.BatchNorm1d(3), False


@pytest.mark.parametrize("bias", [True, False])
def test_folded_is_the_same_function_and_trains_the_same(bias):
    rng = np.random.default_rng(3)
    for layer, norm, sparse in layers_with_norms(bias):
        apart = with_random_state(nn.Sequential(*(layer if isinstance(layer, nn.Sequential) else [layer]), norm), rng)
        apart = apart.double()
        joined = sp.fold_batch_norm(copy.deepcopy(apart))
        assert isinstance(joined[-1], nn.Identity)
        for training in (True, False):
            apart.train(training)
            joined.train(training)
            _, _, pixels = random_pixels(MASKS["full"], 2, rng)
            image = torch.tensor(rng.normal(size=(3, 2, 5, 6)))
            results = [m(pixels).features if sparse else m(image) for m in (apart, joined)]
            close(*results)
            kept = [(apart[-2].weight, apart[-1]), (joined[-2].weight, joined[-2].batch_norm)]
            for a, b in zip(*(torch.autograd.grad(result.square().sum(), [weight, norm.weight, norm.bias])
                              for result, (weight, norm) in zip(results, kept, strict=True)), strict=True):  # fmt: skip
                close(a, b)
        assert_same_state(joined[-2].batch_norm, apart[-1])


def test_quantizers_see_the_folded_weights():
    rng = np.random.default_rng(4)
    layer = with_random_state(sp.SparseConv2d(1, 2, 3, weight_format=WEIGHTS, batch_norm=True), rng).eval()
    norm = layer.batch_norm
    factor = (norm.weight.double() / (norm.running_var.double() + norm.eps).sqrt()).detach().numpy()
    shift = (layer.bias.double() - norm.running_mean.double()).detach().numpy()
    weight = WEIGHTS.quantize(layer.weight.detach().double().numpy() * factor[:, None, None, None])
    bias = WEIGHTS.quantize(shift * factor + norm.bias.detach().double().numpy())
    _, _, pixels = random_pixels(MASKS["crowded"], 1, rng)
    plain = sp.SparseConv2d(1, 2, 3).double()
    with torch.no_grad():
        plain.weight.copy_(torch.tensor(weight.real))
        plain.bias.copy_(torch.tensor(bias.real))
        expected = plain(pixels).features.numpy()
        assert_array_equal(layer.double()(pixels).features.numpy(), expected)
        found = layer.float()(pixels.replace(pixels.features.float())).features
    assert_array_equal(found.numpy(), expected)
    # In training they see them folded by the batch at hand: every output lies on the grid of the weights.
    layer.double().train()
    steps = layer(pixels).features.detach().numpy() / WEIGHTS.scale
    assert_array_equal(steps, np.round(steps))


def test_frozen_statistics_stay_while_the_weights_learn():
    layer = sp.SparseConv2d(1, 2, 3, weight_format=WEIGHTS, batch_norm=True)
    layer.batch_norm.eval()
    pixels = sp.SparseInputReduce(5)(torch.rand(2, 1, 4, 4))
    layer(pixels).features.sum().backward()
    assert layer.weight.grad.abs().sum() > 0
    assert layer.batch_norm.num_batches_tracked == 0


class OwnModule(nn.Module):
    """Batch norms that no sequence shows."""

    def __init__(self):
        super().__init__()
        self.image, self.reduce = sp.QuantIdentity(sp.FixedPoint(8, 2)), sp.SparseInputReduce(9)
        self.conv = sp.SparseConv2d(2, 3, 3, bias=False, weight_format=WEIGHTS)
        self.norm, self.relu = sp.SparseBatchNorm2d(3), sp.SparseReLU(ACTIVATIONS)
        self.tail = nn.Sequential(
            sp.SparseFlatten(), sp.QuantLinear(3 * 6 * 7, 4, weight_format=WEIGHTS), nn.BatchNorm1d(4),
            sp.QuantReLU(ACTIVATIONS), sp.QuantLinear(4, 2, weight_format=WEIGHTS, batch_norm=True),
        )  # fmt: skip

    def forward(self, x):
        return self.tail(self.relu(self.norm(self.conv(self.reduce(self.image(x))))))


PAIRS = [("conv", "norm"), ("tail.1", "tail.2")]


@pytest.mark.gxx
@pytest.mark.filterwarnings("ignore:.*folded.*clipped")
def test_firmware_of_a_folded_model(tmp_path):
    torch.manual_seed(6)
    model = with_random_state(OwnModule(), np.random.default_rng(6))
    with pytest.raises(sp.SparsePixError, match=r"call sparsepix.fold_batch_norm\(model\) before the export"):
        sp.export_onnx(model, tmp_path / "model.onnx", (2, 6, 7))
    assert sp.fold_batch_norm(model, PAIRS) is model
    optimizer = torch.optim.Adam(model.parameters(), lr=0.01)
    for _ in range(20):
        optimizer.zero_grad()
        (model(torch.randn(16, 2, 6, 7)) - 1).square().sum().backward()
        optimizer.step()
    images, expected = exported_and_checked(model.eval(), (2, 6, 7), 6, tmp_path / "model.onnx")
    assert len(np.unique(expected)) > 20
    project = sparsepix_hls.translate(tmp_path / "model.onnx", output_dir=tmp_path / "firmware", part="xcvu9p")
    for backend in ("ap_fixed", "native"):
        project.compile(backend)
        assert_array_equal(project.predict(images), expected)


def test_weights_in_the_file_keep_their_names(tmp_path):
    model = sp.models.digits(batch_norm=True)
    exported = sp.export_onnx(model, tmp_path / "model.onnx")
    names = {i.name for i in exported.graph.initializer}
    assert {"conv1.weight", "conv1.bias"} <= names
    assert not any("batch_norm" in name for name in names)


def test_a_saved_preset_keeps_its_statistics(tmp_path):
    model = with_random_state(sp.models.digits(batch_norm=True), np.random.default_rng(6))
    sp.save(model, tmp_path / "model.pt")
    loaded, image = sp.load(tmp_path / "model.pt").eval(), torch.rand(2, 1, 48, 48)
    assert_array_equal(loaded(image).detach().numpy(), model.eval()(image).detach().numpy())


def sequence(*layers):
    return lambda: sp.fold_batch_norm(nn.Sequential(*layers))


@pytest.mark.parametrize(
    ("build", "messages"),
    [
        (lambda: sp.SparseConv2d(1, 1, 3, bias_on="nonzero", batch_norm=True), ["take bias_on='active'"]),
        (sequence(sp.SparseConv2d(1, 1, 3, bias_on="nonzero"), sp.SparseBatchNorm2d(1)), ["0: a batch norm shifts"]),
        (sequence(sp.SparseConv2d(1, 2, 3), sp.SparseBatchNorm2d(3)), ["1: expected num_features=2, found 3"]),
        (sequence(sp.SparseConv2d(1, 2, 3), nn.BatchNorm1d(2)), ["1: expected a SparseBatchNorm2d, found BatchNorm1d"]),
        (sequence(sp.SparseConv2d(1, 2, 3, batch_norm=True), sp.SparseBatchNorm2d(2)), ["has a batch norm already"]),
        (sequence(sp.QuantLinear(1, 2), nn.BatchNorm1d(2, track_running_stats=False)), ["no running statistics"]),
        (sequence(sp.SparseReLU(), sp.SparseBatchNorm2d(2)), ["1: no layer is known", "pairs=[(layer, '1')]"]),
        (lambda: sp.fold_batch_norm(OwnModule()), ["norm: no layer is known to be directly in front"]),
        (lambda: sp.fold_batch_norm(OwnModule(), [("conv", "nrm")]), ["nrm: the model has no module", "tail.2: no"]),
        (lambda: sp.fold_batch_norm(OwnModule(), [("relu", "norm")]), ["norm: expected a SparseConv2d, QuantConv2d"]),
        (lambda: sp.SparseBatchNorm2d(0), ["SparseBatchNorm2d: num_features must be an int >= 1"]),
        (
            lambda: sp.SparseBatchNorm2d(2)(sp.SparseInputReduce(1)(torch.ones(1, 1, 2, 2))),
            ["SparseBatchNorm2d: expected an input of 2 channels, found 1"],
        ),
    ],
    ids=range(12),
)
def test_what_is_refused(build, messages):
    with pytest.raises(sp.SparsePixError) as caught:
        build()
    for message in messages:
        assert message in str(caught.value)


def test_refused_means_unchanged():
    model = OwnModule()
    with pytest.raises(sp.SparsePixError):
        sp.fold_batch_norm(model)
    assert isinstance(model.tail[2], nn.BatchNorm1d)
    assert model.tail[1].batch_norm is None


def test_clipped_weights_are_named():
    model = nn.Sequential(sp.SparseConv2d(1, 1, 1, weight_format=sp.FixedPoint(4, 2)), sp.SparseBatchNorm2d(1))
    with torch.no_grad():
        model[0].weight.fill_(1.0)
        model[0].bias.zero_()
        model[1].running_var.fill_(0.01)
    with pytest.warns(UserWarning, match=r"0: 1 of 1 folded weights lie outside ap_fixed<4, 2.*wider weight_format"):
        sp.fold_batch_norm(model)
