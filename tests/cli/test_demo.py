"""What README says of ``make demo``, and that it does not depend on the processor."""

import importlib.util
import json
import os
import platform
import re
import subprocess
import sys
from pathlib import Path

import pytest
import torch

ROOT = Path(__file__).resolve().parents[2]
DEMO = ROOT / "examples/demo.py"


def load_demo():
    spec = importlib.util.spec_from_file_location("demo", DEMO)
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


demo = load_demo()

TRAINING = """
import hashlib, os, sys
sys.path.insert(0, sys.argv[1])
import demo
os.environ.update(demo.SAME_ON_ANY_PROCESSOR)
import torch, sparsepix as sp
torch.set_num_threads(1)
torch.manual_seed(0)
model = sp.models.digits(20, bits=None, selection="magnitude")
demo.train(model, sp.datasets.digits(), "float", 2, 1e-2, 0)
weights = b"".join(p.detach().numpy().tobytes() for p in model.parameters())
sys.stdout.write("weights " + hashlib.sha256(weights).hexdigest())
"""


@pytest.fixture(scope="module")
def results(tmp_path_factory):
    """Of the demo as README runs it."""
    folder = tmp_path_factory.mktemp("demo")
    done = subprocess.run(
        [sys.executable, DEMO, "--output", folder], capture_output=True, text=True, check=False, cwd=folder
    )
    assert done.returncode == 0, done.stdout + done.stderr
    return json.loads((folder / "results.json").read_text(encoding="utf-8")), " ".join(done.stdout.split())


@pytest.mark.slow
@pytest.mark.gxx
def test_what_is_exact(results):
    found, _ = results
    assert found["mismatching_outputs"] == {
        "quantized torch / ONNX Runtime": 0,
        "quantized torch / C++ firmware": 0,
        "ONNX Runtime / C++ firmware": 0,
    }
    assert found["compared_outputs"] == 3600
    assert found["test_images"] == 360
    accuracies = found["test_accuracy"]
    assert accuracies["quantized torch"] == accuracies["ONNX Runtime"] == accuracies["C++ firmware"]
    assert found["testbench"]["mismatches"] == 0
    # Which pixels there are follows from the seed alone, the clocks from the architecture.
    assert [round(found["pixels"][name], 1) for name in ("kept", "active")] == [19.7, 22.2]
    assert found["estimate"]["latency_cycles"] == 94
    assert found["estimate"]["dsp"] == 0
    assert found["size"]["parameters"] == 18_856


@pytest.mark.slow
@pytest.mark.gxx
def test_what_depends_on_the_training_is_in_the_documented_ranges(results):
    found, printed = results
    assert demo.outside_ranges(found) == []
    assert "in the documented ranges" in printed


def test_a_figure_outside_is_named():
    found = {"test_accuracy": {"float torch": 0.5, "quantized torch": 0.97}, "estimate": {"lut": 1}}
    low, high = demo.RANGES["lut"]
    outside = demo.outside_ranges(found)
    assert len(outside) == 2
    assert outside[0].startswith("float torch 0.5 is not within")
    assert outside[1] == f"lut 1 is not within {low:,} ... {high:,}"


def test_the_end_names_what_is_there(tmp_path, capsys):
    (tmp_path / "model_hls" / "firmware").mkdir(parents=True)
    (tmp_path / "kept_pixels.png").touch()
    demo.show_next(tmp_path, 60)
    shown = capsys.readouterr().out
    assert f"{tmp_path / 'kept_pixels.png'} " in shown
    assert "report.html" not in shown
    assert "confusion.png" not in shown
    (tmp_path / "model_hls" / "report.html").touch()
    demo.show_next(tmp_path, 60)
    assert str(tmp_path / "model_hls" / "report.html") in capsys.readouterr().out


@pytest.mark.slow
@pytest.mark.skipif(
    platform.machine() not in ("x86_64", "AMD64") or not torch.backends.mkl.is_available(),
    reason="the settings are those of MKL on x86-64",
)
def test_a_training_gives_the_same_bits_on_an_older_processor():
    """MKL and oneDNN are told that the processor has nothing beyond SSE 4."""
    older = {"MKL_ENABLE_INSTRUCTIONS": "SSE4_2", "ONEDNN_MAX_CPU_ISA": "SSE41"}
    weights = []
    for settings in ({}, older):
        done = subprocess.run(
            [sys.executable, "-c", TRAINING, DEMO.parent],
            capture_output=True, text=True, check=True, env=os.environ | settings,
        )  # fmt: skip
        weights.append(re.search("weights [0-9a-f]{64}", done.stdout)[0])
    assert weights[0] == weights[1]
