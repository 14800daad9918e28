"""A dense layer as a graph of shifts and additions: da4ml finds it, we write it as C++."""

from dataclasses import dataclass
from functools import lru_cache
from typing import Any

import numpy as np

from sparsepix_hls.kernels.constants import fill
from sparsepix_ops.fixed_point import FixedPoint, FixedRange

# How da4ml numbers its operations.
_INPUT, _ADD, _SUBTRACT, _CONSTANT = -1, 0, 1, 5


@dataclass(frozen=True)
class Node:
    """One value of the graph.

    Args:
        terms: indices of the two nodes that are added; empty for an input.
        shift: the second term is multiplied by 2**shift first.
        minus: the second term is subtracted.
        input: index of the input, -1 for a sum.
        low, high: smallest and largest value, in units of 2**exponent.
        exponent: of the last place.
    """

    terms: tuple[int, ...]
    shift: int
    minus: bool
    input: int
    low: int
    high: int
    exponent: int

    @property
    def type(self) -> FixedPoint:
        """Narrowest format that holds every value."""
        return FixedRange(self.exponent, self.low, self.high).format()


@dataclass(frozen=True)
class Output:
    """An output: a node times 2**shift, perhaps negated; node -1 is the constant 0."""

    node: int
    shift: int
    minus: bool


@dataclass(frozen=True)
class AdderGraph:
    """A constant matrix as additions.

    Args:
        nodes: inputs and sums, each after its terms; the inputs are raw integers.
        outputs: one for each column of the matrix.
        lut: look-up tables, a bit of an adder each, as da4ml counts them.
        depth: adders on the longest path.
    """

    nodes: tuple[Node, ...]
    outputs: tuple[Output, ...]
    lut: int
    depth: int

    @property
    def adders(self) -> int:
        """Number of adders."""
        return sum(1 for node in self.nodes if node.terms)


def adder_graph(layer: Any) -> AdderGraph:
    """The graph of the weights of a ``layers.dense.Dense``, without its bias; the same each time.

    Some seconds for a layer of 243 x 16 weights of 8 bits; results are kept while the process runs.
    """
    raw = np.ascontiguousarray(layer.weight.raw, dtype=np.int64)
    kind = layer.input.type
    return _solved(raw.tobytes(), raw.shape, kind.raw_min, kind.raw_max)


@lru_cache(maxsize=64)
def _solved(weights: bytes, shape: tuple[int, int], low: int, high: int) -> AdderGraph:
    from da4ml.trace import FixedVariable, FixedVariableArray, HWConfig, comb_trace

    matrix = np.frombuffer(weights, dtype=np.int64).reshape(shape).astype(np.float64)
    hardware = HWConfig(1, -1, -1)  # one unit of time an adder
    inputs = [FixedVariable(low, high, 1, hwconf=hardware) for _ in range(shape[0])]
    # A search over all depths takes five times as long, for up to a tenth fewer adders (benchmarks/adder_graphs.py).
    array = FixedVariableArray(np.array(inputs, dtype=object), {"search_all_decompose_dc": False})
    logic = comb_trace(array, array @ matrix)
    nodes = []
    for op in logic.ops:
        exponent = int(np.log2(op.qint.step)) if op.opcode != _CONSTANT else 0
        terms = (op.id0, op.id1) if op.opcode in (_ADD, _SUBTRACT) else ()
        if op.opcode not in (_INPUT, _ADD, _SUBTRACT, _CONSTANT):
            raise ValueError(f"da4ml: expected inputs, sums and constants, found operation {op.opcode}")
        if op.opcode == _CONSTANT and (op.qint.min, op.qint.max) != (0, 0):
            raise ValueError(f"da4ml: expected no constant but 0, found {op.qint.min}")
        ends = (round(value / 2.0**exponent) for value in (op.qint.min, op.qint.max))
        index = op.id0 if op.opcode == _INPUT else -1
        nodes.append(Node(terms, op.data if terms else 0, op.opcode == _SUBTRACT, index, *ends, exponent))
    outputs = []
    for index, shift, minus in zip(logic.out_idxs, logic.out_shifts, logic.out_negs, strict=True):
        zero = index < 0 or logic.ops[index].opcode == _CONSTANT
        outputs.append(Output(-1, 0, False) if zero else Output(index, int(shift), bool(minus)))
    return AdderGraph(tuple(nodes), tuple(outputs), round(logic.cost), round(max(logic.out_latency)))


def adder_graph_source(layer: Any, graph: AdderGraph, bias: str) -> str:
    """The C++ function ``<layer>_adders(input, output)``: one line an adder, each of the width that its values need.

    Args:
        layer: the layer.
        graph: its graph.
        bias: name of the array of biases.
    """
    reads = any(output.node >= 0 for output in graph.outputs)
    sides = [("const ", " input" if reads else "", layer.input), ("", " output", layer.output)]
    arguments = [f"{const}{tensor.name}_t{name}[{tensor.shape[0]}]" for const, name, tensor in sides]
    lines = [
        f"// {layer.name}: {graph.adders} adders, {graph.depth} deep; scaled<S>(x) is x * 2^S, which costs nothing.",
        fill(f"inline void {layer.name}_adders", arguments, " {"),
        "#pragma HLS INLINE",
    ]
    point = layer.input.type.exponent
    for number, node in enumerate(graph.nodes):
        if not node.terms:
            continue
        first, second = (_term(graph, term, 0) for term in node.terms)
        if node.shift:
            second = f"sparsepix::scaled<{node.shift}>({second})"
        kind = _shifted(node.type, point)
        lines.append(f"  const {kind} a{number} = {first} {'-' if node.minus else '+'} {second};")
    places = point + layer.weight.type.exponent - point
    for number, output in enumerate(graph.outputs):
        value = f"{bias}[{number}]"
        if output.node >= 0:
            shift = output.shift + places
            term = _term(graph, output.node, shift)
            value += f" {'-' if output.minus else '+'} {term}"
        lines.append(f"  output[{number}] = {value};")
    return "\n".join([*lines, "}\n"])


def _term(graph: AdderGraph, index: int, shift: int) -> str:
    node = graph.nodes[index]
    name = f"a{index}" if node.terms else f"input[{node.input}]"
    return f"sparsepix::scaled<{shift}>({name})" if shift else name


def _shifted(kind: FixedPoint, places: int) -> str:
    """A format whose binary point is moved: the graph counts in raw integers of the input."""
    moved = FixedPoint(kind.width, kind.integer + places, kind.signed, "FLOOR", "WRAP")
    return str(moved)
