"""SystemVerilog text that several modules share."""

from collections.abc import Mapping, Sequence

from sparsepix_hls.rtl.lower.function import Field, Function


def port(kind: str, field: Field, prefix: str = "") -> str:
    """A declaration of an array as a packed vector."""
    return f"{kind} [{field.bits - 1}:0] {prefix}{field.name}"


def ports(inputs: Sequence[Field], outputs: Sequence[Field]) -> list[str]:
    """The ports of a stage: clock, reset, and a handshake with data on each side."""
    return [
        "input  logic clk",
        "input  logic rst_n",
        "input  logic in_valid",
        "output logic in_ready",
        *(port("input  logic", field, "in_") for field in inputs),
        "output logic out_valid",
        "input  logic out_ready",
        *(port("output logic", field, "out_") for field in outputs),
    ]


def module_text(name: str, comment: str, ports_: Sequence[str], lines: Sequence[str]) -> str:
    """A module."""
    head = ",\n".join(f"    {line}" for line in ports_)
    return "\n".join([f"// {comment}", f"module {name} (", head, ");", *lines, "endmodule", ""])


def instance(module: str, name: str, parameters: Mapping[str, int], connections: Mapping[str, str]) -> list[str]:
    """An instance of a module."""
    values = ", ".join(f".{key}({value})" for key, value in parameters.items())
    lines = [f"  {module} #({values}) {name} (" if values else f"  {module} {name} ("]
    lines += [",\n".join(f"      .{key}({value})" for key, value in connections.items())]
    return [*lines, "  );"]


def bits_for(values: int) -> int:
    """Bits of a counter of so many values, at least one."""
    return max((values - 1).bit_length(), 1)


def connected(function: Function, inputs: Mapping[str, str], result: str) -> dict[str, str]:
    """Connections of a traced function.

    Args:
        function: the function.
        inputs: what each input is connected to, by its name; 'in_<name>' where nothing is said.
        result: prefix of what the outputs drive.
    """
    found = {"clk": "clk", "enable": "enable"} if function.depth > 1 else {}
    found |= {f"in_{field.name}": inputs.get(field.name, f"in_{field.name}") for field in function.inputs}
    return found | {f"out_{field.name}": f"{result}{field.name}" for field in function.outputs}
