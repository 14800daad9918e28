"""Two products of one factor in one DSP slice (AMD WP486): ``x * (high * 2**s + low)`` holds both, side by side.

The low bits are the product with ``low``, as a signed number. What is above them is the product with ``high``, less one
where the low product is negative: its sign has borrowed from there. The borrowed ones are given back where the sum that
the high product goes into is complete, all at once.
"""

import math
from collections import defaultdict
from dataclasses import dataclass

import numpy as np
from da4ml.trace.fixed_variable import LookupTable
from da4ml.types import CombLogic, Op, QInterval

from sparsepix_hls.rtl.lower.operations import CONSTANT, LOOKUP, PRODUCT, UNARY, moved, operands, product_range

_ADD, _BITS, _ANY = 0, 3, 1
WIDE, NARROW = 25, 18  # bits of the two factors of a DSP slice, both signed (AMD UG479; UltraScale: 27, UG579)


@dataclass(frozen=True)
class Pair:
    """Two products that one slice can compute.

    Args:
        low, high: the products.
        factor: of both.
        tables: operations that look up the other factors, at one address.
        shift: place of the high product, counted from the unit of the factor.
        unit: of the factor.
    """

    low: int
    high: int
    factor: int
    tables: tuple[int, int]
    shift: int
    unit: float


def pairs_of(logic: CombLogic) -> list[Pair]:
    """Products of one factor with numbers that are looked up at one address, two by two."""
    groups: dict[tuple[int, int], list[tuple[int, int]]] = defaultdict(list)
    for i, op in enumerate(logic.ops):
        if op.opcode == PRODUCT:
            for table, factor in ((op.id0, op.id1), (op.id1, op.id0)):
                if logic.ops[table].opcode == LOOKUP and logic.ops[table].qint.step >= 1:
                    groups[logic.ops[table].id0, factor].append((i, table))
                    break
    found = []
    for (_, factor), members in groups.items():
        unit = logic.ops[factor].qint.step
        for (low, first), (high, second) in zip(members[::2], members[1::2], strict=False):
            pair = Pair(low, high, factor, (first, second), _signed_bits(logic.ops[low].qint, unit), unit)
            if _signed_bits(_joined(logic, pair)) <= WIDE and _signed_bits(logic.ops[factor].qint, unit) <= NARROW:
                found.append(pair)
    return found


def pair_products(logic: CombLogic, pairs: list[Pair]) -> tuple[CombLogic, frozenset[int]]:
    """The same computation with some pairs as one product each.

    Args:
        logic: the operations.
        pairs: of ``pairs_of``.

    Returns:
        The operations, and the joined products among them.
    """
    made = _Rewritten(logic, {number: pair for pair in pairs for number in (pair.low, pair.high)})
    return made.result()


class _Rewritten:
    """The operations one after the other, with pairs in the place of their products."""

    def __init__(self, logic: CombLogic, pairs: dict[int, Pair]) -> None:
        self.logic, self.pairs = logic, pairs
        self.ops: list[Op] = []
        self.place: dict[int, int] = {}
        self.joined: dict[Pair, int] = {}
        self.tables = list(logic.lookup_tables or ())
        self.numbers: dict[tuple[int, int, int], int] = {}  # of the joined tables
        readers: dict[int, list[int]] = defaultdict(list)
        for i, op in enumerate(logic.ops):
            for read in operands(op):
                readers[read].append(i)
        for read in logic.out_idxs:
            readers[read].append(-1)
        self.readers = readers
        self.sums = {pair.high: self._sum_of(pair.high) for pair in pairs.values()}
        # Sums on the way miss what was borrowed below them, in so many units each.
        self.missing: dict[int, list[float]] = defaultdict(list)
        for high in self.sums:
            for node in self._way(high):
                self.missing[node].append(pairs[high].unit)
        self.borrowed: dict[tuple[int, float], list[int]] = defaultdict(list)  # by sum and unit

    def _way(self, index: int) -> list[int]:
        """A value and the sums that it goes into, one into the next, as long as nothing else reads them."""
        found = [index]
        while len(self.readers[index]) == 1 and self.readers[index][0] >= 0:
            index = self.readers[index][0]
            op = self.logic.ops[index]
            if op.opcode != _ADD or op.data or op.id0 == op.id1:
                break
            found.append(index)
        return found

    def _sum_of(self, index: int) -> int:
        return self._way(index)[-1]

    def _add(self, op: Op) -> int:
        self.ops.append(op)
        return len(self.ops) - 1

    def result(self) -> tuple[CombLogic, frozenset[int]]:
        """See ``pair_products``."""
        looked_up = {table for pair in self.pairs.values() for table in pair.tables}
        unread = {i for i in looked_up if all(reader in self.pairs for reader in self.readers[i])}
        roots = set(self.sums.values())
        for i, op in enumerate(self.logic.ops):
            if i in unread:
                continue
            if i in self.pairs:
                self.place[i] = self._product(i)
            else:
                new = moved(op, self.place)
                if i in self.missing:
                    new = new._replace(qint=_lower(op.qint, self.missing[i]))
                self.place[i] = self._add(new)
            if i in roots:
                self.place[i] = self._given_back(i)
        outputs = [self.place[index] if index >= 0 else index for index in self.logic.out_idxs]
        logic = self.logic._replace(ops=self.ops, out_idxs=outputs, lookup_tables=tuple(self.tables))
        return logic, frozenset(self.joined.values())

    def _product(self, index: int) -> int:
        """One of the two products of a pair."""
        pair, old = self.pairs[index], self.logic.ops[index]
        if pair not in self.joined:
            self.joined[pair] = self._joined_product(pair)
        whole = self.joined[pair]
        both, unit = self.ops[whole].qint, pair.unit * 2.0**pair.shift
        if index == pair.low:
            return self._add(Op(whole, -1, _BITS, 0, old.qint, old.latency, 0.0))
        above = QInterval(both.min // unit * unit, both.max // unit * unit, unit)
        high = self._add(Op(whole, -1, _BITS, 0, above, old.latency, 0.0))
        none = self._add(Op(-1, -1, CONSTANT, 0, QInterval(0.0, 0.0, 1.0), old.latency, 0.0))
        if self.logic.ops[pair.low].qint.min < 0:
            sign = QInterval(0.0, unit / 2, unit / 2)
            bit = self._add(Op(whole, -1, _BITS, 0, sign, old.latency, 0.0))
            bit = self._add(Op(bit, -1, UNARY, _ANY, QInterval(0.0, 1.0, 1.0), old.latency, 0.0))
            self.borrowed[self.sums[index], pair.unit].append(bit)
        qint = QInterval(*(end * 2.0**-pair.shift for end in above))
        return self._add(Op(none, high, _ADD, -pair.shift, qint, old.latency, 0.0))

    def _joined_product(self, pair: Pair) -> int:
        """The product of both, with a table of both factors."""
        first, second = (self.logic.ops[table] for table in pair.tables)
        key = (first.data, second.data, pair.shift)
        if key not in self.numbers:
            low, high = (self.tables[op.data].float_table for op in (first, second))
            self.numbers[key] = len(self.tables)
            self.tables.append(LookupTable(np.asarray(high * 2.0**pair.shift + low)))
        values = self.tables[self.numbers[key]].spec.out_qint
        address, factor = self.place[first.id0], self.place[pair.factor]
        weight = self._add(Op(address, -1, LOOKUP, self.numbers[key], values, first.latency, first.cost))
        qint = product_range(values, self.ops[factor].qint)
        return self._add(Op(weight, factor, PRODUCT, 0, qint, first.latency, 0.0))

    def _given_back(self, root: int) -> int:
        """A sum with what was borrowed below it."""
        old, here = self.logic.ops[root], self.place[root]
        units = sorted(unit for owner, unit in self.borrowed if owner == root)
        for left, unit in enumerate(units, 1 - len(units)):
            row = self.borrowed[root, unit]
            while len(row) > 1:
                pairs = [row[k : k + 2] for k in range(0, len(row), 2)]
                row = [self._sum(*pair, old.latency) if len(pair) == 2 else pair[0] for pair in pairs]
            least = self.ops[here].qint
            qint = least._replace(max=least.max + unit) if left else old.qint._replace(step=min(least.step, unit))
            here = self._add(Op(here, row[0], _ADD, int(math.log2(unit)), qint, old.latency, old.cost))
        if self.ops[here].qint != old.qint:  # weights that are all even: what was borrowed has made the sum even again
            here = self._add(Op(here, -1, _BITS, 0, old.qint, old.latency, 0.0))
        return here

    def _sum(self, first: int, second: int, latency: float) -> int:
        most = self.ops[first].qint.max + self.ops[second].qint.max
        return self._add(Op(first, second, _ADD, 0, QInterval(0.0, most, 1.0), latency, 0.0))


def _signed_bits(qint: QInterval, unit: float = 1.0) -> int:
    """Bits of the numbers of a range in two's complement."""
    low, high = int(qint.min / unit), int(qint.max / unit)
    return max(high.bit_length(), (-low - 1).bit_length() if low < 0 else 0) + 1


def _joined(logic: CombLogic, pair: Pair) -> QInterval:
    """What the table of both factors holds at most."""
    low, high = (logic.ops[table].qint for table in pair.tables)
    unit = 2.0**pair.shift
    return QInterval(high.min * unit + low.min, high.max * unit + low.max, 1.0)


def _lower(qint: QInterval, missing: list[float]) -> QInterval:
    """The range of a sum that misses up to so many ones, of these units."""
    return QInterval(qint.min - sum(missing), qint.max, min(qint.step, *missing))
