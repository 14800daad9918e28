"""The presets are those of the paper; saving, loading and Keras weights."""

import json
import pickle
import zipfile

import h5py
import numpy as np
import pytest
import torch
from numpy.testing import assert_array_equal
from torch import nn

import sparsepix as sp
from sparsepix.models.architecture import Architecture, Layer
from sparsepix.models.sparse_cnn import SparseCNN

PRESETS = {
    # input_shape, convs (size, channels), pools, dense, weights, activations
    "neutrino": ((1, 63, 63), [(7, 1), (7, 3)], [7], [16, 1], "ap_fixed<8,3>", "ap_ufixed<8,2>"),
    "jet": ((1, 56, 56), [(9, 3), (9, 1)], [4], [20, 5], "ap_fixed<8,5>", "ap_ufixed<8,4>"),
    "mnist": ((1, 48, 48), [(7, 1), (5, 3)], [4, 2], [36, 10], "ap_fixed<8,1>", "ap_ufixed<8,0>"),
}


@pytest.mark.parametrize("name", PRESETS)
@pytest.mark.parametrize("bits", [8, 16])
def test_presets_are_those_of_the_paper(name, bits):
    shape, convs, pools, dense, weights, activations = PRESETS[name]
    if bits == 16:
        weights, activations = "ap_fixed<16,7>", "ap_ufixed<16,6>"
    model = getattr(sp.models, name)(max_pixels=12, bits=bits)
    modules = dict(model.named_modules())
    assert model.input_shape == shape
    assert model.reduce.max_pixels == 12
    found = [m for m in model if isinstance(m, sp.SparseConv2d)]
    assert [(m.kernel_size, m.out_channels) for m in found] == [((k, k), c) for k, c in convs]
    assert [m.kernel_size for m in model if isinstance(m, sp.SparseAvgPool2d)] == [(k, k) for k in pools]
    assert [m.out_features for m in model if isinstance(m, sp.QuantLinear)] == dense
    for layer in ("conv1", "conv2", "dense1", "dense2"):
        assert modules[layer].weight_quantizer.fixed_point == sp.FixedPoint.parse(weights)
        assert modules[layer].bias_quantizer.fixed_point == sp.FixedPoint.parse(weights)
    relus = [m for m in model if isinstance(m, sp.QuantReLU | sp.SparseReLU)]
    assert len(relus) == len(convs) + len(dense) - 1
    assert all(m.quantizer.fixed_point == sp.FixedPoint.parse(activations) for m in relus)
    assert model(torch.zeros(2, *shape)).shape == (2, dense[-1])


@pytest.mark.parametrize("name", [*PRESETS, "neutrino_large", "digits", "muon"])
def test_standard_cnn_has_the_same_weights(name):
    sparse = getattr(sp.models, name)()
    standard = getattr(sp.models, name)(sparse=False)
    standard.load_state_dict(sparse.state_dict())
    assert not any(isinstance(m, sp.SparseInputReduce) for m in standard)
    standard(torch.rand(2, *standard.input_shape)).sum().backward()
    assert standard.conv1.weight.grad is not None


@pytest.mark.parametrize("name", ["neutrino", "neutrino_large", "mnist"])
def test_standard_cnn_equals_the_sparse_one_where_its_mask_changes_nothing(name):
    """On an image whose every pixel is active and kept, in float with true division."""
    layers = getattr(sp.models, name)().architecture.layers
    shape = {"neutrino": (1, 14, 14), "neutrino_large": (1, 63, 97), "mnist": (1, 16, 16)}[name]
    sparse = SparseCNN(Architecture("all", shape, layers, max_pixels=shape[1] * shape[2])).double()
    standard = SparseCNN(Architecture("all", shape, layers, max_pixels=1, sparse=False)).double()
    standard.load_state_dict(sparse.state_dict())
    image = torch.rand(3, *shape, dtype=torch.float64) + 0.1
    torch.testing.assert_close(sparse(image), standard(image), rtol=1e-12, atol=1e-12)


@pytest.mark.parametrize("stride", [1, 2, (3, 1), (1, 4)])
def test_products_of_a_dense_convolution_with_strides(stride):
    conv = sp.QuantConv2d(2, 3, (3, 5), stride=stride)
    image = torch.rand(2, 2, 7, 10)
    out = conv(image)
    torch.testing.assert_close(out, nn.functional.conv2d(image, conv.weight, conv.bias, stride, (1, 2)))
    ones = nn.Conv2d(1, 1, (3, 5), stride, (1, 2), bias=False)
    ones(torch.ones(1, 1, 7, 10)).sum().backward()  # how often each weight meets the image
    assert_array_equal(conv.products_of_taps(), ones.weight.grad)
    assert conv.products() == 6 * ones.weight.grad.sum()


def test_strides_of_an_architecture():
    layers = (Layer("conv", 3, 2, stride=(2, 3)), Layer("conv", 5, 3, stride=[2, 2]), Layer("dense", 4))
    a = Architecture("strides", (1, 13, 20), layers, max_pixels=9)
    assert [layer.stride for layer in a.layers] == [(2, 3), 2, 1]
    assert Architecture.from_dict(json.loads(json.dumps(a.to_dict()))) == a
    model = SparseCNN(a)
    assert model(torch.rand(2, 1, 13, 20)).shape == (2, 4)
    assert model.dense1.in_features == 4 * 4 * 3  # 13 x 20, 7 x 7, 4 x 4
    assert a.weights == sum(parameter.numel() for parameter in model.parameters())


def test_heads():
    image = torch.rand(2, 1, 63, 63)
    assert isinstance(sp.models.neutrino(head=True).head, nn.Sigmoid)
    probability = sp.models.neutrino(head=True)(image)
    assert ((probability > 0) & (probability < 1)).all()
    torch.testing.assert_close(sp.models.jet(head=True)(torch.rand(2, 1, 56, 56)).sum(1), torch.ones(2))


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda: sp.models.neutrino(bits=17), "bits must be 2 ... 16 or None"),
        (lambda: sp.models.neutrino(formats="ours"), "formats must be one of calibrated, paper"),
        (lambda: sp.models.jet(max_pixel=3), "unknown option 'max_pixel'"),
        (lambda: sp.models.mnist(max_pixels=0), "max_pixels must be an int >= 1"),
        (lambda: sp.models.mnist(max_pixels=48 * 48 + 1), "must not exceed the 2304 pixels"),
        (lambda: SparseCNN(Architecture("x", (1, 4, 4), (Layer("conv", 3, 1),), 2)), "last layer must be dense"),
        (lambda: Layer("max_pool", 2, stride=2), "stride is for a conv, found 2"),
        (lambda: Layer("conv", 3, 1, stride=(2, 0)), "stride must be one or two ints >= 1"),
        (
            lambda: SparseCNN(
                Architecture("x", (1, 4, 4), (Layer("dense", 3), Layer("conv", 3, 1), Layer("dense", 1)), 2)
            ),
            "comes after a dense layer",
        ),
    ],
)
def test_wrong_arguments(make, message):
    with pytest.raises(sp.SparsePixError, match=message):
        make()


@pytest.mark.parametrize(
    "model",
    [
        lambda: sp.models.neutrino(bits=16, head=True, selection="magnitude", threshold=0.1),
        lambda: sp.models.digits(bits=None, sparse=False),
        lambda: sp.models.jet(input_format=None, bias_on="nonzero").double(),
        lambda: sp.models.mnist(pool_format=sp.LearnedFixedPoint(9, signed=False, initial_integer=2)),
    ],
)
def test_save_and_load(model, tmp_path):
    model = model()
    with torch.no_grad():
        for parameter in model.parameters():
            parameter += torch.rand_like(parameter)
    sp.save(model, tmp_path / "model.pt")
    again = sp.load(tmp_path / "model.pt")
    assert again.architecture == model.architecture
    x = torch.rand(3, *model.input_shape, dtype=next(model.parameters()).dtype)
    assert_array_equal(again(x).detach().numpy(), model(x).detach().numpy())
    assert set(torch.load(tmp_path / "model.pt", weights_only=True)) == {
        "format", "version", "architecture", "state_dict", "frozen", "digest",
    }  # fmt: skip


def test_save_what_is_under_a_compiled_model(tmp_path):
    model = sp.models.digits()
    sp.save(torch.compile(model, backend="eager"), tmp_path / "model.pt")
    assert_array_equal(
        sp.load(tmp_path / "model.pt").conv1.weight.detach().numpy(), model.conv1.weight.detach().numpy()
    )


def test_slices_are_plain_sequences():
    model = sp.models.neutrino()
    image = torch.rand(2, 1, 63, 63)
    front, back = model[:4], model[4:]
    assert front(image).features.shape == (2, 20, 1)
    assert_array_equal(back(front(image)).detach().numpy(), model(image).detach().numpy())


def test_own_modules_are_not_saved(tmp_path):
    with pytest.raises(sp.SparsePixError, match=r"--model package\.module:factory"):
        sp.save(nn.Sequential(nn.Linear(2, 2)), tmp_path / "model.pt")
    assert list(tmp_path.iterdir()) == []


class Pickled:
    def __reduce__(self):
        raise AssertionError("unpickled")


def test_load_refuses(tmp_path):
    path = tmp_path / "model.pt"
    with pytest.raises(sp.SparsePixError, match="no such file"):
        sp.load(path)
    for content in (b"", b"nonsense", b"\x80\x04N.", b"PK\x03\x04broken"):
        path.write_bytes(content)
        with pytest.raises(sp.SparsePixError, match=r"expected a (whole )?model file"):
            sp.load(path)
    torch.save(nn.Linear(2, 2), path)
    with pytest.raises(sp.SparsePixError, match=r"(?s)pickled module.*--model .*--allow-pickle"):
        sp.load(path)
    torch.save({"weight": torch.zeros(2)}, path)
    with pytest.raises(sp.SparsePixError, match="no description of an architecture"):
        sp.load(path)
    sp.save(sp.models.digits(), path)
    content = torch.load(path, weights_only=True)
    del content["digest"], content["state_dict"]["conv1.bias"]
    content["state_dict"]["dense2.weight"] = torch.zeros(3, 3)
    torch.save(content, path)
    with pytest.raises(
        sp.SparsePixError,
        match=r"(?s)dense2.weight: expected the shape \(10, 24\), found \(3, 3\).*conv1.bias: it is missing",
    ):
        sp.load(path)
    content["architecture"].pop("layers")
    torch.save(content, path)
    with pytest.raises(sp.SparsePixError, match="architecture is not complete"):
        sp.load(path)
    path.write_bytes(pickle.dumps({"a": 1}))
    with pytest.raises(sp.SparsePixError):
        sp.load(path)


def keras_arrays(model, seed=0):
    rng = np.random.default_rng(seed)
    arrays = {}
    for name in ("conv1", "conv2", "dense1", "dense2"):
        weight = getattr(model, name).weight
        shape = tuple(weight.shape[a] for a in ((2, 3, 1, 0) if weight.dim() == 4 else (1, 0)))
        arrays[f"{name}_kernel"] = rng.normal(size=shape).astype(np.float32)
        arrays[f"{name}_bias"] = rng.normal(size=shape[-1:]).astype(np.float32)
    return arrays


@pytest.mark.parametrize("sparse", [True, False])
def test_keras_arrays(sparse):
    model = sp.models.jet(sparse=sparse)
    arrays = keras_arrays(model)
    sp.compat.load_keras(model, arrays)
    for row, column, i, o in [(0, 8, 0, 2), (3, 1, 0, 0)]:
        assert model.conv1.weight[o, i, row, column] == arrays["conv1_kernel"][row, column, i, o]
    assert_array_equal(model.dense1.weight.detach().numpy(), arrays["dense1_kernel"].T)
    assert_array_equal(model.conv2.bias.detach().numpy(), arrays["conv2_bias"])


def write_keras_file(path, arrays, layout, names):
    with h5py.File(path, "w") as file:
        for ours, theirs in names.items():
            kernel, bias = arrays[f"{ours}_kernel"], arrays[f"{ours}_bias"]
            if layout == "keras2":
                group = file.create_group(f"model_weights/{theirs}/{theirs}")
                group["kernel:0"], group["bias:0"] = kernel, bias
            else:
                group = file.create_group(f"layers/{theirs}/vars")
                group["0"], group["1"] = kernel, bias
        file.create_group("optimizer_weights/adam/conv1")["kernel:0"] = np.zeros(3)


@pytest.mark.parametrize("layout", ["keras2", "keras3"])
@pytest.mark.parametrize(
    "names",
    [
        {n: n for n in ("conv1", "conv2", "dense1", "dense2")},
        {"conv1": "conv2d", "conv2": "conv2d_10", "dense1": "q_dense_2", "dense2": "q_dense_11"},
    ],
)
def test_keras_files(layout, names, tmp_path):
    model, path = sp.models.neutrino(), tmp_path / "model.weights.h5"
    arrays = keras_arrays(model)
    write_keras_file(path, arrays, layout, names)
    sp.compat.load_keras(model, path)
    for name in names:
        assert_array_equal(getattr(model, name).bias.detach().numpy(), arrays[f"{name}_bias"])
    assert_array_equal(model.conv2.weight.detach().numpy(), arrays["conv2_kernel"].transpose(3, 2, 0, 1))


def test_keras_arrays_that_do_not_fit_change_nothing(tmp_path):
    model = sp.models.neutrino()
    before = {k: v.clone() for k, v in model.state_dict().items()}
    arrays = keras_arrays(model)
    arrays["conv2_kernel"] = arrays["conv2_kernel"][:5]
    arrays["dense1_bias"][3] = np.nan
    arrays["conv3_kernel"] = np.zeros(3)
    del arrays["dense2_bias"]
    with pytest.raises(sp.SparsePixError) as error:
        sp.compat.load_keras(model, arrays)
    for part in (
        "conv2_kernel: expected shape (7, 7, 1, 3), found (5, 7, 1, 3)",
        "dense1_bias: expected finite",
        "conv3_kernel: the model has no such layer",
        "dense2_bias: expected an array of shape (1,)",
    ):
        assert part in str(error.value)
    for name, value in model.state_dict().items():
        assert_array_equal(value.numpy(), before[name].numpy())
    for content, message in ((b"x", "expected a Keras file"), (None, "no such file")):
        path = tmp_path / "weights.h5"
        path.unlink(missing_ok=True)
        if content:
            path.write_bytes(content)
        with pytest.raises(sp.SparsePixError, match=message):
            sp.compat.load_keras(model, path)
    with h5py.File(path, "w") as file:
        file["layers/conv2d/vars/0"] = np.zeros((7, 7, 1, 1))
    with pytest.raises(sp.SparsePixError, match="expected 2 convolutions"):
        sp.compat.load_keras(model, path)


def test_keras_files_that_are_something_else(tmp_path):
    model = sp.models.neutrino()
    path = tmp_path / "model.keras"
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr("model.weights.h5", b"x")
    with pytest.raises(sp.SparsePixError, match=r"found an archive; sparsepix\.compat\.from_keras\(path\) reads it"):
        sp.compat.load_keras(model, path)
    path = tmp_path / "weights.h5"
    with h5py.File(path, "w") as file:
        file.create_dataset("layers/conv2d/vars/0", (10**6, 10**6), "f4", chunks=True)
    with pytest.raises(sp.SparsePixError, match=r"expected weights, found the type float32 and the shape \(1000000"):
        sp.compat.load_keras(model, path)
    whole = path.read_bytes()
    path.write_bytes(whole[: len(whole) // 2])
    with pytest.raises(sp.SparsePixError, match=r"weights\.h5: expected a Keras file in HDF5"):
        sp.compat.load_keras(model, path)
    with pytest.raises(sp.SparsePixError, match="expected a file, found a folder"):
        sp.compat.load_keras(model, tmp_path)
