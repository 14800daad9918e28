"""The command sparsepix-train, as a user calls it."""

import csv
import json
import subprocess
import sys

import numpy as np
import pytest
import torch
from numpy.testing import assert_array_equal

import sparsepix as sp
from small_training import every
from sparsepix.cli import train as train_cli
from sparsepix.cli.train import main
from sparsepix.datasets import digits
from sparsepix.training import accuracy, predict
from sparsepix.training.runs import area_under_roc
from sparsepix_ops import reference
from sparsepix_ops.version import __version__


@pytest.fixture(autouse=True)
def few_digits(monkeypatch):
    """A fifth of them, so that an epoch takes a blink."""
    data = every(5, digits())
    monkeypatch.setattr(train_cli, "load_data", lambda options, console: data)
    return data


def train(folder, *options):
    command = ["digits", "-o", folder, "--epochs", 3, "--device", "cpu", "--batch-size", 32, *options]
    return main([str(word) for word in command])


def failure(capsys, *arguments):
    """The message of a command that ends with exit status 2."""
    capsys.readouterr()
    assert train(*arguments) == 2
    output, errors = capsys.readouterr()
    assert output == ""
    assert errors.startswith("error: ")
    assert "Traceback" not in errors
    return errors


def test_help_and_version_import_nothing_heavy():
    code = (
        "import sys\nfrom sparsepix.cli.train import main\n"
        "try:\n    main([sys.argv[1]])\nexcept SystemExit as end:\n    assert not end.code\n"
        "print('modules:', *sorted({m.split('.')[0] for m in sys.modules}))"
    )
    for option, expected in (("--help", "torchrun --nproc-per-node"), ("--version", __version__)):
        done = subprocess.run([sys.executable, "-c", code, option], capture_output=True, text=True, check=True)
        assert expected in done.stdout
        assert not {"torch", "rich", "optuna", "matplotlib"} & set(done.stdout.split("modules:")[1].split())


def test_a_run_leaves_model_history_summary_and_pictures(tmp_path, few_digits, capsys):
    folder = tmp_path / "runs" / "digits"  # neither folder exists
    assert train(folder, "--max-pixels", 12, "--selection", "magnitude", "--learning-rate", 2e-2, "--estimate") == 0
    output, errors = capsys.readouterr()
    assert [f"epoch {i}/3" in errors for i in (1, 2, 3, 4)] == [True, True, True, False]
    model = sp.load(folder / "model.pt")
    assert (model.architecture.max_pixels, model.architecture.selection) == (12, "magnitude")
    logits = predict(model, few_digits.test.images)
    summary = json.loads((folder / "summary.json").read_text())
    assert summary["test_accuracy"] == accuracy(logits, few_digits.test.labels)
    assert f"{summary['test_accuracy']:.2%}" in output
    assert summary["test_auc"] == area_under_roc(logits, few_digits.test.labels)
    assert summary["test_auc"] > 0.6
    assert summary["firmware"]["lut"] > 1000
    assert f"{summary['firmware']['lut']:,}" in output
    with (folder / "history.csv").open() as file:
        history = list(csv.DictReader(file))
    assert [row["epoch"] for row in history] == ["1", "2", "3"]
    best = min(history, key=lambda row: float(row["validation_loss"]))
    assert summary["best_epoch"] == int(best["epoch"])
    assert float(best["validation_accuracy"]) == summary["validation_accuracy"]
    assert {row["budget"] for row in history} == {"12.0"}
    options = json.loads((folder / "options.json").read_text())
    assert options["torch"] == torch.__version__
    assert options["options"]["max_pixels"] == 12
    assert options["options"]["seed"] == 0
    for name in ("history.png", "confusion.png"):
        assert (folder / name).read_bytes().startswith(b"\x89PNG")
    assert [path.name for path in folder.glob(".*")] == [".sparsepix.json"]


def test_synthetic_events_of_two_classes(tmp_path, monkeypatch, capsys):
    monkeypatch.undo()
    folder = tmp_path / "run"
    command = ["neutrino", "--data", "synthetic", "--events", "200", "--epochs", "1", "--device", "cpu"]
    assert main([*command, "-o", str(folder)]) == 0
    assert "test AUC " in capsys.readouterr().out
    assert sp.load(folder / "model.pt").input_shape == (1, 63, 63)
    assert (folder / "roc.png").read_bytes().startswith(b"\x89PNG")
    options = json.loads((folder / "options.json").read_text())
    assert options["options"]["data"] == ["synthetic"]
    assert main([*command, "--events", "300", "-o", str(folder)]) == 2
    errors = capsys.readouterr().err
    assert "events: 200 there, 300 now" in errors
    assert "images and labels" in errors
    assert main(["neutrino", "--data", str(tmp_path / "none.h5"), "-o", str(tmp_path / "other")]) == 2
    assert "none.h5: there is no such file" in capsys.readouterr().err
    assert not (tmp_path / "other").exists()


def test_muons_are_trained_and_exported(tmp_path, monkeypatch, capsys):
    monkeypatch.undo()
    folder = tmp_path / "run"
    options = ["--events", "2000", "--epochs", "3", "--learning-rate", "1e-2", "--device", "cpu"]
    assert main(["muon", *options, "-o", str(folder)]) == 0
    assert "mean of one class against the rest" in capsys.readouterr().out
    assert json.loads((folder / "summary.json").read_text())["test_accuracy"] > 0.55
    model = sp.load(folder / "model.pt")
    exported = sp.export_onnx(model, folder / "model.onnx")
    images = sp.datasets.synthetic_muons(2000).test.images
    assert_array_equal(reference.run(exported, images).real, predict(model, images))


def test_the_seed_decides(tmp_path):
    for name, seed in (("a", 1), ("b", 1), ("c", 2)):
        assert train(tmp_path / name, "--seed", seed, "--augment", 3) == 0
    a, b, c = (sp.load(tmp_path / name / "model.pt").state_dict()["conv1.weight"] for name in "abc")
    assert torch.equal(a, b)
    assert not torch.equal(a, c)


def test_float_and_own_channels(tmp_path):
    assert train(tmp_path / "run", "--bits", "float", "--channels", 2) == 0
    architecture = sp.load(tmp_path / "run" / "model.pt").architecture
    assert architecture.weight_format is None
    assert architecture.layers[0].out_channels == 2


def test_learned_budget_and_widths_with_penalties(tmp_path):
    learn = ["--learn", "max_pixels", "threshold", "bits", "--learning-rate", 2e-2]
    weights = ["--penalty", "budget=2", "--penalty", "masked_intensity=0.1", "--penalty", "ebops=1e-6"]
    assert train(tmp_path / "run", *learn, *weights) == 0
    with (tmp_path / "run" / "history.csv").open() as file:
        rows = list(csv.DictReader(file))
    budgets = [float(row["budget"]) for row in rows]
    assert budgets[-1] < 20
    assert budgets == sorted(budgets, reverse=True)
    for row in rows:
        assert 0 < float(row["penalty_budget"]) <= 2
        assert float(row["penalty_masked_intensity"]) > 0
        assert float(row["penalty_ebops"]) == pytest.approx(1e-6 * float(row["ebops"]))
    # The best epoch is that of the lowest sum, which is not that of the highest accuracy here.
    sums = [
        sum(float(value) for name, value in row.items() if name.startswith("penalty_") or name == "validation_loss")
        for row in rows
    ]
    summary = json.loads((tmp_path / "run" / "summary.json").read_text())
    assert summary["best_epoch"] == 1 + int(np.argmin(sums))
    model = sp.load(tmp_path / "run" / "model.pt")
    assert model.reduce.max_pixels == budgets[summary["best_epoch"] - 1]


def test_early_stopping(tmp_path, capsys):
    options = ("--epochs", 40, "--patience", 2, "--learning-rate", 0.5, "--schedule", "constant")
    assert train(tmp_path / "run", *options) == 0
    summary = json.loads((tmp_path / "run" / "summary.json").read_text())
    assert summary["epochs"] == summary["best_epoch"] + 2 < 40


def test_a_finished_run_is_shown_again(tmp_path, capsys):
    folder = tmp_path / "run"
    assert train(folder) == 0
    first, before = capsys.readouterr(), (folder / "model.pt").read_bytes()
    assert train(folder) == 0
    again = capsys.readouterr()
    assert "epoch 1/3" in first.err
    assert "epoch" not in again.err
    assert again.out == first.out
    assert (folder / "model.pt").read_bytes() == before


def test_other_options_are_refused_all_at_once(tmp_path, capsys):
    folder = tmp_path / "run"
    assert train(folder) == 0
    before = (folder / "checkpoint.pt").read_bytes()
    message = failure(capsys, folder, "--epochs", 4, "--bits", 6)
    assert "epochs: 3 there, 4 now" in message
    assert "bits: 8 there, 6 now" in message
    assert "seed" not in message
    assert (folder / "checkpoint.pt").read_bytes() == before
    assert train(folder, "--epochs", 4, "--bits", 6, "--force") == 0
    assert sp.load(folder / "model.pt").architecture.weight_format.width == 6


def test_other_data_are_refused(tmp_path, few_digits, capsys):
    folder = tmp_path / "run"
    assert train(folder) == 0
    few_digits.train.images[0] = 0
    assert "images and labels" in failure(capsys, folder)


def test_the_folder_of_something_else(tmp_path, capsys):
    (tmp_path / "thesis.tex").write_text("x")
    assert "expected a new or an empty folder" in failure(capsys, tmp_path)
    assert "expected a new or an empty folder" in failure(capsys, tmp_path, "--force")
    assert [path.name for path in tmp_path.iterdir()] == ["thesis.tex"]
    (tmp_path / "run").mkdir()
    (tmp_path / "run" / "options.json").write_text("{")
    assert "options.json: expected the options of a run" in failure(capsys, tmp_path / "run")


def test_nan_names_the_epoch_and_the_run_goes_on(tmp_path, few_digits, capsys):
    folder = tmp_path / "run"
    assert "NaN or infinity in epoch 1" in failure(capsys, folder, "--learning-rate", 1e30, "--bits", "float")
    assert not (folder / "model.pt").exists()
    assert train(folder, "--bits", "float", "--force") == 0


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (["--penalty", "weight=1"], "penalties: expected one of budget, masked_intensity, ebops, found 'weight'"),
        (["--penalty", "budget=1"], "no penalty budget: it learns no max_pixels"),
        (["--max-pixels", "5000"], "must not exceed the 2304 pixels"),
        (["--channels", "1", "2"], "one for each convolution"),
        (["--device", "cuda"], "expected a GPU for process 0"),
    ],
)
def test_errors_of_the_options(tmp_path, capsys, monkeypatch, options, message):
    monkeypatch.setattr(torch.cuda, "device_count", lambda: 0)
    assert message in failure(capsys, tmp_path / "run", *options)
    assert not (tmp_path / "run" / "model.pt").exists()


@pytest.mark.parametrize(
    "options", [["--epochs", "x"], ["--bits", "wide"], ["--penalty", "budget"], ["--space", "bits="], ["--search", "x"]]
)
def test_words_that_are_no_options(tmp_path, capsys, options):
    with pytest.raises(SystemExit) as end:
        train(tmp_path / "run", *options)
    assert end.value.code == 2
    assert "usage: sparsepix-train" in capsys.readouterr().err
    assert not (tmp_path / "run").exists()


def test_auc():
    from sklearn.metrics import roc_auc_score

    rng = np.random.default_rng(0)
    labels = rng.integers(0, 2, 50)
    logit = rng.normal(size=(50, 1)) + labels[:, None]
    assert area_under_roc(logit, labels) == roc_auc_score(labels, logit[:, 0])
    # Two logits whose difference is that logit say the same.
    assert area_under_roc(np.hstack((-logit / 2, logit / 2)), labels) == pytest.approx(area_under_roc(logit, labels))
    many = rng.normal(size=(90, 3))
    probability = np.exp(many) / np.exp(many).sum(1, keepdims=True)
    three = np.arange(90) % 3
    assert area_under_roc(many, three) == pytest.approx(roc_auc_score(three, probability, multi_class="ovr"))
    assert area_under_roc(logit, np.ones(50, int)) is None
    assert area_under_roc(many, np.ones(90, int)) is None
