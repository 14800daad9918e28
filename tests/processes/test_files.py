"""Files that appear whole or not at all, by the name that the user knows."""

import errno
import json
import os
import resource
import shutil
import stat
import subprocess
import sys

import pytest
import torch

import sparsepix as sp
from sparsepix.cli.export import main
from sparsepix.datasets import Dataset, Split, digits
from sparsepix.training import fit
from sparsepix_ops.errors import SparsePixError
from sparsepix_ops.system import files
from sparsepix_ops.system.files import atomic_write, output_file


def write(path, text="new"):
    with atomic_write(path) as temporary:
        temporary.write_text(text)


@pytest.fixture
def model(tmp_path):
    sp.save(sp.models.digits(4), tmp_path / "model.pt")
    return tmp_path / "model.pt"


def refused(capsys, *arguments):
    capsys.readouterr()
    assert main([str(a) for a in arguments]) == 2
    errors = capsys.readouterr().err
    assert errors.startswith("error: ")
    assert errors.count("\n") == 1
    return errors


@pytest.mark.parametrize(
    "error", [OSError(errno.ENOSPC, "No space left on device", "x"), ValueError(), KeyboardInterrupt()]
)
@pytest.mark.parametrize("there", [False, True])
def test_a_block_that_fails_leaves_what_was_there(tmp_path, error, there):
    path = tmp_path / "file.txt"
    if there:
        path.write_text("old")

    def fail():
        with atomic_write(path) as temporary:
            temporary.write_text("half")
            raise error

    with pytest.raises(SparsePixError if isinstance(error, OSError) else type(error)) as raised:
        fail()
    assert [(p.name, p.read_text()) for p in tmp_path.iterdir()] == ([("file.txt", "old")] if there else [])
    if isinstance(error, OSError):
        assert str(raised.value) == f"{path}: cannot be written: No space left on device"


def test_a_list_of_failed_copies_is_not_shown(tmp_path):
    with pytest.raises(SparsePixError) as raised, atomic_write(tmp_path / "x"):
        raise shutil.Error([(f"a{i}", f"b{i}", "No space left on device") for i in range(500)])
    assert len(str(raised.value)) < 300 + len(str(tmp_path))


def test_permissions_links_and_protection(tmp_path, monkeypatch):
    (tmp_path / "plain").write_text("x")
    write(tmp_path / "new")
    assert (tmp_path / "new").stat().st_mode == (tmp_path / "plain").stat().st_mode
    (tmp_path / "new").chmod(0o600)
    write(tmp_path / "new", "again")
    assert stat.S_IMODE((tmp_path / "new").stat().st_mode) == 0o600
    # A link stays, and what it leads to is written, as open() does it.
    (tmp_path / "other").mkdir()
    for name, target in (("link", "other/target"), ("dangling", "other/none")):
        (tmp_path / name).symlink_to(target)
        write(tmp_path / name, name)
        assert (tmp_path / name).is_symlink()
        assert (tmp_path / target).read_text() == name
    monkeypatch.setattr(os, "access", lambda *_: False)  # root may write everything
    with pytest.raises(SparsePixError, match="new: the file there is write-protected"):
        write(tmp_path / "new", "third")
    assert (tmp_path / "new").read_text() == "again"


def odd_places(folder):
    """Names that no file can have, in a folder that is made for them, and what is said of them."""
    (folder / "folder").mkdir()
    (folder / "file").write_text("mine")
    os.mkfifo(folder / "pipe")
    for name, target in (("to folder", "folder"), ("to nothing", "none/x"), ("loop", "loop")):
        (folder / name).symlink_to(target)
    return {
        "folder": "folder: expected a file to write, found a folder; add the name of a file to it",
        ".": ".: expected a file to write, found a folder",
        "..": "..: expected a file to write, found a folder",
        "/": "/: expected the name of a file to write, found that of a folder",
        "": "expected the name of a file to write, found ''",
        "new/": "new/: expected the name of a file to write, found that of a folder; add a name to it",
        "none/x": "none/x: its folder none does not exist; make it first",
        "file/x": f"file/x: {folder / 'file'} is a file, not a folder",
        "pipe": "pipe: expected a file to write, found no file (a device, a pipe, a link)",
        "/dev/null": "/dev/null: expected a file to write, found no file",
        "to folder": f"to folder (a link to {folder / 'folder'}): expected a file to write, found a folder",
        "to nothing": f"its folder {folder / 'none'} does not exist",
        "loop": "loop",
        "n" * 256: "n: cannot be written: File name too long",
    }


def test_places_where_no_file_can_be(tmp_path, monkeypatch):
    places = odd_places(tmp_path)
    monkeypatch.chdir(tmp_path)
    before = sorted(path.name for path in tmp_path.iterdir())
    for name, message in places.items():
        for function in (output_file, write, lambda path: sp.save(sp.models.digits(4), path)):
            with pytest.raises(SparsePixError) as error:
                function(name)
            assert message in str(error.value)
            assert ".sparsepix-tmp" not in str(error.value)
    with pytest.raises(SparsePixError, match="expected the name of a file"):
        write("a\0b")
    assert sorted(path.name for path in tmp_path.iterdir()) == before
    assert (tmp_path / "file").read_text() == "mine"
    write("n" * 255)
    write("-x \n'y'")


def test_export_to_odd_places(tmp_path, capsys, model, monkeypatch):
    folder = tmp_path / "odd"
    folder.mkdir()
    places = odd_places(folder)
    monkeypatch.chdir(folder)
    for name, message in places.items():
        assert message in refused(capsys, model, f"--output={name}")
    assert main([str(model), "-o-x 'y'.onnx"]) == 0
    command = capsys.readouterr().out.split("next: sparsepix-hls ")[1].replace("--part xcvu9p --csim", "")
    assert subprocess.run(["bash", "-c", f"ls {command}"], capture_output=True, text=True).stdout == "./-x 'y'.onnx\n"


def test_export_replaces_neither_its_source_nor_a_file_of_another_kind(tmp_path, capsys, model):
    before, target = model.read_bytes(), tmp_path / "model.onnx"
    (tmp_path / "same").symlink_to("model.pt")
    for name in ("model.pt", "same"):
        assert "this is the file to read: choose another name" in refused(capsys, model, "-o", tmp_path / name)
    shutil.copy(model, target)
    assert "this is the file to read" in refused(capsys, target)
    message = refused(capsys, model)
    assert f"{target}: a file is there that this command has not made; choose another name (-o), or move it" in message
    assert model.read_bytes() == target.read_bytes() == before
    assert main([str(model), "-o", str(target)]) == 0  # the user has named it
    assert main([str(model)]) == 0


def test_a_disk_that_is_full(tmp_path, model):
    """The system itself refuses each write after so many bytes; every kind of file that training writes."""
    data = digits()
    data = Dataset(
        "few", data.classes, *[Split(p.images[:20], p.labels[:20]) for p in (data.train, data.validation, data.test)]
    )
    network = sp.load(model)
    writes = {
        "model.pt": lambda path: sp.save(network, path),
        "new.pt": lambda path: sp.save(network, path),
        "new.onnx": lambda path: sp.export_onnx(network, path),
        "checkpoint.pt": lambda path: fit(sp.models.digits(4), data, 1, checkpoint=path),
        "report.json": lambda path: write(path, json.dumps(list(range(1000)))),
    }
    before, limits = model.read_bytes(), resource.getrlimit(resource.RLIMIT_FSIZE)
    for name, action in writes.items():
        try:
            resource.setrlimit(resource.RLIMIT_FSIZE, (2000, limits[1]))
            with pytest.raises(SparsePixError) as error:
                action(tmp_path / name)
        finally:
            resource.setrlimit(resource.RLIMIT_FSIZE, limits)
        assert str(error.value) == f"{tmp_path / name}: cannot be written: File too large"
        assert [path.name for path in tmp_path.iterdir()] == ["model.pt"]
    assert model.read_bytes() == before


def test_a_file_is_on_the_disk_before_it_takes_its_place(tmp_path, monkeypatch):
    order = []
    sync, replace = os.fsync, os.replace
    monkeypatch.setattr(os, "fsync", lambda handle: order.append(os.fstat(handle).st_size) or sync(handle))
    monkeypatch.setattr(files.Path, "replace", lambda path, target: order.append(target.name) or replace(path, target))
    write(tmp_path / "file", "12345")
    assert order == [5, "file"]


def test_threads_that_write_do_not_touch_the_umask(tmp_path):
    """The umask belongs to the process: whoever sets it for a moment opens the files of other threads."""
    code = (
        "import os, sys\n"
        "from sparsepix_ops.system.files import atomic_directory, atomic_write, output_folder\n"
        "def refuse(*_): raise AssertionError\n"
        "os.umask = refuse\n"
        "with atomic_write(sys.argv[1] + '/file') as path: path.write_text('x')\n"
        "with atomic_directory(output_folder(sys.argv[1] + '/folder', 'project')): pass\n"
    )
    done = subprocess.run([sys.executable, "-c", code, str(tmp_path)], capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    assert sorted(path.name for path in tmp_path.iterdir()) == ["file", "folder"]


def test_what_torch_writes_does_not_name_its_temporary_file(tmp_path):
    """Two files of one model are the same, byte for byte."""
    torch.manual_seed(0)
    network = sp.models.digits(4)
    for name in ("a.pt", "b.pt"):
        sp.save(network, tmp_path / name)
    assert (tmp_path / "a.pt").read_bytes() == (tmp_path / "b.pt").read_bytes()
