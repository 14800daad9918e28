"""Tables in block memory: in the stage after their address, with the right words, and a block where Yosys maps it."""

import subprocess

import numpy as np
import pytest

from sparsepix_hls.rtl.emit.stages import MEMORIES
from sparsepix_hls.rtl.emit.verilog import function_source
from sparsepix_hls.rtl.lower.arithmetic import table
from sparsepix_hls.rtl.lower.function import Field, Slices, trace
from sparsepix_hls.rtl.lower.layers import Part
from sparsepix_hls.rtl.lower.memory import blocks
from sparsepix_hls.rtl.tools.synthesis import yosys_command
from sparsepix_ops.fixed_point import FixedPoint

RNG = np.random.default_rng(0)
OUTS = 24
FLOWS = {"amd": "synth_xilinx -family xcup", "ecp5": "synth_ecp5", "gowin": "synth_gowin"}
CELLS = {"amd": "RAMB18|RAMB36", "ecp5": "DP16KD", "gowin": "SPX9|SDPX9B|pROM"}


def lookup(words, fabric):
    """A function that looks up numbers of 8 bits, some of them without effect: ``words`` of them at one address."""
    values = RNG.integers(-128, 128, (OUTS, words))
    values[3], values[4] = 5, 0
    address, result = (
        Field("a", (2,), FixedPoint(10, 10), 0, (words // 2,) * 2),
        Field("y", (OUTS,), FixedPoint(10, 10)),
    )

    def body(arrays):
        place = arrays["a"][0] + arrays["a"][1]
        return {"y": np.array([table(place, [*row.tolist(), row[-1]]) * 2 + 1 for row in values], dtype=object)}

    parts, slices = [Part("y", "words", body)], Slices(memory=MEMORIES.get(fabric))
    return trace("m", "words", [address], [result], parts, 8.5, slices=slices), values


@pytest.mark.parametrize("fabric", FLOWS)
def test_what_goes_into_memory(fabric):
    deep, _ = lookup(300, fabric)
    flat, _ = lookup(30, fabric)
    assert (len(deep.memories), len(flat.memories)) == (1, 0)
    (memory,) = deep.memories
    assert len(memory.reads) == OUTS - 2  # what does not depend on the address is none
    assert all(deep.stage[i] == deep.stage[memory.address] + 1 for i in memory.reads)
    assert not lookup(300, None)[0].memories


def test_blocks():
    assert [blocks(9, 36), blocks(9, 37), blocks(10, 36), blocks(4, 1)] == [1, 2, 2, 1]


@pytest.mark.yosys
@pytest.mark.parametrize("fabric", FLOWS)
def test_yosys_takes_blocks(fabric, tmp_path):
    function, _ = lookup(300, fabric)
    (tmp_path / "m.sv").write_text(function_source(function, "m_layer_"))
    command = yosys_command(["read_verilog -sv m.sv", f"{FLOWS[fabric]} -top m", "flatten", "tee -o cells.txt stat"])
    done = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr[-500:]
    text = (tmp_path / "cells.txt").read_text()
    assert any(kind in text for kind in CELLS[fabric].split("|"))


@pytest.mark.verilator
def test_the_words(tmp_path):
    """Every address, one a clock."""
    function, values = lookup(300, "ecp5")
    (tmp_path / "m.sv").write_text(function_source(function, "m_layer_"))
    (tmp_path / "tb.cpp").write_text(
        '#include "Vm.h"\n#include <cstdio>\n'
        "int main() { Vm m; for (int i = 0; i < 301 + LATE; i++) { int a = i < 301 ? i : 0;\n"
        "  m.in_a = (a / 2) | (a - a / 2) << 10; m.clk = 0; m.eval();\n"
        "  for (int k = 0; i >= LATE && k < 24; k++) {\n"
        "    int low = k * 10, word = m.out_y[low / 32] >> low % 32;\n"
        "    if (low % 32 > 22) word |= m.out_y[low / 32 + 1] << (32 - low % 32);\n"
        '    printf("%d\\n", (word & 1023) - (word & 512) * 2); }\n'
        "  m.clk = 1; m.eval(); } }\n"
    )
    late = function.depth - 1
    build = ["verilator", "--cc", "--exe", "--build", "-Wall", "-Wno-DECLFILENAME", "-CFLAGS", f"-DLATE={late}"]
    subprocess.run([*build, "m.sv", "tb.cpp", "--top", "m"], cwd=tmp_path, check=True, capture_output=True)
    done = subprocess.run(["obj_dir/Vm"], cwd=tmp_path, check=True, capture_output=True, text=True)
    found = np.array(done.stdout.split(), dtype=int).reshape(301, OUTS)
    np.testing.assert_array_equal(found[:300], values.T * 2 + 1)
