"""What a stage is made of: its pipelined loops, and what is around them, as operations with delays."""

import ctypes
import math
import re
from collections.abc import Iterable
from dataclasses import dataclass
from functools import cached_property, reduce
from typing import Any

from sparsepix_hls.schedule import delays
from sparsepix_hls.schedule.arrays import CHOICE, WRITTEN
from sparsepix_hls.schedule.blocks import Blocks
from sparsepix_hls.schedule.modulo import Operation
from sparsepix_hls.schedule.ranges import Range, constant, demanded, everything, result
from sparsepix_hls.schedule.same import same_operations
from sparsepix_hls.schedule.sums import Node, add_always, balance, keep_conditional, multiply_and_add
from sparsepix_ops.errors import SparsePixError

_ENDS = {"br", "switch", "ret", "unreachable"}
_INSTRUCTION = re.compile(r"  [^ \]]")
_CONSTANT = re.compile(r"i\d+ (-?\d+|true|false)$")
_BETWEEN = re.compile(r"@llvm\.([su]m(?:in|ax))\.")
_CONSTANTS = re.compile(r"getelementptr (?P<step>.*), ptr (?P<array>@[^ ,]+), .* %")
_PORT_WAYS = 3  # a rewound loop chooses between the port, what it keeps of it, and what it kept in the event before
_TRIPS = re.compile(r"@sparsepix_trips\(i32 (?:noundef )?(\d+)\)")


@dataclass(frozen=True)
class Region:
    """A loop, or what is outside of all loops.

    Args:
        trips: iterations; 1 outside.
        operations: of one iteration.
    """

    trips: int
    operations: tuple[Operation, ...]


def regions(function: Any, memories: bool = False) -> list[Region]:
    """The loops of a function in their order, and before them what is outside, if it is anything.

    Args:
        function: of llvmlite, optimized.
        memories: whether constants that are read at an index are in memories; else their arrays are partitioned.

    Raises:
        SparsePixError: an array that was not split into its elements, or loops within loops.
    """
    reader = _Reader(function, memories)
    loops = reader.blocks.loops
    inside = set().union(*loops.values()) if loops else set()
    if sum(map(len, loops.values())) != len(inside):
        raise SparsePixError("expected pipelined loops one after the other, found one in another")
    outside = Region(1, reader.operations(reader.blocks.reached - inside, None))
    found = [Region(reader.trips(loops[head]), reader.operations(loops[head], head)) for head in sorted(loops)]
    return ([outside] if any(o.delay for o in outside.operations) or not found else []) + found


class _Reader:
    """Instructions of a function by number."""

    def __init__(self, function: Any, memories: bool) -> None:
        self.memories, self.module = memories, function.module
        blocks = list(function.blocks)
        number = {_address(block): k for k, block in enumerate(blocks)}
        self.instructions, self.block_of, successors = [], [], []
        self.last = []
        for k, block in enumerate(blocks):
            some = list(block.instructions)
            self.instructions += some
            self.block_of += [k] * len(some)
            self.last.append(len(self.instructions) - 1)
            successors.append([number[_address(o)] for o in some[-1].operands if _address(o) in number])
        # One instruction a line, but for the cases of a switch; LLVM numbers the whole function to print a single one.
        self.texts = [line.strip() for line in str(function).splitlines() if _INSTRUCTION.match(line)]
        assert len(self.texts) == len(self.instructions), "not one line for each instruction"
        self.block_number = number
        self.blocks = Blocks(successors)
        self.index = {_address(instruction): k for k, instruction in enumerate(self.instructions)}
        self.opcodes = [instruction.opcode for instruction in self.instructions]
        if "alloca" in self.opcodes:
            array = self.texts[self.opcodes.index("alloca")]
            raise SparsePixError(
                f"the schedule knows no memories, found an array that is read or written at a place that "
                f"only data tell: {array}"
            )

    def trips(self, body: set[int]) -> int:
        """How often a loop runs: what the condition of its end compares with."""
        ends = [k for k in body if not body.issuperset(self.blocks.successors[k])]
        waiting = self._known((self._condition(k) for k in ends), None)
        for _ in range(6):
            for k in waiting:
                if self.opcodes[k] == "call" and (found := _TRIPS.search(self.texts[k])):
                    return int(found[1])
            waiting = self._known((o for k in waiting for o in self.instructions[k].operands), None)
        raise SparsePixError("expected a pipelined loop of a known number of iterations, found another one")

    def _condition(self, block: int) -> Any:
        """What decides where a block with more than one end goes."""
        return next(iter(self.instructions[self.last[block]].operands))

    def operations(self, body: set[int], head: int | None) -> tuple[Operation, ...]:
        """The operations of some blocks, in the order of their dependences; what is computed twice is one of them."""
        inside = [block in body for block in self.block_of]
        same = same_operations(self.texts, self.opcodes, inside)
        nodes = {}
        for k, opcode in enumerate(self.opcodes):
            if self.block_of[k] in body and opcode not in _ENDS and same.get(k, k) == k:
                reads = [(same.get(source, source), distance) for source, distance in self._reads(k, body, head)]
                operands = list(self.instructions[k].operands)
                if (
                    opcode == "phi"
                    and self.block_of[k] != head
                    and len(self._known(operands, body)) == len(operands) == 2
                ):
                    opcode, reads = "ways", reads[2:] + reads[:2]
                elif opcode == "select" and _bits(self.instructions[k]) > 1 and _is_zero(operands):
                    opcode = "gate"
                elif opcode == "mul" and self._is_sum(operands):
                    opcode = "multiple"
                kind = str(self.instructions[k].type)
                memory = opcode == "load" and self.memories and bool(self._constant_at(k))
                nodes[k] = Node(opcode, kind, *self._cost(k, head), memory, reads)
        outside = [k for k in range(len(self.instructions)) if self.block_of[k] not in body]
        fixed = {same.get(o, o) for k in outside for o in self._known(self.instructions[k].operands, body)}
        add_always(nodes, fixed)
        order = _ordered({k: node.reads for k, node in nodes.items()})
        balance(nodes, order, fixed, keep_conditional(nodes, fixed))
        multiply_and_add(nodes, order, fixed)
        order = _ordered({k: node.reads for k, node in nodes.items()})
        place = {k: i for i, k in enumerate(order)}
        return tuple(
            Operation(
                nodes[k].delay,
                tuple(dict.fromkeys((place[source], distance) for source, distance in nodes[k].reads)),
                nodes[k].lut,
                nodes[k].dsp,
                nodes[k].registered,
                self.bits[k],
                self.bits[k] if (k, 1) in nodes[k].reads else 0,
            )
            for k in order
        )

    def _known(self, values: Iterable[Any], body: set[int] | None) -> list[int]:
        """The instructions among some values, those of the body if one is given."""
        found = (self.index.get(_address(value), -1) for value in values)
        return [k for k in found if k >= 0 and (body is None or self.block_of[k] in body)]

    def _reads(self, k: int, body: set[int], head: int | None) -> list[tuple[int, int]]:
        instruction, block = self.instructions[k], self.block_of[k]
        if self.opcodes[k] == "load" and not self._constant_at(k):
            # A port, which a rewound loop keeps; a stream has new data each time.
            return [(k, 1)] if head is not None and "volatile" not in self.texts[k] else []
        if self.opcodes[k] != "phi":
            return [(source, 0) for source in self._known(instruction.operands, body)]
        if block == head:
            ways = zip(instruction.operands, instruction.incoming_blocks, strict=True)
            carried = [value for value, way in ways if self.block_number[_address(way)] in body]
            return [(source, 1) for source in self._known(carried, body)]
        conditions = [self._condition(some) for some in self.blocks.deciding(block)]
        return [(source, 0) for source in self._known([*instruction.operands, *conditions], body)]

    @cached_property
    def ranges(self) -> list[Range]:
        """What values each instruction can have.

        Of a variable that a loop carries, what it is given: at first that may be anything, then what follows of it.
        """
        found = self._ranges([])
        return self._ranges(found) if self.blocks.loops else found

    def _ranges(self, before: list[Range]) -> list[Range]:
        heads = self.blocks.loops.keys()
        used = self._used([_bits(instruction) for instruction in self.instructions])
        found: list[Range] = []
        for k, instruction in enumerate(self.instructions):
            opcode, bits = self.opcodes[k], _bits(instruction)
            text = self.texts[k]
            operands = [o for o in instruction.operands if _bits(o)]
            if opcode == "call":
                between = _BETWEEN.search(text)
                array = CHOICE in text or WRITTEN in text
                opcode = "choice" if array else between[1] if between else opcode
                operands = operands[array:]
            if not bits or (opcode == "phi" and self.block_of[k] in heads):
                given = [o for o in operands if not _is_undefined(o)] if before else []
                ranges = [self._range(o, before) for o in given]
                found.append(reduce(Range.union, ranges) if ranges else everything(bits))
                continue
            known = [self._range(o, found) for o in operands]
            if opcode == "zext" and used[k] <= _bits(operands[0]):
                opcode, text = "trunc", ""  # nobody looks at the zeros: the number may as well keep its sign
            found.append(result(opcode, bits, known, text))
        return found

    @cached_property
    def bits(self) -> list[int]:
        """How many bits of each instruction can differ and are used."""
        # What lies above the bits of a range is a copy of them.
        highest = [
            min(found.bits + found.zeros, _bits(i)) for found, i in zip(self.ranges, self.instructions, strict=True)
        ]
        used = self._used(highest)
        return [min(use, found.bits, most) for use, found, most in zip(used, self.ranges, highest, strict=True)]

    def _used(self, known: list[int]) -> list[int]:
        """How many low bits of each instruction others need, if it has so many that differ."""
        used = [0] * len(self.instructions)
        for k in reversed(range(len(self.instructions))):
            instruction, opcode = self.instructions[k], self.opcodes[k]
            need = demanded(opcode, _bits(instruction), min(used[k], known[k]), self.texts[k])
            for operand in instruction.operands:
                source = self.index.get(_address(operand))
                if source is not None:
                    all_bits = need is None or source >= k or (opcode == "select" and _bits(operand) == 1)
                    used[source] = max(used[source], _bits(operand) if all_bits else need)
        return used

    def _range(self, operand: Any, found: list[Range]) -> Range:
        """The range of an operand; of one that comes later in the text, all values."""
        k = self.index.get(_address(operand))
        if k is not None:
            return found[k] if k < len(found) else everything(_bits(operand))
        if m := _CONSTANT.match(str(operand)):
            return constant({"true": 1, "false": 0}.get(m[1]) if m[1].isalpha() else int(m[1]))
        return everything(_bits(operand))

    def _cost(self, k: int, head: int | None) -> tuple[float, int, int]:
        """Delay in ns, LUTs and DSP slices of an operation."""
        instruction, opcode = self.instructions[k], self.opcodes[k]
        operands = list(instruction.operands)
        bits = self.bits[k]
        match opcode:
            case "add" | "sub":
                return delays.adder_ns(bits), delays.arithmetic_lut(bits), 0
            case "mul" if self._is_sum(operands):
                return delays.adder_ns(bits), delays.arithmetic_lut(bits), 0
            case "mul":
                return self._product(min(max(self._range(o, self.ranges).bits for o in operands), bits))
            case "udiv" | "urem" | "sdiv" | "srem":
                if not operands[1].is_constant:
                    raise SparsePixError(f"the schedule knows no division but by a constant: {self.texts[k]}")
                read, by = (self._range(o, self.ranges) for o in operands)
                if by.high & (by.high - 1) == 0:  # a shift, rounded towards zero
                    return delays.adder_ns(read.bits), delays.arithmetic_lut(read.bits), 0
                return self._product(read.bits + 1)  # by the reciprocal
            case "and" | "or" | "xor":
                # Bits that are side by side are wires.
                wire = bits > 1 and (any(o.is_constant for o in operands) or " = or disjoint " in self.texts[k])
                return (0.0, 0, 0) if wire else (delays.LOGIC_NS, delays.logic_lut(bits), 0)
            case "shl" | "lshr" | "ashr":
                wire = operands[1].is_constant
                return (0.0, 0, 0) if wire else (delays.shift_ns(bits), bits * ((bits.bit_length() + 1) // 2), 0)
            case "select" if self._is_enable(k, operands[1:]):
                return 0.0, 0, 0
            case "select":
                logic = _bits(instruction) == 1 and any(o.is_constant for o in operands[1:])
                return delays.LOGIC_NS if logic else delays.SELECT_NS, delays.logic_lut(bits), 0
            case "load" if choices := self._constant_at(k):
                if self.memories:
                    return delays.ROM_NS, 0, 0
                return delays.index_ns(choices), delays.index_lut(choices), 0
            case "load" if head is not None and "volatile" not in self.texts[k]:
                return 0.0, delays.index_lut(_PORT_WAYS), 0
            case "phi" if self._is_enable(k, operands):
                return 0.0, 0, 0
            case "phi" if self.block_of[k] != head:
                ways = len(operands)
                return delays.ways_ns(ways), delays.ways_lut(ways, bits), 0
            case "icmp":
                return self._comparison(k)
            case "call":
                if WRITTEN in self.texts[k]:
                    return (0.0, 0, 0) if operands[0].is_constant else (delays.WRITE_NS, delays.WRITE_LUT, 0)
                if CHOICE in self.texts[k]:
                    values = len({_address(o) for o in operands[1:-1]})
                    return delays.index_ns(values), delays.index_lut(values), 0
                if _BETWEEN.search(self.texts[k]):
                    one, other = (self._range(o, self.ranges) for o in operands[:2])
                    tested = _tested(one, other.low) if other.low == other.high else None
                    above = delays.compare_ns(bits) if tested is None else delays.LOGIC_NS + delays.any_ns(tested)
                    lut = delays.arithmetic_lut(bits) + delays.logic_lut(bits)
                    return above + delays.SELECT_NS, lut, 0
        return 0.0, 0, 0

    def _is_sum(self, operands: list[Any]) -> bool:
        """Whether a factor is constant and has two digits: its product is a sum or a difference."""
        for operand in operands:
            found = self._range(operand, self.ranges)
            if found.low == found.high:
                factor = abs(found.low)
                return (factor ^ 3 * factor).bit_count() <= 2  # digits of -1, 0 and 1 that are not 0
        return False

    def _constant_at(self, k: int) -> int:
        """Of how many constants a load takes one by its index; 0 if it has none, or reads something else."""
        for place in self._known(self.instructions[k].operands, None):
            if m := _CONSTANTS.match(self.texts[place].partition(" = ")[2]):
                return max(self.sizes[m["array"]] // _elements(m["step"]), 2)
        return 0

    @cached_property
    def sizes(self) -> dict[str, int]:
        """Elements of the arrays of constants."""
        return {f"@{found.name}": _elements(str(found.global_value_type)) for found in self.module.global_variables}

    def _is_enable(self, k: int, values: list[Any]) -> bool:
        """Whether a choice is between the words of an array that is written, or not, at an index: only an enable."""
        found = {_address(value) for value in values}
        writes = [source for source in self._known(values, None) if WRITTEN in self.texts[source]]
        kept = {_address(list(self.instructions[source].operands)[2]) for source in writes}
        return bool(writes) and found - {_address(self.instructions[source]) for source in writes} <= kept

    @staticmethod
    def _product(bits: int) -> tuple[float, int, int]:
        return delays.product_ns(bits), delays.product_lut(bits), 0 if delays.in_lut(bits) else 1

    def _comparison(self, k: int) -> tuple[float, int, int]:
        operands = list(self.instructions[k].operands)
        if any(_TRIPS.search(self.texts[source]) for source in self._known(operands, None)):
            return 0.0, 0, 0  # whether the loop runs at all: the hardware does not ask
        one, other = (self._range(o, self.ranges) for o in operands)
        bits = one.union(other).bits
        if bits == 1 and min(one.low, other.low) >= 0 and re.search(r" (eq|ne) ", self.texts[k]):
            return 0.0, 0, 0  # a bit, or its inverse
        if other.low == other.high and not re.search(r" (eq|ne) ", self.texts[k]):
            tested = _tested(one, other.low)
            if tested is not None:
                return delays.any_ns(tested), delays.arithmetic_lut(bits), 0
        return delays.compare_ns(bits), delays.arithmetic_lut(bits), 0


def _tested(found: Range, limit: int) -> int | None:
    """How many bits tell whether a number lies beyond a power of two or below zero; None if it takes a comparison."""
    if limit in (0, -1):
        return 1 if found.low < 0 else None
    for power in (limit, limit + 1):
        if power > 0 and power & (power - 1) == 0 and found.low >= 0:
            return max(found.high.bit_length() - power.bit_length() + 1, 1)
    return None


def _is_undefined(operand: Any) -> bool:
    return operand.is_constant and str(operand).endswith((" undef", " poison"))


def _is_zero(operands: list[Any]) -> bool:
    """Whether a choice is between something and zero."""
    return any(o.is_constant and str(o).endswith(" 0") for o in operands[1:])


def _ordered(reads: dict[int, list[tuple[int, int]]]) -> list[int]:
    """Operations, each after those of the same iteration that it reads."""
    order: list[int] = []
    seen: set[int] = set()
    for root in reads:
        if root in seen:
            continue
        seen.add(root)
        stack = [(root, iter(reads[root]))]
        while stack:
            k, waiting = stack[-1]
            for source, distance in waiting:
                if distance == 0 and source not in seen:
                    seen.add(source)
                    stack.append((source, iter(reads[source])))
                    break
            else:
                order.append(k)
                stack.pop()
    return order


def _elements(kind: str) -> int:
    """Elements of an array of arrays."""
    return math.prod(int(n) for n in re.findall(r"\[(\d+) x", kind))


def _address(value: Any) -> int:
    return ctypes.cast(value._ptr, ctypes.c_void_p).value or 0


def _bits(value: Any) -> int:
    kind = str(value.type)
    return int(kind[1:]) if kind[:1] == "i" and kind[1:].isdigit() else 0
