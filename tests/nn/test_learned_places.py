"""Learned formats for each channel, element and weight, and their bit operations, against plain definitions."""

import numpy as np
import onnxruntime as ort
import pytest
import torch
from numpy.testing import assert_array_equal
from torch import nn

import sparsepix as sp
import sparsepix_hls
from random_networks import hard_images
from sparsepix import LearnedFixedPoint
from sparsepix.quant.quantizers import Quantizer
from sparsepix.training import calibrate, fit
from sparsepix_hls.design.options import Options
from sparsepix_ops.fixed_point import FixedPoint
from sparsepix_ops.fixed_points import FixedPoints


def scattered(quantizer, seed=0, least=0):
    """The quantizer with ranges and widths all over the place, zero bits among them."""
    generator = torch.Generator().manual_seed(seed)
    places = quantizer.places
    with torch.no_grad():
        places.exponent.copy_(torch.randint(-2, 4, places.exponent.shape, generator=generator))
        widths = torch.randint(least, places.format.width + 1, places.width.share.shape, generator=generator)
        places.width.share.copy_(widths / places.format.width)
    return quantizer


def learned(per, **options):
    return LearnedFixedPoint(8, learn_width=True, min_width=0, per=per, **options)


def by_definition(values, quantizer):
    """Every value by the format of its place, one at a time."""
    places = quantizer.places
    widths = places.widths().detach().expand(values.shape).numpy()
    exponents = places.exponent.detach().view(places.range_shape).expand(values.shape).numpy()
    found = np.zeros(values.shape)
    format = places.format
    for place in np.ndindex(values.shape):
        if width := int(widths[place]):
            one = FixedPoint(width, int(exponents[place]) + int(format.signed), format.signed, format.rounding)
            found[place] = one.quantize(np.float64(values[place])).real
    return found


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
@pytest.mark.parametrize("rounding", ["ROUND", "FLOOR"])
@pytest.mark.parametrize("signed", [True, False])
@pytest.mark.parametrize("per", ["channel", "element", "weight", "channel of weights"])
def test_each_place_has_its_format(per, signed, rounding, dtype):
    of_weights = "weight" in per
    shape = (3, 2, 3, 3) if of_weights else (4, 6, 7) if per == "channel" else (12, 7)
    owner, places = ("SparseConv2d weight", shape) if of_weights else ("SparseReLU", 7)
    format = learned(per.partition(" ")[0], signed=signed, rounding=rounding)
    values = torch.randn(shape, generator=torch.Generator().manual_seed(1)) * 4
    values.view(-1)[:6] = torch.tensor([0.5, -0.5, 1.5, -1e9, 1e9, 0.0])  # ties and ends
    quantizer = scattered(Quantizer(format, owner, places)).to(dtype)
    result = quantizer(values.to(dtype))
    assert result.dtype == dtype
    assert_array_equal(result.detach().numpy(), by_definition(values, quantizer))
    if not of_weights:
        assert_array_equal(quantizer.present.quantize(values.double().numpy()).real, result.detach().numpy())
        widths = quantizer.places.widths().tolist()
        assert [e.width if e else 0 for e in quantizer.present.elements] == widths
        assert min(widths) == 0


@pytest.mark.parametrize("per", ["channel", "weight"])
def test_gradients_of_places_add_up_to_those_of_the_tensor(per):
    """Where all places have the same format."""
    values = torch.randn(3, 2, 3, 3, generator=torch.Generator().manual_seed(2)) * 2
    factor = torch.randn_like(values)
    whole = Quantizer(LearnedFixedPoint(8, learn_width=True), "QuantLinear weight")
    parts = Quantizer(learned(per), "QuantLinear weight", tuple(values.shape))
    exponent, width = whole.learned.scaling_impl.value, whole.learned.msb_clamp_bit_width_impl.share
    found = []
    for quantizer in (whole, parts):
        with torch.no_grad():  # within the bounds, where no gradient is dropped
            width.fill_(0.75), parts.places.width.share.fill_(0.75)
        x = values.clone().requires_grad_()
        (quantizer(x) * factor).sum().backward()
        found.append(x.grad)
    assert_array_equal(*found)
    assert parts.places.width.share.grad.shape == ((3,) if per == "channel" else (54,))
    torch.testing.assert_close(parts.places.exponent.grad.sum(), exponent.grad.sum())
    torch.testing.assert_close(parts.places.width.share.grad.sum(), width.grad)


def bits_of_weight(value, step):
    """Of the integer that a weight is: up to its highest bit, and the sign."""
    steps = abs(int(value / step))
    return steps.bit_length() + 1 if steps else 0


def test_a_weight_counts_the_bits_that_it_has():
    quantizer = scattered(Quantizer(learned("weight"), "QuantLinear weight", (5, 9)))
    values = torch.randn(5, 9, generator=torch.Generator().manual_seed(3))
    values[0, :3] = 0
    rounded = quantizer(values).detach().numpy()
    widths = quantizer.places.widths().detach().numpy()
    steps = 2.0 ** (float(quantizer.places.exponent) - (widths - 1))
    expected = [[bits_of_weight(*pair) for pair in zip(*row, strict=True)] for row in zip(rounded, steps, strict=True)]
    bits = quantizer.place_bits
    assert_array_equal(bits.detach().numpy(), expected)
    assert 0 < (bits == 0).sum() < 45
    bits.sum().backward()  # only weights that are there can become cheaper, or what would be at a bound dearer
    assert_array_equal((quantizer.places.width.share.grad.view(5, 9) != 0).numpy(), (bits.detach() > 0).numpy())


def layers_of(per, **options):
    """Two convolutions, one of groups, a pool, two dense layers; a format for each place."""
    values = learned("channel" if per == "weight" else per, signed=False)
    weights = learned(per)
    layers = [
        sp.QuantIdentity(FixedPoint(6, 2)),
        sp.SparseInputReduce(9, 0.25, **options),
        sp.SparseConv2d(2, 4, (3, 5), weight_format=weights),
        sp.SparseReLU(values, num_features=4),
        sp.SparseConv2d(4, 6, 3, weight_format=weights, groups=2),
        sp.SparseReLU(values, num_features=6),
        sp.SparseAvgPool2d((2, 3), format=values, num_features=6),
        sp.SparseFlatten(),
        sp.QuantLinear(2 * 4 * 6, 5, weight_format=weights),
        sp.QuantReLU(values, num_features=5),
        sp.QuantLinear(5, 3, weight_format=weights),
    ]
    model = nn.Sequential(*layers)
    model.input_shape = (2, 5, 12)
    return model


def small(per, seed=25, **options):
    torch.manual_seed(seed)
    model = layers_of(per, **options)
    quantizers = [module for module in model.modules() if isinstance(module, Quantizer) and module.places is not None]
    for number, quantizer in enumerate(quantizers):
        scattered(quantizer, number + 100 * seed)
        with torch.no_grad():  # enough of them stay
            quantizer.places.exponent.copy_(quantizer.places.exponent.clamp(-1, 2))
    return model


@pytest.fixture
def images():
    return hard_images(np.random.default_rng(0), (2, 5, 12))


@pytest.mark.parametrize("per", ["channel", "weight"])
def test_bit_operations_of_each_product(images, per):
    model = small(per).eval()
    rows = sp.ebops(model, images).layers
    with torch.no_grad():
        found, x = [], torch.from_numpy(images)
        for layer in model:
            if isinstance(layer, sp.SparseConv2d):
                layer(x)
                inputs = model[0].quantizer if layer is model[2] else model[3].quantizer
                found.append(conv_operations(layer, inputs, x) / len(images))
            x = layer(x)
        flat, pooled = model[:8](torch.from_numpy(images)), model[:7](torch.from_numpy(images))
        found.append(dense_operations(model[8], model[6].quantizer, pooled, len(flat)))
        bits = model[10].weight_quantizer.place_bits.expand(3, 5) * model[9].quantizer.place_bits
        found.append(float(bits.sum()))
    np.testing.assert_allclose([row.ebops for row in rows], found, rtol=1e-6)  # a mean, no value of the model


def conv_operations(layer, source, pixels):
    """Sum over all kept pixels, their neighbours, and pairs of channels."""
    weights = layer.weight_quantizer.place_bits.expand(layer.weight.shape).tolist()
    inputs = source.place_bits
    inputs = inputs.tolist() if isinstance(inputs, torch.Tensor) and inputs.dim() else [inputs] * layer.in_channels
    outputs, channels = layer.out_channels // layer.groups, layer.in_channels // layer.groups
    total = 0
    for image in pixels.coords.tolist():
        kept = [tuple(place) for place in image if place[0] >= 0]
        for row, column in kept:
            for other_row, other_column in kept:
                tap = other_row - row + layer.kernel_size[0] // 2, other_column - column + layer.kernel_size[1] // 2
                if 0 <= tap[0] < layer.kernel_size[0] and 0 <= tap[1] < layer.kernel_size[1]:
                    total += sum(
                        weights[out][channel][tap[0]][tap[1]] * inputs[out // outputs * channels + channel]
                        for out in range(layer.out_channels)
                        for channel in range(channels)
                    )
    return total


def dense_operations(layer, source, pixels, count):
    weights, inputs = layer.weight_quantizer.place_bits.expand(layer.weight.shape).tolist(), source.place_bits.tolist()
    total = 0
    for image in pixels.coords.tolist():
        for row, column in (place for place in image if place[0] >= 0):
            first = (row * pixels.spatial_shape[1] + column) * len(inputs)
            total += sum(line[first + c] * inputs[c] for line in weights for c in range(len(inputs)))
    return total / count


def test_the_selection_gets_the_gradient_that_widths_of_tensors_give(images):
    """All places alike: what a pixel costs is what it costs with one width a tensor."""
    found = []
    for per in ("tensor", "channel"):
        options = {"learn_max_pixels": True, "learn_threshold": True}
        torch.manual_seed(0)
        model = layers_of("channel", **options)
        if per == "tensor":
            formats = {"signed": False, "learn_width": True}
            for index in (3, 5, 6, 9):
                model[index].quantizer = Quantizer(LearnedFixedPoint(8, **formats))
            for index in (2, 4, 8, 10):
                model[index].weight_quantizer = Quantizer(LearnedFixedPoint(8, learn_width=True))
        model.train()(torch.from_numpy(images))
        total = sp.penalties(model, ["ebops"])["ebops"]
        total.backward()
        found.append([float(total), *(float(p.grad) for p in model[1].parameters())])
    np.testing.assert_allclose(*found, rtol=1e-5)


def test_formats_along_an_axis_count_their_own_bits(images):
    formats = FixedPoints((FixedPoint(7, 3), None, FixedPoint(3, 1), FixedPoint(4, 4)))
    model = small("channel")
    model[3] = sp.SparseReLU(formats)
    operations = sp.ebops(model, images)
    with torch.no_grad():
        pixels = model.eval()[:4](torch.from_numpy(images))
        assert_array_equal(model[3].quantizer.place_bits.numpy(), [7, 0, 3, 4])
        expected = conv_operations(model[4], model[3].quantizer, pixels) / len(images)
    np.testing.assert_allclose(operations.layers[1].ebops, expected, rtol=1e-6)


@pytest.mark.gxx
@pytest.mark.parametrize("per", ["channel", "weight"])
def test_firmware_computes_what_was_learned(tmp_path, images, per):
    model = small(per).eval()
    expected = model(torch.from_numpy(images)).detach().numpy()
    assert len(np.unique(expected)) > 10
    sp.export_onnx(model, tmp_path / "model.onnx", model.input_shape)
    assert_array_equal(ort.InferenceSession(tmp_path / "model.onnx").run(None, {"image": images})[0], expected)
    project = sparsepix_hls.translate(tmp_path / "model.onnx", tmp_path / "firmware")
    project.compile()
    assert_array_equal(project.predict(images), expected)


@pytest.mark.slow
@pytest.mark.verilator
def test_rtl_computes_what_was_learned(tmp_path, images):
    model = small("weight").eval()
    sp.export_onnx(model, tmp_path / "model.onnx", model.input_shape)
    options = Options(reduce="scan")
    project = sparsepix_hls.translate(tmp_path / "model.onnx", tmp_path / "rtl", backend="rtl", options=options)
    project.compile()
    assert_array_equal(project.predict(images), model(torch.from_numpy(images)).detach().numpy())


@pytest.mark.parametrize("per", ["channel", "weight"])
def test_calibration_of_each_place(per):
    """The binary point of each channel alone, by trying all."""
    model = sp.models.digits(8, 6, learn_bits=True, bits_per=per)
    images = sp.datasets.load("digits", None, None, 0).train.images[:64]
    seen = []
    hook = model.relu1.quantizer.register_forward_pre_hook(lambda _, inputs: seen.append(inputs[0]))
    with torch.no_grad(), sp.unquantized(model.eval()):
        model(torch.from_numpy(images))
    hook.remove()
    calibrate(model, images)
    checks = [(model.relu1.quantizer, seen[0].reshape(-1, 3).double().numpy())]
    weights = model.dense1.weight.detach().double().numpy()
    checks.append((model.dense1.weight_quantizer, weights.T if per == "channel" else weights.reshape(-1, 1)))
    for quantizer, values in checks:
        format = quantizer.format
        found = (quantizer.places.exponent + int(format.signed)).tolist()
        for place, integer in enumerate(found):
            errors = {
                i: ((FixedPoint(6, i, format.signed).quantize(values[:, place]).real - values[:, place]) ** 2).sum()
                for i in range(-12, 8)
            }
            assert errors[int(integer)] == pytest.approx(min(errors.values()), rel=1e-5)


def test_training_lowers_widths_and_the_file_keeps_them(tmp_path):
    data = sp.datasets.load("digits", None, None, 0)
    torch.manual_seed(0)
    model = sp.models.digits(8, 6, learn_bits=True, bits_per="weight", batch_norm=True)
    fit(model, data, 4, seed=0, learning_rate=0.02, penalties={"ebops": 1e-5})
    widths = model.dense1.weight_quantizer.places.widths()
    assert len(widths.unique()) > 2
    sp.save(model, tmp_path / "model.pt")
    again = sp.load(tmp_path / "model.pt").eval()
    images = torch.from_numpy(data.test.images[:50])
    assert_array_equal(again(images).detach().numpy(), model.eval()(images).detach().numpy())
    assert_array_equal(again.dense1.weight_quantizer.places.widths().detach(), widths.detach())


def test_widths_do_not_decay():
    """Without a gradient they stay, where weights shrink."""
    model = sp.models.digits(8, 6, learn_bits=True, bits_per="weight")
    split = sp.datasets.Split(np.zeros((8, 1, 48, 48), np.float32), np.zeros(8, np.int64))
    before = model.dense1.weight.detach().clone()
    fit(model, sp.datasets.Dataset("none", ("a",) * 10, split, split, split), 2, weight_decay=0.5, float_epochs=0)
    assert model.dense1.weight.abs().sum() < before.abs().sum()
    assert (model.dense1.weight_quantizer.places.width.share == 1).all()


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda: sp.SparseReLU(learned("channel")), "SparseReLU: per='channel' needs the number of places"),
        (lambda: sp.SparseReLU(learned("weight"), 3), "per must be one of tensor, channel, element, found 'weight'"),
        (lambda: sp.QuantLinear(3, 2, weight_format=learned("element")), "tensor, channel, weight, found 'element'"),
        (lambda: sp.QuantLinear(3, 2, weight_format=learned(["weight"])), "found \\['weight'\\]"),
        (lambda: sp.QuantReLU(LearnedFixedPoint(8, min_width=0), 3), "min_width must be 2 ... width = 8 bits, found 0"),
        (lambda: sp.QuantReLU(learned("element"), 3)(torch.ones(2, 4)), "expected 3 places .* shape \\(2, 4\\)"),
        (lambda: sp.QuantReLU(learned("channel"), 3)(torch.ones(1, 1, 2, 3)), "an image has one format"),
        (lambda: sp.QuantReLU(learned("channel"), 0), "num_features"),
        (lambda: sp.models.mnist(bits_per="weight"), "bits_per='weight' is for widths that are learned"),
        (lambda: sp.models.mnist(bits_per="bit", learn_bits=True), "bits_per must be one of tensor, channel, weight"),
        (
            lambda: sp.models.mnist(sparse=False, learn_bits=True, bits_per="channel"),
            "the whole image of a standard CNN has one format",
        ),
        (lambda: sp.models.mnist(input_format=learned("channel")), "an image has one format"),
    ],
)
def test_formats_that_do_not_fit(make, message):
    with pytest.raises(sp.SparsePixError, match=message):
        make()


def test_activations_without_any_bits_left(tmp_path):
    model = small("channel")
    with torch.no_grad():
        model[3].quantizer.places.width.share.zero_()
    with pytest.raises(sp.SparsePixError, match="no place has any bits left"):
        sp.export_onnx(model, tmp_path / "model.onnx", model.input_shape)


def test_a_layer_without_any_weight_left(tmp_path, images):
    model = small("weight").eval()
    with torch.no_grad():
        model[4].weight_quantizer.places.width.share.zero_()
    sp.export_onnx(model, tmp_path / "model.onnx", model.input_shape)
    session = ort.InferenceSession(tmp_path / "model.onnx")
    assert_array_equal(session.run(None, {"image": images})[0], model(torch.from_numpy(images)).detach().numpy())
    assert sp.ebops(model, images).layers[1].ebops == 0
