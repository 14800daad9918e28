"""Folders that commands make: nothing of the user's is ever lost, and of two writers at once only one wins."""

import errno
import json
import os
import shutil
import subprocess
from pathlib import Path

import pytest

import sparsepix_hls as hls
from onnx_models import ModelBuilder
from output_checks import contents, refused
from sparsepix_hls.cli.main import main
from sparsepix_hls.flow import hls as hls_backend
from sparsepix_hls.flow.report import add_to_report
from sparsepix_ops.errors import SparsePixError
from sparsepix_ops.system import renaming
from sparsepix_ops.system.files import atomic_directory, claimed_folder, output_folder, shell_word


@pytest.fixture(params=["renameat2", "portable"])
def system(request, monkeypatch):
    """The system call that renames without replacing, and what does it where there is none."""
    if request.param == "portable":
        monkeypatch.setattr(renaming, "_renameat2", lambda: None)
    elif renaming._renameat2() is None:
        pytest.skip("this system has no renameat2")


@pytest.fixture
def model(tmp_path):
    return ModelBuilder(height=3, width=3).image().reduce(2).conv().save(tmp_path / "net.onnx")


def make(target, text, force=False, during=lambda: None):
    """A folder with one file; ``during`` runs while it is being made."""
    with atomic_directory(output_folder(target, "project", force)) as folder:
        (folder / "file.txt").write_text(text)
        during()


@pytest.mark.verilator
@pytest.mark.yosys
def test_rtl_in_a_folder_with_spaces_and_force_after_it(tmp_path, capsys):
    """Names that a shell, make, tcl and Yosys read in their own way."""
    folder = tmp_path / "a b's $HOME #1; (x) [y] :smile:"
    folder.mkdir()
    model = ModelBuilder(1, 3, 3).image().reduce(2).flatten().dense("dense1", 2).save(folder / "net.onnx")
    assert main([str(model), "--backend", "rtl", "--simulate", "--synthesize"]) == 0
    project = folder / "net_rtl"
    shown = capsys.readouterr().out
    assert f"project: {project}\n" in shown
    command = (
        shown.split("next: ")[1].splitlines()[0].replace("vivado -mode batch -source build_vivado.tcl", "make -s sim")
    )
    done = subprocess.run(["bash", "-c", command], capture_output=True, text=True, check=True)
    assert "0 mismatching outputs" in done.stdout
    assert main([str(model), "--backend", "rtl", "--force"]) == 0


@pytest.mark.tclsh
def test_the_script_for_vivado_in_a_folder_with_spaces(tmp_path):
    """Its commands take lists of files: a path has to be a list of one."""
    folder = tmp_path / "a b {c} $d"
    folder.mkdir()
    model = ModelBuilder(1, 3, 3).image().reduce(2).flatten().dense("dense1", 2).save(folder / "net.onnx")
    project = hls.translate(model, folder / "net_rtl", backend="rtl").directory
    others = "synth_design report_utilization opt_design place_design phys_opt_design route_design"
    (tmp_path / "run.tcl").write_text(
        "foreach name {read_verilog read_xdc} {proc $name args {foreach file [lindex $args end] {puts [file exists $file]}}}\n"  # noqa: E501
        f"foreach name {{{others} report_timing_summary write_checkpoint}} {{proc $name args {{}}}}\n"
        "source [lindex $argv 0]\n"
    )
    command = ["tclsh", tmp_path / "run.tcl", project / "build_vivado.tcl"]
    done = subprocess.run(command, capture_output=True, text=True, check=True)
    assert done.stdout.split() == ["1"] * (1 + len(list((project / "rtl").glob("*.sv"))))


@pytest.mark.gxx
def test_the_next_command_can_be_pasted(tmp_path, capsys, model, monkeypatch):
    name = "-dash 'a' \"b\" $HOME `c`;d & (e)\nline"
    monkeypatch.chdir(tmp_path)
    assert main(["net.onnx", f"-o{name}"]) == 0
    command = capsys.readouterr().out.split("next: ")[1]
    done = subprocess.run(["bash", "-c", command], capture_output=True, text=True, check=False)
    assert "0 mismatching outputs" in done.stdout, done.stderr
    assert shell_word("plain/path.onnx") == "plain/path.onnx"


APPEARS = {
    "a folder": lambda p: [p.mkdir(), (p / "thesis.tex").write_text("mine")],
    "an empty folder": lambda p: p.mkdir(),
    "a file": lambda p: p.write_text("mine"),
    "a link": lambda p: p.symlink_to("nowhere"),
    "a link to an empty folder": lambda p: [p.with_name("other").mkdir(), p.symlink_to("other")],
    "a project": lambda p: make(p, "other"),
}


@pytest.mark.parametrize("force", [False, True])
@pytest.mark.parametrize("kind", APPEARS)
def test_what_appears_meanwhile_is_left_as_it_is(tmp_path, system, kind, force):
    target, after = tmp_path / "project", []

    def during():
        APPEARS[kind](target)
        after.append((contents(tmp_path), target.lstat().st_ino))

    with pytest.raises(SparsePixError, match="something else was put there while this project was being made"):
        make(target, "new", force, during)
    expected, identity = after[0]
    assert contents(tmp_path) == {
        name: content for name, content in expected.items() if not name.startswith(".sparsepix-tmp-")
    }
    assert target.lstat().st_ino == identity


def test_the_command_says_who_came_first(tmp_path, capsys, model, monkeypatch):
    write, target = hls_backend.write_project, tmp_path / "net_hls"

    def slow(*arguments):
        write(*arguments)
        monkeypatch.setattr(hls_backend, "write_project", write)
        assert main([str(model), "--clock", "7"]) == 0

    for force in ([], ["--force"]):
        shutil.rmtree(target, ignore_errors=True)
        monkeypatch.setattr(hls_backend, "write_project", slow)
        assert f"{target}: something else was put there" in refused(capsys, model, "--clock", "5", *force)
        assert json.loads((target / "report.json").read_text())["clock_ns"] == 7
    assert sorted(path.name for path in tmp_path.iterdir()) == ["net.onnx", "net_hls"]


def test_two_that_replace_at_once(tmp_path, system):
    target = tmp_path / "project"
    make(target, "old")
    with pytest.raises(SparsePixError, match="something else was put there"):
        make(target, "late", force=True, during=lambda: make(target, "early", force=True))
    assert (target / "file.txt").read_text() == "early"
    assert [path.name for path in tmp_path.iterdir()] == ["project"]


def test_a_file_that_comes_into_the_old_folder_meanwhile(tmp_path, system):
    target = tmp_path / "project"
    make(target, "old")
    with pytest.raises(SparsePixError, match=r"did not write: notes\.txt; move these"):
        make(target, "new", force=True, during=lambda: (target / "notes.txt").write_text("mine"))
    assert (target / "notes.txt").read_text() == "mine"
    assert (target / "file.txt").read_text() == "old"
    assert [path.name for path in tmp_path.iterdir()] == ["project"]


def test_an_old_folder_that_goes_meanwhile(tmp_path, system):
    target = tmp_path / "project"
    make(target, "old")
    make(target, "new", force=True, during=lambda: shutil.rmtree(target))
    assert (target / "file.txt").read_text() == "new"
    assert [path.name for path in tmp_path.iterdir()] == ["project"]


@pytest.mark.parametrize("name", ["check_unchanged", "exchange", "_identity"])
def test_interrupted_in_the_swap(tmp_path, system, monkeypatch, name):
    """Before it, within it or after it: the old folder or the new one is there, whole, and nothing beside it."""
    target, calls = tmp_path / "project", []
    function = getattr(sys_files(), name)
    for moment in range(1, 6):
        shutil.rmtree(target, ignore_errors=True)
        make(target, "old")
        calls.clear()

        def interrupted(*arguments, moment=moment):
            found = function(*arguments)
            calls.append(None)
            if len(calls) == moment:
                raise KeyboardInterrupt
            return found

        monkeypatch.setattr(f"sparsepix_ops.system.files.{name}", interrupted)
        try:
            make(target, "new", force=True)
            done = "new"
        except KeyboardInterrupt:
            done = "old"
        monkeypatch.setattr(f"sparsepix_ops.system.files.{name}", function)
        assert (target / "file.txt").read_text() == done
        assert [path.name for path in tmp_path.iterdir()] == ["project"]


def sys_files():
    from sparsepix_ops.system import files

    return files


def test_names_that_no_folder_can_have(tmp_path, capsys, model, monkeypatch):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "file").write_text("mine")
    for name, message in {
        "": "expected the name of a folder to write, found ''",
        "none/..": "expected the name of a folder to make, found none at its end",
        "file/x": f"cannot write the project there: {tmp_path / 'file'} is a file, not a folder",
        "n" * 256: "cannot write the project there: File name too long",
        "deep/er/" + "n" * 256: "cannot write the project there: File name too long",
    }.items():
        for force in ([], ["--force"]):
            assert message in refused(capsys, model, "-o", name, *force)
            assert message.replace("project", "set of designs") in refused(
                capsys, model, "--explore", "-o", name, *force
            )
    for name in (".", "..", "/", str(Path.home())):
        assert "the output folder exists" in refused(capsys, model, "-o", name)
        assert "does not replace the current folder, one above" in refused(capsys, model, "-o", name, "--force")
    for name in ("dangling", "to file", "to folder"):
        (tmp_path / name).symlink_to({"dangling": "nowhere", "to file": "file", "to folder": "."}[name])
        assert "expected a folder to replace, found a file or a link" in refused(capsys, model, "-o", name, "--force")
        assert (tmp_path / name).is_symlink()
    with pytest.raises(SparsePixError, match="expected the name of a folder"):
        hls.translate(model, "a\0b")
    assert sorted(path.name for path in tmp_path.iterdir()) == ["dangling", "file", "net.onnx", "to file", "to folder"]


def test_the_longest_name_and_one_with_a_slash(tmp_path, monkeypatch, model):
    monkeypatch.chdir(tmp_path)
    for name in ("n" * 255, "folder/"):
        assert main([str(model), "-o", name]) == 0
        assert main([str(model), "-o", name, "--force"]) == 0


@pytest.mark.parametrize("backend", ["hls", "rtl"])
def test_a_full_disk_while_the_project_is_written(tmp_path, capsys, model, backend):
    """A file system of so many kilobytes that the project does not fit; a message of one line, by the user's name."""
    disk = tmp_path / "disk"
    disk.mkdir()
    if subprocess.run(["mount", "-t", "tmpfs", "-o", "size=28k", "none", disk], capture_output=True).returncode:
        pytest.skip("needs the right to mount a file system")
    try:
        message = refused(capsys, model, "--backend", backend, "-o", disk / "deep" / "project")
        assert (
            message == f"error: {disk / 'deep' / 'project'}: cannot write the project there: No space left on device\n"
        )
        assert list(disk.iterdir()) == []
    finally:
        subprocess.run(["umount", disk], check=True)


def test_a_full_disk_in_every_write(tmp_path, model, monkeypatch):
    """The same for each file, by a stand-in for the disk: where writing ends decides nothing."""
    hls.translate(model, tmp_path / "whole")
    before, messages = contents(tmp_path / "whole"), []
    for name in ("write_text", "write_bytes", "mkdir", "rename", "replace"):
        original = getattr(Path, name)
        for moment in (0, 1, 2, 5, 11):
            count = []

            def full(path, *arguments, original=original, count=count, moment=moment, **options):
                count.append(None)
                if len(count) > moment:
                    raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC), str(path))
                return original(path, *arguments, **options)

            with monkeypatch.context() as patch:
                patch.setattr(Path, name, full)
                try:
                    hls.translate(model, tmp_path / "whole", force=True)
                except SparsePixError as error:
                    messages.append(str(error))
            assert contents(tmp_path / "whole") == before
            assert sorted(path.name for path in tmp_path.iterdir()) == ["net.onnx", "whole"]
    assert set(messages) == {f"{tmp_path / 'whole'}: cannot write the project there: No space left on device"}
    assert len(messages) > 12


def test_the_report_of_a_project_is_replaced_whole(tmp_path, model, monkeypatch):
    project = hls.translate(model, tmp_path / "project").directory
    before = contents(project)

    def full(path, text, **options):
        path.write_bytes(text.encode()[:10])
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC), str(path))

    with monkeypatch.context() as patch:
        patch.setattr(Path, "write_text", full)
        with pytest.raises(SparsePixError) as error:
            add_to_report(project, "csim", {"events": 3})
    assert str(error.value) == f"{project / 'report.json'}: cannot be written: No space left on device"
    assert contents(project) == before


def test_the_picture_is_in_the_folder_before_it_appears(tmp_path, model, monkeypatch):
    def interrupted(*_):
        raise KeyboardInterrupt

    monkeypatch.setattr("sparsepix_hls.flow.pictures.save", interrupted)
    assert main([str(model)]) == 130
    assert [path.name for path in tmp_path.iterdir()] == ["net.onnx"]
    # The Python API draws when it is asked to.
    assert not (hls.translate(model, tmp_path / "plain").directory / "estimate.png").exists()
    monkeypatch.undo()
    drawn = hls.translate(model, tmp_path / "drawn", picture=True).directory / "estimate.png"
    assert drawn.read_bytes().startswith(b"\x89PNG")


@pytest.mark.gxx
def test_a_relative_folder_survives_chdir(tmp_path, monkeypatch, model):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "elsewhere").mkdir()
    project = hls.translate("net.onnx", "project")
    again, rtl = hls.Project(Path("project"), project.graph), hls.translate("net.onnx", "rtl", backend="rtl")
    monkeypatch.chdir(tmp_path / "elsewhere")
    for one in (project, again):
        assert one.directory == tmp_path / "project"
        one.compile()
        assert one.csim().mismatches == 0
    assert rtl.directory == tmp_path / "rtl"
    assert hls.RtlProject(Path("x"), rtl.graph, rtl.part, rtl.modules).directory == tmp_path / "elsewhere" / "x"
    assert list(Path.cwd().iterdir()) == []


@pytest.mark.parametrize("word", ["report", "dais"])
def test_models_named_like_a_subcommand(tmp_path, capsys, monkeypatch, model, word):
    monkeypatch.chdir(tmp_path)
    shutil.copy(model, word)
    model.rename(f"{word}.onnx")
    assert main([f"./{word}"]) == 0
    assert main(["--force", word]) == 0
    assert main([f"{word}.onnx", "--backend", "rtl"]) == 0
    with pytest.raises(SystemExit) as end:
        main([word, "--backend", "rtl"])
    assert end.value.code == 2
    assert f"'{word}' is a subcommand; for the model file of that name write ./{word}" in capsys.readouterr().err
    (tmp_path / word).unlink()
    with pytest.raises(SystemExit):
        main([word, "--backend", "rtl"])
    assert "note:" not in capsys.readouterr().err


def test_dais_writes_its_file_whole_and_replaces_no_other(tmp_path, capsys, model, monkeypatch):
    monkeypatch.chdir(tmp_path)
    assert main(["dais", "net.onnx"]) == 0
    assert capsys.readouterr().out.endswith("next: da4ml convert net.json DIR\n")
    assert main(["dais", "net.onnx", "-o-x y.json"]) == 0
    assert capsys.readouterr().out.endswith("next: da4ml convert './-x y.json' DIR\n")
    before = Path("net.json").read_bytes()

    def half(self, path):
        Path(path).write_text("[[")
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC), str(path))

    with monkeypatch.context() as patch:
        patch.setattr("da4ml.types.CombLogic.save", half)
        assert refused(capsys, "dais", "net.onnx") == "error: net.json: cannot be written: No space left on device\n"
    assert Path("net.json").read_bytes() == before
    Path("net.json").write_text('{"mine": true}')
    assert "net.json: a file is there that this command has not made" in refused(capsys, "dais", "net.onnx")
    assert Path("net.json").read_text() == '{"mine": true}'
    assert "this is the file to read" in refused(capsys, "dais", "net.onnx", "-o", "net.onnx")
    for name in (".", "..", "/"):
        refused(capsys, "dais", name)
    assert sorted(path.name for path in Path.cwd().iterdir()) == ["-x y.json", "net.json", "net.onnx"]


def test_a_claimed_folder(tmp_path):
    def claim(name, fail=False):
        with claimed_folder(tmp_path / name, "demo"):
            if fail:
                raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        claim("deep/er", fail=True)
    assert list(tmp_path.iterdir()) == []
    claim("deep/er")
    claim("deep/er")
    (tmp_path / "deep/er/mine").write_text("x")
    claim("deep/er")  # ours to fill, the user's to add to: nothing is removed from it
    with pytest.raises(
        SparsePixError, match=r"deep: expected a new or an empty folder, or that of a demo.*found er; choo"
    ):
        claim("deep")
    with pytest.raises(SparsePixError, match="expected a folder, found a file"):
        claim("deep/er/mine")
    assert (tmp_path / "deep/er/mine").read_text() == "x"
