"""A computation as a graph of operations, cut into pipeline stages.

da4ml's tracer records the operations and the range of every value. Where registers go is decided here, by levels of
LUTs: da4ml counts an adder as one unit whatever its width, carries constants from stage to stage, and its pipelines
cannot wait.
"""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from da4ml.trace import FixedVariable, comb_trace
from da4ml.types import CombLogic, Op, minimal_kif

from sparsepix_hls.rtl.lower.arithmetic import as_variable, variable
from sparsepix_hls.rtl.lower.layers import Origins, Part, numbered, origins
from sparsepix_hls.rtl.lower.memory import BlockMemory, Memory, memories
from sparsepix_hls.rtl.lower.operations import CONSTANT, INPUT, PRODUCT, operands
from sparsepix_hls.rtl.lower.paired import pair_products, pairs_of
from sparsepix_hls.rtl.lower.products import Kif, product_levels, product_luts
from sparsepix_hls.rtl.lower.split import split_products
from sparsepix_ops.errors import SparsePixError
from sparsepix_ops.fixed_point import FixedPoint

ADDER_LEVELS = 2.0  # of the adders after a function whose results are added up over time
DSP_LEVELS = 5.0  # of a multiplier without registers: 2 to 2.5 ns in the data sheets (AMD DS923)
DSP_BITS = 18  # of either factor, so that one slice does


@dataclass(frozen=True)
class Field:
    """One array that a function reads or writes: raw integers, the first element in the low bits.

    Args:
        name: of the port.
        shape: of the array.
        type: bits and sign of an element; its exponent does not matter here.
        low: smallest element; None: what the type holds.
        high: largest element, for each index of the last axis; None: what the type holds.
    """

    name: str
    shape: tuple[int, ...]
    type: FixedPoint
    low: int | None = None
    high: tuple[int, ...] | None = None

    @property
    def size(self) -> int:
        """Number of elements."""
        return math.prod(self.shape)

    @property
    def bits(self) -> int:
        """Bits of the port."""
        return self.size * self.type.width

    def variables(self) -> np.ndarray:
        """New inputs of this shape."""
        low = self.type.raw_min if self.low is None else self.low
        made = np.empty(self.shape, dtype=object)
        for index in np.ndindex(self.shape):
            made[index] = variable(low, self.type.raw_max if self.high is None else self.high[index[-1]])
        return made


def unsigned(name: str, shape: tuple[int, ...], width: int) -> Field:
    """A field of unsigned integers."""
    return Field(name, shape, FixedPoint(width, width, signed=False, rounding="FLOOR", overflow="WRAP"))


@dataclass(frozen=True)
class Function:
    """A traced computation in pipeline stages.

    Args:
        name: of the module.
        title: what it computes, for comments.
        inputs, outputs: its ports.
        logic: operations, as da4ml records them; inputs and outputs flattened and joined in order.
        stage: of each operation, from 0.
        depth: number of stages.
        in_dsp: the products that DSP slices compute.
        memories: the tables that block memory holds.
        parts: its layers, in order.
        origins: which of them made each operation.
    """

    name: str
    title: str
    inputs: tuple[Field, ...]
    outputs: tuple[Field, ...]
    logic: CombLogic
    stage: tuple[int, ...]
    depth: int
    in_dsp: frozenset[int]
    memories: tuple[Memory, ...]
    parts: tuple[Part, ...]
    origins: Origins


@dataclass
class Slices:
    """DSP slices that a design may still take, and the memory of its part.

    Args:
        left: how many.
        in_pairs: two products in one slice where that can be.
        memory: for tables; None: there is none.
    """

    left: int = 0
    in_pairs: bool = False
    memory: BlockMemory | None = None


def trace(
    name: str,
    title: str,
    inputs: Sequence[Field],
    outputs: Sequence[Field],
    parts: Sequence[Part],
    levels: float,
    late: float = 0.0,
    slices: Slices | None = None,
) -> Function:
    """Record a computation and cut it into stages.

    Args:
        name: of the module.
        title: what it computes.
        inputs: handed to the parts as arrays, by name.
        outputs: what the parts make, or inputs, by name; empty shapes are allowed.
        parts: the computation: its layers, each of which may read what those before it make.
        levels: of LUTs that a stage may have.
        late: levels of what is between registers and the inputs.
        slices: for products, the largest ones first.

    Raises:
        SparsePixError: a chain of operations that is longer than da4ml's recursion.
    """
    try:
        logic, found = _traced(name, inputs, outputs, parts)
    except (RecursionError, OverflowError) as error:  # da4ml walks along a chain of operations by recursion
        raise SparsePixError(
            f"{name} ({title[:60]} ...): its chain of operations is too long for da4ml to follow: give layers in it a "
            "reuse_factor of 2 or more, which ends the chain there, or use --backend hls"
        ) from error
    slices = slices or Slices()
    logic, pairs = _in_pairs(logic, slices) if slices.in_pairs else (logic, frozenset[int]())
    logic, in_dsp = split_products(logic, levels, pairs | _in_slices(logic, slices, pairs))
    tables = memories(logic, slices.memory.lut_inputs) if slices.memory else ()
    reads = {i: slices.memory.read_levels for memory in tables for i in memory.reads} if slices.memory else {}
    stage, depth = schedule(logic, levels, late, in_dsp, reads)
    found, fields = found.after_passes(logic.ops), (tuple(inputs), tuple(outputs))
    return Function(name, title, *fields, logic, stage, depth, in_dsp, tables, tuple(parts), found)


def _luts(logic: CombLogic) -> dict[int, int]:
    """LUTs of each product."""
    kifs = [minimal_kif(op.qint) for op in logic.ops]
    return {i: product_luts([kifs[op.id0], kifs[op.id1]]) for i, op in enumerate(logic.ops) if op.opcode == PRODUCT}


def _in_pairs(logic: CombLogic, slices: Slices) -> tuple[CombLogic, frozenset[int]]:
    """Two products in one slice, those first that take the most LUTs."""
    luts = _luts(logic)
    pairs = sorted(pairs_of(logic), key=lambda pair: (-luts[pair.low] - luts[pair.high], pair.low))[: slices.left]
    slices.left -= len(pairs)
    return pair_products(logic, pairs)


def _in_slices(logic: CombLogic, slices: Slices, pairs: frozenset[int]) -> frozenset[int]:
    """The products that DSP slices compute, those first that take the most LUTs; without those that do already."""
    kifs = [minimal_kif(op.qint) for op in logic.ops]
    luts = {i: number for i, number in _luts(logic).items() if i not in pairs}
    fits = [i for i in luts if max(sum(kifs[k]) for k in (logic.ops[i].id0, logic.ops[i].id1)) <= DSP_BITS]
    chosen = sorted(fits, key=lambda i: (-luts[i], i))[: slices.left]
    slices.left -= len(chosen)
    return frozenset(chosen)


def _traced(
    name: str, inputs: Sequence[Field], outputs: Sequence[Field], parts: Sequence[Part]
) -> tuple[CombLogic, Origins]:
    """The operations of ``trace``, and which of the parts made them."""
    arrays = {field.name: field.variables() for field in inputs}
    found, made = dict(arrays), []
    for part in parts:
        made.append(part.body(found))
        found |= made[-1]
    results: list[FixedVariable] = []
    for field in outputs:
        values = np.asarray(found[field.name], dtype=object)
        assert values.shape == field.shape, f"{name}.{field.name}: {values.shape} for {field.shape}"
        results += [as_variable(value) for value in values.ravel()]
    flat = [value for field in inputs for value in arrays[field.name].ravel()]
    results = results or flat[:1]
    # A variable that is read nowhere has no operation: the tracer drops it.
    logic = numbered(comb_trace(flat, results))
    return logic, origins(logic, arrays, results, made)


def levels_of(op: Op, kifs: Sequence[Kif], width: int) -> float:
    """Levels of LUTs of an operation, as ``netlist`` counts them: what Yosys made of single operations, rounded.

    Small logic after other logic shares its LUTs, so it counts less than 1; an adder of one bit is a carry.

    Args:
        op: the operation.
        kifs: of what it reads.
        width: bits of its result.
    """
    widths = [sum(kif) for kif in kifs]
    match abs(op.opcode):
        case 0 | 1 | 4:
            return 0.5 if min(widths) <= 1 and op.opcode != 4 else 1.65 + 0.02 * width
        case 2:
            return 0.5
        case 6:
            return 0.6
        case 7:
            return product_levels(kifs)
        case 8:
            return 1 + 0.5 * max(widths[0] - 6, 0)
        case 9:
            return 0.1 if op.data == 0 else max(math.log(max(widths[0], 1), 6), 0.4)
        case 10:
            return 0.6
    return 0.0


def schedule(
    logic: CombLogic,
    levels: float,
    late: float = 0.0,
    in_dsp: frozenset[int] = frozenset(),
    in_memory: Mapping[int, float] | None = None,
) -> tuple[tuple[int, ...], int]:
    """A stage for each operation: as few stages as the levels allow, then as balanced as these stages allow.

    Args:
        logic: the operations.
        levels: that a stage may have.
        late: levels in front of the inputs.
        in_dsp: products that DSP slices compute.
        in_memory: look-ups in block memory, with the levels that they take after the clock.
    """
    in_memory = in_memory or {}
    kifs = [minimal_kif(op.qint) for op in logic.ops]
    reads = [operands(op) for op in logic.ops]
    delays = [
        late if op.opcode == INPUT else levels_of(op, [kifs[i] for i in read] or [(0, 0, 0)], sum(kifs[k]))
        for k, (op, read) in enumerate(zip(logic.ops, reads, strict=True))
    ]
    delays = [in_memory.get(k, DSP_LEVELS if k in in_dsp else delay) for k, delay in enumerate(delays)]
    slowest = max(delays, default=0.0)
    low, high = slowest, max(levels, slowest)
    best = _as_soon_as_possible(logic, reads, delays, high, in_memory)
    while high - low > 0.25:
        middle = (low + high) / 2
        found = _as_soon_as_possible(logic, reads, delays, middle, in_memory)
        low, high, best = (low, middle, found) if max(found) == max(best) else (middle, high, best)
    return tuple(best), max(best) + 1


def _as_soon_as_possible(
    logic: CombLogic, reads: list[list[int]], delays: list[float], limit: float, in_memory: Mapping[int, float]
) -> list[int]:
    stages: list[int] = []
    times: list[float] = []
    for k, (op, read, delay) in enumerate(zip(logic.ops, reads, delays, strict=True)):
        changing = [i for i in read if logic.ops[i].opcode != CONSTANT]
        stage = max((stages[i] for i in changing), default=0)
        begin = max((times[i] for i in changing if stages[i] == stage), default=0.0)
        if k in in_memory:
            stage, begin = stage + 1, 0.0  # a clock after its address
        elif begin + delay > limit and op.opcode not in (INPUT, CONSTANT):
            stage, begin = stage + 1, 0.0
        stages.append(stage)
        times.append(begin + delay)
    return stages
