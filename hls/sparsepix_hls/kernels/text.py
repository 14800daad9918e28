"""The call of a kernel, its parameters and its weights as C++ text."""

from collections.abc import Mapping

from sparsepix_hls.ir.kernel import Kernel
from sparsepix_hls.ir.tensors import Constant
from sparsepix_hls.kernels.constants import COLUMNS, definition, dims, fill
from sparsepix_ops.fixed_point import FixedPoint


def statement(kernel: Kernel, round_: str = "0", rename: Mapping[str, str] | None = None, indent: str = "  ") -> str:
    """The statement that runs a kernel.

    Args:
        kernel: the kernel.
        round_: the round, as C++.
        rename: arrays that have another name here, by name of their tensors.
        indent: of the statement.
    """
    reads, writes = (
        [(rename or {}).get(tensor.name, tensor.name) for tensor in side] for side in (kernel.inputs, kernel.outputs)
    )
    if kernel.parts:
        functions = [f"sparsepix::{kernel.kernel}<{', '.join(map(str, part))}>" for part in kernel.parts]
        calls = zip(functions, reads, strict=True)
        return "\n".join(call(function, [read, *writes], indent) for function, read in calls)
    if kernel.generated is not None:
        return call(kernel.kernel, [*reads, *writes], indent)
    first = [round_] if kernel.in_rounds else []
    pairs = [kernel.kernel_map.name] if kernel.kernel_map else []
    arguments = [*first, *reads, *pairs, *(c.name for c, _ in kernel.constants), *writes]
    return call(f"sparsepix::{kernel.kernel}<{kernel.name}_config>", arguments, indent)


def heading(kernel: Kernel) -> str:
    """Name, kind and shapes of a layer."""
    sides = [", ".join(f"{t.name} {dims(t.shape)}" for t in side) for side in (kernel.inputs, kernel.outputs)]
    return f"{kernel.name}: {kernel.title}: {sides[0]} -> {sides[1]}"


def comment(text: str, indent: str = "") -> str:
    """A comment of as many lines as it takes."""
    lines, line = [], f"{indent}//"
    for word in text.split(" "):
        if len(line) + 1 + len(word) > COLUMNS:
            lines.append(line)
            line = f"{indent}//  "
        line += f" {word}"
    return "\n".join([*lines, line])


def call(function: str, arguments: list[str], indent: str = "  ") -> str:
    """A call statement in a function body."""
    return fill(f"{indent}{function}", arguments, ";")


def config_struct(kernel: Kernel) -> str:
    """The parameter struct of a layer."""
    lines = []
    for name, value in kernel.config.items():
        if isinstance(value, FixedPoint):
            lines.append(f"  typedef {value} {name};")
        elif isinstance(value, bool):
            lines.append(f"  static constexpr bool {name} = {str(value).lower()};")
        elif isinstance(value, int):
            lines.append(f"  static constexpr int {name} = {value};")
        else:
            lines.append(f"  static constexpr sparsepix::{value.split('::')[0]} {name} = sparsepix::{value};")
    body = "\n".join(lines)
    return f"{comment(f'{kernel.name}: {kernel.title}')}\nstruct {kernel.name}_config {{\n{body}\n}};\n"


def weight_comments(kernel: Kernel, shape: tuple[int, ...]) -> tuple[str, ...]:
    """A comment for each kernel position of a convolution's weights; none for other constants."""
    width = kernel.config.get("kernel_width", kernel.config.get("width"))
    if len(shape) != 3 or not isinstance(width, int):
        return ()
    return tuple(f"row {i // width}, column {i % width}" for i in range(shape[0]))


def weight_text(kernel: Kernel, constant: Constant, shape: tuple[int, ...]) -> str:
    """Comment and definition of a layer's constant array."""
    if len(shape) == 3:
        axes = "[position][input channel][output channel]"
    else:
        axes = "[input][output]" if len(shape) == 2 else "[element]"
    head = comment(f"{constant.name}{axes} of {kernel.name} ({kernel.title})")
    return f"{head}\n{definition(constant, shape, weight_comments(kernel, shape))}"
