"""The training loop: it learns, it repeats, it keeps the best epoch."""

import numpy as np
import pytest
import torch
from numpy.testing import assert_array_equal

import sparsepix as sp
from small_training import toy, toy_model
from sparsepix.datasets import digits
from sparsepix.training import History, accuracy, decisions, fit, loss_of, predict, random_shifts
from sparsepix.training.batches import ImageStore, fingerprint
from sparsepix.training.runs import RunOptions, build_model, fit_arguments


def test_fit_learns_the_toy():
    data, model = toy(), toy_model()
    before = accuracy(predict(model, data.test.images), data.test.labels)
    history = fit(model, data, epochs=15, learning_rate=2e-2, batch_size=8)
    assert before < 0.9
    assert accuracy(predict(model, data.test.images), data.test.labels) > 0.95
    assert history.train_loss[-1] < 0.5 * history.train_loss[0]


def test_weights_decay_and_nothing_else():
    """No image has a pixel, so that no weight gets a gradient, and biases alone learn."""
    data, model = toy(), toy_model()
    for split in (data.train, data.validation):
        split.images[:] = 0
    before = {name: value.clone() for name, value in model.state_dict().items()}
    options = {"learning_rate": 2.0**-4, "schedule": "constant", "batch_size": 8}
    fit(model, data, epochs=1, weight_decay=0.5, **options)
    for name, value in model.state_dict().items():
        if name.endswith("weight"):
            torch.testing.assert_close(value, before[name] * (1 - 2.0**-5) ** 4)
    plain = toy_model()
    fit(plain, data, epochs=1, weight_decay=0, **options)
    assert_array_equal(plain[-1].bias.detach(), model[-1].bias.detach())


def test_fit_learns_one_logit():
    data, model = toy(), toy_model(outputs=1)
    fit(model, data, epochs=15, learning_rate=2e-2, batch_size=8)
    assert accuracy(predict(model, data.test.images), data.test.labels) > 0.95


def test_fit_improves_the_digits_in_float_and_in_8_bit():
    data = digits()
    torch.manual_seed(0)
    model, quantized = (sp.models.digits(bits=bits, selection="magnitude") for bits in (None, 8))
    fit(model, data, epochs=6, learning_rate=1e-2)
    reached = accuracy(predict(model, data.validation.images), data.validation.labels)
    assert reached > 0.8
    quantized.load_state_dict(model.state_dict())
    fit(quantized, data, epochs=2, learning_rate=1e-3)
    assert accuracy(predict(quantized, data.validation.images), data.validation.labels) > reached - 0.03


@pytest.mark.parametrize("augment", [None, random_shifts(1)])
def test_fit_repeats_with_a_seed(augment):
    data = toy()
    weights, losses = [], []
    for seed in (3, 3, 4):
        model = toy_model()
        torch.manual_seed(len(weights))  # the state of torch's own generator must not matter
        losses.append(fit(model, data, epochs=2, seed=seed, batch_size=8, augment=augment).train_loss)
        weights.append(model[1].weight.detach().numpy())
    assert_array_equal(weights[0], weights[1])
    assert losses[0] == losses[1]
    assert losses[0] != losses[2]


def test_fit_ends_with_the_best_epoch():
    data, model, seen = toy(), toy_model(), []

    def remember(epoch, history):
        assert len(history.train_loss) == epoch + 1
        seen.append(predict(model, data.validation.images))

    # A rate that overshoots, so that the last epoch is not the best.
    history = fit(model, data, epochs=8, learning_rate=0.5, batch_size=8, seed=1, on_epoch=remember)
    assert history.best_epoch != 7
    assert_array_equal(predict(model, data.validation.images), seen[history.best_epoch])
    assert max(history.validation_accuracy) == accuracy(seen[history.best_epoch], data.validation.labels)


def test_best_epoch_takes_the_lower_loss_of_equal_accuracies():
    assert History([1.0] * 4, [0.1, 0.5, 0.3, 0.3], [0.8, 0.9, 0.9, 0.9]).best_epoch == 2


def test_best_epoch_by_loss_and_with_penalties():
    losses, accuracies = [0.4, 0.2, 0.3], [0.9, 0.7, 0.8]
    assert History([1.0] * 3, losses, accuracies).best_epoch == 0
    assert History([1.0] * 3, losses, accuracies, monitor="loss").best_epoch == 1
    for monitor in ("accuracy", "loss"):
        assert History([1.0] * 3, losses, accuracies, {"budget": [0.5, 0.3, 0.1]}, monitor=monitor).best_epoch == 2


@pytest.mark.parametrize("monitor", ["accuracy", "loss"])
def test_fit_ends_with_the_best_epoch_of_what_it_monitors(monitor):
    data, model, seen = toy(), toy_model(), []
    # Labels that mean nothing: the loss rises with what the model learns, the accuracy goes up and down.
    data.validation.labels[:] = np.random.default_rng(0).integers(0, 2, len(data.validation))
    history = fit(
        model, data, epochs=8, learning_rate=0.05, batch_size=8, monitor=monitor, schedule="constant",
        on_epoch=lambda *_: seen.append(predict(model, data.validation.images)),
    )  # fmt: skip
    losses, accuracies = history.validation_loss, history.validation_accuracy
    by_loss = min(range(8), key=lambda epoch: losses[epoch])
    by_accuracy = max(range(8), key=lambda epoch: (accuracies[epoch], -losses[epoch]))
    assert by_loss != by_accuracy
    assert history.best_epoch == (by_loss if monitor == "loss" else by_accuracy)
    assert_array_equal(predict(model, data.validation.images), seen[history.best_epoch])


def test_history_as_a_table(tmp_path):
    history = History([0.5, 0.25], [0.5, 0.5], [0.5, 1.0], {"budget": [1.0, 0.5]})
    history.to_csv(tmp_path / "history.csv")
    assert (tmp_path / "history.csv").read_text().splitlines() == [
        "epoch,train_loss,validation_loss,validation_accuracy,penalty_budget",
        "1,0.5,0.5,0.5,1.0",
        "2,0.25,0.5,1.0,0.5",
    ]


def test_fit_reports_nan_with_epoch_and_step():
    model = torch.nn.Sequential(torch.nn.Flatten(), torch.nn.Linear(81, 2))
    with pytest.raises(sp.SparsePixError, match=r"NaN or infinity in epoch 1 \(task loss\), by step 1 of 1"):
        fit(model, toy(), epochs=2, augment=lambda images, generator: images * torch.nan)


def test_fit_works_in_float64():
    model = toy_model().double()
    history = fit(model, toy(), epochs=2, augment=random_shifts(1))
    assert np.isfinite(history.train_loss).all()
    assert predict(model, toy().test.images).dtype == np.float64


@pytest.mark.parametrize("batch_size", [1, 5, 512])
def test_predict_is_the_model(batch_size):
    data, model = toy(), toy_model()
    with torch.no_grad():
        expected = model.eval()(torch.from_numpy(data.test.images)).numpy()
    output = predict(model, data.test.images, batch_size)
    # Sums of another batch size may round differently.
    np.testing.assert_allclose(output, expected, rtol=1e-5, atol=1e-6)


def test_predict_of_a_quantized_model_does_not_depend_on_the_batch_size():
    torch.manual_seed(0)
    model, images = sp.models.digits(), digits().test.images[:20]
    with torch.no_grad():
        expected = model.eval()(torch.from_numpy(images)).numpy()
    for batch_size in (1, 7, 512):
        assert_array_equal(predict(model, images, batch_size), expected)


@pytest.mark.parametrize("training", [True, False])
def test_predict_evaluates_and_leaves_the_mode(training):
    model = torch.nn.Sequential(torch.nn.Flatten(), torch.nn.Linear(81, 81), torch.nn.Dropout(0.5)).train(training)
    images = toy().test.images
    assert_array_equal(predict(model, images), predict(model, images))
    assert model.training is training


def test_no_filter_of_a_preset_starts_dead():
    image = torch.from_numpy(digits().train.images[:100])
    for seed in range(20):
        torch.manual_seed(seed)
        model = sp.models.mnist(bits=None)
        with torch.no_grad():
            features = model.relu1(model.conv1(model.reduce(image))).features
            assert (model.conv1.weight.sum((1, 2, 3)) >= 0).all()
            assert (model.conv2.weight < 0).any()
        assert (features.amax((0, 1)) > 0).all(), seed


@pytest.mark.parametrize(
    "make",
    [
        lambda format: sp.SparseConv2d(3, 4, 9, weight_format=format),
        lambda format: sp.SparseConv2d(4, 8, 9, groups=4, weight_format=format),
        lambda format: sp.QuantConv2d(3, 4, 9, weight_format=format),
        lambda format: sp.QuantLinear(196, 20, weight_format=format),
    ],
)
@pytest.mark.parametrize("coarse", [sp.FixedPoint(8, 5), sp.LearnedFixedPoint(8, initial_integer=5)])
def test_coarse_formats_leave_most_initial_weights(make, coarse):
    def start(format):
        torch.manual_seed(0)
        return make(format)

    layer, plain, fine = start(coarse), start(None), start(sp.FixedPoint(16, 2))
    assert_array_equal(fine.weight.detach(), plain.weight.detach())
    # Stretched, so that no filter is preferred, and within two steps of 1/8.
    stretch = layer.weight / plain.weight
    torch.testing.assert_close(stretch, stretch.mean().expand_as(stretch))
    torch.testing.assert_close(layer.bias, plain.bias * stretch.mean())
    assert float(layer.weight.detach().abs().max()) <= 0.25
    assert float((layer.weight_quantizer(layer.weight) != 0).float().mean()) > 0.7


@pytest.mark.parametrize(("preset", "bits"), [("jet", 8), ("neutrino", 5)])
def test_coarse_presets_learn(preset, bits):
    data = sp.datasets.load(preset, events=4000)
    options = RunOptions(preset, bits=bits, epochs=3, learning_rate=1e-2)
    model = build_model(options)
    fit(model, data, **fit_arguments(options))
    chance = 1 / len(data.classes)
    assert accuracy(predict(model, data.test.images), data.test.labels) > chance + 0.1


def test_decisions():
    assert_array_equal(decisions(np.array([[0.1, 2.0, -1.0], [3.0, 3.0, 0.0]])), [1, 0])
    assert_array_equal(decisions(np.array([[0.5], [0.0], [-0.5]])), [1, 0, 0])


def test_accuracy():
    assert accuracy(np.array([[1.0, 0.0], [0.0, 1.0], [1.0, 0.0], [1.0, 0.0]]), np.array([0, 1, 1, 0])) == 0.75


def test_loss_with_label_smoothing():
    logits, labels = torch.tensor([[2.0, -1.0], [0.5, 0.0]]), torch.tensor([1, 0])
    p = logits.log_softmax(1)
    plain = -(p[0, 1] + p[1, 0]) / 2
    torch.testing.assert_close(loss_of(logits, labels), plain)
    torch.testing.assert_close(loss_of(logits, labels, 0.2), 0.8 * plain - 0.2 * p.mean())
    # One logit z is the pair (0, z).
    pair = torch.stack((torch.zeros(2), logits[:, 0]), dim=1)
    for smoothing in (0.0, 0.2):
        torch.testing.assert_close(loss_of(logits[:, :1], labels, smoothing), loss_of(pair, labels, smoothing))


def test_random_shifts_move_whole_images_and_lose_what_leaves():
    images = torch.arange(1.0, 2 * 5 * 6 + 1).reshape(1, 2, 5, 6).repeat(400, 1, 1, 1)
    moved = random_shifts(2, probability=0.5)(images, torch.Generator().manual_seed(0))
    possible = {}
    for dy in (-2, 0, 2):
        for dx in (-2, 0, 2):
            shifted = torch.zeros(2, 5, 6)
            for y in range(5):
                for x in range(6):
                    if 0 <= y + dy < 5 and 0 <= x + dx < 6:
                        shifted[:, y + dy, x + dx] = images[0, :, y, x]
            possible[dy, dx] = int((moved == shifted).all(dim=3).all(dim=2).all(dim=1).sum())
    assert sum(possible.values()) == 400
    assert min(possible.values()) > 5
    # Half of them stay, and one in nine of the others moves by nothing.
    assert possible[0, 0] == pytest.approx(400 * (0.5 + 0.5 / 9), abs=40)


def test_random_shifts_with_no_chance_change_nothing():
    images = torch.rand(3, 1, 4, 4)
    assert_array_equal(random_shifts(1, probability=0.0)(images, torch.Generator().manual_seed(0)), images)


def test_image_store_gives_the_same_images():
    rng = np.random.default_rng(0)
    images = rng.normal(size=(50, 2, 5, 4)).astype(np.float32) * (rng.random((50, 2, 5, 4)) < 0.2)
    images[3] = 0  # an empty image
    images[4] = 1  # a full one
    images[5, 1, 4, 3] = np.nan
    store = ImageStore(images, torch.zeros(1))
    assert len(store) == 50
    for events in ([3], [4, 3, 4, 49, 0], list(range(50)), [5], []):
        found = store[torch.tensor(events, dtype=torch.int64)]
        assert_array_equal(found.numpy(), images[events])
    doubles = ImageStore(images, torch.zeros(1, dtype=torch.float64))[torch.tensor([4])]
    assert doubles.dtype == torch.float64


def test_fingerprint_tells_data_apart():
    images, labels = np.zeros((9, 1, 3, 3), np.float32), np.zeros(9, np.int64)
    seen = {fingerprint(images, labels), fingerprint(images[:8], labels[:8]), fingerprint(images, labels + 1)}
    for place in ((0, 0, 0, 0), (0, 0, 0, 1), (1, 0, 0, 0)):
        for value in (1.0, 2.0):
            images[...] = 0
            images[place] = value
            seen.add(fingerprint(images, labels))
    assert len(seen) == 9
    assert fingerprint(images, labels) == fingerprint(images.copy(), labels.copy())
