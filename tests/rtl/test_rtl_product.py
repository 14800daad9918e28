"""Products: in LUTs every pair of factors against Verilog's own, in DSP slices, and as sums of smaller ones."""

import itertools
import re
import subprocess
from dataclasses import replace

import pytest

import sparsepix_hls as hls
from onnx_models import ModelBuilder
from sparsepix_hls.design.options import Options
from sparsepix_hls.flow.report import read_report
from sparsepix_hls.rtl.emit.writer import VERILOG
from sparsepix_hls.rtl.tools.synthesis import yosys_command
from sparsepix_ops.errors import SparsePixError

WIDTHS = [(a, b) for a, b in itertools.product(range(1, 13), repeat=2) if a + b <= 14] + [(5, 18), (18, 5), (3, 20)]
CASES = [(a, b, a_signed, b_signed) for a, b in WIDTHS for a_signed in (0, 1) for b_signed in (0, 1)]

SCAN = Options(reduce="scan", scan_pixels=2, flatten="scatter", reuse_factor=3)
STREAM = Options(reduce="stream", io="stream", pixels_per_cycle=3, conv="gather")
PLACES = [
    ("raster", SCAN),
    ("raster", STREAM),
    ("raster", Options(reduce="tree", flatten="lookup")),
    ("raster", Options(io="stream", conv="stream", pixels_per_cycle=5, reuse_factor=2)),
    ("magnitude", SCAN),
    ("magnitude", STREAM),
]

CHECK = """
module check #(parameter int A = 1, parameter int B = 1, parameter bit SA = 0, parameter bit SB = 0)
    (input logic [24:0] pair, output logic wrong);
  wire [A-1:0] a = pair[A-1:0];
  wire [B-1:0] b = pair[A+B-1:A];
  wire signed [A+B+1:0] wide_a = {{(B + 2) {SA && a[A-1]}}, a};
  wire signed [A+B+1:0] wide_b = {{(A + 2) {SB && b[B-1]}}, b};
  wire signed [A+B+1:0] expected = wide_a * wide_b;
  wire [A+B-1:0] value;
  product #(.A_BITS(A), .B_BITS(B), .A_SIGNED(SA), .B_SIGNED(SB), .BITS(A + B)) dut (.a(a), .b(b), .value(value));
  assign wrong = value != expected[A+B-1:0];
endmodule
"""
MAIN = """
#include "Vall.h"
#include <cstdio>
int main() {
  Vall top;
  for (unsigned pair = 0; pair < (1u << 23); ++pair) {
    top.pair = pair;
    top.eval();
    for (int i = 0; i < %d; ++i)
      if (top.wrong[i / 32] >> (i %% 32) & 1) { std::printf("case %%d, factors %%u\\n", i, pair); return 1; }
  }
}
"""


@pytest.mark.verilator
@pytest.mark.parametrize("small", [True, False])
def test_every_product(tmp_path, small):
    """All pairs of factors, in two builds: what 14 bits count through, and a few of 23 bits."""
    cases = [case for case in CASES if (case[0] + case[1] <= 14) == small]
    dimension = len(cases)
    lines = [
        f"  check #(.A({a}), .B({b}), .SA({sa}), .SB({sb})) c{i} (.pair(pair), .wrong(wrong[{i}]));"
        for i, (a, b, sa, sb) in enumerate(cases)
    ]
    bits = -(-dimension // 32) * 32 + 32  # more than 64, so that the port is an array of words
    (tmp_path / "all.sv").write_text(
        "\n".join(
            [
                CHECK,
                f"module all (input logic [24:0] pair, output logic [{max(bits, 96) - 1}:0] wrong);",
                *lines,
                f"  assign wrong[{max(bits, 96) - 1}:{dimension}] = '0;",
                "endmodule",
                "",
            ]
        )
    )
    (tmp_path / "main.cpp").write_text(MAIN.replace("23", "14" if small else "23") % dimension)
    command = [
        "verilator",
        "--cc",
        "--exe",
        "--build",
        "-O3",
        "-Wall",
        "-Wno-DECLFILENAME",
        "-Wno-UNUSED",
        "-Wno-WIDTH",
    ]
    command += ["--Mdir", "build", "-CFLAGS", "-O1", "--top-module", "all", "all.sv"]
    subprocess.run([*command, str(VERILOG / "product.sv"), "main.cpp"], cwd=tmp_path, check=True, capture_output=True)
    done = subprocess.run([tmp_path / "build" / "Vall"], capture_output=True, text=True)
    assert done.returncode == 0, cases[int(done.stdout.split()[1].rstrip(","))]


def model_of_products(tmp_path):
    """Two layers whose weights are looked up, and so are multiplied."""
    builder = ModelBuilder(1, 4, 5, seed=3).image().reduce(4).conv("conv", 2).flatten().dense("dense", 3)
    return builder.save(tmp_path / "net.onnx")


def multipliers(project):
    text = "\n".join(path.read_text() for path in (project.directory / "rtl").glob("*.sv"))
    return len(re.findall(r"^  net_multiplier #", text, re.MULTILINE)), len(
        re.findall(r"^  net_product #", text, re.MULTILINE)
    )


@pytest.mark.verilator
@pytest.mark.parametrize("clock", [5.0, 1.5])
def test_products_in_dsp_slices_and_in_parts(tmp_path, clock):
    """As many slices as are allowed, two products in some; at a fast clock the others are sums of smaller products."""
    options = Options(reduce="scan", flatten="lookup", conv="pairs")
    path = model_of_products(tmp_path)
    plain = hls.translate(path, tmp_path / "plain", clock_ns=5.0, backend="rtl", options=options)
    slices, products = multipliers(plain)
    assert slices == 0 < 10 < products
    project = hls.translate(path, tmp_path / "dsp", clock_ns=clock, backend="rtl", options=replace(options, dsp=7))
    slices, rest = multipliers(project)
    assert slices == 7 == read_report(project.directory)["estimate"]["total"]["dsp"]
    assert products - 2 * 7 <= rest < products - 7 if clock == 5.0 else rest > products - 7
    done = subprocess.run(["make", "-s", "lint"], cwd=project.directory, capture_output=True, text=True, check=False)
    assert (done.returncode, done.stderr) == (0, "")
    project.compile()
    assert project.simulate().mismatches == 0
    assert sum(project.measure().mismatches.values()) == 0


@pytest.mark.yosys
def test_yosys_counts_the_slices(tmp_path):
    model = ModelBuilder(1, 2, 2).image().reduce(2).conv("conv", 1).save(tmp_path / "net.onnx")
    options = Options(reduce="scan", conv="pairs", dsp=1)
    assert hls.translate(model, tmp_path / "net", backend="rtl", options=options).synthesize().total("dsp") == 1


@pytest.mark.parametrize(
    ("backend", "dsp", "message"),
    [
        ("hls", 5, "dsp: Vitis HLS decides itself what goes into DSP slices, leave it out, or use --backend rtl"),
        ("rtl", -1, "dsp: expected 0 DSP slices or more, found -1"),
    ],
)
def test_dsp_that_cannot_be(tmp_path, backend, dsp, message):
    with pytest.raises(SparsePixError, match=message):
        hls.translate(model_of_products(tmp_path), tmp_path / "net", backend=backend, options=Options(dsp=dsp))


@pytest.mark.yosys
@pytest.mark.parametrize(("selection", "options"), PLACES)
def test_places_are_not_multiplied(tmp_path, selection, options):
    """word[index*WIDTH+:WIDTH] is a product to Yosys, which makes a DSP slice of it: 20 levels of LUTs."""
    builder = ModelBuilder(2, 11, 13).image().reduce(8, selection=selection).conv().relu().activation().pool()
    path = builder.flatten().dense("dense", 3).save(tmp_path / "net.onnx")
    project = hls.translate(path, tmp_path / "net", backend="rtl", options=options)
    sources = " ".join(str(path) for path in (project.directory / "rtl").glob("*.sv"))
    script = [f"read_verilog -sv {sources}", "hierarchy -top net", "proc", "opt_expr", "select -assert-none t:$mul"]
    done = subprocess.run(yosys_command(script), cwd=tmp_path, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr[-1000:]
