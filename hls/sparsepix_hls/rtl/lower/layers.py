"""The layers of a traced function: which of them made each operation, and what its value is called.

Passes after tracing change the list of operations. So each operation carries the place that it, or what it was made of,
had when it was traced: in ``latency``, an estimate of da4ml's that nothing here reads and that passes hand on.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from da4ml.trace import FixedVariable
from da4ml.trace.tracer import gather_variables
from da4ml.types import CombLogic, Op

Values = Mapping[str, np.ndarray]
INPUT_OWNER = -1


@dataclass(frozen=True)
class Part:
    """A layer of a function.

    Args:
        name: of the layer.
        title: what it reads and makes, for a comment.
        body: the computation: arrays by name, to the arrays that it makes.
    """

    name: str
    title: str
    body: Callable[[Values], Values]


@dataclass(frozen=True)
class Label:
    """What a value is.

    Args:
        array: that it is an element of.
        index: of the element.
    """

    array: str
    index: tuple[int, ...]


@dataclass(frozen=True)
class Origins:
    """What is known of operations as they were traced.

    Args:
        owner: number of the layer that made each; ``INPUT_OWNER`` for inputs and constants of no layer.
        labels: of those that are elements of arrays.
    """

    owner: tuple[int, ...]
    labels: Mapping[int, Label]

    def after_passes(self, ops: Sequence[Op]) -> "Origins":
        """The same of operations that were made of them; several may come from one, the last has its value."""
        origins = [int(op.latency) for op in ops]
        last = {origin: i for i, origin in enumerate(origins)}
        labels = {last[origin]: label for origin, label in self.labels.items() if origin in last}
        return Origins(tuple(self.owner[origin] for origin in origins), labels)


def numbered(logic: CombLogic) -> CombLogic:
    """Operations that carry their places."""
    return logic._replace(ops=[op._replace(latency=float(i)) for i, op in enumerate(logic.ops)])


def origins(
    logic: CombLogic,
    inputs: Mapping[str, np.ndarray],
    results: Sequence[FixedVariable],
    made: Sequence[Values],
) -> Origins:
    """Which layer made each operation, and what it is.

    A layer owns what leads to its arrays and to none of the layers before it.

    Args:
        logic: what ``comb_trace`` made of it.
        inputs: of the function.
        results: of the function.
        made: the arrays of each layer, in order.
    """
    flat = [value for array in inputs.values() for value in array.ravel()]
    owners = dict.fromkeys((value.id for value in flat), INPUT_OWNER)
    for number, arrays in enumerate(made):
        left = [value for array in arrays.values() for value in np.ravel(array) if isinstance(value, FixedVariable)]
        while left:
            value = left.pop()
            if value.id not in owners:
                owners[value.id] = number
                left += value._from
    # The order of ``comb_trace``, which leaves out inputs that nothing reads.
    read = {value.id for value in gather_variables([], results)[0]}
    variables = [value for value in gather_variables(flat, results)[0] if value.id in read]
    assert len(variables) == len(logic.ops), f"{len(variables)} variables for {len(logic.ops)} operations"
    places = {value.id: i for i, value in enumerate(variables)}
    labels: dict[int, Label] = {}
    for arrays in (inputs, *made):
        for name, array in arrays.items():
            for index, value in np.ndenumerate(np.asarray(array, dtype=object)):
                # A constant that is added to a sum of it joins that: nobody reads the sum then.
                while isinstance(value, FixedVariable) and value.id not in places and value.opr == "cadd":
                    (value,) = value._from
                if isinstance(value, FixedVariable) and value.id in places:
                    labels.setdefault(places[value.id], Label(name, index))
    return Origins(tuple(owners.get(value.id, INPUT_OWNER) for value in variables), labels)
