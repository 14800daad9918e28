"""What a user can get wrong on the command line: one clear message, exit status 2, and nothing is written."""

from pathlib import Path

import numpy as np
import pytest
from numpy.testing import assert_array_equal

from onnx_models import ModelBuilder
from output_checks import run
from sparsepix_hls.cli.main import main
from sparsepix_hls.flow import hls as hls_backend
from sparsepix_hls.flow import translation


@pytest.mark.parametrize("content", [b"", b"hello, world\n", b"PK\x03\x04" + bytes(range(256)) * 8, b"\x00" * 100])
def test_not_an_onnx_file(tmp_path, capsys, content):
    (tmp_path / "net.onnx").write_bytes(content)
    status, message = run(capsys, tmp_path / "net.onnx", "-o", tmp_path / "out")
    assert status == 2
    assert "net.onnx" in message
    assert "ONNX" in message
    assert not (tmp_path / "out").exists()


def test_no_such_file_and_folder(tmp_path, capsys):
    for path, word in ((tmp_path / "none.onnx", "no such file"), (tmp_path, "a folder")):
        status, message = run(capsys, path, "-o", tmp_path / "out")
        assert status == 2
        assert word in message


@pytest.fixture
def model(tmp_path):
    return ModelBuilder(height=4, width=4).image().reduce().conv().save(tmp_path / "net.onnx")


@pytest.mark.parametrize("clock", ["0", "-5", "nan", "inf"])
def test_clock(tmp_path, capsys, model, clock):
    status, message = run(capsys, model, f"--clock={clock}")
    assert (status, "clock" in message) == (2, True)
    assert [p.name for p in tmp_path.iterdir()] == ["net.onnx"]


def test_unknown_part(tmp_path, capsys, model):
    status, message = run(capsys, model, "--part", "xcvu9")
    assert status == 2
    assert "xcvu9p" in message
    assert [p.name for p in tmp_path.iterdir()] == ["net.onnx"]


@pytest.mark.parametrize(
    ("data", "word"),
    [
        (np.zeros((2, 1, 4, 4), dtype=bool), "dtype bool"),
        (np.zeros((3, 1, 5, 4)), "(events, 1, 4, 4)"),
        (np.zeros((1, 4, 4)), "(events, 1, 4, 4)"),
        (np.zeros((0, 1, 4, 4)), "(events, 1, 4, 4)"),
        (np.full((2, 1, 4, 4), np.nan), "NaN"),
        (np.zeros((2, 1, 4, 4), dtype=complex), "dtype"),
        (b"not an array", "numpy.save"),
        (None, "no such file"),
    ],
)
def test_testbench_data(tmp_path, capsys, model, data, word):
    path = tmp_path / "events.npy"
    if isinstance(data, bytes):
        path.write_bytes(data)
    elif data is not None:
        np.save(path, data)
    before = sorted(tmp_path.iterdir())
    status, message = run(capsys, model, "--testbench-data", path)
    assert status == 2
    assert word in message
    assert sorted(tmp_path.iterdir()) == before


def test_existing_folder_and_force(tmp_path, capsys, model):
    out = tmp_path / "out"
    out.mkdir()
    (out / "thesis.tex").write_text("mine")
    status, message = run(capsys, model, "-o", out)
    assert (status, "--force" in message, str(out) in message) == (2, True, True)
    # not a project: never replaced
    status, message = run(capsys, model, "-o", out, "--force")
    assert (status, "none" in message) == (2, True)
    assert (out / "thesis.tex").read_text() == "mine"
    project = tmp_path / "project"
    assert main([str(model), "-o", str(project)]) == 0
    (project / "stale.txt").write_text("old")
    status, message = run(capsys, model, "-o", project)
    assert (status, "--force" in message) == (2, True)
    status, message = run(capsys, model, "-o", project, "--force")
    assert (status, "did not write: stale.txt; move these" in message) == (2, True)
    assert (project / "stale.txt").read_text() == "old"
    (project / "stale.txt").unlink()
    assert main([str(model), "-o", str(project), "--force"]) == 0
    assert sorted(p.name for p in tmp_path.iterdir()) == ["net.onnx", "out", "project"]


def test_force_spares_the_current_folder(tmp_path, capsys, model, monkeypatch):
    project = tmp_path / "project"
    assert main([str(model), "-o", str(project)]) == 0
    (project / "inner").mkdir()
    for folder in (project, project / "inner"):
        monkeypatch.chdir(folder)
        status, message = run(capsys, model, "-o", project, "--force")
        assert (status, "current folder" in message) == (2, True)
    assert (project / "report.json").is_file()


@pytest.mark.parametrize("failure", [OSError("disk full"), KeyboardInterrupt()])
def test_failure_while_writing_leaves_nothing(tmp_path, capsys, model, monkeypatch, failure):
    project = tmp_path / "deep" / "er" / "project"
    write = hls_backend.write_project

    def fail(*arguments):
        write(*arguments)
        raise failure

    monkeypatch.setattr(hls_backend, "write_project", fail)
    status, message = run(capsys, model, "-o", project)
    assert status == (2 if isinstance(failure, OSError) else 130)
    assert message.startswith("error: ")
    assert [p.name for p in tmp_path.iterdir()] == ["net.onnx"]
    # with --force the old project stays
    monkeypatch.setattr(hls_backend, "write_project", write)
    assert main([str(model), "-o", str(project)]) == 0
    report = (project / "report.json").read_text()
    monkeypatch.setattr(hls_backend, "write_project", fail)
    run(capsys, model, "-o", project, "--force", "--clock", "7")
    assert (project / "report.json").read_text() == report
    assert [p.name for p in project.parent.iterdir()] == ["project"]


def test_no_compiler(tmp_path, capsys, model, monkeypatch):
    monkeypatch.setenv("CXX", "no-such-compiler")
    status, message = run(capsys, model, "--csim")
    assert status == 2
    assert "no-such-compiler" in message
    assert [p.name for p in tmp_path.iterdir()] == ["net.onnx"]


def test_folder_that_cannot_be_written(tmp_path, capsys, model):
    for target in (model / "out", Path("/proc/out")):
        status, message = run(capsys, model, "-o", target)
        assert status == 2
        assert message.startswith(f"error: {target}: cannot write the project there: ")
        assert "Errno" not in message
    assert [p.name for p in tmp_path.iterdir()] == ["net.onnx"]


def test_empty_arguments(tmp_path, capsys, model, monkeypatch):
    """As of an unset variable of a shell: nothing is guessed."""
    monkeypatch.chdir(tmp_path)
    for arguments in ((model, "-o", ""), (model, "--testbench-data", ""), ("",), (model, "--part", "")):
        status, message = run(capsys, *arguments)
        assert (status, message.startswith("error: ")) == (2, True)
    assert [p.name for p in tmp_path.iterdir()] == ["net.onnx"]


def test_interrupt_while_the_package_is_read(tmp_path, capsys, model, monkeypatch):
    def interrupt(_):
        raise KeyboardInterrupt

    monkeypatch.setattr("sparsepix_hls.cli.main._run", interrupt)
    status, message = run(capsys, model)
    assert (status, message) == (130, "error: interrupted\n")


def test_given_images_are_rounded_to_the_input_format(tmp_path, model):
    events = np.array([0.3, 100.0, -1.0, 0.0]).reshape(1, 1, 2, 2).repeat(2, axis=2).repeat(2, axis=3)
    project = translation.translate(model, tmp_path / "p", testbench_inputs=events)
    lines = (tmp_path / "p" / "tb" / "data" / "inputs.dat").read_text().splitlines()
    raw = np.array([line.split() for line in lines if not line.startswith("#")], dtype=int)
    assert_array_equal(raw, project.graph.input.type.quantize(events).raw.reshape(1, -1))
