"""Calibration: where the binary point of a tensor goes, and training that begins in float."""

import numpy as np
import pytest
import torch
from numpy.testing import assert_array_equal
from torch import nn

import sparsepix as sp
from small_training import toy
from sparsepix import CalibratedFixedPoint, FixedPoint, LearnedFixedPoint
from sparsepix.quant.quantizers import Quantizer
from sparsepix.training import accuracy, fit, predict

SHAPE = (1, 8, 8)


def adapting_model(kind=CalibratedFixedPoint, **options):
    """For the toy data: every kind of layer with a format, and one format that is fixed."""
    torch.manual_seed(3)
    wide, features = kind(8, **options), kind(8, signed=False, **options)
    return nn.Sequential(
        sp.QuantIdentity(FixedPoint(8, 1, signed=False)),
        sp.SparseInputReduce(6),
        sp.SparseConv2d(1, 3, 3, weight_format=wide, batch_norm=True),
        sp.SparseReLU(features),
        sp.SparseAvgPool2d(2, format=features),
        sp.SparseFlatten(),
        sp.QuantLinear(48, 2, weight_format=wide),
    )


def images(count=64):
    rng = np.random.default_rng(5)
    return (rng.random((count, *SHAPE)) * (rng.random((count, *SHAPE)) < 0.1)).astype(np.float32)


def quantizers(model):
    return {name: module for name, module in model.named_modules() if isinstance(module, Quantizer)}


def seen(model, data):
    """What each quantizer gets when none of them rounds, in one batch."""
    found = {}
    hooks = [
        q.register_forward_pre_hook(lambda _, given, name=name: found.update({name: given[0].detach().clone()}))
        for name, q in quantizers(model).items()
    ]
    model.eval()
    with sp.unquantized(model), torch.no_grad():
        model(torch.from_numpy(data))
    for hook in hooks:
        hook.remove()
    return found


@pytest.mark.parametrize("kind", [CalibratedFixedPoint, LearnedFixedPoint])
@pytest.mark.parametrize("rounding", ["ROUND", "FLOOR"])
def test_no_other_binary_point_has_a_smaller_error(kind, rounding):
    """Against every binary point, by the integer definition of a format, in numpy."""
    model, data = adapting_model(kind, rounding=rounding), images()
    with torch.no_grad():
        model[2].weight.mul_(37.0)
        model[6].bias.mul_(2.0**-9)
    found = sp.calibrate(model, data)
    values = seen(model, data)
    assert sorted(found) == sorted(name for name in values if name != "0.quantizer")
    for name, format in found.items():
        x = values[name].double().numpy()

        def error(integer, x=x, format=format):
            other = FixedPoint(8, integer, format.signed, rounding)
            steps = (np.floor if rounding == "FLOOR" else np.rint)(x / other.scale)
            return float(((np.clip(steps, other.raw_min, other.raw_max) * other.scale - x) ** 2).sum())

        assert error(format.integer) == min(error(integer) for integer in range(-30, 31)), name
        assert quantizers(model)[name].fixed_point == format
        assert (format.width, format.rounding) == (8, rounding)


def test_it_leaves_the_mode_the_weights_and_what_is_fixed():
    model = adapting_model().train()
    model(torch.from_numpy(images()))  # the batch norm has statistics
    model[3].eval()
    before = {name: value.clone() for name, value in model.state_dict().items() if not name.endswith("scale")}
    sp.calibrate(model, images())
    assert model.training
    assert not model[3].training
    assert model[0].quantizer.fixed_point == FixedPoint(8, 1, signed=False)
    for name, value in before.items():
        assert_array_equal(value, model.state_dict()[name])
    assert not any(q.bypassed or q._forward_pre_hooks for q in quantizers(model).values())


def test_new_batch_norms_take_their_statistics_from_the_images():
    """All images at once and in batches give the same; a batch norm that has some keeps them."""
    model, data = adapting_model(), images(256)
    norm, momentum = model[2].batch_norm, model[2].batch_norm.momentum
    with sp.unquantized(model), torch.no_grad():
        dense = model[:2](torch.from_numpy(data)).to_dense()
        plain = nn.functional.conv2d(dense, model[2].weight, model[2].bias, padding=1)
        plain = plain.transpose(0, 1)[:, dense[:, 0] != 0]
    sp.calibrate(model, data)
    assert (norm.momentum, norm.training, int(norm.num_batches_tracked)) == (momentum, True, 2)
    torch.testing.assert_close(norm.running_mean, plain.mean(1), rtol=0.05, atol=0.01)
    torch.testing.assert_close(norm.running_var, plain.var(1), rtol=0.1, atol=0.01)
    before = norm.running_mean.clone()
    sp.calibrate(model, data * 0.5)
    assert_array_equal(norm.running_mean, before)


def test_a_calibration_that_fails_leaves_batch_norms_as_they_were():
    model = adapting_model()
    with torch.no_grad():
        model[6].weight[0, 0] = np.nan
    with pytest.raises(sp.SparsePixError, match=r"expected finite values in front of 6\.weight_quantizer"):
        sp.calibrate(model, images())
    assert int(model[2].batch_norm.num_batches_tracked) == 0
    assert_array_equal(model[2].batch_norm.running_mean, torch.zeros(3))


@pytest.mark.parametrize("count", [129, 2, 257])
def test_batch_norms_of_vectors_never_see_one_image(count):
    layers = (sp.QuantLinear(64, 4, weight_format=CalibratedFixedPoint(8)), nn.BatchNorm1d(4))
    model = nn.Sequential(nn.Flatten(), *layers)
    sp.calibrate(model, images(count))
    assert int(layers[1].num_batches_tracked) == -(-count // 128)
    layers[1].reset_running_stats()
    with pytest.raises(sp.SparsePixError, match="expected two images or more"):
        sp.calibrate(model, images(1))


def test_training_without_epochs_in_float_learns():
    """0.72; calibrated at the statistics that a batch norm begins with 0.29."""
    torch.manual_seed(3)
    model, data = sp.models.digits(20, batch_norm=True), sp.datasets.load("digits")
    fit(model, data, 1, seed=3)
    assert accuracy(predict(model, data.test.images), data.test.labels) > 0.5


def test_every_format_fits_its_own_tensor():
    model = adapting_model()
    with torch.no_grad():
        model[2].batch_norm.weight.fill_(100.0)
        model[6].weight.fill_(0.75)
        model[6].bias.fill_(0.0)
    found = sp.calibrate(model, images())
    assert found["6.weight_quantizer"].integer == 2  # 0.75 and nothing else: 1 and 2 hold it as well
    assert found["6.bias_quantizer"].integer == 1  # nothing to fit to: as at first
    assert found["2.weight_quantizer"].integer > 4


def test_dead_features_keep_their_format():
    model = adapting_model(initial_integer=3)
    assert sp.calibrate(model, np.zeros((4, *SHAPE), np.float32))["3.quantizer"].integer == 3


def test_of_equal_errors_the_largest_range():
    quantizer = Quantizer(CalibratedFixedPoint(8))
    model = nn.Sequential(sp.QuantLinear(64, 1, weight_format=CalibratedFixedPoint(8)), nn.Flatten())
    with torch.no_grad():
        model[0].weight.copy_(torch.tensor([0.5, -0.25] * 32))
    model = nn.Sequential(nn.Flatten(), model[0])
    assert sp.calibrate(model, images())["1.weight_quantizer"].integer == 1
    assert quantizer.fixed_point == FixedPoint(8, 1)


@pytest.mark.parametrize("size", [2.0**-70, 2.0**-63, 2.0**63, 2.0**70])
def test_values_at_the_ends_of_what_a_format_holds(size):
    model = adapting_model()
    with torch.no_grad():
        model[6].weight.mul_(size)
    before = model[6].weight_quantizer.fixed_point
    found = sp.calibrate(model, images())["6.weight_quantizer"]
    assert abs(found.integer) <= 64
    assert (found == before) == (size < 2.0**-69)


@pytest.mark.parametrize(
    ("model", "given", "message"),
    [
        (
            lambda: sp.models.digits(formats="paper"),
            np.zeros((2, 1, 48, 48), np.float32),
            "found none; give its layers",
        ),
        (lambda: sp.models.digits(), np.zeros((0, 1, 48, 48), np.float32), "images: expected some, found none"),
        (lambda: sp.models.digits(), np.zeros((2, 1, 8, 8), np.float32), "expects images"),
        (lambda: sp.models.digits(), np.zeros((2, 48, 48), np.float32), "expected an array"),
        (lambda: sp.models.digits(), np.zeros((2, 1, 48, 48), np.uint8), "expected float32, found uint8"),
        (lambda: sp.models.digits(), np.full((2, 1, 48, 48), np.inf), "expected finite values, found NaN or infinity"),
    ],
)
def test_refused(model, given, message):
    model = model()
    before = {name: value.clone() for name, value in model.state_dict().items()}
    with pytest.raises(sp.SparsePixError, match=message):
        sp.calibrate(model, given)
    for name, value in before.items():
        assert_array_equal(value, model.state_dict()[name])


def test_weights_that_are_not_finite_are_refused_and_nothing_moves():
    model = adapting_model()
    with torch.no_grad():
        model[6].weight[0, 0] = torch.nan
    with pytest.raises(sp.SparsePixError, match=r"in front of 6\.weight_quantizer, found NaN"):
        sp.calibrate(model, images())
    assert all(q.fixed_point.integer == 1 for q in quantizers(model).values() if q.adapts)


def test_unquantized_computes_in_float():
    model = adapting_model().eval()
    plain = adapting_model().eval()
    for module in plain.modules():
        if isinstance(module, Quantizer):
            module.format = None
    x = torch.from_numpy(images())
    with torch.no_grad(), sp.unquantized(model):
        assert_array_equal(model(x), plain(x))
    assert not np.array_equal(model(x).detach(), plain(x).detach())


def test_blocks_of_unquantized_may_end_in_any_order():
    """As those of two threads do."""
    model = adapting_model()
    first, second = sp.unquantized(model), sp.unquantized(model)
    first.__enter__()
    second.__enter__()
    first.__exit__(None, None, None)
    assert all(q.passes for q in quantizers(model).values())
    second.__exit__(None, None, None)
    assert not any(q.passes for q in quantizers(model).values())


def test_a_bias_alone_is_quantized_in_training_too():
    """Of a layer whose weights are in float, with a batch norm: in training as in evaluation."""
    conv = sp.SparseConv2d(1, 2, 3, bias_format=FixedPoint(2, 9), batch_norm=True).train()
    pixels = sp.SparseInputReduce(6)(torch.from_numpy(images()))
    with torch.no_grad():
        conv.batch_norm.bias.fill_(100.0)  # steps of 128: most of it is rounded away or up
        seen = conv(pixels).features[pixels.active]
        means = seen.mean(0)
    assert (means - 100).abs().min() > 20


def test_scales_are_saved_and_loaded(tmp_path):
    model = sp.models.digits(20)
    found = sp.calibrate(model, np.random.default_rng(0).random((8, 1, 48, 48)).astype(np.float32))
    assert found["relu1.quantizer"].integer != 3
    sp.save(model, tmp_path / "model.pt")
    again = sp.load(tmp_path / "model.pt")
    assert {name: again.get_submodule(name).fixed_point for name in found} == found


def test_a_float_model_fills_one_that_is_to_be_calibrated():
    floating, model = sp.models.digits(bits=None), sp.models.digits(bits=6)
    assert model.load_state_dict(floating.state_dict()).missing_keys == []
    assert model.relu1.quantizer.fixed_point == FixedPoint(6, 3, signed=False)
    with pytest.raises(RuntimeError, match=r"conv1\.weight"):
        model.load_state_dict({name: v for name, v in floating.state_dict().items() if name != "conv1.weight"})


@pytest.mark.parametrize("scale", [0.3, 0.0, -0.5, torch.inf, torch.nan, 2.0**100])
def test_a_scale_that_is_no_power_of_two_is_refused(scale, tmp_path):
    model = sp.models.digits(20)
    model.relu1.quantizer.scale.fill_(scale)
    for use in (lambda: model.relu1.quantizer.fixed_point, lambda: sp.export_onnx(model, tmp_path / "a.onnx", SHAPE)):
        with pytest.raises(sp.SparsePixError):
            use()
    with pytest.raises(sp.SparsePixError, match=r"relu1\.quantizer: SparseReLU: the calibrated scale must be"):
        sp.save(model, tmp_path / "model.pt")
    assert not list(tmp_path.iterdir())


def test_a_fixed_format_cannot_be_moved():
    with pytest.raises(sp.SparsePixError, match="only a calibrated or learned format can be moved"):
        Quantizer(FixedPoint(8, 1)).set_integer(2)
    with pytest.raises(sp.SparsePixError, match=r"-64 \.\.\. 64"):
        Quantizer(CalibratedFixedPoint(8)).set_integer(65)


def test_fit_trains_in_float_then_calibrates():
    """The epochs in float are those of a model without formats; the best epoch is one after them."""
    data = toy()
    model, plain = adapting_model(), adapting_model()
    float_states = []
    history = fit(
        model,
        data,
        6,
        batch_size=8,
        float_epochs=3,
        on_epoch=lambda epoch, _: float_states.append({k: v.clone() for k, v in model.state_dict().items()}),
    )
    with sp.unquantized(plain):
        expected = fit(plain, data, 6, batch_size=8, float_epochs=5)
    assert history.train_loss[:3] == expected.train_loss[:3]
    assert history.validation_loss[:3] == expected.validation_loss[:3]
    assert history.train_loss[3:] != expected.train_loss[3:]
    assert history.best_epoch >= 3
    assert history.columns()["quantized"] == [0, 0, 0, 1, 1, 1]
    # Formats move once, from where they started to where the weights of the best float epoch put them.
    ranks = [
        accuracy - 1e-6 * loss
        for accuracy, loss in zip(history.validation_accuracy, history.validation_loss, strict=True)
    ][:3]
    scales = [{k: float(v) for k, v in state.items() if k.endswith("scale")} for state in float_states]
    assert scales[0] == scales[2] != scales[3] == scales[5]
    best = float_states[int(np.argmax(ranks))]
    for state in float_states[3:]:  # the batch norm keeps its statistics, and goes on to learn its factor
        assert_array_equal(state["2.batch_norm.running_mean"], best["2.batch_norm.running_mean"])
    assert not torch.equal(float_states[5]["2.batch_norm.weight"], best["2.batch_norm.weight"])
    again = adapting_model()
    again.load_state_dict(best)
    assert sp.calibrate(again, data.train.images) == {
        name: q.fixed_point for name, q in quantizers(model).items() if q.adapts
    }


def test_half_of_the_epochs_are_in_float_where_formats_adapt():
    assert fit(adapting_model(), toy(), 5, batch_size=8).float_epochs == 2
    assert fit(adapting_model(LearnedFixedPoint), toy(), 4, batch_size=8).float_epochs == 2
    fixed = nn.Sequential(nn.Flatten(), sp.QuantLinear(81, 2, weight_format=FixedPoint(8, 2)))
    assert fit(fixed, toy(), 4, batch_size=8).float_epochs == 0


def test_no_epoch_in_float_calibrates_at_the_start():
    model = adapting_model()
    history = fit(model, toy(), 2, batch_size=8, float_epochs=0)
    assert "quantized" not in history.columns()
    assert quantizers(model)["6.bias_quantizer"].fixed_point.integer < 1


@pytest.mark.parametrize(
    ("model", "epochs", "message"),
    [
        (adapting_model, 4, "float_epochs: expected fewer than the 4 epochs, found 4"),
        (lambda: nn.Sequential(nn.Flatten(), nn.Linear(81, 2)), 2, "expected 0 for a model without formats, found 2"),
        (adapting_model, -1, "float_epochs"),
        (adapting_model, 1.5, "float_epochs"),
    ],
)
def test_wrong_numbers_of_float_epochs(model, epochs, message):
    with pytest.raises(sp.SparsePixError, match=message):
        fit(model(), toy(), 4, float_epochs=epochs)


def test_bit_operations_are_no_penalty_in_float():
    """Widths would shrink while nothing holds against it."""
    model = adapting_model(LearnedFixedPoint, learn_width=True)
    widths = []
    history = fit(
        model,
        toy(),
        4,
        batch_size=8,
        float_epochs=2,
        penalties={"ebops": 1e-4},
        on_epoch=lambda *_: widths.append(float(model[6].weight_quantizer.bit_width)),
    )
    assert widths[:2] == [8, 8]
    assert history.penalties["ebops"][:2] == [0, 0]
    assert history.ebops[2] > 0


@pytest.mark.parametrize("at", [2, 7, 8, 10, 15])
def test_a_training_that_was_stopped_goes_on_to_the_same_weights(tmp_path, at):
    """In the float epochs, between them and the calibration, right after it, and later."""
    data, whole, stopped = toy(), adapting_model(), adapting_model()
    arguments = {"epochs": 4, "batch_size": 8, "float_epochs": 2}
    expected = fit(whole, data, **arguments)
    steps = iter(range(100))
    with pytest.raises(KeyboardInterrupt):
        fit(stopped, data, **arguments, checkpoint=tmp_path / "c.pt", stop=lambda: next(steps) == at)
    again = adapting_model()
    history = fit(again, data, **arguments, checkpoint=tmp_path / "c.pt")
    assert history.validation_loss == expected.validation_loss
    for name, value in whole.state_dict().items():
        assert_array_equal(value, again.state_dict()[name])


@pytest.mark.parametrize("start", [-9, 12])
def test_formats_that_start_far_off_learn_too(start):
    """Where a fixed format of the same width clips or rounds everything away."""
    data = toy()
    rates = {}
    for kind in (CalibratedFixedPoint, FixedPoint):
        formats = [FixedPoint(4, start), FixedPoint(4, start, signed=False)]
        if kind is CalibratedFixedPoint:
            formats = [CalibratedFixedPoint(4, f.signed, initial_integer=start) for f in formats]
        torch.manual_seed(3)
        model = nn.Sequential(
            sp.SparseInputReduce(4),
            sp.SparseConv2d(1, 2, 3, weight_format=formats[0]),
            sp.SparseReLU(formats[1]),
            sp.SparseFlatten(),
            sp.QuantLinear(162, 2, weight_format=formats[0]),
        )
        fit(model, data, 30, batch_size=8)
        rates[kind] = accuracy(predict(model, data.test.images), data.test.labels)
    assert rates[CalibratedFixedPoint] > 0.9
    assert rates[FixedPoint] < 0.8
