"""What Vitis HLS does to sums before it schedules them: chains become trees, a product and a sum one slice."""

import heapq
from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass, field

from sparsepix_hls.schedule import delays

CHOICES = ("select", "ways")  # of two: the conditions are read first, and then the two


@dataclass
class Node:
    """An operation whose operands may still change.

    Args:
        opcode: of LLVM.
        kind: of its result; sums of one kind can be reordered, since they wrap around.
        delay, lut, dsp: of the operation.
        registered: whether it is a memory that takes its address at the end of a clock.
        reads: what it reads, each with the iterations that lie between.
    """

    opcode: str
    kind: str
    delay: float
    lut: int
    dsp: int
    registered: bool = False
    reads: list[tuple[int, int]] = field(default_factory=list)


def add_always(nodes: dict[int, Node], fixed: set[int]) -> None:
    """Turn a sum that is taken or left into a sum with a term or zero, so that it can be part of a tree.

    Args:
        nodes: the operations of a region; they are changed.
        fixed: those that something outside of the region reads as well.
    """
    uses = Counter(source for node in nodes.values() for source, _ in node.reads)
    for node in nodes.values():
        if node.opcode not in CHOICES or len(node.reads) < 3:
            continue
        conditions, values = node.reads[:-2], node.reads[-2:]
        for (k, distance), kept in (values, reversed(values)):
            inner = nodes.get(k)
            if distance or uses[k] != 1 or k in fixed or not _is_inner(nodes, k, node.kind) or kept not in inner.reads:
                continue
            term = next((read for read in inner.reads if read != kept), kept)
            node.opcode, inner.opcode = inner.opcode, node.opcode
            node.delay, inner.delay = inner.delay, node.delay
            node.lut, inner.lut = inner.lut, node.lut
            node.reads, inner.reads = [kept, (k, 0)], [*conditions, term]
            break


def keep_conditional(nodes: dict[int, Node], fixed: set[int]) -> set[int]:
    """Sums to which a term is added or not: Vitis HLS chooses after each sum, and makes no tree of them.

    LLVM has made a choice between the term and zero of each of them.

    Args:
        nodes: the operations of a region; the choices become part of the sums.
        fixed: those that something outside of the region reads as well.

    Returns:
        The sums.
    """
    uses = Counter(source for node in nodes.values() for source, _ in node.reads)
    found = set()
    for k, node in nodes.items():
        if node.opcode != "add" or len(node.reads) != 2:
            continue
        terms = [nodes.get(source) if not distance else None for source, distance in node.reads]
        gated = [
            term is not None and term.opcode == "gate" and uses[source] == 1 and source not in fixed
            for term, (source, _) in zip(terms, node.reads, strict=True)
        ]
        running = [term is not None and term.opcode == "add" for term in terms]
        for this, other in ((0, 1), (1, 0)):
            if gated[this] and running[other]:
                node.delay, terms[this].delay = node.delay + terms[this].delay, 0.0
                found.add(k)
    return found


def balance(nodes: dict[int, Node], order: Iterable[int], fixed: set[int], kept: set[int]) -> None:
    """Make a tree of each chain of sums: those that are there first are added first.

    Args:
        nodes: the operations of a region; their reads are changed.
        order: of their dependences.
        fixed: those that something outside of the region reads as well.
        kept: sums that are in no tree.
    """
    uses = Counter(source for node in nodes.values() for source, _ in node.reads)
    ready: dict[int, float] = {}
    inner = {
        source
        for node in nodes.values()
        if node.opcode == "add"
        for source, distance in node.reads
        if distance == 0 and _is_inner(nodes, source, node.kind) and uses[source] == 1 and source not in fixed | kept
    }
    carried: dict[int, set[int]] = {}  # for each sum the variables that it is left in for the next iteration
    for k, node in nodes.items():
        for source, distance in node.reads:
            if distance:
                for reached in _reached(nodes, source):
                    carried.setdefault(reached, set()).add(k)
    for k in order:
        node = nodes[k]
        if node.opcode == "add" and k not in inner | kept and len(node.reads) == 2:
            leaves, sums = _chain(nodes, k, inner)
            if len(sums) > 1:
                last = carried.get(k, set())
                late = [distance or bool(last & _reached(nodes, leaf)) for leaf, distance in leaves]
                _tree(nodes, leaves, late, [*sums[1:], k], ready)
        ready[k] = max((ready.get(source, 0.0) for source, distance in node.reads if not distance), default=0.0)
        ready[k] += node.delay


def _is_inner(nodes: dict[int, Node], k: int, kind: str) -> bool:
    return k in nodes and nodes[k].opcode == "add" and nodes[k].kind == kind and len(nodes[k].reads) == 2


def _chain(nodes: dict[int, Node], k: int, inner: set[int]) -> tuple[list[tuple[int, int]], list[int]]:
    """What a sum of sums adds, and its sums, the last one first."""
    leaves, sums, waiting = [], [], [(k, 0)]
    while waiting:
        source, distance = waiting.pop()
        if source == k or (distance == 0 and source in inner):
            sums.append(source)
            waiting += nodes[source].reads
        else:
            leaves.append((source, distance))
    return leaves, sums


def _reached(nodes: dict[int, Node], k: int) -> set[int]:
    """What an operation reads in the same iteration, directly or through what is no sum, down to the next sums."""
    found, waiting = set(), [k]
    while waiting:
        source = waiting.pop()
        if source in found or source not in nodes:
            continue
        found.add(source)
        if nodes[source].opcode not in ("add", "mul"):
            waiting += [read for read, distance in nodes[source].reads if not distance]
    return found


def _tree(
    nodes: dict[int, Node], leaves: list[tuple[int, int]], late: list[bool], sums: list[int], ready: dict[int, float]
) -> None:
    """Join what is ready first; what another iteration left comes last, so that it is in no long recurrence."""
    heap = [
        (float("inf") if last else ready.get(leaf[0], 0.0), i, leaf)
        for i, (last, leaf) in enumerate(zip(late, leaves, strict=True))
    ]
    heapq.heapify(heap)
    number = len(heap)
    waiting = list(reversed(sums))
    while waiting:
        k = waiting.pop()
        first, second = heapq.heappop(heap), heapq.heappop(heap)
        nodes[k].reads = [first[2], second[2]]
        at = max((t for t in (first[0], second[0]) if t != float("inf")), default=0.0) + nodes[k].delay
        if waiting and heap[0][0] + nodes[k].delay <= at and not _multiplied(nodes, (first, second)):
            # A third term that is there in time: FPGAs add three as fast as two.
            ready[k], nodes[k].delay = at - nodes[k].delay, 0.0
            third, pair, k = heapq.heappop(heap), k, waiting.pop()
            nodes[k].reads = [third[2], (pair, 0)]
        ready[k] = at
        heapq.heappush(heap, (at, number, (k, 0)))
        number += 1


def _multiplied(nodes: dict[int, Node], terms: Iterable[tuple[float, int, tuple[int, int]]]) -> bool:
    """Whether one of the terms is a product: the sum is then part of its DSP slice."""
    return any(k in nodes and nodes[k].opcode == "mul" for _, _, (k, _) in terms)


def multiply_and_add(nodes: dict[int, Node], order: Iterable[int], fixed: set[int]) -> None:
    """Put a product that is only added to something into one DSP slice together with the sum.

    Args:
        nodes: the operations of a region; products that are taken over are removed.
        order: of their dependences.
        fixed: those that something outside of the region reads as well.
    """
    uses = Counter(source for node in nodes.values() for source, _ in node.reads)
    for k in order:
        node = nodes.get(k)
        if node is None or node.opcode != "add" or len(node.reads) != 2:
            continue
        for place in (1, 0):
            source, distance = node.reads[place]
            if distance or source in fixed or uses[source] != 1 or source not in nodes or nodes[source].opcode != "mul":
                continue
            product = nodes.pop(source)
            node.reads = [node.reads[1 - place], *product.reads]
            node.delay, node.lut, node.dsp = delays.DSP_NS, 0, 1
            node.opcode = "muladd"
            break
