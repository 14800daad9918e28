"""What a stage is made of: its pipelined loops, and what is around them, as operations with delays."""

import ctypes
import re
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

from sparsepix_hls.schedule import delays
from sparsepix_hls.schedule.blocks import Blocks
from sparsepix_hls.schedule.modulo import Operation
from sparsepix_ops.errors import SparsePixError

_ENDS = {"br", "switch", "ret", "unreachable"}
_INSTRUCTION = re.compile(r"  [^ \]]")
_MASKED = re.compile(r"and i\d+ %[\w.]+, (-?\d+)$")
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


def regions(function: Any) -> list[Region]:
    """The loops of a function in their order, and before them what is outside, if it is anything.

    Args:
        function: of llvmlite, optimized.

    Raises:
        SparsePixError: an array that was not split into its elements, or loops within loops.
    """
    reader = _Reader(function)
    loops = reader.blocks.loops
    inside = set().union(*loops.values()) if loops else set()
    if sum(map(len, loops.values())) != len(inside):
        raise SparsePixError("expected pipelined loops one after the other, found one in another")
    outside = Region(1, reader.operations(set(range(len(reader.blocks.successors))) - inside, None))
    found = [Region(reader.trips(loops[head]), reader.operations(loops[head], head)) for head in sorted(loops)]
    return ([outside] if any(o.delay for o in outside.operations) or not found else []) + found


class _Reader:
    """Instructions of a function by number."""

    def __init__(self, function: Any) -> None:
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
        """The operations of some blocks, in the order of their dependences."""
        reads, delay = {}, {}
        for k, opcode in enumerate(self.opcodes):
            if self.block_of[k] in body and opcode not in _ENDS:
                reads[k], delay[k] = self._reads(k, body, head), self._delay(k, head)
        order = _ordered(reads)
        place = {k: i for i, k in enumerate(order)}
        return tuple(
            Operation(delay[k], tuple((place[source], distance) for source, distance in reads[k])) for k in order
        )

    def _known(self, values: Iterable[Any], body: set[int] | None) -> list[int]:
        """The instructions among some values, those of the body if one is given."""
        found = (self.index.get(_address(value), -1) for value in values)
        return [k for k in found if k >= 0 and (body is None or self.block_of[k] in body)]

    def _reads(self, k: int, body: set[int], head: int | None) -> list[tuple[int, int]]:
        instruction, block = self.instructions[k], self.block_of[k]
        if self.opcodes[k] != "phi":
            return [(source, 0) for source in self._known(instruction.operands, body)]
        if block == head:
            ways = zip(instruction.operands, instruction.incoming_blocks, strict=True)
            carried = [value for value, way in ways if self.block_number[_address(way)] in body]
            return [(source, 1) for source in self._known(carried, body)]
        conditions = [self._condition(some) for some in self.blocks.deciding(block)]
        return [(source, 0) for source in self._known([*instruction.operands, *conditions], body)]

    def _delay(self, k: int, head: int | None) -> float:
        instruction, opcode = self.instructions[k], self.opcodes[k]
        bits = _bits(instruction)
        operands = list(instruction.operands)
        match opcode:
            case "add" | "sub":
                return delays.adder_ns(bits)
            case "mul":
                return delays.product_ns(bits)
            case "udiv" | "urem" | "sdiv" | "srem":
                if not operands[1].is_constant:
                    raise SparsePixError(f"the schedule knows no division but by a constant: {self.texts[k]}")
                return delays.product_ns(2 * bits)  # by the reciprocal
            case "and" | "or" | "xor":
                return 0.0 if bits > 1 and any(o.is_constant for o in operands) else delays.LOGIC_NS
            case "shl" | "lshr" | "ashr":
                return 0.0 if operands[1].is_constant else delays.shift_ns(bits)
            case "select":
                return delays.SELECT_NS
            case "phi":
                return 0.0 if self.block_of[k] == head else delays.choice_ns(len(operands))
            case "icmp":
                text = self.texts[k]
                if any(_TRIPS.search(self.texts[source]) for source in self._known(operands, None)):
                    return 0.0  # whether the loop runs at all: the hardware does not ask
                if " eq " in text or " ne " in text:
                    return delays.equal_ns(self._compared(operands[0]))
                return delays.less_ns(_bits(operands[0]))
            case "call":
                text = self.texts[k]
                smaller = any(f"@llvm.{name}." in text for name in ("smin", "smax", "umin", "umax"))
                return delays.less_ns(bits) + delays.SELECT_NS if smaller else 0.0
        return 0.0

    def _compared(self, operand: Any) -> int:
        """Bits that a comparison for equality looks at: those of a mask, where there is one."""
        source = self.index.get(_address(operand))
        bits = _bits(operand)
        if source is not None and (m := _MASKED.search(self.texts[source])):
            return (int(m[1]) & ((1 << bits) - 1)).bit_count()
        return bits


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


def _address(value: Any) -> int:
    return ctypes.cast(value._ptr, ctypes.c_void_p).value or 0


def _bits(value: Any) -> int:
    kind = str(value.type)
    return int(kind[1:]) if kind[:1] == "i" and kind[1:].isdigit() else 0
