"""The layers of a function as modules, and the module that connects them.

A value is computed, and delayed, in the module of the layer that made it, so that no register is there twice. An input
is delayed in the layer that reads it later; where several do, or none, in a module of its own.
"""

from collections import defaultdict
from collections.abc import Iterable
from dataclasses import dataclass

from da4ml.types import minimal_kif

from sparsepix_hls.rtl.lower.function import Field, Function
from sparsepix_hls.rtl.lower.layers import Label
from sparsepix_hls.rtl.lower.operations import CONSTANT, INPUT, operands
from sparsepix_hls.rtl.stages.text import instance

_NOBODY, _RESULTS = -1, -2  # beside the numbers of layers: owner of an input that comes in time; reader of the results


@dataclass(frozen=True)
class Bundle:
    """Values that go from one module to others side by side, the first one in the low bits.

    Args:
        name: of the ports, after ``in_`` or ``out_``.
        stage: that reads them.
        values: operations.
        labels: of the values, for comments.
        widths: of the values.
    """

    name: str
    stage: int
    values: tuple[int, ...]
    labels: tuple[str, ...]
    widths: tuple[int, ...]

    @property
    def bits(self) -> int:
        """Bits of the port."""
        return sum(self.widths)

    @property
    def size(self) -> str:
        """What it holds, for a comment."""
        low, high = min(self.widths), max(self.widths)
        values = f"{len(self.values)} value{'s' * (len(self.values) > 1)}"
        return f"{values} of {low if low == high else f'{low} to {high}'} bits, for stage {self.stage}"


@dataclass(frozen=True)
class Scope:
    """What one module of a function holds.

    Args:
        name: of the module.
        comment: what it computes.
        own: operations that are written in it.
        delayed: of them, those whose registers are in it.
        fields: inputs of the function that it reads.
        results: outputs of the function that it gives, each with the number of its first element.
        clocked: whether it has a clock.
        taken: values of other modules.
        given: values for other modules.
        instances: lines of other modules in it, which give ``taken`` then.
        connected: ports that these read or give.
    """

    name: str
    comment: str
    own: tuple[int, ...]
    delayed: frozenset[int]
    fields: tuple[Field, ...]
    results: tuple[tuple[Field, int], ...]
    clocked: bool
    taken: tuple[Bundle, ...] = ()
    given: tuple[Bundle, ...] = ()
    instances: tuple[str, ...] = ()
    connected: frozenset[str] = frozenset()


def whole(function: Function) -> Scope:
    """A function as one module."""
    count = len(function.logic.ops)
    return Scope(
        name=function.name,
        comment=_comment(function),
        own=tuple(range(count)),
        delayed=frozenset(range(count)),
        fields=function.inputs,
        results=_results(function),
        clocked=function.depth > 1,
    )


def scopes(function: Function, prefix: str) -> list[Scope]:
    """The modules of a function: one, or that which connects its layers and one for each that computes something.

    Args:
        function: the function.
        prefix: of the names of layers' modules.
    """
    plan = _Plan(function)
    layers = [part for part in plan.modules if part != plan.delays]
    return plan.scopes(prefix) if len(layers) > 1 else [whole(function)]


def read_stages(function: Function) -> list[int]:
    """The stage in which each operation reads; a memory takes an address a stage before its word is there."""
    in_memory = {i for memory in function.memories for i in memory.reads}
    return [stage - (i in in_memory) for i, stage in enumerate(function.stage)]


def last_uses(function: Function) -> list[int]:
    """The stage in which each value is read last."""
    last = list(function.stage)
    for op, here in zip(function.logic.ops, read_stages(function), strict=True):
        for read in operands(op):
            last[read] = max(last[read], here)
    for read in function.logic.out_idxs:
        if read >= 0:
            last[read] = function.depth - 1
    return last


def register_bits(function: Function) -> int:
    """Bits of the registers between the stages of a function."""
    last = last_uses(function)
    return sum(
        sum(minimal_kif(op.qint)) * (last[i] - function.stage[i])
        for i, op in enumerate(function.logic.ops)
        if op.opcode != CONSTANT
    )


def _comment(function: Function) -> str:
    stages = "combinational" if function.depth == 1 else f"{function.depth} stages, registers between them"
    return f"{function.title}; {stages}."


def _results(function: Function) -> tuple[tuple[Field, int], ...]:
    sizes = [field.size for field in function.outputs]
    return tuple((field, sum(sizes[:k])) for k, field in enumerate(function.outputs))


class _Plan:
    """Which module owns what, and what goes from one to another."""

    def __init__(self, function: Function) -> None:
        self.function, self.ops, self.stage = function, function.logic.ops, function.stage
        self.widths = [0 if op.opcode == CONSTANT else sum(minimal_kif(op.qint)) for op in self.ops]
        self.owner = list(function.origins.owner)
        self.in_memory = {i for memory in function.memories for i in memory.reads}
        for memory in function.memories:  # one memory, in the first layer that reads it
            first = min(self.owner[i] for i in memory.reads)
            for i in memory.reads:
                self.owner[i] = first
        self.delays = len(function.parts)  # the module that delays inputs
        self.results = _results(function)
        self.reading = read_stages(function)
        self.readers: dict[int, set[tuple[int, int]]] = defaultdict(set)  # of each value, with their stages
        for i, op in enumerate(self.ops):
            for read in operands(op) if self.widths[i] else ():
                self.readers[read].add((self.owner[i], self.reading[i]))
        self._own_inputs()
        owners = {self.owner[i] for i, width in enumerate(self.widths) if width}
        self.modules = sorted(owners - {_NOBODY})
        self.giver = {field: self._giver(field, first) for field, first in self.results}
        self.given: dict[int, list[Bundle]] = defaultdict(list)
        self.taken: dict[int, list[Bundle]] = defaultdict(list)
        self._connect()

    def _elements(self, field: Field, first: int) -> list[int]:
        """The operations that are the elements of an output, without constants."""
        found = self.function.logic.out_idxs[first : first + field.size]
        return [i for i in found if i >= 0 and self.widths[i]]

    def _own_inputs(self) -> None:
        """Give each input that is read after it came a module that delays it."""
        at_end = set(self.function.logic.out_idxs) if self.function.depth > 1 else set()
        for i, op in enumerate(self.ops):
            if op.opcode == INPUT:
                late = {part for part, stage in self.readers[i] if stage} | ({_RESULTS} if i in at_end else set())
                one = len(late) == 1 and _RESULTS not in late
                self.owner[i] = (late.pop() if one else self.delays) if late else _NOBODY

    def _giver(self, field: Field, first: int) -> int:
        """The module that makes all of an output, ``_NOBODY`` where it takes several."""
        owners = {self.owner[i] for i in self._elements(field, first)}
        return owners.pop() if len(owners) == 1 else _NOBODY

    def _connect(self) -> None:
        """The bundles between modules."""
        end = self.function.depth - 1
        for field, first in self.results:
            if self.giver[field] == _NOBODY:
                for i in self._elements(field, first):
                    self.readers[i].add((_RESULTS, end))
        crossing: dict[tuple[int, str, int], dict[int, set[int]]] = defaultdict(dict)
        for i, readers in self.readers.items():
            owner = self.owner[i]
            for part, stage in readers:
                direct = self.ops[i].opcode == INPUT and stage == 0
                if self.widths[i] and part != owner and not direct:
                    key = (owner, self._label(i).array, stage)
                    crossing[key].setdefault(i, set()).add(part)
        ports = [(owner, array) for owner, array, _ in crossing]
        ports += [(owner, field.name) for field, owner in self.giver.items()]
        for (owner, array, stage), values in sorted(crossing.items()):
            alone = ports.count((owner, array)) == 1 and owner != self.delays
            ordered = sorted(values, key=lambda i: (self._label(i).index, i))
            bundle = Bundle(
                name=array if alone else f"{array}_stage{stage}",
                stage=stage,
                values=tuple(ordered),
                labels=tuple("".join(f"[{k}]" for k in self._label(i).index) for i in ordered),
                widths=tuple(self.widths[i] for i in ordered),
            )
            self.given[owner].append(bundle)
            for part in set().union(*values.values()):
                self.taken[part].append(bundle)

    def _label(self, i: int) -> Label:
        label = self.function.origins.labels.get(i)
        return label or Label(f"{self.function.parts[self.owner[i]].name}_inner", (i,))  # an element of no array

    def _with_read(self, own: Iterable[int], results: Iterable[tuple[Field, int]], end: int) -> tuple[int, ...]:
        """Operations, with the constants and the inputs in time that they and some results read."""
        found = set(own)
        reads = [(k, self.reading[i]) for i in found for k in operands(self.ops[i])]
        outs = self.function.logic.out_idxs
        reads += [(k, end) for field, first in results for k in outs[first : first + field.size] if k >= 0]
        for k, stage in reads:
            kind = self.ops[k].opcode
            if kind == CONSTANT or (kind == INPUT and stage == 0):
                found.add(k)
        return tuple(sorted(found))

    def _fields(self, own: Iterable[int]) -> tuple[Field, ...]:
        """The inputs of the function that some operations are elements of."""
        numbers = {self.ops[i].id0 for i in own if self.ops[i].opcode == INPUT}
        found, first = [], 0
        for field in self.function.inputs:
            if any(first <= k < first + field.size for k in numbers):
                found.append(field)
            first += field.size
        return tuple(found)

    def _module(self, part: int, prefix: str) -> Scope:
        """The module of a layer."""
        function, end, last = self.function, self.function.depth - 1, last_uses(self.function)
        delayed = [i for i, width in enumerate(self.widths) if width and self.owner[i] == part]
        results = tuple((field, first) for field, first in self.results if self.giver[field] == part)
        own = self._with_read(delayed, results, end)
        if part == self.delays:
            name, comment = f"{function.name}_delays", "Inputs that several layers, or none, read later."
        else:
            name, comment = f"{prefix}{function.parts[part].name}", function.parts[part].title
        return Scope(
            name=name,
            comment=comment,
            own=own,
            delayed=frozenset(delayed),
            fields=self._fields(own),
            results=results,
            clocked=any(last[i] > self.stage[i] or i in self.in_memory for i in delayed),
            taken=tuple(self.taken[part]),
            given=tuple(self.given[part]),
        )

    def scopes(self, prefix: str) -> list[Scope]:
        """The module that connects the layers, and theirs."""
        modules = {part: self._module(part, prefix) for part in self.modules}
        bundles = [bundle for module in modules.values() for bundle in module.given]
        lines = [f"  wire [{bundle.bits - 1}:0] between_{bundle.name};  // {bundle.size}" for bundle in bundles]
        connected: set[str] = set()
        for part, module in modules.items():
            ports = {"clk": "clk"} if module.clocked else {}
            ports |= {f"in_{field.name}": f"in_{field.name}" for field in module.fields}
            ports |= {f"in_{bundle.name}": f"between_{bundle.name}" for bundle in module.taken}
            ports |= {f"out_{field.name}": f"out_{field.name}" for field, _ in module.results if field.size}
            ports |= {f"out_{bundle.name}": f"between_{bundle.name}" for bundle in module.given}
            connected |= set(ports.values())
            name = "delays" if part == self.delays else f"layer_{self.function.parts[part].name}"
            lines += ["", f"  // {module.comment}", *instance(module.name, name, {}, ports)]
        lines += [""]
        for field, first in self.results:
            copied = self._copied(field, first)
            if copied is not None:
                lines.append(f"  assign out_{field.name} = in_{copied.name};")
                connected |= {f"out_{field.name}", f"in_{copied.name}"}
        rest = [(field, first) for field, first in self.results if f"out_{field.name}" not in connected]
        wiring = Scope(
            name=self.function.name,
            comment=f"{_comment(self.function)} A module a layer.",
            own=self._with_read([], rest, self.function.depth - 1),
            delayed=frozenset(),
            fields=self.function.inputs,
            results=self.results,
            clocked=self.function.depth > 1,
            taken=tuple(self.taken[_RESULTS]),
            instances=tuple(lines),
            connected=frozenset(connected),
        )
        return [wiring, *modules.values()]

    def _copied(self, field: Field, first: int) -> Field | None:
        """The input that an output is, if it is one and nothing delays it."""
        elements, start = self.function.logic.out_idxs[first : first + field.size], 0
        for source in self.function.inputs:
            same = (source.size, source.type.width) == (field.size, field.type.width)
            inputs = [self.ops[i].id0 for i in elements if i >= 0 and self.ops[i].opcode == INPUT]
            if same and self.function.depth == 1 and inputs == list(range(start, start + source.size)):
                return source
            start += source.size
        return None
