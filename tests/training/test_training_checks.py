"""Training options, images and labels are looked at once, before anything is written, and told all at once."""

import numpy as np
import pytest
import torch
from torch import nn

import sparsepix as sp
from small_training import toy, toy_model
from sparsepix.cli.train import main
from sparsepix.datasets import Dataset, Split, synthetic_muons
from sparsepix.training import fit, random_shifts
from sparsepix.training.data_checks import checked_split
from sparsepix.training.run_options import RunOptions


def with_train(images=None, labels=None):
    data = toy()
    train = Split(data.train.images if images is None else images, data.train.labels if labels is None else labels)
    return Dataset("toy", data.classes, train, data.validation, data.test)


def refusal(data, model=None, **options):
    with pytest.raises(sp.SparsePixError) as error:
        fit(toy_model() if model is None else model, data, **{"epochs": 1} | options)
    return str(error.value)


IMAGES, LABELS = toy().train.images, toy().train.labels


def bad_pixel(value):
    images = IMAGES.copy()
    images[17, 0, 3, 3] = value
    return images


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"labels": LABELS + 1}, "train labels: expected 0 ... 1 for 2 outputs of the model, found 2"),
        ({"labels": LABELS - 1}, "train labels: expected 0 or more, found -1"),
        ({"labels": LABELS[:-3]}, "train: expected as many labels as images, found 29 and 32"),
        ({"labels": LABELS.astype(np.float32)}, "found float32; convert with labels.astype(np.int64)"),
        ({"labels": LABELS.astype(str)}, "np.unique(labels, return_inverse=True)[1]"),
        ({"labels": np.eye(2)[LABELS]}, "found the shape (32, 2); of one-hot labels take labels.argmax(1)"),
        ({"labels": LABELS.tolist()}, "train labels: expected an array [E], found list"),
        ({"images": bad_pixel(np.nan)}, "found NaN or infinity, first in image 17"),
        ({"images": bad_pixel(-np.inf)}, "found NaN or infinity, first in image 17"),
        ({"images": (IMAGES * 255).astype(np.uint8)}, "expected float32, found uint8; convert"),
        ({"images": IMAGES[:, 0]}, "expected an array [E, C, H, W], found the shape (32, 9, 9)"),
        ({"images": IMAGES[..., :8]}, "validation images: expected (1, 9, 8) as the others, found (1, 9, 9)"),
        ({"images": IMAGES[:0], "labels": LABELS[:0]}, "train: expected images to train on, found none"),
        ({"images": IMAGES.astype(object)}, "expected float32, found object"),
    ],
)
def test_data_that_are_not_what_they_should_be(change, message):
    assert message in refusal(with_train(**change))


def with_weight(weight, **options):
    model = toy_model()
    model[5].weight = nn.Parameter(weight, **options)
    return model


@pytest.mark.parametrize(
    ("weight", "strides", "shared"),
    [
        (torch.zeros(1).expand(2, 162), "(0, 0)", True),
        (torch.randn(2, 1).expand(2, 162), "(1, 0)", True),
        (torch.randn(2, 300)[:, :162], "(300, 1)", False),
        (torch.randn(4, 324)[::2, ::2], "(648, 2)", False),
    ],
)
def test_parameters_that_are_views(weight, strides, shared):
    # torch's fused Adam takes them for arrays without gaps: the process died of the first, the last did not learn.
    message = refusal(toy(), with_weight(weight))
    assert "5.weight: expected an array of its own, found a view with gaps or shared places" in message
    assert f"(shape (2, 162), strides {strides})" in message
    fit(with_weight(weight.clone()), toy(), epochs=1)
    # Adam leaves these alone; only where places are shared, the best weights cannot be set in the end.
    frozen, buffer = with_weight(weight, requires_grad=False), toy_model()
    buffer.register_buffer("seen", weight)
    for model, name in ((frozen, "5.weight"), (buffer, "seen")):
        if shared:
            assert f"{name}: expected an array of its own" in refusal(toy(), model)
        else:
            fit(model, toy(), epochs=1)


def test_parameters_that_only_look_like_views():
    lazy = toy_model()
    lazy[5] = nn.LazyLinear(2)
    views = (torch.randn(162, 2).t(), torch.randn(4, 162)[1:3], torch.randn(2 * 162).reshape(2, 162))
    for model in (lazy, toy_model().to(memory_format=torch.channels_last), *map(with_weight, views)):
        fit(model, toy(), epochs=1)


def test_all_problems_at_once(tmp_path):
    data = with_train(bad_pixel(np.nan), LABELS[:-1])
    options = {"epochs": 0, "learning_rate": np.nan, "batch_size": 0.5, "patience": 0, "label_smoothing": 2}
    options |= {"penalties": {"weight": 1, "ebops": -1.0}, "schedule": "cosine", "monitor": "f1", "seed": "x"}
    message = refusal(data, **options, save_every=-1, checkpoint=tmp_path / "checkpoint.pt")
    for part in (
        "epochs: expected a whole number of at least 1, found 0",
        "learning_rate: expected a number above 0, found nan",
        "batch_size: expected a whole number of at least 1, found 0.5",
        "patience: expected a whole number of at least 1, found 0",
        "label_smoothing: expected a number from 0 to less than 1, found 2",
        "penalties: expected one of budget, masked_intensity, ebops, found 'weight'",
        "penalties: ebops: expected a weight of at least 0, found -1.0",
        "schedule: expected one of one-cycle, constant, found 'cosine'",
        "monitor: expected one of accuracy, loss, found 'f1'",
        "seed: expected a whole number",
        "save_every: expected a number of seconds, found -1",
        "train: expected as many labels as images, found 31 and 32",
    ):
        assert part in message
    assert list(tmp_path.iterdir()) == []


def test_models_that_do_not_fit_the_data():
    assert "expected 0 ... 1 for 1 output of the model, found 2" in refusal(with_train(labels=LABELS * 2), toy_model(1))
    assert "the model expects images (1, 48, 48), the data set has (1, 9, 9)" in refusal(toy(), sp.models.digits())
    dense = nn.Sequential(nn.Flatten(), nn.Linear(80, 2))
    assert "the model does not run on images (1, 9, 9): mat1 and mat2" in refusal(toy(), dense)
    assert "expected logits [B, outputs], found the shape (1, 1, 9, 9)" in refusal(toy(), nn.Conv2d(1, 1, 1))
    assert "no penalty budget: it learns no max_pixels" in refusal(toy(), penalties={"budget": 1.0})


def test_the_check_leaves_model_and_generator_alone():
    model, state = toy_model(dropout=0.5), torch.get_rng_state()
    model.eval()
    refusal(with_train(labels=LABELS + 1), model)
    assert not model.training
    assert torch.equal(state, torch.get_rng_state())


@pytest.mark.parametrize(
    "change",
    [
        {"labels": LABELS.astype(np.uint8)},
        {"labels": LABELS.astype(">i4")},
        {"labels": LABELS.astype(bool)},
        {"labels": np.repeat(LABELS, 2)[::2]},
        {"labels": torch.from_numpy(LABELS)},
        {"images": np.flip(np.flip(IMAGES, 3).copy(), 3)},
        {"images": np.asfortranarray(IMAGES)},
        {"images": IMAGES.astype(">f4")},
        {"images": IMAGES.astype(np.float64)},
        {"images": torch.from_numpy(IMAGES)},
    ],
)
def test_the_same_data_in_other_clothes_train_the_same_model(change):
    one, other = toy_model(), toy_model()
    fit(one, toy(), epochs=1)
    fit(other, with_train(**change), epochs=1)
    assert all(torch.equal(a, b) for a, b in zip(one.parameters(), other.parameters(), strict=True))


def test_large_values_are_finite():
    problems = []
    checked_split(Split(np.full((2, 1, 3, 3), 3e38, np.float32), np.zeros(2, int)), "train", problems)
    assert problems == []


def test_shifts():
    with pytest.raises(sp.SparsePixError, match=r"(?s)step: expected a whole number of at least 1.*probability"):
        random_shifts(0, 1.5)
    assert "a shift by 9 leaves nothing of images of 9x9" in refusal(toy(), augment=random_shifts(9))


def test_a_loss_that_is_not_finite_in_validation():
    model = nn.Sequential(nn.Flatten(), nn.Linear(81, 2))

    class Spoiled(nn.Module):
        def __init__(self):
            super().__init__()
            self.inner = model

        def forward(self, x):
            return self.inner(x) if self.training or len(x) == 1 else self.inner(x) * torch.nan

    assert "NaN or infinity in the validation of epoch 1" in refusal(toy(), Spoiled())


@pytest.mark.parametrize(
    ("options", "messages"),
    [
        (["--learning-rate", "-1"], ["learning_rate: expected a number above 0, found -1.0"]),
        (
            ["--learning-rate", "nan", "--seed", "-1"],
            ["learning_rate:", "seed: expected a whole number 0 ... 42949"],
        ),
        (["--learning-rate", "inf"], ["learning_rate:"]),
        (["--seed", "1" + "0" * 30], ["seed:"]),
        (["--label-smoothing", "2", "--augment", "-1"], ["label_smoothing:", "augment: expected a whole number 0 ..."]),
        (["--epochs", "0", "--batch-size", "0", "--patience", "0"], ["epochs:", "batch_size:", "patience:"]),
        (["--events", "0"], ["events: expected a whole number of at least 10"]),
        (["--events", "1" + "0" * 15], ["events: expected a whole number 10 ... 2147483647"]),
        (["--max-pixels", "0", "--channels", "0"], ["max_pixels:", "channels:"]),
        (["--bits", "1"], ["bits must be 2 ... 16 or float, found 1"]),
        (["--bits", "63"], ["bits must be 2 ... 16 or float, found 63"]),
        (["--penalty", "x=nan"], ["penalties: expected one of", "penalties: x: expected a weight of at least 0"]),
    ],
)
def test_options_of_the_command(tmp_path, capsys, options, messages):
    assert main(["muon", "-o", str(tmp_path / "run"), *options]) == 2
    errors = capsys.readouterr().err
    assert errors.startswith("error: the options of the training: " if len(messages) == 1 else "error: the options of")
    for message in messages:
        assert message in errors
    assert "Traceback" not in errors
    assert list(tmp_path.iterdir()) == []


def test_augment_and_events_beyond_all_bounds(tmp_path, capsys):
    assert main(["muon", "-o", str(tmp_path / "run"), "--max-pixels", "1000000"]) == 2
    assert "must not exceed the 1024 pixels" in capsys.readouterr().err
    assert main(["muon", "-o", str(tmp_path / "run"), "--events", "2000000000"]) == 2
    assert "2,000,000,000 images of (1, 16, 64) take 7,629 GiB" in capsys.readouterr().err
    assert list(tmp_path.iterdir()) == []
    with pytest.raises(sp.SparsePixError, match="expected a seed of at least 0"):
        synthetic_muons(100, seed=-1)


def test_options_from_python_are_plain_numbers():
    options = RunOptions("digits", epochs=np.int64(3), learning_rate=np.float32(0.5), channels=[np.int32(2)], bits=8.0)
    assert (options.epochs, options.learning_rate, options.channels, options.bits) == (3, 0.5, (2,), 8)
    assert [type(v) for v in (options.epochs, options.learning_rate, *options.channels, options.bits)] == [
        int, float, int, int,
    ]  # fmt: skip
    with pytest.raises(sp.SparsePixError, match=r"(?s)preset: expected one of.*learn: expected one of"):
        RunOptions("resnet", learn=("weights",))


def test_a_checkpoint_of_numpy_numbers_can_be_read(tmp_path):
    path = tmp_path / "checkpoint.pt"
    for _ in range(2):
        fit(toy_model(), toy(), epochs=np.int64(1), learning_rate=np.float32(0.01), checkpoint=path)
    assert path.is_file()
