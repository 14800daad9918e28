"""Products that are too deep for a stage, as sums of smaller ones."""

from collections.abc import Sequence

from da4ml.types import CombLogic, Op, QInterval, minimal_kif

from sparsepix_hls.rtl.lower.operations import PRODUCT, moved, product_range
from sparsepix_hls.rtl.lower.products import in_digits, product_levels

_ADD, _BITS = 0, 3
_SLACK = 1.0  # levels that a product may have more: a stage more for it costs a clock and its registers


def split_products(
    logic: CombLogic, levels: float, whole: frozenset[int] = frozenset()
) -> tuple[CombLogic, frozenset[int]]:
    """The same computation with every product of more levels than that split.

    A factor y of two digits or more is ``low + 2**k * high``, so that ``x * y`` is ``x * low + 2**k * (x * high)``.

    Args:
        logic: the operations.
        levels: of LUTs that a product may have.
        whole: products that stay as they are.

    Returns:
        The operations, and where those products are among them.
    """
    while True:
        kifs = [minimal_kif(op.qint) for op in logic.ops]
        products = {i for i, op in enumerate(logic.ops) if op.opcode == PRODUCT} - whole
        deep = {i for i in products if _splits(logic.ops[i], kifs, levels)}
        if not deep:
            return logic, whole
        logic, place = _split(logic, deep)
        whole = frozenset(place[i] for i in whole)


def _splits(op: Op, kifs: Sequence[tuple[int, int, int]], levels: float) -> bool:
    factors = [kifs[op.id0], kifs[op.id1]]
    return product_levels(factors) > levels + _SLACK and sum(factors[in_digits(factors)]) > 3


def _split(logic: CombLogic, deep: set[int]) -> tuple[CombLogic, dict[int, int]]:
    """Each of some products as a sum of two; and where every operation is now."""
    ops: list[Op] = []
    place: dict[int, int] = {}  # of each operation among the new ones

    def add(op: Op) -> int:
        ops.append(op)
        return len(ops) - 1

    for i, op in enumerate(logic.ops):
        op = moved(op, place)
        if i in deep:
            pair = [op.id0, op.id1]
            y = pair.pop(in_digits([minimal_kif(ops[k].qint) for k in pair]))
            (x,) = pair
            whole = ops[y].qint
            bits = sum(minimal_kif(whole))
            unit = whole.step * 2 ** (2 * max(bits // 4, 1))  # an even number of bits: whole digits
            low = QInterval(0.0, unit - whole.step, whole.step)
            high = QInterval(whole.min // unit * unit, whole.max // unit * unit, unit)
            parts = []
            for part in (low, high):
                piece = add(Op(y, -1, _BITS, 0, part, op.latency, 0.0))
                parts.append(add(Op(x, piece, PRODUCT, 0, product_range(ops[x].qint, part), op.latency, 0.0)))
            place[i] = add(Op(parts[0], parts[1], _ADD, 0, op.qint, op.latency, op.cost))
        else:
            place[i] = add(op)
    outputs = [place[index] if index >= 0 else index for index in logic.out_idxs]
    return logic._replace(ops=ops, out_idxs=outputs), place
