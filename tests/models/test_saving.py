"""Saving proves that the file reads back as the same model, or refuses."""

import pytest
import torch
from torch import nn
from torch.nn.utils import prune

import sparsepix as sp
from output_checks import refusal
from small_training import same_state
from sparsepix.models.architecture import Architecture, Layer

F = sp.FixedPoint


class Doubled(sp.SparseCNN):
    def forward(self, image):
        return super().forward(image) * 2


def swap(model):
    layers = list(model._modules.items())
    layers[3], layers[4] = layers[4], layers[3]
    model._modules.clear()
    model._modules.update(layers)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda m: setattr(m.conv1, "weight_quantizer", sp.Quantizer(F(6, 2))), "quantizer: format is ap_fixed<6"),
        (lambda m: setattr(m, "relu1", sp.SparseLeakyReLU(0.25, F(8, 3))), "relu1: it is a SparseLeakyReLU, the"),
        (lambda m: m.append(nn.Sigmoid()), "9: it is a Sigmoid, which the description does not have"),
        (lambda m: delattr(m, "relu2"), "relu2: the description has a QuantReLU here"),
        (lambda m: setattr(m.reduce, "initial_threshold", 0.5), "initial_threshold is 0.5, by the description 0.0"),
        (lambda m: setattr(m.conv1, "bias_on", "nonzero"), "conv1: bias_on is 'nonzero'"),
        (lambda m: setattr(m.conv1, "stride", (2, 2)), "conv1: stride is"),
        (lambda m: setattr(m.pool1, "over", "cell"), "pool1: over is 'cell'"),
        (lambda m: m.input_quant.quantizer._scale.mul_(2), "input_quant.quantizer: _scale has other values"),
        (lambda m: m.relu1.quantizer.scale.mul_(3), "the calibrated scale must be a power of two"),
        (lambda m: m.conv1.register_forward_hook(lambda m, i, o: o.replace(o.features * 2)), "hooks of conv1"),
        (lambda m: nn.utils.parametrizations.weight_norm(m.dense1), "dense1: it is a ParametrizedQuantLinear"),
        (lambda m: prune.l1_unstructured(m.dense1, "weight", 0.5), "dense1: weight_mask is not in the description"),
        (lambda m: m.half(), "it is|files hold float32 or float64: save model.float()"),
        (lambda m: setattr(m.dense1, "forward", lambda x: x[:, :24]), "dense1: forward of QuantLinear is replaced"),
        (lambda m: setattr(m.dense1, "weight", nn.Parameter(torch.zeros(24, 3))), "dense1: weight has the shape"),
        (lambda m: m.dense1.weight.data.fill_(torch.nan), "dense1.weight: expected finite values"),
        (lambda m: m.to("meta"), "meta"),
        (swap, "the layers are in the order input_quant, reduce, conv1, pool1, relu1"),
        (lambda m: setattr(m, "architecture", sp.models.digits(threshold=0.5).architecture), "initial_threshold"),
    ],
)  # fmt: skip
def test_a_changed_model_is_not_saved(tmp_path, change, message):
    model = sp.models.digits()
    change(model)
    with pytest.raises(sp.SparsePixError, match=message) as error:
        sp.save(model, tmp_path / "model.pt")
    assert "torch.save(model.state_dict(), path) and sparsepix-export --model" in str(error.value)
    assert list(tmp_path.iterdir()) == []


def test_a_subclass_and_shared_weights_are_not_saved(tmp_path):
    assert "a subclass of it" in refusal(sp.save, Doubled(sp.models.digits().architecture), tmp_path / "model.pt")
    layers = (Layer("conv", 3, 2), Layer("dense", 4), Layer("dense", 4), Layer("dense", 4))
    model = sp.SparseCNN(Architecture("x", (1, 8, 8), layers, 6))
    model.dense3.weight = model.dense2.weight
    message = refusal(sp.save, model, tmp_path / "model.pt")
    assert "dense3.weight: it is the same parameter as dense2.weight" in message


@pytest.mark.parametrize(
    "wrap",
    [
        lambda m: m,
        lambda m: torch.compile(m, backend="eager"),
        nn.DataParallel,
        lambda m: torch.optim.swa_utils.AveragedModel(nn.DataParallel(m)),
    ],
)
def test_saving_leaves_the_model_and_torch_as_they_are(tmp_path, wrap):
    model = sp.models.digits(learn_bits=True, learn_max_pixels=True, batch_norm=True)
    model.conv1.weight_quantizer.requires_grad_(False)
    model.conv1.batch_norm.eval()
    seen = []
    model.dense1.register_forward_hook(lambda m, i, o: seen.append(len(o)))
    modes = [module.training for module in model.modules()]
    before, generator = {k: v.clone() for k, v in model.state_dict().items()}, torch.get_rng_state()
    sp.save(wrap(model), tmp_path / "model.pt")
    again = sp.load(tmp_path / "model.pt")
    assert torch.equal(generator, torch.get_rng_state())
    assert same_state(model.state_dict(), before)
    assert [module.training for module in model.modules()] == modes
    frozen = [name for name, value in again.named_parameters() if not value.requires_grad]
    assert frozen == [name for name, value in model.named_parameters() if not value.requires_grad] != []
