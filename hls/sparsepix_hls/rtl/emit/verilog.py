"""Traced functions as SystemVerilog: one line an operation, registers between stages with one enable."""

import numpy as np
from da4ml.types import CombLogic, Op, minimal_kif

from sparsepix_hls.rtl.emit.text import instance
from sparsepix_hls.rtl.lower.function import CONSTANT, INPUT, LOOKUP, PRODUCT, Function, operands
from sparsepix_hls.rtl.lower.products import in_digits

_SYMBOLS = {0: "&", 1: "|", 2: "^"}


def function_source(function: Function) -> str:
    """The module of a function, and those of its tables."""
    return "\n".join([*_Writer(function).tables(), _Writer(function).module()])


class _Writer:
    """What the lines of one module have in common."""

    def __init__(self, function: Function) -> None:
        self.function, self.logic = function, function.logic
        self.kifs = [minimal_kif(op.qint) for op in self.logic.ops]
        self.widths = [sum(kif) for kif in self.kifs]
        self.last = self._last_uses()

    def _last_uses(self) -> list[int]:
        """The stage in which each value is read last."""
        last = list(self.function.stage)
        for i, op in enumerate(self.logic.ops):
            for read in operands(op):
                last[read] = max(last[read], self.function.stage[i])
        for read in self.logic.out_idxs:
            if read >= 0:
                last[read] = self.function.depth - 1
        return last

    def _name(self, index: int, stage: int) -> str:
        """A value as a stage sees it."""
        late = stage - self.function.stage[index]
        return f"v{index}" if late == 0 or self.logic.ops[index].opcode == CONSTANT else f"v{index}_{late}"

    def _signed(self, index: int, stage: int, negated: bool = False) -> str:
        """A value as a signed expression."""
        name = self._name(index, stage)
        text = name if self.kifs[index][0] else f"$signed({{1'b0, {name}}})"
        return f"(-{text})" if negated else text

    def _type(self, index: int) -> str:
        return f"{'signed ' if self.kifs[index][0] else ''}[{self.widths[index] - 1}:0]"

    def module(self) -> str:
        """The module."""
        f = self.function
        ports = [f"input  logic [{field.bits - 1}:0] in_{field.name}" for field in f.inputs if field.size]
        ports += [f"output logic [{field.bits - 1}:0] out_{field.name}" for field in f.outputs if field.size]
        clocked = ["input  logic clk", "input  logic enable"] if f.depth > 1 else []
        stages = "combinational" if f.depth == 1 else f"{f.depth} stages, registers between them"
        lines = [f"// {f.title}; {stages}.", f"module {f.name} ("]
        lines += [",\n".join(f"    {port}" for port in [*clocked, *ports]), ");"]
        declared, registers = self._registers()
        lines += declared
        for stage in range(f.depth):
            if f.depth > 1:
                lines.append(f"  // stage {stage}")
            for i, op in enumerate(self.logic.ops):
                if f.stage[i] == stage and self.widths[i]:
                    lines += self._operation(i, op, stage)
        if registers:
            lines += ["  always_ff @(posedge clk)", "    if (enable) begin", *registers, "    end"]
        lines += self._outputs()
        return "\n".join([*lines, "endmodule", ""])

    def _registers(self) -> tuple[list[str], list[str]]:
        """Declarations of the registers between stages, and what they take."""
        declared, taken = [], []
        for i, op in enumerate(self.logic.ops):
            if op.opcode == CONSTANT or not self.widths[i]:
                continue
            for late in range(1, self.last[i] - self.function.stage[i] + 1):
                before = f"v{i}" if late == 1 else f"v{i}_{late - 1}"
                declared.append(f"  logic {self._type(i)} v{i}_{late};")
                taken.append(f"      v{i}_{late} <= {before};")
        return declared, taken

    def _operation(self, i: int, op: Op, stage: int) -> list[str]:
        """Declaration and assignment of a value."""
        kind, name = self._type(i), f"v{i}"
        if op.opcode == INPUT:
            return [f"  wire {kind} {name} = {self._input(op.id0, self.widths[i])};"]
        if op.opcode == LOOKUP:
            address = self._name(op.id0, stage)
            return [f"  wire {kind} {name};", f"  {self._table_name(op)} {name}_table ({address}, {name});"]
        if op.opcode == PRODUCT or self._long_sum(i, op):
            module = "product" if op.opcode == PRODUCT else "adder"
            return [f"  wire {kind} {name};", *self._module_of_two(module, i, op, stage)]
        return [f"  wire {kind} {name} = {self._expression(i, op, stage)};"]

    def _long_sum(self, i: int, op: Op) -> bool:
        """Whether an operation is an adder of a sum of products."""
        if op.opcode != 0 or op.data + self.kifs[op.id0][2] - self.kifs[op.id1][2]:
            return False
        return all(self.logic.ops[k].opcode in (0, PRODUCT) and self.widths[k] > 3 for k in (op.id0, op.id1))

    def _module_of_two(self, module: str, i: int, op: Op, stage: int) -> list[str]:
        """An instance of a module that takes two numbers."""
        parameters, connections = {}, {}
        reads = [op.id0, op.id1]
        if module == "product" and in_digits([self.kifs[k] for k in reads]) == 0:
            reads.reverse()
        for port, index in zip("ab", reads, strict=True):
            parameters[f"{port.upper()}_BITS"] = self.widths[index]
            parameters[f"{port.upper()}_SIGNED"] = int(self.kifs[index][0])
            connections[port] = self._name(index, stage)
        parameters["BITS"] = self.widths[i]
        return instance(module, f"v{i}_{module}", parameters, connections | {"value": f"v{i}"})

    def _input(self, element: int, width: int) -> str:
        for field in self.function.inputs:
            if element < field.size:
                return f"in_{field.name}[{element * field.type.width} +: {width}]"
            element -= field.size
        raise IndexError(element)

    def _expression(self, i: int, op: Op, stage: int) -> str:
        fraction = self.kifs[i][2]
        match abs(op.opcode):
            case 0 | 1:
                shift = op.data + self.kifs[op.id0][2] - self.kifs[op.id1][2]
                first = _shifted(self._signed(op.id0, stage), max(-shift, 0))
                second = _shifted(self._signed(op.id1, stage), max(shift, 0))
                return f"{first} {'-' if op.opcode else '+'} {second}"
            case 4:
                shift = fraction - self.kifs[op.id0][2]
                sign, number = ("-", -op.data) if op.data < 0 else ("+", op.data)
                bits = max(number.bit_length(), 1) + 1
                return f"{_shifted(self._signed(op.id0, stage), shift)} {sign} {bits}'sd{number}"
            case 5:
                return f"{self.widths[i]}'h{op.data % (1 << self.widths[i]):x}"
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
                return f"{('~', '|', '&')[op.data]}{self._name(op.id0, stage)}"
            case 10:
                assert not (op.data >> 32) & 3, "no bits of a negated value"
                shift = ((op.data & 0xFFFFFFFF) + (1 << 31)) % (1 << 32) - (1 << 31)
                shift += self.kifs[op.id0][2] - self.kifs[op.id1][2]
                first = _shifted(self._signed(op.id0, stage), max(-shift, 0))
                second = _shifted(self._signed(op.id1, stage), max(shift, 0))
                return f"{first} {_SYMBOLS[(op.data >> 56) & 0xFF]} {second}"
        raise ValueError(f"da4ml: no such operation: {op}")

    def _slice(self, i: int, op: Op, stage: int) -> str:
        """Some bits of a value, its sign repeated where they reach beyond."""
        width, drop = self.widths[i], self.kifs[op.id0][2] - self.kifs[i][2]
        negated = op.opcode < 0
        source = self._signed(op.id0, stage, negated)
        if drop == 0 and (negated or width <= self.widths[op.id0]) and not negated:
            return f"{self._name(op.id0, stage)}[{width - 1}:0]"
        if not negated and drop + width <= self.widths[op.id0] and drop >= 0:
            return f"{self._name(op.id0, stage)}[{drop} +: {width}]"
        wide = max(width + max(drop, 0), self.widths[op.id0] + 1)
        if drop < 0:
            return f"{_shifted(source, -drop)}"
        return f"{wide}'({source}) >>> {drop}" if drop else f"{wide}'({source})"

    def _mux(self, i: int, op: Op, stage: int) -> str:
        key = op.data & 0xFFFFFFFF
        shift = (op.data >> 32) & 0xFFFFFFFF
        shift -= (shift >> 31) << 32
        fraction = self.kifs[i][2]
        yes = self._choice(op.id0, stage, fraction - self.kifs[op.id0][2], False)
        no = self._choice(op.id1, stage, fraction - self.kifs[op.id1][2] + shift, op.opcode < 0)
        return f"{self._name(key, stage)}[{self.widths[key] - 1}] ? {yes} : {no}"

    def _choice(self, index: int, stage: int, shift: int, negated: bool) -> str:
        if self.widths[index] == 0:
            return "1'sd0"
        op = self.logic.ops[index]
        if shift < 0 and op.opcode == CONSTANT:  # da4ml gives no constant a unit above 2**31
            assert op.data % (1 << -shift) == 0, "a multiplexer never rounds"
            value = (-op.data if negated else op.data) >> -shift
            return f"{'-' if value < 0 else ''}{value.bit_length() + 1}'sd{abs(value)}"
        assert shift >= 0, "a multiplexer never rounds"
        return _shifted(self._signed(index, stage, negated), shift)

    def _outputs(self) -> list[str]:
        lines, logic, number = [], self.logic, 0
        for field in self.function.outputs:
            width = field.type.width
            for k in range(field.size):
                index = logic.out_idxs[number]
                target = f"out_{field.name}[{k * width} +: {width}]"
                if index < 0 or self.widths[index] == 0:
                    value = f"{width}'d0"
                else:
                    value = self._signed(index, self.function.depth - 1, logic.out_negs[number])
                    places = int(logic.out_shifts[number]) - self.kifs[index][2]
                    wide = max(width, self.widths[index] + 1) + abs(places)
                    value = f"{width}'({wide}'({value}) <<< {places})" if places else f"{width}'({value})"
                    assert places >= 0, f"{field.name}: not an integer"
                lines.append(f"  assign {target} = {value};")
                number += 1
        return lines

    def _table_name(self, op: Op) -> str:
        return f"{self.function.name}_table{op.data}_{self.widths[op.id0]}"

    def tables(self) -> list[str]:
        """A module for each table: a ``case`` that synthesis turns into LUTs."""
        made: dict[str, str] = {}
        for i, op in enumerate(self.logic.ops):
            if op.opcode != LOOKUP or self._table_name(op) in made or not self.widths[i]:
                continue
            name, bits, width = self._table_name(op), self.widths[op.id0], self.widths[i]
            assert self.logic.lookup_tables is not None
            values = self.logic.lookup_tables[op.data].padded_table(self.logic.ops[op.id0].qint)
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
        return list(made.values())


def _shifted(text: str, places: int) -> str:
    return f"({text} <<< {places})" if places else text


def register_bits(function: Function) -> int:
    """Bits of the registers between the stages of a function."""
    writer = _Writer(function)
    logic: CombLogic = function.logic
    return sum(
        writer.widths[i] * (writer.last[i] - function.stage[i])
        for i, op in enumerate(logic.ops)
        if op.opcode != CONSTANT
    )
