"""The folder of a training: what is refused or fails leaves it as it was, and one training at a time has it."""

import errno
import os
import shutil
import signal
import subprocess
import sys
from pathlib import Path

import pytest
import torch

import sparsepix as sp
from output_checks import contents
from small_training import RUN_FILES, every, same_state
from sparsepix.cli import train as train_cli
from sparsepix.cost.firmware_estimate import FirmwareEstimate
from sparsepix.datasets import digits
from sparsepix.training import fit
from sparsepix.training import run_folder as run_folder_module
from sparsepix.training import search as search_module
from sparsepix_ops.system.marker import MARKER, read_marker

FILES = set(RUN_FILES)


@pytest.fixture(autouse=True)
def few_digits(monkeypatch):
    data = every(10, digits())
    monkeypatch.setattr(train_cli, "load_data", lambda options, console: data)


def train(folder, *options):
    command = ["digits", "-o", folder, "--epochs", 2, "--device", "cpu", "--batch-size", 32, *options]
    return train_cli.main([str(word) for word in command])


def refused(capsys, *arguments):
    capsys.readouterr()
    assert train(*arguments) == 2
    errors = capsys.readouterr().err
    assert "Traceback" not in errors
    return errors[errors.index("error: ") :]


def full_disk(path, text):
    with path.open("wb") as file:
        file.write(text.encode()[:10] if isinstance(text, str) else bytes(text[:10]))
    raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC), str(path))


def test_a_run_lists_what_it_wrote(tmp_path, capsys):
    folder = tmp_path / "a [b] :smile: 'c'"
    assert train(folder) == 0
    assert {path.name for path in folder.iterdir()} == FILES
    marker = read_marker(folder)
    assert marker.what == "training"
    assert {name for name, digests in marker.files.items() if digests} == FILES - {MARKER}
    shown = capsys.readouterr().out
    assert f"{folder}: model.pt, history.csv" in shown
    command = shown.split("next: sparsepix-export ")[1]
    done = subprocess.run(["bash", "-c", f"ls {command}"], capture_output=True, text=True, check=True)
    assert done.stdout == f"{folder / 'model.pt'}\n"


STARTS = {
    "a penalty that is not there": ["--penalty", "weight=1"],
    "a model that cannot be": ["--max-pixels", "5000"],
    "channels": ["--channels", "1", "2"],
    "losses that are not finite": ["--learning-rate", "1e30", "--bits", "float"],
}


@pytest.mark.parametrize("kind", STARTS)
def test_a_start_that_fails_leaves_the_folder_as_it_was(tmp_path, capsys, kind):
    for folder in (tmp_path / "deep" / "run", tmp_path / "empty", tmp_path / "run"):
        if folder.name == "empty":
            folder.mkdir()
        if folder.name == "run" and folder.parent == tmp_path:
            assert train(folder) == 0
        before = contents(tmp_path)
        refused(capsys, folder, *STARTS[kind], "--force")
        refused(capsys, folder, *STARTS[kind])
        assert contents(tmp_path) == before
    # Other options are free to begin.
    assert train(tmp_path / "empty") == 0


def test_a_full_disk_at_the_start_and_later(tmp_path, capsys, monkeypatch):
    folder = tmp_path / "run"
    assert train(folder) == 0
    before = contents(tmp_path)
    for name in ("write_text", "write_bytes"):
        with monkeypatch.context() as patch:
            patch.setattr(Path, name, lambda path, text, **_: full_disk(path, text))
            for target in (tmp_path / "new", folder):
                message = refused(capsys, target, "--epochs", 3, "--force")
                assert message.count("\n") == 1
                assert f"error: {target}" in message
                assert ": No space left on device" in message
                assert ".sparsepix-tmp" not in message
        assert contents(tmp_path) == before
    written = Path.write_bytes

    def full_after_two(path, data):
        count.append(None)
        return written(path, data) if len(count) <= 2 else full_disk(path, data)

    count = []
    with monkeypatch.context() as patch:
        patch.setattr(Path, "write_bytes", full_after_two)
        message = refused(capsys, tmp_path / "new", "--epochs", 4)
    assert message == f"error: {tmp_path / 'new' / 'checkpoint.pt'}: cannot be written: No space left on device\n"
    assert train(tmp_path / "new", "--epochs", 4) == 0  # goes on
    assert train(tmp_path / "whole", "--epochs", 4) == 0
    found, expected = (sp.load(tmp_path / name / "model.pt").state_dict() for name in ("new", "whole"))
    assert same_state(found, expected)


ADDED = {
    "model.onnx": lambda p: (p / "model.onnx").write_text("exported"),
    "model_hls/": lambda p: [(p / "model_hls").mkdir(), (p / "model_hls" / "x").write_text("x")],
    ".git/": lambda p: [(p / ".git").mkdir(), (p / ".git" / "HEAD").write_text("x")],
    "history.csv (changed)": lambda p: (p / "history.csv").write_text("with my notes"),
    "model.pt (changed)": lambda p: [(p / "model.pt").unlink(), (p / "model.pt").symlink_to("checkpoint.pt")],
    "roc.png (changed)": lambda p: (p / "roc.png").write_text("mine, of a name that a run may write"),
}


@pytest.mark.parametrize("name", ADDED)
def test_force_removes_nothing_of_the_user_s(tmp_path, capsys, name):
    folder = tmp_path / "run"
    assert train(folder) == 0
    ADDED[name](folder)
    before = contents(folder)
    message = refused(capsys, folder, "--epochs", 3, "--force")
    assert f"{folder}: --force would remove what SparsePix did not write: {name}; move these" in message
    assert contents(folder) == before


def test_folders_that_are_no_run(tmp_path, capsys, monkeypatch):
    assert train(tmp_path / "run") == 0
    older, other = tmp_path / "older", tmp_path / "other"
    shutil.copytree(tmp_path / "run", older)
    (older / MARKER).unlink()
    assert f"it has no {MARKER}" in refused(capsys, older, "--epochs", 3, "--force")
    assert train(older) == 0  # it goes on without
    other.mkdir()
    for name in ("options.json", "model.pt"):
        (other / name).write_text('{"options": {}}')
    shutil.copy(tmp_path / "run" / MARKER, other)
    before = contents(other)
    assert "model.pt (changed), options.json (changed)" in refused(capsys, other, "--force")
    assert "other settings" in refused(capsys, other)
    (other / "options.json").unlink()
    assert "found model.pt; choose another" in refused(capsys, other, "--force")
    assert contents(other).items() < before.items()
    (tmp_path / "file").write_text("mine")
    (tmp_path / "dangling").symlink_to("nowhere")
    for name in ("file", "dangling"):
        assert "found a file or a link to nothing" in refused(capsys, tmp_path / name, "--force")
    assert "Not a directory" in refused(capsys, tmp_path / "file" / "run")
    assert "File name too long" in refused(capsys, tmp_path / ("n" * 256))
    monkeypatch.chdir(tmp_path)
    for name in (".", "..", "/"):
        assert "expected a new or an empty folder" in refused(capsys, name, "--force")
    with pytest.raises(SystemExit) as end:
        train("")
    assert end.value.code == 2
    assert "expected the name of a folder, found an empty one" in capsys.readouterr().err


IMPORTS = """import os, signal, sys
from sparsepix.cli import train as train_cli
from sparsepix.training import checkpoint, run_folder, runs"""


def in_a_process(code, *arguments):
    """The command that runs a training with some code before it."""
    text = f"{IMPORTS}\n{code}\nsys.exit(train_cli.main(sys.argv[1:]))"
    fixed = ["digits", "--device", "cpu", "--batch-size", "32", "--epochs", "2"]
    return [sys.executable, "-c", text, *fixed, *map(str, arguments)]


# A function, how often it is called before the process is killed in it (by SIGKILL: nothing is cleaned up), and whether
# a run is there already.
KILLED = {
    "the options of a new run": ("run_folder.write_json", 0, False),
    "the first checkpoint of a new run": ("checkpoint.write_file", 0, False),
    "what is put aside": ("run_folder.Path.rename", 3, True),
    "the first checkpoint after a run": ("checkpoint.write_file", 0, True),
}


@pytest.mark.parametrize("kind", KILLED)
def test_killed_in_the_first_write(tmp_path, kind):
    """A new run begins in what is left; with --force the run before is all there again."""
    name, count, there = KILLED[kind]
    owner, _, attribute = name.rpartition(".")
    code = (
        f"owner, calls = {owner}, []\n"
        f"original = owner.{attribute}\n"
        "def killed(*arguments, **options):\n"
        f"    if len(calls) == {count}: os.kill(os.getpid(), signal.SIGKILL)\n"
        "    calls.append(None)\n"
        "    return original(*arguments, **options)\n"
        f"owner.{attribute} = killed"
    )
    folder = tmp_path / "run"
    if there:
        assert train(folder) == 0
        before = contents(folder)
    options = ["--force", "--seed", 1] if there else []
    done = subprocess.run(in_a_process(code, "-o", folder, *options), capture_output=True, text=True)
    assert done.returncode == -signal.SIGKILL, done.stderr
    assert train(folder, *([] if there else ["--seed", 2])) == 0
    after = {name: text for name, text in contents(folder).items() if not name.startswith(".sparsepix-tmp-")}
    assert after.keys() == FILES
    if there:
        for name in ("checkpoint.pt", "options.json", "history.csv"):
            assert after[name] == before[name]
    assert train(folder, "--seed", 3, "--force") == 0


def test_one_training_at_a_time(tmp_path, capsys):
    folder = tmp_path / "run"
    command = in_a_process("runs.save = lambda *_: os.kill(os.getpid(), signal.SIGSTOP)", "-o", folder)
    process = subprocess.Popen(command, stderr=subprocess.DEVNULL)
    try:
        os.waitpid(process.pid, os.WUNTRACED)  # it has stopped at the end of its training
        for force in ([], ["--force"]):
            message = refused(capsys, folder, *force)
            assert f"{folder}: another training is running in this folder (process {process.pid} on " in message
    finally:
        process.kill()
        process.wait()
    # The lock ends with the process.
    assert train(folder, "--force") == 0
    assert {path.name for path in folder.iterdir()} == FILES


def test_the_lock_of_a_folder_that_is_removed_meanwhile(tmp_path, monkeypatch):
    """Whoever opens the lock just before its owner removes it holds nothing, and takes the next one."""
    folder, take = tmp_path / "run", run_folder_module._take
    taken = []

    def removed(handle, path):
        if not taken:
            (path / ".sparsepix.lock").unlink()
        taken.append(handle)
        take(handle, path)

    monkeypatch.setattr(run_folder_module, "_take", removed)
    assert train(folder) == 0
    assert len(taken) == 2


def test_a_checkpoint_that_cannot_be_written_is_refused_at_the_start(tmp_path):
    steps = []
    data = train_cli.load_data(None, None)
    for name, message in {
        "none/x.pt": "does not exist; make it first",
        ".": "a folder; add the name of a file",
    }.items():
        with pytest.raises(sp.SparsePixError, match=message):
            fit(sp.models.digits(8), data, 1, checkpoint=tmp_path / name, on_step=lambda *_: steps.append(1))
    assert steps == []


def search(folder, *options):
    return train(folder, "--search", 2, "--max-pixels", 6, "--space", "channels=1", "--space", "bits=8", *options)


def test_folders_of_searches(tmp_path, capsys, monkeypatch):
    monkeypatch.setattr(search_module, "firmware_estimate", lambda model: FirmwareEstimate(1, 1, 1, 1, 1))
    thesis = tmp_path / "thesis"
    thesis.mkdir()
    (thesis / "trials.csv").write_text("of patients")
    capsys.readouterr()
    for options in ([], ["--force"]):
        assert search(thesis, *options) == 2
        assert capsys.readouterr().err.startswith("error: ")
    assert contents(thesis) == {"trials.csv": b"of patients"}
    # A refused start leaves nothing, and one in which every trial failed may begin again with other options.
    assert search(tmp_path / "new" / "study", "--space", "max_pixels=5000") == 2
    assert "must not exceed" in capsys.readouterr().err
    assert search(tmp_path / "new" / "study", "--storage", "nonsense") == 2
    assert not (tmp_path / "new").exists()
    study = tmp_path / "study"
    with monkeypatch.context() as patch:
        patch.setattr(search_module, "fit", lambda *_, **__: 1 / 0)
        assert search(study, "--learning-rate", "7") == 2
    assert "every trial has failed" in capsys.readouterr().err
    assert search(study) == 0
    assert search(study, "--learning-rate", "7") == 2
    assert "learning_rate: 0.02 there" in capsys.readouterr().err
    # A study from before there were markers goes on.
    (study / MARKER).unlink()
    assert search(study) == 0


def test_interrupted_starts(tmp_path, capsys, monkeypatch):
    """At each step of the first epoch, before anything was written: the folder is as before."""
    assert train(tmp_path / "run") == 0
    before = contents(tmp_path)

    class Interrupt:
        def __init__(self, step):
            self.left = step

        def __call__(self, *_):
            self.left -= 1
            if self.left == 0:
                raise KeyboardInterrupt

    for step in (1, 3):
        for name, options in (("run", ["--force", "--seed", 1]), ("new", [])):
            with monkeypatch.context() as patch:
                patch.setattr(torch.optim.Adam, "zero_grad", Interrupt(step))
                assert train(tmp_path / name, *options) == 130
            assert contents(tmp_path) == before
