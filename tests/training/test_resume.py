"""An interrupted training goes on to the same weights and history, bit for bit, as one that was not interrupted."""

import dataclasses
import os
import signal
import subprocess
import sys
import threading
import time

import pytest
import torch

import sparsepix as sp
from small_training import RUN_FILES, same_state, toy, toy_model
from sparsepix.cli.train import main
from sparsepix.training import distributed, fit, random_shifts
from sparsepix.training.checkpoint import read_checkpoint
from sparsepix.training.runs import stop_on_signals
from sparsepix.util.history import History
from sparsepix_ops.system.signals import Interrupted

# Steps of an epoch: 32 images are 4 steps of 7 and one of 4.
SETTINGS = {
    "epochs": 4,
    "learning_rate": 2e-2,
    "batch_size": 7,
    "seed": 3,
    "augment": random_shifts(1),
    "label_smoothing": 0.1,
}


class CrashError(Exception):
    pass


def run(checkpoint=None, **options):
    model = toy_model(dropout=0.3)  # draws from torch's own generator
    torch.manual_seed(torch.seed())
    history = fit(model, toy(), checkpoint=checkpoint, **SETTINGS | options)
    return model, history


def crash_at(epoch, step):
    """An on_step that raises after that step (counted from 1) of that epoch."""
    seen = []

    def on_step(done, steps):
        seen.append(done)
        if len(seen) == epoch * steps + step:
            raise CrashError

    return on_step


def assert_same(one, other):
    (model, history), (expected_model, expected) = one, other
    assert same_state(model.state_dict(), expected_model.state_dict())
    for entry in dataclasses.fields(History):
        if entry.name != "seconds":
            assert getattr(history, entry.name) == getattr(expected, entry.name), entry.name


@pytest.fixture(scope="module")
def whole():
    return run()


@pytest.mark.parametrize(("epoch", "step"), [(0, 1), (0, 5), (1, 3), (2, 5), (3, 5)])
@pytest.mark.parametrize("save_every", [60.0, 0.0])
def test_after_a_crash(tmp_path, whole, epoch, step, save_every):
    """With save_every = 0 each step is saved, so that all but the step that crashed is kept."""
    path = tmp_path / "checkpoint.pt"
    with pytest.raises(CrashError):
        run(path, on_step=crash_at(epoch, step), save_every=save_every)
    steps = []
    found = run(path, on_step=lambda done, _: steps.append(done), save_every=save_every)
    assert_same(found, whole)
    kept = epoch * 5 + (step - 1 if save_every == 0 else 0)
    assert len(steps) == 20 - kept
    assert len(found[1].seconds) == 4


@pytest.mark.parametrize("at", [1, 5, 7, 20])
def test_after_being_asked_to_stop(tmp_path, whole, at):
    """Nothing at all is computed twice."""
    path, asked, steps = tmp_path / "checkpoint.pt", [], []

    def stop():
        asked.append(None)
        return len(asked) == at

    with pytest.raises(KeyboardInterrupt):
        run(path, stop=stop)
    assert_same(run(path, on_step=lambda done, _: steps.append(done)), whole)
    assert len(steps) == 20 - at


def test_interrupted_at_every_step(tmp_path, whole):
    for _ in range(20):
        with pytest.raises(KeyboardInterrupt):
            run(tmp_path / "checkpoint.pt", stop=lambda: True)
    assert_same(run(tmp_path / "checkpoint.pt"), whole)


def test_early_stopping_goes_on_counting(tmp_path):
    # A rate that overshoots: the best epoch comes early.
    options = {"epochs": 30, "learning_rate": 0.5, "patience": 3, "schedule": "constant"}
    whole = run(**options)
    epochs, best = len(whole[1].train_loss), whole[1].best_epoch
    assert epochs < 30
    assert best == epochs - 4
    path = tmp_path / "checkpoint.pt"
    with pytest.raises(CrashError):
        run(path, on_step=crash_at(epochs - 1, 2), **options)
    assert_same(run(path, **options), whole)
    # A training that has ended stays as it is.
    assert_same(run(path, on_step=crash_at(0, 1), **options), whole)


def test_the_model_ends_with_the_best_weights_of_before_the_interruption(tmp_path):
    path, options = tmp_path / "checkpoint.pt", {"learning_rate": 0.5, "epochs": 8, "schedule": "constant"}
    whole = run(**options)
    assert whole[1].best_epoch < 5
    with pytest.raises(CrashError):
        run(path, on_step=crash_at(6, 1), **options)
    assert_same(run(path, **options), whole)


def test_other_settings_are_all_listed(tmp_path):
    path = tmp_path / "checkpoint.pt"
    run(path)
    with pytest.raises(sp.SparsePixError) as error:
        run(path, learning_rate=0.1, patience=2)
    assert "learning_rate: 0.02 there, 0.1 now" in str(error.value)
    assert "patience: None there, 2 now" in str(error.value)
    assert "seed" not in str(error.value)


def test_nan_leaves_the_checkpoint_of_before(tmp_path):
    path = tmp_path / "checkpoint.pt"

    def spoil(images, generator):
        if path.exists() and read_checkpoint(path, read_settings(path)).epoch == 2:
            return images * torch.nan
        return random_shifts(1)(images, generator)

    model = torch.nn.Sequential(torch.nn.Flatten(), torch.nn.Linear(81, 2))
    with pytest.raises(sp.SparsePixError, match=r"NaN or infinity in epoch 3 \(task loss\)"):
        fit(model, toy(), checkpoint=path, save_every=0.0, **SETTINGS | {"augment": spoil})
    content = torch.load(path, weights_only=True)
    assert (content["epoch"], content["step"]) == (2, 0)
    assert all(tensor.isfinite().all() for tensor in content["model"].values())
    # With healthy images it goes on to where it would have come.
    plain = torch.nn.Sequential(torch.nn.Flatten(), torch.nn.Linear(81, 2))
    fit(plain, toy(), checkpoint=path, **SETTINGS)
    assert torch.load(path, weights_only=True)["epoch"] == 4


def read_settings(path):
    return torch.load(path, weights_only=True)["settings"]


@pytest.mark.parametrize("content", [b"", b"not a file of torch", None])
def test_files_that_are_no_checkpoint(tmp_path, content):
    path = tmp_path / "checkpoint.pt"
    if content is None:
        torch.save({"weight": torch.zeros(1)}, path)
    else:
        path.write_bytes(content)
    with pytest.raises(sp.SparsePixError, match=r"checkpoint\.pt: expected"):
        run(path)


def test_a_checkpoint_of_another_model(tmp_path):
    path = tmp_path / "checkpoint.pt"
    run(path)
    other = torch.nn.Sequential(torch.nn.Flatten(), torch.nn.Linear(81, 2))
    with pytest.raises(
        sp.SparsePixError, match=r"does not fit the training(?s:.*)model: expected 1\.weight, 1\.bias, found"
    ):
        fit(other, toy(), checkpoint=path, **SETTINGS)


def test_torch_s_own_generator_is_left_alone():
    model = torch.nn.Sequential(torch.nn.Flatten(), torch.nn.Dropout(), torch.nn.Linear(81, 2))
    torch.manual_seed(5)
    expected = torch.rand(3)
    torch.manual_seed(5)
    fit(model, toy(), epochs=1)
    assert torch.equal(torch.rand(3), expected)


def arguments(folder):
    return [
        "digits",
        "--selection",
        "magnitude",
        "--batch-size",
        "32",
        "--device",
        "cpu",
        "--epochs",
        "6",
        "-o",
        folder,
    ]


def test_the_command_after_ctrl_c(tmp_path):
    """A real process, stopped in the middle of its run."""
    folder = tmp_path / "run"
    command = [sys.executable, "-m", "sparsepix.cli.train", *arguments(folder)]
    process = subprocess.Popen(
        command, stderr=subprocess.PIPE, text=True, env=os.environ | {"OMP_NUM_THREADS": str(torch.get_num_threads())}
    )
    deadline = time.monotonic() + 60
    while not (folder / "history.csv").exists():
        assert time.monotonic() < deadline
        assert process.poll() is None, process.communicate()
        time.sleep(0.005)
    process.send_signal(signal.SIGINT)
    _, errors = process.communicate(timeout=60)
    assert process.returncode == 130, errors
    assert "the same command goes on from there" in errors
    assert not (folder / "model.pt").exists()
    assert main([str(argument) for argument in arguments(folder)]) == 0
    assert sorted(path.name for path in folder.iterdir()) == RUN_FILES
    assert main([str(argument) for argument in arguments(tmp_path / "whole")]) == 0
    found, expected = (sp.load(tmp_path / name / "model.pt").state_dict() for name in ("run", "whole"))
    assert same_state(found, expected)


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM, signal.SIGHUP])
def test_signals_stop_after_the_step(tmp_path, whole, number, capfd, monkeypatch):
    path = tmp_path / "checkpoint.pt"

    def send(done, steps):
        if done == 3:
            signal.raise_signal(number)

    before = signal.getsignal(number)
    monkeypatch.setattr(sys, "stderr", None)  # a signal may come while someone writes there
    with pytest.raises(Interrupted) as error, stop_on_signals("stopping") as stop:
        run(path, stop=stop, on_step=send)
    monkeypatch.undo()
    assert error.value.number == number
    assert capfd.readouterr().err == "stopping\n"
    assert signal.getsignal(number) is before
    content = torch.load(path, weights_only=True)
    assert (content["epoch"], content["step"]) == (0, 3)
    assert_same(run(path), whole)


def test_a_second_ctrl_c_does_not_wait():
    with stop_on_signals() as stop:
        signal.raise_signal(signal.SIGINT)
        assert stop()
        with pytest.raises(KeyboardInterrupt):
            signal.raise_signal(signal.SIGINT)


def test_ignored_signals_stay_ignored():
    """Ctrl-C in the background of a script, SIGHUP under nohup."""
    before = signal.signal(signal.SIGHUP, signal.SIG_IGN)
    try:
        with stop_on_signals() as stop:
            signal.raise_signal(signal.SIGHUP)
            assert not stop()
    finally:
        signal.signal(signal.SIGHUP, before)


def test_training_in_another_thread_needs_no_signals():
    found = []

    def work():
        with stop_on_signals() as stop:
            found.append(stop())

    thread = threading.Thread(target=work)
    thread.start()
    thread.join()
    assert found == [False]


def test_processes_of_torchrun_stop_when_it_is_gone(monkeypatch):
    monkeypatch.setattr(distributed, "world_size", lambda: 2)
    with stop_on_signals() as stop:
        assert not stop()
        monkeypatch.setattr(os, "getppid", lambda: 1)
        assert stop()
