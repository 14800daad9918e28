"""Traced functions as SystemVerilog: one line an operation, registers between stages."""

import numpy as np
from da4ml.types import Op, minimal_kif

from sparsepix_hls.rtl.emit.layers import Bundle, Scope, last_uses, read_stages, scopes, whole
from sparsepix_hls.rtl.lower.function import Field, Function
from sparsepix_hls.rtl.lower.memory import Memory
from sparsepix_hls.rtl.lower.operations import CONSTANT, INPUT, LOOKUP, PRODUCT, operands
from sparsepix_hls.rtl.lower.products import in_digits
from sparsepix_hls.rtl.stages.text import instance, missing, unused

_SYMBOLS = {0: "&", 1: "|", 2: "^"}


def function_source(function: Function, prefix: str) -> str:
    """The modules of a function, and those of its tables.

    Args:
        function: the function.
        prefix: of the names of layers' modules.
    """
    modules = [_Writer(function, scope).module() for scope in scopes(function, prefix)]
    return "\n".join([*modules, *_Writer(function, whole(function)).tables()])


class _Writer:
    """What the lines of one module have in common.

    Every expression is as wide as what it is assigned to: a value fits its bits, so arithmetic modulo its width is
    exact.

    Args:
        function: the function.
        scope: what the module holds of it.
    """

    def __init__(self, function: Function, scope: Scope) -> None:
        self.function, self.logic, self.scope = function, function.logic, scope
        self.kifs = [minimal_kif(op.qint) for op in self.logic.ops]
        self.widths = [sum(kif) for kif in self.kifs]
        self.last, self.reading = last_uses(function), read_stages(function)
        self.places = {i: self._place(memory, i) for memory in function.memories for i in memory.reads}
        self.read: dict[str, int] = {}  # bits of each name that something reads

    def _held(self, index: int) -> int:
        """Registers of a value in this module."""
        if self.logic.ops[index].opcode == CONSTANT or index not in self.scope.delayed:
            return 0
        return self.last[index] - self.function.stage[index]

    def _name(self, index: int, stage: int) -> str:
        """A value as a stage sees it."""
        late = stage - self.function.stage[index]
        return f"v{index}_{late}" if late and self.logic.ops[index].opcode != CONSTANT else f"v{index}"

    def _bits(self, index: int, stage: int, low: int = 0, high: int | None = None) -> str:
        """Bits of a value as a stage sees it: all of them, or those from low up to high, which is not one of them."""
        width, name = self.widths[index], self._name(index, stage)
        high = width if high is None else high
        self.read[name] = self.read.get(name, 0) | (1 << high) - (1 << low)
        if (low, high) == (0, width):
            return name
        return f"{name}[{low}]" if high == low + 1 else f"{name}[{high - 1}:{low}]"

    def _wide(self, index: int, stage: int, width: int, negated: bool = False) -> str:
        """A value in so many bits: its sign is repeated, or what is beyond them is left out."""
        here = self.widths[index]
        if here == 0:
            return f"{width}'d0"
        text = self._bits(index, stage, 0, min(width, here))
        text = text if width <= here else f"{width}'({text})"
        return f"-({text})" if negated else text  # without brackets the sign would be that of a cast's width

    def _type(self, index: int) -> str:
        return f"{'signed ' if self.kifs[index][0] else ''}[{self.widths[index] - 1}:0]"

    def module(self) -> str:
        """The module."""
        f, scope = self.function, self.scope
        taken = () if scope.instances else scope.taken
        ports = ["input  logic clk"] if scope.clocked else []
        ports += [f"input  logic [{field.bits - 1}:0] in_{field.name}" for field in scope.fields if field.size]
        ports += [f"input  logic [{bundle.bits - 1}:0] in_{bundle.name}" for bundle in taken]
        ports += [f"output logic [{field.bits - 1}:0] out_{field.name}" for field, _ in scope.results if field.size]
        ports += [f"output logic [{bundle.bits - 1}:0] out_{bundle.name}" for bundle in scope.given]
        lines = [f"// {scope.comment}", f"module {scope.name} (", ",\n".join(f"    {port}" for port in ports), ");"]
        lines += scope.instances
        declared, registers = self._registers()
        lines += declared
        for bundle in scope.taken:
            lines += self._unpacked(bundle)
        for stage in range(f.depth):
            here = [i for i in scope.own if f.stage[i] == stage and self.widths[i]]
            if f.depth > 1 and here:
                lines.append(f"  // stage {stage}")
            for i in here:
                lines += self._operation(i, self.logic.ops[i], stage)
        if registers:
            lines += ["  always_ff @(posedge clk) begin", *registers, "  end"]
        elif scope.clocked and "clk" not in scope.connected:
            lines += unused(["clk"], "unused_clk")
        lines += [self._packed(bundle) for bundle in scope.given]
        for field, first in scope.results:
            if f"out_{field.name}" not in scope.connected:
                lines += self._output(field, first)
        lines += unused(self._unread())
        return "\n".join([*lines, "endmodule", ""])

    def _registers(self) -> tuple[list[str], list[str]]:
        """Declarations of the registers between stages, and what they take."""
        declared, taken = [], []
        for i in self.scope.own:
            if not self.widths[i]:
                continue
            for late in range(1, self._held(i) + 1):
                before = f"v{i}" if late == 1 else f"v{i}_{late - 1}"
                self.read[before] = (1 << self.widths[i]) - 1
                declared.append(f"  logic {self._type(i)} v{i}_{late};")
                taken.append(f"    v{i}_{late} <= {before};")
        return declared, taken

    def _port(self, bundle: Bundle) -> str:
        """What holds the values of a bundle that come in."""
        return f"{'between_' if self.scope.instances else 'in_'}{bundle.name}"

    def _used(self, bundle: Bundle) -> set[int]:
        """The values of a bundle that this module reads."""
        readers = [k for k in self.scope.own if self.reading[k] == bundle.stage]
        read = {i for k in readers for i in operands(self.logic.ops[k])}
        if bundle.stage == self.function.depth - 1:
            outs = [(f.size, first) for f, first in self.scope.results if f"out_{f.name}" not in self.scope.connected]
            read |= {self.logic.out_idxs[first + k] for size, first in outs for k in range(size)}
        return read & set(bundle.values)

    def _unpacked(self, bundle: Bundle) -> list[str]:
        """The values of a bundle, one by one."""
        port, low, read = self._port(bundle), 0, self._used(bundle)
        lines = [f"  // {bundle.name}" + f", as stage {bundle.stage} reads it" * (self.function.depth > 1)]
        for i, label in zip(bundle.values, bundle.labels, strict=True):
            if i in read:
                part = f"[{low} +: {self.widths[i]}]"
                lines.append(f"  wire {self._type(i)} {self._name(i, bundle.stage)} = {port}{part};  // {label}")
                self.read[port] = self.read.get(port, 0) | (1 << low + self.widths[i]) - (1 << low)
            low += self.widths[i]
        return lines

    def _packed(self, bundle: Bundle) -> str:
        """The values of a bundle side by side."""
        names = [self._bits(i, bundle.stage) for i in reversed(bundle.values)]
        rows = [", ".join(names[k : k + 12]) for k in range(0, len(names), 12)]
        return f"  assign out_{bundle.name} = {{{(',' + chr(10) + '      ').join(rows)}}};"

    def _unread(self) -> list[str]:
        """Bits of ports and values that nothing reads."""
        found: list[str] = []
        taken: dict[int, int] = {}  # bits that are taken of an element of the inputs
        for i in self.scope.own:
            op = self.logic.ops[i]
            if op.opcode == INPUT:
                taken[op.id0] = self.widths[i]
            if self.widths[i]:
                name = self._name(i, self.function.stage[i] + self._held(i))
                found += [f"{name}{part}" for part in missing(self.read.get(name, 0), self.widths[i])]
        for bundle in self.scope.taken:
            for i in self._used(bundle):
                name = self._name(i, bundle.stage)
                found += [f"{name}{part}" for part in missing(self.read.get(name, 0), self.widths[i])]
            if not self.scope.instances:  # there, layers may read the rest
                port = self._port(bundle)
                found += [f"{port}{part}" for part in missing(self.read.get(port, 0), bundle.bits)]
        element = 0
        for field in self.function.inputs:
            read = 0
            for k in range(field.size):
                read |= ((1 << taken.get(element, 0)) - 1) << k * field.type.width
                element += 1
            if field.size and field in self.scope.fields and f"in_{field.name}" not in self.scope.connected:
                found += [f"in_{field.name}{part}" for part in missing(read, field.bits)]
        return found

    def _operation(self, i: int, op: Op, stage: int) -> list[str]:
        """Declaration and assignment of a value."""
        kind, name = self._type(i), f"v{i}"
        if op.opcode == INPUT:
            return [f"  wire {kind} {name} = {self._input(op.id0, self.widths[i])};"]
        if i in self.places:
            memory, low = self.places[i]
            lines = [f"  wire {kind} {name} = {self._word(memory)}[{low} +: {self.widths[i]}];"]
            if i == memory.reads[0]:
                address = self._bits(memory.address, stage - 1)
                word = self._word(memory)
                instance_of = f"{self.function.name}_memory{memory.address}"
                lines[:0] = [
                    f"  wire [{self._word_bits(memory) - 1}:0] {word};",
                    f"  {instance_of} {word}_memory (clk, {address}, {word});",
                ]
            return lines
        if op.opcode == LOOKUP:
            address = self._bits(op.id0, stage)
            return [f"  wire {kind} {name};", f"  {self._table_name(op)} {name}_table ({address}, {name});"]
        if op.opcode == PRODUCT or self._long_sum(i, op):
            module = ("multiplier" if i in self.function.in_dsp else "product") if op.opcode == PRODUCT else "adder"
            return [f"  wire {kind} {name};", *self._module_of_two(module, i, op, stage)]
        return [f"  wire {kind} {name} = {self._expression(i, op, stage)};"]

    def _place(self, memory: Memory, index: int) -> tuple[Memory, int]:
        """Where a value is in the words of its memory."""
        before = memory.reads[: memory.reads.index(index)]
        return memory, sum(self.widths[i] for i in before)

    def _word(self, memory: Memory) -> str:
        return f"word{memory.address}"

    def _word_bits(self, memory: Memory) -> int:
        return sum(self.widths[i] for i in memory.reads)

    def _long_sum(self, i: int, op: Op) -> bool:
        """Whether an operation is an adder of a sum of products."""
        if op.opcode != 0 or op.data + self.kifs[op.id0][2] - self.kifs[op.id1][2]:
            return False
        return all(self.logic.ops[k].opcode in (0, PRODUCT) and self.widths[k] > 3 for k in (op.id0, op.id1))

    def _module_of_two(self, module: str, i: int, op: Op, stage: int) -> list[str]:
        """An instance of a module that takes two numbers."""
        parameters: dict[str, int | str] = {}
        connections = {}
        reads = [op.id0, op.id1]
        if module == "product" and in_digits([self.kifs[k] for k in reads]) == 0:
            reads.reverse()
        for port, index in zip("ab", reads, strict=True):
            parameters[f"{port.upper()}_BITS"] = self.widths[index]
            parameters[f"{port.upper()}_SIGNED"] = f"1'b{int(self.kifs[index][0])}"
            connections[port] = self._bits(index, stage)
        parameters["BITS"] = self.widths[i]
        return instance(module, f"v{i}_{module}", parameters, connections | {"value": f"v{i}"})

    def _input(self, element: int, width: int) -> str:
        for field in self.function.inputs:
            if element < field.size:
                return f"in_{field.name}[{element * field.type.width} +: {width}]"
            element -= field.size
        raise IndexError(element)

    def _expression(self, i: int, op: Op, stage: int) -> str:
        width, fraction = self.widths[i], self.kifs[i][2]
        match abs(op.opcode):
            case 0 | 1:
                first, second = self._aligned(op, stage, op.data, width, fraction)
                return f"{first} {'-' if op.opcode else '+'} {second}"
            case 4:
                first = _shifted(self._wide(op.id0, stage, width), fraction - self.kifs[op.id0][2])
                return f"{first} {'-' if op.data < 0 else '+'} {width}'d{abs(op.data) % (1 << width)}"
            case 5:
                return f"{width}'h{op.data % (1 << width):x}"
            case 2:
                assert op.opcode == 2, "no ReLU of a negated value"
                assert not self.kifs[op.id0][0], "arithmetic.py has a ReLU of its own"
                return self._slice(i, op, stage)
            case 3:
                return self._slice(i, op, stage)
            case 6:
                return self._mux(i, op, stage)
            case 9:
                assert op.opcode == 9, "no bits of a negated value"
                if op.data == 0:
                    return f"~{self._wide(op.id0, stage, width)}"
                assert width == 1, "one bit of all"
                return f"{'|' if op.data == 1 else '&'}{self._bits(op.id0, stage)}"
            case 10:
                assert not (op.data >> 32) & 3, "no bits of a negated value"
                shift = ((op.data & 0xFFFFFFFF) + (1 << 31)) % (1 << 32) - (1 << 31)
                first, second = self._aligned(op, stage, shift, width, fraction)
                return f"{first} {_SYMBOLS[(op.data >> 56) & 0xFF]} {second}"
        raise ValueError(f"da4ml: no such operation: {op}")

    def _aligned(self, op: Op, stage: int, shift: int, width: int, fraction: int) -> tuple[str, str]:
        """Two operands in units of the result; a constant 0 has no unit of its own."""
        found = []
        for index, places in ((op.id0, 0), (op.id1, shift)):
            places += fraction - self.kifs[index][2]
            found.append(_shifted(self._wide(index, stage, width), places if self.widths[index] else 0))
            assert places >= 0 or not self.widths[index], "a sum is as fine as its terms"
        return found[0], found[1]

    def _slice(self, i: int, op: Op, stage: int) -> str:
        """Some bits of a value, its sign repeated where they reach beyond."""
        width, here, drop = self.widths[i], self.widths[op.id0], self.kifs[op.id0][2] - self.kifs[i][2]
        if drop < 0:
            return _shifted(self._wide(op.id0, stage, width, op.opcode < 0), -drop)
        if op.opcode < 0:
            wide = max(width + drop, here + 1)
            text = f"-$signed({self._wide(op.id0, stage, wide)})"
            return f"{width}'({text} >>> {drop})" if drop else f"{width}'({text})"
        if drop + width <= here:
            return self._bits(op.id0, stage, drop, drop + width)
        if drop == 0:
            return self._wide(op.id0, stage, width)
        if drop >= here:  # nothing but copies of the sign
            return (
                f"{{{width}{{{self._bits(op.id0, stage, here - 1, here)}}}}}" if self.kifs[op.id0][0] else f"{width}'d0"
            )
        rest = self._bits(op.id0, stage, drop, here)
        return f"{width}'($signed({rest}))" if self.kifs[op.id0][0] else f"{width}'({rest})"

    def _mux(self, i: int, op: Op, stage: int) -> str:
        key, width, fraction = op.data & 0xFFFFFFFF, self.widths[i], self.kifs[i][2]
        shift = (op.data >> 32) & 0xFFFFFFFF
        shift -= (shift >> 31) << 32
        yes = self._choice(op.id0, stage, width, fraction - self.kifs[op.id0][2], False)
        no = self._choice(op.id1, stage, width, fraction - self.kifs[op.id1][2] + shift, op.opcode < 0)
        top = self.widths[key] - 1
        return f"{self._bits(key, stage, top, top + 1)} ? {yes} : {no}"

    def _choice(self, index: int, stage: int, width: int, shift: int, negated: bool) -> str:
        op = self.logic.ops[index]
        if shift < 0 and op.opcode == CONSTANT:  # da4ml gives no constant a unit above 2**31
            assert op.data % (1 << -shift) == 0, "a multiplexer never rounds"
            value = (-op.data if negated else op.data) >> -shift
            return f"{width}'h{value % (1 << width):x}"
        assert shift >= 0 or not self.widths[index], "a multiplexer never rounds"
        return _shifted(self._wide(index, stage, width, negated), shift if self.widths[index] else 0)

    def _output(self, field: Field, first: int) -> list[str]:
        lines, logic, width = [], self.logic, field.type.width
        for k, number in enumerate(range(first, first + field.size)):
            index = logic.out_idxs[number]
            if index < 0 or self.widths[index] == 0:
                value = f"{width}'d0"
            else:
                places = int(logic.out_shifts[number]) - self.kifs[index][2]
                assert places >= 0, f"{field.name}: not an integer"
                value = self._wide(index, self.function.depth - 1, width, logic.out_negs[number])
                value = _shifted(value, places)
            lines.append(f"  assign out_{field.name}[{k * width} +: {width}] = {value};")
        return lines

    def _table_name(self, op: Op) -> str:
        return f"{self.function.name}_table{op.data}_{self.widths[op.id0]}"

    def tables(self) -> list[str]:
        """A module for each table: a ``case`` that synthesis turns into LUTs."""
        made: dict[str, str] = {}
        for i, op in enumerate(self.logic.ops):
            if op.opcode != LOOKUP or i in self.places or self._table_name(op) in made or not self.widths[i]:
                continue
            name, bits, width = self._table_name(op), self.widths[op.id0], self.widths[i]
            values = self._values(op)
            lines = [
                f"module {name} (input logic [{bits - 1}:0] address, output logic [{width - 1}:0] value);",
                "  always_comb",
                "    case (address)",
            ]
            for address, value in enumerate(values):
                if not np.isnan(value):
                    lines.append(f"      {bits}'d{address}: value = {width}'h{int(value) % (1 << width):x};")
            lines += [f"      default: value = {width}'h0;", "    endcase", "endmodule", ""]
            made[name] = "\n".join(lines)
        return [*made.values(), *map(self._memory, self.function.memories)]

    def _values(self, op: Op) -> np.ndarray:
        """What an operation looks up, by the bits of its address; not a number where no address points."""
        assert self.logic.lookup_tables is not None
        return self.logic.lookup_tables[op.data].padded_table(self.logic.ops[op.id0].qint)

    def _memory(self, memory: Memory) -> str:
        """The module of a memory."""
        bits, width, low = self.widths[memory.address], self._word_bits(memory), 0
        words = [0] * (1 << bits)
        for i in memory.reads:
            for address, value in enumerate(np.nan_to_num(self._values(self.logic.ops[i]))):
                words[address] |= (int(value) % (1 << self.widths[i])) << low
            low += self.widths[i]
        lines = [
            f"module {self.function.name}_memory{memory.address} (",
            f"    input logic clk, input logic [{bits - 1}:0] address, output logic [{width - 1}:0] word",
            ");",
            f'  (* rom_style = "block" *) logic [{width - 1}:0] words[{len(words)}];',
            "  initial begin",
            *(f"    words[{address}] = {width}'h{word:x};" for address, word in enumerate(words)),
            "  end",
            "  always_ff @(posedge clk) word <= words[address];",
            "endmodule",
            "",
        ]
        return "\n".join(lines)


def _shifted(text: str, places: int) -> str:
    return f"({text} <<< {places})" if places else text
