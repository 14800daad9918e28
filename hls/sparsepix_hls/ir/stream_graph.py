"""The layers of a stream of pixels as a graph: which lists each of them reads, and how many wait where two meet."""

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

from sparsepix_hls.ir.graph import Layer
from sparsepix_hls.ir.streams import Unpooled
from sparsepix_hls.ir.tensors import Tensor


@dataclass(frozen=True)
class StreamPart:
    """A layer of a stream, with the activations after it.

    Args:
        layers: the layer and its activations.
        reads: features of the lists that it reads, each once; those of the pixels that it makes are the last.
    """

    layers: tuple[Layer, ...]
    reads: tuple[Tensor, ...]

    @property
    def result(self) -> Tensor:
        """Features of the list that it makes, or the vector."""
        made = self.layers[-1].outputs[0]
        assert isinstance(made, Tensor)
        return made

    @property
    def unpools(self) -> bool:
        """Whether its lists are of other pixels: cells, then pixels."""
        streamed = self.layers[0].streamed()
        return streamed is not None and isinstance(streamed.gathers, Unpooled)

    @property
    def ends(self) -> bool:
        """Whether it makes a vector of all pixels, and no list."""
        return len(self.result.shape) == 1


def stream_parts(steps: Sequence[Layer]) -> list[StreamPart]:
    """The parts of a stream, in order.

    Args:
        steps: the input reduction, then the layers on lists in order of execution.
    """
    lists = {step.outputs[0].name for step in steps}
    found: list[StreamPart] = []
    readers = Counter(array.name for step in steps for array in step.inputs)
    for step in steps[1:]:
        reads = tuple(array for array in step.inputs if array.name in lists)
        before = next((n for n, part in enumerate(found) if part.result == reads[0]), None)
        if step.joins and before is not None and readers[reads[0].name] == 1:
            found[before] = replace(found[before], layers=(*found[before].layers, step))
        else:
            found.append(StreamPart((step,), reads))
    # An unpool reads places alone: those of the list that they came with.
    made = {steps[0].outputs[1].name: steps[0].outputs[0]}
    made |= {part.layers[0].outputs[1].name: part.result for part in found if len(part.layers[0].outputs) > 1}
    fine = [(made[part.layers[0].inputs[-1].name],) if part.unpools else () for part in found]
    return [replace(part, reads=part.reads + more) for part, more in zip(found, fine, strict=True)]


def readers_of(parts: Sequence[StreamPart]) -> dict[str, list[int]]:
    """Numbers of the parts that read a list, by the name of its features."""
    found: dict[str, list[int]] = {}
    for number, part in enumerate(parts):
        for tensor in part.reads:
            found.setdefault(tensor.name, []).append(number)
    return found


def waiting_places(
    parts: Sequence[StreamPart], pixels: Mapping[str, int], held: Mapping[str, int]
) -> dict[tuple[str, int], int]:
    """Places of the queues in front of parts that read two lists or more, by the list and the number of the part.

    A queue holds an event at least, all its pixels and the end. If it is full, its event has ended for all layers
    before it; an event that has ended comes out of every window and cell without the next one, so what the part waits
    for comes. It also has as many places as layers on the other ways hold, so that events follow each other as without
    branches. Of lists with the same pixels, one that another is made of is there before it, so that what comes with it
    alone needs no more than a short queue.

    Args:
        parts: the stream.
        pixels: of an event, at most, by the name of the list.
        held: pixels that a part can hold, by the name of what it makes.
    """
    sources: dict[str, set[str]] = {}  # a list and all that it is made of
    ways: dict[str, list[str]] = {}  # lists that all ways to a list lead through, in order
    places = {}
    for number, part in enumerate(parts):
        name = part.result.name
        for first in part.reads:
            sources.setdefault(first.name, {first.name})
            ways.setdefault(first.name, [first.name])
        sources[name] = {name}.union(*(sources[tensor.name] for tensor in part.reads))
        side_by_side = zip(*(ways[tensor.name] for tensor in part.reads), strict=False)
        ways[name] = [*(lists[0] for lists in side_by_side if len(set(lists)) == 1), name]
        for own in part.reads:
            most = 0
            for other in part.reads:
                if other.name not in sources[own.name] or (part.unpools and other is not own):
                    fork = [name for name in ways[other.name] if name in sources[own.name]][-1]
                    most = max(most, pixels[own.name] + 1, _longest(parts, held, fork, other.name))
            if most:
                places[own.name, number] = most
    return places


def _longest(parts: Sequence[StreamPart], held: Mapping[str, int], start: str, end: str) -> int:
    """Pixels that are between two lists, at most."""
    found = {start: 0}
    for part in parts:
        before = [found[tensor.name] for tensor in part.reads if tensor.name in found]
        if before and part.result.name != start:
            found[part.result.name] = held[part.result.name] + max(before)
    return found[end]
