"""What a forward does with pixels and images by hand: the file computes the same, or the export is refused."""

import pytest
import torch
from torch import nn
from torch.nn import functional as F

import sparsepix as sp
from forward_models import FEATURES, FORMAT, SHAPE, built, exported_and_equal


def relu_in_place(_, pixels):
    F.relu(pixels.features, inplace=True)
    return pixels


def layer(module):
    """A call of a layer that has been built before."""
    return lambda _, x: module(x)


PIXELS = {
    "identity": lambda _, p: nn.Identity()(p),
    "replaced": lambda _, p: p.replace(p.features.contiguous().view(p.features.shape)),
    "rectified": lambda _, p: p.replace(F.relu(p.features)),
    "rectified in place": relu_in_place,
    "doubled": lambda _, p: p.replace(p.features + p.features),
    "made again": lambda _, p: sp.SparsePixels(p.features, p.coords, p.spatial_shape),
    "joined by hand": lambda m, p: p.replace(torch.cat([p.features, p.features], dim=2)),
}
PIXELS_REFUSED = {
    "nn.ReLU": (layer(nn.ReLU()), "SparseReLU"),
    "nn.LeakyReLU": (layer(nn.LeakyReLU(0.5)), "SparseLeakyReLU"),
    "nn.BatchNorm2d": (layer(nn.BatchNorm2d(2)), "SparseBatchNorm2d"),
    "nn.Conv2d": (layer(nn.Conv2d(2, 2, 3)), "SparseConv2d"),
    "nn.MaxPool2d": (layer(nn.MaxPool2d(2)), "SparseMaxPool2d"),
    "nn.AvgPool2d": (layer(nn.AvgPool2d(2)), "SparseAvgPool2d"),
    "nn.AdaptiveAvgPool2d": (layer(nn.AdaptiveAvgPool2d(1)), "SparseGlobalAvgPool2d"),
    "nn.AdaptiveMaxPool2d": (layer(nn.AdaptiveMaxPool2d(1)), "SparseGlobalMaxPool2d"),
    "nn.Flatten": (layer(nn.Flatten()), "SparseFlatten"),
    "nn.Linear": (layer(nn.Linear(2, 2)), "QuantLinear"),
    "nn.Dropout": (layer(nn.Dropout(0.5).eval()), "dropout after SparseFlatten"),
    "torch.relu": (lambda _, p: torch.relu(p), "SparseReLU"),
    "torch.cat": (lambda _, p: torch.cat([p, p]), r"sparsepix\.concat"),
    "torch.add": (lambda _, p: torch.add(p, p), r"sparsepix\.add"),
    "torch.flatten": (lambda _, p: torch.flatten(p, 1), "SparseFlatten"),
    "view": (lambda _, p: p.view(2, -1), "SparseFlatten"),
    "mean": (lambda _, p: p.mean(), "SparseReLU, SparseConv2d"),
    "times": (lambda _, p: p * 2, "pixels.features"),
    "times from the left": (lambda _, p: 2 * p, "pixels.features"),
    "times a tensor": (lambda m, p: p * m.constant, "pixels.features"),
    "tensor times": (lambda m, p: m.constant * p, "pixels.features"),
    "plus a number": (lambda _, p: p + 1, r"sparsepix\.add"),
    "sum of python": (lambda _, p: sum([p, p]), r"sparsepix\.add"),
    "minus": (lambda _, p: p - p, "pixels.features"),
    "negated": (lambda _, p: -p, "pixels.features"),
    "row": (lambda _, p: p[0], "pixels.features"),
    "QuantReLU": (layer(sp.QuantReLU(FORMAT)), "SparseReLU"),
    "QuantIdentity": (layer(sp.QuantIdentity(FORMAT)), "SparseIdentity"),
    "QuantLeakyReLU": (layer(sp.QuantLeakyReLU(0.5, FORMAT)), "SparseLeakyReLU"),
    "QuantLinear": (layer(sp.QuantLinear(2, 2)), "SparseFlatten"),
    "QuantConv2d": (layer(sp.QuantConv2d(2, 2, 3)), "batch of images"),
    "SparseInputReduce": (layer(sp.SparseInputReduce(2)), "batch of images"),
}
WITH_TENSORS = [sp.SparseReLU, sp.SparseIdentity, sp.SparseLeakyReLU, sp.SparseFlatten, sp.SparseGlobalAvgPool2d,
                sp.SparseGlobalMaxPool2d, lambda: sp.SparseConv2d(1, 1, 3), lambda: sp.SparseAvgPool2d(2),
                lambda: sp.SparseMaxPool2d(2), lambda: sp.SparseBatchNorm2d(1)]  # fmt: skip
PIXELS_WITHOUT_FIRMWARE = {
    "coordinates moved": lambda _, p: sp.SparsePixels(p.features, p.coords + 1, p.spatial_shape),
    "coordinates rectified": lambda _, p: sp.SparsePixels(p.features, F.relu(p.coords), p.spatial_shape),
    "coordinates swapped": lambda _, p: sp.SparsePixels(p.features, p.coords.flip(-1), (6, 5)),
    "features and coordinates": lambda _, p: p.replace(torch.cat([p.features, p.coords], -1)),
    "dense and back": lambda _, p: sp.SparseInputReduce(5)(p.to_dense()),
    "fewer slots": lambda _, p: sp.SparsePixels(p.features[:, :3], p.coords[:, :3], p.spatial_shape),
    "masked": lambda _, p: p.replace(p.features * p.active[..., None]),
    "features of images": lambda _, p: p.replace(p.features.flip(0)),
    "features set": lambda _, p: setattr(p, "features", p.features * 2) or p,
    "linear on features": lambda m, p: p.replace(F.linear(p.features, m.constant[:2].outer(m.constant[:2]))),
    "constant features": lambda _, p: p.replace(torch.zeros_like(p.features)),
}


@pytest.mark.parametrize("call", PIXELS.values(), ids=PIXELS)
def test_functions_of_features(call, tmp_path):
    model = built(on_pixels=call)
    if call is PIXELS["joined by hand"]:
        model.dense = sp.QuantLinear(120, FEATURES, weight_format=FORMAT)
    exported_and_equal(model, tmp_path / "model.onnx")


@pytest.mark.parametrize(("call", "message"), PIXELS_REFUSED.values(), ids=PIXELS_REFUSED)
def test_functions_of_tensors_on_pixels_name_the_layer(call, message, tmp_path):
    model = built(on_pixels=call)
    with pytest.raises(sp.SparsePixError, match=message):
        model(torch.zeros(2, *SHAPE))
    with pytest.raises(sp.SparsePixError, match=message):
        sp.export_onnx(model, tmp_path / "model.onnx", SHAPE)


@pytest.mark.parametrize("layer", WITH_TENSORS)
def test_layers_of_pixels_on_tensors(layer):
    with pytest.raises(sp.SparsePixError, match=r"expected SparsePixels, found a tensor \(2, 1, 5, 6\)"):
        layer()(torch.zeros(2, *SHAPE))


@pytest.mark.parametrize("call", PIXELS_WITHOUT_FIRMWARE.values(), ids=PIXELS_WITHOUT_FIRMWARE)
def test_functions_of_pixels_without_firmware(call, tmp_path):
    with pytest.raises(sp.SparsePixError):
        sp.export_onnx(built(on_pixels=call), tmp_path / "model.onnx", SHAPE)


IMAGES = {
    "float": lambda _, x: x.float().contiguous(),
    "view": lambda _, x: x.view(x.size(0), 1, 5, 6),
    "squeeze of nothing": lambda _, x: x.squeeze(2),
    "dropout": lambda m, x: F.dropout2d(x, 0.5, m.training),
}
IMAGES_REFUSED = {
    "scaled": lambda _, x: x / 255,
    "cropped": lambda _, x: x[..., 1:, :],
    "turned": lambda _, x: x.transpose(2, 3).reshape(x.shape),
    "channels last": lambda _, x: x.permute(0, 2, 3, 1).reshape(x.shape[0], 1, 5, 6).flip(2),
    "padded": lambda _, x: F.pad(x, (1, 1)),
    "normalized": lambda _, x: (x - x.mean()) / x.std(),
}


@pytest.mark.parametrize("call", IMAGES.values(), ids=IMAGES)
def test_images_that_stay(call, tmp_path):
    exported_and_equal(built(on_image=call), tmp_path / "model.onnx")


@pytest.mark.parametrize("call", IMAGES_REFUSED.values(), ids=IMAGES_REFUSED)
def test_images_prepared_in_the_model_are_refused(call, tmp_path):
    with pytest.raises(sp.SparsePixError):
        sp.export_onnx(built(on_image=call), tmp_path / "model.onnx", SHAPE)
