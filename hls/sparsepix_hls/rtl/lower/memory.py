"""Tables in block memory: which look-ups of a computation are read there and not in LUTs.

What is looked up at one address lies side by side in the words of one memory. It is read with the clock, so the words
are there a stage after their address, and late in it.
"""

from collections import defaultdict
from dataclasses import dataclass

from da4ml.types import CombLogic, minimal_kif

from sparsepix_hls.rtl.lower.operations import CONSTANT, LOOKUP

_BLOCK_BITS, BLOCK_WIDTH = 18432, 36  # of a block of 18 kbit, as AMD, Lattice and Gowin have them; 512 words or more
_LUTS_A_BLOCK = 150  # that a block has to save: parts have 300 to 400 LUTs for each, and most designs need none else


@dataclass(frozen=True)
class BlockMemory:
    """What the block memory of a part is like, beside its LUTs.

    Args:
        lut_inputs: of a look-up table.
        read_levels: levels of LUTs that a read takes, from the clock to the word.
    """

    lut_inputs: int
    read_levels: float


@dataclass(frozen=True)
class Memory:
    """Look-ups at one address.

    Args:
        address: its operation.
        reads: the operations that look up, the first in the low bits of a word.
    """

    address: int
    reads: tuple[int, ...]


def memories(logic: CombLogic, lut_inputs: int) -> tuple[Memory, ...]:
    """The tables that block memory is good for."""
    groups: dict[int, list[int]] = defaultdict(list)
    for i, op in enumerate(logic.ops):
        if op.opcode == LOOKUP and logic.ops[op.id0].opcode != CONSTANT and sum(minimal_kif(op.qint)):
            groups[op.id0].append(i)
    found = []
    for address, reads in groups.items():
        bits, width = _bits(logic, address), sum(_bits(logic, i) for i in reads)
        if width * table_luts(bits, lut_inputs) >= _LUTS_A_BLOCK * blocks(bits, width):
            found.append(Memory(address, tuple(reads)))
    return tuple(found)


def table_luts(bits: int, lut_inputs: int) -> float:
    """LUTs of a table of one bit with so many bits of address."""
    return 2.0 ** (bits - lut_inputs) if bits >= lut_inputs else 0.6


def blocks(bits: int, width: int) -> int:
    """Blocks of 18 kbit for words of so many bits, with so many bits of address."""
    words = 1 << bits
    deep = -(-words * BLOCK_WIDTH // _BLOCK_BITS)  # blocks on top of each other at the full width
    return -(-width // BLOCK_WIDTH) * max(deep, 1)


def _bits(logic: CombLogic, index: int) -> int:
    return sum(minimal_kif(logic.ops[index].qint))
