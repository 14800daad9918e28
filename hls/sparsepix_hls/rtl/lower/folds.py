"""Folds: the outputs of an item shared out among rounds, whose weights are looked up by the number of the fold."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import TypeVar

import numpy as np

from sparsepix_hls.ir.tensors import LayerDesign
from sparsepix_hls.rtl.lower.arithmetic import Number, as_variable, either, known, select, table

FOLD = "fold"  # what a round reads: the number of its fold
T = TypeVar("T")


@dataclass(frozen=True)
class Fold:
    """The part of an item's outputs that a round computes.

    Args:
        number: of the fold.
        count: folds of an item; 1: a round computes all outputs.
    """

    number: Number = 0
    count: int = 1

    def members(self, values: Sequence[T], beyond: T) -> list[list[T]]:
        """Something of all outputs of an item, by output of a round: what it is in each fold.

        Args:
            values: one for each output of an item.
            beyond: what there is in the places after the last output.
        """
        together = -(-len(values) // self.count)
        padded = [*values, *[beyond] * (together * self.count - len(values))]
        return [padded[k::together] for k in range(together)]

    def at(self, address: Number, size: int) -> Callable[[Sequence[Sequence[int]]], Number]:
        """``tables[number][address]`` as a function of tables of ``size`` words; all are read at one address."""
        here = known(address)
        if here is not None:
            return lambda tables: table(self.number, [one[here] for one in tables])
        if self.count == 1:
            return lambda tables: table(address, tables[0])
        highest = int(as_variable(address).high)
        bits = max(highest, size - 1).bit_length()
        if highest < size and (self.count * size - 1).bit_length() < bits + (self.count - 1).bit_length():
            # One after the other they take half as many words as at powers of two, and an adder for the address.
            full, words = as_variable(address) + table(self.number, range(0, self.count * size, size)), size
        else:
            full, words = either(address, as_variable(self.number) * 2.0**bits), 1 << bits

        def lookup(tables: Sequence[Sequence[int]]) -> Number:
            if all(list(one) == list(tables[0]) for one in tables[1:]):
                return table(address, tables[0])
            return table(full, [word for one in tables for word in (*one, *[one[-1]] * (words - size))])

        return lookup

    def chosen(self, values: Sequence[Number]) -> Number:
        """``values[number]``, by multiplexers; equal neighbours need none."""
        row = list(values)
        for bit in self._bits:
            pairs = [row[i : i + 2] for i in range(0, len(row), 2)]
            row = [pair[0] if pair[0] is pair[-1] else select(bit, pair[1], pair[0]) for pair in pairs]
        return row[0]

    @cached_property
    def _bits(self) -> list[Number]:
        """The bits of the number, the lowest one first."""
        bits = range((self.count - 1).bit_length())
        return [table(self.number, [number >> bit & 1 for number in range(self.count)]) for bit in bits]


def fold_of(values: Mapping[str, np.ndarray], how: LayerDesign) -> Fold:
    """The fold of a round.

    Args:
        values: what it reads, by names.
        how: the layer is computed.
    """
    return Fold(values[FOLD][()], how.folds) if how.folds > 1 else Fold()
