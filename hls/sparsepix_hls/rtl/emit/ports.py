"""The module at both ends of a design: it lets events in, and keeps results until they are taken."""

from sparsepix_hls.rtl.emit.cycles import Pace
from sparsepix_hls.rtl.stages.text import instance, module_text


def ports_module(name: str, pace: Pace, result_bits: int) -> str:
    """The two handshakes of a design as one module.

    Args:
        name: of the module.
        pace: of the design.
        result_bits: of all outputs side by side.
    """
    ports = [
        "input  logic clk",
        "input  logic rst_n",
        "output logic stages_rst_n",
        "input  logic s_valid",
        "output logic s_ready",
        "output logic beat_valid",
        *(["input  logic stages_ready"] if pace.waits else []),
        "input  logic result_valid",
        f"input  logic [{result_bits - 1}:0] result",
        "output logic m_valid",
        "input  logic m_ready",
        f"output logic [{result_bits - 1}:0] m_result",
    ]
    lines = [
        "  // The stages hear of a reset a clock later, from a register that may fan out; the ports wait for them.",
        "  logic running;",
        "  wire open = rst_n && running;",
        "  wire returned;",
        "  always_ff @(posedge clk) running <= rst_n;",
        "  assign stages_rst_n = running;",
    ]
    gate = {
        "BEATS": pace.beats,
        "HOLD": pace.hold_cycles,
        "INTERVAL": pace.gate_cycles,
        "PLACES": pace.places,
    }
    shared = {"clk": "clk", "rst_n": "open"}
    gated = {"in_valid": "s_valid", "in_ready": "s_ready"}
    if pace.waits:  # both are registers
        lines += ["  wire gate_ready;", "  assign s_ready = gate_ready && stages_ready;"]
        gated = {"in_valid": "s_valid && stages_ready", "in_ready": "gate_ready"}
    lines += instance(
        "event_gate",
        "gate",
        gate,
        shared | gated | {"beat_valid": "beat_valid", "returned": "returned"},
    )
    lines += instance(
        "result_queue",
        "queue",
        {"BITS": result_bits, "PLACES": pace.places},
        shared
        | {
            "in_valid": "result_valid",
            "coming": "result",
            "out_valid": "m_valid",
            "out_ready": "m_ready",
            "leaving": "m_result",
            "returned": "returned",
        },
    )
    most = "mostly within " if pace.waits else ""
    comment = (
        f"The two ports: an event every {pace.interval_cycles} clocks, its result {most}{pace.tail_cycles} clocks "
        f"after its last beat, or when it is taken; {pace.places} results on their way at most."
    )
    return module_text(name, comment, ports, lines)
