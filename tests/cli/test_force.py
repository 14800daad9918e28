"""What --force replaces: folders that we made, and only if nothing of the user's is in them."""

import json
import os
import shutil
import subprocess

import pytest

import sparsepix_hls as hls
from onnx_models import ModelBuilder
from output_checks import contents, refused
from sparsepix_hls.cli.main import main
from sparsepix_hls.flow import translation
from sparsepix_hls.flow.report import add_to_report
from sparsepix_ops.system.marker import MARKER


@pytest.fixture
def model(tmp_path):
    return ModelBuilder(height=3, width=3).image().reduce(2).conv().save(tmp_path / "net.onnx")


ADDED = {
    "a file": lambda p: (p / "notes.txt").write_text("mine"),
    "a hidden file": lambda p: (p / ".env").write_text("mine"),
    "in a folder of ours": lambda p: (p / "firmware" / "mine.h").write_text("mine"),
    "in the folder that make builds in": lambda p: (p / "build" / "notes.txt").write_text("mine"),
    "a folder": lambda p: shutil.copytree(p / "tb", p / "mine" / "deep"),
    "a repository": lambda p: subprocess.run(["git", "init", "-q", str(p)], check=True),
    "a link": lambda p: (p / "link").symlink_to(p / "Makefile"),
    "a link to a folder": lambda p: (p / "data").symlink_to(p.parent, target_is_directory=True),
    "a link in place of a file": lambda p: [(p / "Makefile").unlink(), (p / "Makefile").symlink_to("build.tcl")],
    "a link in place of the build folder": lambda p: [shutil.rmtree(p / "build"), (p / "build").symlink_to(p.parent)],
    "a changed file": lambda p: (p / "tb" / "data" / "inputs.dat").write_text("my events"),
    "a changed report": lambda p: (p / "report.json").write_text("{}"),
    "a folder in place of a file": lambda p: [(p / "Makefile").unlink(), (p / "Makefile" / "x").mkdir(parents=True),
                                               (p / "Makefile" / "x" / "y").write_text("mine")],
}  # fmt: skip
NAMED = {
    "a file": "notes.txt",
    "a hidden file": ".env",
    "in a folder of ours": "firmware/mine.h",
    "in the folder that make builds in": "build/notes.txt",
    "a folder": "mine/",
    "a repository": ".git/",
    "a link": "link",
    "a link to a folder": "data",
    "a link in place of a file": "Makefile (changed)",
    "a link in place of the build folder": "build",
    "a changed file": "tb/data/inputs.dat (changed)",
    "a changed report": "report.json (changed)",
    "a folder in place of a file": "Makefile/",
}


@pytest.mark.parametrize("kind", ADDED)
def test_force_removes_nothing_of_the_user_s(tmp_path, capsys, model, kind):
    project = tmp_path / "net_hls"
    assert main([str(model)]) == 0
    (project / "build").mkdir()
    (project / "build" / "net_tb").write_bytes(b"built")
    ADDED[kind](project)
    before = contents(project)
    message = refused(capsys, model, "--force")
    assert f"{project}: --force would remove what SparsePix did not write: {NAMED[kind]};" in message
    assert "move these to another folder" in message
    assert contents(project) == before
    assert sorted(path.name for path in tmp_path.iterdir()) == ["net.onnx", "net_hls"]


def test_many_files_of_the_user_s_are_not_all_named(tmp_path, capsys, model):
    assert main([str(model)]) == 0
    for number in range(40):
        (tmp_path / "net_hls" / f"mine{number:02}.txt").write_text("x")
    message = refused(capsys, model, "--force")
    assert "mine00.txt" in message
    assert "mine09.txt and 30 more" in message
    assert len(message) < 500


def test_force_replaces_what_tools_have_built(tmp_path, model):
    project = tmp_path / "net_hls"
    assert main([str(model)]) == 0
    built = [
        "build/net_tb",
        "build/libnet.so",
        "build/make.123/new",
        "vitis/solution/syn/report/net_csynth.xml",
        "vitis_hls.log",
    ]
    built += [
        "vivado/timing.rpt",
        "vivado.jou",
        ".Xil/x/y",
        "yosys.txt",
        "build/Vnet.mk",
        "build/yosys/net.json",
        "build/sim",
    ]
    built += ["build/Vnet__ALL.a", "build/verilated.o", ".sparsepix-tmp-0123"]
    for name in built:
        (project / name).parent.mkdir(parents=True, exist_ok=True)
        (project / name).write_text("built")
    (project / "empty" / "folder").mkdir(parents=True)
    (project / "Makefile").unlink()  # removed by the user: nothing to lose
    assert main([str(model), "--force"]) == 0
    assert (project / "Makefile").is_file()
    assert not any((project / name).exists() for name in built)


@pytest.mark.gxx
def test_force_after_make_and_after_csim(tmp_path, model):
    project = tmp_path / "net_hls"
    assert main([str(model), "--csim"]) == 0
    subprocess.run(["make", "-s", "-C", project, "csim", "lib"], check=True, capture_output=True)
    hls.Project(project, translation.read_model(model).graph).compile()
    add_to_report(project, "csim", {"events": 1, "mismatches": 0})
    assert main([str(model), "--csim", "--force"]) == 0
    assert json.loads((project / "report.json").read_text())["csim"]["events"] > 1


@pytest.mark.parametrize(
    "content",
    [
        "", "{", "[]", "null", '"sparsepix"', '{"made_by": "sparsepix"}', "[" * 100_000, "\udcff",
        '{"made_by": "sparsepix", "what": "project", "files": []}',
        '{"made_by": "sparsepix", "what": "project", "files": {"a": 3}}',
        '{"made_by": "sparsepix", "what": "project", "files": {"a": [3]}}',
        '{"made_by": "sparsepix", "what": ["project"], "files": {}}',
        '{"made_by": "cmake", "what": "project", "files": {}}',
    ],
)  # fmt: skip
def test_a_marker_that_is_junk(tmp_path, capsys, model, content):
    assert main([str(model)]) == 0
    (tmp_path / "net_hls" / MARKER).write_bytes(content.encode(errors="surrogateescape"))
    before = contents(tmp_path)
    assert f"{MARKER} there is not as SparsePix writes it" in refused(capsys, model, "--force")
    add_to_report(tmp_path / "net_hls", "csim", None)  # what comes later does not mind
    assert contents(tmp_path) == before


@pytest.mark.parametrize("kind", ["folder", "link", "pipe"])
def test_a_marker_that_is_no_file(tmp_path, capsys, model, kind):
    assert main([str(model)]) == 0
    marker = tmp_path / "net_hls" / MARKER
    marker.rename(tmp_path / "kept")
    {"folder": marker.mkdir, "link": lambda: marker.symlink_to("../kept"), "pipe": lambda: os.mkfifo(marker)}[kind]()
    assert "is not as SparsePix writes it" in refused(capsys, model, "--force")
    assert (tmp_path / "net_hls" / "Makefile").is_file()


def test_a_marker_in_another_folder_protects_its_files(tmp_path, capsys, model):
    """Whether it came there with a name that we use, or without; and one that names files elsewhere."""
    assert main([str(model)]) == 0
    thesis = tmp_path / "thesis"
    (thesis / "firmware").mkdir(parents=True)
    for name in ("report.json", "Makefile", "firmware/net.cpp", "thesis.tex"):
        (thesis / name).write_text("mine")
    shutil.copy(tmp_path / "net_hls" / MARKER, thesis)
    message = refused(capsys, model, "-o", thesis, "--force")
    for name in ("report.json (changed)", "Makefile (changed)", "firmware/net.cpp (changed)", "thesis.tex"):
        assert name in message
    outside = {"made_by": "sparsepix", "what": "project", "files": {"../net.onnx": [], "/etc/passwd": [], "..": []}}
    (thesis / MARKER).write_text(json.dumps(outside))
    assert "thesis.tex" in refused(capsys, model, "-o", thesis, "--force")
    assert (thesis / "thesis.tex").read_text() == "mine"
    # A copy and a move of a whole project stay ours.
    shutil.copytree(tmp_path / "net_hls", tmp_path / "copy")
    assert main([str(model), "-o", str(tmp_path / "copy"), "--force"]) == 0


def test_a_folder_of_an_older_version(tmp_path, capsys, model):
    for name, options in (("net_hls", []), ("net_designs", ["--explore"])):
        assert main([str(model), *options]) == 0
        (tmp_path / name / MARKER).unlink()
        message = refused(capsys, model, *options, "--force")
        assert f"it has no {MARKER} (one from before SparsePix wrote it: remove the folder yourself)" in message


def test_force_replaces_a_folder_of_the_same_kind_only(tmp_path, capsys, model):
    assert main([str(model)]) == 0
    assert main([str(model), "--explore"]) == 0
    message = refused(capsys, model, "--explore", "--force", "-o", tmp_path / "net_hls")
    assert "replaces a set of designs by a set of designs, and this folder is a project" in message
    refused(capsys, model, "--force", "-o", tmp_path / "net_designs")
    (tmp_path / "net_designs" / "plan.xlsx").write_text("mine")
    assert "plan.xlsx" in refused(capsys, model, "--explore", "--force")
    assert (tmp_path / "net_designs" / "plan.xlsx").exists()
