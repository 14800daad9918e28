"""Draws the handshakes of a small RTL design: ``python docs/waveform.py`` writes docs/handshake.png.

The signals are those of a simulation: the design is built with Verilator, and its ports are printed in each clock.
"""

import subprocess
import tempfile
from pathlib import Path

from matplotlib.figure import Figure

import sparsepix_hls as hls

DOCS = Path(__file__).parent
ROWS = 4  # of the image, a beat each
CLOCKS = 72
EVENTS = 6
SIGNALS = ("s_axis_tvalid", "s_axis_tready", "m_axis_tvalid", "m_axis_tready")
# Offers six events: one after the other, and takes the second result late.
MAIN = """
#include "Vtiny.h"
#include <cstdio>
double sc_time_stamp() { return 0; }
int main() {
  Vtiny top;
  top.aclk = 0;
  int beat = 0, results = 0;
  for (int clock = -4; clock < CLOCKS; clock++) {
    top.aresetn = clock >= 0;
    top.s_axis_tvalid = clock >= 2 && beat < EVENTS * ROWS;
    top.m_axis_tready = results != 1 || clock >= 48;
    top.eval();
    if (clock >= 0)
      std::printf("%d %d %d %d\\n", top.s_axis_tvalid, top.s_axis_tready, top.m_axis_tvalid, top.m_axis_tready);
    beat += top.s_axis_tvalid && top.s_axis_tready;
    results += top.m_axis_tvalid && top.m_axis_tready;
    top.aclk = 1;
    top.eval();
    top.aclk = 0;
    top.eval();
  }
}
"""


def simulated(folder: Path) -> dict[str, list[int]]:
    """The level of each signal in each clock."""
    import torch
    from torch import nn

    import sparsepix as sp

    torch.manual_seed(0)
    formats = {"weight_format": sp.FixedPoint(4, 1), "bias_format": sp.FixedPoint(4, 1)}
    model = nn.Sequential(
        sp.QuantIdentity(sp.FixedPoint(4, 0, signed=False)), sp.SparseInputReduce(max_pixels=3),
        sp.SparseConv2d(1, 4, kernel_size=3, **formats), sp.SparseReLU(sp.FixedPoint(4, 1, signed=False)),
        sp.SparseFlatten(), sp.QuantLinear(4 * ROWS * 6, 1, **formats),
    )  # fmt: skip
    sp.export_onnx(model, folder / "tiny.onnx", input_shape=(1, ROWS, 6))
    options = hls.Options(io="stream", reduce="stream", conv="pairs", pixels_per_cycle=6, reuse_factor=8)
    hls.translate(folder / "tiny.onnx", folder / "rtl", options=options, backend="rtl")
    main = MAIN.replace("ROWS", str(ROWS)).replace("CLOCKS", str(CLOCKS)).replace("EVENTS", str(EVENTS))
    (folder / "main.cpp").write_text(main, encoding="utf-8")
    sources = sorted((folder / "rtl" / "rtl").glob("*.sv"))
    build = ["verilator", "--cc", "--exe", "--build", "-Wno-fatal", "-Wno-lint", "-Wno-style", "--top-module", "tiny"]
    command = [*build, "--Mdir", folder / "build", "-o", "sim", *sources, folder / "main.cpp"]
    subprocess.run(command, check=True, capture_output=True)
    shown = subprocess.run([folder / "build" / "sim"], check=True, capture_output=True, text=True).stdout
    rows = [[int(word) for word in line.split()] for line in shown.splitlines()]
    return dict(zip(SIGNALS, map(list, zip(*rows, strict=True)), strict=True))


def picture(levels: dict[str, list[int]]) -> Figure:
    """The signals over time; transfers are filled, and numbered by their event."""
    figure = Figure(figsize=(12.5, 2.9))
    axes = figure.add_axes((0.12, 0.16, 0.87, 0.8))
    colours = ("#1f5fb4", "#009e73", "#d55e00", "#8856a7", "#b8860b", "#7f7f7f")
    for row, name in enumerate(SIGNALS):
        base = 1.5 * (len(SIGNALS) - row)
        clocks = [edge for clock in range(CLOCKS) for edge in (clock, clock + 1)]
        line = [base + level for level in levels[name] for _ in range(2)]
        axes.plot(clocks, line, color="#222222", lw=1.3)
        axes.text(-0.8, base + 0.5, name, ha="right", va="center", fontsize=10, family="monospace")
    for port, beats in (("s", ROWS), ("m", 1)):
        both = [a and b for a, b in zip(levels[f"{port}_axis_tvalid"], levels[f"{port}_axis_tready"], strict=True)]
        base = 1.5 * (len(SIGNALS) - SIGNALS.index(f"{port}_axis_tvalid"))
        done = 0
        for clock, moves in enumerate(both):
            if moves:
                axes.fill_between((clock, clock + 1), base, base + 1, color=colours[done // beats], alpha=0.55, lw=0)
                if done % beats == 0:
                    axes.text(clock + 0.5, base + 0.5, str(done // beats + 1), ha="center", va="center", fontsize=9)
                done += 1
    axes.set_xlim(0, CLOCKS)
    axes.set_xlabel("clock; filled: a beat or a result of event 1, 2, 3, ... goes over", fontsize=10)
    axes.set_yticks([])
    axes.set_xticks(range(0, CLOCKS + 1, 4))
    axes.grid(axis="x", color="#e4e4e4")
    axes.spines[["top", "right", "left"]].set_visible(False)
    return figure


if __name__ == "__main__":
    with tempfile.TemporaryDirectory() as temporary:
        found = simulated(Path(temporary))
    picture(found).savefig(DOCS / "handshake.png", dpi=120, metadata={"Software": None})
