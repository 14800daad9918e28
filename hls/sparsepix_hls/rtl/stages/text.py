"""SystemVerilog text that several modules share."""

from collections.abc import Mapping, Sequence

from sparsepix_hls.rtl.lower.function import Field, Function


def port(kind: str, field: Field, prefix: str = "") -> str:
    """A declaration of an array as a packed vector."""
    return f"{kind} [{field.bits - 1}:0] {prefix}{field.name}"


def ports(inputs: Sequence[Field], outputs: Sequence[Field]) -> list[str]:
    """The ports of a stage: clock, reset, and on each side a valid bit with data. No stage ever waits."""
    return [
        "input  logic clk",
        "input  logic rst_n",
        "input  logic in_valid",
        *(port("input  logic", field, "in_") for field in inputs),
        "output logic out_valid",
        *(port("output logic", field, "out_") for field in outputs),
    ]


def module_text(name: str, comment: str, ports_: Sequence[str], lines: Sequence[str]) -> str:
    """A module."""
    head = ",\n".join(f"    {line}" for line in ports_)
    return "\n".join([f"// {comment}", f"module {name} (", head, ");", *lines, "endmodule", ""])


def instance(module: str, name: str, parameters: Mapping[str, int | str], connections: Mapping[str, str]) -> list[str]:
    """An instance of a module."""
    values = ", ".join(f".{key}({value})" for key, value in parameters.items())
    lines = [f"  {module} #({values}) {name} (" if values else f"  {module} {name} ("]
    lines += [",\n".join(f"      .{key}({value})" for key, value in connections.items())]
    return [*lines, "  );"]


def unused(names: Sequence[str], wire: str = "unused") -> list[str]:
    """A wire that says that nothing reads some bits, and that this is meant; synthesis drops it."""
    if not names:
        return []
    rows = [", ".join(names[i : i + 12]) for i in range(0, len(names), 12)]
    return [f"  wire {wire} = &{{1'b0, {(',' + chr(10) + '      ').join(rows)}}};"]


def missing(read: int, width: int) -> list[str]:
    """The bits of a vector that are not read, as selections; '' is all of it.

    Args:
        read: its bits that are read, as those of a number.
        width: of the vector.
    """
    if not read & ((1 << width) - 1):
        return [""]
    found, low = [], 0
    while low < width:
        if read >> low & 1:
            low += 1
            continue
        high = low
        while high < width and not read >> high & 1:
            high += 1
        found.append(f"[{high - 1}:{low}]" if high - low > 1 else f"[{low}]")
        low = high
    return found


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
    found = {"clk": "clk"} if function.depth > 1 else {}
    found |= {f"in_{field.name}": inputs.get(field.name, f"in_{field.name}") for field in function.inputs}
    return found | {f"out_{field.name}": f"{result}{field.name}" for field in function.outputs}
