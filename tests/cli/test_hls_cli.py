"""The command sparsepix-hls and the Python interface: what they write, print and import."""

import ast
import itertools
import json
import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from numpy.testing import assert_array_equal

import sparsepix_hls as hls
import sparsepix_ops
from onnx_models import ModelBuilder, whole_model
from sparsepix_hls.cli.main import main
from sparsepix_hls.flow import hls as hls_backend
from sparsepix_hls.frontend.reader import read_model
from sparsepix_hls.project.testbench_data import EVENTS, synthetic_events
from sparsepix_ops import __version__, reference


def python(code, *arguments, **environment):
    return subprocess.run(
        [sys.executable, "-c", code, *map(str, arguments)],
        capture_output=True, text=True, timeout=120, env=os.environ | environment, check=False,
    )  # fmt: skip


def imported_by(arguments):
    """Top-level modules that the command imports before it exits."""
    done = python(
        "import sys\n"
        "from sparsepix_hls.cli.main import main\n"
        "try:\n    main(sys.argv[1:])\n"
        "except SystemExit as end:\n    assert not end.code, end.code\n"
        "print('modules:', *sorted({m.split('.')[0] for m in sys.modules}))",
        *arguments,
    )
    assert done.returncode == 0, done.stderr
    return done.stdout, set(done.stdout.split("modules:")[1].split())


def test_help_imports_nothing_heavy():
    text, modules = imported_by(["--help"])
    assert "sparsepix-hls model.onnx --part" in text
    assert "_hls" in text
    assert not {"numpy", "onnx", "google", "rich", "da4ml", "torch"} & modules


def test_version():
    text, modules = imported_by(["--version"])
    assert __version__ in text
    assert "torch" not in modules


def test_lazy_exports():
    done = python(
        "import sys, sparsepix_hls as hls\n"
        "assert 'numpy' not in sys.modules and 'onnx' not in sys.modules\n"
        "assert callable(hls.translate) and hls.Project and hls.__version__\n"
        "assert issubclass(hls.SparsePixError, ValueError)\n"
        "import sparsepix_hls.flow.translation\n"
        "assert callable(hls.translate)\n"
        "assert set(hls.__all__) == set(dir(hls))\n"
    )
    assert done.returncode == 0, done.stderr
    with pytest.raises(AttributeError, match="no_such"):
        _ = hls.no_such


def test_a_project_of_cpp_needs_nothing_of_the_rtl(tmp_path):
    """Each backend is imported when it is asked for: da4ml's tracer takes its time."""
    model = whole_model().save(tmp_path / "net.onnx")
    done = python(
        "import sys, sparsepix_hls as hls\n"
        f"hls.translate({str(model)!r}, {str(tmp_path / 'cpp')!r})\n"
        "print(*sorted(m for m in sys.modules if m.split('.')[0] == 'da4ml' or m.startswith('sparsepix_hls.rtl')))\n"
    )
    assert (done.stdout.strip(), done.stderr) == ("", "")


def test_no_module_of_the_translator_names_torch():
    """Nor anything else but its dependencies, not even inside a function."""
    own = {"sparsepix_hls", "sparsepix_ops"}
    allowed = {
        "apycula",  # of the extra 'place'
        "da4ml",
        "google",
        "llvmlite",
        "matplotlib",
        "numpy",
        "onnx",
        "plotly",
        "rich",
        "yaml",
        *own,
        *sys.stdlib_module_names,
    }
    files = [Path(module.__file__).parent.rglob("*.py") for module in (hls, sparsepix_ops)]
    for file in itertools.chain(*files):
        for node in ast.walk(ast.parse(file.read_text(encoding="utf-8"))):
            if isinstance(node, ast.Import):
                names = [alias.name for alias in node.names]
            else:
                names = [node.module] if isinstance(node, ast.ImportFrom) else []
            extra = {"qonnx"} if file.name == "qonnx.py" else {"hls4ml"} if file.parent.name == "hls4ml" else set()
            assert {name.split(".")[0] for name in names} <= allowed | extra, file


@pytest.mark.gxx
def test_translation_never_imports_torch_and_predicts_exactly(tmp_path):
    model = whole_model(seed=2).save(tmp_path / "net.onnx")
    images = np.random.default_rng(5).normal(0.5, 1.5, size=(200, 1, 8, 8))
    np.save(tmp_path / "images.npy", images)
    done = python(
        "import sys\n"
        "class Block:\n"
        "    def find_spec(self, name, path=None, target=None):\n"
        "        if name.split('.')[0] in ('torch', 'brevitas', 'sparsepix', 'qonnx', 'onnxruntime', 'onnxscript'):\n"
        "            raise ImportError(name + ' is blocked')\n"
        "sys.meta_path.insert(0, Block())\n"
        "import numpy as np, sparsepix_hls as hls\n"
        "project = hls.translate(sys.argv[1], output_dir=sys.argv[2])\n"
        "project.compile()\n"
        "np.save(sys.argv[4], project.predict(np.load(sys.argv[3])))\n",
        model, tmp_path / "out", tmp_path / "images.npy", tmp_path / "found.npy",
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    expected = reference.run(read_model(model).model, images).real
    assert_array_equal(np.load(tmp_path / "found.npy"), expected)
    assert len(np.unique(expected)) > 100


@pytest.mark.gxx
@pytest.mark.parametrize("keep_head", [False, True])
def test_whole_run(tmp_path, capsys, keep_head):
    builder = ModelBuilder(2, 4, 3).image().reduce().conv().relu().activation().flatten().dense().head("Softmax")
    model = builder.save(tmp_path / "my net.onnx")
    events = np.random.default_rng(0).normal(size=(40, 2, 4, 3))
    np.save(tmp_path / "events.npy", events)
    flags = ["--keep-head", "--csim"] if keep_head else []
    status = main([str(model), "--part", "xcu250-figd2104-2L-e", "--clock", "4", "--testbench-data",
                   str(tmp_path / "events.npy"), *flags])  # fmt: skip
    shown = capsys.readouterr()
    assert status == 0, shown.err
    assert shown.err == ""
    folder = tmp_path / "my net_hls"
    for text in ("conv1", "dense1", "estimate", str(folder), "next:"):
        assert text in shown.out
    assert ("C simulation: 40 events, 0 mismatching outputs" in shown.out) == keep_head
    assert ("note: the Softmax at the end is left out" in shown.out) == (not keep_head)
    report = json.loads((folder / "report.json").read_text())
    assert report["csim"] == ({"events": 40, "mismatches": 0, "first": []} if keep_head else None)
    assert report["testbench"] == {"events": 40, "origin": "events given by the user"}
    assert report["part"]["full_name"] == "xcu250-figd2104-2L-e"
    assert report["part"]["name"] == "xcu250"
    assert report["clock_ns"] == 4.0
    assert report["dropped_head"] == (None if keep_head else "Softmax")
    assert report["top_function"] == "my_net"
    assert report["layers"][0]["outputs"][0]["type"] == "ap_ufixed<8, 2, AP_RND_CONV, AP_SAT>"
    assert [layer["op"] for layer in report["layers"]] == [
        "InputReduce", "SparseConv2d", "Activation", "SparseFlattenDense", *(["Head"] if keep_head else [])
    ]  # fmt: skip
    assert len(report["model"]["sha256"]) == 64


@pytest.mark.gxx
def test_mismatch_gives_exit_status_1(tmp_path, capsys, monkeypatch):
    model = ModelBuilder(height=3, width=3).image().reduce(2).conv().save(tmp_path / "net.onnx")
    write = hls_backend.write_project

    def write_wrong(design, folder, part, clock, inputs, outputs):
        (name, values), *_ = outputs.items()
        outputs = outputs | {name: values.copy()}
        outputs[name][5, 1, 0] += 1
        write(design, folder, part, clock, inputs, outputs)

    monkeypatch.setattr(hls_backend, "write_project", write_wrong)
    assert main([str(model), "--csim"]) == 1
    assert "1 mismatching" in capsys.readouterr().out
    report = json.loads((tmp_path / "net_hls" / "report.json").read_text())
    (first,) = report["csim"].pop("first")
    assert first.startswith("event 5, output 2: expected ")
    assert report["csim"] == {"events": EVENTS, "mismatches": 1}
    assert first in (tmp_path / "net_hls" / "report.html").read_text()


def test_unknown_device_is_noted(tmp_path, capsys):
    model = ModelBuilder(height=3, width=3).image().reduce(2).conv().save(tmp_path / "net.onnx")
    assert main([str(model), "-o", str(tmp_path / "p"), "--part", "xcvu19p-fsva3824-2-e"]) == 0
    assert "utilization is unknown" in capsys.readouterr().out
    report = json.loads((tmp_path / "p" / "report.json").read_text())
    assert report["estimate"]["utilization"] is None
    assert "synthetic" in report["testbench"]["origin"]
    assert report["csim"] is None


def test_relative_paths_and_permissions(tmp_path, monkeypatch):
    ModelBuilder(height=3, width=3).image().reduce(2).conv().save(tmp_path / "net.onnx")
    monkeypatch.chdir(tmp_path)
    assert main(["net.onnx"]) == 0
    assert Path("net_hls/firmware/net.cpp").is_file()
    (tmp_path / "plain").mkdir()
    assert Path("net_hls").stat().st_mode == (tmp_path / "plain").stat().st_mode


@pytest.mark.parametrize("activity", ["first", "any", "sum"])
@pytest.mark.parametrize("threshold", [0.0, 0.4, -0.5])
@pytest.mark.parametrize("channels", [1, 3])
def test_synthetic_events_hit_the_hard_cases(tmp_path, activity, threshold, channels):
    builder = ModelBuilder(channels, 6, 5).image().reduce(4, activity=activity, threshold=threshold).conv()
    graph = read_model(builder.save(tmp_path / "net.onnx")).graph
    events = synthetic_events(graph)
    assert events.shape == (EVENTS, channels, 6, 5)
    assert_array_equal(events, synthetic_events(graph))
    fmt, reduce = graph.input.type, graph.layers[0]
    assert events.min() == fmt.raw_min
    assert events.max() == fmt.raw_max
    score = {"first": events[:, 0], "any": events.max(axis=1), "sum": events.sum(axis=1)}[activity]
    active = (score > reduce.threshold_raw).sum(axis=(1, 2))
    assert active.max() == 30
    if threshold >= 0:  # else the darkest pixel is active: the format is unsigned
        assert list(active[:5]) == [0, 1, 4, 5, 30]
        assert set(active) >= {0, 1, 3, 4, 5}
        corners = score[5][[0, 0, -1, -1], [0, -1, 0, -1]]
        assert (corners > reduce.threshold_raw).all()


def test_one_pixel_wide_images(tmp_path):
    for height, width in ((1, 1), (1, 7), (7, 1)):
        builder = ModelBuilder(1, height, width).image().reduce(1).conv()
        graph = read_model(builder.save(tmp_path / "net.onnx")).graph
        assert synthetic_events(graph).shape == (EVENTS, 1, height, width)


@pytest.mark.gxx
def test_a_design_from_file_and_command_line(tmp_path, capsys):
    """The command line comes before the file, the file before the defaults."""
    model = whole_model().save(tmp_path / "net.onnx")
    (tmp_path / "design.yaml").write_text("reduce: tree\nio: stream\nreuse_factor: 2\n")
    assert main([str(model), "--config", str(tmp_path / "design.yaml"), "--reduce", "scan", "--csim"]) == 0
    assert "0 mismatching outputs" in capsys.readouterr().out
    report = json.loads((tmp_path / "net_hls" / "report.json").read_text())
    assert report["design"] == {"reduce": "scan", "io": "stream", "pixels_per_cycle": 8}
    assert {layer.get("reuse_factor") for layer in report["layers"]} >= {2}
    assert (tmp_path / "net_hls" / "estimate.png").read_bytes().startswith(b"\x89PNG")
    assert main([str(model), "--config", str(tmp_path / "design.yaml"), "--target-interval", "70", "--force"]) == 0


def test_explore(tmp_path, capsys):
    model = whole_model().save(tmp_path / "net.onnx")
    assert main([str(model), "--explore"]) == 0
    shown = capsys.readouterr().out
    assert "are not beaten by another" in shown
    folder = tmp_path / "net_designs"
    assert {path.name for path in folder.iterdir()} == {".sparsepix.json", "designs.csv", "designs.png", "designs.html"}
    assert main([str(model), "--explore"]) == 2
    assert "the output folder exists" in capsys.readouterr().err
    assert main([str(model), "--explore", "--force", "--io", "stream"]) == 0
    assert main([str(model), "--explore", "--csim", "-o", str(tmp_path / "other")]) == 2
    assert "makes no project" in capsys.readouterr().err
    (tmp_path / "other").mkdir()
    assert main([str(model), "--explore", "--force", "-o", str(tmp_path / "other")]) == 2
    assert "it has no .sparsepix.json" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("flags", "reason"),
    [
        (["--reduce", "tree", "--conv", "overlap"], "'overlap' works while a scan lists the pixels"),
        (["--reuse-factor", "0"], "reuse_factor: expected 1 or more, found 0"),
        (["--reuse-factor", "2", "--target-interval", "9"], "give one of them"),
        (["--config", "no.yaml"], "no.yaml: expected a YAML file with options, found no such file"),
        (["--pixels-per-cycle", "4"], None),
        (["--pixels-per-cycle", "4", "--reduce", "scan"], "only a stream has it"),
    ],
)
def test_designs_that_cannot_be_built(tmp_path, capsys, flags, reason):
    model = whole_model().save(tmp_path / "net.onnx")
    assert main([str(model), *flags]) == (0 if reason is None else 2)
    if reason is not None:
        assert reason in capsys.readouterr().err
        assert not (tmp_path / "net_hls").exists()
