"""The RTL backend from the command line: what it writes, prints and refuses."""

import csv
import json
import re
import shutil

import numpy as np
import pytest

import sparsepix_hls as hls
from onnx_models import ModelBuilder, whole_model
from sparsepix_hls.cli.main import main
from sparsepix_hls.design.options import Options
from sparsepix_hls.flow import rtl as rtl_backend
from sparsepix_hls.flow.report import read_report
from sparsepix_hls.rtl.tools.synthesis import METHOD


def run(capsys, *arguments):
    status = main([str(a) for a in arguments])
    shown = capsys.readouterr()
    return status, shown.out, shown.err


@pytest.fixture
def model(tmp_path):
    return ModelBuilder(1, 3, 3).image().reduce(2).flatten().dense("dense1", 2).save(tmp_path / "net.onnx")


def names(folder):
    return sorted(path.name for path in folder.iterdir())


@pytest.mark.verilator
@pytest.mark.yosys
def test_whole_run(tmp_path, capsys, model):
    np.save(tmp_path / "events.npy", np.random.default_rng(0).normal(size=(40, 1, 3, 3)))
    status, shown, errors = run(
        capsys, model, "--backend", "rtl", "--part", "xcku040", "--clock", "4", "--testbench-data",
        tmp_path / "events.npy", "--simulate", "--synthesize",
    )  # fmt: skip
    assert (status, errors) == (0, "")
    folder = tmp_path / "net_rtl"
    report = json.loads((folder / "report.json").read_text())
    assert report["backend"] == "rtl"
    assert "csim" not in report
    assert report["testbench"] == {"events": 40, "origin": "events given by the user"}

    measured = report["measured"]
    assert (measured["events"], measured["measured_events"]) == (40, 40)
    assert measured["mismatches"] == dict.fromkeys(
        ["testbench", "back to back", "stalls", "resets", "stalls and resets"], 0
    )
    assert 0 < measured["latency_cycles_least"] <= measured["latency_cycles"] < 50
    assert measured["latency_ns"] == 4 * measured["latency_cycles"]
    assert measured["interval_ns"] == 4 * measured["interval_cycles"] > 0

    synthesis = report["synthesis"]
    assert (synthesis["method"], synthesis["family"]) == (METHOD, "xcu")
    assert list(synthesis["modules"]) == ["net_stage_reduce", "net_stage_layers", "net_ports"]
    for key, there in (("lut", 242_400), ("ff", 484_800), ("dsp", 1_920), ("bram", 1_200)):
        assert synthesis["total"][key] == sum(area[key] for area in synthesis["modules"].values())
        assert synthesis["utilization"][key] == synthesis["total"][key] / there
    deepest = synthesis["deepest"]
    assert deepest == {"module": deepest["module"]} | {
        key: synthesis["modules"][deepest["module"]][key] for key in ("levels", "end")
    }
    assert deepest["levels"] == max(area["levels"] for area in synthesis["modules"].values())

    shown, total = " ".join(shown.split()), synthesis["total"]
    figures = [
        "simulation: 40 events, 0 mismatching outputs",
        "stalls and resets 0",
        f"latency: first beat to result, the most {measured['latency_cycles']} {measured['latency_ns']:.0f} ",
        *(f"of it {stage['name']} {stage['latency_cycles']} " for stage in measured["stages"]),
        f"total {total['lut']:,} {total['ff']:,} 0 0 {deepest['levels']:.1f}",
        "share 0.",
        f"deepest path: {deepest['levels']:.1f} levels of LUTs in {deepest['module']}, to {deepest['end']}",
        METHOD,
    ]
    for text in (*figures, "estimated latency", f"project: {folder}", "vivado -mode batch"):
        assert text in shown

    status, shown, errors = run(capsys, "report", folder)
    assert (status, errors) == (0, "")
    for text in (*figures, "estimated latency"):
        assert text in " ".join(shown.split())
    assert "Vitis" not in shown


@pytest.mark.verilator
def test_mismatch_gives_exit_status_1(tmp_path, capsys, model, monkeypatch):
    write = rtl_backend.write_rtl_project

    def write_wrong(design, modules, folder, part, clock, inputs, outputs):
        (name, values), *_ = outputs.items()
        outputs = outputs | {name: values.copy()}
        outputs[name][5, 1] += 1
        write(design, modules, folder, part, clock, inputs, outputs)

    monkeypatch.setattr(rtl_backend, "write_rtl_project", write_wrong)
    status, shown, _ = run(capsys, model, "--backend", "rtl", "--simulate")
    assert status == 1
    assert "simulation: 32 events, 1 mismatching outputs" in shown
    measured = json.loads((tmp_path / "net_rtl" / "report.json").read_text())["measured"]
    assert measured["mismatches"]["testbench"] == 1
    assert sum(measured["mismatches"].values()) == 1
    (first,) = measured["first"]
    assert first.startswith("event 5, output 1: expected ")
    assert first in (tmp_path / "net_rtl" / "report.html").read_text()


def test_a_written_project(tmp_path, capsys, model):
    status, shown, errors = run(capsys, model, "--backend", "rtl")
    assert (status, errors) == (0, "")
    folder = tmp_path / "net_rtl"
    assert f"next: make -C {folder} sim" in shown
    assert {
        ".sparsepix.json",
        "rtl",
        "tb",
        "Makefile",
        "synth.ys",
        "build_vivado.tcl",
        "constraints.xdc",
        "report.json",
        "report.html",
        "estimate.png",
    } == {*names(folder)}
    report = json.loads((folder / "report.json").read_text())
    assert (report["measured"], report["synthesis"]) == (None, None)
    assert report["design"]["reduce"] == "scan"
    for path in folder.rglob("*"):
        if path.suffix in (".sv", ".ys", ".tcl", ".xdc", ".cpp", "") and path.is_file():
            assert not re.search(r"@\w+@", path.read_text()), path  # places of a template
    status, shown, _ = run(capsys, "report", folder)
    assert status == 0
    assert "not simulated" in shown
    assert "not synthesized" in shown


def test_hls_reports_its_backend(tmp_path, capsys, model):
    assert main([str(model)]) == 0
    report = json.loads((tmp_path / "net_hls" / "report.json").read_text())
    assert (report["backend"], report["csim"]) == ("hls", None)
    assert not {"measured", "synthesis"} & set(report)


def test_force_replaces_either_backend(tmp_path, capsys, model):
    folder = tmp_path / "out"
    for backend, kept, gone in (("rtl", "rtl", "firmware"), ("hls", "firmware", "rtl"), ("rtl", "rtl", "firmware")):
        if folder.exists():
            status, _, message = run(capsys, model, "-o", folder, "--backend", backend)
            assert (status, "--force" in message) == (2, True)
        assert main([str(model), "-o", str(folder), "--backend", backend, "--force"]) == 0
        assert (folder / kept).is_dir()
        assert not (folder / gone).exists()
    (folder / ".sparsepix.json").unlink()  # without it, nothing tells that the files are ours
    status, _, message = run(capsys, model, "-o", folder, "--backend", "rtl", "--force")
    assert (status, "none of it" in message) == (2, True)


@pytest.mark.parametrize(
    ("flags", "reason"),
    [
        (["--backend", "rtl", "--csim"], "with --backend rtl use --simulate"),
        (["--simulate"], "--simulate is for --backend rtl: with --backend hls use --csim"),
        (["--backend", "hls", "--synthesize"], "--synthesize is for --backend rtl: add --backend rtl"),
        (
            ["--backend", "rtl", "--reduce", "tree", "--io", "stream"],
            "takes a whole image a clock as RTL, found io 'stream'",
        ),
        (["--backend", "rtl", "--target-interval", "2", "--reduce", "scan"], "or a larger target"),
        (["--backend", "rtl", "--explore", "--simulate"], "--explore makes no project: leave out --simulate"),
        (["--backend", "rtl", "--part", "xcvu9"], "did you mean xcvu9p"),
    ],
)
def test_refused(tmp_path, capsys, model, flags, reason):
    status, shown, message = run(capsys, model, *flags)
    assert (status, shown) == (2, "")
    assert reason in message
    assert names(tmp_path) == ["net.onnx"]


def test_unknown_backend(tmp_path, model):
    with pytest.raises(hls.SparsePixError, match="backend: expected one of 'hls', 'rtl', found 'vhdl'"):
        hls.translate(model, tmp_path / "out", backend="vhdl")
    with pytest.raises(SystemExit):
        main([str(model), "--backend", "vhdl"])
    assert names(tmp_path) == ["net.onnx"]


def test_all_problems_at_once(tmp_path, capsys):
    builder = ModelBuilder(1, 4, 4).image().reduce(selection="magnitude").conv().flatten().dense("dense1", 2)
    model = builder.head("Softmax").save(tmp_path / "net.onnx")
    flags = (
        "--backend",
        "rtl",
        "--reduce",
        "tree",
        "--io",
        "stream",
        "--keep-head",
        "--simulate" if shutil.which("verilator") else "",
    )
    status, _, message = run(capsys, model, *filter(None, flags), "--reuse-factor", "0")
    assert status == 2
    for part in (
        "cannot be built this way as RTL",
        "reduce 'tree' takes a whole image a clock as RTL, found io 'stream': use reduce 'stream'",
        "has no RTL: leave it out (do not --keep-head)",
        "reuse_factor: expected 1 or more, found 0",
    ):
        assert part in message
    assert names(tmp_path) == ["net.onnx"]


def test_auto_is_fast_enough(tmp_path, capsys):
    """For a target that a scan misses; where nothing reaches it, that is said."""
    model = whole_model().save(tmp_path / "net.onnx")
    found = {}
    for backend in ("hls", "rtl"):
        for target, pixels in ((3, 32), (9, 8)):
            options = Options(target_interval=target, pixels_per_cycle=pixels)
            project = hls.translate(model, tmp_path / "out", backend=backend, options=options, force=True)
            found[backend, target] = read_report(project.directory)["design"]["reduce"]
    assert found["hls", 3] in ("stream", "tree")
    assert found["rtl", 3] in ("stream", "tree")
    assert found["rtl", 9] in ("scan", "stream")
    flags = ("--backend", "rtl", "--target-interval", "3")
    status, _, message = run(capsys, model, "-o", tmp_path / "no", *flags, "--io", "stream", "--pixels-per-cycle", "8")
    assert status == 2
    assert "target_interval: " in message
    assert "found a target of 3" in message
    assert main([str(model), "-o", str(tmp_path / "yes"), *flags]) == 0
    assert main([str(model), "-o", str(tmp_path / "hls"), "--target-interval", "3"]) == 0


def test_auto_never_chooses_what_has_no_rtl(tmp_path):
    """The tree takes a whole image at once as RTL: not where it comes in beats."""
    model = whole_model().save(tmp_path / "net.onnx")
    found = {}
    for io, pixels in (("parallel", None), ("stream", 32)):
        options = Options(target_interval=3, pixels_per_cycle=pixels, io=io)
        project = hls.translate(model, tmp_path / "out", backend="rtl", options=options, force=True)
        found[io] = read_report(project.directory)["design"]["reduce"]
        assert read_report(project.directory)["estimate"]["total"]["interval_cycles"] <= 3
    assert found == {"parallel": "tree", "stream": "stream"}


def test_a_target_that_the_scan_misses_as_rtl(tmp_path, capsys):
    model = whole_model().save(tmp_path / "net.onnx")  # 5 slots: 6 cycles as HLS, 7 as RTL
    flags = ("--reduce", "scan", "--target-interval", "6")
    assert main([str(model), "-o", str(tmp_path / "hls"), *flags]) == 0
    capsys.readouterr()
    status, _, message = run(capsys, model, "-o", tmp_path / "no", "--backend", "rtl", *flags)
    assert (status, (tmp_path / "no").exists()) == (2, False)
    assert "target_interval: reduce takes 7 cycles by 'scan' as RTL, found a target of 6: use scan_pixels 2" in message
    assert main([str(model), "-o", str(tmp_path / "yes"), "--backend", "rtl", *flags, "--scan-pixels", "2"]) == 0


def test_explore(tmp_path, capsys):
    model = whole_model().save(tmp_path / "net.onnx")
    assert main([str(model), "--explore", "--backend", "rtl"]) == 0
    designs = (tmp_path / "net_designs" / "designs.csv").read_text()
    assert "--backend rtl --reduce stream" in designs
    assert "--backend rtl --reduce scan --scan-pixels 2" in designs
    assert "--backend rtl --reduce tree" in designs
    with (tmp_path / "net_designs" / "designs.csv").open() as file:
        row = next(row for row in csv.DictReader(file) if "--scan-pixels 2" in row["options"])
    out = tmp_path / "chosen"
    assert main([str(model), "-o", str(out), *row["options"].split()]) == 0
    total = json.loads((out / "report.json").read_text())["estimate"]["total"]
    assert {key: str(value) for key, value in total.items()}.items() <= row.items()
    magnitude = ModelBuilder(1, 4, 4).image().reduce(selection="magnitude").conv().save(tmp_path / "large.onnx")
    capsys.readouterr()
    status, _, message = run(capsys, magnitude, "--explore", "--backend", "rtl", "--reduce", "tree")
    assert (status, "magnitude" in message) == (2, True)
    assert not (tmp_path / "large_designs").exists()
    assert main([str(magnitude), "--explore", "--backend", "rtl"]) == 0
    designs = (tmp_path / "large_designs" / "designs.csv").read_text()
    assert "--reduce scan --scan-pixels 2" in designs
    assert "--reduce stream" in designs
    assert "--reduce tree" not in designs


@pytest.mark.yosys
def test_synthesis_of_an_unknown_family(tmp_path, capsys, model):
    status, _, message = run(capsys, model, "--backend", "rtl", "--part", "xcvc1902", "--synthesize")
    assert status == 2
    assert "found Versal AI Core: use another --part" in message
    assert names(tmp_path) == ["net.onnx"]
    assert main([str(model), "--backend", "rtl", "--part", "xcvc1902"]) == 0


@pytest.mark.parametrize("failure", [OSError("disk full"), KeyboardInterrupt()])
def test_failure_while_writing_leaves_nothing(tmp_path, capsys, model, monkeypatch, failure):
    write = rtl_backend.write_rtl_project

    def fail(*arguments):
        write(*arguments)
        raise failure

    monkeypatch.setattr(rtl_backend, "write_rtl_project", fail)
    status, _, message = run(capsys, model, "--backend", "rtl", "-o", tmp_path / "deep" / "project")
    assert status == (2 if isinstance(failure, OSError) else 130)
    assert message.startswith("error: ")
    assert names(tmp_path) == ["net.onnx"]


def test_rtl_has_no_uncertainty(tmp_path, model):
    with pytest.raises(hls.SparsePixError, match=r"clock_uncertainty: only C\+\+ for Vitis HLS has it"):
        hls.translate(model, tmp_path / "out", options=Options(clock_uncertainty=27), backend="rtl")


def test_help(capsys):
    with pytest.raises(SystemExit):
        main(["--help"])
    shown = capsys.readouterr().out
    assert "sparsepix-hls model.onnx --backend rtl --simulate --synthesize" in shown
    assert "model_rtl" in shown
