"""What every design keeps to, as assertions of SystemVerilog that are bound to its modules.

``properties/`` has a module for each module of ``verilog/`` that controls when something happens, and one for the ports
of a whole design. They are written in the subset that Yosys reads too (immediate assertions, no 'bind'), so that the
simulation checks what the proofs of ``tests/rtl/test_rtl_proofs.py`` prove.
"""

import re
from collections.abc import Iterable, Mapping
from pathlib import Path

PROPERTIES = Path(__file__).parent / "properties"
_SUFFIX = "_properties"


def checked_modules() -> tuple[str, ...]:
    """The modules of ``verilog/`` that have properties."""
    return tuple(
        sorted(path.stem.removesuffix(_SUFFIX) for path in PROPERTIES.glob("*.sv") if path.stem != "axis_properties")
    )


def checker(module: str) -> str:
    """The source of the properties of a module; 'axis' are those of a whole design."""
    return (PROPERTIES / f"{module}{_SUFFIX}.sv").read_text(encoding="utf-8")


def checker_instance(module: str, values: Mapping[str, int] | None = None, prefix: str = "") -> str:
    """An instance of the properties of a module, for its inside: everything has the same name in both.

    Args:
        module: its name.
        values: of the parameters; None: those of the module.
        prefix: of the design.
    """
    text = re.sub(r"^`ifdef FORMAL\n.*?^`endif\n", "", checker(module), flags=re.MULTILINE | re.DOTALL)
    parameters = re.findall(r"^ {4}parameter \w+ (\w+) =", text, re.MULTILINE)
    ports = re.findall(r"^ {4}input logic (?:\[[^\n]*?\] )?(\w+)(?:\[\w+\])?,?$", text, re.MULTILINE)
    given = ", ".join(f".{name}({values[name] if values else name})" for name in parameters)
    signals = ", ".join(f".{name}({name})" for name in ports)
    return f"{prefix}{module}{_SUFFIX} #({given}) properties ({signals});"


def properties_source(top: str, prefix: str, used: Iterable[str], values: Mapping[str, int]) -> str:
    """Properties of the modules of a design, and what binds them.

    Args:
        top: the top module.
        prefix: of its other modules.
        used: the modules of ``verilog/`` that it is made of.
        values: parameters of ``axis_properties``.
    """
    here = [name for name in checked_modules() if name in set(used)]
    texts = [checker(name).replace(f"module {name}{_SUFFIX}", f"module {prefix}{name}{_SUFFIX}") for name in here]
    texts.append(checker("axis").replace(f"module axis{_SUFFIX}", f"module {prefix}axis{_SUFFIX}"))
    binds = [f"bind {prefix}{name} {checker_instance(name, prefix=prefix)}" for name in here]
    binds.append(f"bind {top} {checker_instance('axis', values, prefix)}")
    head = f"// Assertions of {top}, bound to its modules: the simulation checks them in each clock."
    return "\n".join([head, "", *texts, *binds, ""])


def monitor_source(top: str, prefix: str, stages: int) -> str:
    """A module, bound to a design, that calls the simulation whenever a stage hands an event on.

    Args:
        top: the top module.
        prefix: of its other modules.
        stages: how many there are.
    """
    valid = ", ".join(f"valid_{stage}" for stage in reversed(range(stages)))
    return f"""// Tells the simulation when a stage of {top} hands an event on: {top}_sim.cpp has the function.
module {prefix}monitor (
    input logic aclk,
    input logic aresetn,
    input logic [{stages - 1}:0] valid
);
  import "DPI-C" function void {prefix}stage_done(input int stage);
  always_ff @(posedge aclk)
    if (aresetn) for (int k = 0; k < {stages}; k++) if (valid[k]) {prefix}stage_done(k);
endmodule

bind {top} {prefix}monitor monitor (.aclk(aclk), .aresetn(aresetn), .valid({{{valid}}}));
"""
