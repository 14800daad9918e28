"""Two processes on the CPU (Gloo), started by torchrun, against one process that sees the same batches."""

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest
import torch

import distributed_worker
import sparsepix as sp
from small_training import RUN_FILES, same_state
from sparsepix.cli import train as train_cli
from sparsepix.cost import penalty_terms
from sparsepix.quant.formats import CalibratedFixedPoint, LearnedFixedPoint
from sparsepix.training.distributed import choose_device
from sparsepix.util.history import History

WORKER = Path(distributed_worker.__file__)


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    folder = tmp_path_factory.mktemp("distributed")
    done = subprocess.run(
        [sys.executable, "-m", "torch.distributed.run", "--nproc-per-node", "2", "--standalone", WORKER, folder],
        capture_output=True,
        text=True,
        timeout=240,
        check=False,
        env=os.environ | {"OMP_NUM_THREADS": "1"},
    )
    assert done.returncode == 0, done.stderr
    # Only process 0 prints.
    assert done.stdout.count("test accuracy") == 1
    assert done.stderr.count("epoch 2/2") == 1
    return folder


@pytest.fixture(scope="module")
def found(folder):
    return [torch.load(folder / f"{rank}.pt", weights_only=True) for rank in range(2)]


@pytest.fixture
def alone(monkeypatch):
    monkeypatch.setattr(penalty_terms, "penalties", distributed_worker.weight_size)
    return distributed_worker.trained


def test_both_processes_end_with_the_same_weights(found):
    assert [(one["rank"], one["world_size"]) for one in found] == [(0, 2), (1, 2)]
    for name in ("batches of 10", "batches of 1", "penalty", "batches of 1, continued", "batches of 10, continued"):
        (state, history), (other_state, other_history) = (one[name] for one in found)
        assert same_state(state, other_state), name
        for column in ("train_loss", "validation_loss", "validation_accuracy", "penalties"):
            assert history[column] == other_history[column]


@pytest.mark.parametrize(
    ("name", "options"),
    [
        ("batches of 10", {"batch_size": 10}),
        ("batches of 1", {"batch_size": 1, "epochs": 3}),
        ("penalty", {"batch_size": 7, "penalties": {"ebops": 1e-3}, "label_smoothing": 0.1}),
    ],
)
def test_the_result_is_that_of_one_process(found, alone, name, options):
    """Up to the rounding of sums: the gradients are those of the whole batch."""
    state, history = found[0][name]
    expected_state, expected = alone(**options)
    for parameter, tensor in expected_state.items():
        torch.testing.assert_close(state[parameter], tensor, rtol=1e-3, atol=1e-4)
    for column in ("train_loss", "validation_loss", "validation_accuracy", "budget", "learning_rate"):
        assert history[column] == pytest.approx(expected[column], rel=1e-3), column
    assert history["penalties"].keys() == expected["penalties"].keys()
    for penalty, values in expected["penalties"].items():
        assert history["penalties"][penalty] == pytest.approx(values, rel=1e-3)
        assert min(values) > 0


@pytest.mark.parametrize(("name", "kind"), [("calibrated", CalibratedFixedPoint), ("learned", LearnedFixedPoint)])
def test_formats_are_calibrated_as_by_one_process(found, name, kind):
    """Other parameters get gradients after the calibration than in float."""
    (state, history), (other, _) = (one[name] for one in found)
    expected_state, expected = distributed_worker.calibrated(kind)
    assert same_state(state, other)
    assert history["train_loss"] == pytest.approx(expected["train_loss"], rel=1e-3)
    scales = [key for key in state if key.endswith((".scale", "scaling_impl.value"))]
    assert len(scales) == 3
    for key in scales:
        torch.testing.assert_close(
            state[key], expected_state[key], rtol=0, atol=0.05 if kind is LearnedFixedPoint else 0
        )


@pytest.mark.parametrize("name", ["batches of 1", "batches of 10"])
def test_interrupted_processes_go_on(found, name):
    """An epoch of 32 steps, or of 4: fewer than the processes take between two messages to each other."""
    state, history = found[0][f"{name}, continued"]
    whole_state, whole = found[0][name]
    assert same_state(state, whole_state)
    assert history["train_loss"] == pytest.approx(whole["train_loss"], rel=1e-12)
    assert History(**history).best_epoch == History(**whole).best_epoch


def test_a_checkpoint_of_two_processes_is_read_by_one(folder, found, alone):
    state, history = alone(batch_size=1, epochs=3, checkpoint=folder / "checkpoint.pt")
    assert same_state(state, found[0]["batches of 1, continued"][0])
    assert history == found[0]["batches of 1, continued"][1]


def test_nan_in_one_process_stops_both(found):
    assert [one["nan"] for one in found] == [found[0]["nan"]] * 2
    assert "NaN or infinity in epoch 1" in found[0]["nan"]


def test_the_command_writes_one_folder(folder, tmp_path, capsys):
    run = folder / "run"
    assert sorted(path.name for path in run.iterdir()) == RUN_FILES
    # Batch norms are left out: their statistics are of what a process computes.
    alone = [
        "digits",
        "--epochs",
        "2",
        "--no-batch-norm",
        "--selection",
        "magnitude",
        "--device",
        "cpu",
        "-o",
        str(tmp_path / "run"),
    ]
    assert train_cli.main(alone) == 0
    found, expected = (json.loads((path / "summary.json").read_text()) for path in (run, tmp_path / "run"))
    assert found["test_loss"] == pytest.approx(expected["test_loss"], abs=0.02)
    assert found["test_accuracy"] == pytest.approx(expected["test_accuracy"], abs=0.03)
    # It goes on with one process: the number of processes is no option of the run.
    assert train_cli.main([*alone[:-1], str(run)]) == 0
    assert json.loads((run / "summary.json").read_text())["test_loss"] == found["test_loss"]


def test_devices(monkeypatch):
    assert choose_device("cpu") == torch.device("cpu")
    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)
    monkeypatch.setattr(torch.cuda, "device_count", lambda: 0)
    assert choose_device("auto") == torch.device("cpu")
    with pytest.raises(sp.SparsePixError, match="expected a GPU for process 0"):
        choose_device("cuda")
