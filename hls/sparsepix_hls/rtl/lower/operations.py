"""The operations that da4ml's tracer records."""

from collections.abc import Mapping

from da4ml.types import Op, QInterval

INPUT, CONSTANT, MUX, PRODUCT, LOOKUP, UNARY, BINARY = -1, 5, 6, 7, 8, 9, 10


def operands(op: Op) -> list[int]:
    """Operations that an operation reads."""
    if op.opcode in (INPUT, CONSTANT):
        return []
    found = [op.id0, op.id1] if op.opcode in (0, 1, PRODUCT, BINARY) or abs(op.opcode) == MUX else [op.id0]
    return [*found, op.data & 0xFFFFFFFF] if abs(op.opcode) == MUX else found


def moved(op: Op, place: Mapping[int, int]) -> Op:
    """An operation that reads its operands from other places.

    Args:
        op: the operation.
        place: where each operand is now.
    """
    if op.opcode in (INPUT, CONSTANT):
        return op
    first = place[op.id0]
    second = place[op.id1] if op.opcode in (0, 1, PRODUCT, BINARY) or abs(op.opcode) == MUX else op.id1
    data = op.data
    if abs(op.opcode) == MUX:  # the place of the key is in the low bits
        data = (data >> 32 << 32) + place[data & 0xFFFFFFFF]
    return op._replace(id0=first, id1=second, data=data)


def product_range(first: QInterval, second: QInterval) -> QInterval:
    """What the product of two ranges can be."""
    ends = [a * b for a in first[:2] for b in second[:2]]
    return QInterval(min(ends), max(ends), first.step * second.step)
